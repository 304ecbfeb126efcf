//! Declared features: the client serves them, and announces changes.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::check::agreement::Spoken;
use crate::check::host::is_responsible;
use crate::check::methods::method as method_named;
use crate::check::parts::parts;
use crate::check::{
    Agreement, AppliesTo, Hears, Invariant, Level, Monitor, Of, Property, Tally, View, Violation, Witness,
};
use crate::history::{
    ConnectionId, Event, EventKind, Header, KeySet, Kind, KnownMethod, Message, Name, Seq, Table, WireEnd,
};
use crate::plan::{Promise, Revision};

/// The code of the error that says that there is no such method.
const NO_SUCH_METHOD: i64 = -32_601;

/// Counter-examples: A client may refuse a request for any other reason, and with any other code. A part of a feature
/// that was not declared, such as a mode of elicitation or the tools of sampling, may be refused.
pub(super) const DECLARED_FEATURES_SERVED: Invariant = Invariant {
    id: "declared-features-served",
    property: Property::Safety,
    level: Level::Must,
    claim: "a client knows the requests of the features that it declared",
    source: "2025-11-25, client/roots, Capabilities; the same for sampling and elicitation: what is declared is supported",
    requirement: &["LC-INIT-12"],
    applies: AppliesTo::HANDSHAKE,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::WireSent, Kind::WireReceived, Kind::WireEof, Kind::ConnectionClosed],
    hears: Hears::only(&[(Kind::WireSent, &[Of::AnyRequest]), (Kind::WireReceived, &[Of::AnyAnswer])])
        .from(&[(Kind::WireSent, &[Of::AnyRequest])]),
    vacuous: "no client was asked for a feature that it had declared",
    explain: "The client declared a feature in `initialize`, and answered the first request for it with the error -32601: \
        it has no such method. A server relies on the declared features. Its tools ask the client, so they fail with \
        this client, and work with clients that declare nothing.\n\n\
        Look at the capabilities in `initialize` and at the handlers of the client. The usual reason is a handwritten \
        list of capabilities. To fix it, declare a feature only where a handler for it is set.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(DeclaredFeatures::default()) },
};

#[derive(Default)]
struct DeclaredFeatures {
    /// Requests for declared features, by connection and id: method, feature and event.
    asked: Table<(ConnectionId, Name), (String, &'static str, Seq)>,
}

impl Monitor for DeclaredFeatures {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        match &event.kind {
            EventKind::WireSent { connection, message } => {
                for request in parts(message).iter().filter(|part| part.is_any_request()) {
                    let Spoken::Handshake(revision, agreement) = view.spoken(connection) else { return };
                    let Some(feature) = declared_feature(request, revision, agreement) else { continue };
                    let id = request.id_text();
                    let method = request.method().unwrap_or_default().to_owned();
                    self.asked.insert((connection.clone(), id), (method, feature, event.seq));
                }
            }
            EventKind::WireReceived { connection, message } if !self.asked.is_empty() => {
                for answer in parts(message).iter().filter(|part| part.is_response()) {
                    let id = answer.id_text();
                    let Some((method, feature, at)) = self.asked.swap_remove(&(connection.clone(), id)) else {
                        continue;
                    };
                    if answer.at(&["error", "code"]).and_then(Value::as_i64) != Some(NO_SUCH_METHOD) {
                        tally.held();
                        continue;
                    }
                    let because = format!(
                        "{method} of {at} was answered on connection {connection} at {} with error {NO_SUCH_METHOD}, and the client had declared {feature}",
                        event.seq
                    );
                    tally.broken(Violation::new("unknown", because, &[at, event.seq]));
                }
            }
            EventKind::WireEof { connection } | EventKind::ConnectionClosed { connection, .. } => {
                self.asked.retain(|(of, _), _| of != connection);
            }
            _ => {}
        }
    }
}

/// The declared feature that a request of a server uses, if each part of it that the request uses is declared as well.
fn declared_feature(request: &Message, revision: Revision, agreement: &Agreement) -> Option<&'static str> {
    let name = request.method()?;
    if !method_named(name)?.is_of_servers_in(revision) {
        return None;
    }
    let (feature, lacks_part) = match name {
        "roots/list" => ("roots", false),
        "sampling/createMessage" => {
            let uses_tools = request.at(&["params", "tools"]).is_some();
            ("sampling", uses_tools && agreement.of_client(&["sampling", "tools"]).is_none())
        }
        "elicitation/create" => {
            let is_url = request.at(&["params", "mode"]).and_then(Value::as_str) == Some("url");
            ("elicitation", is_url || agreement.of_client(&["elicitation", "url"]).is_some())
        }
        _ => return None,
    };
    (!lacks_part && agreement.of_client(&[feature]).is_some_and(Value::is_object)).then_some(feature)
}

