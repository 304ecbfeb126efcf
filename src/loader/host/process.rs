//! The main loop of the plan process.

use std::io;
use std::process::ExitCode;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use signal_hook::consts::{SIGHUP, SIGINT, SIGPIPE, SIGTERM};
use signal_hook::iterator::Signals;

use crate::history::LINK_LOST_CODE;
use crate::loader::host::contexts::Contexts;
use crate::loader::host::operate::{Operator, Taken};
use crate::loader::host::reporting::Reporter;
use crate::loader::scopes::Scopes;
use crate::loader::target::Loader;
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

/// Timeout of the cleanup that runs when the program ends.
pub(super) const EXIT_CLEANUP_LIMIT: Duration = Duration::from_secs(15);

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
    let reporter = Reporter::new(Box::new(dial(name, endpoint, turns)?));
    reporter.number_this_thread();
    reporter.report_panics();
    let contexts = Contexts::new()?;
    let loader = factory.fresh(Scopes::reported_to(Box::new(reporter.clone())));
    Host { operator: Operator::new(loader, reporter), contexts }.serve(&queue)
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

struct Host {
    operator: Operator,
    contexts: Contexts,
}

impl Host {
    fn serve(mut self, queue: &mpsc::Receiver<Turn>) -> Result<(), HostError> {
        for turn in queue {
            let Turn::Command(value) = turn else { break };
            match self.operator.take(value) {
                Taken::Done => {}
                Taken::Run(place, job) => self.contexts.run(&place, job)?,
                Taken::End(command) => {
                    self.contexts.end(&command.place);
                    self.operator.context_ended(&command);
                }
                Taken::Exit => break,
            }
        }
        self.leave();
        Ok(())
    }

    /// Runs what the program registered for its end: a cleanup on its main thread.
    fn leave(self) {
        let loader = self.operator.loader();
        let cleanup = async move { tokio::time::timeout(EXIT_CLEANUP_LIMIT, loader.close()).await };
        // The wire and the process table show whether the cleanup succeeded.
        drop(self.contexts.block_on(cleanup));
    }
}
