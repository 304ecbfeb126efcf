//! Messages: their form, their ids, and how they are sent.

use serde_json::Value;

use crate::check::carriers::Carrier;
use crate::check::combinator::{Judged, both, each};
use crate::check::methods::{is_notification, method};
use crate::check::parts::parts;
use crate::check::rules::used_ids::UsedIds;
use crate::check::{
    Agreement, AppliesTo, Hears, Invariant, Level, Monitor, Of, Plans, Property, Tally, View, Violation, Witness,
};
use crate::history::{ConnectionId, Event, EventKind, Header, Kind, KnownMethod, Message, Seq, Table};
use crate::plan::{Promise, Revision};

/// Counter-examples: The number 1 and the string "1" are two ids. A response carries the server's id, which may be any.
/// A probe of the generation comes before the session, so its id is not of the session. Without sessions (from
/// 2026-07-28) an id is free again once it is answered, and two clients of one server may use the same one. Instances of one
/// program say one name and count alike, so over HTTP a socket shows that two requests have one sender, and so does an id
/// that is random: no second client draws the same. A request that HTTP refused, for example with 401, or sent elsewhere is the same request when it comes again.
pub(super) const REQUEST_ID_UNIQUE: Invariant = Invariant {
    id: "request-id-unique",
    property: Property::Safety,
    level: Level::Must,
    claim: "no request id is used twice in a session, and each is a string or an integer",
    source: "2025-11-25, basic/index, Requests; 2026-07-28 demands it of unanswered requests only",
    requirement: &["LC-MSG-03", "LC-MSG-04", "LC-MSG-05", "LC-HTTP-18"],
    applies: AppliesTo::ALL,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[
        Kind::WireReceived,
        Kind::WireSent,
        Kind::HttpAnswered,
        Kind::HttpEnded,
        Kind::WireEof,
        Kind::ConnectionClosed,
    ],
    hears: Hears::only(&[(Kind::WireReceived, &[Of::AnyRequest, Of::OtherNotice]), (Kind::WireSent, &[Of::AnyAnswer])])
        .sleeping(
            &[(Kind::WireReceived, &[Of::LoneRequest, Of::Request(KnownMethod::ServerDiscover)])],
            &[
                (Kind::WireReceived, &[Of::AnyRequest, Of::OtherNotice]),
                (Kind::HttpAnswered, &[Of::Any]),
                (Kind::HttpEnded, &[Of::Any]),
                (Kind::WireEof, &[Of::Any]),
                (Kind::ConnectionClosed, &[Of::Any]),
            ],
        )
        .on(Plans::WithHandshake),
    vacuous: "no request was sent on any connection",
    explain: "Two requests of one session carried the same id, or an id was null, a fraction or no value at all. The client then delivers the \
        answer of one to the other, or a late answer to a request that timed out completes a later call with a wrong \
        result. A server that reads ids as integers refuses a fraction.\n\n\
        Look at the two requests. The usual reasons are counters that start again after a reconnect within one \
        session, and one counter for each task. To fix it, use one counter that belongs to the connection.",
    start: |_: &Header| -> Box<dyn Monitor> { both(Box::new(UsedIds::default()), each(malformed_id)) },
};

fn malformed_id(event: &Event, _view: &View) -> Judged {
    let EventKind::WireReceived { connection, message } = &event.kind else { return Judged::Unrelated };
    for part in parts(message).iter() {
        let Some(name) = part.method().filter(|name| !is_notification(name)) else { continue };
        let Some(id) = part.at(&["id"]) else { continue };
        let variant = match id {
            Value::Null => "null",
            Value::Bool(_) | Value::Array(_) | Value::Object(_) => "neither-string-nor-number",
            Value::Number(number) if number.as_f64().is_some_and(|number| number.fract() != 0.0) => "fraction",
            Value::Number(_) | Value::String(_) => continue,
        };
        let because = format!("{name} was sent on connection {connection} at {} with the id {id}", event.seq);
        return Judged::Broken(Violation::new(variant, because, &[event.seq]));
    }
    Judged::Unrelated
}

