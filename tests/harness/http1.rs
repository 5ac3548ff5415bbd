//! What an origin answers over HTTP/1.1, by path.
//!
//! | path | answer |
//! |---|---|
//! | `/politics`, and any other | 200 with a length and a small body |
//! | `/echo` | 200; the body is the request as it came, head and body |
//! | `/duplex` | 200 in chunks: each piece of the request's body goes back as soon as it has come |
//! | `/early` | 200 at once, the request's body is read afterwards |
//! | `/trailers` | 200 in chunks, with trailers |
//! | `/until-close` | 200 without a length; the end of the connection ends it |
//! | `/truncated` | 200 with a length of 100 and four bytes of it, then the end |
//! | `/hold` | 200 as soon as the test says `release` |
//! | `/hold-body` | the head and the first piece of a chunked body at once, the last when the test says `release` |
//! | `/silent` | never |
//! | `/close` | the end of the connection |
//! | `/stale` | 200 to the first request of a connection, the end of the connection to the second |
//! | `/hints` | 103, then 200 |
//! | `/refuse` | 417 before the body was asked for |
//! | `/status/N` | status N without a body |
//! | `/huge` | 200 with 100 MB |
//! | `/ws` | 101, then an echo of all that comes |

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::origin::{Io, Request, Scripted, Shared};

/// Bytes of the body of `/huge`.
pub const HUGE: usize = 100 << 20;
/// In pieces of so many.
pub const HUGE_PIECE: usize = 64 << 10;

/// Serves one connection until either side ends it.
pub async fn serve(stream: impl Io, connection: usize, shared: &Shared) {
    let mut wire = Wire { stream, buffer: Vec::new() };
    let mut count = 0;
    // An error of the socket ends the connection, as it does in a server.
    while let Some(head) = wire.head().await {
        count += 1;
        let index = shared.seen.change(|seen| {
            seen.requests.push(Request {
                connection,
                head: head.clone(),
                body: Vec::new(),
                trailers: String::new(),
            });
            seen.requests.len() - 1
        });
        let exchange = Exchange { index, count, head, shared };
        if exchange.answer(&mut wire).await.is_none() {
            break;
        }
    }
    let _ = wire.stream.shutdown().await;
}

/// Reads until the other side has ended too, so that what was written last arrives before a reset could.
pub async fn drain(mut stream: impl Io) {
    let _ = stream.shutdown().await;
    let mut sink = [0; 4096];
    while matches!(stream.read(&mut sink).await, Ok(length) if length > 0) {}
}

struct Exchange<'a> {
    index: usize,
    /// How many requests came on this connection, this one included.
    count: usize,
    head: String,
    shared: &'a Shared,
}

