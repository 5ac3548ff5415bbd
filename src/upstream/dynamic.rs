//! The names of an upstream whose destination is the request's own host: each with endpoints of its own,
//! looked up when somebody first asks for it, and forgotten when nobody does.
//!
//! Reading takes no lock. When to look up again is decided in `freshness`, which addresses may be dialled
//! in `guard`.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use foldhash::fast::RandomState;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::Upstream;
use super::dns::{Answer, ResolveError};
use super::endpoints::{self, ENDPOINTS_MAX, EndpointSet, Known, Lookups};
use super::guard::{Chosen, Guard, classify};
use crate::model::{Failure, Host, Target};

/// Names of one upstream at a time.
const NAMES_MAX: usize = 1024;
/// How long a name is kept that nobody asks for.
const IDLE_MAX: Duration = Duration::from_secs(300);
/// How often idle names are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(10);

/// The names that are asked for, or were a while ago.
pub struct Names {
    /// Every name lies under this one.
    under: Host,
    /// The port that is dialled.
    port: u16,
    table: ArcSwap<Table>,
    /// Held by whoever replaces the table, which is copied for it.
    changing: Mutex<()>,
    /// Rung when a name is new; the same that tells of the upstream's end.
    changed: Arc<Notify>,
    begun: Instant,
}

type Table = HashMap<Host, Arc<Entry>, RandomState>;

/// One name.
pub struct Entry {
    /// What it resolves to, without what the guard refuses.
    pub endpoints: EndpointSet,
    /// When it was last asked for, in seconds since the table was made.
    used: AtomicU64,
}

impl Entry {
    /// Whether somebody waits for its addresses or has a request under way to one.
    fn is_in_use(&self) -> bool {
        match &**self.endpoints.load() {
            Known::Pending => true,
            Known::Ready(_) | Known::Failed(_) => self.requests_active() > 0,
        }
    }

    fn requests_active(&self) -> u64 {
        let Known::Ready(known) = &**self.endpoints.load() else { return 0 };
        known.list.iter().map(|endpoint| u64::from(endpoint.active.load(Ordering::Relaxed))).sum()
    }
}

impl Names {
    /// No name yet; `changed` wakes the task that looks them up.
    pub(super) fn new(under: Host, port: u16, changed: Arc<Notify>) -> Self {
        let (table, changing, begun) = (ArcSwap::default(), Mutex::new(()), Instant::now());
        Self { under, port, table, changing, changed, begun }
    }

    /// The port that is dialled for every name.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The name's endpoints, perhaps not known yet. `host` is in lower case and without a trailing dot.
    ///
    /// Errors: `Prohibited` for an address, however it is spelled, and for a host that is not under the
    /// upstream's; `NamesOverflow`.
    pub fn find(&self, host: &str, now: Instant) -> Result<Arc<Entry>, Failure> {
        let used = now.saturating_duration_since(self.begun).as_secs();
        if let Some(entry) = self.table.load().get(host) {
            // Of the same second it is known already, and need not be told to other cores again.
            if entry.used.load(Ordering::Relaxed) < used {
                entry.used.store(used, Ordering::Relaxed);
            }
            return Ok(Arc::clone(entry));
        }
        self.add(self.admit(host)?, used)
    }

    /// Whether a name may be asked for at all.
    ///
    /// Errors: `Prohibited`.
    pub fn admit(&self, host: &str) -> Result<Host, Failure> {
        let refuse = |why: String| Err(Failure::Prohibited(why));
        if is_address(host) {
            return refuse(format!("{host} is an address; this route leads to names alone"));
        }
        match Host::parse(host) {
            Ok(name) if is_under(host, self.under.as_str()) => Ok(name),
            _ => refuse(format!("{host} is not under *.{}", self.under)),
        }
    }

    /// Whether the name is known, so that connections for it are worth keeping.
    pub fn knows(&self, host: &str) -> bool {
        self.table.load().contains_key(host)
    }

    /// Requests under way to any of the names.
    pub fn requests_active(&self) -> u64 {
        self.table.load().values().map(|entry| entry.requests_active()).sum()
    }

