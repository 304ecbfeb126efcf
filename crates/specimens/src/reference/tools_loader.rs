//! The reference loader.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use indexmap::IndexMap;
use rmcp::model::{CallToolRequestParams, CallToolResult};
use serde_json::Value;
use tokio::runtime::Handle;
use tokio::sync::watch;

use super::block_on;
use super::config::Config;
use super::engine::{Engine, Home, LoadReply, Progress, until_finished};
use super::error::{CallError, LoaderError, LookupError, SessionError};
use super::options::Options;
use super::report::{CleanupReport, FoundTool, LoadReport, ServerTools, find_tool, session_errors, usable_tools};
use super::session::{PendingCall, Session};

/// Loads the tools of MCP servers and keeps their sessions open until cleanup.
///
/// Every session is opened, used and closed by one task of its own on an owner runtime, so the caller's thread, task
/// and runtime may come and go. The futures returned here use no runtime: any executor may poll them, and dropping one
/// is safe at any point. A dropped call is cancelled at its server; a dropped load or cleanup is finished regardless.
///
/// Every wait is bounded by [`Options`]. A load takes at most [`connect`](super::Bounds::connect) plus
/// [`Options::closing_max`], once the loads before it are done; a cleanup at most `closing_max`.
///
/// Dropping the loader closes everything, as cleanup does, and **blocks** until that is done, at most
/// `closing_max` plus [`owner_slack`](super::Bounds::owner_slack), because the program may end right after. So await
/// [`cleanup`](Self::cleanup) first. On a runtime of the caller's (see [`on`](Self::on)), a drop inside a runtime
/// does not wait: the owner tasks close everything if that runtime continues, and kill everything if it ends.
pub struct ToolsLoader {
    options: Arc<Options>,
    home: Home,
    slot: Mutex<Slot>,
}

enum Slot {
    Fresh,
    Open(Engine),
    Closed(watch::Receiver<Progress>),
}

impl fmt::Debug for ToolsLoader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ToolsLoader").field("options", &self.options).field("home", &self.home).finish_non_exhaustive()
    }
}

impl ToolsLoader {
    /// A loader with an owner thread of its own, which exists from a load to the cleanup after it.
    ///
    /// Where its servers are simulated, it starts no thread: its tasks live on the runtime around this call.
    #[must_use]
    pub fn new(options: Options) -> Self {
        let is_simulated = options.connector.as_ref().is_some_and(|connector| connector.is_simulated());
        let around = Handle::try_current().ok().filter(|_| is_simulated);
        Self::at(around.map_or(Home::OwnThread, Home::On), options)
    }

    /// A loader whose owner tasks live on the given runtime.
    ///
    /// That runtime must have I/O and time enabled and must be driven while the loader is used. When it ends, the
    /// sessions end with it: their processes are killed, calls fail, and the next load fails with
    /// [`LoaderError::OwnerLost`].
    #[must_use]
    pub fn on(handle: Handle, options: Options) -> Self {
        Self::at(Home::On(handle), options)
    }

    fn at(home: Home, options: Options) -> Self {
        Self { options: Arc::new(options), home, slot: Mutex::new(Slot::Fresh) }
    }

    /// Makes the sessions agree with `config`: connects new servers, closes vanished ones, replaces changed ones, keeps
    /// the rest, and tries failed and dead ones once more. Servers are connected side by side.
    ///
    /// A server that cannot be used is reported in [`LoadReport::errors`] and disturbs no other.
    ///
    /// # Errors
    /// [`LoaderError::Closed`] if a cleanup was asked for meanwhile; otherwise only if there is no owner runtime.
    pub async fn load(&self, config: &Config) -> Result<LoadReport, LoaderError> {
        let (reply, progress) = self.begin_load(config);
        loaded(reply, progress).await
    }

    /// As [`load`](Self::load), from a thread that may block.
    ///
    /// # Errors
    /// As [`load`](Self::load), and [`LoaderError::OwnerSilent`] after [`Bounds::load_wait`](super::Bounds::load_wait).
    pub fn load_blocking(&self, config: &Config) -> Result<LoadReport, LoaderError> {
        let (reply, progress) = self.begin_load(config);
        let waited = self.options.bounds.load_wait;
        block_on::wait(loaded(reply, progress), waited).unwrap_or(Err(LoaderError::OwnerSilent { waited }))
    }

    /// Closes every session and ends every server. May be repeated: a cleanup during another one waits for
    /// its end. A load that runs is ended, calls in flight fail at once, and so does every call afterwards. A later
    /// load works.
    ///
    /// # Errors
    /// None today: when the owner runtime has gone away, so has everything that it owned.
    pub async fn cleanup(&self) -> Result<CleanupReport, LoaderError> {
        cleaned(self.begin_cleanup()).await
    }

    /// As [`cleanup`](Self::cleanup), from a thread that may block.
    ///
    /// # Errors
    /// [`LoaderError::OwnerSilent`] if the runtime given to [`on`](Self::on) is not being driven.
    pub fn cleanup_blocking(&self) -> Result<CleanupReport, LoaderError> {
        let waited = self.cleanup_wait();
        block_on::wait(cleaned(self.begin_cleanup()), waited).unwrap_or(Err(LoaderError::OwnerSilent { waited }))
    }

    /// The tools of every server that can be used now, grouped by server, in server order.
    #[must_use]
    pub fn tools(&self) -> Vec<ServerTools> {
        usable_tools(&self.sessions())
    }

    /// Every server that cannot be used now, with the reason. Empty before a load and after a cleanup.
    #[must_use]
    pub fn errors(&self) -> IndexMap<String, Arc<SessionError>> {
        session_errors(&self.sessions())
    }

