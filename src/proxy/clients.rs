//! The clients of a lane, whose connections are driven by one task.
//!
//! Thousands of them are idle at once. With a task of its own each would hold 640 bytes; in a set that one task
//! drives it holds 240, which is little more than what must not be forgotten of it. The runtime's entry for the
//! socket (272) and the deadline's slot (56) come on top.

use std::cell::RefCell;
use std::future::poll_fn;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use futures_util::FutureExt;
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::net::TcpStream;
use tokio::task::coop;

use super::admission::Admitted;
use super::deadlines::{Deadline, Over, Waits};
use super::lane::{Lane, Phase};
use super::{limits, serve};
use crate::downstream::Ends;
use crate::downstream::h1::Quiet;
use crate::model::Limit;

/// A connection that was let in.
#[derive(Debug)]
pub struct Newcomer {
    /// The connection.
    pub stream: TcpStream,
    /// Who called.
    pub ends: Ends,
    /// Its place among all.
    pub admitted: Admitted,
}

/// Connections on their way to the task that drives them. There are no more than are let in.
#[derive(Debug, Default)]
pub struct Newcomers {
    waiting: RefCell<Vec<Newcomer>>,
    /// Wakes that task.
    driver: RefCell<Option<Waker>>,
}

impl Newcomers {
    /// One more.
    pub fn add(&self, newcomer: Newcomer) {
        self.waiting.borrow_mut().push(newcomer);
        if let Some(driver) = self.driver.take() {
            driver.wake();
        }
    }

    /// All that have come; further ones wake who asks.
    fn take(&self, cx: &mut Context<'_>) -> Vec<Newcomer> {
        self.driver.borrow_mut().get_or_insert_with(|| cx.waker().clone());
        self.waiting.take()
    }
}

/// Drives the connections of a lane's clients for as long as the lane runs. One that panics takes no other along.
pub async fn drive(lane: Rc<Lane>) {
    drive_by(lane, serve::converse).await
}

async fn drive_by<F, C>(lane: Rc<Lane>, converse: F)
where
    F: Fn(Silent) -> C + Unpin + Copy,
    C: Future<Output = Option<Silent>>,
{
    let mut connections = FuturesUnordered::new();
    let member = |state| AssertUnwindSafe(Connection { state, converse }).catch_unwind();
    connections.push(member(State::Nobody));
    poll_fn(|cx| {
        for newcomer in lane.newcomers.take(cx) {
            let silent = Silent::begin(newcomer, Rc::clone(&lane));
            connections.push(member(State::Silent(silent)));
        }
        while let Poll::Ready(Some(_ended)) = connections.poll_next_unpin(cx) {}
        Poll::Pending
    })
    .await
}

/// One client's connection, to its end.
struct Connection<F, C> {
    state: State<C>,
    converse: F,
}

enum State<C> {
    /// Nothing is under way.
    Silent(Silent),
    /// The client says something; all that is needed for that is on the heap.
    Conversing(Pin<Box<C>>),
    Ended,
    /// The set polls itself once more when it has polled as many as it has; one that is never woken keeps that count from
    /// being reached.
    Nobody,
}

impl<F, C> Future for Connection<F, C>
where
    F: Fn(Silent) -> C + Unpin,
    C: Future<Output = Option<Silent>>,
{
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if !coop::has_budget_remaining() {
            cx.waker().wake_by_ref(); // its sockets would do nothing now: the set lets others run before it goes on
            return Poll::Pending;
        }
        loop {
            match &mut self.state {
                State::Silent(silent) => {
                    let then = ready!(silent.poll_end(cx));
                    let before = std::mem::replace(&mut self.state, State::Ended);
                    if let (State::Silent(silent), Then::Talk) = (before, then) {
                        self.state = State::Conversing(Box::pin((self.converse)(silent)));
                    }
                }
                State::Conversing(conversation) => {
                    let silent = ready!(conversation.as_mut().poll(cx));
                    self.state = silent.map_or(State::Ended, State::Silent);
                }
                State::Ended => {
                    // Thousands may end at once: others run in between.
                    ready!(coop::poll_proceed(cx)).made_progress();
                    return Poll::Ready(());
                }
                State::Nobody => return Poll::Pending,
            }
        }
    }
}

/// A connection on which nothing is under way.
#[derive(Debug)]
pub struct Silent {
    /// What there is to keep of it.
    pub quiet: Quiet,
    /// Until when it is waited for.
    pub deadline: Deadline,
    /// Its place in the lane.
    pub present: Present,
}

