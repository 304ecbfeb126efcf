//! A fence: waits until a server over HTTP has recorded everything that happened before now.
//!
//! A client that closes a socket does not wait for its server. So the client may report that it is done before the server has recorded
//! the end of the connection.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;

use crate::history::{Event, EventKind};
use crate::life::stage::Stage;

/// How long a server may take to report what has happened.
const CATCH_UP: Duration = Duration::from_millis(900);

/// Waits until a server has reported all that happened before now, at most for [`CATCH_UP`].
///
/// A server accepts connections and sees their ends in order. So a probing connection that it has seen open and close comes after
/// every earlier event.
pub(crate) async fn catch_up(stage: &Stage<'_>, server: SocketAddr) {
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
