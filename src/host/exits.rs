//! Records each process of a host that is about to exit, after everything its servers saw before.

use std::net::SocketAddr;

use crate::history::EventKind;
use crate::life::{Stage, catch_up};
use crate::supervise::Supervised;

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
