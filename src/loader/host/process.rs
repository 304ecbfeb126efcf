//! The main loop of the plan process.

use std::any::Any;
use std::collections::BTreeMap;
use std::io;
use std::panic::AssertUnwindSafe;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use signal_hook::consts::{SIGHUP, SIGINT, SIGPIPE, SIGTERM};
use signal_hook::iterator::Signals;
use tokio::sync::oneshot;

use crate::history::LINK_LOST_CODE;
use crate::loader::host::command::Command;
use crate::loader::host::contexts::Contexts;
use crate::loader::host::reporting::{Ended, Reporter};
use crate::loader::scopes::Scopes;
use crate::loader::target::{Failure, Loaded, Loader};
use crate::record::{DialError, Link, LinkLimits, LinkLost};

/// Creates loaders. Plans, reruns and shrinking each need a new one.
pub trait LoaderFactory: Send + Sync {
    /// Creates a loader that has loaded nothing and reports its scopes to `scopes`.
    fn fresh(&self, scopes: Scopes) -> Arc<dyn Loader>;
}

impl<F: Fn(Scopes) -> Arc<dyn Loader> + Send + Sync> LoaderFactory for F {
    fn fresh(&self, scopes: Scopes) -> Arc<dyn Loader> {
        self(scopes)
    }
}

/// Maximum size of the text of an answer, in bytes.
const ANSWER_BYTES_MAX: usize = 128 << 10;
/// Timeout of the cleanup that runs when the program ends.
const EXIT_CLEANUP_LIMIT: Duration = Duration::from_secs(15);

/// Why a plan process cannot work.
#[derive(Debug, thiserror::Error)]
enum HostError {
    #[error("found no {0} in the environment, expected to be started by mcp-lifecheck")]
    NotStartedByUs(&'static str),
    #[error("MCP_LIFECHECK_LINK is not an address: {0}")]
    Address(#[source] std::net::AddrParseError),
    #[error(transparent)]
    Dial(#[from] DialError),
    #[error("cannot set up the process: {0}")]
    Setup(#[from] io::Error),
}

/// The recorder's address and the token, from an adapter's environment. Read them before removing them from there.
#[derive(Debug, Clone, Default)]
pub struct RecorderAddress {
    link: Option<String>,
    token: Option<String>,
}

impl RecorderAddress {
    /// Names of the variables that an adapter must remove from its environment.
    pub const NAMES: [&str; 2] = ["MCP_LIFECHECK_LINK", "MCP_LIFECHECK_TOKEN"];

    /// Reads the variables.
    #[must_use]
    pub fn of_environment() -> Self {
        let [link, token] = Self::NAMES.map(|name| std::env::var(name).ok());
        Self { link, token }
    }
}

/// Hosts one loader until the driver requests the exit.
#[must_use]
pub fn run_plan_process(name: &str, factory: &dyn LoaderFactory, endpoint: &RecorderAddress) -> ExitCode {
    match host(name, factory, endpoint) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("mcp-lifecheck: plan process: {error}");
            ExitCode::from(70)
        }
    }
}

/// Reasons for the main thread to wake up.
enum Turn {
    Command(Value),
    Signal,
}

fn host(name: &str, factory: &dyn LoaderFactory, endpoint: &RecorderAddress) -> Result<(), HostError> {
    let (turns, queue) = mpsc::channel();
    forward_signals(turns.clone())?;
    let reporter = Reporter::new(dial(name, endpoint, turns)?);
    reporter.number_this_thread();
    reporter.report_panics();
    let contexts = Contexts::new()?;
    let loader = factory.fresh(Scopes::reported_to(Box::new(reporter.clone())));
    Host { loader, reporter, contexts, running: Arc::default() }.serve(&queue)
}

fn dial(name: &str, endpoint: &RecorderAddress, turns: mpsc::Sender<Turn>) -> Result<Link, HostError> {
    let [link, token] = RecorderAddress::NAMES;
    let token = endpoint.token.as_ref().ok_or(HostError::NotStartedByUs(token))?;
    let address = endpoint.link.as_ref().ok_or(HostError::NotStartedByUs(link))?;
    let hello = json!({
        "hello": 1,
        "token": token,
        "adapter": name,
        "version": env!("CARGO_PKG_VERSION"),
        "build": crate::record::build_id(),
        "language": "rust",
        "pid": std::process::id(),
        "contexts": ["task", "thread", "loop"],
        "operations": ["load", "call", "list", "cancel", "reload", "close", "collect", "probe", "drop-context"],
        "observes": ["scopes", "panic"],
        "provokes": ["panic"],
    });
    let address = address.parse().map_err(HostError::Address)?;
    let on_loss = Box::new(|_: &LinkLost| std::process::exit(LINK_LOST_CODE));
    // The main thread may have left already. Then commands have no receiver.
    let on_command = move |command| drop(turns.send(Turn::Command(command)));
    let (link, _) = Link::dial_with(address, &hello, LinkLimits::default(), on_loss, on_command)?;
    Ok(link)
}

fn forward_signals(turns: mpsc::Sender<Turn>) -> io::Result<()> {
    // SIGPIPE is caught in order to be ignored. A helper starts before the standard library ignores SIGPIPE. Without
    // this, writing to a dead server would kill the loader, as it would kill no ordinary Rust program.
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM, SIGPIPE])?;
    thread::Builder::new().name("signals".to_owned()).spawn(move || {
        for _ in signals.forever().filter(|signal| *signal != SIGPIPE) {
            if turns.send(Turn::Signal).is_err() {
                return;
            }
        }
    })?;
    Ok(())
}

