//! Waiting for a response head: the upload goes on, interim responses are passed on, and a client that
//! leaves is noticed.

use std::rc::Rc;
use std::task::{Context, Poll};

use super::attempt::Carrier;
use super::deadlines::{Deadline, Waits};
use super::exchange::{Busy, Order};
use super::flow::{Flow, Side};
use super::interim::{Interims, Untold, is_interim};
use super::lane::Lane;
use crate::downstream::Client;
use crate::model::Failure;
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
    idle.arm(lane.limits.stream_idle, Waits::Busy);
    let mut moved = upload.bytes;
    let mut interims = Interims::before(order.head.version());
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
    let mut head = heard.map_err(|heard| heard.into_lost(&carrier, order, upload, &interims))?;
    match carrier.expect_body(&head, order.head.method(), order.want) {
        Ok(framing) => {
            framing::drop_needless_length(&mut head);
            Ok(Answered { carrier, busy, head, framing, idle })
        }
        Err(reason) => Err(Lost { failure: Failure::Malformed(reason), again: Again::Never }),
    }
}

/// An attempt that came to nothing.
pub struct Lost {
    /// What it looks like from outside.
    pub failure: Failure,
    /// When it may be made again.
    pub again: Again,
}

/// When it may be made again, provided that nothing of the body was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Again {
    /// At once, on a fresh connection: the origin did not process it, or closed a reused connection under
    /// a request that may be sent twice.
    AtOnce,
    /// If the failure is one of those that the route retries.
    AsTheRouteSays,
    /// Never.
    Never,
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
                interims.pass_on(cx, client, head, lane).map_err(Heard::from)?;
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
            Self::Endless(limit) => never(Failure::Malformed(limit.into())),
            Self::Nothing => never(Failure::Idle),
            Self::Origin(Broken::Malformed(refusal)) => {
                never(Failure::Malformed(refusal.reason().into()))
            }
            Self::Origin(Broken::Violated(reason)) => never(Failure::Malformed(reason)),
            Self::Origin(Broken::Unprocessed(reason)) => {
                Lost { failure: Failure::Reset(reason), again: Again::AtOnce }
            }
            Self::Origin(Broken::Closed | Broken::Reset(_)) if carrier.has_begun_answer() => {
                never(Failure::Malformed("the connection ended within the head".into()))
            }
            Self::Origin(broken) => {
                let harmless = is_idempotent(order.head.method()) && !upload.has_taken();
                let silent = interims.is_none();
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
