//! The live set of addresses of one upstream, and the task that keeps it fresh.
//!
//! Readers never wait for a lookup once there was an answer. When to look up again and when to stop
//! believing an old answer is decided in `freshness`.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::Upstream;
use super::dns::{Answer, Resolve, ResolveError};
use super::dynamic::{self, Lookups};
use super::freshness::Freshness;
use super::guard::{self, Class, Guard};
use super::hash;
use super::health::Health;
use super::overrides::Overrides;
use crate::model::{Addressing, Failure, Target};

/// Addresses of one upstream that are used at most; what a name answers beyond is left out.
pub(super) const ENDPOINTS_MAX: usize = 256;

/// One address of an upstream. It stays the same object as long as the address stays in the set.
#[derive(Debug)]
pub struct Endpoint {
    /// Where to connect to.
    pub address: SocketAddr,
    /// What kind of network that is of.
    pub class: Class,
    /// Requests under way, over all lanes; whoever sends a request adds one and takes it back.
    pub active: AtomicU32,
    /// What keys are held against, see [`super::hash`].
    pub hash: u64,
    /// How requests to it have ended.
    pub health: Health,
    /// When it came to be known.
    pub since: Instant,
}

impl Endpoint {
    /// An endpoint without requests.
    pub fn new(address: SocketAddr) -> Self {
        Self {
            address,
            class: guard::classify(address.ip()),
            active: AtomicU32::new(0),
            hash: hash::of(address.to_string().as_bytes()),
            health: Health::default(),
            since: Instant::now(),
        }
    }
}

/// The addresses of an upstream at one moment; never empty.
#[derive(Debug)]
pub struct Endpoints {
    /// Every address, each once.
    pub list: Vec<Arc<Endpoint>>,
    /// The addresses are one endpoint (LOGICAL_DNS): any pooled connection will do, whatever its
    /// address, and the first address is the one for new connections.
    pub logical: bool,
    /// What each of them counts; empty: all the same.
    pub weights: Vec<u32>,
}

impl Endpoints {
    /// What the endpoint at an index counts.
    pub fn weight(&self, index: usize) -> u32 {
        self.weights.get(index).copied().unwrap_or(1)
    }

    /// The address that an endpoint's pool goes by. Of a logical endpoint the connections are those of
    /// one pool, whatever their addresses are.
    pub fn pool_address(&self, endpoint: &Endpoint) -> SocketAddr {
        let address = endpoint.address;
        if self.logical { ([0, 0, 0, 0], address.port()).into() } else { address }
    }
}

/// What is known of an upstream's addresses.
#[derive(Debug)]
pub enum Known {
    /// No lookup has ended yet.
    Pending,
    /// These can be dialled.
    Ready(Arc<Endpoints>),
    /// None: `Unresolved`, `ResolveTimeout` or `NoEndpoint`, or what a dynamic name fails with.
    Failed(Failure),
}

/// Whether addresses are endpoints of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    Each,
    AsOne,
}

/// The addresses of one upstream, as last published.
pub struct EndpointSet {
    known: ArcSwap<Known>,
    /// Endpoints that were ejected once and are not among them now: who comes back has its record still.
    /// Only whoever publishes takes the lock.
    remembered: Mutex<Vec<Arc<Endpoint>>>,
    /// Some of them may be ejected now. Mostly none is, and then this is all that a request looks at.
    pub(super) some_out: AtomicBool,
    /// Some of them may be new still, see [`super::warmup`].
    pub(super) some_new: AtomicBool,
    /// Rung at each publication, for those who wait for the first.
    published: Notify,
}

impl EndpointSet {
    /// A set of which nothing is known yet.
    pub(super) fn pending() -> Self {
        Self {
            known: ArcSwap::from_pointee(Known::Pending),
            remembered: Mutex::default(),
            some_out: AtomicBool::new(false),
            some_new: AtomicBool::new(false),
            published: Notify::new(),
        }
    }

    /// Whether no lookup has ended yet.
    pub fn is_pending(&self) -> bool {
        matches!(**self.known.load(), Known::Pending)
    }

    /// What is known now.
    pub fn load(&self) -> arc_swap::Guard<Arc<Known>> {
        self.known.load()
    }

    /// The endpoints; waits for the first answer (the caller bounds the time).
    pub async fn ready(&self) -> Result<Arc<Endpoints>, Failure> {
        loop {
            let mut published = std::pin::pin!(self.published.notified());
            published.as_mut().enable(); // before looking, so that no publication falls between
            match &**self.known.load() {
                Known::Ready(endpoints) => return Ok(endpoints.clone()),
                Known::Failed(failure) => return Err(failure.clone()),
                Known::Pending => {}
            }
            published.await;
        }
    }

