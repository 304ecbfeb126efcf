//! Schemas: what a client sends has the shape that the schema of its revision demands.

use serde_json::{Map, Value};

use crate::check::agreement::Spoken;
use crate::check::combinator::{Judged, each};
use crate::check::metadata::{CAPABILITIES, CLIENT, LEVELS, LOG_LEVEL};
use crate::check::parts::parts;
use crate::check::shape::{Mismatch, Schema};
use crate::check::{AppliesTo, Hears, Invariant, Level, Monitor, Of, Property, Tally, View, Violation, Witness};
use crate::history::{ConnectionId, Event, EventKind, Header, Kind, Message, Name, Seq, Table};
use crate::plan::{Promise, Revision};

/// Counter-examples: Unknown members are allowed everywhere. `initialize` is written under the revision that it offers.
/// Other rules judge what `initialize` must carry, a cancellation without a request, progress without a number, and
/// parameters that are not an object. A library that writes null for an absent member breaks the schema, but every
/// server accepts it.
pub(super) const PARAMS_MATCH_SCHEMA: Invariant = Invariant {
    id: "params-match-schema",
    property: Property::Safety,
    level: Level::Must,
    claim: "the parameters of a client's requests and notifications have the shape that their schema demands",
    source: "2025-11-25, basic/index, Messages, and schema; each revision has its own",
    requirement: &["LC-MSG-01", "LC-INIT-02", "LC-INIT-12", "LC-LOG-01"],
    applies: AppliesTo::ALL,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::WireReceived],
    hears: Hears::only(&[(Kind::WireReceived, &[Of::AnyRequest, Of::AnyNotice])]),
    vacuous: "no client sent parameters whose schema is known",
    explain: "The client sent parameters that the schema of the agreed revision does not allow: a member is missing, \
        has another type, or has a value that the schema does not allow. Strict servers refuse the request with \
        -32602. Lenient servers guess, and different servers guess differently.\n\n\
        Look at the member that the finding names. The usual reasons are arguments that were passed as a list or as \
        text, a capability that is `true` where an object is required, and null for an absent member. To fix it, build \
        the parameters with the types of the library, and leave out members that have no value.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(see_params) },
};

fn see_params(event: &Event, view: &View, tally: &mut Tally) {
    let EventKind::WireReceived { connection, message } = &event.kind else { return };
    for part in parts(message).iter() {
        match judge_params(event.seq, view, connection, part) {
            Judged::Unrelated => {}
            Judged::Held => tally.held(),
            Judged::Broken(violation) => tally.broken(violation),
        }
    }
}

fn judge_params(seq: Seq, view: &View, connection: &ConnectionId, message: &Message) -> Judged {
    let Some(method) = message.method().filter(|_| !message.is_cut()) else { return Judged::Unrelated };
    let Some(revision) = revision_of(view, connection, message) else { return Judged::Unrelated };
    let schema = Schema::of(revision);
    if !schema.has_params(method) || is_judged_elsewhere(method, message) {
        return Judged::Unrelated;
    }
    let none = Value::Object(Map::new());
    let params = message.at(&["params"]).filter(|params| !params.is_null()).unwrap_or(&none);
    let Some(mismatch) = schema.mismatch_of_params(method, params) else {
        return judge_metadata(seq, connection, (message, method), revision);
    };
    mismatched((seq, connection), method, revision, (&mismatch, "params"))
}

fn mismatched(
    (seq, connection): (Seq, &ConnectionId),
    method: &str,
    revision: Revision,
    (mismatch, outermost): (&Mismatch, &str),
) -> Judged {
    let because = format!(
        "{method} was sent on connection {connection} at {seq} under revision {revision}, and {}",
        mismatch.describe(outermost)
    );
    Judged::Broken(if mismatch.is_null_for_absent {
        Violation::new("null-for-absent", because, &[seq]).as_warning()
    } else {
        Violation::new("other-shape", because, &[seq])
    })
}

