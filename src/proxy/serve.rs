//! The connection loop: find out what the client speaks, take a request, answer it, keep or close.
//!
//! What an idle connection holds is what this file's outer futures hold; all that a request needs is
//! boxed while it is under way. HTTP/2 has a loop of its own.

pub mod h2;

use std::cell::Cell;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use super::admission::Admitted;
use super::apart::apart;
use super::deadlines::{Deadline, Over, Waits};
use super::lane::{Lane, Phase, TICK};
use super::limits;
use super::request::{self, Next};
use crate::downstream::sniff::{Speaks, sniff};
use crate::downstream::{Client, Ends, h1};
use crate::model::Limit;
use crate::transport::HeadError;
use crate::wire::{Head, Refusal};

/// For how long what a request needs is kept for the next one, and of how many connections of a lane: more of them
/// are not busy with one request after the other.
const PAUSE: Duration = TICK;
const PAUSES_MAX: usize = 256;
/// How long a connection that ends is read after our last byte, so that the client gets to read it.
const LINGER: Duration = Duration::from_secs(1);

/// Serves one accepted connection to its end.
///
/// No `async fn`, which would hold what it is given twice: thousands of connections are idle.
pub fn connection(
    stream: TcpStream,
    ends: Ends,
    admitted: Admitted,
    lane: Rc<Lane>,
) -> impl Future<Output = ()> {
    let mut connection = h1::Connection::new(stream, ends, limits::expiry(&lane));
    let present = Present::enter(admitted, lane);
    async move {
        let lane = &present.lane;
        let deadline = lane.deadlines.enter();
        let mut known = false;
        loop {
            deadline.arm(limits::patience(connection.expires, lane), Waits::Idle);
            if lane.phase() == Phase::Closing {
                return;
            }
            if wait(&deadline, |cx| connection.poll_arrival(cx)).await.is_none() {
                return count_silence(&deadline, connection.expires, lane);
            }
            if !known {
                match Box::pin(find_out(&mut connection, &deadline, lane)).await {
                    Some(Speaks::Unknown) => continue, // nothing has come
                    Some(Speaks::Http1) => known = true,
                    Some(Speaks::Http2) => {
                        let h1::Connection { messages, ends, .. } = connection;
                        let (stream, first) = messages.into_parts();
                        return apart(h2::serve(stream, first, ends, lane)).await;
                    }
                    Some(Speaks::Tls { server_name }) => {
                        return refuse_tls(connection.ends, server_name, lane);
                    }
                    None => return,
                }
            }
            match Box::pin(requests(&mut connection, &deadline, lane)).await {
                Next::Keep if deadline.over() == Over::Told => return,
                Next::Keep => {}
                Next::Close => return apart(linger(connection, lane)).await,
                Next::Abort => return abort(&connection),
            }
        }
    }
}

/// A connection in the lane's counters, for as long as it lives.
struct Present {
    lane: Rc<Lane>,
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

/// Counts why a connection without a request under way is closed.
fn count_silence(deadline: &Deadline, expires: Option<Instant>, lane: &Lane) {
    let limit = match deadline.over() {
        Over::Told => return, // to make room, or because the lane is closing
        _ if limits::has_expired(expires, lane) => Limit::ConnectionDuration,
        _ => Limit::ClientIdle,
    };
    lane.stats.borrow_mut().limit_reached(limit);
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
        deadline.arm(PAUSE, Waits::Idle);
        pause = Pause::begin(&lane.pauses);
        if pause.is_none() || lane.phase() == Phase::Closing {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn size_of_future<F, R>(_: F) -> usize
    where
        F: FnOnce(TcpStream, Ends, Admitted, Rc<Lane>) -> R,
    {
        size_of::<R>()
    }

    /// Thousands of connections are idle at once, and each holds this future. When it grows: what a
    /// request needs belongs into the box that is made for the request.
    #[test]
    fn an_idle_connection_is_small() {
        let size = size_of_future(connection);
        assert!(size <= 352, "{size} bytes");
    }
}
