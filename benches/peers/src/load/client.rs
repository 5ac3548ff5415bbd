//! One way for a request to go out and its answer to come back, whatever the protocol.

use std::io;
use std::net::SocketAddr;

use super::h1;
use super::h2c;
use super::request::Request;
use super::websocket;

/// What came back.
pub struct Answer {
    /// Its status; of a message on a WebSocket, that of the upgrade.
    pub status: u16,
    /// The bytes of its body.
    pub bytes: u64,
    /// Whether the connection can carry another request.
    pub is_last: bool,
}

/// A connection, or a share of one.
pub enum Client {
    /// HTTP/1.1.
    H1(h1::Client),
    /// One stream at a time on a connection that others use too.
    H2c(h2c::Client),
    /// An upgraded connection.
    WebSocket(websocket::Client),
}

impl Client {
    /// Sends a request and reads its answer to the end.
    ///
    /// Errors: the connection broke, or what came back is not HTTP.
    pub async fn exchange(&mut self, request: &Request) -> io::Result<Answer> {
        match self {
            Self::H1(client) => client.exchange(&request.bytes).await,
            Self::H2c(client) => client.exchange(request).await,
            Self::WebSocket(client) => client.exchange().await,
        }
    }

    /// Whether the other side closed it, as far as is known without asking.
    pub fn is_closed(&self) -> bool {
        match self {
            Self::H1(client) => client.is_closed(),
            Self::H2c(_) | Self::WebSocket(_) => false,
        }
    }

    /// Another one in its place, after it broke or was closed.
    pub async fn reconnect(&mut self, to: SocketAddr, request: &Request) -> io::Result<()> {
        *self = match self {
            Self::H1(_) => Self::H1(h1::Client::connect(to).await?),
            Self::H2c(client) => Self::H2c(client.reconnected(to).await?),
            Self::WebSocket(_) => {
                Self::WebSocket(websocket::Client::connect(to, &request.bytes).await?)
            }
        };
        Ok(())
    }
}