    /// Every name and what is known of it, in the order of the names.
    pub fn all(&self) -> Vec<(Host, Arc<Entry>)> {
        let table = self.table.load();
        let mut all: Vec<_> =
            table.iter().map(|(host, entry)| (host.clone(), Arc::clone(entry))).collect();
        all.sort_by(|one, other| one.0.cmp(&other.0));
        all
    }

    /// Adds a name; where there are too many, that one goes which was not asked for the longest.
    fn add(&self, host: Host, used: u64) -> Result<Arc<Entry>, Failure> {
        let _alone = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let known = self.table.load();
        if let Some(entry) = known.get(&host) {
            return Ok(Arc::clone(entry)); // another lane was faster
        }
        let oldest = match known.len() < NAMES_MAX {
            true => None,
            false => Some(self.least_used(&known)?),
        };
        let mut table = Table::clone(&known);
        if let Some(oldest) = oldest {
            table.remove(&oldest);
        }
        let entry =
            Arc::new(Entry { endpoints: EndpointSet::pending(), used: AtomicU64::new(used) });
        table.insert(host, Arc::clone(&entry));
        self.table.store(Arc::new(table));
        self.changed.notify_one();
        Ok(entry)
    }

    /// The name that was not asked for the longest, of those that are not in use.
    fn least_used(&self, table: &Table) -> Result<Host, Failure> {
        let idle = table.iter().filter(|(_, entry)| !entry.is_in_use());
        let oldest = idle.min_by_key(|(_, entry)| entry.used.load(Ordering::Relaxed));
        oldest.map(|(host, _)| host.clone()).ok_or_else(|| {
            Failure::NamesOverflow(format!("{NAMES_MAX} names under *.{} are in use", self.under))
        })
    }

    /// Forgets names that nobody has asked for in a while.
    fn forget_idle(&self) {
        let idle = Instant::now().saturating_duration_since(self.begun + IDLE_MAX).as_secs();
        self.forget(|_, entry| entry.used.load(Ordering::Relaxed) < idle);
    }

    /// Forgets names for which this says so, unless they are in use.
    fn forget(&self, is_over: impl Fn(&Host, &Entry) -> bool) {
        let is_over = |host: &Host, entry: &Entry| is_over(host, entry) && !entry.is_in_use();
        if !self.table.load().iter().any(|(host, entry)| is_over(host, entry)) {
            return;
        }
        let _alone = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut table = Table::clone(&self.table.load());
        table.retain(|host, entry| !is_over(host, entry));
        self.table.store(Arc::new(table));
    }
}

/// Whether a host is an address in any spelling that a resolver may take for one: a last label that is a
/// number, in whatever base, is no top-level domain (WHATWG URL, "ends in a number").
fn is_address(host: &str) -> bool {
    let last = host.rsplit('.').next().unwrap_or_default();
    let digits = last.strip_prefix("0x");
    let is_number = match digits {
        Some(digits) => digits.bytes().all(|digit| digit.is_ascii_hexdigit()),
        None => !last.is_empty() && last.bytes().all(|digit| digit.is_ascii_digit()),
    };
    is_number || host.contains(':')
}

fn is_under(host: &str, under: &str) -> bool {
    let front = host.strip_suffix(under).and_then(|front| front.strip_suffix('.'));
    front.is_some_and(|front| !front.is_empty())
}

/// A name that is being followed.
struct Followed {
    entry: Arc<Entry>,
    name: endpoints::Name,
}

