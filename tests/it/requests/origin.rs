//! An origin that writes down the very bytes it gets, and answers `200` without a body.
//!
//! It reads as little into a request as it can: where its head ends, and where its body does. What asks for
//! `PROBE` is answered with a mark of its own and not written down; `/ws` switches protocols, after which
//! every byte goes back as it came.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::table::Complete;
use crate::harness::Watched;

/// The target of the request that shows whether a connection goes on.
pub const PROBE: &str = "/probe";
/// A line that only the answer to that request has.
pub const PROBE_MARK: &str = "x-probe: answered";

/// What was sent before somebody saw the connection end takes no longer than this to be seen here.
const LATE: Duration = Duration::from_secs(1);

/// A running origin.
pub struct Recorder {
    /// Where it listens.
    pub address: SocketAddr,
    seen: Arc<Watched<Vec<Received>>>,
}

/// One request as it came.
#[derive(Clone, Debug)]
pub struct Received {
    /// Its bytes, framing included.
    pub bytes: Vec<u8>,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Coming,
    Whole,
    Cut,
}

impl Received {
    /// Whether it came to its end.
    pub fn complete(&self) -> Complete {
        if self.state == State::Whole { Complete::Yes } else { Complete::No }
    }
}

impl Recorder {
    /// Starts one on loopback.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a socket on loopback");
        let address = listener.local_addr().expect("a bound socket has an address");
        let seen = Arc::new(Watched::default());
        let recorded = Arc::clone(&seen);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let recorded = Arc::clone(&recorded);
                std::thread::spawn(move || serve(stream, &recorded));
            }
        });
        Self { address, seen }
    }

    /// Takes what has come since it was last asked, once all of it has ended.
    pub fn take(&self) -> Vec<Received> {
        let settled = |seen: &Vec<Received>| {
            seen.iter().all(|received| received.state != State::Coming).then_some(())
        };
        self.seen.wait_for(settled); // what is missing after that is told by what is there
        self.seen.change(std::mem::take)
    }

    /// The same after something has come, or long enough for what was sent before to have come.
    pub fn take_late(&self) -> Vec<Received> {
        let end = Instant::now() + LATE;
        while self.seen.look(Vec::is_empty) && Instant::now() < end {
            std::thread::park_timeout(Duration::from_millis(5));
        }
        self.take()
    }
}

/// Answers the requests of one connection; an error of the socket ends it.
fn serve(mut stream: TcpStream, seen: &Watched<Vec<Received>>) {
    let _ = stream.set_nodelay(true);
    let mut waiting = Vec::new();
    while let Some(head_len) = read_until(&mut stream, &mut waiting, head_end) {
        let head = String::from_utf8_lossy(&waiting[..head_len]).to_ascii_lowercase();
        let target = head.split(' ').nth(1).unwrap_or_default();
        if target == PROBE {
            waiting.drain(..head_len);
            answer(&mut stream, &format!("200 OK\r\n{PROBE_MARK}\r\ncontent-length: 0"));
            continue;
        }
        if target == "/ws" {
            record(seen, &waiting[..head_len], State::Whole);
            return switch(stream, waiting.split_off(head_len));
        }
        if head.contains("\r\nexpect: 100-continue\r\n") {
            answer(&mut stream, "100 Continue");
        }
        let whole = |bytes: &[u8]| body_end(&head, &bytes[head_len..]).map(|len| head_len + len);
        let begun = record(seen, &waiting[..head_len], State::Coming);
        let end = read_until(&mut stream, &mut waiting, whole);
        seen.change(|seen| {
            // Nobody takes what is still coming, unless a test has failed already.
            if let Some(received) = seen.get_mut(begun) {
                received.bytes = waiting[..end.unwrap_or(waiting.len())].to_vec();
                received.state = if end.is_some() { State::Whole } else { State::Cut };
            }
        });
        let Some(end) = end else { return };
        waiting.drain(..end);
        answer(&mut stream, "200 OK\r\ncontent-length: 0");
    }
    if !waiting.is_empty() {
        record(seen, &waiting, State::Cut);
    }
}

fn record(seen: &Watched<Vec<Received>>, bytes: &[u8], state: State) -> usize {
    seen.change(|seen| {
        seen.push(Received { bytes: bytes.to_vec(), state });
        seen.len() - 1
    })
}

fn answer(stream: &mut TcpStream, head: &str) {
    // A client that has left needs no answer.
    let _ = stream.write_all(format!("HTTP/1.1 {head}\r\n\r\n").as_bytes());
}

fn switch(mut stream: TcpStream, mut waiting: Vec<u8>) {
    answer(&mut stream, "101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket");
    loop {
        if stream.write_all(&waiting).is_err() {
            return;
        }
        waiting.clear();
        if read_more(&mut stream, &mut waiting).is_none() {
            return;
        }
    }
}

/// Reads until `end` finds where something ends; `None` when the connection ends before.
fn read_until(
    stream: &mut TcpStream,
    waiting: &mut Vec<u8>,
    end: impl Fn(&[u8]) -> Option<usize>,
) -> Option<usize> {
    loop {
        if let Some(end) = end(waiting) {
            return Some(end);
        }
        read_more(stream, waiting)?;
    }
}

fn read_more(stream: &mut TcpStream, waiting: &mut Vec<u8>) -> Option<()> {
    let mut bytes = [0; 16 * 1024];
    let length = stream.read(&mut bytes).ok().filter(|length| *length > 0)?;
    waiting.extend_from_slice(&bytes[..length]);
    Some(())
}

/// Where a head ends.
pub fn head_end(bytes: &[u8]) -> Option<usize> {
    find(bytes, b"\r\n\r\n").map(|at| at + 4)
}

/// Where the body that follows a (lower-case) head ends.
pub fn body_end(head: &str, body: &[u8]) -> Option<usize> {
    if head.contains("\r\ntransfer-encoding: chunked\r\n") {
        return super::wire::dechunk(body).map(|body| body.len);
    }
    let length = head.split("\r\n").find_map(|line| line.strip_prefix("content-length: "));
    let length = length.map_or(0, |digits| digits.parse().unwrap_or(usize::MAX));
    (body.len() >= length).then_some(length)
}

/// Where some bytes stand within others.
pub fn find(bytes: &[u8], mark: &[u8]) -> Option<usize> {
    bytes.windows(mark.len()).position(|window| window == mark)
}
