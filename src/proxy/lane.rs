//! A lane: everything that one core owns.
//!
//! Nothing here is shared with another core but what control publishes and what hangs on an upstream, so
//! there is no lock and no channel on a request's path. Borrows of its cells never cross an await.

use std::cell::{Cell, Ref, RefCell};
use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::clients::Newcomers;
use super::deadlines::Deadlines;
use super::serve::h2::Tasks;
use crate::model::{HeaderPolicy, Limit};
use crate::observe::{self, ClientEnd, LogBuffer, Noted, Record, RequestFacts, Stats, process};
use crate::settings::Limits;
use crate::snapshot::{Current, Snapshot};
use crate::transport::Buffers;
use crate::upstream;
use crate::upstream::connect::Connector;
use crate::upstream::pool::Pools;
use crate::wire::parse::HeadLimits;

/// How often a lane looks at its deadlines, pools and log.
pub const TICK: Duration = Duration::from_millis(500);

/// Hosts whose counters are copied in one go; takes some 10 us.
const HOSTS_AT_ONCE: usize = 64;

/// How often a lane says in its log that the same limit is reached.
const TOLD_EVERY: Duration = Duration::from_secs(60);

/// Requests that may always be tried again at once, however few are under way.
const RETRIES_MIN: u64 = 3;

/// How often at most the log tells of a client whose connection was ended.
const TELL_EVERY: Duration = Duration::from_secs(1);
/// Copies of requests that may be on their way to mirrors at once.
const MIRRORING_MAX: u32 = 1024;

/// How far a lane is on its way out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Taking all that comes.
    Serving,
    /// Still accepting, but each answer says that the connection ends with it.
    Draining,
    /// Accepting nothing more; what is idle is closed.
    Closing,
}

/// Whether clients find room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Crowded {
    Yes,
    No,
}

/// All that one core owns.
#[derive(Debug)]
pub struct Lane {
    /// Connections to origins.
    pub pools: RefCell<Pools>,
    /// Memory to lend.
    pub buffers: Buffers,
    /// How connections are opened.
    pub connector: Connector,
    /// Counters.
    pub stats: RefCell<Stats>,
    /// Deadlines.
    pub deadlines: Rc<Deadlines>,
    /// Limits.
    pub limits: Limits,
    /// Those of a request's head.
    pub request_head: HeadLimits,
    /// Those of a response's head.
    pub response_head: HeadLimits,
    /// What heads tell of clients and of this gateway.
    pub headers: HeaderPolicy,
    /// The name of this machine; empty: not known.
    pub hostname: String,
    /// Chance, for balancing and jitter.
    pub random: RefCell<fastrand::Rng>,
    /// Told when the phase changes.
    pub phase_changed: Notify,
    phase: Cell<Phase>,
    /// When the log was last told of a limit that is reached.
    told: RefCell<[Option<Instant>; Limit::ALL.len()]>,
    /// Whether a client was turned away since the last tick.
    crowded: Cell<Crowded>,
    /// Requests that are being tried again.
    retrying: Cell<u32>,
    /// Upstreams of which this lane gives up a connection when another lane wants one.
    pub gives_up: RefCell<HashMap<u32, Arc<upstream::limits::Limits>>>,
    /// Copies of requests on their way.
    mirroring: Cell<u32>,
    /// Clients that were let in.
    pub newcomers: Newcomers,
    /// Connections that keep what a request needs for their next one.
    pub pauses: Cell<usize>,
    /// Tasks that wait for a stream of an HTTP/2 client.
    pub stream_tasks: Tasks,
    /// The generation whose upstreams the pools were last held against.
    swept: Cell<u64>,
    warned_of_loop: Cell<bool>,
    /// The snapshot behind an `Rc` of the lane's own, so that a request that holds on to it counts up
    /// nothing that other cores share.
    #[expect(clippy::redundant_allocation, reason = "the outer count is this core's alone")]
    current: RefCell<(Current, Rc<Arc<Snapshot>>)>,
    /// When the log last told of a client whose connection was ended.
    told_of_client: Cell<Option<Instant>>,
    log: Option<RefCell<LogBuffer>>,
    date: RefCell<String>,
}