impl Exchange<'_> {
    /// Answers; `None`: the connection ends.
    async fn answer(&self, wire: &mut Wire<impl Io>) -> Option<()> {
        let target = self.head.split(' ').nth(1)?;
        let path = target.split('?').next()?;
        if let Some(bytes) = self.shared.seen.look(|seen| seen.raw.get(path).cloned()) {
            self.take_body(wire).await?;
            wire.write(&bytes).await?;
            return None;
        }
        if let Some(scripted) = next_of_script(self.shared, path) {
            return self.scripted(scripted, wire).await;
        }
        match path {
            "/close" => return None,
            "/stale" if self.count > 1 => return None,
            "/silent" => std::future::pending().await,
            "/refuse" => {
                wire.write(b"HTTP/1.1 417 Expectation Failed\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await?;
                return None;
            }
            "/ws" => return self.websocket(wire).await,
            "/duplex" => return self.duplex(wire).await,
            "/early" => {
                wire.write(&with_length("early")).await?;
                self.take_body(wire).await?;
                return Some(());
            }
            _ => {}
        }
        let body = self.take_body(wire).await?;
        self.plain_answer(path, &body, wire).await
    }

    async fn scripted(&self, scripted: Scripted, wire: &mut Wire<impl Io>) -> Option<()> {
        if matches!(scripted, Scripted::EndAtHead) {
            return None;
        }
        self.take_body(wire).await?;
        match scripted {
            Scripted::Status(status, lines, body) => {
                let length = body.len();
                let head =
                    format!("HTTP/1.1 {status} So\r\ncontent-length: {length}\r\n{lines}\r\n");
                wire.write((head + body).as_bytes()).await
            }
            Scripted::Silence => std::future::pending().await,
            _ => None,
        }
    }

    async fn plain_answer(&self, path: &str, body: &[u8], wire: &mut Wire<impl Io>) -> Option<()> {
        match path {
            "/echo" => {
                let mut echo = self.head.clone().into_bytes();
                echo.extend_from_slice(body);
                wire.write(&with_length(&String::from_utf8_lossy(&echo))).await
            }
            "/trailers" => {
                let head =
                    "HTTP/1.1 200 OK\r\ntrailer: x-sum\r\ntransfer-encoding: chunked\r\n\r\n";
                wire.write(head.as_bytes()).await?;
                wire.write(b"4\r\nsome\r\n0\r\nx-sum: 42\r\n\r\n").await
            }
            "/until-close" => {
                wire.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nuntil the end").await?;
                None
            }
            "/truncated" => {
                wire.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nfour").await?;
                None
            }
            "/hold" => {
                released(self.shared).await;
                wire.write(&with_length("held")).await
            }
            "/hold-body" => {
                wire.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n")
                    .await?;
                released(self.shared).await;
                wire.write(b"4\r\nlast\r\n0\r\n\r\n").await
            }
            "/huge" => {
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {HUGE}\r\n\r\n");
                wire.write(head.as_bytes()).await?;
                let piece = vec![b'x'; HUGE_PIECE];
                for _ in 0..HUGE / HUGE_PIECE {
                    wire.write(&piece).await?;
                }
                Some(())
            }
            "/hints" => {
                wire.write(b"HTTP/1.1 103 Early Hints\r\nlink: </style.css>\r\n\r\n").await?;
                wire.write(&with_length("hinted")).await
            }
            _ => match path.strip_prefix("/status/") {
                Some(status @ ("204" | "304")) => {
                    wire.write(format!("HTTP/1.1 {status} So\r\netag: \"1\"\r\n\r\n").as_bytes())
                        .await
                }
                Some(status) => {
                    wire.write(
                        format!("HTTP/1.1 {status} So\r\ncontent-length: 0\r\n\r\n").as_bytes(),
                    )
                    .await
                }
                None if self.head.starts_with("HEAD ") => {
                    wire.write(b"HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\n").await
                }
                None => wire.write(&with_length("politics")).await,
            },
        }
    }

    /// Reads the request's body to its end, recording it, after a 100 where one is waited for.
    async fn take_body(&self, wire: &mut Wire<impl Io>) -> Option<Vec<u8>> {
        let mut body = Vec::new();
        let mut framing = self.begin_body(wire).await?;
        while let Some(piece) =
            wire.piece(&mut framing, |trailers| self.note_trailers(trailers)).await?
        {
            self.note_piece(&piece);
            body.extend_from_slice(&piece);
        }
        Some(body)
    }

    async fn begin_body(&self, wire: &mut Wire<impl Io>) -> Option<Framing> {
        if field(&self.head, "expect").is_some() {
            wire.write(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
        }
        Some(match (field(&self.head, "transfer-encoding"), field(&self.head, "content-length")) {
            (Some(_), _) => Framing::Chunked,
            (None, Some(length)) => Framing::Length(length.parse().ok()?),
            (None, None) => Framing::Length(0),
        })
    }

    async fn duplex(&self, wire: &mut Wire<impl Io>) -> Option<()> {
        wire.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await?;
        let mut framing = self.begin_body(wire).await?;
        while let Some(piece) =
            wire.piece(&mut framing, |trailers| self.note_trailers(trailers)).await?
        {
            self.note_piece(&piece);
            wire.write(format!("{:x}\r\n", piece.len()).as_bytes()).await?;
            wire.write(&piece).await?;
            wire.write(b"\r\n").await?;
        }
        wire.write(b"0\r\n\r\n").await
    }

    async fn websocket(&self, wire: &mut Wire<impl Io>) -> Option<()> {
        wire.write(b"HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: yes\r\n\r\n").await?;
        loop {
            let bytes = std::mem::take(&mut wire.buffer);
            wire.write(&bytes).await?;
            wire.more().await?;
        }
    }

    fn note_piece(&self, piece: &[u8]) {
        self.shared.seen.change(|seen| seen.requests[self.index].body.extend_from_slice(piece));
    }

    fn note_trailers(&self, trailers: &str) {
        self.shared.seen.change(|seen| seen.requests[self.index].trailers.push_str(trailers));
    }
}

/// What a test has scripted for the next request for this path.
pub fn next_of_script(shared: &Shared, path: &str) -> Option<Scripted> {
    shared.seen.change(|seen| seen.scripts.get_mut(path)?.pop_front())
}

/// Waits for the test's `release`.
pub async fn released(shared: &Shared) {
    loop {
        let notified = shared.release.notified();
        if shared.seen.look(|seen| seen.released) {
            return;
        }
        notified.await;
    }
}

fn with_length(body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\nserver: origin\r\ncontent-length: {}\r\n\r\n{body}", body.len())
        .into_bytes()
}

/// The value of a field of a head, by its name in lower case.
pub fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines()
        .skip(1)
        .filter_map(|line| line.split_once(':'))
        .find(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim())
}