/// Counter-examples: The notification may come after the answer that shows the change. A client that did not declare
/// `roots.listChanged` need not announce changes.
pub(super) const CHANGED_ROOTS_TOLD: Invariant = Invariant {
    id: "changed-roots-told",
    property: Property::Liveness,
    level: Level::Must,
    claim: "a client that declared roots.listChanged tells its server when its roots change",
    source: "2025-11-25, client/roots, Root List Changes; the same in all revisions that open with initialize",
    requirement: &["LC-SUB-02"],
    applies: AppliesTo::HANDSHAKE,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::WireSent, Kind::WireReceived, Kind::WireEof, Kind::ConnectionClosed],
    hears: Hears::only(&[
        (Kind::WireSent, &[Of::Request(KnownMethod::RootsList)]),
        (Kind::WireReceived, &[Of::AnyAnswer, Of::Notice(KnownMethod::RootsListChanged)]),
    ])
    .from(&[
        (Kind::WireSent, &[Of::Request(KnownMethod::RootsList)]),
        (Kind::WireReceived, &[Of::Notice(KnownMethod::RootsListChanged)]),
    ]),
    vacuous: "no client that declared roots.listChanged sent its roots twice, or announced a change of them",
    explain: "The client declared `roots.listChanged`, its roots changed, and it never sent \
        `notifications/roots/list_changed`. A server keeps the roots until the client announces a change, so it works \
        in a folder that the user has closed, and refuses a folder that the user has opened.\n\n\
        Look at the two answers to `roots/list`. To fix it, send the notification to every open session wherever the list \
        of folders changes, or do not declare `listChanged`.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(ToldRoots::default()) },
};

#[derive(Default)]
struct ToldRoots {
    /// Ids of `roots/list`, by connection.
    asked: KeySet<(ConnectionId, Name)>,
    told: Table<ConnectionId, Told>,
}

struct Told {
    roots: BTreeSet<String>,
    seq: Seq,
    /// The answers between which the roots changed without an announcement.
    changed: Option<(Seq, Seq)>,
    is_announced: bool,
}

impl Monitor for ToldRoots {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        match &event.kind {
            EventKind::WireSent { connection, message } => {
                let lists = parts(message);
                let ids = lists.iter().filter(|part| part.is_request("roots/list")).filter_map(Message::id);
                self.asked.extend(ids.map(|id| (connection.clone(), Name::from(id))));
            }
            EventKind::WireReceived { connection, message } => {
                let is_change = |part: &Message| part.method() == Some("notifications/roots/list_changed");
                if self.asked.is_empty() && !parts(message).iter().any(is_change) {
                    return;
                }
                let Spoken::Handshake(_, agreement) = view.spoken(connection) else { return };
                if agreement.of_client(&["roots", "listChanged"]) != Some(&Value::Bool(true)) {
                    return;
                }
                for part in parts(message).iter() {
                    self.receive(event.seq, connection, part, tally);
                }
            }
            EventKind::WireEof { connection } | EventKind::ConnectionClosed { connection, how: WireEnd::ByClient } => {
                self.due(tally, |of| of == connection);
                self.asked.retain(|(of, _)| of != connection);
                self.told.retain(|of, _| of != connection);
            }
            EventKind::ConnectionClosed { connection, .. } => {
                self.told.swap_remove(connection);
                self.asked.retain(|(of, _)| of != connection);
            }
            _ => {}
        }
    }

    fn end(&self, view: &View, tally: &mut Tally) {
        if is_responsible(view) && !view.is_killed() {
            self.due(tally, |_| true);
        }
    }
}

impl ToldRoots {
    fn receive(&mut self, seq: Seq, connection: &ConnectionId, message: &Message, tally: &mut Tally) {
        if message.method() == Some("notifications/roots/list_changed") {
            if let Some(told) = self.told.get_mut(connection) {
                (told.changed, told.is_announced) = (None, true);
            }
            return tally.held();
        }
        let id = message.id().filter(|_| message.is_response()).map(|_| message.id_text());
        if !id.is_some_and(|id| self.asked.swap_remove(&(connection.clone(), id))) {
            return;
        }
        let Some(roots) = message.at(&["result", "roots"]).and_then(Value::as_array) else { return };
        let uris = roots.iter().filter_map(|root| root.get("uri").and_then(Value::as_str));
        let roots: BTreeSet<String> = uris.map(str::to_owned).collect();
        let before = self.told.swap_remove(connection);
        let changed = match &before {
            Some(before) if before.roots != roots && !before.is_announced => Some((before.seq, seq)),
            Some(before) => {
                tally.held();
                before.changed
            }
            None => None,
        };
        self.told.insert(connection.clone(), Told { roots, seq, changed, is_announced: false });
    }

    fn due(&self, tally: &mut Tally, concerns: impl Fn(&ConnectionId) -> bool) {
        for (connection, told) in self.told.iter().filter(|(connection, _)| concerns(connection)) {
            let Some((before, after)) = told.changed else { continue };
            let because = format!(
                "the roots sent on connection {connection} at {after} differ from those of {before}, and the client never said that they had changed"
            );
            tally.broken(Violation::new("untold", because, &[before, after]));
        }
    }
}