impl Lane {
    /// A lane that serves what `current` publishes; without `log` it writes no access log.
    pub fn new(
        mut current: Current,
        connector: Connector,
        limits: Limits,
        headers: HeaderPolicy,
        log: Option<LogBuffer>,
    ) -> Rc<Self> {
        let snapshot = Rc::new(Arc::clone(current.load()));
        let request_head = head_limits(limits.head_bytes, limits.headers);
        let response_head = head_limits(limits.response_head_bytes, limits.response_headers);
        Rc::new(Self {
            pools: RefCell::default(),
            buffers: Buffers::with_room_for(request_head.bytes.max(response_head.bytes)),
            connector,
            stats: RefCell::default(),
            deadlines: Deadlines::new(Instant::now()),
            limits,
            request_head,
            response_head,
            headers,
            hostname: process::hostname().unwrap_or_default(),
            random: RefCell::new(fastrand::Rng::new()),
            phase_changed: Notify::new(),
            phase: Cell::new(Phase::Serving),
            told: RefCell::new([None; Limit::ALL.len()]),
            crowded: Cell::new(Crowded::No),
            retrying: Cell::new(0),
            gives_up: RefCell::default(),
            mirroring: Cell::new(0),
            newcomers: Newcomers::default(),
            pauses: Cell::new(0),
            stream_tasks: Tasks::default(),
            swept: Cell::new(0),
            warned_of_loop: Cell::new(false),
            current: RefCell::new((current, snapshot)),
            told_of_client: Cell::new(None),
            log: log.map(RefCell::new),
            date: RefCell::new(observe::http_date()),
        })
    }

    /// The snapshot in force, for one request to hold on to. Counting it touches no other core.
    pub fn snapshot(&self) -> Rc<Arc<Snapshot>> {
        let (current, cached) = &mut *self.current.borrow_mut();
        let latest = current.load();
        if !Arc::ptr_eq(latest, cached) {
            *cached = Rc::new(Arc::clone(latest));
        }
        Rc::clone(cached)
    }

    /// The time, read anew: what is measured needs it, what merely waits goes by the tick.
    pub fn clock(&self) -> Instant {
        Instant::now()
    }

    /// The time for the access log; as of the last tick when there is none to read it.
    pub fn time_told(&self) -> Instant {
        if self.log.is_some() { self.clock() } else { self.deadlines.now() }
    }

    /// Leave to try a request again; none when a fifth of all requests, or three, are being tried
    /// again already (Envoy's retry budget).
    pub fn begin_retry(self: &Rc<Self>) -> Option<Retrying> {
        let active = self.stats.borrow().requests_active();
        if u64::from(self.retrying.get()) >= (active / 5).max(RETRIES_MIN) {
            return None;
        }
        self.retrying.set(self.retrying.get() + 1);
        Some(Retrying(Rc::clone(self)))
    }

    /// Leave to send a copy of a request; none when too many are on their way.
    pub fn begin_mirror(self: &Rc<Self>) -> Option<Mirroring> {
        if self.mirroring.get() >= MIRRORING_MAX {
            return None;
        }
        self.mirroring.set(self.mirroring.get() + 1);
        Some(Mirroring(Rc::clone(self)))
    }

    /// Counts that a limit was reached. Of those that say that the gateway is too small, the log is told,
    /// with `what` came of it.
    #[cold]
    pub fn limit_reached(&self, limit: Limit, what: fmt::Arguments<'_>) {
        self.stats.borrow_mut().limit_reached(limit);
        if !limit.is_capacity() {
            return;
        }
        let now = self.deadlines.now();
        let told = &mut self.told.borrow_mut()[limit as usize];
        if told.is_some_and(|told| now < told + TOLD_EVERY) {
            return;
        }
        *told = Some(now);
        let (name, value) = (limit.as_str(), self.limits.written(limit));
        tracing::warn!(
            "the limit {name}={value} is reached: {what}; raise it with --limits {name}=N if that is \
             ordinary load (said once a minute, counted in egret_limit_reached_total)"
        );
    }

    /// A client was turned away for want of room: at the next tick some of the idle ones make place.
    pub fn crowded(&self) {
        self.crowded.set(Crowded::Yes);
    }

    /// Says once what a request that has come around means.
    #[cold]
    pub fn warn_of_loop(&self) {
        if !self.warned_of_loop.replace(true) {
            let mark = &self.headers.loop_mark;
            tracing::warn!(
                "a request has come back to this gateway and is answered 508: it bears its mark {mark} \
                 (CDN-Loop) or its name (Via). Another proxy sends it here again; if that is a gateway \
                 before this one on purpose, give each its own --labels or --namespace, and --via"
            );
        }
    }

    /// How far the lane is on its way out.
    pub fn phase(&self) -> Phase {
        self.phase.get()
    }

    /// Goes on to a later phase.
    pub fn enter_phase(&self, phase: Phase) {
        if phase <= self.phase.get() {
            return;
        }
        self.phase.set(phase);
        self.phase_changed.notify_waiters();
        if phase == Phase::Closing {
            self.deadlines.expire_idle();
        }
    }

