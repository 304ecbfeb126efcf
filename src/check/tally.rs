//! The findings of a monitor so far.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use crate::check::subscribers::Signatures;
use crate::check::{Finding, Invariant, Level, Verdict, View};
use crate::history::Seq;

/// One violation of an invariant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    variant: &'static str,
    because: String,
    witness: Vec<Seq>,
    weight: Weight,
    doubts: Doubts,
}

/// The finding reports the heavier one first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Weight {
    OfLevel,
    Warn,
}

/// The reasons to doubt a violation. Each one alone is enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
struct Doubts {
    /// It exists only because this bound passed, and a loaded machine breaks bounds.
    bound: Option<Duration>,
    /// It exists only because something came this much later than it may, and a delay as long explains that.
    late: Option<Duration>,
    /// It exists only because a link was lost, and a mock that loses the recorder ends without a farewell.
    is_of_link: bool,
}

impl Violation {
    /// A violation with the level of its invariant. The variant is kebab-case and part of the signature.
    #[must_use]
    pub fn new(variant: &'static str, because: String, witness: &[Seq]) -> Self {
        let mut witness = witness.to_vec();
        witness.sort_unstable();
        witness.dedup();
        Self { variant, because, witness, weight: Weight::OfLevel, doubts: Doubts::default() }
    }

    /// The same, as a warning at every level.
    #[must_use]
    pub fn as_warning(self) -> Self {
        Self { weight: Weight::Warn, ..self }
    }

    /// The same, but Inconclusive if the machine was so loaded that the bound proves nothing.
    #[must_use]
    pub fn of_bound(self, bound: Duration) -> Self {
        Self { doubts: Doubts { bound: Some(bound), ..self.doubts }, ..self }
    }

    /// The same, but Inconclusive if the machine delayed anything for as long as the event came too late. Of two such times the
    /// shorter one counts.
    #[must_use]
    pub fn of_lateness(self, over: Duration) -> Self {
        let over = self.doubts.late.map_or(over, |known| known.min(over));
        Self { doubts: Doubts { late: Some(over), ..self.doubts }, ..self }
    }

    /// The same, but Inconclusive if the experiment failed, because only the loss of a link proves it.
    #[must_use]
    pub fn of_link(self) -> Self {
        Self { doubts: Doubts { is_of_link: true, ..self.doubts }, ..self }
    }

    /// The same, with a further event that it needs, and what that event shows.
    #[must_use]
    pub fn shown_by(mut self, seq: Seq, what: &str) -> Self {
        self.because.push_str(&format!("; {what} at {seq}"));
        self.witness.push(seq);
        self.witness.sort_unstable();
        self.witness.dedup();
        self
    }
}

/// What a monitor has found so far. It keeps the first violation of each weight and its doubts, and counts the others.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    n_held: u64,
    broken: BTreeMap<(Weight, Doubts), (Violation, usize)>,
    open: Option<(String, Vec<Seq>)>,
}

impl Tally {
    /// Records that the trigger happened and the invariant held.
    pub fn held(&mut self) {
        self.n_held += 1;
    }

    /// Records a violation.
    pub fn broken(&mut self, violation: Violation) {
        let key = (violation.weight, violation.doubts);
        self.broken.entry(key).and_modify(|(_, n)| *n += 1).or_insert((violation, 1));
    }

    /// Records an obligation that is still open at the end. It counts only if the history was cut off.
    pub fn open(&mut self, because: String, witness: &[Seq]) {
        self.open.get_or_insert_with(|| (because, witness.to_vec()));
    }

    /// Whether the invariant held nowhere.
    pub(super) fn never_held(&self) -> bool {
        self.n_held == 0
    }