/// Judges what a request of the stateless generation says of its client, which has the shape that it has in `initialize`.
/// Other rules judge a request without capabilities, and one that does not name its client.
fn judge_metadata(
    seq: Seq,
    connection: &ConnectionId,
    (message, method): (&Message, &str),
    revision: Revision,
) -> Judged {
    if revision <= Revision::NEWEST_HANDSHAKE {
        return Judged::Held;
    }
    let shape = Schema::of(Revision::NEWEST_HANDSHAKE);
    for (name, member) in [(CLIENT, "clientInfo"), (CAPABILITIES, "capabilities")] {
        let is_judged_here = |said: &&Value| !said.is_null() && (name == CLIENT || said.is_object());
        let said = message.at(&["params", "_meta", name]).filter(is_judged_here);
        if let Some(mismatch) = said.and_then(|said| shape.mismatch_of_param("initialize", member, said)) {
            return mismatched((seq, connection), method, revision, (&mismatch, name));
        }
    }
    judge_log_level(seq, connection, (message, method), revision)
}

/// Judges the level of the log that a request of the stateless generation asks for.
fn judge_log_level(
    seq: Seq,
    connection: &ConnectionId,
    (message, method): (&Message, &str),
    revision: Revision,
) -> Judged {
    let level = message.at(&["params", "_meta", LOG_LEVEL]);
    let Some(level) = level.filter(|level| !level.as_str().is_some_and(|level| LEVELS.contains(&level))) else {
        return Judged::Held;
    };
    let because = format!(
        "{method} was sent on connection {connection} at {seq} under revision {revision}, and asks for a log of level {level}, \
         expected one of {}",
        LEVELS.join(", ")
    );
    Judged::Broken(Violation::new("log-level", because, &[seq]))
}

/// The revision under which a message was written.
fn revision_of(view: &View, connection: &ConnectionId, message: &Message) -> Option<Revision> {
    if message.is_request("initialize") {
        let offered = message.at(&["params", "protocolVersion"])?.as_str()?;
        return Some(
            offered
                .parse()
                .map_or(Revision::NEWEST_HANDSHAKE, |offered: Revision| offered.min(Revision::NEWEST_HANDSHAKE)),
        );
    }
    match view.spoken(connection) {
        Spoken::Handshake(revision, _) => Some(revision),
        Spoken::Stateless => Some(Revision::R20260728),
        Spoken::Unknown => None,
    }
}

/// Whether another rule judges the missing member.
fn is_judged_elsewhere(method: &str, message: &Message) -> bool {
    let params = message.at(&["params"]);
    let param = |path: &[&str]| path.iter().try_fold(params?, |value, name| value.get(*name));
    if params.is_some_and(|params| !params.is_null() && !params.is_object()) {
        return true;
    }
    match method {
        "initialize" => {
            let is_text = |path: &[&str]| param(path).is_some_and(Value::is_string);
            !param(&["capabilities"]).is_some_and(Value::is_object)
                || !is_text(&["clientInfo", "name"])
                || !is_text(&["clientInfo", "version"])
        }
        "notifications/cancelled" => param(&["requestId"]).is_none_or(Value::is_null),
        "notifications/progress" => !param(&["progress"]).is_some_and(Value::is_number),
        _ => false,
    }
}

