//! The connection loop: find out what the client speaks, take a request, answer it, keep or close.
//!
//! What an idle connection holds is what this file's outer futures hold; all that a request needs is
//! boxed while it is under way. HTTP/2 has a loop of its own.

mod h2;

use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use super::admission::Admitted;
use super::deadlines::{Deadline, Over, Waits};
use super::lane::{Lane, Phase};
use super::limits;
use super::request::{self, Next};
use crate::downstream::sniff::{Speaks, sniff};
use crate::downstream::{Client, Ends, h1};
use crate::model::Limit;
use crate::transport::HeadError;

/// How long a connection that ends is read after our last byte, so that the client gets to read it.
const LINGER: Duration = Duration::from_secs(1);

/// Serves one accepted connection to its end.
pub async fn connection(mut stream: TcpStream, ends: Ends, _admitted: Admitted, lane: Rc<Lane>) {
    lane.stats.borrow_mut().client_opened();
    if let Some((speaks, first)) = first_bytes(&mut stream, &lane).await {
        match speaks {
            Speaks::Http2 => Box::pin(h2::serve(stream, first, ends, &lane)).await,
            Speaks::Tls { server_name } => {
                lane.buffers.give_back(first);
                refuse_tls(ends, server_name, &lane);
            }
            Speaks::Http1 | Speaks::Unknown => {
                let connection =
                    h1::Connection::new(stream, &first, ends, lane.deadlines.now(), &lane.buffers);
                lane.buffers.give_back(first);
                serve_h1(connection, &lane).await;
            }
        }
    }
    lane.stats.borrow_mut().client_closed();
}

/// Reads until it is clear what the client speaks; `None` when it leaves, or says nothing for too long.
async fn first_bytes(stream: &mut TcpStream, lane: &Rc<Lane>) -> Option<(Speaks, Vec<u8>)> {
    let deadline = lane.deadlines.enter();
    deadline.arm(lane.limits.client_idle, Waits::Idle);
    let mut first = Vec::new();
    loop {
        // A socket is taken to be readable until it was tried. Unlike `try_read_buf`, this notes what
        // it found; and while that is nothing, a silent client holds no buffer.
        let read = wait(&deadline, |cx| {
            if first.capacity() == 0 {
                first = lane.buffers.lend();
            }
            let polled = pin!(stream.read_buf(&mut first)).poll(cx);
            if first.is_empty() {
                lane.buffers.give_back(std::mem::take(&mut first));
            }
            polled
        });
        let Some(read) = read.await else {
            match (deadline.over(), first.is_empty()) {
                (Over::Told, _) => {}
                (_, true) => lane.stats.borrow_mut().limit_reached(Limit::ClientIdle),
                (_, false) => lane.stats.borrow_mut().limit_reached(Limit::HeadTime),
            }
            return None;
        };
        match read {
            Ok(0) | Err(_) => return None,
            Ok(count) => {
                if count == first.len() {
                    deadline.arm(lane.limits.head_time, Waits::Busy);
                }
                match sniff(&first) {
                    Speaks::Unknown => {}
                    speaks => return Some((speaks, first)),
                }
            }
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

async fn serve_h1(mut connection: h1::Connection, lane: &Rc<Lane>) {
    let deadline = lane.deadlines.enter();
    loop {
        let patience = lane.limits.client_idle.min(limits::time_left(connection.opened, lane));
        deadline.arm(patience, Waits::Idle);
        if lane.phase() == Phase::Closing {
            return;
        }
        if wait(&deadline, |cx| connection.poll_arrival(cx)).await.is_none() {
            return count_silence(&deadline, connection.opened, lane);
        }
        deadline.arm(lane.limits.head_time, Waits::Busy);
        match Box::pin(one_request(&mut connection, &deadline, lane)).await {
            Next::Keep => {}
            Next::Close => return Box::pin(linger(connection, lane)).await,
            Next::Abort => return abort(&connection),
        }
    }
}

/// Counts why a connection without a request under way is closed.
fn count_silence(deadline: &Deadline, opened: Instant, lane: &Lane) {
    let limit = match deadline.over() {
        Over::Told => return, // to make room, or because the lane is closing
        _ if limits::time_left(opened, lane).is_zero() => Limit::ConnectionDuration,
        _ => Limit::ClientIdle,
    };
    lane.stats.borrow_mut().limit_reached(limit);
}

/// Reads one request off an HTTP/1.1 connection and answers it.
async fn one_request(
    connection: &mut h1::Connection,
    deadline: &Deadline,
    lane: &Rc<Lane>,
) -> Next {
    let head =
        wait(deadline, |cx| connection.poll_request(cx, &lane.request_head, &lane.buffers)).await;
    if head.is_none() && connection.messages.unread().is_empty() {
        return Next::Close; // nobody has begun to ask for anything
    }
    let mut client = Client::H1(connection);
    match head {
        Some(Ok(head)) => {
            let next = request::handle(head, &mut client, lane).await;
            flush(&mut client, next, deadline, lane).await
        }
        Some(Err(HeadError::Refused(refusal))) => request::refuse(&mut client, refusal, lane).await,
        Some(Err(HeadError::Closed | HeadError::Truncated(_))) => Next::Close,
        None => request::refuse(&mut client, crate::wire::Refusal::HeadTimeout, lane).await,
    }
}

/// Whatever still waits goes out before the connection is closed.
async fn flush(client: &mut Client<'_>, next: Next, deadline: &Deadline, lane: &Lane) -> Next {
    if next == Next::Abort {
        return Next::Abort;
    }
    deadline.arm(lane.limits.stream_idle, Waits::Busy);
    match wait(deadline, |cx| client.peer().poll_drain(cx, &lane.buffers)).await {
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
        assert!(size <= 896, "{size} bytes");
    }
}
