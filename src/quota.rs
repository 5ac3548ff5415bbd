//! How many of something there are, counted over all lanes, against a maximum.
//!
//! It costs two atomic operations a taker, so it is for connections and for those who wait, never for a
//! plain request.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// A shared count.
#[derive(Debug, Default)]
pub struct Quota {
    taken: AtomicU32,
}

/// One of the counted; its place is free again when it is dropped.
#[derive(Debug)]
pub struct Place(Arc<Quota>);

impl Quota {
    /// A place, or none when `max` are taken. The maximum may be another one each time.
    pub fn take(quota: &Arc<Self>, max: u32) -> Option<Place> {
        quota.enter(max).then(|| Place(Arc::clone(quota)))
    }

    /// A place without a maximum.
    pub fn count(quota: &Arc<Self>) -> Place {
        quota.taken.fetch_add(1, Ordering::Relaxed);
        Place(Arc::clone(quota))
    }

    /// Counts one more, unless `max` are there; who came in must [`Quota::leave`]. A [`Place`] does.
    pub fn enter(&self, max: u32) -> bool {
        let room = self.taken.fetch_add(1, Ordering::Relaxed) < max;
        if !room {
            self.leave();
        }
        room
    }

    /// Counts one less.
    pub fn leave(&self) {
        self.taken.fetch_sub(1, Ordering::Relaxed);
    }

    /// How many are taken now.
    pub fn taken(&self) -> u32 {
        self.taken.load(Ordering::Relaxed)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.leave();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_bounded_and_come_back() {
        let quota = Arc::new(Quota::default());
        let first = Quota::take(&quota, 2);
        let second = Quota::take(&quota, 2);
        assert!(first.is_some() && second.is_some());
        assert!(Quota::take(&quota, 2).is_none());
        assert!(Quota::take(&quota, 3).is_some(), "the maximum may have been raised");
        assert_eq!(quota.taken(), 2, "who was refused holds nothing");
        drop(first);
        assert!(Quota::take(&quota, 2).is_some());
    }
}
