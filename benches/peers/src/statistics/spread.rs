//! The median of some values with its quartiles, and of the ratios of values that were measured together.

use std::collections::BTreeMap;

/// A median and its quartiles.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// A quarter of the values are under this.
    pub lower: f64,
    /// Half of them are.
    pub median: f64,
    /// Three quarters of them are.
    pub upper: f64,
}

impl Spread {
    /// Of values in any order, interpolated linearly between neighbours; `None` if there is none.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        if values.is_empty() {
            return None;
        }
        let at = |share: f64| {
            let place = share * (values.len() - 1) as f64;
            let (below, above) = (values[place.floor() as usize], values[place.ceil() as usize]);
            below + (above - below) * place.fract()
        };
        Some(Self { lower: at(0.25), median: at(0.5), upper: at(0.75) })
    }
}

/// The ratios of the values of `ours` to those of `theirs` in the same round, in the order of rounds.
///
/// A round in which one of both has no value, or theirs is nothing, has no ratio.
pub fn paired<R: Ord>(ours: &BTreeMap<R, f64>, theirs: &BTreeMap<R, f64>) -> Vec<f64> {
    let pair = |(round, ours): (&R, &f64)| {
        theirs.get(round).filter(|theirs| **theirs > 0.0).map(|theirs| ours / theirs)
    };
    ours.iter().filter_map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quartiles_lie_between_values() {
        let spread = Spread::of([4.0, 1.0, 3.0, 2.0]);
        assert_eq!(spread, Some(Spread { lower: 1.75, median: 2.5, upper: 3.25 }));
        let odd = Spread::of([5.0, 1.0, 2.0, 4.0, 3.0]);
        assert_eq!(odd, Some(Spread { lower: 2.0, median: 3.0, upper: 4.0 }));
    }

    #[test]
    fn one_value_is_its_own_quartiles_and_none_has_none() {
        assert_eq!(Spread::of([7.0]), Some(Spread { lower: 7.0, median: 7.0, upper: 7.0 }));
        assert_eq!(Spread::of([]), None);
    }

    #[test]
    fn only_values_of_the_same_round_make_a_ratio() {
        let ours = BTreeMap::from([(0, 2.0), (1, 3.0), (2, 4.0), (4, 1.0)]);
        let theirs = BTreeMap::from([(0, 4.0), (2, 2.0), (3, 9.0), (4, 0.0)]);
        assert_eq!(paired(&ours, &theirs), [0.5, 2.0]);
    }

    #[test]
    fn the_ratio_of_pairs_withstands_a_round_that_was_slow_for_both() {
        let ours = BTreeMap::from([(0, 10.0), (1, 100.0), (2, 11.0)]);
        let theirs = BTreeMap::from([(0, 20.0), (1, 200.0), (2, 22.0)]);
        assert_eq!(Spread::of(paired(&ours, &theirs)).map(|ratio| ratio.upper), Some(0.5));
    }
}