    /// Tells the log of a client whose connection was ended for what it did. Such clients come back at
    /// once and in numbers: one line in a while is enough, the counter has them all.
    pub fn tell_of_client(&self, client: SocketAddr, why: ClientEnd, what: &str) {
        let now = self.clock();
        let recent = self.told_of_client.get().is_some_and(|then| now - then < TELL_EVERY);
        let why = why.as_str();
        if recent {
            return tracing::debug!(%client, "connection ended, {why}: {what}");
        }
        self.told_of_client.set(Some(now));
        tracing::warn!("the connection of client {client} was ended, {why}: {what}");
    }

    /// What the log wants of a request's head, before it is edited; `None` when there is no log.
    pub fn note<'h>(&self, facts: impl FnOnce() -> RequestFacts<'h>) -> Option<Noted> {
        self.log.as_ref().map(|_| Noted::take(self.buffers.lend(), facts()))
    }

    /// A copy of the counters. It is made a few hosts at a time, so that no request waits for thousands.
    pub async fn stats(&self) -> Stats {
        let (mut stats, hosts) = self.stats.borrow_mut().without_hosts();
        for some in hosts.chunks(HOSTS_AT_ONCE) {
            self.stats.borrow().copy_hosts(some, &mut stats);
            tokio::task::yield_now().await;
        }
        stats.set_upstream_connections_closed(self.connector.closed.get());
        stats.ejections = std::array::from_fn(|reason| self.connector.ejections[reason].get());
        stats
    }

    /// Counts a finished request and writes its log line.
    pub fn observe(&self, record: &Record<'_>, noted: Option<Noted>) {
        let mut stats = self.stats.borrow_mut();
        match record.route {
            Some(host) => stats.request(host, record.status, record.flag),
            None => stats.request_unrouted(record.status, record.flag),
        }
        if let Some(slot) = record.stat_prefix {
            stats.by_prefix.count(slot, record.status, record.flag);
        }
        if let Some(token) = record.token {
            stats.failure(token);
        }
        stats.request_ended();
        stats.bytes_in += record.bytes_in;
        stats.bytes_out += record.bytes_out;
        drop(stats);
        if let (Some(log), Some(noted)) = (&self.log, noted) {
            log.borrow_mut().append(record, &noted, self.clock());
            self.buffers.give_back(noted.into_buffer());
        }
    }

    /// The `Date` of replies of our own (RFC 9110, section 6.6.1), as of the last tick.
    pub fn date(&self) -> Ref<'_, String> {
        self.date.borrow()
    }

    /// What is due now and then: deadlines, dead connections, waiting log lines.
    pub fn tick(&self, now: Instant) {
        *self.date.borrow_mut() = observe::http_date();
        self.deadlines.tick(now);
        if self.crowded.replace(Crowded::No) == Crowded::Yes {
            self.deadlines.expire_longest_idle();
        }
        let snapshot = self.snapshot();
        let mut pools = self.pools.borrow_mut();
        pools.sweep(now, |connection| connection.is_alive(&self.buffers));
        pools.retain_names(|upstream, host| {
            let names =
                snapshot.dynamic.get(&upstream).and_then(|upstream| upstream.names.as_ref());
            names.is_none_or(|names| names.knows(host))
        });
        if self.connector.is_full() {
            pools.relieve(); // other lanes may wait for the room that unused connections take
        }
        // Mostly that is done at once; nobody waits for longer than a tick if it was not.
        for (upstream, limits) in &*self.gives_up.borrow() {
            if limits.is_wanted_elsewhere() {
                pools.give_up(*upstream);
            }
        }
        if self.swept.replace(snapshot.generation) != snapshot.generation {
            pools.retain(|id| snapshot.has(id));
        }
        drop(pools);
        if let Some(log) = &self.log {
            let mut log = log.borrow_mut();
            log.flush();
            self.stats.borrow_mut().log_lines_dropped += log.take_dropped();
        }
    }
}

fn head_limits(bytes: u64, lines: u32) -> HeadLimits {
    // Settings allow neither more than a MiB nor more than 256 lines.
    let fits = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    HeadLimits { bytes: fits(bytes), lines: fits(lines.into()) }
}

/// Counts a request that is being tried again while it lives.
#[derive(Debug)]
pub struct Retrying(Rc<Lane>);

impl Drop for Retrying {
    fn drop(&mut self) {
        self.0.retrying.set(self.0.retrying.get() - 1);
    }
}

/// Counts a copy of a request while it is on its way.
#[derive(Debug)]
pub struct Mirroring(Rc<Lane>);

impl Drop for Mirroring {
    fn drop(&mut self) {
        self.0.mirroring.set(self.0.mirroring.get() - 1);
    }
}
