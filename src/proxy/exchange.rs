//! From a request ready to be sent to the head of its response: a connection, the sending, and trying
//! again where that is safe.
//!
//! The upload goes on beside all of it. A connection is owned by the exchange until both bodies are done.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::attempt::{self, Carrier};
use super::deadlines::{Deadline, Waits};
use super::flow::{Flow, Side};
use super::headers;
use super::lane::Lane;
use crate::downstream::Client;
use crate::model::{Failure, Forward};
use crate::observe::Record;
use crate::transport::Broken;
use crate::upstream::Upstream;
use crate::upstream::connect::Want;
use crate::upstream::endpoints::Endpoint;
use crate::wire::{Framing, Head, Version};

/// Attempts on fresh connections after reused ones turned out to be stale; they cost no retry.
const STALE_MAX: u32 = 3;
/// First pause before a retry; it doubles, with full jitter (Envoy's default).
const BACKOFF_BASE: Duration = Duration::from_millis(25);
/// Interim responses to one request that are waited through; a long-lived `102` every few seconds must fit.
const INTERIMS_MAX: u32 = 256;
/// Longest pause before a retry.
const BACKOFF_MAX: Duration = Duration::from_millis(250);

/// A request ready to be sent.
pub struct Order<'r, 's> {
    /// Its head; borrowed, so that it can be sent again.
    pub head: &'r mut Head,
    /// The body that follows.
    pub framing: Framing,
    /// How the route carries it.
    pub forward: &'s Forward,
    /// To whom.
    pub upstream: &'s Arc<Upstream>,
    /// The host that SNI and verification go by where the policy names none.
    pub server_name: &'r str,
    /// Which version the connection may have.
    pub want: Want,
}

/// A response head is here; the bodies are still to be moved.
pub struct Exchange<'s> {
    /// The connection it goes over.
    pub carrier: Carrier,
    /// Keeps the endpoint counted as busy.
    pub busy: Busy,
    /// How the origin frames the body that follows it.
    pub framing: Framing,
    /// How far the upload is.
    pub upload: Flow,
    /// Nothing may move for so long.
    pub idle: Deadline,
    /// When the route's timeout runs out.
    pub until: Option<Instant>,
    /// How the route carries it.
    pub forward: &'s Forward,
    /// To whom.
    pub upstream: &'s Arc<Upstream>,
    /// Whether the client asked for an upgrade.
    pub want: Want,
}

/// Counts a request at its endpoint for as long as it lives.
pub struct Busy(Arc<Endpoint>);

impl Busy {
    /// One more request at this endpoint.
    pub fn at(endpoint: &Arc<Endpoint>) -> Self {
        endpoint.active.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(endpoint))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.active.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Sends the request until a response head is here, or no further attempt is allowed.
pub async fn start<'s>(
    order: Order<'_, 's>,
    client: &mut Client<'_>,
    record: &mut Record<'s>,
    lane: &Rc<Lane>,
) -> Result<(Head, Exchange<'s>), Failure> {
    let until = order.forward.timeout.map(|timeout| lane.clock() + timeout);
    let upstream = order.upstream;
    let started = match until {
        None => attempts(order, client, record, lane, None).await,
        Some(at) => timeout_at(at, Box::pin(attempts(order, client, record, lane, until)))
            .await
            .unwrap_or(Err(Failure::Timeout)),
    };
    if upstream.is_plain_on_tls_port()
        && let Some(answer) = wants_tls(&started)
    {
        upstream.warn_of_plain_text(answer);
    }
    started
}

