//! The open sockets and sessions between a subject and its HTTP servers.

use std::collections::BTreeSet;

use tokio::time::Instant;

use crate::history::{ConnectionId, Event, EventKind, LinkPeer, SocketId};
use crate::record::Recorder;

/// Waits until no socket between a subject and its HTTP servers is open, at most until `deadline`.
///
/// After a close it also waits for the end of each session that the subject has not asked a server to delete.
pub(crate) async fn await_quiet_wire(recorder: &Recorder, is_lost: impl Fn() -> bool, after: After, deadline: Instant) {
    loop {
        let from = recorder.n_events();
        let mut wire = OpenWire::default();
        recorder.any(|event| {
            wire.see(event);
            false
        });
        let left = deadline.saturating_duration_since(Instant::now());
        if wire.is_quiet(after) || left.is_zero() || is_lost() {
            return;
        }
        // Any new event may have changed the state.
        recorder.wait_for(from, left, |_| true).await;
    }
}

/// The end that a wait follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum After {
    /// A close operation of the loader.
    Close,
    /// The exit of the subject's process.
    Exit,
}

/// The sockets and sessions that are open according to the events so far.
#[derive(Debug, Default)]
struct OpenWire {
    sockets: BTreeSet<(String, SocketId)>,
    /// Sessions without a DELETE, with their servers.
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
