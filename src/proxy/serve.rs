//! The connection loop: find out what the client speaks, take a request, answer it, keep or close.
//!
//! What an idle connection holds is [`Silent`]; the future of [`converse`] has all that a request needs, and is
//! made for what a client says, from its first byte on. HTTP/2 has a loop of its own.

pub mod h2;

use std::cell::Cell;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use tokio::time::timeout;

use super::apart::apart;
use super::clients::{Present, Silent};
use super::deadlines::{Deadline, Over, Waits};
use super::lane::{Lane, Phase, TICK};
use super::request::{self, Next};
use crate::downstream::h1;
use crate::downstream::sniff::{Speaks, sniff};
use crate::downstream::{Client, Ends};
use crate::model::Limit;
use crate::transport::HeadError;
use crate::wire::{Head, Refusal};

/// For how long what a request needs is kept for the next one, and of how many connections of a lane: more of them
/// are not busy with one request after the other.
const PAUSE: Duration = TICK;
const PAUSES_MAX: usize = 256;
/// How long a connection that ends is read after our last byte, so that the client gets to read it.
const LINGER: Duration = Duration::from_secs(1);

/// Takes what a client says, until it says nothing more or the connection has ended: finds out what it speaks, and
/// answers its requests. HTTP/2 gets a task of its own.
///
/// No `async fn`, which would hold what it is given twice.
pub fn converse(silent: Silent) -> impl Future<Output = Option<Silent>> {
    let Silent { quiet, deadline, present } = silent;
    let mut connection = h1::Connection::new(quiet);
    async move {
        let lane = &present.lane;
        let speaks = match connection.requests {
            0 => find_out(&mut connection, &deadline, lane).await,
            _ => Some(Speaks::Http1),
        };
        let next = match speaks {
            Some(Speaks::Http1) => requests(&mut connection, &deadline, lane).await,
            Some(Speaks::Unknown) => Next::Keep, // nothing has come
            Some(Speaks::Http2) => {
                tokio::task::spawn_local(http2(connection, present));
                return None;
            }
            Some(Speaks::Tls { server_name }) => {
                refuse_tls(connection.ends, server_name, lane);
                return None;
            }
            None => return None,
        };
        match next {
            Next::Keep if deadline.over() == Over::Told || lane.phase() == Phase::Closing => None,
            Next::Keep => Some(Silent::wait(connection.into_quiet(), deadline, present)),
            Next::Close => {
                apart(linger(connection, lane)).await;
                None
            }
            Next::Abort => {
                abort(&connection);
                None
            }
        }
    }
}

async fn http2(connection: h1::Connection, present: Present) {
    let h1::Connection { messages, ends, .. } = connection;
    let (stream, first) = messages.into_parts();
    apart(h2::serve(stream, first, ends, &present.lane)).await;
}

/// Reads until it is clear what the client speaks, if it has said anything; `None` when it leaves, or takes too
/// long. A socket is taken to be readable until it was tried, so that there may be nothing.
async fn find_out(
    connection: &mut h1::Connection,
    deadline: &Deadline,
    lane: &Lane,
) -> Option<Speaks> {
    deadline.arm(lane.limits.head_time, Waits::Busy);
    loop {
        let looked = wait(deadline, |cx| {
            let polled = connection.messages.poll_look(cx, &lane.buffers);
            let is_silent = polled.is_pending() && connection.messages.unread().is_empty();
            if is_silent { Poll::Ready(Ok(())) } else { polled }
        });
        match looked.await {
            Some(Ok(())) => {}
            Some(Err(_)) => return None,
            None => {
                lane.stats.borrow_mut().limit_reached(Limit::HeadTime);
                return None;
            }
        }
        match sniff(connection.messages.unread()) {
            Speaks::Unknown if !connection.messages.unread().is_empty() => {}
            speaks => return Some(speaks),
        }
    }
}