/// Counter-examples: A loader that got a signal, or whose process ended, may have been cut off inside a line, and so
/// may the client of a standalone mock, in its last line. A line that is longer than a mock reads may be a whole
/// message.
pub(super) const STDIN_CARRIES_MESSAGES_ONLY: Invariant = Invariant {
    id: "stdin-carries-messages-only",
    property: Property::Safety,
    level: Level::Must,
    claim: "nothing but whole messages is written to a server's stdin",
    source: "2025-11-25, basic/transports, stdio; the same in all revisions",
    requirement: &["LC-STD-02", "LC-MSG-01", "LC-STD-01", "LC-MSG-02"],
    applies: AppliesTo::STDIO,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::WireReceived, Kind::WireNoise, Kind::WireEof],
    hears: Hears::ALL,
    vacuous: "no client sent a message",
    explain: "A server received bytes that are not a message: half a line, or text that belongs elsewhere. A write that \
        is cancelled in the middle leaves half a line; the next message is then joined to it and lost as well.\n\n\
        Look at the first bytes in the witness. To fix it, pass whole lines to one writer task that no caller's \
        cancellation can interrupt.",
    start: |header: &Header| -> Box<dyn Monitor> {
        Box::new(Bytes { is_watched: header.host.is_some(), last: Table::default() })
    },
};

/// Length of a line, in bytes, that a mock of every release reads. A longer one may be a message that the mock did not take.
const ALWAYS_READ_BYTES: u64 = 4 << 20;

struct Bytes {
    /// Whether the history shows how the program of the client ends.
    is_watched: bool,
    /// Noise that no message has followed.
    last: Table<ConnectionId, Violation>,
}

impl Monitor for Bytes {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        match &event.kind {
            EventKind::WireReceived { connection, .. } => {
                self.last.swap_remove(connection).into_iter().for_each(|violation| tally.broken(violation));
                tally.held();
            }
            EventKind::WireNoise { connection, bytes, .. }
                if view.signalled().is_none() && view.loader_exited().is_none() && *bytes <= ALWAYS_READ_BYTES =>
            {
                let because =
                    format!("{bytes} bytes that are not a message arrived on connection {connection} at {}", event.seq);
                let violation = Violation::new("noise", because, &[event.seq]);
                if self.is_watched || view.is_ready() {
                    return tally.broken(violation);
                }
                self.last.insert(connection.clone(), violation).into_iter().for_each(|before| tally.broken(before));
            }
            // The last bytes are half a line if the client was killed, which no journal of a mock shows.
            EventKind::WireEof { connection } => {
                self.last.swap_remove(connection);
            }
            _ => {}
        }
    }

    fn end(&self, view: &View, tally: &mut Tally) {
        if !view.is_cut_off() {
            self.last.values().cloned().for_each(|violation| tally.broken(violation));
        }
    }
}

/// Counter-examples: 2025-03-26 has batches, but not for `initialize`; 2024-11-05 does not forbid them. The revision that a connection agreed on counts,
/// not the one that the plan offers.
pub(super) const ONE_MESSAGE_AT_A_TIME: Invariant = Invariant {
    id: "one-message-at-a-time",
    property: Property::Safety,
    level: Level::Must,
    claim: "a client sends one message at a time, and initialize never in a batch",
    source: "2025-06-18, basic/transports: no batches; 2025-03-26, basic/lifecycle, Initialization",
    requirement: &["LC-MSG-10", "LC-INIT-16"],
    applies: AppliesTo::ALL,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::WireReceived],
    hears: Hears::ALL,
    vacuous: "no client sent a message",
    explain: "The client sent several messages as one array. Since 2025-06-18 a server need not support batches, and \
        most servers answer with one error without an id: every call in the batch then waits until its timeout.\n\n\
        Look at the message in the witness. To fix it, send each message by itself once the revision is known.",
    start: |header: &Header| -> Box<dyn Monitor> {
        let offered = header.revision.parse().ok();
        let mut before: Option<(Carrier, Seq)> = None;
        Box::new(move |event: &Event, view: &View, tally: &mut Tally| {
            let carrier = view.carrier(event).cloned();
            // A server that accepts a batch records its messages one by one.
            let first = before.take().filter(|(known, _)| carrier.as_ref() == Some(known)).map(|(_, first)| first);
            before = carrier.map(|carrier| (carrier, first.unwrap_or(event.seq)));
            judge_batch(event, view, (offered, first), tally);
        })
    },
};

