//! Waiting for a response head: the upload goes on, interim responses are passed on, and a client that
//! leaves is noticed.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Sleep, sleep};

use super::attempt::Carrier;
use super::deadlines::{Deadline, Waits};
use super::exchange::{Busy, Order};
use super::flow::{Flow, Side};
use super::interim::{Interims, Untold, is_interim};
use super::lane::Lane;
use super::limits;
use super::retry::may_resend;
use crate::downstream::Client;
use crate::model::Failure;
use crate::observe::Retried;
use crate::transport::Broken;
use crate::wire::{Framing, Head, framing};

/// Uploads and waits, until the final response head is here.
pub async fn answer(
    mut carrier: Carrier,
    order: &Order<'_, '_>,
    client: &mut Client<'_>,
    upload: &mut Flow,
    lane: &Rc<Lane>,
) -> Result<Answered, Lost> {
    let busy = Busy::at(carrier.endpoint());
    let idle = lane.deadlines.enter();
    idle.end_after(lane.limits.exchange_duration);
    upload.allow(lane.limits.body_bytes);
    idle.arm(lane.limits.stream_idle, Waits::Busy);
    let mut moved = upload.bytes;
    let mut patience = Patience { allowed: order.forward.retry.attempt_timeout, left: None };
    let mut interims = Interims::before(order.head.version());
    let heard = std::future::poll_fn(|cx| {
        let polled = poll_answer(cx, &mut carrier, client, upload, &mut interims, lane);
        if polled.is_pending() {
            if upload.bytes != moved {
                moved = upload.bytes;
                idle.arm(lane.limits.stream_idle, Waits::Busy);
            }
            if idle.poll_over(cx).is_ready() {
                let failure = limits::stalled(idle.over(), upload, lane);
                return Poll::Ready(Err(Heard::Limit(failure)));
            }
            if upload.is_done() && patience.poll_over(cx).is_ready() {
                return Poll::Ready(Err(Heard::TooLate));
            }
        }
        polled
    })
    .await;
    let mut head = heard.map_err(|heard| heard.into_lost(&carrier, order, &interims, lane))?;
    match carrier.expect_body(&head, order.head.method(), order.want) {
        Ok(framing) => {
            framing::drop_needless_length(&mut head);
            Ok(Answered { carrier, busy, head, framing, idle })
        }
        Err(reason) => {
            let failure = Failure::Misframed { status: head.status(), reason };
            Err(Lost::after_sending(failure))
        }
    }
}

/// An attempt that came to nothing.
pub struct Lost {
    /// What it looks like from outside.
    pub failure: Failure,
    /// When it may be made again.
    pub again: Again,
    /// How much of the request the origin can have got.
    pub sent: Sent,
}

/// When it may be made again, provided that its body can be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Again {
    /// At once, on a fresh connection, for this reason: the origin did not process it, or closed a reused
    /// connection under a request that may be sent twice.
    AtOnce(Retried),
    /// If the failure is one of those that the route retries.
    AsTheRouteSays,
    /// Never.
    Never,
}

/// How much of a request the origin can have got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// Nothing, or nothing that it has processed.
    Nothing,
    /// A part at least.
    Something,
}

impl Lost {
    /// Before anything was sent.
    #[cold]
    pub fn before_sending(failure: Failure) -> Self {
        Self { failure, again: Again::AsTheRouteSays, sent: Sent::Nothing }
    }

    /// After something was sent.
    #[cold]
    pub fn after_sending(failure: Failure) -> Self {
        Self { failure, again: Again::AsTheRouteSays, sent: Sent::Something }
    }

    /// Whatever the route says, it is not made again.
    #[cold]
    fn for_good(failure: Failure) -> Self {
        Self { failure, again: Again::Never, sent: Sent::Something }
    }
}

/// A response head, and the connection that brought it.
pub struct Answered {
    /// The connection.
    pub carrier: Carrier,
    /// Keeps the endpoint counted as busy.
    pub busy: Busy,
    /// The response's head.
    pub head: Head,
    /// How the origin frames the body that follows it.
    pub framing: Framing,
    /// Nothing may move for so long.
    pub idle: Deadline,
}

