//! Methods: a client sends only what its revision has for clients.

use serde_json::Value;

use crate::check::agreement::{Spoken, is_filled};
use crate::check::combinator::Judged;
use crate::check::metadata::CAPABILITIES;
use crate::check::methods::{Method, method};
use crate::check::parts::parts;
use crate::check::{AppliesTo, Hears, Invariant, Level, Monitor, Of, Property, Tally, View, Violation, Witness};
use crate::history::{ConnectionId, Event, EventKind, Header, Kind, Message, Seq};
use crate::plan::{Promise, Revision};

/// Counter-examples: The revision of the session counts, not that of the plan. A probe of the generation comes before
/// the session. A side that declared experiments or extensions may have methods of its own. A client of the stateless
/// generation that turns to `initialize` is another rule's case. A declared extension may
/// have a use for a notice of cancellation that is posted.
pub(super) const METHODS_KNOWN: Invariant = Invariant {
    id: "methods-known",
    property: Property::Safety,
    level: Level::Must,
    claim: "a client sends only methods that its revision has for clients",
    source: "2025-11-25, basic/lifecycle, Operation (MUST from 2025-06-18, SHOULD before); 2026-07-28, changelog: removed methods",
    requirement: &[
        "LC-INIT-10",
        "LC-INIT-11",
        "LC-STD-13",
        "LC-PING-05",
        "LC-SUB-01",
        "LC-MSG-01",
        "LC-ERA-16",
        "LC-ERA-17",
        "LC-CAN-05",
    ],
    applies: AppliesTo::ALL,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::WireReceived],
    hears: Hears::only(&[(Kind::WireReceived, &[Of::AnyRequest, Of::AnyNotice])]),
    vacuous: "no client sent a request or a notification under a revision that is known",
    explain: "The client sent a method that no revision has, that only another revision has, or that only servers may \
        send. At best a server answers with an error. Some servers treat an unknown notification as a sign of a broken \
        client, and close the session.\n\n\
        Look at the method in the witness and at the revision in the answer to `initialize`. The usual reasons are a \
        habit from another protocol, such as `shutdown`, and a client that speaks its newest revision whatever the \
        server answered. To fix it, choose methods by the negotiated revision; a session ends with its transport. \
        `cancel-posted`: over HTTP, since 2026-07-28, a client cancels a request by closing its response stream.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(see) },
};

fn see(event: &Event, view: &View, tally: &mut Tally) {
    let EventKind::WireReceived { connection, message } = &event.kind else { return };
    for part in parts(message).iter() {
        let Some(name) = part.method() else { continue };
        let judged = match view.spoken(connection) {
            Spoken::Unknown => Judged::Unrelated,
            Spoken::Handshake(revision, agreement) => {
                in_handshake(event.seq, connection, (name, revision), agreement.has_experiments())
            }
            Spoken::Stateless => {
                let has_initialized = view.agreement(connection).is_some();
                in_stateless(event.seq, connection, (part, name), (has_initialized, view.carrier(event).is_some()))
            }
        };
        match judged {
            Judged::Unrelated => {}
            Judged::Held => tally.held(),
            Judged::Broken(violation) => tally.broken(violation),
        }
    }
}

fn in_handshake(
    seq: Seq,
    connection: &ConnectionId,
    (name, revision): (&str, Revision),
    has_experiments: bool,
) -> Judged {
    let known = method(name);
    if known.is_some_and(|method| method.is_of_clients(revision)) {
        return Judged::Held;
    }
    let Some(known) = known else {
        return if has_experiments { Judged::Unrelated } else { unknown(seq, connection, name) };
    };
    let violation = misplaced(seq, connection, name, (known, revision));
    Judged::Broken(if revision >= Revision::R20250618 { violation } else { violation.as_warning() })
}

fn in_stateless(
    seq: Seq,
    connection: &ConnectionId,
    (message, name): (&Message, &str),
    (has_initialized, is_posted): (bool, bool),
) -> Judged {
    let revision = Revision::R20260728;
    let has_extensions = || {
        let declared = message.at(&["params", "_meta", CAPABILITIES]);
        let of = |name: &str| declared.and_then(Value::as_object).and_then(|declared| declared.get(name));
        is_filled(of("extensions")) || is_filled(of("experimental"))
    };
    let is_of_handshake = name == "initialize" || (name == "notifications/initialized" && has_initialized);
    let known = method(name);
    if is_posted && name == "notifications/cancelled" && !has_extensions() {
        let because = format!(
            "{name} was posted on connection {connection} at {seq}, and without sessions only the end of a response \
             stream cancels its request"
        );
        return Judged::Broken(Violation::new("cancel-posted", because, &[seq]).as_warning());
    }
    if known.is_some_and(|method| method.is_of_clients(revision)) {
        return Judged::Held;
    }
    if is_of_handshake || has_extensions() {
        return Judged::Unrelated;
    }
    let Some(known) = known else { return unknown(seq, connection, name) };
    let violation = misplaced(seq, connection, name, (known, revision));
    // The text only says that older methods are gone. A client must declare an extension before it uses the methods of
    // the extension.
    let is_must = known.is_of_servers_in(revision) || name.starts_with("tasks/");
    Judged::Broken(if is_must { violation } else { violation.as_warning() })
}

fn unknown(seq: Seq, connection: &ConnectionId, name: &str) -> Judged {
    let because = format!("{name} was sent on connection {connection} at {seq}, and no revision has it");
    Judged::Broken(Violation::new("unknown", because, &[seq]).as_warning())
}

fn misplaced(seq: Seq, connection: &ConnectionId, name: &str, (method, revision): (&Method, Revision)) -> Violation {
    let (variant, why) = if method.is_of_servers_alone() || method.is_of_servers_in(revision) {
        ("of-servers", "only servers may send it".to_owned())
    } else {
        ("of-another-revision", format!("revision {revision}, which is in use there, does not have it"))
    };
    let because = format!("{name} was sent on connection {connection} at {seq}, and {why}");
    Violation::new(variant, because, &[seq])
}
