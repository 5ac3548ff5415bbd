//! How far a run is, on standard error.

use std::time::{Duration, Instant};

/// Turns done and to come, weighed by how long they take.
pub struct Progress {
    began: Instant,
    turns: usize,
    turn: usize,
    weight: f64,
    done: f64,
}

impl Progress {
    /// Of so many turns, which together should take so many seconds.
    pub fn new(turns: usize, weight: f64) -> Self {
        Self { began: Instant::now(), turns, turn: 0, weight, done: 0.0 }
    }

    /// A turn begins.
    pub fn begin(&mut self, what: &str) {
        self.turn += 1;
        let gone = self.began.elapsed();
        let left = match self.done > 0.0 {
            true => gone.mul_f64((self.weight - self.done) / self.done),
            false => Duration::from_secs_f64(self.weight),
        };
        eprintln!(
            "[{}/{}, {} gone, about {} left] {what}",
            self.turn,
            self.turns,
            clock(gone),
            clock(left)
        );
    }

    /// A turn has ended, which should have taken so many seconds.
    pub fn end(&mut self, weight: f64) {
        self.done += weight;
    }
}

/// Minutes and seconds.
fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_minutes_and_seconds() {
        assert_eq!(clock(Duration::from_secs(59)), "0:59");
        assert_eq!(clock(Duration::from_secs(3_725)), "62:05");
    }
}
