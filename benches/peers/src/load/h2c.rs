//! A client of HTTP/2 without TLS, by prior knowledge.

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;

use bytes::Bytes;
use h2::client::SendRequest;
use tokio::net::TcpStream;

use super::client::Answer;
use super::request::Request;

/// How much may be on its way unread, for a stream and for a connection.
const WINDOW: u32 = 1 << 20;

/// One stream at a time on a connection that it shares with others.
#[derive(Clone)]
pub struct Client {
    connection: Rc<RefCell<Shared>>,
    generation: u64,
}

/// A connection, which whoever first finds it broken replaces for all.
struct Shared {
    send: SendRequest<Bytes>,
    generation: u64,
}

impl Client {
    /// Opens a connection; clones share it.
    pub async fn connect(to: SocketAddr) -> io::Result<Self> {
        let shared = Shared { send: open(to).await?, generation: 0 };
        Ok(Self { connection: Rc::new(RefCell::new(shared)), generation: 0 })
    }

    /// This one again, on a connection that is not the broken one.
    pub async fn reconnected(&self, to: SocketAddr) -> io::Result<Self> {
        let mut client = self.clone();
        if self.connection.borrow().generation == self.generation {
            let send = open(to).await?;
            let mut shared = self.connection.borrow_mut();
            if shared.generation == self.generation {
                *shared = Shared { send, generation: self.generation + 1 };
            }
        }
        client.generation = self.connection.borrow().generation;
        Ok(client)
    }

    /// Sends a request and reads its answer to the end.
    pub async fn exchange(&mut self, request: &Request) -> io::Result<Answer> {
        let send = self.connection.borrow().send.clone();
        exchange(send, request).await.map_err(io::Error::other)
    }
}

async fn open(to: SocketAddr) -> io::Result<SendRequest<Bytes>> {
    let stream = TcpStream::connect(to).await?;
    stream.set_nodelay(true)?;
    let (send, connection) = h2::client::Builder::new()
        .initial_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .handshake(stream)
        .await
        .map_err(io::Error::other)?;
    tokio::task::spawn_local(async move {
        let _ = connection.await; // its streams tell why it ended
    });
    Ok(send)
}

async fn exchange(send: SendRequest<Bytes>, request: &Request) -> Result<Answer, h2::Error> {
    let mut send = send.ready().await?;
    let ends = request.body.is_empty();
    let (response, mut stream) = send.send_request(request.head.clone(), ends)?;
    if !ends {
        stream.send_data(request.body.clone(), true)?; // waits inside for the peer's window
    }
    let mut response = response.await?;
    let (status, body) = (response.status().as_u16(), response.body_mut());
    let mut bytes = 0;
    while let Some(piece) = body.data().await {
        let piece = piece?;
        bytes += piece.len() as u64;
        body.flow_control().release_capacity(piece.len())?;
    }
    Ok(Answer { status, bytes, is_last: false })
}
