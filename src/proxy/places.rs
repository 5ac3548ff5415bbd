//! Places that an upstream's own limits leave: for a request, for a connection, for another attempt.
//!
//! An upstream without such limits is told by one load. The gateway's own limits are in `limits`.

use std::rc::Rc;
use std::sync::Arc;

use tokio::time::timeout_at;

use super::lane::{Lane, Retrying};
use super::limits;
use crate::model::Failure;
use crate::quota::{Place, Quota};
use crate::upstream::Upstream;
use crate::upstream::limits::{ConnectionPlace, Limits, Ticket};
use crate::upstream::pool::Permit;

/// A place among an upstream's requests; `None`: nobody counts them.
///
/// Errors: `Overloaded`, when there is none left.
pub fn request(upstream: &Upstream) -> Result<Option<Place>, Failure> {
    let Some(limits) = upstream.limits() else { return Ok(None) };
    let Some(max) = upstream.policy.load().limits.requests else { return Ok(None) };
    let place = Quota::take(&limits.requests, max).ok_or_else(|| {
        Failure::Overloaded(format!("{max} requests to {} are under way", upstream.key.name))
    })?;
    Ok(Some(place))
}

/// Leave to try a request again: as the upstream's policy says or, where it says nothing, as the lane's own
/// budget does. `None`: enough are being tried again already.
pub fn retry(upstream: &Upstream, lane: &Rc<Lane>) -> Option<Retry> {
    let policy = upstream.policy.load();
    let Some(limits) = upstream.limits() else { return lane.begin_retry().map(Retry::OfLane) };
    let max = match (policy.retry_budget, policy.limits.retries) {
        // Envoy's budget goes before its `max_retries`.
        (Some(budget), _) => {
            let active = upstream.requests_active() + u64::from(upstream.pending.taken());
            let share = active.saturating_mul(budget.percent.into()) / 100;
            u32::try_from(share).unwrap_or(u32::MAX).max(budget.min)
        }
        (None, Some(max)) => max,
        (None, None) => return lane.begin_retry().map(Retry::OfLane),
    };
    Quota::take(&limits.retries, max).map(Retry::OfUpstream)
}

/// Counts a request that is being tried again while it lives.
#[derive(Debug)]
pub enum Retry {
    OfLane(Retrying),
    OfUpstream(Place),
}

/// One request's way to a connection of an upstream that may have so many.
pub struct Queue<'u> {
    upstream: &'u Upstream,
    /// With the maximum.
    limits: Option<(&'u Arc<Limits>, u32)>,
    ticket: Option<Ticket>,
    /// Counts it among those who wait, once it has to.
    waiting: Option<Place>,
}

/// What it takes to open a connection; all of it is given back when it is dropped.
#[derive(Debug, Default)]
pub struct Leave {
    /// Says that somebody opens one.
    pub permit: Option<Permit>,
    /// One of so many.
    pub connection: Option<ConnectionPlace>,
    /// One of those who wait.
    pub waiting: Option<Place>,
}

impl<'u> Queue<'u> {
    /// Not waiting yet.
    pub fn before(upstream: &'u Upstream) -> Self {
        let limits = upstream.limits().and_then(|limits| {
            let max = upstream.policy.load().limits.connections?;
            Some((limits, max))
        });
        Self { upstream, limits, ticket: None, waiting: None }
    }

    /// Whether others have waited for longer, so that an unused connection is theirs.
    pub fn is_behind(&self) -> bool {
        self.limits.is_some_and(|(limits, _)| !limits.is_turn(self.ticket.as_ref()))
    }

    /// Leave to open a connection; closes an unused one of this lane for it. `None`: not now.
    pub fn leave(&mut self, permit: Option<Permit>, lane: &Rc<Lane>) -> Option<Leave> {
        let mut leave = Leave { permit, connection: None, waiting: None };
        if let Some((limits, max)) = self.limits {
            if self.is_behind() {
                return None;
            }
            let place = Limits::connection(limits, max).or_else(|| {
                // What is unused here is for another name or address.
                let closed = lane.pools.borrow_mut().close_unused(self.upstream.id);
                if closed { Limits::connection(limits, max) } else { None }
            });
            leave.connection = Some(place?);
            give_up_when_wanted(self.upstream.id, limits, lane);
        }
        leave.waiting = self.waiting.take();
        Some(leave)
    }

    /// Counts the request among those who wait, once, until it has a connection.
    ///
    /// Errors: `Overloaded`, when enough wait already.
    pub fn count_as_waiting(&mut self, lane: &Lane) -> Result<(), Failure> {
        if self.waiting.is_none() {
            self.waiting = Some(limits::wait_for(self.upstream, lane)?);
        }
        Ok(())
    }

    /// Waits until it may be our turn.
    ///
    /// Errors: `Overloaded`, when enough wait already, or after the longest that nothing may move.
    pub async fn wait(&mut self, lane: &Lane) -> Result<(), Failure> {
        let Some((limits, max)) = self.limits else { return Ok(()) };
        self.count_as_waiting(lane)?;
        let ticket = self.ticket.get_or_insert_with(|| Limits::queue(limits));
        limits.want();
        let until = lane.clock() + lane.limits.stream_idle;
        timeout_at(until, ticket.called()).await.map_err(|_| {
            let name = &self.upstream.key.name;
            Failure::Overloaded(format!("none of {max} connections to {name} became free"))
        })
    }
}

/// Sees to it, once for each upstream and lane, that this lane gives up a connection when one is wanted on
/// another: nobody but the lane can.
fn give_up_when_wanted(upstream: u32, limits: &Arc<Limits>, lane: &Rc<Lane>) {
    if lane.gives_up.borrow_mut().insert(upstream, Arc::clone(limits)).is_some() {
        return;
    }
    let (limits, lane) = (Arc::clone(limits), Rc::downgrade(lane));
    tokio::task::spawn_local(async move {
        while limits.wanted().await {
            let Some(lane) = lane.upgrade() else { return };
            lane.pools.borrow_mut().give_up(upstream);
        }
        if let Some(lane) = lane.upgrade() {
            lane.gives_up.borrow_mut().remove(&upstream);
        }
    });
}
