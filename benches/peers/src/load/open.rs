//! The open loop: requests are due at random times, and whichever lane is free sends the next one.
//!
//! A gateway that falls behind does not slow the schedule down: what it owes counts from when it was due.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::closed;
use super::lane::Lane;
use super::pace::Pace;
use super::tally::Tally;

/// What is due and not sent yet.
#[derive(Default)]
struct Queue {
    due: RefCell<VecDeque<Instant>>,
    changed: Notify,
    is_over: Cell<bool>,
}

impl Queue {
    fn push(&self, due: Instant) {
        self.due.borrow_mut().push_back(due);
        self.changed.notify_one();
    }

    /// Nothing more comes, and what is still here stays.
    fn end(&self) -> u64 {
        self.is_over.set(true);
        self.changed.notify_waiters();
        self.due.borrow_mut().drain(..).count() as u64
    }

    async fn next(&self) -> Option<Instant> {
        loop {
            let changed = self.changed.notified(); // hears of it from here on
            if let Some(due) = self.due.borrow_mut().pop_front() {
                return Some(due);
            }
            if self.is_over.get() {
                return None;
            }
            changed.await;
        }
    }
}

/// Sends at a rate (a second) for so many seconds, at times that follow from a seed; the lanes that came
/// to the end.
///
/// Errors: there is no timer.
pub async fn run(
    lanes: Vec<Lane>,
    (rate, seconds, seed): (f64, f64, u64),
    tally: &Rc<Tally>,
) -> io::Result<Vec<Lane>> {
    let queue = Rc::new(Queue::default());
    let mut tasks = JoinSet::new();
    for mut lane in lanes {
        let (queue, tally) = (Rc::clone(&queue), Rc::clone(tally));
        tasks.spawn_local(async move {
            while let Some(due) = queue.next().await {
                lane.counted(due, &tally).await;
            }
            lane
        });
    }
    let (began, mut gaps) = (Instant::now(), Gaps::new(rate, seed));
    let ends = began + Duration::from_secs_f64(seconds);
    let pace = Pace::new()?;
    let mut due = began + gaps.next();
    while due < ends {
        if due > Instant::now() {
            pace.until(due).await?;
        }
        queue.push(due);
        due += gaps.next();
    }
    // What is due may still be sent for a moment: the last ones are no worse off than the first.
    tokio::time::sleep_until((ends + Duration::from_millis(100)).into()).await;
    tally.unsent(queue.end());
    Ok(closed::join(tasks, Some(ends), tally).await)
}

/// Times between independent requests: exponentially distributed.
struct Gaps {
    mean: f64,
    random: fastrand::Rng,
}

impl Gaps {
    fn new(rate: f64, seed: u64) -> Self {
        Self { mean: 1.0 / rate, random: fastrand::Rng::with_seed(seed) }
    }

    fn next(&mut self) -> Duration {
        Duration::from_secs_f64(-self.mean * (1.0 - self.random.f64()).ln())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_keep_the_rate_and_follow_from_the_seed() {
        let take = |seed| {
            let mut gaps = Gaps::new(1000.0, seed);
            (0..10_000).map(|_| gaps.next()).collect::<Vec<_>>()
        };
        let total: Duration = take(1).iter().sum();
        assert!((9.5..10.5).contains(&total.as_secs_f64()), "{total:?} for ten thousand at 1 ms");
        assert_eq!(take(1), take(1));
        assert_ne!(take(1), take(2));
    }
}
