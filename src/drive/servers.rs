//! Servers that are reached over HTTP: the driver starts them, not the loader.
//!
//! They are no children of the loader: nothing the process table says of them is told, so that nobody blames it for them.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::process::{Child, Command};

use crate::drive::launch::{RunEnvironment, memory_entry, mock_command, wrapped};
use crate::drive::plan_run::Drive;
use crate::history::{ConnectionId, Event, EventKind, LinkPeer, SocketId};
use crate::plan::{Limits, Transport};
use crate::record::{MockFacts, Recorder};
use crate::supervise::{OrphanReaper, Signalled, SuperviseError, Supervised};

/// The HTTP servers of one plan, each started when it is first configured.
#[derive(Default)]
pub(super) struct Servers {
    running: BTreeMap<String, HttpServer>,
}

/// A mock over HTTP in a process of ours. However that ends, it is killed and the reaper knows of it no more.
pub(crate) struct HttpServer {
    child: Child,
    reaper: OrphanReaper,
    /// Where it is reached.
    pub url: String,
}

/// Why a server over HTTP could not be started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServerError {
    #[error("server {server} can not be started: {source}")]
    Start { server: String, source: io::Error },
    #[error("server {server} did not listen within {} ms", limit.as_millis())]
    Mute { server: String, limit: Duration },
    #[error("the run was interrupted")]
    Interrupted,
}

/// What a server dials home with.
pub(crate) struct Dialling<'a> {
    pub endpoint: SocketAddr,
    pub token: &'a str,
    /// Over which of the HTTP transports it is to listen.
    pub transport: Transport,
    pub recorder: &'a Recorder,
    pub limit: Duration,
}

impl HttpServer {
    /// Starts a mock over HTTP and waits until it is about to accept connections.
    pub(crate) async fn start(
        environment: &RunEnvironment,
        dialling: &Dialling<'_>,
        server: &str,
    ) -> Result<Self, ServerError> {
        let from = dialling.recorder.n_events();
        let mut command = Command::new(&environment.executable);
        let address = dialling.endpoint.to_string();
        command.args([
            "__mock",
            dialling.transport.as_str(),
            "--link",
            &address,
            "--token",
            dialling.token,
            "--server",
            server,
        ]);
        command.env("MCP_LIFECHECK_RUN", &environment.run_id);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        let reaper = environment.reaper.clone();
        let failed = |source| ServerError::Start { server: server.to_owned(), source };
        let child = reaper.spawn(&mut command).map_err(failed)?;
        let mut started = Self { child, reaper, url: String::new() };
        let mut url = None;
        let listening = dialling.recorder.wait_for(from, dialling.limit, |event| match &event.kind {
            EventKind::MockListening { url: found } if event.source.server() == Some(server) => {
                url = Some(found.clone());
                true
            }
            _ => false,
        });
        let waited = tokio::select! {
            found = listening => found.ok_or(ServerError::Mute { server: server.to_owned(), limit: dialling.limit }),
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

    /// Kills it, and does not wait for its end.
    pub(crate) fn kill(&mut self) -> Signalled {
        match self.child.start_kill() {
            Ok(()) => Signalled::Sent,
            // It has ended already.
            Err(_) => Signalled::Gone,
        }
    }

    /// Kills it and waits for it.
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
        // Only for one that was not waited for: the kill is sent by the drop of the child, and the reaper reaps it.
        self.child.id().into_iter().for_each(|pid| self.reaper.ended(pid));
    }
}

impl Servers {
    /// Kills all of them and waits for them.
    pub(super) async fn end(&mut self) {
        for server in std::mem::take(&mut self.running).into_values() {
            server.end().await;
        }
    }
}

impl Drive<'_> {
    /// Starts the servers that are in the configuration for the first time; whether all of them are there.
    pub(super) async fn start_servers(&mut self) -> bool {
        if !self.input.plan.transport.is_http() {
            return true;
        }
        let limits: &Limits = &self.input.plan.limits;
        for name in self.configured.clone() {
            if self.servers.running.contains_key(&name) {
                continue;
            }
            let dialling = Dialling {
                endpoint: self.endpoint.addr(),
                token: &self.token,
                transport: self.input.plan.transport,
                recorder: &self.recorder,
                limit: limits.listen,
            };
            match HttpServer::start(self.environment, &dialling, &name).await {
                Ok(server) => {
                    self.servers.running.insert(name, server);
                }
                Err(error) => {
                    self.note(EventKind::ExperimentFailed { because: error.to_string() });
                    return false;
                }
            }
        }
        true
    }

