//! The conversation with one server: opened, watched and closed by the owner task.

use std::sync::Arc;
use std::time::Duration;

use rmcp::RoleClient;
use rmcp::model::ProtocolVersion;
use rmcp::model::Tool;
use rmcp::serve_client_with_lifecycle;
use rmcp::service::{ClientCacheConfig, ClientInitializeError, ClientLifecycleMode, RunningService};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use super::error::SessionError;
use super::handler::Handler;
use super::hooked_wire::HookedWire;
use super::http::HttpError;
use super::listening::listen;
use super::listing::all_tools;
use super::options::{Bounds, Opening, Options};
use super::process::ServerProcess;
use super::request::{Requester, closed};
use super::wire::{Wire, WireNotes};

/// The other side of a session, as far as it can be watched apart from what it says.
#[derive(Clone, Copy)]
pub(super) enum Far<'a> {
    /// Behind pipes. Without a process of ours, all that is seen of it is the end of its output.
    Pipes(Option<&'a ServerProcess>),
    /// Somewhere, over HTTP.
    Http,
}

/// An open conversation.
pub(super) struct Link {
    running: RunningService<RoleClient, Handler>,
    requester: Requester,
    notes: Arc<WireNotes>,
    told: watch::Sender<u64>,
    changes: watch::Receiver<u64>,
}

/// Opens a conversation: `initialize` and `initialized` or `server/discover`, then `tools/list`, within [`Bounds::connect`].
pub(super) async fn open(
    wire: Wire,
    far: Far<'_>,
    options: &Options,
    closing: &watch::Receiver<bool>,
) -> Result<(Link, Arc<[Tool]>), SessionError> {
    let bound = options.bounds.connect;
    let deadline = Instant::now() + bound;
    let notes = wire.notes();
    let (told, changes) = watch::channel(0);
    let handler = Handler::new(options.revision, told.clone());
    let running = tokio::select! {
        biased;
        () = closed(closing.clone()) => return Err(SessionError::Closed),
        shaken = timeout(bound, shake_hands(handler, HookedWire::new(wire, &options.hooks), options.opening)) => match shaken {
            Ok(Ok(running)) => running,
            Ok(Err(error)) => return Err(failed(error, &notes, far, &options.bounds).await),
            Err(_) => return Err(SessionError::ConnectTimedOut { bound }),
        },
    };
    let requester =
        Requester { peer: running.peer().clone(), bounds: options.bounds.clone(), closing: closing.clone() };
    requester.peer.set_response_cache_config(ClientCacheConfig::disabled()).await;
    let link = Link { running, requester, notes, told, changes };
    let tools = tokio::select! {
        biased;
        tools = all_tools(&link.requester, deadline.saturating_duration_since(Instant::now())) => tools,
        because = link.lost(far, &options.bounds) => Err(because),
    };
    match tools {
        Ok(tools) => Ok((link, tools)),
        Err(because) => {
            link.close(options.bounds.transport_close).await;
            // Listing that a close cut short is no fault of the server.
            Err(if *closing.borrow() { SessionError::Closed } else { because })
        }
    }
}

/// The one place where rmcp's serve loop is instantiated for this loader.
async fn shake_hands(
    handler: Handler,
    wire: HookedWire,
    opening: Opening,
) -> Result<RunningService<RoleClient, Handler>, Box<ClientInitializeError>> {
    let preferred_versions = vec![ProtocolVersion::V_2026_07_28];
    let lifecycle = match opening {
        Opening::Initialize => ClientLifecycleMode::Initialize,
        Opening::Discover => ClientLifecycleMode::Discover { preferred_versions },
        // What is offered to a server of the legacy era is what the handler says.
        Opening::Auto => ClientLifecycleMode::Auto { preferred_versions, legacy_version: None },
    };
    serve_client_with_lifecycle(handler, wire, lifecycle).await.map_err(Box::new)
}

/// Says why a handshake failed, as well as it can be known.
async fn failed(source: Box<ClientInitializeError>, notes: &WireNotes, far: Far<'_>, bounds: &Bounds) -> SessionError {
    if let Some(found) = notes.refused_revision() {
        return SessionError::UnsupportedRevision { found: found.to_owned() };
    }
    if let Some(source) = notes.fault() {
        return SessionError::Http { source };
    }
    match (&*source, far) {
        (
            ClientInitializeError::ConnectionClosed(_) | ClientInitializeError::TransportError { .. },
            Far::Pipes(Some(process)),
        ) => {
            let exit = timeout(bounds.exit_follows, process.exited()).await;
            exit.map_or(SessionError::Handshake { source }, |exit| SessionError::ServerExited { exit })
        }
        _ => SessionError::Handshake { source },
    }
}

impl Link {
    pub(super) fn requester(&self) -> &Requester {
        &self.requester
    }

    /// Changes with every `tools/list_changed`, and with all that may stand for one.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.clone()
    }

    /// Asks for what a server tells only those who ask, and counts it among the changes.
    pub(super) fn listen(&self) -> impl Future<Output = ()> + use<> {
        listen(self.requester.clone(), self.told.clone())
    }

    /// Resolves when the server has ended or closed its stdout, or is out of reach.
    pub(super) async fn lost(&self, far: Far<'_>, bounds: &Bounds) -> SessionError {
        let process = match far {
            Far::Pipes(Some(process)) => process,
            Far::Pipes(None) => {
                self.notes.ended().await;
                return SessionError::StdoutClosed;
            }
            Far::Http => {
                self.notes.ended().await;
                let source = self.notes.fault().unwrap_or_else(|| Arc::new(HttpError::Closed));
                return SessionError::Http { source };
            }
        };
        tokio::select! {
            () = self.notes.ended() => {
                let exit = timeout(bounds.exit_follows, process.exited()).await;
                exit.map_or(SessionError::StdoutClosed, |exit| SessionError::ServerExited { exit })
            }
            exit = process.exited() => {
                // Answers may still be in the pipe. A grandchild may hold it open, hence the bound.
                let _ = timeout(bounds.last_words, self.notes.ended()).await;
                SessionError::ServerExited { exit }
            }
        }
    }

    /// Closes the transport. What rmcp cannot finish within `limit` ends when the caller shuts the pipes.
    pub(super) async fn close(mut self, limit: Duration) {
        // An error is a serve loop that panicked or went with its runtime: closed as well.
        let _ = self.running.close_with_timeout(limit).await;
    }
}
