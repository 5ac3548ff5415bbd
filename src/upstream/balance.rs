//! Which endpoint is next: pure, with the caller's cursor and random numbers.
//!
//! Health plays no part here, and neither do connections: those are the pool's.

use std::sync::atomic::Ordering;

use super::endpoints::Endpoints;
use crate::model::Balance;

/// Picks the index of an endpoint.
///
/// `cursor` belongs to the caller and is used by round robin alone; any start value will do.
pub fn pick(
    endpoints: &Endpoints,
    balance: Balance,
    cursor: &mut usize,
    rng: &mut fastrand::Rng,
) -> usize {
    let count = endpoints.list.len();
    if count < 2 || endpoints.logical {
        return 0; // of a logical endpoint the first address is the one (Envoy, LOGICAL_DNS)
    }
    match balance {
        Balance::RoundRobin => {
            *cursor = cursor.wrapping_add(1);
            *cursor % count
        }
        Balance::Random => rng.usize(..count),
        Balance::LeastRequest => {
            // The power of two choices (Mitzenmacher): two different ones, the less busy wins.
            let one = rng.usize(..count);
            let other = (one + 1 + rng.usize(..count - 1)) % count;
            let active = |index: usize| endpoints.list[index].active.load(Ordering::Relaxed);
            if active(other) < active(one) { other } else { one }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::sync::Arc;
    use std::sync::atomic::AtomicU32;

    use super::super::endpoints::Endpoint;
    use super::*;

    fn endpoints(active: &[u32]) -> Endpoints {
        let address = SocketAddr::from(([127, 0, 0, 1], 1));
        let list = active.iter().map(|active| {
            Arc::new(Endpoint { active: AtomicU32::new(*active), ..Endpoint::new(address) })
        });
        Endpoints { list: list.collect(), logical: false }
    }

    /// How often each of the endpoints was picked in 10,000 times.
    fn picked(endpoints: &Endpoints, balance: Balance) -> Vec<u32> {
        let (mut cursor, mut rng) = (usize::MAX - 5, fastrand::Rng::with_seed(7));
        let mut counts = vec![0; endpoints.list.len()];
        for _ in 0..10_000 {
            counts[pick(endpoints, balance, &mut cursor, &mut rng)] += 1;
        }
        counts
    }

    #[test]
    fn round_robin_takes_turns() {
        let counts = picked(&endpoints(&[0; 4]), Balance::RoundRobin);
        assert!(counts.iter().all(|count| count.abs_diff(2_500) <= 1), "{counts:?}");
    }

    #[test]
    fn random_and_idle_least_request_are_even() {
        for balance in [Balance::Random, Balance::LeastRequest] {
            let counts = picked(&endpoints(&[0; 4]), balance);
            assert!(
                counts.iter().all(|count| count.abs_diff(2_500) < 200),
                "{balance:?} {counts:?}"
            );
        }
    }

    #[test]
    fn least_request_prefers_the_less_busy_of_two() {
        let counts = picked(&endpoints(&[9, 0, 5]), Balance::LeastRequest);
        assert_eq!(counts[0], 0, "the busiest loses against any other");
        assert!(
            counts[1].abs_diff(6_667) < 200,
            "the idlest wins whenever it is drawn: {counts:?}"
        );
        assert_eq!(picked(&endpoints(&[9, 0]), Balance::LeastRequest), [0, 10_000]);
    }

    #[test]
    fn one_endpoint_and_a_logical_one_leave_no_choice() {
        for balance in [Balance::RoundRobin, Balance::Random, Balance::LeastRequest] {
            assert_eq!(picked(&endpoints(&[3]), balance), [10_000]);
            assert_eq!(
                picked(&Endpoints { logical: true, ..endpoints(&[3, 0]) }, balance),
                [10_000, 0]
            );
        }
    }
}