/// Why no response head came.
enum Heard {
    /// The client left, or what it sends is malformed.
    Client(Broken),
    /// The origin's connection broke, or what it sent is malformed.
    Origin(Broken),
    /// One interim response after the other; more than this.
    Endless(&'static str),
    /// The request's body is too large, nothing moved for too long, or it took too long in all.
    Limit(Failure),
    /// The attempt took longer than one may.
    TooLate,
}

/// How long is waited for a response head once the request was sent in full.
struct Patience {
    allowed: Option<Duration>,
    left: Option<Pin<Box<Sleep>>>,
}

impl Patience {
    /// Ready when it is at its end; it begins with the first call.
    fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(allowed) = self.allowed else { return Poll::Pending };
        self.left.get_or_insert_with(|| Box::pin(sleep(allowed))).as_mut().poll(cx)
    }
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
        Poll::Ready(Err(Side::TooLarge)) => {
            return Poll::Ready(Err(Heard::Limit(limits::body_too_large(lane))));
        }
        // An origin may answer early and stop listening: its answer counts.
        Poll::Ready(Err(Side::Receiver(_))) => upload.abandon(),
        Poll::Ready(Ok(())) | Poll::Pending => {}
    }
    loop {
        match carrier.poll_response(cx, &lane.response_head, &lane.buffers) {
            Poll::Ready(Ok(head)) if is_interim(&head) => {
                interims.pass_on(cx, client, head, lane).map_err(Heard::from)?;
            }
            Poll::Ready(Ok(head)) => return Poll::Ready(Ok(head)),
            Poll::Ready(Err(broken)) => {
                limits::origin_broken(&broken, lane);
                return Poll::Ready(Err(Heard::Origin(broken)));
            }
            Poll::Pending => break,
        }
    }
    if upload.is_done() && client.poll_gone(cx, &lane.buffers).is_ready() {
        return Poll::Ready(Err(Heard::Client(Broken::Closed)));
    }
    Poll::Pending
}

impl From<Untold> for Heard {
    fn from(untold: Untold) -> Self {
        match untold {
            Untold::Client(broken) => Self::Client(broken),
            Untold::Origin(refusal) => Self::Origin(Broken::Malformed(refusal)),
            Untold::Endless(limit) => Self::Endless(limit),
        }
    }
}

impl Heard {
    #[cold]
    fn into_lost(
        self,
        carrier: &Carrier,
        order: &Order<'_, '_>,
        interims: &Interims,
        lane: &Lane,
    ) -> Lost {
        match self {
            Self::Client(Broken::Malformed(refusal)) => Lost::for_good(refusal.into()),
            Self::Client(_) => Lost::for_good(Failure::ClientGone),
            Self::Endless(limit) => Lost::for_good(Failure::Malformed(limit.into())),
            Self::Limit(failure) => Lost::for_good(failure),
            Self::TooLate => Lost::after_sending(Failure::AttemptTimeout),
            Self::Origin(Broken::Malformed(refusal)) => {
                Lost::after_sending(Failure::Malformed(refusal.reason().into()))
            }
            Self::Origin(Broken::Violated(reason)) => {
                Lost::after_sending(Failure::Malformed(reason))
            }
            Self::Origin(Broken::Unprocessed(reason)) => {
                // A connection that goes away takes no more; a stream that is refused is one too many.
                let again = match carrier.is_over() {
                    true => Again::AtOnce(Retried::RefusedStream),
                    false => Again::AsTheRouteSays,
                };
                Lost { failure: Failure::RefusedStream(reason), again, sent: Sent::Nothing }
            }
            Self::Origin(Broken::Closed | Broken::Aborted(_)) if carrier.has_begun_answer() => {
                let reason = "the connection ended within the head";
                Lost::after_sending(Failure::Malformed(reason.into()))
            }
            Self::Origin(broken) => {
                let sent = carrier.sent();
                let silent = interims.is_none();
                let stale = carrier.was_used_before() && carrier.is_over() && silent;
                if stale {
                    lane.stats.borrow_mut().reuse_races += 1;
                }
                let harmless = sent == Sent::Nothing || may_resend(order.head, order.forward);
                let again = match stale && harmless {
                    true => Again::AtOnce(Retried::Stale),
                    false => Again::AsTheRouteSays,
                };
                let failure = match broken {
                    Broken::Reset(reason) => Failure::Reset(reason),
                    Broken::Aborted(reason) => Failure::Aborted(reason),
                    Broken::Tls(reason) => Failure::Handshake(reason),
                    _ => Failure::Closed,
                };
                Lost { failure, again, sent }
            }
        }
    }
}
