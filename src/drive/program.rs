//! The program that hosts the loader: a supervised process, or tasks of this process.

use std::time::Duration;

use tokio::sync::watch;

use crate::drive::context::Context;
use crate::plan::{PlaceKind, Scenario, StepDo};
use crate::supervise::{LoaderEnd, Sample, Signalled, SuperviseError, Supervised};

/// The program of one plan.
#[derive(Clone, Copy)]
pub(super) enum Program<'a> {
    /// A process below a supervisor.
    Process(&'a Supervised),
    /// Tasks of this thread.
    Tasks(&'a TaskProgram),
}

/// A program whose parts are tasks of this thread. It has neither a process nor signals nor stacks.
#[derive(Debug, Clone)]
pub struct TaskProgram {
    ended: watch::Receiver<bool>,
}

impl TaskProgram {
    /// A program that is over as soon as `ended` is true, or its sender is gone.
    #[must_use]
    pub fn new(ended: watch::Receiver<bool>) -> Self {
        Self { ended }
    }

    fn is_over(&self) -> bool {
        *self.ended.borrow() || self.ended.has_changed().is_err()
    }

    async fn over(&self) {
        // An error means that the sender is gone.
        let _ = self.ended.clone().wait_for(|ended| *ended).await;
    }
}

impl Program<'_> {
    /// Why the program cannot go through a scenario; `None` if it can.
    pub(super) fn lacks(self, scenario: &Scenario) -> Option<String> {
        match self {
            Self::Process(_) => None,
            Self::Tasks(_) => scenario.steps.iter().find_map(|step| {
                let needed = match (&step.action, step.place.kind) {
                    (StepDo::Signal { .. }, _) => "a signal, which needs a process",
                    (_, PlaceKind::Thread) => "a thread of its own",
                    (_, PlaceKind::Runtime | PlaceKind::CurrentThreadRuntime) => "a runtime of its own",
                    (_, PlaceKind::Task) => return None,
                };
                Some(format!("the scenario needs {needed}, and a simulated program is tasks of one thread"))
            }),
        }
    }

    /// Whether the experiment can no longer observe the program.
    pub(super) fn is_lost(self) -> bool {
        match self {
            Self::Process(supervised) => supervised.is_lost(),
            Self::Tasks(_) => false,
        }
    }

    /// Whether the program reached a limit of its supervisor, or the supervisor was lost.
    pub(super) fn is_broken(self) -> bool {
        match self {
            Self::Process(supervised) => supervised.is_broken(),
            Self::Tasks(_) => false,
        }
    }

    /// Waits for the end of the program; `None` if the limit passed.
    pub(super) async fn end(self, limit: Duration) -> Option<LoaderEnd> {
        match self {
            Self::Process(supervised) => supervised.loader_end(limit).await,
            Self::Tasks(program) => {
                tokio::time::timeout(limit, program.over()).await.ok()?;
                self.end_now()
            }
        }
    }

    /// The end of the program; `None` while it runs.
    pub(super) fn end_now(self) -> Option<LoaderEnd> {
        match self {
            Self::Process(supervised) => supervised.loader_end_now(),
            Self::Tasks(program) => program.is_over().then_some(LoaderEnd { code: Some(0), signal: None }),
        }
    }

    /// Waits until the program ends, or the experiment can no longer observe it.
    pub(super) async fn broken_or_ended(self) {
        match self {
            Self::Process(supervised) => supervised.broken_or_ended().await,
            Self::Tasks(program) => program.over().await,
        }
    }

    /// Measures what the program uses over a window; `None` if it has ended or has no process of its own. The window passes.
    pub(super) async fn sample(self, window: Duration) -> Result<Option<Sample>, SuperviseError> {
        match self {
            Self::Process(supervised) => supervised.sample(window).await,
            Self::Tasks(_) => {
                tokio::time::sleep(window).await;
                Ok(None)
            }
        }
    }

    /// Sends a signal to the program. The name has no `SIG`.
    pub(super) async fn signal(self, signal: &str) -> Result<Signalled, SuperviseError> {
        match self {
            Self::Process(supervised) => supervised.signal(None, signal).await,
            Self::Tasks(_) => Ok(Signalled::Gone),
        }
    }

    /// The supervisor of its process, if it has one.
    pub(super) fn supervised(&self) -> Option<&Supervised> {
        match self {
            Self::Process(supervised) => Some(supervised),
            Self::Tasks(_) => None,
        }
    }
}

/// Records the stacks that the system has of the program.
pub(super) async fn take_system_stacks(context: Context<'_>) {
    if let Some(supervised) = context.program.supervised() {
        context.stage.take_system_stacks(supervised).await;
    }
}
