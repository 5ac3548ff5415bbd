//! Whether one more client connection is let in: a count over all lanes, and one for each listener.
//!
//! It accepts and closes nothing; that is the listener's business.

use std::sync::Arc;

use crate::model::Limit;
use crate::quota::{Place, Quota};
use crate::settings::Limits;

/// The counts that a listener's connections go by; the same in every lane.
#[derive(Debug, Clone)]
pub struct Admission(Arc<Counts>);

#[derive(Debug)]
struct Counts {
    all: Arc<Quota>,
    listener: Quota,
}

/// A connection that was let in; its places are free again when it is dropped. Two pointers: each idle
/// connection holds it.
#[derive(Debug)]
pub struct Admitted {
    counts: Arc<Counts>,
    _of_lane: Place,
}

impl Admission {
    /// For one more listener, beside others that are counted in `all`.
    pub fn new(all: &Arc<Quota>) -> Self {
        Self(Arc::new(Counts { all: Arc::clone(all), listener: Quota::default() }))
    }

    /// Lets a connection in, as one of a lane's. Errors: the limit that keeps it out.
    pub fn admit(&self, limits: &Limits, of_lane: &Arc<Quota>) -> Result<Admitted, Limit> {
        let Counts { all, listener } = &*self.0;
        if !all.enter(limits.connections.unwrap_or(u32::MAX)) {
            return Err(Limit::Connections);
        }
        if !listener.enter(limits.listener_connections.unwrap_or(u32::MAX)) {
            all.leave();
            return Err(Limit::ListenerConnections);
        }
        Ok(Admitted { counts: Arc::clone(&self.0), _of_lane: Quota::count(of_lane) })
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.counts.all.leave();
        self.counts.listener.leave();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_listener_has_its_own_count_within_that_of_all() {
        let limits =
            Limits { connections: Some(3), listener_connections: Some(2), ..Limits::default() };
        let (all, lane) = (Arc::default(), Arc::default());
        let (one, other) = (Admission::new(&all), Admission::new(&all));
        let mut inside = vec![one.admit(&limits, &lane), one.clone().admit(&limits, &lane)];
        assert_eq!(one.admit(&limits, &lane).err(), Some(Limit::ListenerConnections));
        inside.push(other.admit(&limits, &lane));
        assert!(inside.iter().all(Result::is_ok));
        assert_eq!(other.admit(&limits, &lane).err(), Some(Limit::Connections));
        drop(inside);
        assert_eq!((all.taken(), lane.taken()), (0, 0));
        assert!(other.admit(&limits, &lane).is_ok());
    }
}
