//! What was found so far, a state for each check.

use std::collections::BTreeMap;

use crate::plan::Transport;
use crate::selftest::checks::{CHECKS, Check};

/// What was found of one check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It holds.
    Ok,
    /// It does not, and what was seen.
    Failed(String),
    /// The adapter does not offer it, or it can not be seen here.
    NotOffered(String),
    /// What failed before ended the session.
    NotReached,
}

/// One check over one transport.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The rule.
    pub check: Check,
    /// How servers were reached.
    pub transport: Transport,
    /// What was found.
    pub state: State,
}

/// What was found over one transport.
pub(super) struct Notes {
    transport: Transport,
    /// The checks it is about.
    about: &'static [&'static str],
    states: BTreeMap<&'static str, State>,
}

impl Notes {
    /// Nothing yet; about these checks, or about all where there are none.
    pub(super) fn new(transport: Transport, about: &'static [&'static str]) -> Self {
        Self { transport, about, states: BTreeMap::new() }
    }

    /// It holds, as far as was seen: what has failed once stays so.
    pub(super) fn ok(&mut self, id: &'static str) {
        self.states.entry(id).or_insert(State::Ok);
    }

    /// It does not hold; the first reason is kept.
    pub(super) fn fail(&mut self, id: &'static str, because: impl Into<String>) {
        if !matches!(self.states.get(id), Some(State::Failed(_))) {
            self.states.insert(id, State::Failed(because.into()));
        }
    }

    /// It holds, or does not because of what was found.
    pub(super) fn judge(&mut self, id: &'static str, found: Result<(), String>) {
        match found {
            Ok(()) => self.ok(id),
            Err(because) => self.fail(id, because),
        }
    }

    /// It is not offered, or can not be seen.
    pub(super) fn absent(&mut self, id: &'static str, why: impl Into<String>) {
        self.states.entry(id).or_insert_with(|| State::NotOffered(why.into()));
    }

    /// Whether it holds, as far as was seen.
    pub(super) fn is_ok(&self, id: &str) -> bool {
        self.states.get(id) == Some(&State::Ok)
    }

    /// A row for each check this is about, and for each that has failed.
    pub(super) fn into_rows(mut self) -> Vec<Row> {
        let has_failed = |check: &Check| matches!(self.states.get(check.id), Some(State::Failed(_)));
        let is_about = |check: &&Check| self.about.is_empty() || self.about.contains(&check.id) || has_failed(check);
        let checks: Vec<Check> = CHECKS.iter().filter(is_about).copied().collect();
        let row = |check: Check| Row {
            check,
            transport: self.transport,
            state: self.states.remove(check.id).unwrap_or(State::NotReached),
        };
        checks.into_iter().map(row).collect()
    }
}
