//! Both bodies at once, until both have ended.
//!
//! Once the response head has gone out, a failure ends the stream or the connection; nothing is ever
//! spliced into a body.

use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll};

use tokio::time::sleep_until;

use super::apart::apart;
use super::asked::{self, Asked};
use super::attempt::Carrier;
use super::deadlines::Waits;
use super::exchange::Exchange;
use super::flow::{Flow, Side};
use super::headers;
use super::lane::Lane;
use super::limits;
use super::request::Next;
use super::tunnel;
use crate::downstream::Client;
use crate::model::Failure;
use crate::observe::Record;
use crate::transport::Broken;
use crate::upstream::Upstream;
use crate::upstream::connect::Want;
use crate::upstream::pool;
use crate::wire::{Framing, Head};

/// Relays a response, and what is left of the upload.
pub async fn both(
    (mut head, mut exchange): (Head, Exchange<'_>),
    client: &mut Client<'_>,
    asked: Asked<'_>,
    record: &mut Record<'_>,
    lane: &Rc<Lane>,
) -> Next {
    record.status = head.status();
    record.first_byte_ms = Some(lane.millis_since(record.started));
    if exchange.framing == Framing::Tunnel {
        return apart(tunnel::run(head, exchange, client, asked, record, lane)).await;
    }
    // After a refused upgrade, what the client sent ahead in the new protocol is no request.
    let asked = if exchange.want == Want::Http1 { asked.closing() } else { asked };
    let edits = [&exchange.share.response, &exchange.forward.response];
    let values = exchange.values.as_deref();
    headers::inbound(&mut head, &lane.headers, edits, values, &lane.date());
    let (framing, next) = asked::frame(&mut head, exchange.framing, asked, lane);
    let begun = client.reply(&head, framing, &lane.buffers);
    lane.buffers.give_back_head(head.into_memory());
    let mut download = match framing {
        Framing::Empty => Flow::without_body(),
        _ => Flow::default(),
    };
    let ended = match begun {
        Ok(()) => bodies(&mut exchange, client, &mut download, lane).await,
        Err(broken) => Err(Cut::Client(broken)),
    };
    record.bytes_in = exchange.upload.bytes;
    record.bytes_out = download.bytes;
    match ended {
        Ok(Upload::Whole) => {
            check_in(exchange.carrier, exchange.upstream, lane);
            next
        }
        Ok(Upload::Unwanted) => Next::Close,
        Err(cut) => {
            // A head that still waits for its body goes out: a client that gets a reset and not a byte
            // may take it for a stale connection, and ask again.
            poll_fn(|cx| Poll::Ready(client.peer().poll_drain(cx, &lane.buffers).is_ready())).await;
            record.failed(&cut.into_failure());
            Next::Abort
        }
    }
}

/// How the upload stood when the response had ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Upload {
    /// All of it has arrived.
    Whole,
    /// The origin, or the client, wants no more of it: neither connection can be used again.
    Unwanted,
}

/// What ended a response before its end.
enum Cut {
    Client(Broken),
    Origin(Broken),
    /// The upload is too large, nothing moved for too long, or it took too long in all.
    Limit(Failure),
    Timeout,
}

impl Cut {
    fn into_failure(self) -> Failure {
        match self {
            Self::Client(Broken::Malformed(refusal)) => refusal.into(),
            Self::Client(_) => Failure::ClientGone,
            Self::Origin(Broken::Malformed(refusal)) => Failure::Malformed(refusal.reason().into()),
            Self::Origin(Broken::Violated(reason)) => Failure::Malformed(reason),
            Self::Origin(Broken::Closed) => Failure::Closed,
            Self::Origin(Broken::Aborted(reason) | Broken::Tls(reason)) => Failure::Aborted(reason),
            Self::Origin(Broken::Reset(reason) | Broken::Unprocessed(reason)) => {
                Failure::Reset(reason)
            }
            Self::Limit(failure) => failure,
            Self::Timeout => Failure::Timeout,
        }
    }
}