/// Waits for something, or for the deadline: `None`.
async fn wait<T>(
    deadline: &Deadline,
    mut poll: impl FnMut(&mut std::task::Context<'_>) -> Poll<T>,
) -> Option<T> {
    poll_fn(|cx| match poll(cx) {
        Poll::Ready(value) => Poll::Ready(Some(value)),
        Poll::Pending => deadline.poll_over(cx).map(|()| None),
    })
    .await
}

/// The most common first mistake deserves one clear line.
fn refuse_tls(ends: Ends, server_name: Option<String>, lane: &Lane) {
    lane.stats.borrow_mut().tls_to_plain_port += 1;
    let name = server_name.as_deref().unwrap_or("none");
    let host = server_name.as_deref().unwrap_or("HOST");
    tracing::warn!(
        "client {} sent a TLS ClientHello (SNI {name}) to the plain-text listener on port {}: \
         call http://{host}:{} instead, the gateway originates TLS itself [EG018]",
        ends.peer,
        ends.port,
        ends.port,
    );
}

/// Answers one request after the other, for as long as they follow each other closely: what a request needs
/// is kept for the next one, and not until a client makes up its mind.
async fn requests(connection: &mut h1::Connection, deadline: &Deadline, lane: &Rc<Lane>) -> Next {
    let mut pause = None;
    loop {
        let arrived = head(connection, deadline, lane).await;
        drop(pause.take());
        let next = match arrived {
            Some(Ok(head)) => {
                let mut client = Client::H1(&mut *connection);
                let next = request::handle(head, &mut client, lane).await;
                flush(&mut client, next, deadline, lane).await
            }
            Some(Err(HeadError::Refused(refusal))) => refuse(connection, refusal, lane).await,
            Some(Err(HeadError::Closed | HeadError::Truncated(_))) => Next::Close,
            None if connection.messages.unread().is_empty() => return Next::Keep,
            None => refuse(connection, Refusal::HeadTimeout, lane).await,
        };
        if next != Next::Keep {
            return next;
        }
        deadline.arm(PAUSE, Waits::Pause);
        pause = Pause::begin(&lane.pauses);
        let goes_on = pause.is_some() || !connection.messages.unread().is_empty();
        if !goes_on || lane.phase() == Phase::Closing {
            return Next::Keep;
        }
    }
}

/// A connection that keeps what a request needs while it waits for the next.
struct Pause<'l>(&'l Cell<usize>);

impl<'l> Pause<'l> {
    /// One more, unless there are enough.
    fn begin(pauses: &'l Cell<usize>) -> Option<Self> {
        let room = pauses.get() < PAUSES_MAX;
        pauses.set(pauses.get() + usize::from(room));
        room.then(|| Self(pauses))
    }
}

impl Drop for Pause<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

/// The next request's head; `None` when it does not come in time.
async fn head(
    connection: &mut h1::Connection,
    deadline: &Deadline,
    lane: &Lane,
) -> Option<Result<Head, HeadError>> {
    let mut begun = false;
    let head = wait(deadline, |cx| {
        let polled = connection.poll_request(cx, &lane.request_head, &lane.buffers);
        if polled.is_pending() && !begun && !connection.messages.unread().is_empty() {
            begun = true;
            deadline.arm(lane.limits.head_time, Waits::Busy);
        }
        polled
    })
    .await;
    if head.is_some() {
        deadline.disarm();
    }
    head
}

async fn refuse(connection: &mut h1::Connection, refusal: Refusal, lane: &Rc<Lane>) -> Next {
    apart(request::refuse(&mut Client::H1(connection), refusal, lane)).await
}

/// Whatever still waits goes out before the connection is closed.
async fn flush(client: &mut Client<'_>, next: Next, deadline: &Deadline, lane: &Lane) -> Next {
    if next == Next::Abort {
        return Next::Abort;
    }
    let mut armed = false;
    let drained = wait(deadline, |cx| {
        let polled = client.peer().poll_drain(cx, &lane.buffers);
        if polled.is_pending() && !armed {
            armed = true;
            deadline.arm(lane.limits.stream_idle, Waits::Busy);
        }
        polled
    });
    match drained.await {
        Some(Ok(())) => next,
        Some(Err(_)) => Next::Abort,
        None => {
            lane.stats.borrow_mut().limit_reached(Limit::StreamIdle);
            Next::Abort
        }
    }
}

/// Closes so that the client can read our last bytes even if some of its own were never read: closing
/// with unread bytes would reset the connection and take them away.
async fn linger(mut connection: h1::Connection, lane: &Lane) {
    let messages = &mut connection.messages;
    if poll_fn(|cx| messages.poll_shutdown(cx)).await.is_ok() {
        let _ = timeout(LINGER, poll_fn(|cx| messages.poll_discard(cx, &lane.buffers))).await;
    }
}

/// Closes so that what was sent cannot look complete: with a reset.
fn abort(connection: &h1::Connection) {
    let socket = socket2::SockRef::from(connection.messages.stream());
    // Without it the connection ends all the same, only less clearly.
    let _ = socket.set_linger(Some(Duration::ZERO));
}
