//! Calls that their loader gives up by itself, for example after a timeout, while their request is open on the wire.

use std::time::Duration;

use crate::check::{Operation, View};
use crate::history::{Action, ConnectionId, Event, EventKind, Message, Name, OpId, Outcome, Seq};

/// A client whose caller asks for nothing for this long has had time to send a cancellation.
pub(super) const TOLD_BY_THEN: Duration = Duration::from_secs(1);

/// Requests whose call has failed although their server may still answer.
#[derive(Default)]
pub(super) struct GivenUpCalls {
    all: Vec<GivenUpCall>,
}

/// Such a request.
pub(super) struct GivenUpCall {
    pub(super) connection: ConnectionId,
    pub(super) id: Name,
    pub(super) received: Seq,
    pub(super) operation: OpId,
    /// The failure of its call.
    pub(super) failed: Seq,
    failed_us: u64,
    /// Whether its client sent a request on the connection afterwards.
    goes_on: bool,
    /// The event at which it was open although its client had had its chance to cancel it.
    pub(super) owed: Option<Seq>,
    /// Whether only the time shows that its client had its chance.
    pub(super) is_timed: bool,
    /// Whether its loader had waited for as long as it promises, and promises to announce what it gives up.
    is_own_timeout: bool,
}

impl GivenUpCalls {
    /// Takes an event. `is_open` says whether a request is open as far as its exchange shows.
    ///
    /// Counter-examples: Other rules judge a call that the driver cancelled, or that a cleanup overtook. A fault that
    /// garbles messages may have answered the request. If the connection ended, or the answer came before the next
    /// request of the client, nothing is left to cancel. A client that ends its connection at once after the failure
    /// has abandoned the request properly, unless it promises to give up after that time and to announce it: its
    /// announcement comes before the cleanup that ends the connection.
    pub(super) fn see(&mut self, event: &Event, view: &View, is_open: impl Fn(&ConnectionId, &Name) -> bool) {
        match &event.kind {
            EventKind::OperationCompleted { operation, outcome: Outcome::Failed(_) } => {
                let Some(call) = view.operation(*operation).filter(|call| is_given_up(call, view)) else { return };
                for request in call.requests.iter().filter(|request| request.answered.is_none()) {
                    if is_pending(view, &request.connection, &request.id) && is_open(&request.connection, &request.id) {
                        self.all.push(GivenUpCall {
                            connection: request.connection.clone(),
                            id: request.id.clone(),
                            received: request.received,
                            operation: *operation,
                            failed: event.seq,
                            failed_us: event.at_us,
                            goes_on: false,
                            owed: None,
                            is_timed: false,
                            is_own_timeout: is_own_timeout(event, call, view),
                        });
                    }
                }
            }
            // The next operation of the driver comes after everything that the loader did about the failure.
            EventKind::OperationInvoked { .. } => {
                self.all.retain(|call| call.owed.is_some() || is_pending(view, &call.connection, &call.id));
                for call in self.all.iter_mut().filter(|call| call.owed.is_none()) {
                    let waited = Duration::from_micros(event.at_us.saturating_sub(call.failed_us));
                    if call.goes_on || waited >= TOLD_BY_THEN {
                        (call.owed, call.is_timed) = (Some(event.seq), !call.goes_on);
                    }
                }
            }
            EventKind::WireEof { connection } => self.cut(event.seq, view, connection, |_| true),
            _ => {}
        }
    }

    /// Takes a message of a client, and returns the number of calls that it cancels.
    pub(super) fn receive(&mut self, connection: &ConnectionId, message: &Message) -> usize {
        let n_before = self.all.len();
        if let Some(cancelled) = message.cancelled_request().map(Name::from) {
            self.all.retain(|call| call.connection != *connection || call.id != cancelled);
        }
        if message.is_any_request() {
            self.all.iter_mut().filter(|call| call.connection == *connection).for_each(|call| call.goes_on = true);
        }
        n_before - self.all.len()
    }

    /// Takes the end of what carries some requests of a connection, if their client ended it.
    pub(super) fn cut(&mut self, at: Seq, view: &View, connection: &ConnectionId, concerns: impl Fn(&Name) -> bool) {
        if view.signalled().is_some() || view.ending().is_some() {
            return;
        }
        let is_it = |call: &GivenUpCall| call.connection == *connection && concerns(&call.id) && call.is_own_timeout;
        let is_open = |call: &GivenUpCall| is_it(call) && is_unanswered(view, connection, &call.id);
        let cut = self.all.iter_mut().filter(|call| call.owed.is_none() && is_open(call));
        cut.for_each(|call| call.owed = Some(at));
    }

    /// Forgets a request whose exchange has ended before its client had its chance to cancel it.
    pub(super) fn forget(&mut self, connection: &ConnectionId, id: &Name) {
        self.all.retain(|call| call.owed.is_some() || call.connection != *connection || call.id != *id);
    }

    /// The calls whose client never cancelled them, at the end of the history.
    pub(super) fn owed(&self) -> impl Iterator<Item = (&GivenUpCall, Seq)> {
        self.all.iter().filter_map(|call| call.owed.map(|owed| (call, owed)))
    }
}

/// Whether a call that fails now was given up by its loader alone.
fn is_given_up(call: &Operation, view: &View) -> bool {
    let shows_messages = call.server.as_deref().is_some_and(|server| view.shows_messages(server));
    call.action == Action::Call && !call.is_excused() && !call.is_ambiguous && shows_messages
}

/// Whether a loader gives up a call as it promises: after its bound, and with an announcement.
fn is_own_timeout(event: &Event, call: &Operation, view: &View) -> bool {
    let promises = view.promises();
    let waited = call.started.map(|(_, at_us)| Duration::from_micros(event.at_us.saturating_sub(at_us)));
    promises.announces_cancel && promises.call_bound.is_some_and(|bound| waited >= Some(bound.0))
}

/// Whether a request was neither answered nor cancelled, and its connection is there.
fn is_pending(view: &View, connection: &ConnectionId, id: &Name) -> bool {
    view.connection(connection).is_some_and(|known| known.gone.is_none()) && is_unanswered(view, connection, id)
}

/// Whether a request was neither answered nor cancelled, as far as the end of its connection shows.
fn is_unanswered(view: &View, connection: &ConnectionId, id: &Name) -> bool {
    view.connection(connection).is_some_and(|known| known.unanswered.contains_key(id))
}
