//! Features of clients: roots, sampling, elicitation and tasks, which a client declares in `initialize`.

use serde_json::{Map, Value};

use crate::check::agreement::Spoken;
use crate::check::methods::method as method_named;
use crate::check::parts::parts;
use crate::check::{
    Agreement, AppliesTo, Hears, Invariant, Level, Monitor, Of, Property, Tally, View, Violation, Witness,
};
use crate::history::{ConnectionId, Event, EventKind, Header, Kind, KnownMethod, Message, Name, Seq, Table};
use crate::plan::{Promise, Revision};

/// Counter-examples: An answer without content, such as a declined request for input or an empty list of roots, does
/// not serve the feature. Common libraries answer like this, so a missing error is only a warning. A client that
/// declared a feature may still answer with an error.
pub(super) const FEATURES_DECLARED: Invariant = Invariant {
    id: "features-declared",
    property: Property::Safety,
    level: Level::Must,
    claim: "a client serves and announces only features that it declared",
    source: "2025-11-25, client/roots, client/sampling and client/elicitation, Capabilities; basic/lifecycle, Operation",
    requirement: &["LC-INIT-10", "LC-INIT-11", "LC-INIT-12", "LC-S2C-01", "LC-S2C-02", "LC-SUB-02"],
    applies: AppliesTo::HANDSHAKE,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::WireSent, Kind::WireReceived, Kind::WireEof, Kind::ConnectionClosed],
    hears: Hears::only(&[
        (Kind::WireSent, &[Of::AnyRequest]),
        (
            Kind::WireReceived,
            &[Of::AnyAnswer, Of::Notice(KnownMethod::RootsListChanged), Of::Notice(KnownMethod::TasksStatus)],
        ),
    ])
    .from(&[
        (Kind::WireSent, &[Of::AnyRequest]),
        (Kind::WireReceived, &[Of::Notice(KnownMethod::RootsListChanged), Of::Notice(KnownMethod::TasksStatus)]),
    ]),
    vacuous: "no client announced a feature or answered a request for one",
    explain: "The client handed out its roots, a completion or input, or said that its roots had changed, and had not \
        declared that in `initialize`. Most servers ask only clients that declared a feature, so the feature does not \
        work with them. A server that still asks treats the answer as a mistake.\n\n\
        Look at the capabilities in `initialize`. To fix it, declare each feature for which there is a handler, and \
        answer every other request of the server with the error -32601.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(Features::default()) },
};

#[derive(Default)]
struct Features {
    asked: Table<(ConnectionId, Name), AskedFeature>,
}

struct AskedFeature {
    method: String,
    feature: &'static str,
    /// A part of the feature that must be declared on its own: its path, and the code of the error that is required
    /// without it.
    part: Option<(&'static [&'static str], Option<i64>)>,
    /// Whether the revision has no such request.
    is_foreign: bool,
    seq: Seq,
}

impl Monitor for Features {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        match &event.kind {
            EventKind::WireSent { connection, message } => {
                let Spoken::Handshake(revision, _) = view.spoken(connection) else { return };
                for request in parts(message).iter().filter(|part| part.is_any_request()) {
                    let asked = AskedFeature::of(event.seq, request, revision);
                    let id = request.id_text();
                    self.asked.extend(asked.map(|asked| ((connection.clone(), id), asked)));
                }
            }
            EventKind::WireReceived { connection, message } => {
                let Spoken::Handshake(revision, agreement) = view.spoken(connection) else { return };
                for part in parts(message).iter() {
                    if part.is_response() {
                        self.answered(event.seq, connection, part, agreement, tally);
                    } else {
                        announced(event.seq, connection, part, (revision, agreement), tally);
                    }
                }
            }
            EventKind::WireEof { connection } | EventKind::ConnectionClosed { connection, .. } => {
                self.asked.retain(|(of, _), _| of != connection);
            }
            _ => {}
        }
    }
}

