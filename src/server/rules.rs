//! The rules of a script on one connection: which of them act, and how often their triggers occurred.

use std::collections::VecDeque;

use serde_json::Value;

use crate::script::{Action, EVERY, Generation, Phase, Rule, Trigger, When};
use crate::server::cause::{Cause, Place};
use crate::server::impact;
use crate::server::task::Step;

/// The rules of a script, each with a count of its trigger.
#[derive(Debug)]
pub(super) struct Rules(Vec<CountedRule>);

#[derive(Debug)]
struct CountedRule {
    rule: Rule,
    n_seen: u32,
}

impl Rules {
    /// Rules whose triggers never occurred.
    pub(super) fn new(rules: &[Rule]) -> Self {
        Self(rules.iter().map(|rule| CountedRule { rule: rule.clone(), n_seen: 0 }).collect())
    }

    /// Counts a cause, and returns the steps of the rules that it triggers. `phase` is that of the connection.
    pub(super) fn trigger(
        &mut self,
        cause: &Cause,
        place: Place,
        phase: Phase,
        generation: Generation,
    ) -> VecDeque<Step> {
        self.0.iter_mut().flat_map(|rule| rule.trigger(cause, place, phase, generation)).collect()
    }
}

impl CountedRule {
    fn trigger(&mut self, cause: &Cause, place: Place, so_far: Phase, generation: Generation) -> Vec<Step> {
        let Trigger { when, nth, connection, phase } = &self.rule.on;
        let is_elsewhere = connection.is_some_and(|wanted| place.connection != Some(wanted));
        if !fits(when, cause) || is_elsewhere || phase.is_some_and(|wanted| wanted != so_far) {
            return Vec::new();
        }
        self.n_seen = self.n_seen.saturating_add(1);
        if nth.is_some_and(|nth| nth != self.n_seen) {
            return Vec::new();
        }
        let fault = |action: &Action| {
            let (name, usual) = action.fault(when)?;
            Some((name, impact::impairs(action, &self.rule.on, cause, generation, usual)))
        };
        let step = |action: &Action| Step { action: action.clone(), fault: fault(action) };
        self.rule.actions.iter().map(step).collect()
    }
}

/// Whether a trigger waits for this cause.
fn fits(when: &When, cause: &Cause) -> bool {
    match when {
        When::Start => *cause == Cause::Start,
        When::Initialized => *cause == Cause::Initialized,
        When::Eof => *cause == Cause::Eof,
        When::Get => *cause == Cause::Get,
        When::Delete => *cause == Cause::Delete,
        When::Response => *cause == Cause::Response,
        When::Gate(wanted) => matches!(cause, Cause::Gate(found) if wanted == found),
        When::Elapsed(wanted) => matches!(cause, Cause::Elapsed(found) if wanted == found),
        When::Signal(wanted) => matches!(cause, Cause::Signal(found) if wanted == found),
        When::Notification(wanted) => {
            matches!(cause, Cause::Notification(found) if wanted == EVERY || wanted == found)
        }
        When::Request { method: wanted, tool } => {
            let Cause::Request { method, params, .. } = cause else { return false };
            let name = || params.get("name").and_then(Value::as_str);
            (wanted == EVERY || wanted == method) && tool.as_deref().is_none_or(|tool| name() == Some(tool))
        }
    }
}
