//! The operations of a hosted loader, wherever its contexts are: tasks of one thread, or threads and runtimes of a process.

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::loader::host::command::{Command, PlaceNames};
use crate::loader::host::reporting::{Ended, Reporter};
use crate::loader::target::{Failure, Loaded, Loader};

/// Maximum size of the text of an answer, in bytes.
const ANSWER_BYTES_MAX: usize = 128 << 10;

/// One piece of work for a context.
pub(super) type Job = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

/// Running operations, each with its cancel channel.
type Running = Arc<Mutex<BTreeMap<u32, oneshot::Sender<()>>>>;

/// Carries out the commands of the driver, as far as they need no context.
pub(super) struct Operator {
    loader: Arc<dyn Loader>,
    reporter: Reporter,
    running: Running,
}

/// What is left to do for a command.
pub(super) enum Taken {
    /// Nothing.
    Done,
    /// This job must run in this context.
    Run(PlaceNames, Job),
    /// This context must end; then the operator is told so.
    End(Command),
    /// The program must end.
    Exit,
}

impl Operator {
    pub(super) fn new(loader: Arc<dyn Loader>, reporter: Reporter) -> Self {
        Self { loader, reporter, running: Arc::default() }
    }

    pub(super) fn loader(&self) -> Arc<dyn Loader> {
        Arc::clone(&self.loader)
    }

    /// Takes a command.
    pub(super) fn take(&self, value: Value) -> Taken {
        let id = value.get("id").and_then(Value::as_u64).and_then(|id| u32::try_from(id).ok()).unwrap_or(0);
        let command = match serde_json::from_value::<Command>(value) {
            Ok(command) => command,
            Err(error) => {
                self.reporter.completed(id, &failed("Command", &error.to_string()));
                return Taken::Done;
            }
        };
        match command.action.as_str() {
            "exit" => {
                self.reporter.completed(id, &Ended::Ok(json!({})));
                Taken::Exit
            }
            "cancel" => {
                let cancel = self.running.lock().unwrap_or_else(PoisonError::into_inner).remove(&command.operation);
                let delivered = cancel.is_some_and(|cancel| cancel.send(()).is_ok());
                self.reporter.completed(id, &Ended::Ok(json!({ "delivered": delivered })));
                Taken::Done
            }
            "stacks" => {
                self.reporter.completed(id, &Ended::Ok(json!({ "text": self.running_text() })));
                Taken::Done
            }
            "drop-context" => Taken::End(command),
            _ => Taken::Run(command.place.clone(), self.job(command)),
        }
    }

    /// The context of a command has ended.
    pub(super) fn context_ended(&self, command: &Command) {
        self.reporter.completed(command.id, &Ended::Ok(json!({})));
    }

    fn job(&self, command: Command) -> Job {
        let (cancel, cancelled) = oneshot::channel();
        self.running.lock().unwrap_or_else(PoisonError::into_inner).insert(command.id, cancel);
        Box::pin(run(command, self.loader(), self.reporter.clone(), cancelled, Arc::clone(&self.running)))
    }

    fn running_text(&self) -> String {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.keys().map(|id| format!("operation {id} has not ended\n")).collect()
    }
}

/// Runs one operation in the context that polls this future.
async fn run(
    command: Command,
    loader: Arc<dyn Loader>,
    reporter: Reporter,
    cancelled: oneshot::Receiver<()>,
    running: Running,
) {
    let id = command.id;
    reporter.started(id);
    let operation = Caught { future: Box::pin(async move { operate(&command, &*loader).await }) };
    let ended = tokio::select! {
        biased;
        ended = operation => ended,
        Ok(()) = cancelled => Ended::Cancelled,
    };
    running.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
    reporter.completed(id, &ended);
}

/// Turns a panic of a future into a failure. The panic hook has already reported it.
struct Caught<F> {
    future: std::pin::Pin<Box<F>>,
}

impl<F: Future<Output = Ended>> Future for Caught<F> {
    type Output = Ended;

    fn poll(mut self: std::pin::Pin<&mut Self>, context: &mut std::task::Context<'_>) -> std::task::Poll<Ended> {
        let poll = AssertUnwindSafe(|| self.future.as_mut().poll(context));
        match std::panic::catch_unwind(poll) {
            Ok(poll) => poll,
            Err(payload) => std::task::Poll::Ready(failed("panic", &panic_text(&*payload))),
        }
    }
}

async fn operate(command: &Command, loader: &dyn Loader) -> Ended {
    let ended = match command.action.as_str() {
        "load" | "reload" => loader.load(&command.config).await.map(|loaded| loaded_json(&loaded)),
        "list" => loader.list().await.map(|loaded| loaded_json(&loaded)),
        "call" => {
            let called = loader.call(&command.server, &command.tool, command.arguments.clone()).await;
            called.map(|called| json!({ "text": clipped(&called.text), "is_error": called.is_error }))
        }
        "close" => loader.close().await.map(|()| json!({})),
        "collect" => Ok(json!({})),
        "probe" => {
            tokio::task::yield_now().await;
            Ok(json!({}))
        }
        "provoke" => {
            // The hook reports the panic before the thread ends.
            drop(thread::spawn(|| panic!("provoked by a self-test")).join());
            Ok(json!({}))
        }
        other => {
            return failed("UnsupportedOperation", &format!("found {other:?}, expected an operation of the hello"));
        }
    };
    match ended {
        Ok(answer) => Ended::Ok(answer),
        Err(failure) => Ended::Failed(failure),
    }
}

/// Shortens the text of an answer, so that it fits into a line of the link.
fn clipped(text: &str) -> &str {
    &text[..text.floor_char_boundary(ANSWER_BYTES_MAX)]
}

fn loaded_json(loaded: &Loaded) -> Value {
    let tools = loaded.tools.iter().map(|(server, name)| json!({ "server": server, "name": name }));
    json!({ "tools": tools.collect::<Vec<_>>(), "errors": loaded.errors })
}

fn failed(kind: &str, message: &str) -> Ended {
    Ended::Failed(Failure { kind: kind.to_owned(), message: message.to_owned() })
}

fn panic_text(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic without a text".to_owned())
}