    /// Whether nothing was recorded.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.n_held == 0 && self.broken.is_empty() && self.open.is_none()
    }

    /// How often the invariant was broken.
    pub(super) fn n_broken(&self) -> usize {
        self.broken.values().map(|(_, n)| n).sum()
    }

    /// Turns the tally into the finding.
    pub(super) fn finding(
        self,
        invariant: &'static Invariant,
        signatures: &'static Signatures,
        view: &View,
    ) -> Finding {
        let found = |verdict: Verdict, because: String, witness: Vec<Seq>, variant: &str| Finding {
            invariant: invariant.id,
            verdict,
            because: shortened(because).into(),
            requirement: match witness.is_empty() {
                true => invariant.requirement.into(),
                false => [invariant.requirement, &view.requirements_under_test(invariant.id, &witness)].concat().into(),
            },
            witness,
            signature: [invariant.id, "/", variant].concat().into(),
        };
        let plain = |verdict: Verdict, because: Cow<'static, str>| Finding {
            invariant: invariant.id,
            verdict,
            because,
            witness: Vec::new(),
            requirement: invariant.requirement.into(),
            signature: signatures.verdict(verdict).into(),
        };
        let n_broken = self.n_broken();
        let weighed = self.broken.into_values().map(|(violation, _)| {
            let doubt = violation.doubts.hold(view);
            let verdict = if doubt.is_some() { Verdict::Inconclusive } else { violation.verdict(invariant.level) };
            (heaviness(verdict), violation.witness.clone(), verdict, violation, doubt)
        });
        let worst = weighed.min_by(|left, right| (left.0, &left.1).cmp(&(right.0, &right.1)));
        if let Some((_, witness, verdict, violation, doubt)) = worst {
            let more = if n_broken > 1 { format!(" (and {} more)", n_broken - 1) } else { String::new() };
            let because = format!("{}{more}{}", violation.because, doubt.unwrap_or_default());
            return found(verdict, because, witness, violation.variant);
        }
        if let (Some((because, witness)), true) = (self.open, view.is_cut_off()) {
            return found(Verdict::Inconclusive, format!("{because} when the history was cut off"), witness, "cut-off");
        }
        match self.n_held {
            0 => plain(Verdict::Vacuous, invariant.vacuous.into()),
            n => plain(Verdict::Pass, held(n)),
        }
    }
}

fn held(n_times: u64) -> Cow<'static, str> {
    match n_times {
        1 => "held".into(),
        n => format!("held each of {n} times").into(),
    }
}

impl Violation {
    fn verdict(&self, level: Level) -> Verdict {
        match (self.weight, level) {
            (Weight::Warn, _) => Verdict::Warn,
            (Weight::OfLevel, level) => level.verdict(),
        }
    }
}

impl Doubts {
    /// The first doubt that applies to this history, as the end of a sentence.
    fn hold(self, view: &View) -> Option<String> {
        if let Some(failed) = view.experiment_failed().filter(|_| self.is_of_link) {
            return Some(format!(", but the experiment failed at {failed}"));
        }
        let delay = view.longest_delay();
        let is_delayed =
            self.bound.is_some_and(|bound| delay > bound / 5) || self.late.is_some_and(|over| delay > over);
        is_delayed.then(|| format!(", but the machine kept the supervisor waiting for {} ms", delay.as_millis()))
    }
}

/// A reason without the middle of what is too long for a reader, such as an id of a megabyte.
fn shortened(because: String) -> String {
    let at = |mut index: usize| {
        while !because.is_char_boundary(index) {
            index += 1;
        }
        index
    };
    let n_left_out = because.len().saturating_sub(2 * HALF_BYTES);
    if n_left_out == 0 {
        return because;
    }
    let (head, tail) = (at(HALF_BYTES), at(because.len() - HALF_BYTES));
    format!("{} […{n_left_out} bytes…] {}", &because[..head], &because[tail..])
}

/// Most bytes of the beginning and of the end of a reason.
const HALF_BYTES: usize = 2_000;

/// Lower is heavier.
fn heaviness(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Fail => 0,
        Verdict::Inconclusive => 1,
        Verdict::Warn => 2,
        Verdict::Vacuous | Verdict::NotObservable | Verdict::NotApplicable | Verdict::Pass => 3,
    }
}
