//! Whether what an attempt has come to is worth another one, and when that begins.
//!
//! A request of which something was sent is sent again only if that does no harm: its method is
//! idempotent, it bears an `Idempotency-Key`, or the route says so. Words and numbers are Envoy's (router
//! filter, `RetryStateImpl`).

use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::Instant;

use super::answer::{Again, Answered, Lost, Sent};
use super::attempt::Carrier;
use super::exchange::Order;
use super::flow::Flow;
use super::lane::Lane;
use super::places;
use crate::model::retry::{Resend, Retry, RetryOn, RetryOnSet};
use crate::model::{Failure, Forward};
use crate::observe::{Record, Retried};
use crate::wire::{Framing, Head, Name};

/// Attempts on fresh connections after reused ones turned out to be stale; they cost no retry.
const STALE_MAX: u32 = 3;
/// How many times as long as the first pause the longest is (Envoy's default).
const BACKOFF_GROWS_TO: u32 = 10;

/// The attempts at one request so far.
#[derive(Debug, Default)]
pub struct Tried {
    /// Attempts made again as the route says.
    retries: u32,
    /// Attempts made again at once.
    stale: u32,
    /// Whether only a connection that nobody has used will do.
    fresh: bool,
    /// The addresses they went to.
    hosts: Vec<SocketAddr>,
    /// Counts the request as one that is being tried again, until that has come to something.
    retrying: Option<places::Retry>,
}

impl Tried {
    /// Whether a connection that was idle has turned out to be stale, so that only a fresh one will do.
    pub fn needs_fresh(&self) -> bool {
        self.fresh
    }

    /// Whether an attempt went to this address.
    pub fn has_been_at(&self, address: SocketAddr) -> bool {
        self.hosts.contains(&address)
    }

    /// The pause before another attempt; `None`: what the last one has come to stands.
    pub fn again(
        &mut self,
        outcome: &Result<Answered, Lost>,
        order: &Order<'_, '_>,
        upload: &Flow,
        record: &mut Record<'_>,
        until: Option<Instant>,
        lane: &std::rc::Rc<Lane>,
    ) -> Option<Duration> {
        self.retrying = None;
        let retry = &order.forward.retry;
        let reason = match outcome {
            Ok(answered) => reason_to_answer(answered, order)?,
            Err(Lost { again: Again::Never, .. }) => return None,
            Err(Lost { again: Again::AtOnce(reason), .. }) if self.stale < STALE_MAX => {
                if !upload.can_begin_again() {
                    return None;
                }
                // Whoever was sent away by GOAWAY may share the next connection with others that were.
                self.fresh = *reason == Retried::Stale || self.stale > 0;
                self.stale += 1;
                lane.stats.borrow_mut().retried(*reason);
                return Some(Duration::ZERO);
            }
            Err(lost) => reason_to_lose(lost, order)?,
        };
        if self.retries >= retry.attempts {
            record.retries_exhausted = retry.attempts > 0;
            return None;
        }
        if !upload.can_begin_again() {
            return None;
        }
        let pause = backoff(retry.backoff, self.retries, lane.random.borrow_mut().f64());
        if until.is_some_and(|until| lane.clock() + pause >= until) {
            return None; // the answer that is there is better than the timeout
        }
        self.retrying = Some(places::retry(order.upstream, lane)?);
        self.retries += 1;
        self.hosts.extend(record.upstream_address);
        lane.stats.borrow_mut().retried(reason);
        Some(pause)
    }
}

/// A pause between nothing and a limit that doubles with each retry (full jitter); `chance` is from 0 to 1.
fn backoff(base: Duration, retries: u32, chance: f64) -> Duration {
    let limit = base.saturating_mul(1 << retries.min(8)).min(base.saturating_mul(BACKOFF_GROWS_TO));
    limit.mul_f64(chance)
}

/// Whether a request may be sent again after something of it was sent.
pub fn may_resend(head: &Head, forward: &Forward) -> bool {
    forward.retry.resend == Resend::Everything
        || is_idempotent(head.method())
        || head.find_named(b"idempotency-key").is_some()
}

/// Methods whose request may be sent twice (RFC 9110, section 9.2.2).
fn is_idempotent(method: &[u8]) -> bool {
    matches!(method, b"GET" | b"HEAD" | b"OPTIONS" | b"TRACE" | b"PUT" | b"DELETE")
}

