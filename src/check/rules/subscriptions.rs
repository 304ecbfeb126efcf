//! Subscriptions of the stateless generation: long requests, which a client ends itself.

use crate::check::host::{ServerExchange, exchange_of};
use crate::check::metadata::SUBSCRIPTION;
use crate::check::parts::parts;
use crate::check::topics::FIRST_MESSAGE;
use crate::check::{AppliesTo, Hears, Invariant, Level, Monitor, Property, Tally, View, Violation, Witness};
use crate::history::{Event, EventKind, Header, Kind, LinkPeer, Message, Seq, Table};
use crate::plan::Promise;

/// The method of a subscription.
pub(super) const LISTEN: &str = "subscriptions/listen";

/// The subscription that a notification names, as JSON text.
pub(super) fn subscription_in(message: &Message) -> Option<String> {
    message.at(&["params", "_meta", SUBSCRIPTION]).map(ToString::to_string)
}

/// The id of a message as JSON text; empty if it has none.
pub(super) fn id_of(message: &Message) -> String {
    message.id().map(ToString::to_string).unwrap_or_default()
}

/// Whether a notification announces a change of which only subscribers are notified.
pub(super) fn is_change(message: &Message) -> bool {
    let method = message.method().unwrap_or_default();
    method.ends_with("/list_changed") || method == "notifications/resources/updated"
}

/// Counter-examples: A cleanup that failed, or a load that runs with it or after it, may leave a subscription open on
/// purpose. A subscription that its server has ended is not open, and neither is one of a process that was killed. A server
/// that its script has stopped does not see the end. Over pipes the end of the input ends every
/// subscription.
pub(super) const SUBSCRIPTION_CLOSED: Invariant = Invariant {
    id: "modern-subscription-closed",
    property: Property::Liveness,
    level: Level::Should,
    claim: "no subscription is open after cleanup and its grace",
    source: "2026-07-28, basic/patterns/subscriptions, Cancellation; VG-06: no process, socket or session is left",
    requirement: &["LC-SUB-08", "VG-06"],
    applies: AppliesTo::STATELESS_HTTP,
    needs: Promise::ClosesServers,
    witness: Witness::Always,
    kinds: &[
        Kind::HttpReceived,
        Kind::WireReceived,
        Kind::HttpEnded,
        Kind::MockEnding,
        Kind::LinkClosed,
        Kind::GraceExpired,
    ],
    hears: Hears::ALL.from(FIRST_MESSAGE),
    vacuous: "no subscription was opened before a cleanup",
    explain: "Cleanup is over, and the stream of a subscription is still open. It holds a task, a socket, and a server \
        that continues to send notifications. A stateless server has no session whose end would close the stream.\n\n\
        Look at the `subscriptions/listen` of the witness. To fix it, keep the stream with the connection, and close \
        it where the connection is closed.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(OpenSubscriptions::default()) },
};

#[derive(Default)]
struct OpenSubscriptions {
    open: Table<ServerExchange, Seq>,
    n_ended: usize,
}

impl Monitor for OpenSubscriptions {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        match &event.kind {
            EventKind::WireReceived { message, .. } => {
                let Some(carrier) = view.carrier(event) else { return };
                if parts(message).iter().any(|part| part.is_request(LISTEN)) {
                    self.open.insert(exchange_of(event, &carrier.exchange), event.seq);
                }
            }
            EventKind::HttpEnded { exchange, .. } => {
                self.n_ended += usize::from(self.open.swap_remove(&exchange_of(event, exchange)).is_some());
            }
            EventKind::MockEnding { .. } => self.forget(event.source.server().unwrap_or_default()),
            EventKind::LinkClosed { peer: LinkPeer::Mock { server, .. }, .. } => self.forget(server),
            EventKind::GraceExpired { after } if after == "close" => self.due(event, view, tally),
            _ => {}
        }
    }
}

impl OpenSubscriptions {
    fn forget(&mut self, server: &str) {
        self.open.retain(|(of, _), _| *of != *server);
    }

    fn due(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        let Some((closed, _)) = view.closed() else { return };
        if view.operations().any(|operation| operation.action.loads()) {
            return;
        }
        for ((server, _), opened) in self.open.iter().filter(|(_, opened)| **opened < closed) {
            if view.server(server).is_some_and(|server| server.is_stopped) {
                continue;
            }
            let because = format!(
                "the subscription to {server}, opened at {opened}, was still open at {}, after the cleanup that ended at {closed} and the grace",
                event.seq
            );
            tally.broken(Violation::new("left-open", because, &[*opened, closed, event.seq]));
        }
        (0..std::mem::take(&mut self.n_ended)).for_each(|_| tally.held());
    }
}
