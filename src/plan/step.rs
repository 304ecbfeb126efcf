//! Steps of a scenario.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::plan::limits::parse_duration;

/// One step: what is done, and where.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// What is done.
    pub action: StepDo,
    /// The context it is done in.
    pub place: Place,
    /// Line of the scenario file, from 1; 0 for a generated step.
    pub line: usize,
}

/// What a step does.
#[derive(Debug, Clone, PartialEq)]
pub enum StepDo {
    /// Load every server that is configured now.
    Load(Invoked),
    /// The program runs again: load with the same configuration.
    Rerun(Invoked),
    /// Load after the configuration changed.
    Reload {
        /// Servers taken out of the configuration.
        remove: Vec<String>,
        /// Servers put into it: those declared with `initially = false`, or removed before.
        add: Vec<String>,
        /// Servers whose entry is another one from here on: the same script, started in another way.
        change: Vec<String>,
        /// How it is invoked.
        invoked: Invoked,
    },
    /// The tools handed out now.
    List(Invoked),
    /// Call a tool.
    Call {
        /// Name of the server.
        server: String,
        /// Name of the tool.
        tool: String,
        /// How it is invoked.
        invoked: Invoked,
    },
    /// Cleanup.
    Close(Invoked),
    /// Force garbage collection.
    Collect,
    /// Cancel the operation with this name.
    Cancel {
        /// Its name, given with `as`.
        operation: String,
    },
    /// End the context named by `in`.
    DropContext,
    /// Ask the program to end as it would end by itself.
    Exit,
    /// Send a signal to the loader's process.
    Signal {
        /// `INT`, `TERM`, `HUP` or `KILL`.
        signal: String,
    },
    /// Open a gate.
    OpenGate {
        /// Its name.
        gate: String,
    },
    /// Kill a mock server from outside.
    KillServer {
        /// Its name.
        server: String,
    },
    /// Wait for something.
    Wait(WaitFor),
}

/// How an operation is invoked and how long the driver stays with it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Invoked {
    /// Its name, for `cancel` and `wait`.
    pub name: Option<String>,
    /// When the driver goes on.
    pub until: Until,
    /// How often it is done again once it has completed.
    pub again: u32,
}

/// When the driver goes on to the next step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Until {
    /// When the operation has completed.
    #[default]
    Completed,
    /// When its request has arrived at the mock: it is in flight.
    InFlight,
    /// At once: what the next steps do races with it.
    Invoked,
}

/// What a `wait` step waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WaitFor {
    /// An observation window of this length in which nothing is asked of the loader.
    Idle(Duration),
    /// The completion of the operation with this name.
    Operation(String),
    /// A mock's action that waits at this gate.
    Gate(String),
    /// The end of the mock process of this server.
    ServerEnd(String),
}

/// A context by name: `task:a`, `thread:t1`, `runtime:r1` (an event loop in Python).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Its kind.
    pub kind: PlaceKind,
    /// Its name.
    pub name: String,
}

/// The kind of a context.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PlaceKind {
    /// A task of the main runtime or loop.
    Task,
    /// An operating-system thread of its own.
    Thread,
    /// A multi-thread runtime of its own, driven all the time; in Python another loop.
    Runtime,
    /// A current-thread runtime of its own, driven only while a command runs on it; in Python another loop.
    CurrentThreadRuntime,
}

impl Place {
    /// The context of steps that name none.
    #[must_use]
    pub fn main() -> Self {
        Self { kind: PlaceKind::Task, name: "main".to_owned() }
    }

    /// Whether an adapter without tasks runs it on the main thread.
    #[must_use]
    pub fn is_on_main_thread(&self) -> bool {
        self.kind != PlaceKind::Thread
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            PlaceKind::Task => "task",
            PlaceKind::Thread => "thread",
            PlaceKind::Runtime => "runtime",
            PlaceKind::CurrentThreadRuntime => "current-thread-runtime",
        };
        write!(f, "{kind}:{}", self.name)
    }
}

/// Why a text names no context.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("found context {0:?}, expected task:NAME, thread:NAME, runtime:NAME or current-thread-runtime:NAME")]
pub struct PlaceError(String);

impl FromStr for Place {
    type Err = PlaceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || PlaceError(text.to_owned());
        let (kind, name) = text.split_once(':').ok_or_else(error)?;
        let kind = match kind {
            "task" => PlaceKind::Task,
            "thread" => PlaceKind::Thread,
            "runtime" => PlaceKind::Runtime,
            "current-thread-runtime" => PlaceKind::CurrentThreadRuntime,
            _ => return Err(error()),
        };
        if name.is_empty() {
            return Err(error());
        }
        Ok(Self { kind, name: name.to_owned() })
    }
}

/// Longest observation window.
const IDLE_MAX: Duration = Duration::from_secs(60);
/// Most times one step is done.
const REPEAT_MAX: u32 = 1_000;

