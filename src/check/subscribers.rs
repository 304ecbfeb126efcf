//! Which rules of a table get which events: the same for every history.

use crate::check::generations::Spoke;
use crate::check::topics::{N_TOPICS, Topic};
use crate::check::{Invariant, Plans, Verdict};
use crate::history::Kind;

/// A set of rules, by their places in a table.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Rows([u64; 3]);

impl Rows {
    /// A table has no more rules.
    pub(super) const MAX: usize = 3 * 64;

    pub(super) fn insert(&mut self, row: usize) {
        self.0[row / 64] |= 1 << (row % 64);
    }

    pub(super) fn and(self, other: Self) -> Self {
        Self(std::array::from_fn(|word| self.0[word] & other.0[word]))
    }

    pub(super) fn or(self, other: Self) -> Self {
        Self(std::array::from_fn(|word| self.0[word] | other.0[word]))
    }

    pub(super) fn without(self, other: Self) -> Self {
        Self(std::array::from_fn(|word| self.0[word] & !other.0[word]))
    }

    /// The places, in the order of the table.
    pub(super) fn iter(self) -> impl Iterator<Item = usize> {
        self.0.into_iter().enumerate().flat_map(|(word, mut bits)| {
            std::iter::from_fn(move || {
                let bit = bits.trailing_zeros() as usize;
                bits &= bits.checked_sub(1)?;
                Some(word * 64 + bit)
            })
        })
    }
}

/// The signatures of a rule where it was not broken, by verdict.
#[derive(Debug)]
pub(super) struct Signatures([(Verdict, String); 4]);

impl Signatures {
    pub(super) fn of(id: &str) -> Self {
        let unbroken = [Verdict::Pass, Verdict::Vacuous, Verdict::NotObservable, Verdict::NotApplicable];
        Self(unbroken.map(|verdict| (verdict, [id, "/", verdict.name()].concat())))
    }

    /// The signature; empty for the verdict of a violation, whose signature names its variant.
    pub(super) fn verdict(&self, verdict: Verdict) -> &str {
        let found = self.0.iter().find(|(known, _)| *known == verdict);
        found.map_or("", |(_, signature)| signature)
    }
}

/// The rules that one topic concerns.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Concerned {
    /// Those that hear it once they are awake.
    pub(super) awake: Rows,
    /// Those that hear it even asleep.
    pub(super) asleep: Rows,
    /// Those that it wakes.
    pub(super) woken: Rows,
}

/// The subscriptions of a table of rules.
#[derive(Debug)]
pub(super) struct Subscribers {
    /// By the place of each topic.
    topics: Vec<Concerned>,
    /// The rules of any generation, of that with a handshake, and of the stateless one.
    of_any: Rows,
    of_handshake: Rows,
    of_stateless: Rows,
    /// The rules that sleep at first, by the plans in which they do.
    sleepers: Vec<(Plans, Rows)>,
    /// By the place of each rule.
    signatures: Vec<Signatures>,
}

impl Subscribers {
    pub(super) fn of(table: &[Invariant]) -> Self {
        assert!(table.len() <= Rows::MAX, "a table has more rules than a set has places");
        let mut found = Self::without_selection(table);
        for (row, invariant) in table.iter().enumerate() {
            if let Some(plans) = invariant.hears.sleeps() {
                let place = found.sleepers.iter().position(|(known, _)| *known == plans);
                let place = place.unwrap_or_else(|| {
                    found.sleepers.push((plans, Rows::default()));
                    found.sleepers.len() - 1
                });
                found.sleepers[place].1.insert(row);
            }
        }
        for topic in Kind::ALL.iter().flat_map(|kind| Topic::all_of(*kind)) {
            let concerned = &mut found.topics[topic.index()];
            let (subscribed, mut unheard) = (concerned.awake, Rows::default());
            for (row, invariant) in table.iter().enumerate() {
                if !invariant.hears.has(topic) {
                    unheard.insert(row);
                } else if invariant.hears.has_asleep(topic) {
                    concerned.asleep.insert(row);
                }
                if invariant.hears.wakes(topic) {
                    concerned.woken.insert(row);
                }
            }
            concerned.awake = subscribed.without(unheard);
            concerned.asleep = concerned.asleep.and(subscribed);
        }
        found
    }

    /// The same by kinds alone: every rule hears every event of its kinds.
    pub(super) fn without_selection(table: &[Invariant]) -> Self {
        let mut topics = vec![Concerned::default(); N_TOPICS];
        let (mut of_any, mut of_handshake, mut of_stateless) = (Rows::default(), Rows::default(), Rows::default());
        for (row, invariant) in table.iter().enumerate() {
            for topic in invariant.kinds.iter().flat_map(|kind| Topic::all_of(*kind)) {
                topics[topic.index()].awake.insert(row);
            }
            match invariant.applies.spoke() {
                None => of_any.insert(row),
                Some(Spoke::Handshake) => of_handshake.insert(row),
                Some(Spoke::Stateless) => of_stateless.insert(row),
            }
        }
        let signatures = table.iter().map(|invariant| Signatures::of(invariant.id)).collect();
        Self { topics, of_any, of_handshake, of_stateless, sleepers: Vec::new(), signatures }
    }

    pub(super) fn signatures(&self, row: usize) -> &Signatures {
        &self.signatures[row]
    }

    pub(super) fn concerned(&self, topic: Topic) -> &Concerned {
        &self.topics[topic.index()]
    }

    /// The rules of any generation, and those of the generations that are asked for.
    pub(super) fn of_generations(&self, has_handshake: bool, is_stateless: bool) -> Rows {
        let with = |rows: Rows, others: Rows, has_others| if has_others { rows.or(others) } else { rows };
        with(with(self.of_any, self.of_handshake, has_handshake), self.of_stateless, is_stateless)
    }

    /// The rules that sleep at first in a plan to which these apply.
    pub(super) fn asleep(&self, is_of: impl Fn(Plans) -> bool) -> Rows {
        let of_plan = self.sleepers.iter().filter(|(plans, _)| is_of(*plans));
        of_plan.fold(Rows::default(), |all, (_, rows)| all.or(*rows))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_has_its_rows_in_order() {
        let mut rows = Rows::default();
        [191, 0, 64, 63, 5].into_iter().for_each(|row| rows.insert(row));
        assert_eq!(rows.iter().collect::<Vec<_>>(), [0, 5, 63, 64, 191]);
        assert_eq!(Rows::default().iter().count(), 0);
    }
}
