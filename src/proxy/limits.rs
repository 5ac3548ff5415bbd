//! What reaching a limit comes to for a request: counted, and a failure with a row of its own.
//!
//! The values are settings. Limits of connections are kept where connections are.

use std::time::Duration;

use tokio::time::Instant;

use super::deadlines::Over;
use super::flow::Flow;
use super::lane::Lane;
use crate::downstream::Client;
use crate::model::{Failure, Limit, Refused};
use crate::quota::{Place, Quota};
use crate::transport::Broken;
use crate::upstream::Upstream;
use crate::wire::{Framing, Head, Persistence, Refusal, Version};

/// Refuses a request that is too much, or too large by what its head says.
pub fn admit(head: &Head, framing: Framing, lane: &Lane) -> Result<(), Failure> {
    let limits = &lane.limits;
    if lane.stats.borrow().requests_active() > u64::from(limits.requests) {
        lane.limit_reached(Limit::Requests, format_args!("a request is refused"));
        let reason = format!("{} requests are under way in this worker", limits.requests);
        return Err(Failure::Overloaded(reason));
    }
    if head.target().len() as u64 > limits.target_bytes {
        lane.stats.borrow_mut().limit_reached(Limit::TargetBytes);
        let details = match head.version() {
            Version::Http2 => "http2.target_too_long",
            _ => "http1.target_too_long",
        };
        return Err(Failure::Refused(Refused { status: 414, details }));
    }
    match framing {
        Framing::Length(length) if length > limits.body_bytes => Err(body_too_large(lane)),
        _ => Ok(()),
    }
}

/// The body is larger than allowed.
#[cold]
pub fn body_too_large(lane: &Lane) -> Failure {
    lane.stats.borrow_mut().limit_reached(Limit::BodyBytes);
    Failure::BodyTooLarge
}

/// Counts a client's message that is refused for its size or slowness.
#[cold]
pub fn client_refused(refusal: Refusal, lane: &Lane) {
    let limit = match refusal {
        Refusal::TooLarge => Limit::HeadBytes,
        Refusal::TooManyLines => Limit::Headers,
        Refusal::HeadTimeout => Limit::HeadTime,
        _ => return,
    };
    lane.stats.borrow_mut().limit_reached(limit);
}

/// Counts an origin's message that is refused for its size.
#[cold]
pub fn origin_broken(broken: &Broken, lane: &Lane) {
    let limit = match broken {
        Broken::Malformed(Refusal::TooLarge) => Limit::ResponseHeadBytes,
        Broken::Malformed(Refusal::TooManyLines) => Limit::ResponseHeaders,
        _ => return,
    };
    lane.stats.borrow_mut().limit_reached(limit);
}

/// An exchange in which nothing moved, or that took too long.
#[cold]
pub fn stalled(over: Over, upload: &Flow, lane: &Lane) -> Failure {
    let (limit, failure) = match (over, upload.is_done()) {
        (Over::End, true) => (Limit::ExchangeDuration, Failure::TooLong),
        (Over::End, false) => (Limit::ExchangeDuration, Failure::RequestTooLong),
        (_, true) => (Limit::StreamIdle, Failure::Idle),
        (_, false) => (Limit::StreamIdle, Failure::RequestIdle),
    };
    lane.stats.borrow_mut().limit_reached(limit);
    failure
}

/// A tunnel in which nothing moved, or that took too long.
#[cold]
pub fn tunnel_stalled(over: Over, lane: &Lane) -> Failure {
    let (limit, failure) = match over {
        Over::End => (Limit::ExchangeDuration, Failure::TooLong),
        Over::Idle | Over::Told => (Limit::TunnelIdle, Failure::Idle),
    };
    lane.stats.borrow_mut().limit_reached(limit);
    failure
}

/// A place among those who wait for a connection to an upstream, or for its first address.
pub fn wait_for(upstream: &Upstream, lane: &Lane) -> Result<Place, Failure> {
    let name = &upstream.key.name;
    let own = upstream.policy.load().limits.pending;
    let max = own.unwrap_or(u32::MAX).min(lane.limits.pending_requests);
    Quota::take(&upstream.pending, max).ok_or_else(|| {
        let what = format_args!("a request to {name} does not wait for a connection");
        lane.limit_reached(Limit::PendingRequests, what);
        Failure::Overloaded(format!("{max} requests wait for a connection to {name}"))
    })
}

/// Whether a client's connection may bring another request, as far as its age and its requests go.
/// HTTP/2 says it for a connection as a whole.
pub fn persistence(client: &Client<'_>, lane: &Lane) -> Persistence {
    let Client::H1(connection) = client else { return Persistence::Keep };
    let limit = if connection.requests >= lane.limits.connection_requests {
        Limit::ConnectionRequests
    } else if has_expired(connection.expires, lane) {
        Limit::ConnectionDuration
    } else {
        return Persistence::Keep;
    };
    lane.stats.borrow_mut().limit_reached(limit);
    Persistence::Close
}

/// When the age of a client's connection that begins now ends it; `None`: never.
pub fn expiry(lane: &Lane) -> Option<Instant> {
    lane.deadlines.now().checked_add(lane.limits.connection_duration)
}

/// Whether the age of a client's connection ends it.
pub fn has_expired(expires: Option<Instant>, lane: &Lane) -> bool {
    expires.is_some_and(|expires| expires <= lane.deadlines.now())
}

/// How long a client's connection is waited for without a request, its age considered.
pub fn patience(expires: Option<Instant>, lane: &Lane) -> Duration {
    let left = expires.map(|expires| expires.saturating_duration_since(lane.deadlines.now()));
    left.map_or(lane.limits.client_idle, |left| left.min(lane.limits.client_idle))
}
