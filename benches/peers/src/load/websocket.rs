//! A client of an upgraded connection: messages that come back as they were sent.

use std::io;
use std::net::SocketAddr;

use super::client::Answer;
use super::h1;
use crate::wire::broken;

/// The content of a message.
const MESSAGE: usize = 1 << 10;

/// A connection that was upgraded.
pub struct Client {
    connection: h1::Client,
    frame: Vec<u8>,
}

impl Client {
    /// Opens a connection and upgrades it.
    pub async fn connect(to: SocketAddr, upgrade: &[u8]) -> io::Result<Self> {
        let mut connection = h1::Client::connect(to).await?;
        connection.send(upgrade).await?;
        match connection.head().await?.status {
            101 => Ok(Self { connection, frame: frame() }),
            status => Err(broken(&format!("status {status} for an upgrade"))),
        }
    }

    /// Sends a message and waits until all of it is back.
    pub async fn exchange(&mut self) -> io::Result<Answer> {
        self.connection.send(&self.frame).await?;
        self.connection.receive(self.frame.len()).await?;
        Ok(Answer { status: 101, bytes: MESSAGE as u64, is_last: false })
    }
}

/// A binary message as a client frames it (RFC 6455, section 5.2), with a mask of zeros.
fn frame() -> Vec<u8> {
    let length = u16::try_from(MESSAGE).expect("a short message").to_be_bytes();
    let mut frame = vec![0x82, 0x80 | 126, length[0], length[1], 0, 0, 0, 0];
    frame.resize(frame.len() + MESSAGE, b'x');
    frame
}
