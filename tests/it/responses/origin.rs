//! An origin that answers exact bytes by path, and says on which connection it was asked.
//!
//! What it has no row for it answers well, with the path as the body. It does not judge requests.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::case::{Then, When};
use crate::harness::origin::Io;
use crate::harness::{Watched, runtime};

/// What the origin does for one path.
#[derive(Clone)]
pub struct Script {
    /// The pieces it sends.
    pub answer: Vec<Vec<u8>>,
    /// When it begins.
    pub when: When,
    /// What it does afterwards.
    pub then: Then,
}

/// A running origin; dropping it closes everything.
pub struct Origin {
    /// Where it listens, on 127.0.0.1.
    pub port: u16,
    asked: Arc<Watched<HashMap<String, usize>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Origin {
    /// Starts one with these answers.
    pub fn start(scripts: HashMap<String, Script>) -> Self {
        Self::with(scripts, None)
    }

    /// Starts one that speaks TLS.
    pub fn over_tls(scripts: HashMap<String, Script>, acceptor: TlsAcceptor) -> Self {
        Self::with(scripts, Some(acceptor))
    }

    fn with(scripts: HashMap<String, Script>, acceptor: Option<TlsAcceptor>) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a socket on loopback");
        let port = listener.local_addr().expect("bound").port();
        let asked = Arc::new(Watched::default());
        let task =
            runtime().spawn(accept(listener, acceptor, Arc::new(scripts), Arc::clone(&asked)));
        Self { port, asked, task }
    }

    /// The number of the connection on which this path was asked for last.
    pub fn connection_of(&self, path: &str) -> Option<usize> {
        self.asked.look(|asked| asked.get(path).copied())
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(
    listener: std::net::TcpListener,
    acceptor: Option<TlsAcceptor>,
    scripts: Arc<HashMap<String, Script>>,
    asked: Arc<Watched<HashMap<String, usize>>>,
) {
    listener.set_nonblocking(true).expect("a listener can be non-blocking");
    let listener = TcpListener::from_std(listener).expect("inside a runtime");
    let mut connections = tokio::task::JoinSet::new(); // dropped with this task, and they with it
    let mut number = 0;
    while let Ok((stream, _)) = listener.accept().await {
        number += 1;
        let _ = stream.set_nodelay(true);
        let (scripts, asked) = (Arc::clone(&scripts), Arc::clone(&asked));
        let (acceptor, socket) = (acceptor.clone(), socket2::SockRef::from(&stream).try_clone());
        connections.spawn(async move {
            // An error of the socket or of TLS ends the connection, as it does in a server.
            let socket = socket.ok()?;
            match acceptor {
                None => serve(stream, &socket, number, &scripts, &asked).await,
                Some(acceptor) => {
                    let stream = acceptor.accept(stream).await.ok()?;
                    serve(stream, &socket, number, &scripts, &asked).await
                }
            }
        });
    }
}

/// Serves one connection until either side ends it.
async fn serve(
    mut stream: impl Io,
    socket: &socket2::Socket,
    number: usize,
    scripts: &HashMap<String, Script>,
    asked: &Watched<HashMap<String, usize>>,
) -> Option<()> {
    let mut buffer = Vec::new();
    loop {
        let head = head(&mut stream, &mut buffer).await?;
        let path = head.split(' ').nth(1)?.to_owned();
        asked.change(|asked| asked.insert(path.clone(), number));
        let script = scripts.get(&path).cloned().unwrap_or_else(|| well(&path));
        let length = length(&head);
        if script.when == When::Asked {
            body(&mut stream, &mut buffer, length).await?;
        }
        for piece in &script.answer {
            stream.write_all(piece).await.ok()?;
        }
        match script.then {
            Then::Waits if script.when == When::HeadRead => {
                body(&mut stream, &mut buffer, length).await?;
            }
            Then::Waits => {}
            Then::Ends => {
                stream.shutdown().await.ok()?;
                while stream.read_buf(&mut buffer).await.ok()? > 0 {
                    buffer.clear();
                }
                return None;
            }
            Then::Resets => {
                socket.set_linger(Some(Duration::ZERO)).ok()?;
                return None;
            }
            Then::Vanishes => {
                socket.shutdown(std::net::Shutdown::Write).ok()?;
                return None;
            }
        }
    }
}

/// A good answer whose body is the path.
fn well(path: &str) -> Script {
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{path}", path.len());
    Script { answer: vec![answer.into_bytes()], when: When::Asked, then: Then::Waits }
}

async fn head(stream: &mut impl Io, buffer: &mut Vec<u8>) -> Option<String> {
    loop {
        if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = buffer.drain(..end + 4).collect();
            return String::from_utf8(head).ok();
        }
        more(stream, buffer).await?;
    }
}

/// How a request's body ends.
#[derive(Clone, Copy)]
enum Length {
    Bytes(usize),
    Chunks,
}

fn length(head: &str) -> Length {
    let head = head.to_ascii_lowercase();
    match head.split("content-length: ").nth(1).and_then(|rest| rest.split('\r').next()) {
        Some(length) => Length::Bytes(length.parse().unwrap_or(0)),
        None if head.contains("transfer-encoding: chunked") => Length::Chunks,
        None => Length::Bytes(0),
    }
}

async fn body(stream: &mut impl Io, buffer: &mut Vec<u8>, length: Length) -> Option<()> {
    let end = |buffer: &[u8]| match length {
        Length::Bytes(length) => (buffer.len() >= length).then_some(length),
        Length::Chunks => {
            buffer.windows(5).position(|window| window == b"0\r\n\r\n").map(|at| at + 5)
        }
    };
    loop {
        if let Some(end) = end(buffer) {
            buffer.drain(..end);
            return Some(());
        }
        more(stream, buffer).await?;
    }
}

async fn more(stream: &mut impl Io, buffer: &mut Vec<u8>) -> Option<()> {
    match stream.read_buf(buffer).await {
        Ok(count) if count > 0 => Some(()),
        _ => None,
    }
}
