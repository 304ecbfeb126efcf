//! When a rule acts.

use serde::{Deserialize, Serialize};

use crate::script::{Carriage, Defect, Signal};

/// When a rule acts: an occasion, and which one of its kind.
///
/// Further conditions (phase, gate, elapsed) become further fields; a rule acts when all are met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trigger {
    /// The occasion.
    pub when: When,
    /// Only the n-th such occasion of a connection, from 1; without it, every one.
    pub nth: Option<u32>,
    /// Only on the n-th connection to this server, from 1: over stdio its n-th process, over HTTP what its n-th
    /// `initialize` begins; without it, on every one.
    pub connection: Option<u64>,
}

/// An occasion on which a mock can act.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum When {
    /// A request arrived.
    Request {
        /// Its method.
        method: String,
        /// For `tools/call`: only calls of this tool.
        tool: Option<String>,
    },
    /// A notification arrived.
    Notification(String),
    /// The mock started.
    Start,
    /// The client said that it is initialized, for the first time.
    Initialized,
    /// The input ended.
    Eof,
    /// A signal arrived.
    Signal(Signal),
    /// A client asked for the stream of its session: an HTTP GET.
    Get,
    /// A client asked for the end of its session: an HTTP DELETE.
    Delete,
}

/// A trigger as it is written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TriggerFile {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    request: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    notification: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tool: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    start: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    initialized: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    eof: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    signal: Option<Signal>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    get: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    delete: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nth: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    connection: Option<u64>,
}

impl Trigger {
    /// A trigger on every occasion of a kind.
    #[must_use]
    pub fn every(when: When) -> Self {
        Self { when, nth: None, connection: None }
    }
}

impl When {
    /// Whether it can come about more than once in a process.
    #[must_use]
    pub fn recurs(&self) -> bool {
        match self {
            Self::Request { .. } | Self::Notification(_) | Self::Signal(_) | Self::Get | Self::Delete => true,
            Self::Start | Self::Initialized | Self::Eof => false,
        }
    }

    /// What a fault on this occasion is told apart by.
    pub(super) fn detail(&self) -> &str {
        match self {
            Self::Request { method, .. } | Self::Notification(method) => method,
            Self::Start => "start",
            Self::Initialized => "initialized",
            Self::Eof => "eof",
            Self::Signal(signal) => signal.name(),
            Self::Get => "get",
            Self::Delete => "delete",
        }
    }

    /// Its name in a script.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Request { .. } => "request",
            Self::Notification(_) => "notification",
            Self::Start => "start",
            Self::Initialized => "initialized",
            Self::Eof => "eof",
            Self::Signal(_) => "signal",
            Self::Get => "get",
            Self::Delete => "delete",
        }
    }

    /// What it comes about over, where not over anything.
    pub(super) fn needs(&self) -> Option<Carriage> {
        match self {
            Self::Eof => Some(Carriage::Lines),
            Self::Get | Self::Delete => Some(Carriage::Http),
            Self::Request { .. } | Self::Notification(_) | Self::Start | Self::Initialized | Self::Signal(_) => None,
        }
    }
}

impl TriggerFile {
    /// Refuses what can never come about.
    pub(super) fn check(self) -> Result<Trigger, Defect> {
        let (nth, connection) = (self.nth, self.connection);
        let when = self.when()?;
        if connection == Some(0) {
            return Err(Defect::ConnectionZero);
        }
        match nth {
            Some(0) => Err(Defect::NthZero),
            Some(nth) if nth > 1 && !when.recurs() => Err(Defect::NthOfOne { nth, occasion: when.detail().to_owned() }),
            _ => Ok(Trigger { when, nth, connection }),
        }
    }

    fn when(self) -> Result<When, Defect> {
        let mut found = Vec::new();
        for (name, flag, when) in [
            ("start", self.start, When::Start),
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

fn checked_request(method: String) -> Result<String, Defect> {
    if method.is_empty() || method.starts_with("notifications/") {
        return Err(Defect::NotARequest(method));
    }
    Ok(method)
}

fn checked_notification(method: String) -> Result<String, Defect> {
    if method.strip_prefix("notifications/").is_none_or(str::is_empty) {
        return Err(Defect::NotANotification(method));
    }
    Ok(method)
}

impl From<&Trigger> for TriggerFile {
    fn from(trigger: &Trigger) -> Self {
        let mut file = Self { nth: trigger.nth, connection: trigger.connection, ..Self::default() };
        match &trigger.when {
            When::Request { method, tool } => {
                file.request = Some(method.clone());
                file.tool.clone_from(tool);
            }
            When::Notification(method) => file.notification = Some(method.clone()),
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
