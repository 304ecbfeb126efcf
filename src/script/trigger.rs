//! Triggers: when a rule acts.

use std::collections::BTreeSet;
use std::time::Duration;

#[cfg(feature = "schemas")]
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::plan::Framing;
use crate::script::methods::{EVERY, checked_notification, checked_request};
use crate::script::{Defect, Phase, Signal, Span};

/// When a rule acts: a cause, and further conditions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trigger {
    /// The cause.
    pub when: When,
    /// Only the n-th such cause on a connection, from 1. By default each one.
    pub nth: Option<u32>,
    /// Only on the n-th connection to this server, from 1: over stdio its n-th process, without those
    /// that were only asked for their generation, over HTTP the connection of its n-th
    /// `initialize`. By default on each one.
    pub connection: Option<u64>,
    /// Only in this phase of the connection. By default in each one.
    pub phase: Option<Phase>,
}

/// A cause that can trigger a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum When {
    /// A request arrived.
    Request {
        /// Its method, or `*` for each.
        method: String,
        /// For `tools/call`: only calls of this tool.
        tool: Option<String>,
    },
    /// A notification arrived; its method, or `*` for each.
    Notification(String),
    /// The client answered a request of the server's own.
    Response,
    /// This gate was opened.
    Gate(String),
    /// This time has passed since the start.
    Elapsed(Span),
    /// The mock started.
    Start,
    /// The client sent `notifications/initialized` for the first time.
    Initialized,
    /// The input ended.
    Eof,
    /// A signal arrived.
    Signal(Signal),
    /// A client requested the stream of its session: an HTTP GET.
    Get,
    /// A client requested the end of its session: an HTTP DELETE.
    Delete,
}

/// Longest time after which a rule may act. It is above the longest life of a mock in a plan.
const ELAPSED_MAX: Span = Span(Duration::from_secs(60));

/// A trigger as a file has it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemas", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct TriggerFile {
    /// A request arrived; its method, or `*` for each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    request: Option<String>,
    /// A notification arrived; its method, or `*` for each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    notification: Option<String>,
    /// A call of this tool arrived; also together with `request = "tools/call"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tool: Option<String>,
    /// The client answered a request of the server's own: true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    response: Option<bool>,
    /// This gate was opened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gate: Option<String>,
    /// This time has passed since the start, as `250ms`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    elapsed: Option<Span>,
    /// The mock started: true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    start: Option<bool>,
    /// The client sent `notifications/initialized` for the first time: true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    initialized: Option<bool>,
    /// The input ended: true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    eof: Option<bool>,
    /// This signal arrived.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    signal: Option<Signal>,
    /// A client requested a stream, an HTTP GET: true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    get: Option<bool>,
    /// A client requested the end of its session, an HTTP DELETE: true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    delete: Option<bool>,
    /// Only the n-th of its kind on a connection, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nth: Option<u32>,
    /// Only on the n-th connection, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    connection: Option<u64>,
    /// Only while the connection is in this phase.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    phase: Option<Phase>,
}

impl Trigger {
    /// A trigger for every cause of a kind.
    #[must_use]
    pub fn every(when: When) -> Self {
        Self { when, nth: None, connection: None, phase: None }
    }
}

impl When {
    /// Whether default handling does something after the actions of a script.
    pub(super) fn has_default_handling(&self) -> bool {
        match self {
            Self::Request { .. } | Self::Get | Self::Delete | Self::Eof | Self::Signal(_) => true,
            Self::Notification(_)
            | Self::Response
            | Self::Gate(_)
            | Self::Elapsed(_)
            | Self::Start
            | Self::Initialized => false,
        }
    }

    /// Whether it can occur more than once in a process.
    #[must_use]
    pub fn recurs(&self) -> bool {
        match self {
            Self::Request { .. } | Self::Notification(_) | Self::Response => true,
            Self::Signal(_) | Self::Get | Self::Delete => true,
            Self::Start | Self::Initialized | Self::Eof | Self::Gate(_) | Self::Elapsed(_) => false,
        }
    }

    /// The part of a fault's name that says what triggered it.
    pub(super) fn detail(&self) -> String {
        match self {
            Self::Request { method, .. } if method == EVERY => "request".to_owned(),
            Self::Notification(method) if method == EVERY => "notification".to_owned(),
            Self::Request { method, .. } | Self::Notification(method) => method.clone(),
            Self::Signal(signal) => signal.name().to_owned(),
            Self::Gate(gate) => format!("gate-{gate}"),
            Self::Elapsed(Span(time)) => format!("elapsed-{}ms", time.as_millis()),
            Self::Response | Self::Start | Self::Initialized | Self::Eof | Self::Get | Self::Delete => {
                self.name().to_owned()
            }
        }
    }

