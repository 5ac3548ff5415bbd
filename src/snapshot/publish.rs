//! How a snapshot reaches the lanes: one atomic swap, and a cached copy in each lane.

use std::sync::Arc;

use arc_swap::{ArcSwap, Cache};

use super::Snapshot;

/// The control side: puts a snapshot in force.
#[derive(Debug, Clone, Default)]
pub struct Publisher {
    shared: Arc<ArcSwap<Snapshot>>,
}

impl Publisher {
    /// Puts a snapshot in force: every request that begins from now on meets it.
    pub fn publish(&self, snapshot: Arc<Snapshot>) {
        self.shared.store(snapshot);
    }

    /// The snapshot in force.
    pub fn current(&self) -> Arc<Snapshot> {
        self.shared.load_full()
    }

    /// A lane's view of it.
    pub fn subscribe(&self) -> Current {
        Current { cache: Cache::new(Arc::clone(&self.shared)) }
    }
}

/// One lane's view: looking costs one atomic load while nothing has changed.
#[derive(Debug)]
pub struct Current {
    cache: Cache<Arc<ArcSwap<Snapshot>>, Arc<Snapshot>>,
}

impl Current {
    /// The snapshot in force.
    pub fn load(&mut self) -> &Arc<Snapshot> {
        self.cache.load()
    }
}
