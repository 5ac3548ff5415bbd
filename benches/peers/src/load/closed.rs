//! The closed loop: every lane sends its next request when the last one is answered.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::GRACE;
use super::lane::Lane;
use super::tally::Tally;
use crate::work::Until;

/// Runs all lanes to the end; those that came to it.
pub async fn run(lanes: Vec<Lane>, until: Until, tally: &Rc<Tally>) -> Vec<Lane> {
    let began = Instant::now();
    let (ends, left) = match until {
        Until::Seconds(seconds) => (Some(began + Duration::from_secs_f64(seconds)), u64::MAX),
        Until::Requests(requests) => (None, requests),
    };
    let left = Rc::new(Cell::new(left));
    let mut tasks = JoinSet::new();
    for mut lane in lanes {
        let (left, tally) = (Rc::clone(&left), Rc::clone(tally));
        tasks.spawn_local(async move {
            let mut now = Instant::now();
            while left.get() > 0 && ends.is_none_or(|ends| now < ends) {
                left.set(left.get() - 1);
                lane.counted(now, &tally).await;
                now = Instant::now();
            }
            lane
        });
    }
    join(tasks, ends, tally).await
}

/// Waits for all tasks, a while beyond the end.
pub async fn join(mut tasks: JoinSet<Lane>, ends: Option<Instant>, tally: &Tally) -> Vec<Lane> {
    let mut lanes = Vec::with_capacity(tasks.len());
    let all = async {
        while let Some(lane) = tasks.join_next().await {
            lanes.extend(lane); // a lane that panicked said so
        }
    };
    match ends {
        None => all.await,
        Some(ends) => {
            let _ = tokio::time::timeout_at((ends + GRACE).into(), all).await;
        }
    }
    tally.gave_up(tasks.len() as u64, GRACE);
    lanes
}