    /// The entry of a server in the loader's configuration.
    pub(super) fn server_entry(&self, name: &str) -> Value {
        match self.servers.running.get(name) {
            Some(server) => json!({ "url": server.url, "type": self.input.plan.transport.as_str() }),
            None if self.input.plan.transport == Transport::Memory => {
                memory_entry(self.input.carriage(), self.endpoint.addr(), &self.token, name)
            }
            None => {
                let entry = mock_command(self.environment, self.endpoint.addr(), &self.token, name);
                let is_wrapped = self.input.scenario.server(name).is_some_and(|server| server.wrapped);
                if is_wrapped { wrapped(entry) } else { entry }
            }
        }
    }

    /// Kills a mock.
    pub(super) async fn kill_mock(&mut self, mock: &MockFacts) -> Result<Signalled, SuperviseError> {
        match self.servers.running.get_mut(&mock.server) {
            None if self.input.plan.transport == Transport::Memory => {
                Ok(if self.endpoint.kill(mock) { Signalled::Sent } else { Signalled::Gone })
            }
            None => self.supervised.signal(Some(mock.pid), "KILL").await,
            Some(server) => Ok(server.kill()),
        }
    }

    /// Waits until nothing is under way between the loader and its HTTP servers, at most until `deadline`.
    pub(super) async fn await_quiet_wire(&self, after: After, deadline: Instant) {
        await_quiet_wire(&self.recorder, self.supervised, after, deadline).await;
    }
}

/// Waits until nothing is under way between a program and the HTTP servers of its history, at most until `deadline`: no
/// socket is open, and after a cleanup no session either that nobody asked to end.
pub(crate) async fn await_quiet_wire(recorder: &Recorder, supervised: &Supervised, after: After, deadline: Instant) {
    loop {
        let from = recorder.n_events();
        let mut wire = OpenWire::default();
        recorder.any(|event| {
            wire.see(event);
            false
        });
        let left = deadline.saturating_duration_since(Instant::now());
        if wire.is_quiet(after) || left.is_zero() || supervised.is_lost() {
            return;
        }
        // Whatever comes may have changed it.
        recorder.wait_for(from, left, |_| true).await;
    }
}

/// After what something is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum After {
    Close,
    Exit,
}

/// What is open between a loader and its HTTP servers.
#[derive(Debug, Default)]
struct OpenWire {
    sockets: BTreeSet<(String, SocketId)>,
    /// Sessions that nobody asked to end, with their servers.
    sessions: BTreeSet<(String, ConnectionId)>,
}

impl OpenWire {
    fn see(&mut self, event: &Event) {
        let server = || event.source.server().unwrap_or_default().to_owned();
        match &event.kind {
            EventKind::SocketOpened { socket } => {
                self.sockets.insert((server(), socket.clone()));
            }
            EventKind::SocketClosed { socket, .. } => {
                self.sockets.remove(&(server(), socket.clone()));
            }
            EventKind::SessionOpened { connection, .. } => {
                self.sessions.insert((server(), connection.clone()));
            }
            EventKind::SessionClosed { connection, .. } => {
                self.sessions.remove(&(server(), connection.clone()));
            }
            EventKind::HttpReceived { verb, connection: Some(connection), .. } if verb == "DELETE" => {
                self.sessions.remove(&(server(), connection.clone()));
            }
            // A mock that has ended has nothing open.
            EventKind::MockEnding { .. } => self.forget(&server()),
            EventKind::LinkClosed { peer: LinkPeer::Mock { server, .. }, .. } => self.forget(server),
            _ => {}
        }
    }

    fn forget(&mut self, server: &str) {
        self.sockets.retain(|(of, _)| of != server);
        self.sessions.retain(|(of, _)| of != server);
    }

    fn is_quiet(&self, after: After) -> bool {
        self.sockets.is_empty() && (after == After::Exit || self.sessions.is_empty())
    }
}