fn judge_batch(event: &Event, view: &View, (offered, first): (Option<Revision>, Option<Seq>), tally: &mut Tally) {
    let EventKind::WireReceived { connection, message } = &event.kind else { return };
    if !message.body().is_array() && first.is_none() {
        tally.held();
        return;
    }
    let agreed = view.agreement(connection).and_then(Agreement::revision);
    let has_batches = agreed.or(offered).is_some_and(|revision| revision <= Revision::R20250326);
    let has_initialize = parts(message).iter().any(|part| part.is_request("initialize"));
    let (variant, what) = match (has_batches, has_initialize) {
        (true, false) => return tally.held(),
        (_, true) => ("initialize", "a batch with initialize"),
        (false, false) => ("batch", "a batch"),
    };
    let because = format!("{what} was sent on connection {connection} at {}", event.seq);
    let witness: Vec<Seq> = first.into_iter().chain([event.seq]).collect();
    tally.broken(Violation::new(variant, because, &witness));
}

/// Counter-examples: The recorder keeps a message above the size limit without its other fields. An error need not name
/// a request: its sender may have been unable to read one. `request-id-unique` judges the ids of requests.
pub(super) const MESSAGES_WELL_FORMED: Invariant = Invariant {
    id: "messages-well-formed",
    property: Property::Safety,
    level: Level::Must,
    claim: "each message is a request, a notification or a response of JSON-RPC 2.0",
    source: "2025-11-25, basic/index, Messages; the same in all revisions; RFC 8259, Objects: names SHOULD be unique",
    requirement: &["LC-MSG-01", "LC-MSG-06", "LC-MSG-08", "LC-INIT-03"],
    applies: AppliesTo::ALL,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::WireReceived, Kind::WireRepeated],
    hears: Hears::ALL,
    vacuous: "no client sent a message",
    explain: "The client sent a message that is neither a request nor a notification nor a response: `jsonrpc: \
        \"2.0\"` is missing, a response holds both a result and an error or neither, a notification has an id, or a \
        request has none. Strict servers then close the session; lenient ones answer, and the program works until it \
        meets a strict one. A request without an id is never answered, and a notification with one is an unknown \
        request. Of an object with one name twice, each reader keeps another value.\n\n\
        Look at the message in the witness. To fix it, use the message types of the library instead of code that \
        writes messages by hand.",
    start: |_: &Header| -> Box<dyn Monitor> { each(judge_form) },
};

fn judge_form(event: &Event, _view: &View) -> Judged {
    if let EventKind::WireRepeated { connection, name } = &event.kind {
        let because = format!(
            "the message on connection {connection} before {} has an object with two members {name}",
            event.seq
        );
        return Judged::Broken(Violation::new("name-twice", because, &[event.seq]).as_warning());
    }
    let EventKind::WireReceived { connection, message } = &event.kind else { return Judged::Unrelated };
    for part in parts(message).iter().filter(|part| !part.is_cut()) {
        let Some((variant, what)) = fault_of_form(part) else { continue };
        let because = format!("a message with {what} was sent on connection {connection} at {}", event.seq);
        let violation = Violation::new(variant, because, &[event.seq]);
        return Judged::Broken(if variant == "null-params" { violation.as_warning() } else { violation });
    }
    Judged::Held
}

