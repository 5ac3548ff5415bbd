//! Requests by the stat prefix of the rule that took them, as a configuration asks for it.
//!
//! A prefix has one slot for as long as the process lives, so that a request is counted without looking
//! its name up, and no counter goes down when a configuration changes.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::stats::{Outcome, add_outcomes, count};
use crate::model::Flag;

/// Prefixes that are counted apart; requests of further ones are counted under [`OTHER_PREFIX`].
pub const STAT_PREFIXES_MAX: usize = 1024;

/// The prefix of requests past [`STAT_PREFIXES_MAX`].
pub const OTHER_PREFIX: &str = "(other)";

/// Where the requests of one prefix are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot(u16);

/// Every prefix that there was since the process started, by slot.
#[derive(Debug, Clone, Default)]
pub struct StatPrefixes {
    names: Vec<Arc<str>>,
    slots: HashMap<Arc<str>, Slot, RandomState>,
}

impl StatPrefixes {
    /// The slot of a prefix, a new one where it has none.
    pub fn slot(&mut self, prefix: &str) -> Slot {
        if let Some(slot) = self.slots.get(prefix) {
            return *slot;
        }
        let free = if prefix == OTHER_PREFIX { STAT_PREFIXES_MAX } else { self.names.len() };
        let slot = Slot(free as u16);
        if free < STAT_PREFIXES_MAX {
            let name: Arc<str> = prefix.into();
            self.slots.insert(Arc::clone(&name), slot);
            self.names.push(name);
        }
        slot
    }

    /// The prefixes in the order of their slots.
    pub fn names(&self) -> &[Arc<str>] {
        &self.names
    }
}

/// How the requests of each prefix ended, by slot.
#[derive(Debug, Clone, Default)]
pub struct ByPrefix(Vec<Vec<Outcome>>);

impl ByPrefix {
    /// A request has ended. Allocates for the first of its kind only.
    pub fn count(&mut self, slot: Slot, status: u16, flag: Flag) {
        count(self.at(slot.0.into()), status, flag);
    }

    /// Adds another lane's.
    pub fn merge(&mut self, other: &Self) {
        for (slot, outcomes) in other.0.iter().enumerate() {
            add_outcomes(self.at(slot), outcomes);
        }
    }

    /// Those of each prefix that has any, with its name.
    pub fn named<'s>(
        &'s self,
        names: &'s [Arc<str>],
    ) -> impl Iterator<Item = (&'s str, &'s [Outcome])> {
        self.0.iter().enumerate().map(|(slot, outcomes)| {
            (names.get(slot).map_or(OTHER_PREFIX, |name| &**name), outcomes.as_slice())
        })
    }

    fn at(&mut self, slot: usize) -> &mut Vec<Outcome> {
        if self.0.len() <= slot {
            self.0.resize_with(slot + 1, Vec::new);
        }
        &mut self.0[slot]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_keeps_its_slot_and_those_past_the_limit_share_one() {
        let mut prefixes = StatPrefixes::default();
        let first = prefixes.slot("a");
        for number in 1..STAT_PREFIXES_MAX {
            prefixes.slot(&number.to_string());
        }
        let (over, beyond) = (prefixes.slot("over"), prefixes.slot(OTHER_PREFIX));
        assert_eq!((prefixes.slot("a"), over), (first, beyond));
        let mut one = ByPrefix::default();
        one.count(first, 200, Flag::None);
        one.count(over, 503, Flag::None);
        let mut sum = one.clone();
        sum.merge(&one);
        let counted = sum.named(prefixes.names()).filter(|(_, outcomes)| !outcomes.is_empty());
        let counted: Vec<_> =
            counted.map(|(name, outcomes)| (name, outcomes[0].status, outcomes[0].count)).collect();
        assert_eq!(counted, [("a", 200, 2), (OTHER_PREFIX, 503, 2)]);
    }
}
