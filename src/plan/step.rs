//! Steps of a scenario.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;

use crate::plan::Place;

/// One step: an action, and the context in which it runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// The action, with its fields.
    pub action: StepDo,
    /// The context in which the action runs.
    pub place: Place,
    /// Line of the scenario file, from 1; 0 for a generated step.
    pub line: usize,
}

/// The action of a step.
#[derive(Debug, Clone, PartialEq)]
pub enum StepDo {
    /// Load every server of the present configuration.
    Load(Invoked),
    /// The program runs again: load with the same configuration.
    Rerun(Invoked),
    /// Load after the configuration changed.
    Reload {
        /// Servers taken out of the configuration.
        remove: Vec<String>,
        /// Servers put into it: those declared with `initially = false`, or removed before.
        add: Vec<String>,
        /// Servers whose entry changes: the same script, started in another way.
        change: Vec<String>,
        /// Name, wait and repetition of the operation.
        invoked: Invoked,
    },
    /// Fetch the tools that the loader hands out now.
    List(Invoked),
    /// Call a tool.
    Call {
        /// Name of the server.
        server: String,
        /// Name of the tool.
        tool: String,
        /// Name, wait and repetition of the operation.
        invoked: Invoked,
    },
    /// Run the loader's cleanup.
    Close(Invoked),
    /// Force garbage collection.
    Collect,
    /// Cancel an operation that is in flight.
    Cancel {
        /// The name that an earlier step gave it with `as`.
        operation: String,
    },
    /// End the context named by `in`.
    DropContext,
    /// Let the program end as it would end by itself.
    Exit,
    /// Send a signal to the loader's process.
    Signal {
        /// `INT`, `TERM`, `HUP` or `KILL`.
        signal: String,
    },
    /// Open a gate, so that the held action of a mock continues.
    OpenGate {
        /// Name of the gate in the script.
        gate: String,
    },
    /// Kill a mock server from outside.
    KillServer {
        /// Name of the server.
        server: String,
    },
    /// Wait, without asking the loader for anything.
    Wait(WaitFor),
}

/// How an operation is invoked and how long the driver stays with it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Invoked {
    /// The name that `cancel` and `wait` steps use; given with `as`.
    pub name: Option<String>,
    /// The moment at which the driver continues.
    pub until: Until,
    /// Number of repetitions after the first time; each waits for the one before.
    pub again: u32,
}

/// When the driver continues with the next step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
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

/// The condition of a `wait` step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WaitFor {
    /// The end of an observation window of this length, in which the driver invokes nothing.
    Idle(Duration),
    /// The completion of the operation with this name.
    Operation(String),
    /// The arrival of a mock's action at this gate.
    Gate(String),
    /// The end of the mock process of this server.
    ServerEnd(String),
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

    /// The servers that the step names.
    #[must_use]
    pub fn servers(&self) -> Vec<&str> {
        match self {
            Self::Call { server, .. } | Self::KillServer { server } | Self::Wait(WaitFor::ServerEnd(server)) => {
                vec![server]
            }
            Self::Reload { remove, add, change, .. } => {
                remove.iter().chain(add).chain(change).map(String::as_str).collect()
            }
            Self::Load(_)
            | Self::Rerun(_)
            | Self::List(_)
            | Self::Close(_)
            | Self::Collect
            | Self::Cancel { .. }
            | Self::DropContext
            | Self::Exit
            | Self::Signal { .. }
            | Self::OpenGate { .. }
            | Self::Wait(WaitFor::Idle(_) | WaitFor::Operation(_) | WaitFor::Gate(_)) => Vec::new(),
        }
    }

    /// The earlier operation to which the step refers.
    #[must_use]
    pub fn operation(&self) -> Option<&str> {
        match self {
            Self::Cancel { operation } | Self::Wait(WaitFor::Operation(operation)) => Some(operation),
            Self::Load(_)
            | Self::Rerun(_)
            | Self::Reload { .. }
            | Self::List(_)
            | Self::Call { .. }
            | Self::Close(_)
            | Self::Collect
            | Self::DropContext
            | Self::Exit
            | Self::Signal { .. }
            | Self::OpenGate { .. }
            | Self::KillServer { .. }
            | Self::Wait(WaitFor::Idle(_) | WaitFor::Gate(_) | WaitFor::ServerEnd(_)) => None,
        }
    }

    /// The gate that the step opens or waits for.
    #[must_use]
    pub fn gate(&self) -> Option<&str> {
        match self {
            Self::OpenGate { gate } | Self::Wait(WaitFor::Gate(gate)) => Some(gate),
            Self::Load(_)
            | Self::Rerun(_)
            | Self::Reload { .. }
            | Self::List(_)
            | Self::Call { .. }
            | Self::Close(_)
            | Self::Collect
            | Self::Cancel { .. }
            | Self::DropContext
            | Self::Exit
            | Self::Signal { .. }
            | Self::KillServer { .. }
            | Self::Wait(WaitFor::Idle(_) | WaitFor::Operation(_) | WaitFor::ServerEnd(_)) => None,
        }
    }

    /// The same as [`invoked`](Self::invoked), to change it.
    pub fn invoked_mut(&mut self) -> Option<&mut Invoked> {
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
