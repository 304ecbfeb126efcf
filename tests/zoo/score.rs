//! The score of the zoo: what was caught, what was accused, and what was neither.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display, Formatter};

use mcp_lifecheck::check::{Finding, Verdict, covered_by, invariant, requirements};

use crate::bench::Kind;
use crate::specimens::not_yet::{FOUND_AS_WELL, HASTY, NOT_YET};
use crate::specimens::{Stage, broken_invariants, broken_requirements};

/// One life of the zoo.
pub struct Row {
    pub name: &'static str,
    pub about: &'static str,
    pub kind: Kind,
    pub stage: Stage,
    pub breaks: &'static [&'static str],
    /// Of the lives of a broken specimen: the invariant that judges them.
    pub caught_by: Option<&'static str>,
    /// The loader that lives the broken life, if it is one that is hosted.
    pub loader: Option<&'static str>,
}

/// The findings of one life, or why it was not lived to its end.
pub type Observation = Result<Vec<Finding>, String>;

/// The figures, and each thing that is wrong.
#[derive(Default)]
pub struct Score {
    n_broken: usize,
    n_caught: usize,
    n_silent: usize,
    n_accused: usize,
    requirements: BTreeSet<&'static str>,
    /// What is wrong, without what `NOT_YET` lists.
    wrong: Vec<String>,
    not_yet: Vec<String>,
    /// Hasty lives that came too late.
    too_late: Vec<String>,
}

impl Score {
    /// The score of these rows. `is_all`: whether they are the whole zoo, so that stale exceptions are wrong as well.
    pub fn of(rows: &[Row], observed: &[Vec<Observation>], is_all: bool) -> Self {
        let mut score = Self::default();
        score.check_table(rows);
        let mut excused = BTreeSet::new();
        for (row, observations) in rows.iter().zip(observed) {
            let Some(told) = score.count(row, observations) else { continue };
            let told = format!("{} ({}): {told}\n    {}", row.name, row.kind.word(), row.about);
            match NOT_YET.iter().find(|(name, _)| *name == row.name) {
                Some((name, because)) => {
                    excused.insert(*name);
                    score.not_yet.push(format!("{told}\n    not yet: {because}"));
                }
                None => score.wrong.push(told),
            }
        }
        if is_all {
            let stale = NOT_YET.iter().filter(|(name, _)| !excused.contains(name));
            score.wrong.extend(stale.map(|(name, _)| format!("{name}: is right now; take it out of NOT_YET")));
        }
        score
    }

    /// Counts a row; gives what is wrong about it.
    fn count(&mut self, row: &Row, observations: &[Observation]) -> Option<String> {
        let in_time: Vec<Observation>;
        let mut observations = observations;
        if row.kind == Kind::Broken && HASTY.contains(&row.name) {
            let is_in_time = |one: &&Observation| one.as_ref().map_or(true, |findings| !findings.is_empty());
            in_time = observations.iter().filter(is_in_time).cloned().collect();
            let (n, n_late) = (observations.len(), observations.len() - in_time.len());
            if n_late > 0 {
                self.too_late.push(format!("{}: came too late in {n_late} of {n} rounds", row.name));
            }
            if in_time.is_empty() && n == 1 {
                return None;
            }
            observations = if in_time.is_empty() { observations } else { &in_time };
        }
        let mut wrong = None;
        for observation in observations {
            wrong = wrong.or(match row.kind {
                Kind::Broken => missed(row, observation),
                Kind::Twin | Kind::Correct => accused(observation),
            });
        }
        let verdicts: BTreeSet<String> = observations.iter().map(signature).collect();
        if verdicts.len() > 1 {
            let all: Vec<_> = verdicts.into_iter().collect();
            wrong = wrong.or(Some(format!("its verdicts differ: {}", all.join(" | "))));
        }
        if row.kind == Kind::Broken {
            self.n_broken += 1;
            if wrong.is_none() {
                self.n_caught += 1;
                self.requirements.extend(row.breaks);
            }
        } else {
            self.n_silent += 1;
            self.n_accused += usize::from(wrong.is_some());
        }
        wrong
    }

