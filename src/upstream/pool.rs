//! One lane's connections to origins: which one a request may have, and what becomes of it afterwards.
//!
//! A connection is in the pool, or in a request's hand, or gone. The pool does no I/O and owns no task;
//! time is passed in. Nothing is shared across names: the key bears the name that SNI and verification
//! depend on.

use std::cell::{Cell, RefCell, RefMut};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::{Rc, Weak};
use std::time::Duration;

use foldhash::fast::RandomState;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::connect::Want;
use super::tls::Alpn;
use super::{h1, h2, proxy_protocol};

/// Idle HTTP/1.1 connections kept to one endpoint by one lane; a further one is closed.
const IDLE_MAX: usize = 1024;

/// Whose connections these are: equal keys may share them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key<'k> {
    /// `Upstream::id`.
    pub upstream: u32,
    /// The name that SNI and verification depend on, and whom the origin is told that it is for; empty when
    /// that is nobody in particular.
    pub name: &'k str,
    /// The endpoint.
    pub address: SocketAddr,
}

/// The pool that a connection belongs to, as long as that exists.
#[derive(Debug)]
pub struct Home(Weak<RefCell<Pool>>);

impl Home {
    /// Offers an HTTP/2 connection to all further requests, until it has had none for `idle_timeout`.
    pub fn share(&self, shared: h2::Shared, idle_timeout: Duration) {
        if let Some(pool) = self.0.upgrade() {
            pool.borrow_mut().shared.push((shared, idle_timeout));
        }
    }
}

/// Takes a connection back to its pool for `idle_timeout` at most; it is closed when that is no more.
pub fn give_back(connection: Box<h1::Connection>, idle_timeout: Duration, now: Instant) {
    // An origin that says how long it keeps a connection means the moment it closes it: be earlier.
    let said = connection.kept_for.map(|kept| kept.saturating_sub(Duration::from_secs(1)));
    let keep = said.map_or(idle_timeout, |said| said.min(idle_timeout));
    let until = connection.expires.map_or(now + keep, |expires| expires.min(now + keep));
    if until > now
        && let Some(pool) = connection.home.0.upgrade()
    {
        pool.borrow_mut().idle.put(connection, until);
    }
}

/// What a request gets.
#[derive(Debug)]
pub enum Checkout {
    /// A connection that was used before, now the request's own.
    Reuse(Box<h1::Connection>),
    /// A connection it shares with others.
    Share(h2::Shared),
    /// Leave to open a new one.
    Connect(Permit),
    /// Somebody is opening one that will very likely do; look again when notified.
    Wait(Rc<Opening>),
}

/// How the opening of connections to one endpoint goes.
#[derive(Debug, Default)]
pub struct Opening {
    under_way: Cell<u32>,
    speaks: Cell<Option<Alpn>>,
    /// Told whenever an attempt has ended, well or not.
    pub ended: Notify,
}

/// Leave to open one connection. Dropping it says that the attempt is over.
#[derive(Debug)]
pub struct Permit(Rc<Opening>);

impl Permit {
    fn new(opening: &Rc<Opening>) -> Self {
        opening.under_way.set(opening.under_way.get() + 1);
        Self(Rc::clone(opening))
    }

    /// Notes what the origin turned out to speak.
    pub fn speaks(&self, alpn: Alpn) {
        self.0.speaks.set(Some(alpn));
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.under_way.set(self.0.under_way.get() - 1);
        self.0.ended.notify_waiters();
    }
}

/// All pools of one lane.
#[derive(Debug, Default)]
pub struct Pools {
    upstreams: HashMap<u32, Names, RandomState>,
}

/// The pools of one upstream: by the name that its connections depend on, one for each endpoint.
type Names = HashMap<Box<str>, Vec<Rc<RefCell<Pool>>>, RandomState>;

/// The connections to one endpoint under one name.
#[derive(Debug)]
struct Pool {
    address: SocketAddr,
    idle: Idle<Box<h1::Connection>>,
    /// With how long each may be without a request.
    shared: Vec<(h2::Shared, Duration)>,
    opening: Rc<Opening>,
}

impl Pools {
    /// A connection, or leave to open one. `alive` looks whether an idle connection still is.
    pub fn checkout(
        &mut self,
        key: Key<'_>,
        want: Want,
        now: Instant,
        alive: impl FnMut(&mut Box<h1::Connection>) -> bool,
    ) -> Checkout {
        self.pool(key).borrow_mut().checkout(want, now, alive)
    }

    /// The pool for connections with this key.
    pub fn home(&mut self, key: Key<'_>) -> Home {
        Home(Rc::downgrade(self.pool(key)))
    }