/// The first mistake in the form of a message: variant and text.
fn fault_of_form(message: &Message) -> Option<(&'static str, String)> {
    let field = |name: &str| message.at(&[name]);
    let holds = |name: &str| field(name).is_some_and(|value| !value.is_null());
    let fault = |variant, what: &str| Some((variant, what.to_owned()));
    let has_object = || field("result").is_some_and(Value::is_object);
    if field("jsonrpc").and_then(Value::as_str) != Some("2.0") {
        return fault("no-version", "no-version");
    }
    let Some(name) = message.method() else {
        if field("method").is_some() {
            return fault("method-is-no-text", "a method that is not text");
        }
        // Without an id, only an error is a response.
        return match (field("result").is_some(), field("error")) {
            (true, None) if message.is_response() && !has_object() => {
                fault("result-is-no-object", "a result that is not an object")
            }
            (true, None) | (false, Some(_)) if message.is_response() => fault_of_error(field("error")),
            (false, Some(error)) => fault_of_error(Some(error)),
            (true, None) => fault("no-id", "a result and no id"),
            (true, Some(_)) => fault("no-single-outcome", "no-single-outcome"),
            (false, None) if message.is_response() => fault("no-single-outcome", "no-single-outcome"),
            (false, None) => fault("no-kind", "neither a method nor an outcome"),
        };
    };
    if holds("result") || holds("error") {
        return Some(("two-kinds", format!("the method {name} and an outcome")));
    }
    if is_notification(name) && field("id").is_some() {
        return Some(("notification-with-id", format!("the notification {name} and an id")));
    }
    if !is_notification(name) && method(name).is_some() && field("id").is_none() {
        return Some(("request-without-id", format!("the request {name} and no id")));
    }
    match field("params") {
        Some(Value::Null) => Some(("null-params", format!("null as parameters of {name}"))),
        None | Some(Value::Object(_)) => None,
        Some(_) => Some(("params-are-no-object", format!("parameters of {name} that are not an object"))),
    }
}

/// What is wrong about the error of a response.
fn fault_of_error(error: Option<&Value>) -> Option<(&'static str, String)> {
    let error = error?;
    let is_whole = error.get("code").is_some_and(Value::is_i64) && error.get("message").is_some_and(Value::is_string);
    (!is_whole).then(|| ("error-without-code", "an error without a code and a message".to_owned()))
}

/// Counter-example: the journal records a batch as received, whether or not the server accepts it;
/// `one-message-at-a-time` judges it.
pub(super) const POSTS_ARE_MESSAGES: Invariant = Invariant {
    id: "posts-are-messages",
    property: Property::Safety,
    level: Level::Must,
    claim: "every POST is one JSON-RPC message",
    source: "2025-11-25, basic/transports, Sending Messages to the Server; the same from 2025-06-18",
    requirement: &["LC-MSG-01", "LC-HTTP-01", "LC-MSG-02"],
    applies: AppliesTo::POSTED,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::WireReceived, Kind::WireNoise],
    hears: Hears::ALL,
    vacuous: "nothing was posted",
    explain: "The body of a POST was not a message: it was not JSON, or it was JSON but not an object. A server \
        answers with an error without an id, so the caller waits until its timeout.\n\n\
        Look at the first bytes in the witness. To fix it, send each message by itself.",
    start: |_: &Header| -> Box<dyn Monitor> { each(judge_post) },
};

fn judge_post(event: &Event, view: &View) -> Judged {
    match &event.kind {
        EventKind::WireReceived { .. } => Judged::Held,
        // A program that a signal ends may be cut off inside a body.
        EventKind::WireNoise { connection, bytes, .. } if view.signalled().is_none() => {
            let because = format!("{bytes} bytes that are not a message were posted on {connection} at {}", event.seq);
            Judged::Broken(Violation::new("no-message", because, &[event.seq]))
        }
        _ => Judged::Unrelated,
    }
}
