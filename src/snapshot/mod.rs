//! A plan made ready for requests: a route table, and upstreams with what survives a reload.
//!
//! Building one reuses the `Upstream` of every key that the previous snapshot had: its connections, TLS
//! sessions, health and counters carry on. Nothing here knows where the plan came from.

pub mod condition;
pub mod cors;
pub mod materials;
pub mod publish;
pub mod rewrite;
pub mod routes;

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;

pub use condition::Asked;
pub use publish::{Current, Publisher};
pub use routes::{Destination, Found, Onward, RouteTable, Rule};

use crate::model::{Listener, Plan, UpstreamKey};
use crate::observe::StatPrefixes;
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
    pub upstreams: HashMap<Arc<UpstreamKey>, Arc<Upstream>, RandomState>,
    /// Those of them whose destination is the request's own host, by their ids.
    pub dynamic: HashMap<u32, Arc<Upstream>, RandomState>,
    /// The ids of all of them, in order.
    ids: Vec<u32>,
    /// What requests are counted by besides, now and before.
    pub stat_prefixes: StatPrefixes,
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
    /// Makes a plan share what it says of upstreams with those that are here and say the same, so that it
    /// is kept once.
    pub fn share_with(&self, plan: &mut Plan) {
        for spec in &mut plan.upstreams {
            let Some(upstream) = self.upstreams.get(&spec.key) else { continue };
            spec.key = Arc::clone(&upstream.key);
            let (policy, addressing) = (upstream.policy.load_full(), upstream.addressing());
            if policy == spec.policy {
                spec.policy = policy;
            }
            if addressing == spec.addressing {
                spec.addressing = addressing;
            }
        }
    }

    /// Makes a plan ready, reusing what the previous snapshot has of it, of which nothing is changed.
    pub fn build(plan: &Plan, previous: &Self, tls: &TlsContext) -> Self {
        let mut upstreams =
            HashMap::with_capacity_and_hasher(plan.upstreams.len(), RandomState::default());
        let mut by_index = Vec::with_capacity(plan.upstreams.len());
        for spec in &plan.upstreams {
            let known = previous.upstreams.get(&spec.key).filter(|known| known.can_adopt(spec));
            let upstream = known.map_or_else(|| Upstream::new(spec, tls), Arc::clone);
            by_index.push(Arc::clone(&upstream));
            upstreams.insert(Arc::clone(&upstream.key), upstream);
        }
        let mut ids: Vec<u32> = by_index.iter().map(|upstream| upstream.id).collect();
        ids.sort_unstable();
        let mut stat_prefixes = previous.stat_prefixes.clone();
        Self {
            generation: previous.generation + 1,
            listeners: plan.listeners.clone(),
            routes: RouteTable::build(plan, &by_index, &mut stat_prefixes),
            stat_prefixes,
            dynamic: by_index
                .into_iter()
                .filter(|upstream| upstream.names.is_some())
                .map(|upstream| (upstream.id, upstream))
                .collect(),
            upstreams,
            ids,
        }
    }

    /// Takes the place of the snapshot it was built beside, for what both share: upstreams that go on learn what
    /// the plan says of them, the others retire. Requests that are under way see that, so the snapshot is to be
    /// published at once.
    pub fn succeed(&self, previous: &Self, plan: &Plan) -> Changes {
        let mut changes = Changes::default();
        let same = |in_one: &Self, upstream: &Arc<Upstream>| {
            in_one.upstreams.get(&upstream.key).is_some_and(|other| Arc::ptr_eq(other, upstream))
        };
        for spec in &plan.upstreams {
            let upstream = &self.upstreams[&spec.key];
            if same(previous, upstream) {
                upstream.adopt(spec);
                changes.kept += 1;
            } else {
                changes.added += 1;
            }
        }
        for upstream in previous.upstreams.values().filter(|upstream| !same(self, upstream)) {
            upstream.retire();
            changes.removed += 1;
        }
        changes
    }

    /// Whether an upstream of this id is among them. A lane asks for those that it has connections to,
    /// which are few.
    pub fn has(&self, id: u32) -> bool {
        self.ids.binary_search(&id).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Addressing, Host, Policy, Protocol, Security, UpstreamSpec};

    fn plan(names: &[&str]) -> Plan {
        let spec = |name: &&str| UpstreamSpec {
            key: UpstreamKey {
                name: (*name).into(),
                host: Host::parse(name).expect("a host"),
                port: 80,
                security: Security::Plain,
                protocol: Protocol::Http1,
                proxy_protocol: None,
            }
            .into(),
            policy: Policy::default().into(),
            addressing: Addressing::Static(vec![([127, 0, 0, 1], 80).into()]).into(),
        };
        Plan { upstreams: names.iter().map(spec).collect(), ..Plan::default() }
    }

    #[test]
    fn an_upstream_lives_on_as_long_as_it_is_named() {
        let tls = TlsContext::new(&[]).expect("no files");
        let first = Snapshot::build(&plan(&["a.test", "b.test"]), &Snapshot::default(), &tls);
        let next = plan(&["b.test", "c.test"]);
        let second = Snapshot::build(&next, &first, &tls);
        assert!(!first.upstreams.values().any(|upstream| upstream.is_retired()), "not yet");
        let changes = second.succeed(&first, &next);
        assert_eq!(changes, Changes { kept: 1, added: 1, removed: 1 });
        for (key, upstream) in &first.upstreams {
            let kept = second.upstreams.get(key).is_some_and(|now| Arc::ptr_eq(now, upstream));
            assert_eq!(kept, key.name == "b.test");
            assert_eq!(upstream.is_retired(), key.name == "a.test");
        }
    }
}
