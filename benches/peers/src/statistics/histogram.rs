//! A histogram of durations with the same relative resolution everywhere, whose percentiles are cheap.
//!
//! It keeps no single values: a percentile is right to within a 128th.

/// Buckets for each power of two.
const STEPS: u64 = 128;
const STEP_BITS: u32 = STEPS.trailing_zeros();

/// Counts of values, which are nanoseconds here.
pub struct Histogram {
    buckets: Vec<u64>,
    count: u64,
    sum: u64,
    max: u64,
}

impl Histogram {
    /// An empty one.
    pub fn new() -> Self {
        Self { buckets: vec![0; bucket(u64::MAX) + 1], count: 0, sum: 0, max: 0 }
    }

    /// Counts a value.
    pub fn record(&mut self, value: u64) {
        self.buckets[bucket(value)] += 1;
        self.count += 1;
        self.sum += value;
        self.max = self.max.max(value);
    }

    /// How many values were counted.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The mean of all values, exactly; zero if there is none.
    pub fn mean(&self) -> f64 {
        if self.count == 0 { 0.0 } else { self.sum as f64 / self.count as f64 }
    }

    /// The value that `percent` of all values are at or under (nearest rank), rounded down to its bucket; the
    /// largest one exactly; zero if there is none.
    pub fn percentile(&self, percent: f64) -> u64 {
        let rank = (percent / 100.0 * self.count as f64).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (at, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= rank && rank < self.count {
                return lower_bound(at);
            }
        }
        self.max
    }
}

/// Values below twice the steps have a bucket each; above, each power of two is cut into as many steps.
fn bucket(value: u64) -> usize {
    if value < 2 * STEPS {
        return value as usize;
    }
    let shift = value.ilog2() - STEP_BITS;
    (u64::from(shift) * STEPS + (value >> shift)) as usize
}

fn lower_bound(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < 2 * STEPS {
        return bucket;
    }
    let shift = bucket / STEPS - 1;
    (bucket - shift * STEPS) << shift
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_begins_at_its_lower_bound() {
        for value in (0..100_000).chain([u64::MAX / 3, u64::MAX]) {
            let at = bucket(value);
            assert_eq!(bucket(lower_bound(at)), at);
            assert!(lower_bound(at) <= value);
            let error = (value - lower_bound(at)) as f64 / value.max(1) as f64;
            assert!(error < 1.0 / STEPS as f64, "{value} is told as {}", lower_bound(at));
        }
    }

    #[test]
    fn percentiles_are_the_nearest_rank() {
        let mut histogram = Histogram::new();
        (1..=200).for_each(|value| histogram.record(value));
        assert_eq!(histogram.percentile(50.0), 100);
        assert_eq!(histogram.percentile(99.0), 198);
        assert_eq!(histogram.percentile(99.9), 200);
        assert_eq!(histogram.percentile(0.0), 1);
        assert_eq!(histogram.percentile(100.0), 200);
        assert_eq!((histogram.count(), histogram.mean()), (200, 100.5));
    }

    #[test]
    fn an_empty_one_has_only_zeros() {
        let empty = Histogram::new();
        assert_eq!((empty.percentile(50.0), empty.mean()), (0, 0.0));
    }
}
