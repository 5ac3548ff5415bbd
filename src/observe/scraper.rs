//! Asks every lane for a copy of its counters and adds them up.
//!
//! Runs on the control thread. Lanes are never stopped or locked: each answers between requests.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

use super::Stats;

/// How long a lane may take to answer.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(1);

/// A lane's end of a scrape: it answers with a clone of its counters.
pub type Request = oneshot::Sender<Stats>;

/// All lanes, as the one who asks sees them.
#[derive(Debug)]
pub struct Scraper {
    lanes: Vec<mpsc::Sender<Request>>,
    /// Each lane's last answer, which stands in for one that does not come: were a silent lane left
    /// out, every counter would go down and look like a restart. Never held across an await.
    last: Mutex<Vec<Stats>>,
}

/// The sum of a scrape.
#[derive(Debug, Clone, Default)]
pub struct Collected {
    /// All lanes' counters.
    pub stats: Stats,
    /// Lanes that did not answer in time; their last answer was taken.
    pub silent: u64,
}

impl Scraper {
    /// Asks through these channels, one a lane.
    pub fn new(lanes: Vec<mpsc::Sender<Request>>) -> Self {
        let last = Mutex::new(vec![Stats::default(); lanes.len()]);
        Self { lanes, last }
    }

    /// Asks all lanes at once. Takes at most [`ANSWER_WITHIN`].
    pub async fn collect(&self) -> Collected {
        let deadline = Instant::now() + ANSWER_WITHIN;
        let asked: Vec<_> = self.lanes.iter().map(ask).collect();
        let mut answers = Vec::with_capacity(asked.len());
        for answer in asked {
            answers.push(timeout_at(deadline, answer).await.ok().and_then(Result::ok));
        }

        let mut collected = Collected::default();
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        for (last, answer) in last.iter_mut().zip(answers) {
            match answer {
                Some(stats) => *last = stats,
                None => collected.silent += 1,
            }
            collected.stats.merge(last);
        }
        collected
    }
}

/// A lane that cannot even be asked (gone, or too many questions waiting) drops the question, and
/// the answer is an error at once.
fn ask(lane: &mpsc::Sender<Request>) -> oneshot::Receiver<Stats> {
    let (request, answer) = oneshot::channel();
    drop(lane.try_send(request));
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dropped(lines: u64) -> Stats {
        let mut stats = Stats::default();
        stats.log_lines_dropped = lines;
        stats
    }

    fn lane(lines: u64) -> mpsc::Sender<Request> {
        let (lane, mut requests) = mpsc::channel::<Request>(1);
        tokio::spawn(async move {
            while let Some(request) = requests.recv().await {
                let _ = request.send(dropped(lines));
            }
        });
        lane
    }

    #[tokio::test(start_paused = true)]
    async fn lanes_are_added_up() {
        let scraper = Scraper::new(vec![lane(1), lane(20)]);
        let collected = scraper.collect().await;
        assert_eq!((collected.stats.log_lines_dropped, collected.silent), (21, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_lane_delays_by_a_second_and_counts_with_its_last_answer() {
        let (stuck, mut requests) = mpsc::channel::<Request>(1);
        let scraper = Scraper::new(vec![lane(1), stuck]);
        let answer = async {
            let request = requests.recv().await.unwrap();
            request.send(dropped(20)).unwrap();
        };
        let (first, ()) = tokio::join!(scraper.collect(), answer);
        assert_eq!((first.stats.log_lines_dropped, first.silent), (21, 0));

        let asked = Instant::now();
        let second = scraper.collect().await;
        assert_eq!((second.stats.log_lines_dropped, second.silent), (21, 1));
        assert_eq!(asked.elapsed(), ANSWER_WITHIN);

        // Its channel is full now: it is not even waited for.
        let third = scraper.collect().await;
        assert_eq!((third.stats.log_lines_dropped, third.silent), (21, 1));
        assert_eq!(asked.elapsed(), ANSWER_WITHIN);
    }

    #[tokio::test(start_paused = true)]
    async fn a_lane_that_is_gone_is_not_waited_for() {
        let (gone, _) = mpsc::channel::<Request>(1);
        let asked = Instant::now();
        let collected = Scraper::new(vec![gone]).collect().await;
        assert_eq!(collected.silent, 1);
        assert_eq!(asked.elapsed(), Duration::ZERO);
    }
}