/// Looks names up as they are asked for, and keeps them fresh until nobody asks; ends with the upstream.
pub(super) async fn follow(upstream: Weak<Upstream>, changed: Arc<Notify>, lookups: &Lookups) {
    let mut followed: HashMap<Host, Followed> = HashMap::new();
    let mut under_way: JoinSet<(Host, Result<Answer, ResolveError>)> = JoinSet::new();
    let mut sweep = Instant::now() + SWEEP_EVERY;
    loop {
        let Some(upstream_now) = upstream.upgrade() else { return };
        let Some(names) = &upstream_now.names else { return };
        if sweep <= Instant::now() {
            sweep = Instant::now() + SWEEP_EVERY;
            names.forget_idle();
        }
        take_up(names, &mut followed, &upstream_now, lookups);
        for (host, followed) in &mut followed {
            if followed.name.due.is_some_and(|due| due <= Instant::now()) {
                followed.name.due = None;
                let (resolver, host) = (Arc::clone(&lookups.resolver), host.clone());
                let asked = followed.name.target.host.clone();
                under_way.spawn(async move { (host, resolver.resolve(&asked).await) });
            }
        }
        drop(upstream_now); // not held while we wait
        let due = followed.values().filter_map(|followed| followed.name.due).min();
        tokio::select! {
            Some(ended) = under_way.join_next() => {
                let Ok((host, outcome)) = ended else { return }; // the runtime is shutting down
                let Some(upstream) = upstream.upgrade() else { return };
                let Some(followed) = followed.get_mut(&host) else { continue }; // forgotten meanwhile
                let name = &mut followed.name;
                let after = name.freshness.learn(outcome, Instant::now());
                name.due = Some(Instant::now() + endpoints::jittered(after));
                followed.publish(&host, &upstream, &lookups.guard);
            }
            () = tokio::time::sleep_until(due.map_or(sweep, |due| due.min(sweep))) => {}
            () = changed.notified() => {}
        }
    }
}

/// Begins with names that are new and ends with those that are gone. One without any address is gone when
/// it is due again: whoever still wants it asks anew.
fn take_up(
    names: &Names,
    followed: &mut HashMap<Host, Followed>,
    upstream: &Upstream,
    lookups: &Lookups,
) {
    let now = Instant::now();
    names.forget(|host, _| {
        followed.get(host).is_some_and(|Followed { name, .. }| {
            name.due.is_some_and(|due| due <= now) && name.freshness.addresses(now).is_err()
        })
    });
    let table = names.table.load_full();
    // A name that was forgotten and is asked for again has another entry.
    followed.retain(|host, followed| {
        table.get(host).is_some_and(|entry| Arc::ptr_eq(entry, &followed.entry))
    });
    for (host, entry) in table.iter() {
        if followed.contains_key(host) {
            continue;
        }
        let target = Target { host: host.clone(), port: names.port };
        let name = endpoints::Name::new(lookups.overrides.apply(&target), 1, &lookups.overrides);
        let new = Followed { entry: Arc::clone(entry), name };
        new.publish(host, upstream, &lookups.guard);
        followed.insert(host.clone(), new);
    }
}

impl Followed {
    /// Publishes what may be dialled of the name's addresses, or why there are none, once it is known.
    fn publish(&self, host: &Host, upstream: &Upstream, guard: &Guard) {
        let (entry, name) = (&self.entry.endpoints, &self.name);
        let reason = match name.freshness.addresses(Instant::now()) {
            Ok(addresses) => {
                let (good, refused) = judged(addresses, name.target.port, guard);
                if let Some((ip, why)) = &refused {
                    upstream.warn_once(classify(*ip), || format!("{host}: {why}"));
                }
                return match refused {
                    Some((_, why)) if good.is_empty() => {
                        entry.publish_failure(Failure::Prohibited(format!("{host}: {why}")));
                    }
                    _ => entry.publish(&good),
                };
            }
            Err(reason) => reason,
        };
        match reason {
            Some(ResolveError::TimedOut(why)) => {
                entry.publish_failure(Failure::DynamicResolveTimeout(why.clone()));
            }
            Some(ResolveError::Denied(why) | ResolveError::Failed(why)) => {
                entry.publish_failure(Failure::DynamicUnresolved(why.clone()));
            }
            None => {} // no lookup has ended yet
        }
    }
}

/// The addresses that may be dialled, in an order of their own, and the last that may not, with the reason.
fn judged(
    addresses: &[IpAddr],
    port: u16,
    guard: &Guard,
) -> (Vec<SocketAddr>, Option<(IpAddr, String)>) {
    let mut refused = None;
    let mut good = Vec::with_capacity(addresses.len());
    for ip in addresses {
        let address = SocketAddr::new(*ip, port);
        match guard.check(address, Chosen::ByRequest) {
            Ok(()) => good.push(address),
            Err(failure) => refused = Some((*ip, failure.reason().to_owned())),
        }
    }
    good.sort_unstable(); // servers rotate their answers: an equal set must compare equal
    good.truncate(ENDPOINTS_MAX);
    (good, refused)
}

#[cfg(test)]
mod tests;
