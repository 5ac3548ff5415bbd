//! An HTTP/2 origin that answers exact frames (RFC 9113, section 4), over TLS.
//!
//! It reads no header block: requests are answered in the order they come, the next by the script that was
//! set, all others well, with a body that bears the number of the connection and of the stream.

use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::case::bytes;
use crate::harness::origin::{Io, Tls, acceptor};
use crate::harness::{Watched, runtime};

/// Types of frames (RFC 9113, section 6).
pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const PRIORITY: u8 = 2;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PUSH_PROMISE: u8 = 5;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;

/// Flags.
pub const END_STREAM: u8 = 0x1;
pub const ACK: u8 = 0x1;
pub const END_HEADERS: u8 = 0x4;
pub const PADDED: u8 = 0x8;
pub const PRIORITISED: u8 = 0x20;

/// A step of an answer.
#[derive(Clone, Debug)]
pub enum Step {
    /// A frame.
    Frame { kind: u8, flags: u8, stream: On, payload: Vec<u8> },
    /// GOAWAY, with the request's stream as the last (or none at all) and this code.
    GoAway(On, u32),
    /// The end of the connection, after which nothing comes.
    End,
}

/// Which stream a frame is of.
#[derive(Clone, Copy, Debug)]
pub enum On {
    /// That of the request.
    Request,
    /// Another one.
    Stream(u32),
}

/// The fields as literals without indexing (RFC 7541, section 6.2.2): `name: value` apart by `|`, the
/// name ending at the first `: `.
pub fn block(fields: &str) -> Vec<u8> {
    let mut block = Vec::new();
    for field in fields.split('|').filter(|field| !field.is_empty()) {
        let (name, value) = field.split_once(": ").expect("a name and a value");
        block.push(0);
        for text in [bytes(name), bytes(value)] {
            push_length(&mut block, text.len());
            block.extend(text);
        }
    }
    block
}

/// An integer with a prefix of seven bits (RFC 7541, section 5.1).
fn push_length(block: &mut Vec<u8>, length: usize) {
    if length < 127 {
        return block.push(length as u8);
    }
    block.push(127);
    let mut rest = length - 127;
    while rest >= 128 {
        block.push((rest % 128 + 128) as u8);
        rest /= 128;
    }
    block.push(rest as u8);
}

/// A frame as it is written (RFC 9113, section 4.1).
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

#[derive(Default)]
struct Asked {
    next: Option<Vec<Step>>,
    /// The connection and the stream of each request.
    at: Vec<(usize, u32)>,
}

/// A running origin; dropping it closes everything.
pub struct H2Origin {
    /// Where it listens, on 127.0.0.1.
    pub port: u16,
    asked: Arc<Watched<Asked>>,
    task: tokio::task::JoinHandle<()>,
}

impl H2Origin {
    /// Starts one for this host.
    pub fn start(host: &str) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a socket on loopback");
        let port = listener.local_addr().expect("bound").port();
        let asked = Arc::new(Watched::default());
        let acceptor = acceptor(&Tls { alpn: &["h2"], ..Tls::new(&[host]) });
        let task = runtime().spawn(accept(listener, acceptor, Arc::clone(&asked)));
        Self { port, asked, task }
    }

    /// Answers the next request like this.
    pub fn answer_next(&self, steps: &[Step]) {
        self.asked.change(|asked| asked.next = Some(steps.to_vec()));
    }

    /// The connection of the latest request, the good answer to it, and how many there were in all.
    pub fn latest(&self) -> (usize, String, usize) {
        self.asked.look(|asked| {
            let at = asked.at.last().copied().unwrap_or_default();
            (at.0, well(at), asked.at.len())
        })
    }
}