/// Whether the body of a request has to be kept, since an attempt over this connection may have to be made
/// again after some of it was taken.
pub fn needs_tape(carrier: &Carrier, order: &Order<'_, '_>) -> bool {
    if order.framing == Framing::Empty {
        return false;
    }
    match carrier {
        // A stream can be refused, unprocessed, at any time.
        Carrier::H2(_) => true,
        Carrier::H1(_) => {
            (order.forward.retry.reaches_what_was_sent() || carrier.was_used_before())
                && may_resend(order.head, order.forward)
        }
    }
}

/// Why an attempt that failed is worth another one, if it is.
fn reason_to_lose(lost: &Lost, order: &Order<'_, '_>) -> Option<Retried> {
    let on = order.forward.retry.on;
    let safe = lost.sent == Sent::Nothing || may_resend(order.head, order.forward);
    let no_response = on.any(&[RetryOn::ServerError, RetryOn::GatewayError, RetryOn::Reset])
        || lost.sent == Sent::Nothing && on.any(&[RetryOn::ResetBeforeRequest]);
    let (wanted, reason) = match &lost.failure {
        Failure::Connect(_)
        | Failure::Unroutable(_)
        | Failure::ConnectTimeout(_)
        | Failure::Certificate(_)
        | Failure::Handshake(_)
            if lost.sent == Sent::Nothing =>
        {
            (no_response || on.any(&[RetryOn::ConnectFailure]), Retried::ConnectFailure)
        }
        Failure::RefusedStream(_) => {
            (no_response || on.any(&[RetryOn::RefusedStream]), Retried::RefusedStream)
        }
        Failure::Closed
        | Failure::Aborted(_)
        | Failure::Reset(_)
        | Failure::Handshake(_)
        | Failure::Malformed(_)
        | Failure::Misframed { .. } => (no_response, Retried::Reset),
        Failure::AttemptTimeout => (no_response, Retried::Timeout),
        _ => return None,
    };
    (safe && wanted).then_some(reason)
}

/// Why a response is worth another attempt, if it is. Most responses are not even looked into.
fn reason_to_answer(answered: &Answered, order: &Order<'_, '_>) -> Option<Retried> {
    let retry = &order.forward.retry;
    let status = answered.head.status();
    let speaks_grpc = matches!(answered.carrier, Carrier::H2(_));
    if status < 400 && !speaks_grpc && retry.statuses.is_empty() || retry.attempts == 0 {
        return None;
    }
    if answered.framing == Framing::Tunnel {
        return None;
    }
    if wants_status(retry, &answered.head, status) {
        return may_resend(order.head, order.forward).then_some(Retried::Status);
    }
    // Whoever writes gRPC's conditions means its requests, all of which are POSTs; the default does not.
    grpc_condition(&answered.head).filter(|condition| retry.on.any(&[*condition]))?;
    let meant = retry.on != RetryOnSet::DEFAULT || may_resend(order.head, order.forward);
    (meant && speaks_grpc).then_some(Retried::GrpcStatus)
}

fn wants_status(retry: &Retry, head: &Head, status: u16) -> bool {
    if status >= 400 && head.find(Name::XEnvoy).is_some() && is_rate_limited(head) {
        return retry.on.any(&[RetryOn::RateLimited]);
    }
    let wants = |condition| retry.on.any(&[condition]);
    match status {
        502..=504 if wants(RetryOn::GatewayError) => true,
        500..=599 if wants(RetryOn::ServerError) => true,
        409 if wants(RetryOn::Conflict) => true,
        _ => wants(RetryOn::Statuses) && retry.statuses.contains(&status),
    }
}

fn is_rate_limited(head: &Head) -> bool {
    head.find_named(b"x-envoy-ratelimited").is_some()
}

/// The condition that the `grpc-status` of a response without messages fulfils.
fn grpc_condition(head: &Head) -> Option<RetryOn> {
    let is_grpc = |value: &[u8]| value.starts_with(b"application/grpc");
    if !head.find(Name::ContentType).is_some_and(is_grpc) {
        return None;
    }
    RetryOn::of_grpc_status(head.find_named(b"grpc-status")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_ten_times_the_first() {
        let limits = |base| (0..6).map(move |retries| backoff(base, retries, 1.0).as_millis());
        let base = Retry::BACKOFF;
        assert!(limits(base).eq([25, 50, 100, 200, 250, 250]));
        assert!(limits(Duration::from_secs(1)).eq([1000, 2000, 4000, 8000, 10_000, 10_000]));
        assert_eq!(backoff(base, 3, 0.0), Duration::ZERO);
        assert_eq!(backoff(base, 3, 0.5), Duration::from_millis(100));
        assert_eq!(backoff(base, u32::MAX, 1.0), Duration::from_millis(250));
    }
}
