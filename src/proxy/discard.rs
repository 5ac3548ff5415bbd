//! The pause before another attempt, in which the rest of a response that nobody gets is read, so that its
//! connection can be kept.

use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{sleep_until, timeout_at};

use super::answer::{Answered, Lost};
use super::attempt::Carrier;
use super::exchange::Order;
use super::flow::Flow;
use super::lane::Lane;
use super::presence::while_here;
use super::relay;
use crate::downstream::Client;
use crate::model::Failure;
use crate::transport::Broken;

/// Bytes of a response that are read for nothing; above, a fresh connection is cheaper.
const READ_BYTES_MAX: usize = 64 * 1024;

/// Pauses. A response is read to its end meanwhile, and its connection kept, if that is soon.
///
/// Errors: [`Failure::ClientGone`], without waiting any longer.
pub async fn rest(
    outcome: Result<Answered, Lost>,
    upload: &Flow,
    pause: Duration,
    order: &Order<'_, '_>,
    client: &mut Client<'_>,
    lane: &Rc<Lane>,
) -> Result<(), Failure> {
    let until = lane.clock() + pause;
    if let Ok(Answered { mut carrier, head, .. }) = outcome {
        lane.buffers.give_back_head(head.into_memory());
        if upload.is_whole() {
            let mut read = 0;
            let end = poll_fn(|cx| poll_end(cx, &mut carrier, &mut read, lane));
            if let Ok(Ok(End::Reached)) = timeout_at(until, end).await {
                relay::check_in(carrier, order.upstream, lane);
            }
        }
    }
    if pause.is_zero() {
        return Ok(());
    }
    while_here(client, lane, pin!(sleep_until(until))).await
}

/// Where reading for nothing ends.
pub enum End {
    /// With the response.
    Reached,
    /// Before it: it is too long.
    TooFar,
}

/// Reads a response away, as far as that is worth it; `read` is how much of it has been read.
pub fn poll_end(
    cx: &mut Context<'_>,
    carrier: &mut Carrier,
    read: &mut usize,
    lane: &Lane,
) -> Poll<Result<End, Broken>> {
    let mut scratch = lane.buffers.scratch();
    while *read <= READ_BYTES_MAX {
        let piece = ready!(carrier.peer().poll_piece(cx, &mut scratch, &lane.buffers))?;
        *read += piece.bytes(&scratch).len();
        if piece.end.is_some() {
            return Poll::Ready(Ok(End::Reached));
        }
    }
    Poll::Ready(Ok(End::TooFar))
}