    /// Makes each of these addresses (at least one) an endpoint; one that was there keeps its counters.
    pub fn publish(&self, addresses: &[SocketAddr]) {
        let addresses: Vec<_> = addresses.iter().map(|address| (*address, 1)).collect();
        self.publish_weighted(&addresses);
    }

    /// The same, each with what it counts.
    pub fn publish_weighted(&self, addresses: &[(SocketAddr, u32)]) {
        self.replace(addresses, Reach::Each);
    }

    /// Makes these addresses (at least one) the addresses of one endpoint.
    pub fn publish_logical(&self, addresses: &[SocketAddr]) {
        let addresses: Vec<_> = addresses.iter().map(|address| (*address, 1)).collect();
        self.replace(&addresses, Reach::AsOne);
    }

    fn replace(&self, addresses: &[(SocketAddr, u32)], reach: Reach) {
        let logical = reach == Reach::AsOne;
        let known = self.known.load();
        let before = match &**known {
            Known::Ready(endpoints) => Some(endpoints),
            Known::Pending | Known::Failed(_) => None,
        };
        let remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut list: Vec<Arc<Endpoint>> = Vec::with_capacity(addresses.len());
        let mut weights = Vec::new();
        for (address, weight) in addresses {
            if list.iter().any(|endpoint| endpoint.address == *address) {
                continue;
            }
            let mut known = before.iter().flat_map(|old| &old.list).chain(&remembered);
            let old = known.find(|endpoint| endpoint.address == *address);
            list.push(old.cloned().unwrap_or_else(|| Arc::new(Endpoint::new(*address))));
            weights.push(*weight);
        }
        if weights.iter().all(|weight| *weight == weights[0]) {
            weights = Vec::new();
        }
        if list.iter().any(|endpoint| endpoint.health.has_record()) {
            self.some_out.store(true, Ordering::Relaxed);
        }
        let addresses_of = |list: &[Arc<Endpoint>]| -> Vec<_> {
            list.iter().map(|endpoint| endpoint.address).collect()
        };
        let same = |old: &Arc<Endpoints>| {
            old.logical == logical
                && old.weights == weights
                && addresses_of(&old.list) == addresses_of(&list)
        };
        if !before.is_some_and(same) {
            self.store(Known::Ready(Arc::new(Endpoints { list, logical, weights })));
            self.some_new.store(true, Ordering::Relaxed); // once they can be found
        }
    }

    /// Says that there is no endpoint, and why.
    pub fn publish_failure(&self, failure: Failure) {
        self.store(Known::Failed(failure));
    }

    fn store(&self, known: Known) {
        self.remember(&known);
        self.known.store(Arc::new(known));
        self.published.notify_waiters();
    }
}

impl EndpointSet {
    /// Keeps the records of those who go, and forgets the oldest when there are too many.
    fn remember(&self, next: &Known) {
        let stays = |one: &Arc<Endpoint>| match next {
            Known::Ready(endpoints) => endpoints.list.iter().any(|next| Arc::ptr_eq(next, one)),
            Known::Pending | Known::Failed(_) => false,
        };
        let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        remembered.retain(|one| !stays(one));
        if let Known::Ready(before) = &**self.known.load() {
            let go = before.list.iter().filter(|one| one.health.has_record() && !stays(one));
            remembered.extend(go.cloned());
        }
        let excess = remembered.len().saturating_sub(ENDPOINTS_MAX);
        remembered.drain(..excess);
    }
}

/// Keeps the endpoints of one upstream fresh until the upstream is gone: looks its names up,
/// publishes, sleeps until the answer is old, and starts over when the addressing changed.
pub async fn keep_fresh(
    upstream: Weak<Upstream>,
    resolver: Arc<dyn Resolve>,
    overrides: Arc<Overrides>,
    guard: Arc<Guard>,
) {
    let is_dynamic = upstream.upgrade().filter(|upstream| upstream.names.is_some());
    if let Some(changed) = is_dynamic.map(|upstream| upstream.changed.clone()) {
        return dynamic::follow(upstream, changed, &Lookups { resolver, overrides, guard }).await;
    }
    loop {
        let Some((addressing, policy, changed)) = upstream.upgrade().map(|upstream| {
            (upstream.addressing(), upstream.policy.load_full(), upstream.changed.clone())
        }) else {
            return;
        };
        let (targets, logical) = match &*addressing {
            Addressing::Dns(targets) if !targets.is_empty() => (targets.clone(), false),
            Addressing::LogicalDns(target) => (vec![target.clone()], true),
            // There is nothing to look up; what there is has been published.
            Addressing::Dns(_)
            | Addressing::Static(_)
            | Addressing::Dynamic(_)
            | Addressing::Nowhere(_) => {
                changed.notified().await;
                continue;
            }
        };
        let names = targets
            .iter()
            .map(|target| Name::new(overrides.apply(target), policy.weight(target), &overrides));
        let following =
            Following { upstream: &upstream, addressing: &addressing, logical, guard: &guard };
        tokio::select! {
            () = changed.notified() => {}
            () = following.forever(names.collect(), &resolver) => return,
        }
    }
}

