//! Versions: a client continues only under a revision that it can know.

use crate::check::parts::parts;
use crate::check::{
    Agreement, AppliesTo, Hears, InitializeAnswer, Invariant, Level, Monitor, Of, Property, Tally, View, Violation,
    Witness,
};
use crate::history::{ConnectionId, Event, EventKind, Header, KeySet, Kind, KnownMethod, Message};
use crate::plan::{Promise, Revision};

/// Counter-examples: A client may know a revision that this program does not, and says so by offering it. Another rule
/// judges a message that crosses the answer. A revision without a handshake cannot be used after `initialize`. A server
/// that refuses the revision in the header has still received the message, so its client has continued.
pub(super) const UNKNOWN_VERSION_LEFT: Invariant = Invariant {
    id: "unknown-version-left",
    property: Property::Safety,
    level: Level::Should,
    claim: "a client disconnects from a server that answers with a revision that the client cannot know",
    source: "2025-11-25, basic/lifecycle, Version Negotiation; the same in all revisions that open with initialize",
    requirement: &["LC-INIT-09", "LC-INIT-13"],
    applies: AppliesTo::HANDSHAKE,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::HttpReceived, Kind::WireReceived, Kind::WireEof, Kind::ConnectionClosed],
    hears: Hears::only(&[
        (Kind::HttpReceived, &[Of::Post]),
        (Kind::WireReceived, &[Of::AnyRequest, Of::Notice(KnownMethod::Initialized)]),
    ]),
    vacuous: "no client sent anything after the answer to initialize",
    explain: "The server answered `initialize` with a revision that does not exist, and the client continued as if it \
        supported that revision. From then on neither side knows which rules apply, and either may misread messages \
        without any error.\n\n\
        Look at `protocolVersion` in the answer. To fix it, compare it with the revisions that the client supports, and \
        disconnect with an error that names both when it is none of them.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(AcceptedVersions::default()) },
};

#[derive(Default)]
struct AcceptedVersions {
    judged: KeySet<ConnectionId>,
}

impl Monitor for AcceptedVersions {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        match &event.kind {
            EventKind::WireReceived { connection, message } => self.receive(event, connection, message, view, tally),
            // A message that the server refuses with an HTTP status.
            EventKind::HttpReceived { connection: Some(connection), message: Some(message), verb, .. }
                if verb == "POST" =>
            {
                self.receive(event, connection, message, view, tally);
            }
            EventKind::WireEof { connection } | EventKind::ConnectionClosed { connection, .. } => {
                self.judged.swap_remove(connection);
            }
            _ => {}
        }
    }
}

impl AcceptedVersions {
    fn receive(&mut self, event: &Event, connection: &ConnectionId, message: &Message, view: &View, tally: &mut Tally) {
        let goes_on = |part: &Message| match part.method() {
            Some("notifications/initialized") => true,
            Some("initialize" | "ping" | "server/discover") | None => false,
            Some(_) => part.is_any_request(),
        };
        if !self.judged.contains(connection) && parts(message).iter().any(goes_on) {
            self.judge(event, connection, view, tally);
        }
    }

    fn judge(&mut self, event: &Event, connection: &ConnectionId, view: &View, tally: &mut Tally) {
        let Some(Agreement { offered, answer: Some(answer), .. }) = view.agreement(connection) else { return };
        let InitializeAnswer::Accepted { sent, version, .. } = answer else { return };
        if !view.shows_messages(event.source.server().unwrap_or_default()) {
            return;
        }
        self.judged.insert(connection.clone());
        let Some(version) = version else {
            let because = format!(
                "the client continued at {} on connection {connection}, whose server had answered without a revision at {sent}",
                event.seq
            );
            return tally.broken(Violation::new("without-version", because, &[*sent, event.seq]));
        };
        let text = version.as_str();
        let is_spoken = |revision: Revision| revision <= Revision::NEWEST_HANDSHAKE;
        let is_known = text.is_some_and(|text| text.parse::<Revision>().is_ok_and(is_spoken));
        if is_known || (text.is_some() && text == offered.as_deref()) {
            return tally.held();
        }
        let because = format!(
            "the client continued at {} on connection {connection}, whose server had answered with the revision {version} at {sent}",
            event.seq
        );
        tally.broken(Violation::new("went-on", because, &[*sent, event.seq]));
    }
}
