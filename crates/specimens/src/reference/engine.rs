//! The owner of all sessions of one loader, between a load and the cleanup that ends them.
//!
//! One task runs one command after the other, so loads are serialised without locks, and a load continues when the
//! future that requested it is dropped. A close interrupts the load that runs. The engine ends with the close; the next
//! load starts a new one, which first waits until nothing is left of the one before.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::join_all;
use indexmap::IndexMap;
use tokio::runtime::{Builder, Handle};
use tokio::sync::{mpsc, oneshot, watch};

use super::config::Config;
use super::error::LoaderError;
use super::options::Options;
use super::report::{CleanupReport, LoadReport};
use super::request::closed;
use super::session::{Session, Status};

/// The sessions of a loader, by server name, in the order of the configuration.
#[derive(Default)]
pub(super) struct Board {
    sessions: Mutex<IndexMap<String, Arc<Session>>>,
}

impl Board {
    pub(super) fn find(&self, server: &str) -> Option<Arc<Session>> {
        self.lock().get(server).cloned()
    }

    pub(super) fn all(&self) -> Vec<Arc<Session>> {
        self.lock().values().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, IndexMap<String, Arc<Session>>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where an engine lives.
#[derive(Debug, Clone)]
pub(super) enum Home {
    /// A thread of its own, with a runtime of its own.
    OwnThread,
    /// Tasks on somebody's runtime.
    On(Handle),
}

/// How far an engine has come.
#[derive(Debug, Clone)]
pub(super) enum Progress {
    /// It takes commands, or is closing.
    Running,
    /// It has ended, and nothing is left.
    Finished(CleanupReport),
    /// Its thread or runtime could not be started.
    NotStarted(Arc<io::Error>),
}

/// Resolves when the engine that tells `progress` has ended; None if it was torn down with its runtime.
pub(super) async fn until_finished(mut progress: watch::Receiver<Progress>) -> Option<Progress> {
    let finished = progress.wait_for(|progress| !matches!(progress, Progress::Running)).await;
    finished.ok().map(|progress| progress.clone())
}

pub(super) type LoadReply = oneshot::Receiver<Result<LoadReport, LoaderError>>;

struct Load {
    config: Config,
    reply: oneshot::Sender<Result<LoadReport, LoaderError>>,
}

/// A handle to an engine. The engine closes everything when it is dropped, or asked to.
pub(super) struct Engine {
    pub(super) board: Arc<Board>,
    loads: mpsc::UnboundedSender<Load>,
    closing: watch::Sender<bool>,
    progress: watch::Receiver<Progress>,
}

impl Engine {
    /// Starts an engine that waits for the end of the one that told `predecessor`.
    pub(super) fn start(home: &Home, options: Arc<Options>, predecessor: Option<watch::Receiver<Progress>>) -> Self {
        let board = Arc::new(Board::default());
        let (loads, loads_seen) = mpsc::unbounded_channel();
        let (closing, closing_seen) = watch::channel(false);
        let (told, progress) = watch::channel(Progress::Running);
        let task =
            Task { options, board: Arc::clone(&board), loads: loads_seen, closing: closing_seen, leaving: Vec::new() };
        match home {
            Home::OwnThread => start_thread(task, predecessor, told),
            Home::On(handle) => {
                handle.spawn(async move {
                    let report = task.run(predecessor).await;
                    told.send_replace(Progress::Finished(report));
                });
            }
        }
        Self { board, loads, closing, progress }
    }

    /// Queues a load. The reply is dropped without an answer if the engine ends before.
    pub(super) fn load(&self, config: Config) -> LoadReply {
        let (reply, answer) = oneshot::channel();
        // If the engine has ended, the reply is dropped with the command, which the caller notices.
        let _ = self.loads.send(Load { config, reply });
        answer
    }

    /// Asks the engine to close everything and end.
    pub(super) fn close(&self) {
        self.closing.send_replace(true);
        for session in self.board.all() {
            session.close();
        }
    }

    pub(super) fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.clone()
    }

    /// Whether it went away without having been asked to, with its runtime.
    pub(super) fn is_lost(&self) -> bool {
        self.loads.is_closed()
    }
}

fn start_thread(task: Task, predecessor: Option<watch::Receiver<Progress>>, told: watch::Sender<Progress>) {
    let told = Arc::new(told);
    let tell = Arc::clone(&told);
    let started = std::thread::Builder::new().name("mcp-tools-owner".to_owned()).spawn(move || {
        let runtime = match Builder::new_current_thread().enable_io().enable_time().build() {
            Ok(runtime) => runtime,
            Err(error) => {
                tell.send_replace(Progress::NotStarted(Arc::new(error)));
                return;
            }
        };
        let look_up_limit = task.options.bounds.transport_close;
        let report = runtime.block_on(task.run(predecessor));
        // The end is told when the runtime and its files are gone as well. The name of a server may still be looked up,
        // on a thread that nobody can interrupt.
        runtime.shutdown_timeout(look_up_limit);
        tell.send_replace(Progress::Finished(report));
    });
    if let Err(error) = started {
        told.send_replace(Progress::NotStarted(Arc::new(error)));
    }
}

/// The engine's own task.
struct Task {
    options: Arc<Options>,
    board: Arc<Board>,
    loads: mpsc::UnboundedReceiver<Load>,
    closing: watch::Receiver<bool>,
    /// Sessions that were removed or replaced and may not have ended yet.
    leaving: Vec<Arc<Session>>,
}

impl Task {
    async fn run(mut self, predecessor: Option<watch::Receiver<Progress>>) -> CleanupReport {
        if let Some(predecessor) = predecessor {
            // Bounded by the ladders of the sessions it closes.
            until_finished(predecessor).await;
        }
        while let Some(Load { config, reply }) = self.next_load().await {
            let closing = closed(self.closing.clone());
            let outcome = tokio::select! {
                biased;
                () = closing => Err(LoaderError::Closed),
                report = self.load(config) => Ok(report),
            };
            // A caller who does not wait any more has the same sessions as one who does.
            let _ = reply.send(outcome);
        }
        self.refuse_queued();
        self.close_all().await
    }

