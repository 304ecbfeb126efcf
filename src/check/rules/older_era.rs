//! After `initialize` a client keeps to the handshake generation.

use serde_json::Value;

use crate::check::agreement::Spoken;
use crate::check::metadata::VERSION;
use crate::check::parts::parts;
use crate::check::{AppliesTo, Hears, Invariant, Level, Monitor, Of, Property, Tally, View, Violation, Witness};
use crate::history::{ConnectionId, Event, EventKind, Header, KeySet, Kind, KnownMethod, Message};
use crate::plan::{Promise, Revision};

/// Counter-examples: A probe comes before the answer to `initialize` was read; `notifications/initialized` shows that it
/// was. Two connections to one server may be of two generations. Other members of `_meta` belong to no generation.
pub(super) const OLDER_ERA_KEPT: Invariant = Invariant {
    id: "older-era-kept",
    property: Property::Safety,
    level: Level::Should,
    claim: "a client that opened a connection with initialize sends no request of the stateless generation on it",
    source: "2026-07-28, basic/transports, Backward Compatibility; basic/versioning, Compatibility Matrix",
    requirement: &["LC-ERA-09", "LC-ERA-16"],
    applies: AppliesTo::ALL,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::WireReceived, Kind::WireEof, Kind::ConnectionClosed],
    hears: Hears::only(&[(Kind::WireReceived, &[Of::AnyRequest, Of::Notice(KnownMethod::Initialized)])]),
    vacuous: "no connection that was opened with initialize carried a later request",
    explain: "The client opened the connection with `initialize`, and later sent a request that carries its own \
        revision, as the stateless generation demands. The server serves the handshake generation there. A server of \
        both generations cannot tell which rules hold for such a request.\n\n\
        Look at `_meta` in the witness. The usual reason is that the metadata is added by a layer that does not know \
        how the connection was opened. To fix it, choose the generation once for each connection.",
    start: |_: &Header| -> Box<dyn Monitor> {
        let mut initialized: KeySet<ConnectionId> = KeySet::default();
        Box::new(move |event: &Event, view: &View, tally: &mut Tally| match &event.kind {
            EventKind::WireReceived { connection, message } => {
                let Spoken::Handshake(revision, _) = view.spoken(connection) else { return };
                for part in parts(message).iter() {
                    if part.is_notification("notifications/initialized") {
                        initialized.insert(connection.clone());
                    } else if part.is_any_request() && initialized.contains(connection) {
                        judge(event, connection, (part, revision), tally);
                    }
                }
            }
            EventKind::WireEof { connection } | EventKind::ConnectionClosed { connection, .. } => {
                initialized.swap_remove(connection);
            }
            _ => {}
        })
    },
};

fn judge(event: &Event, connection: &ConnectionId, (request, agreed): (&Message, Revision), tally: &mut Tally) {
    let carried = request.at(&["params", "_meta", VERSION]).and_then(Value::as_str);
    let is_stateless =
        |carried: &&str| carried.parse().is_ok_and(|carried: Revision| carried > Revision::NEWEST_HANDSHAKE);
    let Some(carried) = carried.filter(is_stateless) else { return tally.held() };
    let because = format!(
        "{} on connection {connection} at {} carries revision {carried}, where {agreed} was agreed on with initialize",
        request.method().unwrap_or_default(),
        event.seq
    );
    tally.broken(Violation::new("mixed", because, &[event.seq]));
}
