//! The way out: what a signal asks for, and how long each step of leaving lasts.
//!
//! Pure: time and counters are passed in. Control sends the phases to the lanes.

use std::time::Duration;

use tokio::time::Instant;

/// Accepting goes on at least until nothing has begun for this long,
const QUIET: Duration = Duration::from_secs(1);
/// or until this long after the signal: load balancers need a moment to notice.
const ACCEPT_MAX: Duration = Duration::from_secs(5);

/// How the process was asked to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// SIGTERM: go on accepting for a moment.
    Gently,
    /// SIGINT: accept nothing more.
    AtOnce,
}

/// What the lanes report while they drain.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Activity {
    /// Requests and connections that have begun since the start.
    pub begun: u64,
    /// Requests and tunnels under way.
    pub active: u64,
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Look again soon.
    Wait,
    /// Accept nothing more.
    StopAccepting,
    /// All is done.
    Leave,
    /// The time is over; this many are cut off.
    Cut(u64),
}

/// A drain under way.
#[derive(Debug)]
pub struct Drain {
    since: Instant,
    limit: Duration,
    accepting: bool,
    last: Activity,
    moved: Instant,
}

impl Drain {
    /// Begins to drain, for `limit` at most.
    pub fn begin(asked: Asked, limit: Duration, now: Instant) -> Self {
        Self {
            since: now,
            limit,
            accepting: asked == Asked::Gently,
            last: Activity::default(),
            moved: now,
        }
    }

    /// Decides from what the lanes report.
    pub fn step(&mut self, activity: Activity, now: Instant) -> Step {
        if activity.begun != self.last.begun {
            self.moved = now;
        }
        self.last = activity;
        if now.duration_since(self.since) >= self.limit {
            return if activity.active == 0 { Step::Leave } else { Step::Cut(activity.active) };
        }
        if self.accepting {
            let quiet = activity.active == 0 && now.duration_since(self.moved) >= QUIET;
            if quiet || now.duration_since(self.since) >= ACCEPT_MAX {
                self.accepting = false;
                return Step::StopAccepting;
            }
            return Step::Wait;
        }
        if activity.active == 0 { Step::Leave } else { Step::Wait }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(start: Instant, ms: u64) -> Instant {
        start + Duration::from_millis(ms)
    }

    #[test]
    fn accepting_goes_on_until_quiet_for_a_second() {
        let start = Instant::now();
        let mut drain = Drain::begin(Asked::Gently, Duration::from_secs(25), start);
        let busy = Activity { begun: 7, active: 1 };
        let idle = Activity { begun: 7, active: 0 };
        assert_eq!(drain.step(busy, at(start, 100)), Step::Wait);
        assert_eq!(drain.step(idle, at(start, 1000)), Step::Wait, "something began 0.9 s ago");
        assert_eq!(drain.step(idle, at(start, 1100)), Step::StopAccepting);
        assert_eq!(drain.step(idle, at(start, 1101)), Step::Leave);
    }

    #[test]
    fn accepting_ends_after_five_seconds_whatever_comes() {
        let start = Instant::now();
        let mut drain = Drain::begin(Asked::Gently, Duration::from_secs(25), start);
        for begun in 1..50 {
            assert_eq!(
                drain.step(Activity { begun, active: 1 }, at(start, begun * 100)),
                Step::Wait
            );
        }
        let busy = Activity { begun: 50, active: 1 };
        assert_eq!(drain.step(busy, at(start, 5000)), Step::StopAccepting);
        assert_eq!(drain.step(busy, at(start, 24_999)), Step::Wait);
        assert_eq!(drain.step(busy, at(start, 25_000)), Step::Cut(1));
    }

    #[test]
    fn an_interrupt_accepts_nothing_more() {
        let start = Instant::now();
        let mut drain = Drain::begin(Asked::AtOnce, Duration::from_secs(25), start);
        assert_eq!(drain.step(Activity { begun: 1, active: 1 }, at(start, 1)), Step::Wait);
        assert_eq!(drain.step(Activity { begun: 1, active: 0 }, at(start, 2)), Step::Leave);
    }
}
