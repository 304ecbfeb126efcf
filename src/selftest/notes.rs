//! The notes of a self-test: the state of each check so far.

use std::collections::BTreeMap;

use crate::plan::Transport;
use crate::selftest::checks::{CHECKS, Check};

/// The state of one check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// The rule holds.
    Ok,
    /// The adapter broke the rule, with the fact.
    Failed(String),
    /// The adapter does not offer the feature, or this session cannot test it.
    NotOffered(String),
    /// An earlier failure ended the session first.
    NotReached,
}

/// The result of one check over one transport.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The rule that was checked.
    pub check: Check,
    /// The transport to the servers.
    pub transport: Transport,
    /// The result.
    pub state: State,
}

/// The results over one transport.
pub(super) struct Notes {
    transport: Transport,
    /// Ids of the checks to report; empty for all.
    about: &'static [&'static str],
    states: BTreeMap<&'static str, State>,
}

impl Notes {
    /// Starts without results. Reports the checks in `about`, or all if it is empty.
    pub(super) fn new(transport: Transport, about: &'static [&'static str]) -> Self {
        Self { transport, about, states: BTreeMap::new() }
    }

    /// Notes that the rule holds, unless it has failed before.
    pub(super) fn ok(&mut self, id: &'static str) {
        self.states.entry(id).or_insert(State::Ok);
    }

    /// Notes a failure. The first reason is kept.
    pub(super) fn fail(&mut self, id: &'static str, because: impl Into<String>) {
        if !matches!(self.states.get(id), Some(State::Failed(_))) {
            self.states.insert(id, State::Failed(because.into()));
        }
    }

    /// Notes success or failure.
    pub(super) fn judge(&mut self, id: &'static str, found: Result<(), String>) {
        match found {
            Ok(()) => self.ok(id),
            Err(because) => self.fail(id, because),
        }
    }

    /// Notes that the adapter does not offer the feature, or that it cannot be tested.
    pub(super) fn absent(&mut self, id: &'static str, why: impl Into<String>) {
        self.states.entry(id).or_insert_with(|| State::NotOffered(why.into()));
    }

    /// Whether the rule has held so far.
    pub(super) fn is_ok(&self, id: &str) -> bool {
        self.states.get(id) == Some(&State::Ok)
    }

    /// One row for each check to report, and for each that failed.
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
