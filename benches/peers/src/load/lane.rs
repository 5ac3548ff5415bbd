//! A lane: what has one request under way at a time.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::client::{Answer, Client};
use super::request::Requests;
use super::tally::Tally;
use super::{h1, h2c, websocket};
use crate::work::{Protocol, Work};

/// The pause before another try to connect, so that a gateway that is gone is not hammered at.
const PAUSE: Duration = Duration::from_millis(10);

/// A client and the requests it takes its next one from.
pub struct Lane {
    to: SocketAddr,
    client: Client,
    requests: Rc<Requests>,
}

impl Lane {
    /// Opens all connections of a piece of work: a lane for each, or for each of its streams.
    pub async fn connect(work: &Work, requests: &Rc<Requests>) -> io::Result<Vec<Self>> {
        let mut lanes = Vec::new();
        let mut lane =
            |client| lanes.push(Self { to: work.to, client, requests: Rc::clone(requests) });
        for _ in 0..work.connections {
            match work.protocol {
                Protocol::Http1 => lane(Client::H1(h1::Client::connect(work.to).await?)),
                Protocol::WebSocket => {
                    let upgrade = &requests.next().bytes;
                    lane(Client::WebSocket(websocket::Client::connect(work.to, upgrade).await?));
                }
                Protocol::H2c { streams } => {
                    let client = h2c::Client::connect(work.to).await?;
                    (0..streams).for_each(|_| lane(Client::H2c(client.clone())));
                }
            }
        }
        Ok(lanes)
    }

    /// Sends the next request and reads its answer.
    pub async fn exchange(&mut self) -> io::Result<Answer> {
        self.client.exchange(self.requests.next()).await
    }

    /// The same, counted: a request that was due at `since`. What breaks is mended before the next one.
    ///
    /// A connection that was closed while it was idle is replaced before, as any client would.
    pub async fn counted(&mut self, since: Instant, tally: &Tally) {
        if self.client.is_closed() {
            self.reconnect(tally).await;
        }
        let outcome = self.exchange().await;
        tally.record(since, &outcome);
        if outcome.is_err() || outcome.is_ok_and(|answer| answer.is_last) {
            self.reconnect(tally).await;
        }
    }

    async fn reconnect(&mut self, tally: &Tally) {
        tally.reconnected();
        if self.client.reconnect(self.to, self.requests.next()).await.is_err() {
            tokio::time::sleep(PAUSE).await; // the next request fails, and is counted
        }
    }

    /// Sends a request and reads so many bytes of its answer a second.
    ///
    /// Errors: the connection broke. HTTP/1.1 only; other lanes do nothing.
    pub async fn read_slowly(&mut self, rate: usize) -> io::Result<()> {
        match &mut self.client {
            Client::H1(client) => client.read_slowly(&self.requests.next().bytes, rate).await,
            Client::H2c(_) | Client::WebSocket(_) => Ok(()),
        }
    }
}