/// Counter-examples: A refusal is an error, and has no result. Another rule judges a request of a method that the
/// revision does not have. A request that became a task is answered with the task.
pub(super) const RESULTS_MATCH_SCHEMA: Invariant = Invariant {
    id: "results-match-schema",
    property: Property::Safety,
    level: Level::Must,
    claim: "the results of a client's responses have the shape that their schema demands",
    source: "2025-11-25, client/roots, Data Types; schema: ListRootsResult, CreateMessageResult, ElicitResult",
    requirement: &["LC-MSG-01", "LC-MSG-06", "LC-S2C-01"],
    applies: AppliesTo::HANDSHAKE,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::WireSent, Kind::WireReceived, Kind::WireEof, Kind::ConnectionClosed],
    hears: Hears::only(&[(Kind::WireSent, &[Of::AnyRequest]), (Kind::WireReceived, &[Of::AnyAnswer])])
        .from(&[(Kind::WireSent, &[Of::AnyRequest])]),
    vacuous: "no client sent a result whose schema is known",
    explain: "The server asked its client for roots, a completion or input, and the result does not have the shape that \
        the schema of the agreed revision demands: a member is missing, has another type, or has a value that the \
        schema does not allow, or a root is not a file:// URI. The server cannot read the result, so the call that \
        needed it fails.\n\n\
        Look at the member that the finding names. To fix it, build the result with the types of the library, and \
        answer with an error if the client has no result.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(Results::default()) },
};

#[derive(Default)]
struct Results {
    /// Requests of servers, by connection and id.
    asked: Table<(ConnectionId, Name), (Asked, Seq)>,
}

struct Asked {
    method: String,
    is_task: bool,
}

