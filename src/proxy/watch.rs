//! What an endpoint's record is told of a request: an answer, none, or nothing at all.
//!
//! Connections that could not be opened are told of where that fails. What follows from a record is
//! decided in `upstream::health`.

use crate::model::Failure;
use crate::observe::Record;
use crate::upstream::Upstream;
use crate::upstream::endpoints::{Endpoint, Known};
use crate::upstream::health::Event;

use super::answer::{Again, Answered, Lost};
use super::lane::Lane;

/// Tells of an attempt that went over a connection to this endpoint.
pub fn tell(
    upstream: &Upstream,
    endpoint: &Endpoint,
    outcome: &Result<Answered, Lost>,
    lane: &Lane,
) {
    let event = match outcome {
        Ok(answered) => Event::Answer(answered.head.status()),
        // A connection that had gone stale says nothing of the requests that it carried.
        Err(Lost { again: Again::AtOnce(_), .. }) => return,
        Err(lost) if is_the_origins(&lost.failure) => Event::Lost,
        Err(_) => return,
    };
    lane.connector.note(upstream, endpoint, event);
}

/// Tells of a request that the route's timeout ended, wherever its last attempt went.
pub fn tell_of_timeout(upstream: &Upstream, record: &Record<'_>, lane: &Lane) {
    let Known::Ready(endpoints) = &**upstream.endpoints.load() else { return };
    let mut list = endpoints.list.iter();
    if let Some(endpoint) = list.find(|one| Some(one.address) == record.upstream_address) {
        lane.connector.note(upstream, endpoint, Event::Lost);
    }
}

/// Whether a failure after the head was sent is one of the origin, or of the way to it.
fn is_the_origins(failure: &Failure) -> bool {
    matches!(
        failure,
        Failure::Closed
            | Failure::Aborted(_)
            | Failure::Reset(_)
            | Failure::Handshake(_)
            | Failure::Malformed(_)
            | Failure::Misframed { .. }
            | Failure::AttemptTimeout
            | Failure::Idle
    )
}