    /// Loads that were asked for before the close, and not begun.
    fn refuse_queued(&mut self) {
        self.loads.close();
        while let Ok(Load { reply, .. }) = self.loads.try_recv() {
            let _ = reply.send(Err(LoaderError::Closed));
        }
    }

    /// The next load, or None when everything is to be closed.
    async fn next_load(&mut self) -> Option<Load> {
        let closing = closed(self.closing.clone());
        tokio::select! {
            biased;
            () = closing => None,
            load = self.loads.recv() => load,
        }
    }

    async fn load(&mut self, config: Config) -> LoadReport {
        let mut report = LoadReport::default();
        let fresh = self.rearrange(&config, &mut report);
        // Dropped here by a close, the board and the list of leaving sessions are complete already.
        join_all(fresh.iter().map(|session| session.settled())).await;
        join_all(self.leaving.iter().map(|session| session.ended())).await;
        self.leaving.clear();
        report.read_sessions(&self.board.all());
        report
    }

    /// Puts the sessions of `config` on the board, in its order; returns those that were started.
    fn rearrange(&mut self, config: &Config, report: &mut LoadReport) -> Vec<Arc<Session>> {
        let mut fresh = Vec::new();
        let board = Arc::clone(&self.board);
        let mut sessions = board.lock();
        let mut before = std::mem::take(&mut *sessions);
        for (name, endpoint) in config.servers() {
            let old = before.shift_remove(name);
            let session = match old {
                Some(old) if old.endpoint == *endpoint && matches!(old.status(), Status::Ready(_)) => {
                    report.kept.push(name.clone());
                    old
                }
                old => {
                    let predecessor = old.as_ref().map(|old| old.follow());
                    self.leave(old);
                    let options = Arc::clone(&self.options);
                    let session = Session::start(name.clone(), endpoint.clone(), options, predecessor);
                    fresh.push(Arc::clone(&session));
                    session
                }
            };
            sessions.insert(name.clone(), session);
        }
        report.removed = before.keys().cloned().collect();
        for old in before.into_values() {
            self.leave(Some(old));
        }
        fresh
    }

    fn leave(&mut self, session: Option<Arc<Session>>) {
        if let Some(session) = session {
            session.close();
            self.leaving.push(session);
        }
    }

    async fn close_all(&mut self) -> CleanupReport {
        let sessions = self.board.all();
        for session in &sessions {
            session.close();
        }
        let endings = join_all(sessions.iter().map(|session| session.ended())).await;
        join_all(self.leaving.iter().map(|session| session.ended())).await;
        let names = sessions.iter().map(|session| session.name.clone());
        CleanupReport { endings: names.zip(endings).collect() }
    }
}
