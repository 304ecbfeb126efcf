//! A mock over HTTP in a process of its own. This process starts it, not the subject.
//!
//! The mock is not a child of the subject. So the subject's part of the process table never shows it, and no rule blames the subject for it.

use std::io;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::{Child, Command};

use crate::history::EventKind;
use crate::life::mocks::MockLink;
use crate::plan::Transport;
use crate::record::Recorder;
use crate::supervise::{OrphanReaper, Signalled};

/// A running mock over HTTP. Dropping it kills the process and releases it to the orphan reaper.
pub(crate) struct HttpServer {
    child: Child,
    reaper: OrphanReaper,
    /// The URL that the mock reported.
    pub url: String,
}

/// Why a mock over HTTP did not start.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The system refused the process.
    #[error("server {server} cannot be started: {source}")]
    Start {
        /// Name of the server.
        server: String,
        /// The system's reason.
        source: io::Error,
    },
    /// The process reported no URL in time.
    #[error("server {server} did not listen within {} ms", limit.as_millis())]
    Mute {
        /// Name of the server.
        server: String,
        /// The limit `listen`.
        limit: Duration,
    },
    /// The run was interrupted first.
    #[error("the run was interrupted")]
    Interrupted,
}

/// How a mock over HTTP is started.
pub(crate) struct ServerLaunch<'a> {
    pub link: MockLink<'a>,
    /// The HTTP transport it listens on.
    pub transport: Transport,
    /// The recorder that receives its report of a URL.
    pub recorder: &'a Recorder,
    /// How long the mock may take to listen.
    pub limit: Duration,
}

impl HttpServer {
    /// Starts a mock and waits until it reports its URL.
    pub(crate) async fn start(launch: &ServerLaunch<'_>, server: &str) -> Result<Self, ServerError> {
        let environment = launch.link.environment;
        let from = launch.recorder.n_events();
        let reaper = environment.reaper.clone();
        let failed = |source| ServerError::Start { server: server.to_owned(), source };
        let child = reaper.spawn(&mut launch.command(server)).map_err(failed)?;
        let mut started = Self { child, reaper, url: String::new() };
        let mut url = None;
        let listening = launch.recorder.wait_for(from, launch.limit, |event| match &event.kind {
            EventKind::MockListening { url: found } if event.source.server() == Some(server) => {
                url = Some(found.clone());
                true
            }
            _ => false,
        });
        let waited = tokio::select! {
            found = listening => found.ok_or(ServerError::Mute { server: server.to_owned(), limit: launch.limit }),
            () = environment.interruption() => Err(ServerError::Interrupted),
        };
        match (waited, url) {
            (Ok(_), Some(url)) => {
                started.url = url;
                Ok(started)
            }
            (Ok(_), None) => unreachable!("the event that was found has its URL"),
            (Err(error), _) => {
                started.end().await;
                Err(error)
            }
        }
    }

    /// Kills the mock and does not wait for its end.
    pub(crate) fn kill(&mut self) -> Signalled {
        match self.child.start_kill() {
            Ok(()) => Signalled::Sent,
            // It has ended already.
            Err(_) => Signalled::Gone,
        }
    }

    /// Kills the mock and waits for its end.
    pub(crate) async fn end(mut self) {
        // It may have ended by itself.
        let _ = self.child.start_kill();
        let pid = self.child.id();
        let _ = self.child.wait().await;
        pid.into_iter().for_each(|pid| self.reaper.ended(pid));
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        // Only a mock that was not waited for still has a pid: dropping the child kills it, and the orphan reaper collects it.
        self.child.id().into_iter().for_each(|pid| self.reaper.ended(pid));
    }
}

impl ServerLaunch<'_> {
    fn command(&self, server: &str) -> Command {
        let mut command = self.link.command(self.transport, server);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        command
    }
}