/// One addressing, being followed.
struct Following<'a> {
    upstream: &'a Weak<Upstream>,
    addressing: &'a Arc<Addressing>,
    logical: bool,
    guard: &'a Guard,
}

/// One name of an upstream and what is known of it.
pub(super) struct Name {
    pub target: Target,
    /// What each of its addresses counts.
    weight: u32,
    pub freshness: Freshness,
    /// When to look it up next; `None` while a lookup is under way, or when none is needed.
    pub due: Option<Instant>,
}

impl Name {
    pub fn new(target: Target, weight: u32, overrides: &Overrides) -> Self {
        let written = overrides.addresses(&target).or_else(|| target.host.ip().map(|ip| vec![ip]));
        let (freshness, due) = match written {
            Some(addresses) => (Freshness::fixed(addresses), None),
            None => (Freshness::new(), Some(Instant::now())),
        };
        Self { target, weight, freshness, due }
    }
}

impl Following<'_> {
    /// Looks up what is due and publishes what comes; ends only when the upstream is gone.
    async fn forever(&self, mut names: Vec<Name>, resolver: &Arc<dyn Resolve>) {
        let mut lookups: JoinSet<(usize, Result<Answer, ResolveError>)> = JoinSet::new();
        loop {
            let Some(upstream) = self.upstream.upgrade() else { return };
            self.publish(&upstream, &names);
            drop(upstream); // not held while we wait
            let due = names.iter().filter_map(|name| name.due).min();
            tokio::select! {
                Some(ended) = lookups.join_next() => {
                    let Ok((index, outcome)) = ended else { return }; // the runtime is shutting down
                    let name = &mut names[index];
                    let after = name.freshness.learn(outcome, Instant::now());
                    name.due = Some(Instant::now() + jittered(after));
                }
                () = sleep_until(due) => {
                    let now = Instant::now();
                    for (index, name) in names.iter_mut().enumerate() {
                        if name.due.is_some_and(|due| due <= now) {
                            name.due = None;
                            let (resolver, host) = (resolver.clone(), name.target.host.clone());
                            lookups.spawn(async move { (index, resolver.resolve(&host).await) });
                        }
                    }
                }
            }
        }
    }

    /// Publishes every address that is known, or the failure when all names have answered in vain.
    fn publish(&self, upstream: &Upstream, names: &[Name]) {
        if !Arc::ptr_eq(&upstream.addressing(), self.addressing) {
            return; // about to start over; what we know is of the old addressing
        }
        let mut addresses: Vec<(SocketAddr, u32)> = Vec::new();
        let mut reasons = Vec::new();
        let mut looked_up = false;
        let now = Instant::now();
        for name in names {
            match name.freshness.addresses(now) {
                Ok(known) => {
                    looked_up |= !name.freshness.is_fixed();
                    let port = name.target.port;
                    let found = known.iter().map(|ip| (SocketAddr::new(*ip, port), name.weight));
                    addresses.extend(found);
                }
                Err(Some(reason)) => reasons.push(reason),
                Err(None) => {}
            }
        }
        if !self.logical {
            addresses.sort_unstable(); // servers rotate their answers: an equal set must compare equal
        }
        addresses.truncate(ENDPOINTS_MAX);
        if !addresses.is_empty() {
            let plain: Vec<SocketAddr> = addresses.iter().map(|(address, _)| *address).collect();
            match self.logical {
                true => upstream.endpoints.publish_logical(&plain),
                false => upstream.endpoints.publish_weighted(&addresses),
            }
            if looked_up {
                upstream.warn_of_inside_addresses(&plain, self.guard);
            }
        } else if reasons.len() == names.len() {
            upstream.endpoints.publish_failure(unresolved(&reasons));
        }
    }
}

/// None of the names has an address, each for a reason of its own.
fn unresolved(reasons: &[&ResolveError]) -> Failure {
    let told = reasons.iter().map(|reason| reason.to_string()).collect::<Vec<_>>().join("; ");
    match reasons.iter().all(|reason| matches!(reason, ResolveError::TimedOut(_))) {
        true => Failure::ResolveTimeout(told),
        false => Failure::Unresolved(told),
    }
}

/// Adds up to a tenth, so that many names do not come due together; never subtracts, since a cache
/// on the way would only answer with the seconds that are left.
pub(super) fn jittered(after: Duration) -> Duration {
    after + after.mul_f64(fastrand::f64() / 10.0)
}

/// Sleeps until then; forever when there is nothing to wait for.
async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
pub(super) mod tests;