/// Moves both bodies until both have ended.
async fn bodies(
    exchange: &mut Exchange<'_>,
    client: &mut Client<'_>,
    download: &mut Flow,
    lane: &Rc<Lane>,
) -> Result<Upload, Cut> {
    let mut moved = exchange.upload.bytes + download.bytes;
    exchange.idle.arm(lane.limits.stream_idle, Waits::Busy);
    let until = exchange.until;
    let moving = poll_fn(|cx| {
        let polled = poll_bodies(cx, exchange, client, download, lane);
        if polled.is_pending() {
            let now_moved = exchange.upload.bytes + download.bytes;
            if now_moved != moved {
                moved = now_moved;
                exchange.idle.arm(lane.limits.stream_idle, Waits::Busy);
            }
            if exchange.idle.poll_over(cx).is_ready() {
                let failure = limits::stalled(exchange.idle.over(), &exchange.upload, lane);
                return Poll::Ready(match download.is_done() {
                    true => Ok(Upload::Unwanted),
                    false => Err(Cut::Limit(failure)),
                });
            }
        }
        polled
    });
    match until {
        None => moving.await,
        Some(at) => tokio::select! {
            biased;
            ended = moving => ended,
            () = sleep_until(at) => Err(Cut::Timeout),
        },
    }
}

fn poll_bodies(
    cx: &mut Context<'_>,
    exchange: &mut Exchange<'_>,
    client: &mut Client<'_>,
    download: &mut Flow,
    lane: &Lane,
) -> Poll<Result<Upload, Cut>> {
    match exchange.upload.poll(cx, client.peer(), exchange.carrier.peer(), &lane.buffers) {
        Poll::Ready(Err(Side::Sender(_))) if download.is_done() => exchange.upload.abandon(),
        Poll::Ready(Err(Side::Sender(broken))) => return Poll::Ready(Err(Cut::Client(broken))),
        Poll::Ready(Err(Side::Receiver(_))) => exchange.upload.abandon(),
        Poll::Ready(Err(Side::TooLarge)) => {
            return Poll::Ready(Err(Cut::Limit(limits::body_too_large(lane))));
        }
        Poll::Ready(Ok(())) | Poll::Pending => {}
    }
    match download.poll(cx, exchange.carrier.peer(), client.peer(), &lane.buffers) {
        Poll::Ready(Ok(())) if exchange.upload.is_whole() => Poll::Ready(Ok(Upload::Whole)),
        Poll::Ready(Ok(())) if exchange.upload.is_done() => Poll::Ready(Ok(Upload::Unwanted)),
        Poll::Ready(Ok(())) => Poll::Pending, // an early answer: the upload goes on
        Poll::Ready(Err(Side::Sender(broken))) => Poll::Ready(Err(Cut::Origin(broken))),
        Poll::Ready(Err(Side::Receiver(broken))) => Poll::Ready(Err(Cut::Client(broken))),
        // No limit is set on a response's body.
        Poll::Ready(Err(Side::TooLarge)) => {
            Poll::Ready(Err(Cut::Origin(Broken::Reset("its body is too large".into()))))
        }
        Poll::Pending if client.poll_gone(cx, &lane.buffers).is_ready() => {
            Poll::Ready(Err(Cut::Client(Broken::Closed)))
        }
        Poll::Pending => Poll::Pending,
    }
}

/// Gives the connection back to its pool, if that is still there and it may be used again.
pub fn check_in(carrier: Carrier, upstream: &Upstream, lane: &Lane) {
    if upstream.is_retired() {
        return; // dropped, it is closed
    }
    let policy = upstream.policy.load();
    let worn = |served| policy.requests_per_connection_max.is_some_and(|max| served >= max);
    let limits = upstream.limits();
    match carrier {
        Carrier::H2(stream) if worn(stream.shared.served()) => stream.shared.retire(),
        // Whoever has waited for longest is on another lane, and needs its place.
        Carrier::H1(_) if limits.is_some_and(|limits| limits.is_wanted_elsewhere()) => {}
        Carrier::H1(connection) if connection.is_reusable() && !worn(connection.served) => {
            pool::give_back(connection, policy.idle_timeout, lane.deadlines.now());
        }
        Carrier::H1(_) | Carrier::H2(_) => {}
    }
    if let Some(limits) = limits {
        limits.call_next();
    }
}
