//! The live set of addresses of one upstream, and the task that keeps it fresh.
//!
//! Readers never wait for a lookup once there was an answer. When to look up again and when to stop
//! believing an old answer is decided in `freshness`.

use std::net::SocketAddr;
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Weak};
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
}

impl Endpoint {
    /// An endpoint without requests.
    pub fn new(address: SocketAddr) -> Self {
        Self { address, class: guard::classify(address.ip()), active: AtomicU32::new(0) }
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
}

impl Endpoints {
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
    /// Rung at each publication, for those who wait for the first.
    published: Notify,
}

impl EndpointSet {
    /// A set of which nothing is known yet.
    pub(super) fn pending() -> Self {
        Self { known: ArcSwap::from_pointee(Known::Pending), published: Notify::new() }
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
        self.replace(addresses, Reach::Each);
    }

    /// Makes these addresses (at least one) the addresses of one endpoint.
    pub fn publish_logical(&self, addresses: &[SocketAddr]) {
        self.replace(addresses, Reach::AsOne);
    }

    fn replace(&self, addresses: &[SocketAddr], reach: Reach) {
        let logical = reach == Reach::AsOne;
        let known = self.known.load();
        let before = match &**known {
            Known::Ready(endpoints) => Some(endpoints),
            Known::Pending | Known::Failed(_) => None,
        };
        let same = |old: &Arc<Endpoints>| {
            old.logical == logical && old.list.iter().map(|e| &e.address).eq(addresses.iter())
        };
        if before.is_some_and(same) {
            return;
        }
        let mut list: Vec<Arc<Endpoint>> = Vec::with_capacity(addresses.len());
        for address in addresses {
            if list.iter().any(|endpoint| endpoint.address == *address) {
                continue;
            }
            let old = before.and_then(|old| old.list.iter().find(|e| e.address == *address));
            list.push(old.cloned().unwrap_or_else(|| Arc::new(Endpoint::new(*address))));
        }
        self.store(Known::Ready(Arc::new(Endpoints { list, logical })));
    }

    /// Says that there is no endpoint, and why.
    pub fn publish_failure(&self, failure: Failure) {
        self.store(Known::Failed(failure));
    }

    fn store(&self, known: Known) {
        self.known.store(Arc::new(known));
        self.published.notify_waiters();
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
        let Some((addressing, changed)) =
            upstream.upgrade().map(|upstream| (upstream.addressing(), upstream.changed.clone()))
        else {
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
        let names = targets.iter().map(|target| Name::new(overrides.apply(target), &overrides));
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
    pub freshness: Freshness,
    /// When to look it up next; `None` while a lookup is under way, or when none is needed.
    pub due: Option<Instant>,
}

impl Name {
    pub fn new(target: Target, overrides: &Overrides) -> Self {
        let written = overrides.addresses(&target).or_else(|| target.host.ip().map(|ip| vec![ip]));
        match written {
            Some(addresses) => Self { target, freshness: Freshness::fixed(addresses), due: None },
            None => Self { target, freshness: Freshness::new(), due: Some(Instant::now()) },
        }
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
        let mut addresses = Vec::new();
        let mut reasons = Vec::new();
        let mut looked_up = false;
        let now = Instant::now();
        for name in names {
            match name.freshness.addresses(now) {
                Ok(known) => {
                    looked_up |= !name.freshness.is_fixed();
                    addresses.extend(known.iter().map(|ip| SocketAddr::new(*ip, name.target.port)));
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
            match self.logical {
                true => upstream.endpoints.publish_logical(&addresses),
                false => upstream.endpoints.publish(&addresses),
            }
            if looked_up {
                upstream.warn_of_inside_addresses(&addresses, self.guard);
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
mod tests;
