//! The driver's end of the link to an adapter: what it offers, and commands that are not operations.

use serde_json::{Map, Value};
use tokio::sync::oneshot;

use crate::plan::{PlaceKind, Scenario, StepDo};
use crate::record::{AdapterLink, Completion};

/// A linked adapter.
pub(super) struct Adapter {
    link: AdapterLink,
    /// Commands sent so far. They are numbered apart from operations.
    n_commands: u32,
}

impl Adapter {
    pub(super) fn new(link: AdapterLink) -> Self {
        Self { link, n_commands: 0 }
    }

    /// Whether the adapter offers an operation.
    pub(super) fn can(&self, operation: &str) -> bool {
        self.link.hello().operations.iter().any(|known| known == operation)
    }

    /// Whether what its program no longer uses waits until it is collected, and the adapter can have it collected.
    pub(super) fn can_collect_garbage(&self) -> bool {
        self.can("collect") && !self.link.hello().language.starts_with("rust")
    }

    /// Whether it runs operations in tasks of their own. Without them, every task of the main thread is the main thread.
    pub(super) fn has_tasks(&self) -> bool {
        self.has_contexts("task")
    }

    fn has_contexts(&self, kind: &str) -> bool {
        self.link.hello().contexts.iter().any(|known| known == kind)
    }

    /// Sends the command of an operation.
    pub(super) fn send(&self, id: u32, command: Map<String, Value>) -> oneshot::Receiver<Completion> {
        self.link.send(id, command)
    }

    /// Sends a command that is not an operation.
    pub(super) fn command(&mut self, action: &str, mut fields: Map<String, Value>) -> oneshot::Receiver<Completion> {
        self.n_commands += 1;
        fields.insert("do".to_owned(), Value::from(action));
        self.link.send(AdapterLink::FIRST_PLAIN_COMMAND + self.n_commands, fields)
    }

    /// The first operation or kind of context that a scenario needs and the adapter does not offer.
    pub(super) fn missing(&self, scenario: &Scenario) -> Option<String> {
        self.missing_operation(scenario).or_else(|| self.missing_context(scenario))
    }

    fn missing_operation(&self, scenario: &Scenario) -> Option<String> {
        let needed = scenario.steps.iter().filter_map(|step| optional_operation(&step.action));
        let missing = needed.into_iter().find(|needed| !self.can(needed))?;
        Some(format!("the scenario needs `{missing}`, which the adapter does not offer"))
    }

    fn missing_context(&self, scenario: &Scenario) -> Option<String> {
        let needed = scenario.steps.iter().filter_map(|step| match step.place.kind {
            PlaceKind::Task => None,
            PlaceKind::Thread => Some("thread"),
            PlaceKind::Runtime | PlaceKind::CurrentThreadRuntime => Some("loop"),
        });
        let missing = needed.into_iter().find(|needed| !self.has_contexts(needed))?;
        Some(format!(
            "the scenario needs contexts of kind `{missing}`, which the loader promises and the adapter does not offer; \
             `contexts` of [promises] names those in which the loader works"
        ))
    }
}

/// The operation that a step needs and that an adapter may lack. Every adapter has the others.
fn optional_operation(action: &StepDo) -> Option<&'static str> {
    match action {
        StepDo::Cancel { .. } => Some("cancel"),
        StepDo::DropContext => Some("drop-context"),
        StepDo::Reload { .. } => Some("reload"),
        StepDo::List(_) => Some("list"),
        StepDo::Load(_)
        | StepDo::Rerun(_)
        | StepDo::Call { .. }
        | StepDo::Close(_)
        | StepDo::Collect
        | StepDo::Exit
        | StepDo::Signal { .. }
        | StepDo::OpenGate { .. }
        | StepDo::KillServer { .. }
        | StepDo::Wait(_) => None,
    }
}
