//! Clients that keep a number of connections busy, each with one request under way at a time.

use std::cell::Cell;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

use super::support::{HOST, Held, head_end};

/// What is asked for.
#[derive(Clone, Copy)]
pub struct Ask {
    /// The host.
    pub host: &'static str,
    /// The path.
    pub path: &'static str,
    /// The status that it must be answered with.
    pub status: u16,
}

/// One kilobyte from the origin.
pub const KILOBYTE: Ask = Ask { host: HOST, path: "/1024", status: 200 };
/// Nothing, on a connection that the origin closes.
pub const CLOSE: Ask = Ask { host: HOST, path: "/close", status: 200 };
/// An answer that waits until it is let go.
pub const HELD: Ask = Ask { host: HOST, path: "/held", status: 200 };

/// Connections to a gateway.
pub struct Clients {
    runtime: Runtime,
    connections: Vec<TcpStream>,
}

impl Clients {
    /// Connects as many, one after the other.
    pub fn connect(address: SocketAddr, count: usize) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let connections = runtime.block_on(async {
            let mut connections = Vec::with_capacity(count);
            for _ in 0..count {
                let stream = TcpStream::connect(address).await.expect("a connection");
                stream.set_nodelay(true).expect("a socket");
                connections.push(stream);
            }
            connections
        });
        Self { runtime, connections }
    }

    /// One request on each, until all of them are under way at the origin at once, so that each has had an
    /// upstream connection of its own; `meanwhile` runs while they wait there. They begin one after the other:
    /// each handshake finds a ticket of the last, so that every time only the first is a full one.
    pub fn hold<T>(&mut self, held: &Held, meanwhile: impl FnOnce() -> T) -> T {
        let connections = std::mem::take(&mut self.connections);
        let (connections, result) = self.runtime.block_on(async {
            let mut asked = JoinSet::new();
            for mut stream in connections {
                asked.spawn(async move {
                    get(&mut stream, HELD, &mut Vec::new()).await;
                    stream
                });
                while held.waiting() < asked.len() {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            }
            let result = meanwhile();
            held.let_go();
            (asked.join_all().await, result)
        });
        self.connections = connections;
        result
    }

    /// One request after the other on each connection in turn.
    pub fn each_once(&mut self, ask: Ask) {
        self.runtime.block_on(async {
            for stream in &mut self.connections {
                get(stream, ask, &mut Vec::new()).await;
            }
        });
    }

    /// Sends as many requests over all connections: each sends its next when it has its answer.
    pub fn run(&mut self, requests: usize, ask: Ask) {
        let left = Cell::new(requests);
        let loops = self.connections.iter_mut().map(|stream| async {
            let mut buffer = Vec::new();
            while left.get() > 0 {
                left.set(left.get() - 1);
                get(stream, ask, &mut buffer).await;
            }
        });
        self.runtime.block_on(all(loops));
    }
}

/// Drives futures that borrow to their ends.
async fn all(futures: impl Iterator<Item = impl Future<Output = ()>>) {
    let mut futures: Vec<_> = futures.map(|future| Some(Box::pin(future))).collect();
    std::future::poll_fn(|cx| {
        for slot in &mut futures {
            if slot.as_mut().is_some_and(|future| future.as_mut().poll(cx).is_ready()) {
                *slot = None;
            }
        }
        match futures.iter().all(Option::is_none) {
            true => std::task::Poll::Ready(()),
            false => std::task::Poll::Pending,
        }
    })
    .await;
}

/// One request, and its whole answer.
async fn get(stream: &mut TcpStream, ask: Ask, buffer: &mut Vec<u8>) {
    let Ask { host, path, status } = ask;
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: bench\r\nAccept: */*\r\n\
         Accept-Encoding: gzip\r\nX-Request-Id: 0123456789\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.expect("a gateway");
    buffer.clear();
    loop {
        if buffer.capacity() == 0 {
            buffer.reserve(2048); // small: there may be thousands of these
        }
        let count = stream.read_buf(buffer).await.expect("a gateway");
        assert!(count > 0, "the gateway closed the connection");
        let Some(end) = head_end(buffer) else { continue };
        let head = String::from_utf8_lossy(&buffer[..end]).to_ascii_lowercase();
        assert_eq!(head[9..12].parse(), Ok(status), "{head}");
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.and_then(|length| length.parse().ok()).expect("a length");
        while buffer.len() < end + length {
            let count = stream.read_buf(buffer).await.expect("a gateway");
            assert!(count > 0, "the gateway closed the connection");
        }
        return;
    }
}
