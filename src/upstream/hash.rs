//! The endpoint that follows from a key, by rendezvous hashing (Thaler and Ravishankar, 1998): each
//! endpoint draws a lot for the key, and the highest wins.
//!
//! There is no table to build or to keep: when an endpoint goes, only its own keys move, each to the
//! endpoint that was second; when one comes, it takes only those that it wins. The same key leads to the
//! same endpoint on every lane and in every process. What of a request is the key is the proxy's business.

use super::endpoints::Endpoints;

/// FNV-1a's start and factor for 64 bits.
const FNV: (u64, u64) = (0xcbf2_9ce4_8422_2325, 0x0000_0100_0000_01b3);

/// The hash of a key. It is the same everywhere and always.
pub fn of(bytes: &[u8]) -> u64 {
    let (start, factor) = FNV;
    mix(bytes.iter().fold(start, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(factor)))
}

/// The index of the endpoint for a key, of those that are not to be avoided; when all are, of all.
pub fn pick(endpoints: &Endpoints, key: u64, avoid: impl Fn(usize) -> bool) -> usize {
    let lots = |avoid: &dyn Fn(usize) -> bool| {
        (0..endpoints.list.len())
            .filter(|index| !avoid(*index))
            .map(|index| (lot(endpoints, index, key), index))
            .max_by(|(one, _), (other, _)| one.total_cmp(other))
    };
    lots(&avoid).or_else(|| lots(&|_| false)).map_or(0, |(_, index)| index)
}

/// What an endpoint draws: with twice the weight it wins twice as often.
fn lot(endpoints: &Endpoints, index: usize, key: u64) -> f64 {
    let drawn = mix(key ^ endpoints.list[index].hash);
    // From 0 to 1, neither included, with the 53 bits that a float holds.
    let chance = ((drawn >> 11) as f64 + 0.5) / (1u64 << 53) as f64;
    f64::from(endpoints.weight(index)) / -chance.ln()
}

/// The last step of MurmurHash3: every bit of the input decides on every bit of the output.
fn mix(mut hash: u64) -> u64 {
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ hash >> 33
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::upstream::endpoints::tests::of_addresses;

    const KEYS: u64 = 4_000;

    fn endpoints(count: u8, weights: &[u32]) -> Endpoints {
        let addresses: Vec<_> = (1..=count).map(|last| ([10, 0, 0, last], 443).into()).collect();
        Endpoints { weights: weights.to_vec(), ..of_addresses(&addresses) }
    }

    fn nobody(_: usize) -> bool {
        false
    }

    proptest! {
        /// When an endpoint goes, its keys move and no other's; about one of n keys.
        #[test]
        fn when_an_endpoint_goes_only_its_own_keys_move(count in 2u8..20, gone in 0usize..20, salt: u64) {
            let gone = gone % usize::from(count);
            let all = endpoints(count, &[]);
            let mut fewer = endpoints(count, &[]);
            fewer.list.remove(gone);
            let mut moved = 0;
            for number in 0..KEYS {
                let key = of(&(number ^ salt).to_le_bytes());
                let before = all.list[pick(&all, key, nobody)].address;
                let after = fewer.list[pick(&fewer, key, nobody)].address;
                if before == all.list[gone].address {
                    moved += 1;
                } else {
                    prop_assert_eq!(before, after);
                }
            }
            prop_assert!(moved as f64 <= 1.5 * KEYS as f64 / f64::from(count), "{} of {}", moved, KEYS);
        }
    }

    #[test]
    fn an_endpoint_that_is_avoided_is_as_good_as_gone() {
        let all = endpoints(5, &[]);
        for number in 0..1_000u64 {
            let key = of(&number.to_le_bytes());
            let first = pick(&all, key, nobody);
            let second = pick(&all, key, |index| index == first);
            assert_ne!(first, second);
            assert_eq!(pick(&all, key, |index| index != second), second);
            assert_eq!(pick(&all, key, |_| true), first, "when all are avoided, none is");
        }
    }

    #[test]
    fn keys_are_spread_by_weight() {
        let weighted = endpoints(3, &[1, 2, 5]);
        let mut counts = [0u32; 3];
        (0..8_000u64).for_each(|key| counts[pick(&weighted, of(&key.to_le_bytes()), nobody)] += 1);
        for (count, expected) in counts.into_iter().zip([1_000, 2_000, 5_000]) {
            assert!(count.abs_diff(expected) < 250, "{counts:?}");
        }
    }

    #[test]
    fn the_hash_is_the_same_in_every_version() {
        assert_eq!(of(b""), 0xefd0_1f60_ba99_2926);
        assert_eq!(of(b"alice"), of(b"alice"));
        assert_ne!(of(b"alice"), of(b"alicf"));
    }
}
