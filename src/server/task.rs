//! One cause and the remaining actions for it.

use std::collections::VecDeque;

use serde_json::Value;

use crate::history::{Impact, ServerEnd};
use crate::script::Action;
use crate::server::cause::{Cause, Place};
use crate::server::effect::{End, TimerId};

/// A cause and the steps that are left.
#[derive(Debug)]
pub(super) struct Task {
    pub cause: Cause,
    pub place: Place,
    pub steps: VecDeque<Step>,
    /// Whether the answer, or the end, is decided.
    pub settled: bool,
    /// How many progress reports it has sent.
    pub n_reports: u64,
    /// The bytes that holding it costs, roughly; 0 where no step may hold it.
    pub weight: usize,
}

/// One action, with the name of its fault and what that fault impairs.
#[derive(Debug, Clone)]
pub(super) struct Step {
    pub action: Action,
    pub fault: Option<(String, Impact)>,
}

/// The event for which a held task waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wait {
    Gate(String),
    Timer(TimerId),
    /// Another answer on the connection with this number.
    Answer(u64),
    /// The end of an MCP task of the connection with this number.
    Work(u64),
    /// The client's answer to a request of the server's own on this connection.
    Response(u64),
}

/// How a task continues after one action.
#[derive(Debug)]
pub(super) enum Next {
    /// With the next step.
    Continue,
    /// With the next step, after this.
    Hold(Wait),
    /// With the same action once more, after this timer.
    Repeat(TimerId),
    /// With the next step; the tasks that wait for this go first.
    Resume(Wait),
    /// Never: the server freezes.
    Freeze,
    /// Never: the server ends, with this farewell in its journal.
    End(Option<ServerEnd>, End),
}

impl Task {
    pub(super) fn new(cause: Cause, place: Place, steps: VecDeque<Step>) -> Self {
        let may_be_held = steps.iter().any(|step| step.action.holds());
        let weight = if may_be_held { cause.weight() } else { 0 };
        Self { cause, place, steps, settled: false, n_reports: 0, weight }
    }

    /// Counts what holding it costs, whatever its steps are.
    pub(super) fn weigh(&mut self) {
        self.weight = self.cause.weight();
    }

    /// Whether this is the request of this connection with this id, and a client may cancel it.
    pub(super) fn may_be_cancelled(&self, connection: Option<u64>, request: &Value) -> bool {
        self.place.connection == connection
            && matches!(&self.cause, Cause::Request { id, method, .. } if id == request && method != "initialize")
    }
}