/// What follows a silence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    /// There is something to read, be it the end.
    Talk,
    /// The connection is closed.
    Close,
}

impl Silent {
    fn begin(newcomer: Newcomer, lane: Rc<Lane>) -> Self {
        let Newcomer { stream, ends, admitted } = newcomer;
        let quiet = Quiet::new(stream, ends, limits::expiry(&lane));
        Self::wait(quiet, lane.deadlines.enter(), Present::enter(admitted, lane))
    }

    /// Waits for what the client says next.
    pub fn wait(quiet: Quiet, deadline: Deadline, present: Present) -> Self {
        deadline.arm(limits::patience(quiet.expires, &present.lane), Waits::Idle);
        Self { quiet, deadline, present }
    }

    fn poll_end(&self, cx: &mut Context<'_>) -> Poll<Then> {
        if self.present.lane.phase() == Phase::Closing {
            return Poll::Ready(Then::Close);
        }
        if self.quiet.poll_arrival(cx).is_ready() {
            return Poll::Ready(Then::Talk);
        }
        self.deadline.poll_over(cx).map(|()| {
            self.count_end();
            Then::Close
        })
    }

    /// Counts why it is closed.
    fn count_end(&self) {
        let lane = &self.present.lane;
        let limit = match self.deadline.over() {
            Over::Told => return, // to make room, or because the lane is closing
            _ if limits::has_expired(self.quiet.expires, lane) => Limit::ConnectionDuration,
            _ => Limit::ClientIdle,
        };
        lane.stats.borrow_mut().limit_reached(limit);
    }
}

/// A connection in the lane's counters, for as long as it lives.
#[derive(Debug)]
pub struct Present {
    /// The lane.
    pub lane: Rc<Lane>,
    _admitted: Admitted,
}

impl Present {
    fn enter(admitted: Admitted, lane: Rc<Lane>) -> Self {
        lane.stats.borrow_mut().client_opened();
        Self { lane, _admitted: admitted }
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        self.lane.stats.borrow_mut().client_closed();
    }
}

#[cfg(test)]
pub(in crate::proxy) mod tests {
    use std::cell::Cell;
    use std::sync::Arc;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::select;

    use super::*;
    use crate::model::HeaderPolicy;
    use crate::proxy::Admission;
    use crate::settings::Limits;
    use crate::snapshot::Publisher;
    use crate::upstream::connect::Connector;

    /// A lane that has no routes.
    pub(in crate::proxy) fn lane() -> Rc<Lane> {
        let current = Publisher::default().subscribe();
        let (limits, headers) = (Limits::default(), HeaderPolicy::default());
        Lane::new(current, Connector::default(), limits, headers, None)
    }

    /// A client that the lane has let in.
    pub(in crate::proxy) async fn client(lane: &Lane) -> TcpStream {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let local = listener.local_addr().expect("bound");
        let client = TcpStream::connect(local).await.expect("someone listens");
        let (stream, peer) = listener.accept().await.expect("a connection");
        let admitted =
            Admission::new(&Arc::default()).admit(&lane.limits, &Arc::default()).expect("room");
        let ends = Ends { peer, local, port: 443 };
        lane.newcomers.add(Newcomer { stream, ends, admitted });
        client
    }

    #[tokio::test]
    async fn a_panic_ends_its_own_connection_alone() {
        let lane = lane();
        let (mut first, mut second) = (client(&lane).await, client(&lane).await);
        let conversations = Cell::new(0);
        let converse = |silent: Silent| {
            conversations.set(conversations.get() + 1);
            let is_first = conversations.get() == 1;
            async move {
                let _silent = silent; // and with it the connection ends
                assert!(!is_first, "as a fault of ours might");
                None
            }
        };
        let told = async {
            for client in [&mut first, &mut second] {
                client.write_all(b"x").await.expect("an open connection");
                // A reset, since the byte was not read.
                client.read_u8().await.expect_err("an end");
            }
        };
        select! {
            () = drive_by(Rc::clone(&lane), converse) => unreachable!("the lane runs"),
            () = told => {}
        }
        assert_eq!(conversations.get(), 2);
    }

    fn size_of_connection<F: Fn(Silent) -> C, C>(_: F) -> usize {
        size_of::<Connection<F, C>>()
    }

    /// Each of thousands of idle clients holds this, and what the set, the runtime and the table of deadlines
    /// need for it. When it grows: what a request needs belongs into the box that is made for the request.
    #[test]
    fn an_idle_connection_is_small() {
        let size = size_of_connection(serve::converse);
        assert!(size <= 168, "{size} bytes");
    }
}