    /// Closes what has expired or died, and forgets what is empty.
    pub fn sweep(&mut self, now: Instant, mut alive: impl FnMut(&mut Box<h1::Connection>) -> bool) {
        for names in self.upstreams.values_mut() {
            for pools in names.values_mut() {
                pools.iter().for_each(|pool| pool.borrow_mut().sweep(now, &mut alive));
                // Connections in a request's hand want to come home.
                pools.retain(|pool| !pool.borrow().is_empty() || Rc::weak_count(pool) > 0);
            }
            names.retain(|_, pools| !pools.is_empty());
        }
        self.upstreams.retain(|_, names| !names.is_empty());
    }

    /// Drops the pools of names that are not known any more.
    pub fn retain_names(&mut self, mut knows: impl FnMut(u32, &str) -> bool) {
        for (upstream, names) in &mut self.upstreams {
            names.retain(|name, _| knows(*upstream, proxy_protocol::server_name(name)));
        }
    }

    /// Closes the longer unused half of all idle connections, to make room.
    pub fn relieve(&mut self) {
        for pool in self.upstreams.values().flat_map(HashMap::values).flatten() {
            let connections = &mut pool.borrow_mut().idle.connections;
            let half = connections.len().div_ceil(2);
            connections.drain(..half);
        }
    }

    /// Closes a connection of an upstream that nobody uses; whether there was one.
    pub fn close_unused(&mut self, upstream: u32) -> bool {
        self.pools_of(upstream).any(|mut pool| {
            if !pool.idle.connections.is_empty() {
                pool.idle.connections.remove(0);
                return true;
            }
            let unused = pool.shared.iter().position(|(shared, _)| shared.streams() == 0);
            unused.map(|index| pool.shared.remove(index).0.retire()).is_some()
        })
    }

    /// Closes a connection of an upstream, since it is wanted elsewhere. One that is shared ends with the
    /// last of its requests.
    pub fn give_up(&mut self, upstream: u32) {
        if !self.close_unused(upstream)
            && let Some(mut pool) = self.pools_of(upstream).find(|pool| !pool.shared.is_empty())
        {
            pool.shared.remove(0).0.retire();
        }
    }

    fn pools_of(&self, upstream: u32) -> impl Iterator<Item = RefMut<'_, Pool>> {
        let names = self.upstreams.get(&upstream).into_iter();
        let pools = names.flat_map(HashMap::values).flatten();
        pools.map(|pool| pool.borrow_mut())
    }

    /// Drops the pools of upstreams that are no more. HTTP/2 streams under way go on.
    pub fn retain(&mut self, mut lives: impl FnMut(u32) -> bool) {
        self.upstreams.retain(|upstream, _| lives(*upstream));
    }

    /// Idle connections, of all pools.
    pub fn idle(&self) -> usize {
        self.upstreams
            .values()
            .flat_map(HashMap::values)
            .flatten()
            .map(|pool| pool.borrow().idle.connections.len() + pool.borrow().shared.len())
            .sum()
    }

    fn pool(&mut self, key: Key<'_>) -> &Rc<RefCell<Pool>> {
        let names = self.upstreams.entry(key.upstream).or_default();
        if !names.contains_key(key.name) {
            names.insert(key.name.into(), Vec::new());
        }
        let pools = names.get_mut(key.name).expect("it is there by now");
        let is_it = |pool: &Rc<RefCell<Pool>>| pool.borrow().address == key.address;
        let index = pools.iter().position(is_it).unwrap_or_else(|| {
            pools.push(Rc::new(RefCell::new(Pool::new(key.address))));
            pools.len() - 1
        });
        &pools[index]
    }
}

impl Pool {
    fn new(address: SocketAddr) -> Self {
        Self { address, idle: Idle::default(), shared: Vec::new(), opening: Rc::default() }
    }

    fn checkout(
        &mut self,
        want: Want,
        now: Instant,
        alive: impl FnMut(&mut Box<h1::Connection>) -> bool,
    ) -> Checkout {
        if matches!(want, Want::Any | Want::ClientsHttp2) {
            self.shared.retain(|(shared, _)| !shared.is_over() && !shared.has_expired(now));
            let any = |fits: fn(&h2::Shared) -> bool| self.shared.iter().find(|(one, _)| fits(one));
            if let Some((shared, _)) =
                any(h2::Shared::has_room).or_else(|| any(h2::Shared::is_shut))
            {
                return Checkout::Share(shared.clone());
            }
        }
        if want != Want::ClientsHttp2
            && let Some(connection) = self.idle.take(now, alive)
        {
            return Checkout::Reuse(connection);
        }
        // While nobody knows what the origin speaks, the first answer is worth waiting for: it may be
        // one connection for all, and its TLS ticket makes the other handshakes short.
        let likely = match want {
            Want::Any => self.opening.speaks.get() != Some(Alpn::Http1),
            Want::ClientsHttp2 => true,
            Want::Http1 | Want::ClientsHttp1 => false,
        };
        if likely && self.opening.under_way.get() > 0 {
            return Checkout::Wait(Rc::clone(&self.opening));
        }
        Checkout::Connect(Permit::new(&self.opening))
    }