    /// Checks what a row says of itself.
    fn check_table(&mut self, rows: &[Row]) {
        let mut n_of: BTreeMap<(&str, Kind), usize> = BTreeMap::new();
        for row in rows {
            *n_of.entry((row.name, row.kind)).or_default() += 1;
            if !row.about.ends_with('.') {
                self.wrong.push(format!("{}: {:?} is no sentence", row.name, row.about));
            }
            let Some(id) = row.caught_by else { continue };
            match invariant(id) {
                None => self.wrong.push(format!("{}: there is no invariant {id}", row.name)),
                Some(_) => {
                    let known = requirements().unwrap_or_default();
                    let is_covered =
                        |one: &&&str| known.iter().any(|known| known.id == **one && covered_by(known).contains(&id));
                    let strange = row.breaks.iter().filter(|one| !is_covered(one));
                    self.wrong.extend(strange.map(|one| format!("{}: {id} does not cover {one}", row.name)));
                }
            }
        }
        let twice = n_of.into_iter().filter(|(_, n)| *n > 1);
        self.wrong.extend(twice.map(|((name, _), _)| format!("{name}: two specimens have this name")));
    }

    pub fn is_whole(&self) -> bool {
        self.wrong.is_empty()
    }
}

/// Why a broken life does not count as caught.
fn missed(row: &Row, observation: &Observation) -> Option<String> {
    let findings = match observation {
        Ok(findings) => findings,
        Err(error) => return Some(error.clone()),
    };
    let is_own = |finding: &&Finding| {
        matches!(finding.verdict, Verdict::Fail | Verdict::Warn) && Some(finding.invariant) == row.caught_by
    };
    let is_named = |id: &&str| findings.iter().filter(is_own).any(|finding| finding.requirement.contains(id));
    let unnamed: Vec<&str> = row.breaks.iter().filter(|id| !is_named(id)).copied().collect();
    let expected_as_well = |finding: &Finding| FOUND_AS_WELL.contains(&(row.name, finding.invariant));
    let others: Vec<&Finding> = findings
        .iter()
        .filter(|finding| Some(finding.invariant) != row.caught_by && !expected_as_well(finding))
        .collect();
    let stale = FOUND_AS_WELL
        .iter()
        .find(|(name, id)| *name == row.name && findings.iter().all(|finding| finding.invariant != *id));
    if let Some((_, id)) = stale {
        return Some(format!("{id} does not report it any more; take it out of FOUND_AS_WELL"));
    }
    let expected = row.caught_by.unwrap_or_default();
    match (findings.iter().any(|finding| is_own(&finding)), others.as_slice()) {
        (true, []) if unnamed.is_empty() => None,
        (true, []) => Some(format!("missed: {expected} does not name {}", unnamed.join(", "))),
        (true, others) => Some(format!("breaks another rule as well: {}", told(others.iter().copied()))),
        (false, []) => Some(format!("missed: {expected} found nothing")),
        (false, _) => Some(format!("missed by {expected}: {}", told(findings))),
    }
}

/// Why a life without a mistake does not count as silent.
fn accused(observation: &Observation) -> Option<String> {
    match observation {
        Ok(findings) if findings.is_empty() => None,
        Ok(findings) => Some(format!("accused: {}", told(findings))),
        Err(error) => Some(error.clone()),
    }
}

fn told<'a>(findings: impl IntoIterator<Item = &'a Finding>) -> String {
    let each =
        findings.into_iter().map(|finding| format!("{} {}: {}", finding.verdict, finding.invariant, finding.because));
    each.collect::<Vec<_>>().join("; ")
}

/// The part of an observation that must be the same each time.
fn signature(observation: &Observation) -> String {
    match observation {
        Ok(findings) => {
            let each: BTreeSet<_> =
                findings.iter().map(|finding| format!("{} {}", finding.verdict, finding.signature)).collect();
            each.into_iter().collect::<Vec<_>>().join(", ")
        }
        Err(error) => error.clone(),
    }
}

impl Display for Score {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.not_yet.iter().try_for_each(|told| writeln!(f, "NOT YET {told}"))?;
        self.too_late.iter().try_for_each(|told| writeln!(f, "TOO LATE {told}"))?;
        self.wrong.iter().try_for_each(|told| writeln!(f, "WRONG {told}"))?;
        let n_invariants = broken_invariants().collect::<BTreeSet<_>>().len();
        writeln!(f, "mutation score: caught {} of {}", self.n_caught, self.n_broken)?;
        writeln!(f, "false alarms: {} of {}", self.n_accused, self.n_silent)?;
        let n_requirements = broken_requirements().collect::<BTreeSet<_>>().len();
        writeln!(
            f,
            "{} of {n_requirements} requirements and {n_invariants} invariants broken; {} in NOT_YET",
            self.requirements.len(),
            self.not_yet.len()
        )
    }
}