    /// Its name in a script.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Request { .. } => "request",
            Self::Notification(_) => "notification",
            Self::Response => "response",
            Self::Gate(_) => "gate",
            Self::Elapsed(_) => "elapsed",
            Self::Start => "start",
            Self::Initialized => "initialized",
            Self::Eof => "eof",
            Self::Signal(_) => "signal",
            Self::Get => "get",
            Self::Delete => "delete",
        }
    }

    /// The framing it needs; none if it occurs over every framing.
    pub(super) fn needs(&self) -> Option<Framing> {
        match self {
            Self::Eof => Some(Framing::Lines),
            Self::Get | Self::Delete => Some(Framing::Http),
            Self::Request { .. } | Self::Notification(_) | Self::Response | Self::Start | Self::Initialized => None,
            Self::Signal(_) | Self::Gate(_) | Self::Elapsed(_) => None,
        }
    }

    /// Whether it belongs to one connection, over every framing.
    fn is_of_connection(&self) -> bool {
        match self {
            Self::Request { .. } | Self::Notification(_) | Self::Response | Self::Initialized => true,
            Self::Eof | Self::Get | Self::Delete => true,
            Self::Start | Self::Signal(_) | Self::Gate(_) | Self::Elapsed(_) => false,
        }
    }

    /// The phases in which it can occur; none if it can occur in each.
    fn phases(&self) -> Option<BTreeSet<Phase>> {
        use Phase::{AfterInitialize, DuringInitialize, DuringShutdown};
        match self {
            // A second `initialize` comes in a later phase.
            Self::Request { method, .. } if method == "initialize" => {
                Some([DuringInitialize, AfterInitialize, DuringShutdown].into())
            }
            Self::Initialized => Some([DuringInitialize].into()),
            Self::Get | Self::Delete => Some([DuringInitialize, AfterInitialize, DuringShutdown].into()),
            _ if !self.is_of_connection() => Some(BTreeSet::new()),
            _ => None,
        }
    }
}

impl TriggerFile {
    /// Refuses a trigger that never occurs.
    pub(super) fn check(self) -> Result<Trigger, Defect> {
        let (nth, connection, phase) = (self.nth, self.connection, self.phase);
        let when = self.when()?;
        if connection == Some(0) {
            return Err(Defect::ConnectionZero);
        }
        if let Some(phase) = phase
            && when.phases().is_some_and(|phases| !phases.contains(&phase))
        {
            return Err(Defect::NeverInPhase { trigger: when.detail(), phase });
        }
        match nth {
            Some(0) => Err(Defect::NthZero),
            Some(nth) if nth > 1 && !when.recurs() => Err(Defect::NthOfOne { nth, trigger: when.detail() }),
            _ => Ok(Trigger { when, nth, connection, phase }),
        }
    }

    fn when(self) -> Result<When, Defect> {
        let mut found = Vec::new();
        for (name, flag, when) in [
            ("start", self.start, When::Start),
            ("response", self.response, When::Response),
            ("initialized", self.initialized, When::Initialized),
            ("eof", self.eof, When::Eof),
            ("get", self.get, When::Get),
            ("delete", self.delete, When::Delete),
        ] {
            match flag {
                Some(true) => found.push((name, when)),
                Some(false) => return Err(Defect::FlagFalse(name)),
                None => {}
            }
        }
        if let Some(method) = self.request {
            found.push(("request", When::Request { method: checked_request(method)?, tool: None }));
        }
        if let Some(method) = self.notification {
            found.push(("notification", When::Notification(checked_notification(method)?)));
        }
        if let Some(gate) = self.gate {
            if gate.is_empty() {
                return Err(Defect::GateWithoutName);
            }
            found.push(("gate", When::Gate(gate)));
        }
        if let Some(time) = self.elapsed {
            if time > ELAPSED_MAX {
                return Err(Defect::ElapsedTooLong { found_ms: time.0.as_millis(), max_ms: ELAPSED_MAX.0.as_millis() });
            }
            found.push(("elapsed", When::Elapsed(time)));
        }
        if let Some(signal) = self.signal {
            if !Signal::CAUGHT.contains(&signal) {
                return Err(Defect::SignalNotCaught(signal));
            }
            found.push(("signal", When::Signal(signal)));
        }
        if found.is_empty() && self.tool.is_some() {
            found.push(("tool", When::Request { method: "tools/call".to_owned(), tool: None }));
        }
        let mut found = found.into_iter();
        let (first_name, mut when) = found.next().ok_or(Defect::NoTrigger)?;
        if let Some((second, _)) = found.next() {
            return Err(Defect::TwoTriggers { first: first_name, second });
        }
        if let Some(name) = self.tool {
            match &mut when {
                When::Request { method, tool } if method == "tools/call" => *tool = Some(name),
                _ => return Err(Defect::ToolWithoutCall { trigger: first_name }),
            }
        }
        Ok(when)
    }
}

impl From<&Trigger> for TriggerFile {
    fn from(trigger: &Trigger) -> Self {
        let Trigger { nth, connection, phase, .. } = trigger;
        let mut file = Self { nth: *nth, connection: *connection, phase: *phase, ..Self::default() };
        match &trigger.when {
            When::Request { method, tool } => {
                file.request = Some(method.clone());
                file.tool.clone_from(tool);
            }
            When::Notification(method) => file.notification = Some(method.clone()),
            When::Response => file.response = Some(true),
            When::Gate(gate) => file.gate = Some(gate.clone()),
            When::Elapsed(time) => file.elapsed = Some(*time),
            When::Start => file.start = Some(true),
            When::Initialized => file.initialized = Some(true),
            When::Eof => file.eof = Some(true),
            When::Signal(signal) => file.signal = Some(*signal),
            When::Get => file.get = Some(true),
            When::Delete => file.delete = Some(true),
        }
        file
    }
}
