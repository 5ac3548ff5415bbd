//! A lane: everything that one core owns.
//!
//! Nothing here is shared with another core but what control publishes and what hangs on an upstream, so
//! there is no lock and no channel on a request's path. Borrows of its cells never cross an await.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::deadlines::Deadlines;
use crate::observe::{LogBuffer, Noted, Record, RequestFacts, Stats};
use crate::snapshot::{Current, Snapshot};
use crate::transport::Buffers;
use crate::upstream::connect::Connector;
use crate::upstream::pool::Pools;
use crate::wire::parse::HeadLimits;

/// How often a lane looks at its deadlines, pools and log.
pub const TICK: Duration = Duration::from_millis(500);

/// Limits and times of a client's connection.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Size of a request head.
    pub head: HeadLimits,
    /// Time for a request head, from its first byte.
    pub head_time: Duration,
    /// How long a client's connection is kept without a request.
    pub client_idle: Duration,
    /// How long nothing may move in an exchange; it bounds waiting for a response head too.
    pub stream_idle: Duration,
    /// How long nothing may move in a tunnel.
    pub tunnel_idle: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head: HeadLimits::default(),
            head_time: Duration::from_secs(30),
            client_idle: Duration::from_secs(3600),
            stream_idle: Duration::from_secs(300),
            tunnel_idle: Duration::from_secs(3600),
        }
    }
}

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
    /// Chance, for balancing and jitter.
    pub random: RefCell<fastrand::Rng>,
    /// Requests under way, and among them those that are being tried again.
    pub under_way: Cell<u32>,
    /// Of those, the ones being tried again.
    pub retrying: Cell<u32>,
    /// Told when the phase changes.
    pub phase_changed: Notify,
    phase: Cell<Phase>,
    current: RefCell<(Current, Rc<Arc<Snapshot>>)>,
    log: Option<RefCell<LogBuffer>>,
    date: RefCell<String>,
}

impl Lane {
    /// A lane that serves what `current` publishes; without `log` it writes no access log.
    pub fn new(mut current: Current, connector: Connector, log: Option<LogBuffer>) -> Rc<Self> {
        let snapshot = Rc::new(Arc::clone(current.load()));
        Rc::new(Self {
            pools: RefCell::default(),
            buffers: Buffers::default(),
            connector,
            stats: RefCell::default(),
            deadlines: Deadlines::new(Instant::now()),
            limits: Limits::default(),
            random: RefCell::new(fastrand::Rng::new()),
            under_way: Cell::new(0),
            retrying: Cell::new(0),
            phase_changed: Notify::new(),
            phase: Cell::new(Phase::Serving),
            current: RefCell::new((current, snapshot)),
            log: log.map(RefCell::new),
            date: RefCell::default(),
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

    /// What the log wants of a request's head, before it is edited; `None` when there is no log.
    pub fn note(&self, facts: impl FnOnce() -> RequestFacts) -> Option<Noted> {
        self.log.as_ref().map(|_| Noted::take(self.buffers.lend(), facts()))
    }

    /// Counts a finished request and writes its log line.
    pub fn observe(&self, record: &Record, noted: Option<Noted>) {
        self.stats.borrow_mut().finished(record);
        if let (Some(log), Some(noted)) = (&self.log, noted) {
            log.borrow_mut().line(record, &noted);
            self.buffers.give_back(noted.into_buffer());
        }
    }

    /// The `Date` of replies of our own (RFC 9110, section 6.6.1), as of the last tick.
    pub fn date(&self) -> std::cell::Ref<'_, String> {
        self.date.borrow()
    }

    /// What is due now and then: deadlines, dead connections, waiting log lines.
    pub fn tick(&self, now: Instant, date: String) {
        *self.date.borrow_mut() = date;
        self.deadlines.tick(now);
        let snapshot = self.snapshot();
        let mut pools = self.pools.borrow_mut();
        pools.sweep(now, |connection| connection.is_alive(&self.buffers));
        pools.retain(|id| snapshot.has_upstream(id));
        drop(pools);
        if let Some(log) = &self.log {
            log.borrow_mut().flush();
        }
    }
}