/// What an origin does that is spoken to in plain text where it expects TLS: web servers say 400, others
/// close, or answer with an alert of TLS, which is not HTTP.
fn wants_tls(started: &Result<(Head, Exchange<'_>), Failure>) -> Option<&'static str> {
    match started {
        Ok((head, _)) if head.status() == 400 => Some("answers 400"),
        Err(Failure::Closed | Failure::Reset(_)) => Some("closes the connection"),
        Err(Failure::Malformed(_)) => Some("answers what is not HTTP"),
        _ => None,
    }
}

async fn attempts<'s>(
    mut order: Order<'_, 's>,
    client: &mut Client<'_>,
    record: &mut Record<'s>,
    lane: &Rc<Lane>,
    until: Option<Instant>,
) -> Result<(Head, Exchange<'s>), Failure> {
    let mut upload = Flow::default();
    let (mut retries, mut stale) = (0, 0);
    loop {
        record.attempts += 1;
        if !upload.has_taken() {
            upload = if order.framing == Framing::Empty {
                Flow::without_body()
            } else {
                Flow::default()
            };
        }
        let source = if stale == 0 { attempt::Source::Any } else { attempt::Source::Fresh };
        let sent = attempt::send(&mut order, source, record, lane).await;
        let lost = match sent {
            Ok(carrier) => match answer(carrier, &order, client, &mut upload, lane).await {
                Ok(answered) => return Ok(answered.into_exchange(&order, upload, until, lane)),
                Err(lost) => lost,
            },
            Err(failure) => Lost { failure, again: Again::AsTheRouteSays },
        };
        let replayable = !upload.has_taken();
        match lost.again {
            Again::AtOnce if replayable && stale < STALE_MAX => {
                stale += 1;
                lane.stats.borrow_mut().retries += 1;
            }
            Again::AsTheRouteSays
                if replayable
                    && lost.failure.row().retryable
                    && retries < order.forward.retry.attempts =>
            {
                let Some(_retrying) = lane.begin_retry() else { return Err(lost.failure) };
                lane.stats.borrow_mut().retries += 1;
                tokio::time::sleep(backoff(retries, lane)).await;
                retries += 1;
            }
            _ => {
                record.retries_exhausted = retries > 0 && lost.failure.row().retryable;
                return Err(lost.failure);
            }
        }
    }
}

fn backoff(retries: u32, lane: &Lane) -> Duration {
    let ceiling = BACKOFF_BASE.saturating_mul(1 << retries.min(8)).min(BACKOFF_MAX);
    ceiling.mul_f64(lane.random.borrow_mut().f64())
}

/// An attempt that came to nothing.
struct Lost {
    failure: Failure,
    again: Again,
}

/// When it may be made again, provided that nothing of the body was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Again {
    /// At once, on a fresh connection: the origin did not process it, or closed a reused connection under
    /// a request that may be sent twice.
    AtOnce,
    /// If the failure is one of those that the route retries.
    AsTheRouteSays,
    /// Never.
    Never,
}

/// A response head, and the connection that brought it.
struct Answered {
    carrier: Carrier,
    busy: Busy,
    head: Head,
    framing: Framing,
    idle: Deadline,
}

impl Answered {
    fn into_exchange<'s>(
        self,
        order: &Order<'_, 's>,
        upload: Flow,
        until: Option<Instant>,
        _lane: &Lane,
    ) -> (Head, Exchange<'s>) {
        let exchange = Exchange {
            carrier: self.carrier,
            busy: self.busy,
            framing: self.framing,
            upload,
            idle: self.idle,
            until,
            forward: order.forward,
            upstream: order.upstream,
            want: order.want,
        };
        (self.head, exchange)
    }
}

/// Uploads and waits, until the final response head is here.
async fn answer(
    mut carrier: Carrier,
    order: &Order<'_, '_>,
    client: &mut Client<'_>,
    upload: &mut Flow,
    lane: &Rc<Lane>,
) -> Result<Answered, Lost> {
    let busy = Busy::at(carrier.endpoint());
    let idle = lane.deadlines.enter();
    idle.arm(lane.limits.stream_idle, Waits::Busy);
    let mut moved = upload.bytes;
    let mut interims = Interims { client: order.head.version(), seen: 0 };
    let heard = std::future::poll_fn(|cx| {
        let polled = poll_answer(cx, &mut carrier, client, upload, &mut interims, lane);
        if polled.is_pending() {
            if upload.bytes != moved {
                moved = upload.bytes;
                idle.arm(lane.limits.stream_idle, Waits::Busy);
            }
            if idle.poll_over(cx).is_ready() {
                return Poll::Ready(Err(Heard::Nothing));
            }
        }
        polled
    })
    .await;
    let head = heard.map_err(|heard| heard.into_lost(&carrier, order, upload, &interims))?;
    match carrier.expect_body(&head, order.head.method(), order.want) {
        Ok(framing) => Ok(Answered { carrier, busy, head, framing, idle }),
        Err(reason) => Err(Lost { failure: Failure::Malformed(reason), again: Again::Never }),
    }
}

