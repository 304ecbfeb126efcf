//! Records each process of a host that is about to exit, after everything its servers saw before.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;

use crate::history::{Event, EventKind};
use crate::life::Stage;
use crate::supervise::Supervised;

/// How long a server may take to report what has happened.
const CATCH_UP: Duration = Duration::from_millis(900);

/// Records the exits. Never ends.
pub(super) async fn record_exits(stage: &Stage<'_>, supervised: &Supervised, servers: &[SocketAddr]) {
    while let Some(exiting) = supervised.next_exit().await {
        // A process without a socket leaves no connection open.
        for server in servers.iter().filter(|_| exiting.n_sockets > 0) {
            catch_up(stage, *server).await;
        }
        stage.note_system(EventKind::ProcessExiting { pid: exiting.pid, sockets: exiting.n_sockets });
        supervised.let_exit(exiting);
    }
    // The supervisor is gone. The wait for the host's end sees that as well.
    std::future::pending::<()>().await;
}

/// Waits until a server has reported all that happened before now.
///
/// A server accepts connections and sees their ends in order. So a probing connection that it has seen open and close comes after
/// every earlier event.
async fn catch_up(stage: &Stage<'_>, server: SocketAddr) {
    let from = stage.recorder.n_events();
    let Ok(Ok(probe)) = tokio::time::timeout(CATCH_UP, TcpStream::connect(server)).await else { return };
    drop(probe);
    let mut opened = BTreeSet::new();
    let has_gone = |event: &Event| match &event.kind {
        EventKind::SocketOpened { socket } => {
            opened.insert((event.source.to_string(), socket.clone()));
            false
        }
        EventKind::SocketClosed { socket, .. } => opened.contains(&(event.source.to_string(), socket.clone())),
        _ => false,
    };
    stage.recorder.wait_for(from, CATCH_UP, has_gone).await;
}