impl Monitor for Results {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        match &event.kind {
            EventKind::WireSent { connection, message } => {
                for part in parts(message).iter().filter(|part| part.is_any_request()) {
                    let (Some(id), Some(method)) = (part.id(), part.method()) else { continue };
                    let asked = Asked { method: method.to_owned(), is_task: part.at(&["params", "task"]).is_some() };
                    self.asked.insert((connection.clone(), Name::from(id)), (asked, event.seq));
                }
            }
            EventKind::WireReceived { connection, message } if !self.asked.is_empty() => {
                for part in parts(message).iter().filter(|part| part.is_response() && !part.is_cut()) {
                    let id = part.id_text();
                    let Some((asked, at)) = self.asked.swap_remove(&(connection.clone(), id)) else { continue };
                    match judge_result(view, connection, (part, event.seq), (&asked, at)) {
                        Judged::Unrelated => {}
                        Judged::Held => tally.held(),
                        Judged::Broken(violation) => tally.broken(violation),
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

fn judge_result(
    view: &View,
    connection: &ConnectionId,
    (response, seq): (&Message, Seq),
    (Asked { method, is_task }, at): (&Asked, Seq),
) -> Judged {
    let Spoken::Handshake(revision, _) = view.spoken(connection) else { return Judged::Unrelated };
    let Some(result) = response.at(&["result"]).filter(|result| result.is_object()) else { return Judged::Unrelated };
    if *is_task && result.get("task").is_some() {
        return Judged::Unrelated;
    }
    let because = |what: String| {
        format!(
            "{method} of {at} was answered on connection {connection} at {seq} under revision {revision}, and {what}"
        )
    };
    match Schema::of(revision).mismatch_of_result(method, result) {
        Some(mismatch) if mismatch.is_null_for_absent => {
            let violation = Violation::new("null-for-absent", because(mismatch.describe("result")), &[at, seq]);
            Judged::Broken(violation.as_warning())
        }
        Some(mismatch) => {
            Judged::Broken(Violation::new("other-shape", because(mismatch.describe("result")), &[at, seq]))
        }
        None => match foreign_root(result).filter(|_| method == "roots/list") {
            Some(uri) => {
                let what = format!("the root {uri:?} is not a file:// URI");
                Judged::Broken(Violation::new("root-is-no-file", because(what), &[at, seq]))
            }
            None if Schema::of(revision).has_result(method) => Judged::Held,
            None => Judged::Unrelated,
        },
    }
}

/// The first root that is not a file.
fn foreign_root(result: &Value) -> Option<&str> {
    let roots = result.get("roots").and_then(Value::as_array).into_iter().flatten();
    let mut uris = roots.filter_map(|root| root.get("uri").and_then(Value::as_str));
    uris.find(|uri| !uri.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("file://")))
}

/// Counter-examples: `initialize` comes before the agreement. `capabilities-respected` judges `task` in the revision
/// that has tasks, where it needs a capability. A member that no published revision has is an extension, and allowed. The
/// stateless generation forbids no member, so one that only earlier revisions have gets a warning.
pub(super) const FIELDS_OF_REVISION: Invariant = Invariant {
    id: "fields-of-revision",
    property: Property::Safety,
    level: Level::Must,
    claim: "a client sends no parameter that only other revisions have",
    source: "2025-11-25, basic/lifecycle, Operation (MUST from 2025-06-18, SHOULD before); 2026-07-28, basic/versioning, Extension Negotiation; schema of each revision",
    requirement: &["LC-INIT-10", "LC-ERA-17"],
    applies: AppliesTo::ALL,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::WireReceived],
    hears: Hears::only(&[(Kind::WireReceived, &[Of::AnyRequest, Of::AnyNotice])]),
    vacuous: "no client sent parameters under a revision that was agreed on",
    explain: "The client sent a parameter that the revision in use does not have: a later revision introduced it, or \
        `2026-07-28` has removed it, such as `task` in `tools/call`. A server of that revision ignores the parameter, so \
        the answer does not fit the request, or it refuses the request.\n\n\
        Look at the parameter in the witness and at the revision in the answer to `initialize`, or in the metadata of the \
        request. To fix it, keep the revision with the session or the server, and build each request by it.",
    start: |_: &Header| -> Box<dyn Monitor> { each(judge_fields) },
};

/// Parameters that came with the stateless generation.
const STATELESS_PARAMS: &[&str] = &["requestState", "inputResponses"];

fn judge_fields(event: &Event, view: &View) -> Judged {
    let EventKind::WireReceived { connection, message } = &event.kind else { return Judged::Unrelated };
    let mut judged = Judged::Unrelated;
    for part in parts(message).iter().filter(|part| part.method() != Some("initialize")) {
        let (Some(method), Some(params)) = (part.method(), part.at(&["params"]).and_then(Value::as_object)) else {
            continue;
        };
        let revision = match view.spoken(connection) {
            Spoken::Handshake(revision, _) => revision,
            Spoken::Stateless => Revision::R20260728,
            Spoken::Unknown => continue,
        };
        if !Schema::of(revision).has_params(method) {
            continue;
        }
        let Some((name, is_newer)) = params.keys().find_map(|name| foreign_param(revision, method, name)) else {
            judged = Judged::Held;
            continue;
        };
        let because = format!(
            "{method} was sent on connection {connection} at {} with {name}, which revision {revision}, in use there, does not have",
            event.seq
        );
        let variant = if is_newer { "of-later-revision" } else { "of-earlier-revision" };
        let violation = Violation::new(variant, because, &[event.seq]);
        let is_must = is_newer && revision >= Revision::R20250618;
        return Judged::Broken(if is_must { violation } else { violation.as_warning() });
    }
    judged
}

/// The name of a parameter that this revision does not have and another one has, and whether that is a later one.
fn foreign_param<'a>(revision: Revision, method: &str, name: &'a str) -> Option<(&'a str, bool)> {
    if name == "_meta" || Schema::of(revision).has_param(method, name) {
        return None;
    }
    if revision > Revision::NEWEST_HANDSHAKE {
        let mut earlier = Revision::ALL.into_iter().filter(|earlier| *earlier < revision);
        return earlier.any(|earlier| Schema::of(earlier).has_param(method, name)).then_some((name, false));
    }
    // Any request may ask for a task, whichever requests the server runs as tasks.
    let is_task = name == "task" && revision < Revision::R20251125;
    let is_newer = later_than(revision).any(|later| Schema::of(later).has_param(method, name))
        || STATELESS_PARAMS.contains(&name)
        || is_task;
    is_newer.then_some((name, true))
}

fn later_than(revision: Revision) -> impl Iterator<Item = Revision> {
    Revision::ALL.into_iter().filter(move |later| *later > revision && *later <= Revision::NEWEST_HANDSHAKE)
}
