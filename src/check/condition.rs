//! The condition of servers and of the program: which works, which has ended, and since when.
//!
//! A fault excuses the operations that ran while it was delivered. What it excuses afterwards depends on whether it
//! cost an answer, or the connections of the server.

use std::time::Duration;

use crate::check::{Operation, Server, View};
use crate::history::{ConnectionId, Message, Seq};
use crate::plan::SessionPromise;

impl View {
    /// Whether no fault or kill has impaired a server since it last served an operation.
    #[must_use]
    pub fn is_healthy(&self, server: &str) -> bool {
        self.server(server).is_none_or(|server| server.impaired.is_none())
    }

    /// Whether the journal shows everything that the clients of a server read.
    #[must_use]
    pub fn shows_messages(&self, server: &str) -> bool {
        self.server(server).is_none_or(|server| server.unshown.is_none())
    }

    /// Whether a role is that of a process that a server has started and left behind when it ended by itself.
    #[must_use]
    pub fn is_left_by_its_server(&self, role: &str) -> bool {
        let server = role.strip_prefix("child:").and_then(|server| self.server(server));
        server.is_some_and(|server| server.ended_by_itself)
    }

    /// Whether a load, at its end, must have reached a server.
    ///
    /// Counter-examples: A server that has never worked may never work. The harness does not start a server over HTTP again that
    /// it has killed.
    pub(super) fn must_load(&self, load: &Operation, name: &str) -> bool {
        let Some(server) = self.server(name) else { return true };
        let Some(impaired) = server.impaired.max(server.lost) else { return true };
        impaired < load.invoked && server.was_handed_out && self.is_reachable(server)
    }

    /// Whether a call, at its end, must have reached its server.
    ///
    /// Counter-examples: A client that has lost its connection and does not promise to reconnect may wait for the next load. A
    /// client may close the connection of a server that does not follow the protocol. A load that follows the end of a server at
    /// once may not know of it yet: that the loader has begun and completed an operation in between shows that it had the time
    /// to learn of it, and so does a call that failed, or a
    /// pause of two seconds. Over HTTP a client may learn with its next
    /// request that a server is down, and the harness does not start it again.
    pub(super) fn must_call(&self, call: &Operation, name: &str) -> bool {
        let Some(server) = self.server(name) else { return true };
        let Some(impaired) = server.impaired.max(server.lost) else { return true };
        if impaired > call.invoked {
            return false;
        }
        // Without a session, a fault touches one exchange.
        let is_stateless = |newest: &ConnectionId| self.is_stateless(newest);
        if server.newest.as_ref().map_or(self.is_stateless_plan(), is_stateless) && !self.is_line() {
            return self.is_reachable(server);
        }
        let is_handed_out_since =
            call.asked.is_some_and(|asked| asked > impaired && server.ended.is_none_or(|(ended, _)| asked > ended));
        let is_on_its_own = self.promises().session == SessionPromise::PerCall;
        let never_dialled = self.promises().reconnects && has_never_dialled(server, call.invoked);
        self.has_connection_since(name, server.lost, call.invoked)
            || (is_handed_out_since || is_on_its_own || never_dialled) && self.is_reachable(server)
    }

    /// Whether a client had a usable connection before an operation, which it opened after the server had lost the others.
    fn has_connection_since(&self, name: &str, lost: Option<Seq>, invoked: Seq) -> bool {
        self.connections_of(name).any(|(_, connection)| {
            connection.gone.is_none()
                && connection.opened > lost.unwrap_or(Seq(0))
                && connection.ready.is_some_and(|ready| ready < invoked)
        })
    }

    /// Whether the client can use a connection now that this message has arrived on it.
    ///
    /// Counter-example: A load that runs may not have listed the tools yet, and its loader may refuse calls until then.
    pub(super) fn is_ready_with(&self, id: &ConnectionId, server: &str, message: &Message) -> bool {
        let is_open = || self.is_stateless(id) || message.is_notification("notifications/initialized");
        let is_loading = |load: &Operation| load.action.loads() && load.servers.iter().any(|name| name == server);
        message.is_request("tools/call") || is_open() && !self.operations().any(is_loading)
    }

    /// A server has served an operation. If its last fault came before that, and it cost no connection or there is a newer one, it
    /// has recovered.
    pub(super) fn recovered(&mut self, name: &str, invoked: Seq) {
        let Some(server) = self.server(name) else { return };
        let newest = server.newest.as_ref().and_then(|newest| self.connection(newest));
        let is_over = |impaired: Seq| {
            let needed = server.lost.unwrap_or(Seq(0));
            let is_usable = newest.is_some_and(|newest| newest.gone.is_none() && newest.opened > needed);
            impaired < invoked && is_usable
        };
        if server.impaired.is_some_and(is_over) {
            self.peers.server_mut(name).impaired = None;
        }
    }

    /// Whether the adapter has connected to the recorder.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.course.ready.is_some()
    }

    /// The request to exit or the signal that began the end of the program.
    #[must_use]
    pub fn ending(&self) -> Option<Seq> {
        self.course.ending
    }

    /// The first signal to the loader's process, other than KILL.
    #[must_use]
    pub fn signalled(&self) -> Option<Seq> {
        self.course.signalled
    }

    /// The exit of the loader's process.
    #[must_use]
    pub fn loader_exited(&self) -> Option<Seq> {
        self.course.loader_exited
    }

    /// The event at which the experiment failed or hit a limit of the harness.
    #[must_use]
    pub fn experiment_failed(&self) -> Option<Seq> {
        self.course.experiment_failed
    }

    /// Whether the harness killed the loader.
    #[must_use]
    pub fn is_killed(&self) -> bool {
        self.course.killed.is_some()
    }

    /// The longest time for which the machine delayed the supervisor.
    #[must_use]
    pub fn longest_delay(&self) -> Duration {
        self.course.longest_delay
    }

    /// Whether the history stops although the plan continued.
    #[must_use]
    pub fn is_cut_off(&self) -> bool {
        !self.course.is_over && !self.is_killed()
    }

    /// Why the plan was skipped, if it was.
    pub(super) fn not_applicable(&self) -> Option<&str> {
        self.course.not_applicable.as_deref()
    }

    /// Whether a client that dials finds a server: it starts the server itself, or its process runs, and no script has
    /// stopped it.
    fn is_reachable(&self, server: &Server) -> bool {
        self.starts_servers() || !server.is_down && !server.is_stopped
    }
}

/// Whether a call had failed before this one because of the loss, and the client has not tried to connect since the loss.
fn has_never_dialled(server: &Server, invoked: Seq) -> bool {
    server.failed.is_some_and(|failed| failed < invoked) && server.dialled < server.lost
}