    /// The tool of that name, if exactly one server has it.
    ///
    /// # Errors
    /// [`LookupError::Unknown`], or [`LookupError::Ambiguous`] with every owner.
    pub fn tool(&self, name: &str) -> Result<FoundTool, LookupError> {
        find_tool(&self.tools(), name)
    }

    /// Calls one tool of one server. `arguments` is an object, or null for none.
    ///
    /// An answer that the server marks as an error is `Ok`. Dropping the future cancels the call at the server.
    ///
    /// # Errors
    /// See [`CallError`]. [`CallError::Closed`] at once when cleanup has begun.
    pub async fn call(&self, server: &str, tool: &str, arguments: Value) -> Result<CallToolResult, CallError> {
        let (session, pending) = self.begin_call(server, tool, arguments)?;
        answered(session, pending).await
    }

    /// As [`call`](Self::call), from a thread that may block.
    ///
    /// # Errors
    /// As [`call`](Self::call), and [`CallError::OwnerSilent`] if the runtime given to [`on`](Self::on) is not driven.
    pub fn call_blocking(&self, server: &str, tool: &str, arguments: Value) -> Result<CallToolResult, CallError> {
        let (session, pending) = self.begin_call(server, tool, arguments)?;
        let waited = self.options.bounds.call + self.options.bounds.owner_slack;
        block_on::wait(answered(session, pending), waited).unwrap_or(Err(CallError::OwnerSilent { waited }))
    }

    fn begin_load(&self, config: &Config) -> (LoadReply, watch::Receiver<Progress>) {
        let mut slot = self.lock();
        let predecessor = match &*slot {
            Slot::Open(engine) if !engine.is_lost() => return (engine.load(config.clone()), engine.progress()),
            Slot::Open(engine) => Some(engine.progress()),
            Slot::Closed(progress) => Some(progress.clone()),
            Slot::Fresh => None,
        };
        let engine = Engine::start(&self.home, Arc::clone(&self.options), predecessor);
        let begun = (engine.load(config.clone()), engine.progress());
        *slot = Slot::Open(engine);
        begun
    }

    /// Takes the engine away, so that calls fail from here on; None if there never was one.
    fn begin_cleanup(&self) -> Option<watch::Receiver<Progress>> {
        let mut slot = self.lock();
        match &*slot {
            Slot::Fresh => None,
            Slot::Closed(progress) => Some(progress.clone()),
            Slot::Open(engine) => {
                engine.close();
                let progress = engine.progress();
                *slot = Slot::Closed(progress.clone());
                Some(progress)
            }
        }
    }

    fn begin_call(&self, server: &str, tool: &str, arguments: Value) -> Result<(Arc<Session>, PendingCall), CallError> {
        let session = match &*self.lock() {
            Slot::Fresh => return Err(CallError::NotLoaded),
            Slot::Closed(_) => return Err(CallError::Closed),
            Slot::Open(engine) => engine.board.find(server),
        };
        let session = session.ok_or_else(|| CallError::UnknownServer { server: server.to_owned() })?;
        let pending = session.begin(call_params(tool, arguments)?)?;
        Ok((session, pending))
    }

    fn sessions(&self) -> Vec<Arc<Session>> {
        match &*self.lock() {
            Slot::Fresh | Slot::Closed(_) => Vec::new(),
            Slot::Open(engine) => engine.board.all(),
        }
    }

    fn cleanup_wait(&self) -> Duration {
        self.options.closing_max() + self.options.bounds.owner_slack
    }

    fn lock(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for ToolsLoader {
    fn drop(&mut self) {
        let sessions = self.sessions();
        let Some(progress) = self.begin_cleanup() else { return };
        let may_wait = match self.home {
            Home::OwnThread => true,
            // Inside a runtime, waiting could be waiting for ourselves.
            Home::On(_) => Handle::try_current().is_err(),
        };
        if may_wait && block_on::wait(until_finished(progress), self.cleanup_wait()).is_none() {
            for session in sessions {
                session.end_blocking(self.options.ladder);
            }
        }
    }
}

fn call_params(tool: &str, arguments: Value) -> Result<CallToolRequestParams, CallError> {
    let params = CallToolRequestParams::new(tool.to_owned());
    let found = match arguments {
        Value::Object(arguments) => return Ok(params.with_arguments(arguments)),
        Value::Null => return Ok(params),
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
    };
    Err(CallError::BadArguments { found })
}

async fn loaded(reply: LoadReply, progress: watch::Receiver<Progress>) -> Result<LoadReport, LoaderError> {
    if let Ok(outcome) = reply.await {
        return outcome;
    }
    // The engine ended before it came to this load.
    match &*progress.borrow() {
        Progress::NotStarted(source) => Err(LoaderError::OwnerStart { source: Arc::clone(source) }),
        Progress::Running if progress.has_changed().is_err() => Err(LoaderError::OwnerLost),
        Progress::Running | Progress::Finished(_) => Err(LoaderError::Closed),
    }
}

async fn cleaned(progress: Option<watch::Receiver<Progress>>) -> Result<CleanupReport, LoaderError> {
    let Some(progress) = progress else {
        return Ok(CleanupReport::default());
    };
    match until_finished(progress).await {
        Some(Progress::Finished(report)) => Ok(report),
        Some(Progress::Running | Progress::NotStarted(_)) | None => Ok(CleanupReport::default()),
    }
}

async fn answered(session: Arc<Session>, pending: PendingCall) -> Result<CallToolResult, CallError> {
    match pending.answer.await {
        Ok(answer) => answer,
        Err(_) => Err(session.why_unanswered()),
    }
}
