//! The loop of one HTTP/2 connection: a task for each request under way, a limit for each wait, a goodbye at the end.
//!
//! A connection's own waits are those that no stream bounds: for the rest of a head, for a next request,
//! for the client to go once it was told to.

mod tasks;

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::sync::futures::Notified;
use tokio::time::{Instant, timeout};

use super::{LINGER, wait};
use crate::downstream::h2::{
    Arrival, Connection, Fault, Goodbye, Stop, Stream, Unfit, Waits, fault,
};
use crate::downstream::{Client, Ends};
use crate::model::Limit;
use crate::observe::ClientEnd;
use crate::proxy::deadlines::{self, Deadline};
use crate::proxy::lane::{Lane, Phase};
use crate::proxy::limits;
use crate::proxy::request::{self, Next};
use crate::transport::{Metered, Offence};
use crate::wire::Refusal;

pub use tasks::Tasks;

/// How long a client that was told to go, and has nothing under way, may take to do so.
const LEAVE_WITHIN: Duration = Duration::from_secs(5);
/// Bytes of an ended connection that are read so that the client can read our last ones.
const DISCARD_BYTES_MAX: usize = 1024 * 1024;

/// Serves a connection of which `first` was read already.
pub(super) async fn serve(stream: TcpStream, first: Vec<u8>, ends: Ends, lane: &Rc<Lane>) {
    let stream = Metered::to_client(stream, first);
    requests(stream.clone(), ends, lane).await;
    if let Some(stream) = stream.into_inner() {
        linger(stream).await;
    }
}

/// Takes requests until the connection has ended, by whatever.
async fn requests(stream: Metered<TcpStream>, ends: Ends, lane: &Rc<Lane>) {
    let deadline = lane.deadlines.enter();
    deadline.arm(lane.limits.head_time, deadlines::Waits::Busy);
    let mut accepting = pin!(Connection::accept(stream, &lane.limits));
    let connection = match wait(&deadline, |cx| accepting.as_mut().poll(cx)).await {
        Some(Ok(connection)) => connection,
        Some(Err(error)) => {
            return tracing::debug!(client = %ends.peer, "HTTP/2 did not begin: {error}");
        }
        None => return lane.stats.borrow_mut().limit_reached(Limit::HeadTime),
    };
    let (expires, requests) = (limits::expiry(lane), 0);
    let waiting = (Waits::Rest, Course::Staying);
    let mut session =
        Session { connection, deadline, waiting, expires, requests, streaming: None, lane };
    let mut changed = pin!(lane.phase_changed.notified());
    let end = loop {
        match poll_fn(|cx| session.poll_turn(cx, changed.as_mut())).await {
            Ok(arrival) => {
                session.requests = session.requests.saturating_add(1);
                tasks::answer(arrival, ends, lane);
            }
            Err(Over::Ended(end)) => break end,
            Err(Over::Cut(goodbye, end)) => {
                // One that does not even read our goodbye is not waited for.
                let _ = timeout(LINGER, session.cut(goodbye)).await;
                break end;
            }
        }
    };
    if let Some(End { why, what }) = end {
        lane.stats.borrow_mut().client_ended(why);
        lane.tell_of_client(ends.peer, why, &what);
    }
}

/// The reason for which we end a connection, for the counter and in words.
struct End {
    why: ClientEnd,
    what: String,
}

/// Why the loop is over.
enum Over {
    /// The connection has ended; for a reason, if it was not the client that wanted it.
    Ended(Option<End>),
    /// It is to be ended.
    Cut(Goodbye, Option<End>),
}

/// Whether a connection may go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Course {
    Staying,
    /// The client was told that it ends.
    Leaving,
}

/// A connection under way.
struct Session<'l> {
    connection: Connection<TcpStream>,
    /// When what is being waited for must have come.
    deadline: Deadline,
    /// What that is.
    waiting: (Waits, Course),
    /// When its age ends it; `None`: never.
    expires: Option<Instant>,
    /// How many it has brought.
    requests: u32,
    /// Keeps the process from ending before answers that are complete have been taken.
    streaming: Option<Streaming<'l>>,
    lane: &'l Rc<Lane>,
}

