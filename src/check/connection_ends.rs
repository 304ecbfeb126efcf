//! Which connections are open, and which of them a client has ended.

use crate::check::{Connection, Tally, View, Violation};
use crate::history::{Action, ConnectionId, Event, EventKind, LinkPeer, Seq, ServerEnd, Source, WireEnd};

/// Violations that a crash of the loader would also explain. They count after the next event of the loader.
#[derive(Default)]
pub(super) struct UnprovenEnds {
    waiting: Vec<Violation>,
}

impl UnprovenEnds {
    pub(super) fn suspect(&mut self, violation: Violation) {
        self.waiting.push(violation);
    }

    pub(super) fn see(&mut self, event: &Event, tally: &mut Tally) {
        match &event.kind {
            EventKind::ProcessExited { role, .. } if role == "loader" => self.waiting.clear(),
            // The harness asks only a live process to end, and signals only a live process.
            EventKind::ExitRequested {} | EventKind::SignalSent { .. } => self.confirm(tally),
            _ if event.source == Source::Loader => self.confirm(tally),
            _ => {}
        }
    }

    pub(super) fn end(&self, view: &View, tally: &mut Tally) {
        if !view.is_cut_off() {
            self.waiting.iter().cloned().for_each(|violation| tally.broken(violation));
        } else if !self.waiting.is_empty() {
            tally.open("a connection had ended, and the loader had reported nothing since,".to_owned(), &[]);
        }
    }

    fn confirm(&mut self, tally: &mut Tally) {
        self.waiting.drain(..).for_each(|violation| tally.broken(violation));
    }
}

/// Whether a connection is open and the client must close it. Over streamable HTTP only an initialized connection is a
/// session: a client may have probed the generation of the server before. Its DELETE closes the session for the client,
/// whatever the server answers. A client that replaced it after a fault may have lost it. A server that its script has
/// stopped does not see the end.
pub(super) fn is_open(connection: &Connection, view: &View) -> bool {
    let is_ended = connection.gone.is_some() || connection.deleted.is_some() || connection.is_replaced;
    let is_stopped = view.server(&connection.server).is_some_and(|server| server.is_stopped);
    !is_ended && !is_stopped && (view.shows_ends() || connection.is_initialized)
}

/// The newest connection of a server that is open and was opened before `until`.
pub(super) fn newest_open<'a>(
    view: &'a View,
    server: &'a str,
    until: Seq,
) -> Option<(&'a ConnectionId, &'a Connection)> {
    let open =
        view.connections_of(server).filter(|(_, connection)| is_open(connection, view) && connection.opened < until);
    open.max_by_key(|(_, connection)| connection.opened)
}

/// The connections that the client ended with this event, by closing them or by ending their server. The flag is true
/// if the loss of a link is the only evidence. A server that ended by itself is already unhealthy at that point.
pub(super) fn ended_connections(event: &Event, view: &View) -> Vec<(ConnectionId, bool)> {
    let of_incarnation = |server: &str, incarnation: u32, is_link: bool| {
        view.connections_of(server)
            .filter(|(_, connection)| connection.incarnation == incarnation)
            .map(|(id, _)| (id.clone(), is_link))
            .collect()
    };
    match (&event.kind, &event.source) {
        (EventKind::WireEof { connection } | EventKind::ConnectionClosed { connection, how: WireEnd::ByClient }, _) => {
            vec![(connection.clone(), false)]
        }
        (EventKind::MockEnding { how: ServerEnd::Signal(_) }, Source::Mock { server, incarnation }) => {
            of_incarnation(server, *incarnation, false)
        }
        (EventKind::LinkClosed { peer: LinkPeer::Mock { server, incarnation }, farewell: false }, _) => {
            of_incarnation(server, *incarnation, true)
        }
        _ => Vec::new(),
    }
}

/// Whether the driver begins the next stage: the operation before it had time to finish its work on connections.
pub(super) fn moves_on(event: &Event) -> bool {
    match &event.kind {
        EventKind::OperationInvoked { action, .. } => *action == Action::Close || action.loads(),
        EventKind::ExitRequested {} => true,
        _ => false,
    }
}

/// Whether the history shows the end of a connection: over streamable HTTP only if the loader deletes its sessions.
pub(super) fn sees_ends(view: &View) -> bool {
    view.shows_ends() || view.promises().sends_delete
}
