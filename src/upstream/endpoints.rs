//! The live set of addresses of one upstream, and the task that keeps it fresh.
//!
//! Readers never wait for a lookup once there was an answer. When to look up again and when to stop
//! believing an old answer is decided in `freshness`.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{Notify, Semaphore};
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;

use super::Upstream;
use super::dns::{Answer, Resolve, ResolveError};
use super::dynamic;
use super::freshness::Freshness;
use super::guard::{self, Class, Guard};
use super::hash;
use super::health::Health;
use super::overrides::Overrides;
use crate::model::{Addressing, Failure, Host, Target};

/// Addresses of one upstream that are used at most; what a name answers beyond is left out.
pub(super) const ENDPOINTS_MAX: usize = 256;

/// Names that the configuration gives and that are looked up at once. A hundred thousand of them are due
/// together after a start: that would take gigabytes, and no server would answer all of them in time. Names
/// that a request waits for have no part in it.
const LOOKUPS_MAX: usize = 256;

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

/// What looking names up needs.
pub struct Lookups {
    pub resolver: Arc<dyn Resolve>,
    pub overrides: Arc<Overrides>,
    pub guard: Arc<Guard>,
    turns: Arc<Semaphore>,
}

impl Lookups {
    pub fn new(resolver: Arc<dyn Resolve>, overrides: Arc<Overrides>, guard: Arc<Guard>) -> Self {
        Self { resolver, overrides, guard, turns: Arc::new(Semaphore::new(LOOKUPS_MAX)) }
    }
}

/// Keeps the endpoints of one upstream fresh until the upstream is gone: looks its names up, publishes,
/// sleeps until the answer is old, and starts over when the addressing changed.
///
/// There may be a hundred thousand of these, mostly asleep: what one holds on to is kept small.
pub async fn keep_fresh(upstream: Weak<Upstream>, lookups: Arc<Lookups>) {
    let Some(changed) = upstream.upgrade().map(|upstream| Arc::clone(&upstream.changed)) else {
        return;
    };
    loop {
        let Some(now) = upstream.upgrade() else { return };
        if now.names.is_some() {
            drop(now);
            return Box::pin(dynamic::follow(upstream, changed, &lookups)).await;
        }
        let following = Following::begin(&now, &lookups);
        drop(now); // not held while we wait
        match following {
            None => changed.notified().await,
            Some(following) => tokio::select! {
                () = changed.notified() => {}
                () = following.forever(&upstream, &lookups) => return,
            },
        }
    }
}

impl Upstream {
    /// Whether it has names to be looked up and nobody does so yet; who asks has to, see [`keep_fresh`].
    pub fn begin_following(&self) -> bool {
        let has_names = match &*self.addressing() {
            Addressing::Dns(targets) => !targets.is_empty(),
            Addressing::LogicalDns(_) | Addressing::Dynamic(_) => true,
            Addressing::Static(_) | Addressing::Nowhere(_) => false,
        };
        has_names && !self.followed.swap(true, Ordering::Relaxed)
    }
}

/// One addressing, being followed.
struct Following {
    addressing: Arc<Addressing>,
    names: Vec<Name>,
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

impl Following {
    /// Begins with what an upstream's addressing says now; `None`: there is nothing to look up.
    fn begin(upstream: &Upstream, lookups: &Lookups) -> Option<Self> {
        let addressing = upstream.addressing();
        let targets = match &*addressing {
            Addressing::Dns(targets) if !targets.is_empty() => targets.as_slice(),
            Addressing::LogicalDns(target) => std::slice::from_ref(target),
            // What there is has been published.
            Addressing::Dns(_)
            | Addressing::Static(_)
            | Addressing::Dynamic(_)
            | Addressing::Nowhere(_) => return None,
        };
        let policy = upstream.policy.load();
        let overrides = &lookups.overrides;
        let name = |target| Name::new(overrides.apply(target), policy.weight(target), overrides);
        let names = targets.iter().map(name).collect();
        Some(Self { addressing, names })
    }

    /// Looks up what is due and publishes what comes; ends only when the upstream is gone.
    async fn forever(mut self, upstream: &Weak<Upstream>, lookups: &Lookups) {
        // Only there while lookups are under way.
        let mut under_way: Option<Box<JoinSet<Looked>>> = None;
        loop {
            let Some(upstream) = upstream.upgrade() else { return };
            self.publish(&upstream, &lookups.guard);
            drop(upstream); // not held while we wait
            let due = self.names.iter().filter_map(|name| name.due).min();
            tokio::select! {
                ended = poll_fn(|cx| poll_next(&mut under_way, cx)) => {
                    let Ok((index, outcome)) = ended else { return }; // the runtime is shutting down
                    let name = &mut self.names[index];
                    let after = name.freshness.learn(outcome, Instant::now());
                    name.due = Some(Instant::now() + jittered(after));
                }
                () = sleep_until(due) => {
                    let now = Instant::now();
                    for (index, name) in self.names.iter_mut().enumerate() {
                        if name.due.is_some_and(|due| due <= now) {
                            name.due = None;
                            let look = look_up(index, name.target.host.clone(), lookups);
                            under_way.get_or_insert_default().spawn(look);
                        }
                    }
                }
            }
        }
    }

    /// Publishes every address that is known, or the failure when all names have answered in vain.
    fn publish(&self, upstream: &Upstream, guard: &Guard) {
        if !Arc::ptr_eq(&upstream.addressing(), &self.addressing) {
            return; // about to start over; what we know is of the old addressing
        }
        let names = &self.names;
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
        let logical = matches!(*self.addressing, Addressing::LogicalDns(_));
        if !logical {
            addresses.sort_unstable(); // servers rotate their answers: an equal set must compare equal
        }
        addresses.truncate(ENDPOINTS_MAX);
        if !addresses.is_empty() {
            let plain: Vec<SocketAddr> = addresses.iter().map(|(address, _)| *address).collect();
            match logical {
                true => upstream.endpoints.publish_logical(&plain),
                false => upstream.endpoints.publish_weighted(&addresses),
            }
            if looked_up {
                upstream.warn_of_inside_addresses(&plain, guard);
            }
        } else if reasons.len() == names.len() {
            upstream.endpoints.publish_failure(unresolved(&reasons));
        }
    }
}

/// What a lookup came to, by the index of the name.
type Looked = (usize, Result<Answer, ResolveError>);

/// Looks a name up when it is its turn. What waits is small: the lookup itself begins then.
fn look_up(index: usize, host: Host, lookups: &Lookups) -> impl Future<Output = Looked> + use<> {
    let (resolver, turns) = (Arc::clone(&lookups.resolver), Arc::clone(&lookups.turns));
    async move {
        let _turn = turns.acquire().await; // never closed
        (index, resolver.resolve(&host).await)
    }
}

/// Waits for the next lookup that ends; for ever, when none is under way.
fn poll_next(
    under_way: &mut Option<Box<JoinSet<Looked>>>,
    cx: &mut Context<'_>,
) -> Poll<Result<Looked, JoinError>> {
    let Some(lookups) = under_way else { return Poll::Pending };
    let Some(ended) = ready!(lookups.poll_join_next(cx)) else { return Poll::Pending };
    if lookups.is_empty() {
        *under_way = None;
    }
    Poll::Ready(ended)
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
