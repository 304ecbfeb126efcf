//! The recorder's end of the link to the loader's process.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Deserialize;
use serde_json::{Map, Value};
use tokio::sync::{mpsc, oneshot};

use crate::history::{CodeLine, Failure, Outcome, Tool};

/// The adapter's description of itself: the first line of its link.
#[derive(Debug, Clone, Deserialize)]
pub struct AdapterHello {
    /// Version of the adapter protocol; 1.
    pub hello: u64,
    /// Name of the adapter, such as `python-mcp`.
    pub adapter: String,
    /// Version of the package that it adapts.
    #[serde(default)]
    pub version: String,
    /// Language and its version, such as `Python 3.13`.
    #[serde(default)]
    pub language: String,
    /// Pid of the loader's process.
    #[serde(default)]
    pub pid: Option<u32>,
    /// Kinds of contexts that it offers: `task`, `thread`, `loop`.
    #[serde(default)]
    pub contexts: Vec<String>,
    /// Names of the operations that it offers.
    pub operations: Vec<String>,
    /// Witnesses that it provides, such as `scopes`.
    #[serde(default)]
    pub observes: Vec<String>,
    /// Witnesses that it could not provide, each with its reason.
    #[serde(default)]
    pub unobservable: Vec<Unobservable>,
    /// Error channels into which it can raise an error for the self-test.
    #[serde(default)]
    pub provokes: Vec<String>,
}

/// A witness that an adapter could not provide.
#[derive(Debug, Clone, Deserialize)]
pub struct Unobservable {
    /// Name of the witness.
    pub what: String,
    /// The reason, as a sentence.
    pub because: String,
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Completion {
    /// The command succeeded with this answer.
    Ok(Value),
    /// The command failed.
    Failed(Failure),
    /// The driver cancelled the command.
    Cancelled,
}

impl Completion {
    /// Reads the completion fields of a line; `None` if it has none.
    pub(super) fn from_fields(fields: &mut Map<String, Value>) -> Option<Self> {
        if let Some(answer) = fields.remove("ok") {
            return Some(Self::Ok(answer));
        }
        if let Some(failed) = fields.remove("failed") {
            let text = |name: &str| failed.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
            // The lines of code are for readers. A failure without them is a failure as well.
            let code = failed.get("code").cloned().map(serde_json::from_value::<Vec<CodeLine>>);
            let code = code.and_then(Result::ok).unwrap_or_default();
            return Some(Self::Failed(Failure { kind: text("type"), message: text("message"), code }));
        }
        fields.remove("cancelled").map(|_| Self::Cancelled)
    }

    /// Converts to the outcome of an operation. A tool error is a failure, because the caller did not get its result.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        let answer = match self {
            Self::Ok(answer) => answer,
            Self::Failed(failure) => return Outcome::Failed(failure.clone()),
            Self::Cancelled => return Outcome::Cancelled,
        };
        let text = answer.get("text").and_then(Value::as_str).map(str::to_owned);
        if answer.get("is_error").and_then(Value::as_bool) == Some(true) {
            let (kind, message) = ("tool error".to_owned(), text.unwrap_or_default());
            return Outcome::Failed(Failure { kind, message, code: Vec::new() });
        }
        let tools = answer.get("tools").cloned().map(serde_json::from_value::<Vec<Tool>>);
        let errors = answer.get("errors").cloned().map(serde_json::from_value::<BTreeMap<String, String>>);
        match (tools.transpose(), errors.transpose()) {
            (Ok(tools), Ok(errors)) => {
                Outcome::Ok { tools: tools.unwrap_or_default(), errors: errors.unwrap_or_default(), text }
            }
            (Err(error), _) | (_, Err(error)) => Outcome::Failed(Failure {
                kind: "adapter answer".to_owned(),
                message: format!("the adapter's answer cannot be read: {error}"),
                code: Vec::new(),
            }),
        }
    }
}

/// Sends commands to an adapter and delivers their completions. Cheap to clone.
#[derive(Clone)]
pub struct AdapterLink {
    inner: Arc<Inner>,
}

struct Inner {
    hello: AdapterHello,
    commands: mpsc::UnboundedSender<Value>,
    pending: Mutex<Option<BTreeMap<u32, oneshot::Sender<Completion>>>>,
}

impl AdapterLink {
    /// First id of commands that are not operations: cancel, stacks, exit, drop-context.
    pub const FIRST_PLAIN_COMMAND: u32 = 1_000_000;

    pub(super) fn new(hello: AdapterHello, commands: mpsc::UnboundedSender<Value>) -> Self {
        Self { inner: Arc::new(Inner { hello, commands, pending: Mutex::new(Some(BTreeMap::new())) }) }
    }

    /// The hello that the adapter sent.
    #[must_use]
    pub fn hello(&self) -> &AdapterHello {
        &self.inner.hello
    }

    /// Sends one command. The receiver yields its completion, or an error if the link ends first.
    pub fn send(&self, id: u32, mut command: Map<String, Value>) -> oneshot::Receiver<Completion> {
        let (sender, receiver) = oneshot::channel();
        command.insert("id".to_owned(), Value::from(id));
        let mut pending = self.inner.pending.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pending) = pending.as_mut() {
            pending.insert(id, sender);
            // A closed channel means that the link is lost. In that case, `lost` drops the sender.
            let _ = self.inner.commands.send(Value::Object(command));
        }
        receiver
    }

    /// Removes the pending command and returns the sender for its completion; `None` if it is not pending.
    pub(super) fn take_pending(&self, id: u32) -> Option<oneshot::Sender<Completion>> {
        self.inner.pending.lock().unwrap_or_else(PoisonError::into_inner).as_mut()?.remove(&id)
    }

    /// Ends every pending command, because the link is lost.
    pub(super) fn lost(&self) {
        self.inner.pending.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}
