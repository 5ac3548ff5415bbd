//! A plan made ready for requests: a route table, and upstreams with what survives a reload.
//!
//! Building one reuses the `Upstream` of every key that the previous snapshot had: its connections, TLS
//! sessions, health and counters carry on. Nothing here knows where the plan came from.

pub mod publish;
pub mod routes;

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;

pub use publish::{Current, Publisher};
pub use routes::{Found, Onward, RouteTable, Rule};

use crate::model::{Listener, Plan, UpstreamKey};
use crate::upstream::Upstream;
use crate::upstream::tls::TlsContext;

/// What a request meets: exactly one of these, from its head to its end.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// Counts the configurations that came into force; 0 is the empty one before the first.
    pub generation: u64,
    /// The listeners, in the plan's order.
    pub listeners: Vec<Listener>,
    /// Who gets what.
    pub routes: RouteTable,
    /// Every upstream by what makes it that one.
    pub upstreams: HashMap<UpstreamKey, Arc<Upstream>, RandomState>,
}

/// What a new snapshot changed, for the log.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Upstreams that went on.
    pub kept: usize,
    /// Upstreams that are new.
    pub added: usize,
    /// Upstreams that are no more.
    pub removed: usize,
}

impl Snapshot {
    /// Makes a plan ready, reusing what the previous snapshot has of it.
    pub fn build(plan: &Plan, previous: &Self, tls: &TlsContext) -> (Self, Changes) {
        let mut upstreams =
            HashMap::with_capacity_and_hasher(plan.upstreams.len(), RandomState::default());
        let mut by_index = Vec::with_capacity(plan.upstreams.len());
        let mut changes = Changes::default();
        for spec in &plan.upstreams {
            let upstream = match previous.upstreams.get(&spec.key) {
                Some(known) => {
                    known.adopt(spec);
                    changes.kept += 1;
                    Arc::clone(known)
                }
                None => {
                    changes.added += 1;
                    Upstream::new(spec, tls)
                }
            };
            by_index.push(Arc::clone(&upstream));
            upstreams.insert(spec.key.clone(), upstream);
        }
        changes.removed =
            previous.upstreams.keys().filter(|key| !upstreams.contains_key(*key)).count();
        let snapshot = Self {
            generation: previous.generation + 1,
            listeners: plan.listeners.clone(),
            routes: RouteTable::build(plan, &by_index),
            upstreams,
        };
        (snapshot, changes)
    }
}
