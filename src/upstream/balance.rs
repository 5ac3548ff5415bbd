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