/// Why no response head came.
enum Heard {
    /// The client left, or what it sends is malformed.
    Client(Broken),
    /// The origin's connection broke, or what it sent is malformed.
    Origin(Broken),
    /// One interim response after the other.
    TooManyInterims,
    /// Nothing moved for too long.
    Nothing,
}

/// One turn: the upload, then the response, then whether the client is still there.
fn poll_answer(
    cx: &mut Context<'_>,
    carrier: &mut Carrier,
    client: &mut Client<'_>,
    upload: &mut Flow,
    interims: &mut Interims,
    lane: &Lane,
) -> Poll<Result<Head, Heard>> {
    match upload.poll(cx, client.peer(), carrier.peer(), &lane.buffers) {
        Poll::Ready(Err(Side::Sender(broken))) => return Poll::Ready(Err(Heard::Client(broken))),
        // An origin may answer early and stop listening: its answer counts.
        Poll::Ready(Err(Side::Receiver(_))) => upload.abandon(),
        Poll::Ready(Ok(())) | Poll::Pending => {}
    }
    loop {
        match carrier.poll_response(cx, &lane.buffers) {
            Poll::Ready(Ok(head)) if is_interim(&head) => {
                interims.pass_on(cx, client, head, lane)?;
            }
            Poll::Ready(Ok(head)) => return Poll::Ready(Ok(head)),
            Poll::Ready(Err(broken)) => return Poll::Ready(Err(Heard::Origin(broken))),
            Poll::Pending => break,
        }
    }
    if upload.is_done() && client.poll_gone(cx, &lane.buffers).is_ready() {
        return Poll::Ready(Err(Heard::Client(Broken::Closed)));
    }
    Poll::Pending
}

/// An interim response, other than the switch to another protocol.
fn is_interim(head: &Head) -> bool {
    head.status() < 200 && head.status() != 101
}

/// The interim responses to one request.
struct Interims {
    /// What the client speaks: HTTP/1.0 knows none of them (RFC 9110, section 15.2).
    client: Version,
    seen: u32,
}

impl Interims {
    fn pass_on(
        &mut self,
        cx: &mut Context<'_>,
        client: &mut Client<'_>,
        mut head: Head,
        lane: &Lane,
    ) -> Result<(), Heard> {
        self.seen += 1;
        if self.seen > INTERIMS_MAX {
            return Err(Heard::TooManyInterims);
        }
        if self.client != Version::Http10 {
            headers::inbound(&mut head, &Default::default());
            client.inform(&head, &lane.buffers).map_err(Heard::Client)?;
        }
        lane.buffers.give_back_head(head.into_memory());
        match client.peer().poll_drain(cx, &lane.buffers) {
            Poll::Ready(result) => result.map_err(Heard::Client),
            Poll::Pending => Ok(()),
        }
    }
}

impl Heard {
    fn into_lost(
        self,
        carrier: &Carrier,
        order: &Order<'_, '_>,
        upload: &Flow,
        interims: &Interims,
    ) -> Lost {
        let never = |failure| Lost { failure, again: Again::Never };
        match self {
            Self::Client(Broken::Malformed(refusal)) => never(refusal.into()),
            Self::Client(_) => never(Failure::ClientGone),
            Self::TooManyInterims => {
                never(Failure::Malformed(format!("more than {INTERIMS_MAX} interim responses")))
            }
            Self::Nothing => never(Failure::Idle),
            Self::Origin(Broken::Malformed(refusal)) => {
                never(Failure::Malformed(refusal.reason().into()))
            }
            Self::Origin(Broken::Unprocessed(reason)) => {
                Lost { failure: Failure::Reset(reason), again: Again::AtOnce }
            }
            Self::Origin(broken) => {
                let harmless = is_idempotent(order.head.method()) && !upload.has_taken();
                let silent = interims.seen == 0 && !carrier.has_begun_answer();
                let again = match carrier.was_used_before() && harmless && silent {
                    true => Again::AtOnce,
                    false => Again::Never,
                };
                let failure = match broken {
                    Broken::Reset(reason) => Failure::Reset(reason),
                    Broken::Tls(reason) => Failure::Handshake(reason),
                    _ => Failure::Closed,
                };
                Lost { failure, again }
            }
        }
    }
}

/// Methods whose request may be sent twice (RFC 9110, section 9.2.2).
fn is_idempotent(method: &[u8]) -> bool {
    matches!(method, b"GET" | b"HEAD" | b"OPTIONS" | b"TRACE" | b"PUT" | b"DELETE")
}