enum Framing {
    Length(usize),
    Chunked,
    Ended,
}

struct Wire<S> {
    stream: S,
    buffer: Vec<u8>,
}

impl<S: Io> Wire<S> {
    async fn write(&mut self, bytes: &[u8]) -> Option<()> {
        self.stream.write_all(bytes).await.ok()?;
        self.stream.flush().await.ok()
    }

    /// Reads once more; `None`: the other side has ended.
    async fn more(&mut self) -> Option<()> {
        match self.stream.read_buf(&mut self.buffer).await {
            Ok(length) if length > 0 => Some(()),
            _ => None,
        }
    }

    /// Everything up to the end mark, which is taken too but not returned.
    async fn through(&mut self, mark: &str) -> Option<String> {
        loop {
            if let Some(at) =
                self.buffer.windows(mark.len()).position(|window| window == mark.as_bytes())
            {
                let text = String::from_utf8_lossy(&self.buffer[..at]).into_owned();
                self.buffer.drain(..at + mark.len());
                return Some(text);
            }
            self.more().await?;
        }
    }

    async fn head(&mut self) -> Option<String> {
        self.through("\r\n\r\n").await.map(|head| head + "\r\n\r\n")
    }

    /// The next piece of a body, as it comes; `Some(None)`: the body has ended; `None`: the connection has.
    async fn piece(
        &mut self,
        framing: &mut Framing,
        trailers: impl FnOnce(&str),
    ) -> Option<Option<Vec<u8>>> {
        match framing {
            Framing::Ended | Framing::Length(0) => Some(None),
            Framing::Length(left) => {
                if self.buffer.is_empty() {
                    self.more().await?;
                }
                let length = self.buffer.len().min(*left);
                *left -= length;
                Some(Some(self.buffer.drain(..length).collect()))
            }
            Framing::Chunked => {
                let size = usize::from_str_radix(self.through("\r\n").await?.trim(), 16).ok()?;
                if size > 0 {
                    while self.buffer.len() < size + 2 {
                        self.more().await?;
                    }
                    let piece = self.buffer.drain(..size + 2).take(size).collect();
                    return Some(Some(piece));
                }
                *framing = Framing::Ended;
                let mut lines = String::new();
                loop {
                    let line = self.through("\r\n").await?;
                    if line.is_empty() {
                        trailers(&lines);
                        return Some(None);
                    }
                    lines = lines + &line + "\n";
                }
            }
        }
    }
}