impl Session<'_> {
    fn poll_turn(
        &mut self,
        cx: &mut Context<'_>,
        mut changed: Pin<&mut Notified<'_>>,
    ) -> Poll<Result<Arrival, Over>> {
        loop {
            if let Poll::Ready(came) = self.connection.poll_request(cx) {
                return Poll::Ready(came.map_err(over));
            }
            if self.waiting.1 == Course::Staying
                && (self.lane.phase() > Phase::Serving || changed.as_mut().poll(cx).is_ready())
            {
                self.leave();
                continue;
            }
            if self.waiting.1 == Course::Staying
                && let Some(limit) = self.worn()
            {
                self.lane.stats.borrow_mut().limit_reached(limit);
                self.leave();
                continue;
            }
            self.count_streams();
            self.wait_for(self.connection.waits());
            if self.deadline.poll_over(cx).is_pending() {
                return Poll::Pending;
            }
            match self.waiting {
                (Waits::Rest, _) => {
                    self.lane.stats.borrow_mut().limit_reached(Limit::HeadTime);
                    let what = "did not finish a frame or a field block in time".into();
                    let end = End { why: ClientEnd::HeadTimeout, what };
                    return Poll::Ready(Err(Over::Cut(Goodbye::Enough, Some(end))));
                }
                (Waits::Stream, _) => self.arm(), // streams have limits of their own
                (Waits::Taken, _) => {
                    self.lane.stats.borrow_mut().limit_reached(Limit::StreamIdle);
                    return Poll::Ready(Err(Over::Cut(Goodbye::Enough, None)));
                }
                (Waits::Request, Course::Staying) if self.worn().is_some() => {} // seen in the next round
                (Waits::Request, Course::Staying) => {
                    if self.deadline.over() != deadlines::Over::Told {
                        self.lane.stats.borrow_mut().limit_reached(Limit::ClientIdle);
                    }
                    self.leave();
                }
                (Waits::Request, Course::Leaving) => {
                    return Poll::Ready(Err(Over::Cut(Goodbye::Enough, None)));
                }
            }
        }
    }

    /// The limit for which it takes no further request.
    fn worn(&self) -> Option<Limit> {
        if self.requests >= self.lane.limits.connection_requests {
            return Some(Limit::ConnectionRequests);
        }
        limits::has_expired(self.expires, self.lane).then_some(Limit::ConnectionDuration)
    }

    fn leave(&mut self) {
        self.connection.leave();
        self.waiting.1 = Course::Leaving;
        self.arm();
    }

    /// Counted all along, and not only once the lane is to leave: it must not look in between.
    fn count_streams(&mut self) {
        if !self.connection.has_streams() {
            self.streaming = None;
        } else if self.streaming.is_none() {
            self.streaming = Some(Streaming::begin(self.lane));
        }
    }

    /// A new wait has a new limit; one that goes on keeps its own.
    fn wait_for(&mut self, waits: Waits) {
        if waits != self.waiting.0 {
            self.waiting.0 = waits;
            self.arm();
        }
    }

    fn arm(&self) {
        let limits = &self.lane.limits;
        let (busy, idle) = (deadlines::Waits::Busy, deadlines::Waits::Idle);
        let young = limits::patience(self.expires, self.lane);
        let (limit, waits) = match self.waiting {
            (Waits::Rest, _) => (limits.head_time, busy),
            (Waits::Taken, _) => (limits.stream_idle, busy),
            (Waits::Stream, Course::Staying) => (young, busy),
            (Waits::Stream, Course::Leaving) => (limits.client_idle, busy),
            (Waits::Request, Course::Staying) => (young, idle),
            (Waits::Request, Course::Leaving) => (LEAVE_WITHIN, busy),
        };
        self.deadline.arm(limit, waits);
    }

    async fn cut(&mut self, goodbye: Goodbye) {
        self.connection.end(goodbye);
        poll_fn(|cx| {
            loop {
                match self.connection.poll_request(cx) {
                    Poll::Ready(Err(Stop::Ended | Stop::Broken(_))) => return Poll::Ready(()),
                    Poll::Ready(Ok(_)) => {} // asked before the goodbye, dropped with it
                    Poll::Ready(Err(Stop::Offence(_))) | Poll::Pending => return Poll::Pending,
                }
            }
        })
        .await;
    }
}

fn over(stop: Stop) -> Over {
    match stop {
        Stop::Ended => Over::Ended(None),
        Stop::Broken(error) => Over::Ended(match fault(&error) {
            Fault::Flood => Some(End { why: ClientEnd::Flood, what: error.to_string() }),
            Fault::Protocol => Some(End { why: ClientEnd::Protocol, what: error.to_string() }),
            Fault::Elsewhere => None,
        }),
        Stop::Offence(offence) => {
            let why = match offence {
                Offence::Flood(_) => ClientEnd::Flood,
                _ => ClientEnd::Protocol,
            };
            let end = End { why, what: offence.to_string() };
            Over::Cut(Goodbye::Accused(offence), Some(end))
        }
    }
}

/// Counts a connection with requests under way or answers to take.
struct Streaming<'l>(&'l Lane);

impl<'l> Streaming<'l> {
    fn begin(lane: &'l Lane) -> Self {
        lane.stats.borrow_mut().streams_began();
        Self(lane)
    }
}

impl Drop for Streaming<'_> {
    fn drop(&mut self) {
        self.0.stats.borrow_mut().streams_ended();
    }
}

/// Answers one HTTP/2 stream.
async fn one_stream(arrival: Arrival, ends: Ends, lane: &Rc<Lane>) {
    let (head, mut stream) = Stream::new(arrival, ends, &lane.buffers);
    let mut client = Client::H2(&mut stream);
    let next = match head {
        Ok(head) if head.lines().count() > lane.request_head.lines => {
            request::refuse(&mut client, Refusal::TooManyLines, lane).await
        }
        Ok(head) => request::handle(head, &mut client, lane).await,
        Err(Unfit::Refused(refusal)) => request::refuse(&mut client, refusal, lane).await,
        Err(Unfit::Malformed(what)) => {
            tracing::debug!(client = %stream.ends.peer, "a request is malformed: {what}");
            return stream.reject();
        }
    };
    match next {
        // Dropping the stream refuses the rest of an upload once the response has left (RFC 9113,
        // section 8.1); a reset of ours would take what still waits of the response with it.
        Next::Keep | Next::Close => {}
        Next::Abort => stream.reset(),
    }
}

/// Reads on for a moment, so that the client can read our last bytes: closing with bytes unread would
/// reset the connection and take them away.
async fn linger(mut stream: TcpStream) {
    let discard = async {
        let (mut scrap, mut left) = (vec![0; 4096], DISCARD_BYTES_MAX);
        while left > 0 {
            match stream.read(&mut scrap).await {
                Ok(0) | Err(_) => return,
                Ok(count) => left = left.saturating_sub(count),
            }
        }
    };
    let _ = timeout(LINGER, discard).await;
}

#[cfg(test)]
mod tests;