/// Running operations, each with its cancel channel.
type Running = Arc<Mutex<BTreeMap<u32, oneshot::Sender<()>>>>;

struct Host {
    loader: Arc<dyn Loader>,
    reporter: Reporter,
    contexts: Contexts,
    running: Running,
}

impl Host {
    fn serve(mut self, queue: &mpsc::Receiver<Turn>) -> Result<(), HostError> {
        for turn in queue {
            let Turn::Command(value) = turn else { break };
            let id = value.get("id").and_then(Value::as_u64).and_then(|id| u32::try_from(id).ok()).unwrap_or(0);
            match serde_json::from_value::<Command>(value) {
                Ok(command) if command.action == "exit" => {
                    self.reporter.completed(command.id, &Ended::Ok(json!({})));
                    break;
                }
                Ok(command) => self.take(command)?,
                Err(error) => self.reporter.completed(id, &failed("Command", &error.to_string())),
            }
        }
        self.leave();
        Ok(())
    }

    /// Runs what the program registered for its end: a cleanup on its main thread.
    fn leave(self) {
        let loader = Arc::clone(&self.loader);
        let cleanup = async move { tokio::time::timeout(EXIT_CLEANUP_LIMIT, loader.close()).await };
        // The wire and the process table show whether the cleanup succeeded.
        drop(self.contexts.block_on(cleanup));
    }

    fn take(&mut self, command: Command) -> io::Result<()> {
        match command.action.as_str() {
            "cancel" => {
                let cancel = self.running.lock().unwrap_or_else(PoisonError::into_inner).remove(&command.operation);
                let delivered = cancel.is_some_and(|cancel| cancel.send(()).is_ok());
                self.reporter.completed(command.id, &Ended::Ok(json!({ "delivered": delivered })));
            }
            "stacks" => self.reporter.completed(command.id, &Ended::Ok(json!({ "text": self.running_text() }))),
            "drop-context" => {
                self.contexts.end(&command.place);
                self.reporter.completed(command.id, &Ended::Ok(json!({})));
            }
            _ => {
                let place = command.place.clone();
                let (cancel, cancelled) = oneshot::channel();
                self.running.lock().unwrap_or_else(PoisonError::into_inner).insert(command.id, cancel);
                let job =
                    run(command, Arc::clone(&self.loader), self.reporter.clone(), cancelled, self.running.clone());
                self.contexts.run(&place, Box::pin(job))?;
            }
        }
        Ok(())
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
