//! Whether one more client connection is let in: a count over all lanes, and one for each listener.
//!
//! It accepts and closes nothing; that is the listener's business.

use std::sync::Arc;

use crate::model::Limit;
use crate::quota::{Place, Quota};
use crate::settings::Limits;

/// The counts that a listener's connections go by; the same in every lane.
#[derive(Debug, Clone)]
pub struct Admission {
    all: Arc<Quota>,
    listener: Arc<Quota>,
}

/// A connection that was let in; its places are free again when it is dropped.
#[derive(Debug)]
pub struct Admitted {
    _all: Place,
    _listener: Place,
}

impl Admission {
    /// For one more listener, beside others that are counted in `all`.
    pub fn new(all: &Arc<Quota>) -> Self {
        Self { all: Arc::clone(all), listener: Arc::default() }
    }

    /// Lets a connection in. Errors: the limit that keeps it out.
    pub fn admit(&self, limits: &Limits) -> Result<Admitted, Limit> {
        let take = |quota, max: Option<u32>| Quota::take(quota, max.unwrap_or(u32::MAX));
        let all = take(&self.all, limits.connections).ok_or(Limit::Connections)?;
        let listener = take(&self.listener, limits.listener_connections);
        let listener = listener.ok_or(Limit::ListenerConnections)?;
        Ok(Admitted { _all: all, _listener: listener })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_listener_has_its_own_count_within_that_of_all() {
        let limits =
            Limits { connections: Some(3), listener_connections: Some(2), ..Limits::default() };
        let all = Arc::default();
        let (one, other) = (Admission::new(&all), Admission::new(&all));
        let inside = [one.admit(&limits), one.clone().admit(&limits), other.admit(&limits)];
        assert!(inside.iter().all(Result::is_ok));
        assert_eq!(one.admit(&limits).err(), Some(Limit::ListenerConnections));
        assert_eq!(other.admit(&limits).err(), Some(Limit::Connections));
        drop(inside);
        assert_eq!(all.taken(), 0);
        assert!(other.admit(&limits).is_ok());
    }
}
