//! PINGs over a connection to an origin (RFC 9113, section 6.7): one that is not answered ends it.

use std::pin::Pin;
use std::task::{Context, Poll};

use h2::{Ping, PingPong};
use tokio::time::{Instant, Sleep, sleep};

use crate::model::resilience::Pings;

/// Sends a PING now and then, and waits for its answer.
pub struct Pinger {
    pings: Pings,
    ping_pong: PingPong,
    /// Until the next is sent, or this one should have been answered.
    timer: Pin<Box<Sleep>>,
    unanswered: bool,
}

impl Pinger {
    /// The first PING goes out after one interval.
    pub fn new(pings: Pings, ping_pong: PingPong) -> Self {
        Self { pings, ping_pong, timer: Box::pin(sleep(pings.interval)), unanswered: false }
    }

    /// Ready when a PING was not answered in time.
    pub fn poll_unanswered(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if self.unanswered && self.ping_pong.poll_pong(cx).is_ready() {
                self.unanswered = false;
                self.timer.as_mut().reset(Instant::now() + self.pings.interval);
            }
            if self.timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            if self.unanswered {
                return Poll::Ready(());
            }
            self.unanswered = self.ping_pong.send_ping(Ping::opaque()).is_ok();
            let wait = if self.unanswered { self.pings.timeout } else { self.pings.interval };
            self.timer.as_mut().reset(Instant::now() + wait);
            cx.waker().wake_by_ref(); // the connection has something to write
        }
    }
}
