//! Steps of a scenario as its file writes them.

use std::time::Duration;

use serde::Deserialize;

use crate::plan::limits::parse_duration;
use crate::plan::tagged::{StepFlaw, StepTable};
use crate::plan::{DurationError, Invoked, Place, Step, StepDo, Until, WaitFor};

/// Longest observation window.
const IDLE_MAX: Duration = Duration::from_secs(60);
/// Most times one step is done.
const REPEAT_MAX: u32 = 1_000;

/// The action of a step: a variant for each name that `do` may have, with the fields that belong to it.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
enum StepFile {
    Load(Repeatable),
    Call {
        server: String,
        #[serde(default = "default_tool")]
        tool: String,
        #[serde(rename = "as")]
        name: Option<String>,
        until: Option<Until>,
        repeat: Option<Times>,
    },
    List(Repeatable),
    Cancel {
        operation: String,
    },
    Rerun(Repeatable),
    Reload {
        #[serde(default)]
        remove: Vec<String>,
        #[serde(default)]
        add: Vec<String>,
        #[serde(default)]
        change: Vec<String>,
        #[serde(rename = "as")]
        name: Option<String>,
        until: Option<Until>,
    },
    DropContext {},
    Close {
        #[serde(rename = "as")]
        name: Option<String>,
        until: Option<Until>,
    },
    Exit {},
    Signal {
        signal: LoaderSignal,
    },
    Collect {},
    OpenGate {
        gate: String,
    },
    KillServer {
        server: String,
    },
    Wait(WaitFile),
}

/// The tool of a call that names none.
pub(super) const DEFAULT_TOOL: &str = "read";

fn default_tool() -> String {
    DEFAULT_TOOL.to_owned()
}

/// An operation that may be repeated.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Repeatable {
    #[serde(rename = "as")]
    name: Option<String>,
    until: Option<Until>,
    repeat: Option<Times>,
}

/// The things that a `wait` step can wait for; it names exactly one.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct WaitFile {
    #[serde(rename = "for")]
    window: Option<Window>,
    operation: Option<String>,
    gate: Option<String>,
    end_of: Option<String>,
}

/// How often a step is done, from 1.
#[derive(Clone, Copy, Deserialize)]
#[serde(try_from = "u32")]
struct Times(u32);

/// The length of an observation window.
#[derive(Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
struct Window(Duration);

/// A signal that a scenario may send to the loader's process.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum LoaderSignal {
    Int,
    Term,
    Hup,
    Kill,
}

#[derive(Debug, thiserror::Error)]
enum StepError {
    #[error("found {0} things to wait for, expected exactly one of `for`, `operation`, `gate`, `end-of`")]
    WaitFor(usize),
    #[error("found an idle window of {found}, expected at most {} s", IDLE_MAX.as_secs())]
    IdleTooLong { found: String },
    #[error("found repeat = {0}, expected 1 to {REPEAT_MAX}")]
    Repeat(u32),
    #[error(
        "found `{0}` next to `repeat`, expected neither `as` nor `until`: each repetition waits until the last one has \
         completed"
    )]
    RepeatWith(&'static str),
    #[error(transparent)]
    Duration(#[from] DurationError),
}

impl TryFrom<u32> for Times {
    type Error = StepError;

    fn try_from(found: u32) -> Result<Self, StepError> {
        if (1..=REPEAT_MAX).contains(&found) { Ok(Self(found)) } else { Err(StepError::Repeat(found)) }
    }
}

impl TryFrom<String> for Window {
    type Error = StepError;

    fn try_from(found: String) -> Result<Self, StepError> {
        let window = parse_duration(&found)?;
        if window > IDLE_MAX { Err(StepError::IdleTooLong { found }) } else { Ok(Self(window)) }
    }
}

impl LoaderSignal {
    fn name(self) -> &'static str {
        match self {
            Self::Int => "INT",
            Self::Term => "TERM",
            Self::Hup => "HUP",
            Self::Kill => "KILL",
        }
    }
}

impl Repeatable {
    fn invoked(self) -> Result<Invoked, StepError> {
        let Self { name, until, repeat } = self;
        match repeat {
            None => Ok(invoked(name, until)),
            Some(_) if name.is_some() => Err(StepError::RepeatWith("as")),
            Some(_) if until.is_some_and(|until| until != Until::Completed) => Err(StepError::RepeatWith("until")),
            Some(Times(n_times)) => Ok(Invoked { again: n_times - 1, ..Invoked::default() }),
        }
    }
}

fn invoked(name: Option<String>, until: Option<Until>) -> Invoked {
    Invoked { name, until: until.unwrap_or_default(), again: 0 }
}

impl TryFrom<WaitFile> for WaitFor {
    type Error = StepError;

    fn try_from(file: WaitFile) -> Result<Self, StepError> {
        let WaitFile { window, operation, gate, end_of } = file;
        let found = [
            window.map(|Window(window)| Self::Idle(window)),
            operation.map(Self::Operation),
            gate.map(Self::Gate),
            end_of.map(Self::ServerEnd),
        ];
        let mut found: Vec<Self> = found.into_iter().flatten().collect();
        let n_found = found.len();
        found.pop().filter(|_| n_found == 1).ok_or(StepError::WaitFor(n_found))
    }
}

impl TryFrom<StepFile> for StepDo {
    type Error = StepError;

    fn try_from(file: StepFile) -> Result<Self, StepError> {
        Ok(match file {
            StepFile::Load(operation) => Self::Load(operation.invoked()?),
            StepFile::Rerun(operation) => Self::Rerun(operation.invoked()?),
            StepFile::List(operation) => Self::List(operation.invoked()?),
            StepFile::Call { server, tool, name, until, repeat } => {
                Self::Call { server, tool, invoked: Repeatable { name, until, repeat }.invoked()? }
            }
            StepFile::Reload { remove, add, change, name, until } => {
                Self::Reload { remove, add, change, invoked: invoked(name, until) }
            }
            StepFile::Close { name, until } => Self::Close(invoked(name, until)),
            StepFile::Collect {} => Self::Collect,
            StepFile::Cancel { operation } => Self::Cancel { operation },
            StepFile::DropContext {} => Self::DropContext,
            StepFile::Exit {} => Self::Exit,
            StepFile::Signal { signal } => Self::Signal { signal: signal.name().to_owned() },
            StepFile::OpenGate { gate } => Self::OpenGate { gate },
            StepFile::KillServer { server } => Self::KillServer { server },
            StepFile::Wait(file) => Self::Wait(file.try_into()?),
        })
    }
}

impl Step {
    /// Reads a step; `line` is its line in the scenario file, from 1.
    pub(super) fn read(mut table: StepTable<'_>, line: usize) -> Result<Self, StepFlaw> {
        let offset = table.offset;
        let place = match table.take::<String>("in")? {
            Some(place) => {
                let at = place.span().start;
                place.into_inner().parse::<Place>().map_err(|error| StepFlaw::new(at, error))?
            }
            None => Place::main(),
        };
        let action = StepDo::try_from(table.read::<StepFile>()?).map_err(|error| StepFlaw::new(offset, error))?;
        Ok(Self { action, place, line })
    }
}
