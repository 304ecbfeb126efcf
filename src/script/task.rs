//! What a mock still has to do about one occasion.

use std::collections::VecDeque;

use serde_json::Value;

use crate::history::Impact;
use crate::script::batch::Seat;
use crate::script::bearing;
use crate::script::methods::EVERY;
use crate::script::{Action, Era, ExchangeNo, Phase, Rule, Signal, Span, Trigger, When};

/// A timer an interpreter asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimerId(pub u64);

/// One occasion and the actions that are left to do.
#[derive(Debug)]
pub(super) struct Task {
    pub cause: Cause,
    pub at: At,
    pub steps: VecDeque<Step>,
    /// Whether the answer, or the end, needs no more deciding.
    pub settled: bool,
    /// How often progress of it was reported.
    pub n_reports: u64,
    /// What keeping it costs, in bytes, where it may be held; about so.
    pub weight: usize,
}

/// Where something came about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct At {
    /// The number of the connection; none for what concerns the whole mock.
    pub connection: Option<u64>,
    /// The HTTP exchange that is to be answered.
    pub exchange: Option<ExchangeNo>,
    /// The place of a request in a batch.
    pub seat: Option<Seat>,
}

/// What came about.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cause {
    Start,
    Initialized,
    Request { id: Value, method: String, params: Value },
    Notification(String),
    Response,
    Gate(String),
    Elapsed(Span),
    Eof,
    Signal(Signal),
    Get,
    Delete,
}

/// One action, with the name of its fault.
#[derive(Debug, Clone)]
pub(super) struct Step {
    pub action: Action,
    pub fault: Option<(String, Impact)>,
}

/// What a held task waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wait {
    Gate(String),
    Timer(TimerId),
    /// Another answer of the connection with this number.
    Answer(u64),
    /// The end of a task of the connection with this number.
    Work(u64),
    /// Until something is answered that was asked on this connection.
    Response(u64),
}

/// A rule and how often its occasion came about.
#[derive(Debug)]
pub(super) struct Watch {
    rule: Rule,
    n_seen: u32,
}

impl Watch {
    pub(super) fn new(rule: Rule) -> Self {
        Self { rule, n_seen: 0 }
    }

    /// The steps of the rule, when this is its occasion, on a connection that has come so far, of a server of this era.
    pub(super) fn see(&mut self, cause: &Cause, at: At, so_far: Phase, era: Era) -> Vec<Step> {
        let Trigger { when, nth, connection, phase } = &self.rule.on;
        let is_elsewhere = connection.is_some_and(|wanted| at.connection != Some(wanted));
        if !when.fits(cause) || is_elsewhere || phase.is_some_and(|wanted| wanted != so_far) {
            return Vec::new();
        }
        self.n_seen = self.n_seen.saturating_add(1);
        if nth.is_some_and(|nth| nth != self.n_seen) {
            return Vec::new();
        }
        let weighed = |action: &Action| {
            let (name, usual) = action.fault(when)?;
            Some((name, bearing::impairs(action, &self.rule.on, cause, era, usual)))
        };
        let step = |action: &Action| Step { action: action.clone(), fault: weighed(action) };
        self.rule.actions.iter().map(step).collect()
    }
}

impl When {
    fn fits(&self, cause: &Cause) -> bool {
        match (self, cause) {
            (Self::Start, Cause::Start) | (Self::Initialized, Cause::Initialized) | (Self::Eof, Cause::Eof) => true,
            (Self::Get, Cause::Get) | (Self::Delete, Cause::Delete) => true,
            (Self::Response, Cause::Response) => true,
            (Self::Gate(wanted), Cause::Gate(found)) => wanted == found,
            (Self::Elapsed(wanted), Cause::Elapsed(found)) => wanted == found,
            (Self::Signal(wanted), Cause::Signal(found)) => wanted == found,
            (Self::Notification(wanted), Cause::Notification(found)) => wanted == EVERY || wanted == found,
            (Self::Request { method: wanted, tool }, Cause::Request { method, params, .. }) => {
                let name = || params.get("name").and_then(Value::as_str);
                (wanted == EVERY || wanted == method) && tool.as_deref().is_none_or(|tool| name() == Some(tool))
            }
            _ => false,
        }
    }
}

impl Cause {
    /// The bytes it takes in memory, about.
    fn weight(&self) -> usize {
        match self {
            Self::Request { id, method, params } => weight(id) + method.len() + weight(params),
            Self::Notification(method) => method.len(),
            Self::Gate(gate) => gate.len(),
            Self::Start | Self::Initialized | Self::Eof | Self::Signal(_) | Self::Get | Self::Delete => 0,
            Self::Response | Self::Elapsed(_) => 0,
        }
    }
}

/// The bytes a value takes in memory, about. It was read from JSON, so it is not nested deeply.
fn weight(value: &Value) -> usize {
    let inner = match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(text) => text.len(),
        Value::Array(all) => all.iter().map(weight).sum(),
        Value::Object(all) => all.iter().map(|(key, value)| key.len() + weight(value)).sum(),
    };
    size_of::<Value>() + inner
}

impl Task {
    pub(super) fn new(cause: Cause, at: At, so_far: Phase, era: Era, watches: &mut [Watch]) -> Self {
        let steps: VecDeque<Step> = watches.iter_mut().flat_map(|watch| watch.see(&cause, at, so_far, era)).collect();
        let may_be_held = steps.iter().any(|step| step.action.holds());
        let weight = if may_be_held { cause.weight() } else { 0 };
        Self { cause, at, steps, settled: false, n_reports: 0, weight }
    }

    /// Counts what keeping it costs, whatever its steps are.
    pub(super) fn weigh(&mut self) {
        self.weight = self.cause.weight();
    }

    /// Whether this is the request of this connection with this id, and a client may cancel it.
    pub(super) fn may_be_cancelled(&self, connection: Option<u64>, request: &Value) -> bool {
        self.at.connection == connection
            && matches!(&self.cause, Cause::Request { id, method, .. } if id == request && method != "initialize")
    }
}