impl Drop for H2Origin {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn well((connection, stream): (usize, u32)) -> String {
    format!("stream {stream} of connection {connection}")
}

async fn accept(
    listener: std::net::TcpListener,
    acceptor: TlsAcceptor,
    asked: Arc<Watched<Asked>>,
) {
    listener.set_nonblocking(true).expect("a listener can be non-blocking");
    let listener = TcpListener::from_std(listener).expect("inside a runtime");
    let mut connections = tokio::task::JoinSet::new(); // dropped with this task, and they with it
    let mut number = 0;
    while let Ok((stream, _)) = listener.accept().await {
        number += 1;
        let (acceptor, asked) = (acceptor.clone(), Arc::clone(&asked));
        connections.spawn(async move {
            // An error of the socket or of TLS ends the connection, as it does in a server.
            serve(acceptor.accept(stream).await.ok()?, number, &asked).await
        });
    }
}

/// Serves one connection until either side ends it.
async fn serve(mut stream: impl Io, number: usize, asked: &Watched<Asked>) -> Option<()> {
    let mut preface = [0; 24];
    stream.read_exact(&mut preface).await.ok()?;
    send(&mut stream, &frame(SETTINGS, 0, 0, &[])).await?;
    let mut over = false;
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await.ok()?;
        let (kind, flags) = (head[3], head[4]);
        let id = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
        stream.read_exact(&mut payload).await.ok()?;
        match kind {
            SETTINGS if flags & ACK == 0 => {
                send(&mut stream, &frame(SETTINGS, ACK, 0, &[])).await?
            }
            PING if flags & ACK == 0 => send(&mut stream, &frame(PING, ACK, 0, &payload)).await?,
            // Requests here are small: their last frame ends them.
            HEADERS | DATA if flags & END_STREAM != 0 && !over => {
                let at = (number, id);
                let next = asked.change(|asked| {
                    asked.at.push(at);
                    asked.next.take()
                });
                let steps = next
                    .unwrap_or_else(|| vec![Step::headers(":status: 200"), Step::last(&well(at))]);
                over = answer(&mut stream, id, &steps).await?;
            }
            _ => {}
        }
    }
}

/// Whether the connection is over.
async fn answer(stream: &mut impl Io, id: u32, steps: &[Step]) -> Option<bool> {
    let mut out = Vec::new();
    for step in steps {
        let on = |on: &On| match on {
            On::Request => id,
            On::Stream(other) => *other,
        };
        match step {
            Step::Frame { kind, flags, stream, payload } => {
                out.extend(frame(*kind, *flags, on(stream), payload));
            }
            Step::GoAway(last, code) => {
                out.extend(frame(
                    GOAWAY,
                    0,
                    0,
                    &[on(last).to_be_bytes(), code.to_be_bytes()].concat(),
                ));
            }
            Step::End => {
                send(stream, &out).await?;
                stream.shutdown().await.ok()?;
                return Some(true);
            }
        }
    }
    send(stream, &out).await?;
    Some(false)
}

async fn send(stream: &mut impl Io, bytes: &[u8]) -> Option<()> {
    stream.write_all(bytes).await.ok()?;
    stream.flush().await.ok()
}

impl Step {
    /// A frame of the request's stream.
    pub fn own(kind: u8, flags: u8, payload: Vec<u8>) -> Self {
        Self::Frame { kind, flags, stream: On::Request, payload }
    }

    /// A frame of another stream; 0 is the connection.
    pub fn other(kind: u8, flags: u8, stream: u32, payload: Vec<u8>) -> Self {
        Self::Frame { kind, flags, stream: On::Stream(stream), payload }
    }

    /// A head, or trailers, after which more comes.
    pub fn headers(fields: &str) -> Self {
        Self::own(HEADERS, END_HEADERS, block(fields))
    }

    /// A head, or trailers, after which nothing comes.
    pub fn only(fields: &str) -> Self {
        Self::own(HEADERS, END_HEADERS | END_STREAM, block(fields))
    }

    /// A part of the body.
    pub fn data(text: &str) -> Self {
        Self::own(DATA, 0, bytes(text))
    }

    /// The last part of the body.
    pub fn last(text: &str) -> Self {
        Self::own(DATA, END_STREAM, bytes(text))
    }

    /// RST_STREAM with this code.
    pub fn reset(code: u32) -> Self {
        Self::own(RST_STREAM, 0, code.to_be_bytes().to_vec())
    }
}