/// A step as the file has it: every field optional, judged by [`StepFile::check`].
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct StepFile {
    #[serde(rename = "do")]
    action: String,
    #[serde(rename = "in", skip_serializing_if = "Option::is_none")]
    place: Option<String>,
    #[serde(rename = "as", skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<Until>,
    #[serde(skip_serializing_if = "Option::is_none")]
    server: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    operation: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    signal: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gate: Option<String>,
    #[serde(rename = "for", skip_serializing_if = "Option::is_none")]
    duration: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_of: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remove: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    add: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    change: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    repeat: Option<u32>,
}

/// What is wrong with a step.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StepError {
    /// No such step.
    #[error(
        "found do = {0:?}, expected load, call, list, cancel, rerun, reload, drop-context, close, exit, signal, collect, \
         open-gate, kill-server or wait"
    )]
    UnknownAction(String),
    /// A field is missing.
    #[error("found a {action} step without `{field}`, expected one")]
    Missing {
        /// The step.
        action: String,
        /// The field.
        field: &'static str,
    },
    /// A field does not belong to this step.
    #[error("found `{field}` in a {action} step, expected it only where it has a meaning")]
    Foreign {
        /// The step.
        action: String,
        /// The field.
        field: &'static str,
    },
    /// A wait step names nothing or several things to wait for.
    #[error("found {0} things to wait for, expected exactly one of `for`, `operation`, `gate`, `end-of`")]
    WaitFor(usize),
    /// An observation window that is too long.
    #[error("found an idle window of {found}, expected at most {} s", IDLE_MAX.as_secs())]
    IdleTooLong {
        /// As written.
        found: String,
    },
    /// A step that is repeated no time or too often.
    #[error("found repeat = {0}, expected 1 to {REPEAT_MAX}")]
    Repeat(u32),
    /// A repeated step that has a name, or that nobody stays with.
    #[error("found `{0}` beside `repeat`, expected a step without a name that is stayed with until it has completed")]
    RepeatWith(&'static str),
    /// An unknown signal.
    #[error("found signal {0:?}, expected INT, TERM, HUP or KILL")]
    Signal(String),
    /// A context that can not be read.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// A duration that can not be read.
    #[error(transparent)]
    Duration(#[from] crate::plan::DurationError),
}

impl StepFile {
    /// The step this is, if every field has its place.
    pub(super) fn check(mut self, line: usize) -> Result<Step, StepError> {
        let place = match self.place.take() {
            Some(text) => text.parse()?,
            None => Place::main(),
        };
        let action = self.take_action()?;
        self.expect_empty()?;
        Ok(Step { action, place, line })
    }

    fn take_action(&mut self) -> Result<StepDo, StepError> {
        Ok(match self.action.as_str() {
            "load" => StepDo::Load(self.repeated()?),
            "rerun" => StepDo::Rerun(self.repeated()?),
            "reload" => StepDo::Reload {
                remove: self.remove.take().unwrap_or_default(),
                add: self.add.take().unwrap_or_default(),
                change: self.change.take().unwrap_or_default(),
                invoked: self.invoked(),
            },
            "list" => StepDo::List(self.repeated()?),
            "call" => StepDo::Call {
                server: self.server.take().ok_or_else(|| self.missing("server"))?,
                tool: self.tool.take().unwrap_or_else(|| "read".to_owned()),
                invoked: self.repeated()?,
            },
            "close" => StepDo::Close(self.invoked()),
            "collect" => StepDo::Collect,
            "cancel" => StepDo::Cancel { operation: self.operation.take().ok_or_else(|| self.missing("operation"))? },
            "drop-context" => StepDo::DropContext,
            "exit" => StepDo::Exit,
            "signal" => StepDo::Signal { signal: self.take_signal()? },
            "open-gate" => StepDo::OpenGate { gate: self.gate.take().ok_or_else(|| self.missing("gate"))? },
            "kill-server" => StepDo::KillServer { server: self.server.take().ok_or_else(|| self.missing("server"))? },
            "wait" => StepDo::Wait(self.take_wait()?),
            other => return Err(StepError::UnknownAction(other.to_owned())),
        })
    }

    fn invoked(&mut self) -> Invoked {
        Invoked { name: self.name.take(), until: self.until.take().unwrap_or_default(), again: 0 }
    }

    /// As [`Self::invoked`], for an operation that may be repeated.
    fn repeated(&mut self) -> Result<Invoked, StepError> {
        let Some(n_times) = self.repeat.take() else { return Ok(self.invoked()) };
        if !(1..=REPEAT_MAX).contains(&n_times) {
            return Err(StepError::Repeat(n_times));
        }
        let invoked = self.invoked();
        if invoked.name.is_some() {
            return Err(StepError::RepeatWith("as"));
        }
        if invoked.until != Until::Completed {
            return Err(StepError::RepeatWith("until"));
        }
        Ok(Invoked { again: n_times - 1, ..invoked })
    }

    fn missing(&self, field: &'static str) -> StepError {
        StepError::Missing { action: self.action.clone(), field }
    }

    fn take_signal(&mut self) -> Result<String, StepError> {
        let signal = self.signal.take().ok_or_else(|| self.missing("signal"))?;
        match signal.as_str() {
            "INT" | "TERM" | "HUP" | "KILL" => Ok(signal),
            _ => Err(StepError::Signal(signal)),
        }
    }

    fn take_wait(&mut self) -> Result<WaitFor, StepError> {
        let mut found = Vec::new();
        if let Some(text) = self.duration.take() {
            let window = parse_duration(&text)?;
            if window > IDLE_MAX {
                return Err(StepError::IdleTooLong { found: text });
            }
            found.push(WaitFor::Idle(window));
        }
        found.extend(self.operation.take().map(WaitFor::Operation));
        found.extend(self.gate.take().map(WaitFor::Gate));
        found.extend(self.end_of.take().map(WaitFor::ServerEnd));
        let n_found = found.len();
        match found.pop() {
            Some(wait) if n_found == 1 => Ok(wait),
            _ => Err(StepError::WaitFor(n_found)),
        }
    }

    /// After the action took its fields, none may be left.
    fn expect_empty(&self) -> Result<(), StepError> {
        let left = [
            ("as", self.name.is_some()),
            ("until", self.until.is_some()),
            ("server", self.server.is_some()),
            ("tool", self.tool.is_some()),
            ("operation", self.operation.is_some()),
            ("signal", self.signal.is_some()),
            ("gate", self.gate.is_some()),
            ("for", self.duration.is_some()),
            ("end-of", self.end_of.is_some()),
            ("remove", self.remove.is_some()),
            ("add", self.add.is_some()),
            ("change", self.change.is_some()),
            ("repeat", self.repeat.is_some()),
        ];
        match left.into_iter().find(|(_, is_left)| *is_left) {
            Some((field, _)) => Err(StepError::Foreign { action: self.action.clone(), field }),
            None => Ok(()),
        }
    }
}

impl StepDo {
    /// The name of the step, as the file writes it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Load(_) => "load",
            Self::Rerun(_) => "rerun",
            Self::Reload { .. } => "reload",
            Self::List(_) => "list",
            Self::Call { .. } => "call",
            Self::Close(_) => "close",
            Self::Collect => "collect",
            Self::Cancel { .. } => "cancel",
            Self::DropContext => "drop-context",
            Self::Exit => "exit",
            Self::Signal { .. } => "signal",
            Self::OpenGate { .. } => "open-gate",
            Self::KillServer { .. } => "kill-server",
            Self::Wait(_) => "wait",
        }
    }

    /// How it is invoked, when it is an operation the driver may stay with.
    #[must_use]
    pub fn invoked(&self) -> Option<&Invoked> {
        match self {
            Self::Load(invoked) | Self::Rerun(invoked) | Self::List(invoked) | Self::Close(invoked) => Some(invoked),
            Self::Reload { invoked, .. } | Self::Call { invoked, .. } => Some(invoked),
            Self::Collect
            | Self::Cancel { .. }
            | Self::DropContext
            | Self::Exit
            | Self::Signal { .. }
            | Self::OpenGate { .. }
            | Self::KillServer { .. }
            | Self::Wait(_) => None,
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.action.name())?;
        match &self.action {
            StepDo::Call { server, tool, .. } => write!(f, " {server}.{tool}")?,
            StepDo::Reload { remove, add, change, .. } => {
                remove.iter().try_for_each(|name| write!(f, " -{name}"))?;
                add.iter().try_for_each(|name| write!(f, " +{name}"))?;
                change.iter().try_for_each(|name| write!(f, " ~{name}"))?;
            }
            StepDo::Cancel { operation } => write!(f, " {operation}")?,
            StepDo::Signal { signal } => write!(f, " {signal}")?,
            StepDo::OpenGate { gate } => write!(f, " {gate}")?,
            StepDo::KillServer { server } => write!(f, " {server}")?,
            StepDo::Wait(WaitFor::Idle(duration)) => write!(f, " for {} ms", duration.as_millis())?,
            StepDo::Wait(WaitFor::Operation(name)) => write!(f, " for operation {name}")?,
            StepDo::Wait(WaitFor::Gate(name)) => write!(f, " for gate {name}")?,
            StepDo::Wait(WaitFor::ServerEnd(name)) => write!(f, " for the end of {name}")?,
            StepDo::Load(_)
            | StepDo::Rerun(_)
            | StepDo::List(_)
            | StepDo::Close(_)
            | StepDo::Collect
            | StepDo::DropContext
            | StepDo::Exit => {}
        }
        if let Some(invoked) = self.action.invoked() {
            if let Some(name) = &invoked.name {
                write!(f, " as {name}")?;
            }
            match invoked.until {
                Until::Completed => {}
                Until::InFlight => f.write_str(" until in flight")?,
                Until::Invoked => f.write_str(" until invoked")?,
            }
            if invoked.again > 0 {
                write!(f, " {} times", invoked.again + 1)?;
            }
        }
        write!(f, " in {}", self.place)
    }
}