    fn sweep(&mut self, now: Instant, alive: &mut impl FnMut(&mut Box<h1::Connection>) -> bool) {
        self.idle.sweep(now, alive);
        let lives = |shared: &h2::Shared| !shared.is_over() && !shared.has_expired(now);
        self.shared.retain(|(shared, idle)| lives(shared) && !shared.is_idle(*idle, now));
    }

    fn is_empty(&self) -> bool {
        self.idle.connections.is_empty()
            && self.shared.is_empty()
            && Rc::strong_count(&self.opening) == 1
    }
}

/// Unused connections, the latest used first. Generic so that its rules can be tried without sockets.
#[derive(Debug)]
struct Idle<C> {
    /// With the moment each expires.
    connections: Vec<(C, Instant)>,
}

impl<C> Default for Idle<C> {
    fn default() -> Self {
        Self { connections: Vec::new() }
    }
}

impl<C> Idle<C> {
    /// The latest used connection that has neither expired nor died; those found so are dropped.
    fn take(&mut self, now: Instant, mut alive: impl FnMut(&mut C) -> bool) -> Option<C> {
        while let Some((mut connection, expires)) = self.connections.pop() {
            if now < expires && alive(&mut connection) {
                return Some(connection);
            }
        }
        None
    }

    fn put(&mut self, connection: C, expires: Instant) {
        if self.connections.len() < IDLE_MAX {
            self.connections.push((connection, expires));
        }
    }

    fn sweep(&mut self, now: Instant, mut alive: impl FnMut(&mut C) -> bool) {
        self.connections.retain_mut(|(connection, expires)| now < *expires && alive(connection));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    /// What a lane may do to a pool.
    #[derive(Debug, Clone)]
    enum Step {
        Take,
        Return(u64),
        Die(usize),
        Wait(u64),
        Sweep,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            3 => Just(Step::Take),
            3 => (1u64..100).prop_map(Step::Return),
            1 => (0usize..8).prop_map(Step::Die),
            2 => (0u64..60).prop_map(Step::Wait),
            1 => Just(Step::Sweep),
        ];
        proptest::collection::vec(step, 0..200)
    }

    proptest! {
        /// Whatever happens: nobody gets a connection that is dead, expired, or in another's hand.
        #[test]
        fn a_connection_has_one_owner_and_is_alive(steps in steps()) {
            let mut pool = Idle::default();
            let mut now = Instant::now();
            let mut expiry = HashMap::new();
            let (mut held, mut dead) = (Vec::new(), HashSet::new());
            let mut fresh = 0u32;
            for step in steps {
                match step {
                    Step::Take => {
                        let id = match pool.take(now, |id| !dead.contains(id)) {
                            Some(id) => {
                                prop_assert!(!dead.contains(&id), "{id} is dead");
                                prop_assert!(now < expiry[&id], "{id} has expired");
                                id
                            }
                            None => { fresh += 1; fresh }
                        };
                        prop_assert!(!held.contains(&id), "{id} has two owners");
                        held.push(id);
                    }
                    Step::Return(seconds) => if let Some(id) = held.pop() {
                        let expires = now + Duration::from_secs(seconds);
                        expiry.insert(id, expires);
                        pool.put(id, expires);
                    },
                    Step::Die(index) => if let Some((id, _)) = pool.connections.get(index) {
                        dead.insert(*id);
                    },
                    Step::Wait(seconds) => now += Duration::from_secs(seconds),
                    Step::Sweep => {
                        pool.sweep(now, |id| !dead.contains(id));
                        let live = |(id, expires): &(u32, Instant)| now < *expires && !dead.contains(id);
                        prop_assert!(pool.connections.iter().all(live));
                    }
                }
                prop_assert!(pool.connections.iter().all(|(id, _)| !held.contains(id)));
            }
        }
    }

    #[test]
    fn the_latest_used_is_taken_first_and_the_number_is_bounded() {
        let now = Instant::now();
        let expires = now + Duration::from_secs(1);
        let mut pool = Idle::default();
        (0..=IDLE_MAX).for_each(|id| pool.put(id, expires));
        assert_eq!(pool.connections.len(), IDLE_MAX);
        assert_eq!(pool.take(now, |_| true), Some(IDLE_MAX - 1));
        assert_eq!(pool.take(expires, |_| true), None);
    }
}
