//! The connection loop: find out what the client speaks, take a request, answer it, keep or close.
//!
//! What an idle connection holds is what this file's outer futures hold; all that a request needs is
//! boxed while it is under way.

use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use tokio::io::{AsyncReadExt, join};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::deadlines::{Deadline, Waits};
use super::lane::{Lane, Phase};
use super::request::{self, Next};
use crate::downstream::sniff::{Speaks, sniff};
use crate::downstream::{Client, Ends, h1, h2};
use crate::transport::HeadError;
use crate::wire::Head;

/// How long a connection that ends is read after our last byte, so that the client gets to read it.
const LINGER: Duration = Duration::from_secs(1);

/// Serves one accepted connection to its end.
pub async fn connection(mut stream: TcpStream, ends: Ends, lane: Rc<Lane>) {
    lane.stats.borrow_mut().client_opened();
    if let Some((speaks, first)) = first_bytes(&mut stream, &lane).await {
        match speaks {
            Speaks::Http2 => Box::pin(serve_h2(stream, first, ends, &lane)).await,
            Speaks::Tls { server_name } => {
                lane.buffers.give_back(first);
                refuse_tls(ends, server_name, &lane);
            }
            Speaks::Http1 | Speaks::Unknown => {
                let connection = h1::Connection::new(stream, &first, ends, &lane.buffers);
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
        match read.await? {
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
        deadline.arm(lane.limits.client_idle, Waits::Idle);
        if lane.phase() == Phase::Closing
            || wait(&deadline, |cx| connection.poll_arrival(cx)).await.is_none()
        {
            return;
        }
        deadline.arm(lane.limits.head_time, Waits::Busy);
        match Box::pin(one_request(&mut connection, &deadline, lane)).await {
            Next::Keep => {}
            Next::Close => return Box::pin(linger(connection, lane)).await,
            Next::Abort => return abort(&connection),
        }
    }
}

/// Reads one request off an HTTP/1.1 connection and answers it.
async fn one_request(
    connection: &mut h1::Connection,
    deadline: &Deadline,
    lane: &Rc<Lane>,
) -> Next {
    let head =
        wait(deadline, |cx| connection.poll_request(cx, &lane.limits.head, &lane.buffers)).await;
    if head.is_none() && connection.messages.unread().is_empty() {
        return Next::Close; // nobody has begun to ask for anything
    }
    let mut client = Client::H1(connection);
    match head {
        Some(Ok(head)) => {
            let next = request::handle(head, &mut client, lane).await;
            flush(&mut client, next, lane).await
        }
        Some(Err(HeadError::Refused(refusal))) => request::refuse(&mut client, refusal, lane).await,
        Some(Err(HeadError::Closed | HeadError::Truncated(_))) => Next::Close,
        None => request::refuse(&mut client, crate::wire::Refusal::HeadTimeout, lane).await,
    }
}

/// Whatever still waits goes out before the connection is closed.
async fn flush(client: &mut Client<'_>, next: Next, lane: &Lane) -> Next {
    match next {
        Next::Abort => Next::Abort,
        next => match poll_fn(|cx| client.peer().poll_drain(cx, &lane.buffers)).await {
            Ok(()) => next,
            Err(_) => Next::Abort,
        },
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

async fn serve_h2(stream: TcpStream, first: Vec<u8>, ends: Ends, lane: &Rc<Lane>) {
    let (read, write) = stream.into_split();
    let stream = join(std::io::Cursor::new(first).chain(read), write);
    let mut connection = match timeout(lane.limits.head_time, h2::accept(stream)).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => {
            return tracing::debug!(client = %ends.peer, "HTTP/2 did not begin: {error}");
        }
        Err(_) => return,
    };
    let mut leaving = lane.phase() > Phase::Serving;
    if leaving {
        connection.graceful_shutdown();
    }
    loop {
        let request = tokio::select! {
            biased;
            request = connection.accept() => request,
            () = lane.phase_changed.notified(), if !leaving => {
                leaving = true;
                connection.graceful_shutdown();
                continue;
            }
            () = sleep(lane.limits.client_idle) => {
                connection.graceful_shutdown();
                continue;
            }
        };
        match request {
            Some(Ok((request, respond))) => {
                let (head, stream) = h2::Stream::new(request, respond, ends, &lane.buffers);
                tokio::task::spawn_local(one_stream(head, stream, Rc::clone(lane)));
            }
            Some(Err(error)) => {
                tracing::debug!(client = %ends.peer, "an HTTP/2 connection ended: {error}");
                return;
            }
            None => return,
        }
    }
}

/// Answers one HTTP/2 stream.
async fn one_stream(head: Head, mut stream: h2::Stream, lane: Rc<Lane>) {
    let mut client = Client::H2(&mut stream);
    match request::handle(head, &mut client, &lane).await {
        // Dropping the stream refuses the rest of an upload once the response has left (RFC 9113,
        // section 8.1); a reset of ours would take what still waits of the response with it.
        Next::Keep | Next::Close => {}
        Next::Abort => stream.reset(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size_of_future<F, R>(_: F) -> usize
    where
        F: FnOnce(TcpStream, Ends, Rc<Lane>) -> R,
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