impl AskedFeature {
    fn of(seq: Seq, request: &Message, revision: Revision) -> Option<Self> {
        let method = request.method()?.to_owned();
        let has_parts = revision == Revision::R20251125;
        let known = method_named(&method)?;
        let is_foreign = !known.is_of_servers_in(revision) && !known.is_of_clients(revision);
        let is_url = request.at(&["params", "mode"]).and_then(Value::as_str) == Some("url");
        let (feature, part): (_, Option<(&'static [&'static str], _)>) = match method.as_str() {
            "roots/list" => ("roots", None),
            "elicitation/create" if is_url && has_parts => {
                ("elicitation", Some((&["elicitation", "url"], Some(-32_602))))
            }
            "elicitation/create" if has_parts => ("elicitation", Some((&["elicitation", "form"], Some(-32_602)))),
            "elicitation/create" => ("elicitation", None),
            "sampling/createMessage" if request.at(&["params", "tools"]).is_some() && has_parts => {
                ("sampling", Some((&["sampling", "tools"], None)))
            }
            "sampling/createMessage" => ("sampling", None),
            "tasks/get" | "tasks/result" | "tasks/list" | "tasks/cancel" => ("tasks", None),
            _ => return None,
        };
        Some(Self { method, feature, part, is_foreign, seq })
    }
}

impl Features {
    fn answered(
        &mut self,
        seq: Seq,
        connection: &ConnectionId,
        answer: &Message,
        agreement: &Agreement,
        tally: &mut Tally,
    ) {
        let id = answer.id_text();
        let Some(asked) = self.asked.swap_remove(&(connection.clone(), id)) else { return };
        let AskedFeature { method, feature, part, is_foreign, seq: at } = asked;
        let code = answer.at(&["error", "code"]).and_then(Value::as_i64);
        let is_declared = agreement.of_client(&[feature]).is_some_and(Value::is_object);
        let lacks_part = part.filter(|(path, _)| is_declared && !declares(agreement, path));
        let broken = |variant, what: String| {
            let because = format!("{method} of {at} was answered on connection {connection} at {seq} {what}");
            Violation::new(variant, because, &[at, seq])
        };
        match (answer.at(&["result"]), lacks_part) {
            (Some(result), _) if !is_declared && !gives_nothing(result) => {
                let what = format!("with a result, and the client declared no {feature}");
                tally.broken(broken("served-undeclared", what));
            }
            (Some(_), _) if !is_declared => {
                let what = format!(
                    "with an empty result, where an error was expected, because the client declared no {feature}"
                );
                tally.broken(broken("nothing-for-undeclared", what).as_warning());
            }
            (Some(_), _) if is_foreign => {
                let what = "with a result, and the revision that is in use there has no such request".to_owned();
                tally.broken(broken("of-another-revision", what).as_warning());
            }
            (Some(_), Some((path, _))) => {
                let what = format!("with a result, and the client declared no {}", path.join("."));
                tally.broken(broken("served-undeclared-part", what));
            }
            (None, Some((path, Some(due)))) if code != Some(due) => {
                let found = code.map_or_else(|| "no code".to_owned(), |code| code.to_string());
                let what =
                    format!("with error {found}, expected {due}, because the client declared no {}", path.join("."));
                tally.broken(broken("other-error", what));
            }
            (Some(_) | None, _) => tally.held(),
        }
    }
}

/// Whether a part of a feature was declared. An empty elicitation means forms.
fn declares(agreement: &Agreement, path: &[&str]) -> bool {
    let is_empty = |value: &Value| value.as_object().is_some_and(Map::is_empty);
    let stands_for_forms = path == ["elicitation", "form"] && agreement.of_client(&path[..1]).is_some_and(is_empty);
    stands_for_forms || agreement.of_client(path).is_some()
}

/// Whether a result refuses what was asked for, or is empty.
fn gives_nothing(result: &Value) -> bool {
    let action = result.get("action").and_then(Value::as_str);
    let roots = result.get("roots").and_then(Value::as_array);
    action.is_some_and(|action| action != "accept") || roots.is_some_and(Vec::is_empty)
}

/// Judges a notification that only a client with a feature may send.
fn announced(
    seq: Seq,
    connection: &ConnectionId,
    notification: &Message,
    (revision, agreement): (Revision, &Agreement),
    tally: &mut Tally,
) {
    let (name, is_declared, what) = match notification.method() {
        Some(name @ "notifications/roots/list_changed") => {
            let declared = agreement.of_client(&["roots", "listChanged"]);
            (name, declared == Some(&Value::Bool(true)), "roots.listChanged")
        }
        Some(name @ "notifications/tasks/status") if revision == Revision::R20251125 => {
            (name, agreement.of_client(&["tasks"]).is_some(), "tasks")
        }
        Some(_) | None => return,
    };
    if is_declared {
        return tally.held();
    }
    let because = format!("{name} was sent on connection {connection} at {seq}, and the client declared no {what}");
    let violation = Violation::new("announced-undeclared", because, &[seq]);
    tally.broken(if revision >= Revision::R20250618 { violation } else { violation.as_warning() });
}
