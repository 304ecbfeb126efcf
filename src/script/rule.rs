//! Rules: what a script does at a trigger.

#[cfg(feature = "schemas")]
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::plan::Framing;
use crate::script::action::Action;
use crate::script::trigger::{Trigger, When};

/// A rule: a trigger, and the actions that it causes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// When it acts.
    pub on: Trigger,
    /// The actions, in order.
    pub actions: Vec<Action>,
    /// Whether the experiment is valid although the rule never acted.
    pub optional: bool,
}

/// A rule as a file has it, generic over what is kept with its parts.
#[derive(Serialize, Deserialize)]
#[cfg_attr(feature = "schemas", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RuleFile<T, A> {
    /// When it acts.
    pub on: T,
    /// The actions, in order.
    #[serde(rename = "do")]
    pub actions: Vec<A>,
    /// Whether the experiment is valid although the rule never acted.
    #[serde(default, skip_serializing_if = "is_false")]
    pub optional: bool,
}

impl Rule {
    /// Its parts that need a framing. The trigger of an optional rule needs none, because it need not occur.
    pub(super) fn needs(&self) -> impl Iterator<Item = (&'static str, Framing)> {
        let trigger = self.on.when.needs().filter(|_| !self.optional).map(|needs| (self.on.when.name(), needs));
        let actions = self.actions.iter().filter_map(|action| Some((action.name(), action.needs()?)));
        trigger.into_iter().chain(actions)
    }

    /// Its part that needs streamable HTTP, if any: a DELETE that must occur, or an unusual answer to a POST.
    pub(super) fn needs_streamable(&self) -> Option<&'static str> {
        let trigger = (self.on.when == When::Delete && !self.optional).then(|| self.on.when.name());
        let is_of_it = |action: &&Action| action.needs() == Some(Framing::Http) && !action.is_of_any_http();
        trigger.or_else(|| self.actions.iter().find(is_of_it).map(Action::name))
    }

    /// Its part that needs a process, if any: a signal that must occur, or a refusal to end. No supervisor could end a mock
    /// without a process that refuses.
    pub(super) fn needs_process(&self) -> Option<&'static str> {
        let is_signal = matches!(self.on.when, When::Signal(_)) && !self.optional;
        let trigger = is_signal.then(|| self.on.when.name());
        trigger.or_else(|| self.actions.iter().find(|action| action.needs_process()).map(Action::name))
    }
}

impl<T, A> RuleFile<T, A> {
    pub(super) fn map<T2, A2>(self, on: impl Fn(T) -> T2, action: impl Fn(A) -> A2) -> RuleFile<T2, A2> {
        RuleFile { on: on(self.on), actions: self.actions.into_iter().map(action).collect(), optional: self.optional }
    }
}

pub(super) fn is_false(flag: &bool) -> bool {
    !flag
}
