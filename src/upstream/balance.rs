//! Which endpoint is next: pure, with the caller's cursor and random numbers.
//!
//! Health plays no part here: endpoints that are ejected are not among those to pick from. Connections are
//! the pool's, keys to hash are `hash`'s.

use std::sync::atomic::Ordering;

use super::endpoints::Endpoints;
use crate::model::Balance;

/// Picks the index of an endpoint.
///
/// `cursor` belongs to the caller and is used by round robin alone; any start value will do. Where the
/// request has nothing to hash, any endpoint is as good.
pub fn pick(
    endpoints: &Endpoints,
    balance: &Balance,
    cursor: &mut usize,
    rng: &mut fastrand::Rng,
) -> usize {
    let count = endpoints.list.len();
    if count < 2 || endpoints.logical {
        return 0; // of a logical endpoint the first address is the one (Envoy, LOGICAL_DNS)
    }
    if !endpoints.weights.is_empty() {
        return pick_weighted(endpoints, balance, cursor, rng);
    }
    match balance {
        Balance::RoundRobin => {
            *cursor = cursor.wrapping_add(1);
            *cursor % count
        }
        Balance::Random | Balance::Hashed(_) => rng.usize(..count),
        Balance::LeastRequest => {
            // The power of two choices (Mitzenmacher): two different ones, the less busy wins.
            let one = rng.usize(..count);
            let other = (one + 1 + rng.usize(..count - 1)) % count;
            if active(endpoints, other) < active(endpoints, one) { other } else { one }
        }
    }
}

fn active(endpoints: &Endpoints, index: usize) -> u64 {
    endpoints.list[index].active.load(Ordering::Relaxed).into()
}

fn pick_weighted(
    endpoints: &Endpoints,
    balance: &Balance,
    cursor: &mut usize,
    rng: &mut fastrand::Rng,
) -> usize {
    let total: u64 = endpoints.weights.iter().map(|weight| u64::from(*weight)).sum();
    match balance {
        Balance::RoundRobin => {
            *cursor = cursor.wrapping_add(1);
            at(endpoints, spread(*cursor as u64, total))
        }
        Balance::Random | Balance::Hashed(_) => at(endpoints, rng.u64(..total)),
        Balance::LeastRequest => {
            let one = at(endpoints, rng.u64(..total));
            let other = at(endpoints, rng.u64(..total));
            // Requests under way for what each counts, without dividing.
            let load = |index: usize, against: usize| {
                u128::from(active(endpoints, index)) * u128::from(endpoints.weight(against))
            };
            if load(other, one) < load(one, other) { other } else { one }
        }
    }
}

/// The endpoint whose share a number below the sum of weights falls into.
fn at(endpoints: &Endpoints, number: u64) -> usize {
    let mut rest = number;
    for (index, weight) in endpoints.weights.iter().enumerate() {
        match rest.checked_sub(u64::from(*weight)) {
            Some(less) => rest = less,
            None => return index,
        }
    }
    0
}

/// Visits every number below `total` once in `total` turns, far from one to the next, so that an endpoint
/// of great weight does not have all its turns in a row.
fn spread(turn: u64, total: u64) -> u64 {
    // The golden section of the total, or the next number that has no divisor in common with it.
    let golden = (total as f64 * 0.618_033_988_75) as u64;
    let step = (golden.max(1)..).find(|step| gcd(*step, total) == 1).unwrap_or(1);
    (u128::from(turn % total) * u128::from(step) % u128::from(total)) as u64
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::super::endpoints::tests::of_addresses;
    use super::*;

    fn endpoints(active: &[u32], weights: &[u32]) -> Endpoints {
        let addresses: Vec<_> =
            (1..).take(active.len()).map(|port: u16| ([127, 0, 0, 1], port).into()).collect();
        let endpoints = Endpoints { weights: weights.to_vec(), ..of_addresses(&addresses) };
        for (endpoint, active) in endpoints.list.iter().zip(active) {
            endpoint.active.store(*active, Ordering::Relaxed);
        }
        endpoints
    }

    /// How often each of the endpoints was picked in 10,000 times.
    fn picked(endpoints: &Endpoints, balance: &Balance) -> Vec<u32> {
        let (mut cursor, mut rng) = (usize::MAX - 5, fastrand::Rng::with_seed(7));
        let mut counts = vec![0; endpoints.list.len()];
        for _ in 0..10_000 {
            counts[pick(endpoints, balance, &mut cursor, &mut rng)] += 1;
        }
        counts
    }

    #[test]
    fn round_robin_takes_turns() {
        let counts = picked(&endpoints(&[0; 4], &[]), &Balance::RoundRobin);
        assert!(counts.iter().all(|count| count.abs_diff(2_500) <= 1), "{counts:?}");
    }

    #[test]
    fn random_and_idle_least_request_are_even() {
        for balance in [Balance::Random, Balance::LeastRequest] {
            let counts = picked(&endpoints(&[0; 4], &[]), &balance);
            assert!(
                counts.iter().all(|count| count.abs_diff(2_500) < 200),
                "{balance:?} {counts:?}"
            );
        }
    }

    #[test]
    fn least_request_prefers_the_less_busy_of_two() {
        let counts = picked(&endpoints(&[9, 0, 5], &[]), &Balance::LeastRequest);
        assert_eq!(counts[0], 0, "the busiest loses against any other");
        assert!(
            counts[1].abs_diff(6_667) < 200,
            "the idlest wins whenever it is drawn: {counts:?}"
        );
        assert_eq!(picked(&endpoints(&[9, 0], &[]), &Balance::LeastRequest), [0, 10_000]);
    }

    #[test]
    fn weights_are_kept_whatever_the_balance() {
        for balance in [Balance::RoundRobin, Balance::Random, Balance::LeastRequest] {
            let counts = picked(&endpoints(&[0; 3], &[1, 3, 6]), &balance);
            for (count, expected) in counts.iter().zip([1_000, 3_000, 6_000]) {
                assert!(count.abs_diff(expected) < 250, "{balance:?} {counts:?}");
            }
        }
    }

    #[test]
    fn turns_by_weight_do_not_come_in_a_row() {
        let endpoints = endpoints(&[0; 2], &[1, 4]);
        let (mut cursor, mut rng) = (0, fastrand::Rng::with_seed(7));
        let mut pick = || pick(&endpoints, &Balance::RoundRobin, &mut cursor, &mut rng);
        let picks: Vec<usize> = (0..20).map(|_| pick()).collect();
        assert!(picks.windows(5).all(|turns| turns.contains(&0)), "{picks:?}");
    }

    #[test]
    fn one_endpoint_and_a_logical_one_leave_no_choice() {
        for balance in [Balance::RoundRobin, Balance::Random, Balance::LeastRequest] {
            assert_eq!(picked(&endpoints(&[3], &[]), &balance), [10_000]);
            assert_eq!(
                picked(&Endpoints { logical: true, ..endpoints(&[3, 0], &[]) }, &balance),
                [10_000, 0]
            );
        }
    }
}
