//! Messages: their form, their ids, and how they are sent.

use serde_json::Value;

use crate::check::combinator::{Count, Judged, at_most, both, each};
use crate::check::parts::parts;
use crate::check::{AppliesTo, Invariant, Level, Monitor, Property, Tally, View, Violation, Witness};
use crate::history::{ConnectionId, Event, EventKind, Header, Kind, Message, Seq};
use crate::plan::Promise;

/// Counter-examples: The number 1 and the string "1" are two ids. A response carries the server's id, which may be any.
/// A probe of the generation comes before the session, so its id is not of the session. Without sessions (from
/// 2026-07-28) an id is free again once it is answered.
pub(super) const REQUEST_ID_UNIQUE: Invariant = Invariant {
    id: "request-id-unique",
    property: Property::Safety,
    level: Level::Must,
    claim: "no request id is used twice in a session, and each is a string or a number",
    source: "2025-11-25, basic/index, Requests; 2026-07-28 demands it of unanswered requests only",
    requirement: &["LC-MSG-03", "LC-MSG-04", "LC-MSG-05"],
    applies: AppliesTo::ALL,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::WireReceived, Kind::WireSent, Kind::WireEof, Kind::ConnectionClosed],
    vacuous: "no request was sent on any connection",
    explain: "Two requests of one session carried the same id, or an id was null. The client then delivers the \
        answer of one to the other, or a late answer to a request that timed out completes a later call with a wrong \
        result.\n\n\
        Look at the two requests. The usual reasons are counters that start again after a reconnect within one \
        session, and one counter for each task. To fix it, use one counter that belongs to the connection.",
    start: |_: &Header| -> Box<dyn Monitor> { both(at_most(1, request_ids, id_used_twice), each(malformed_id)) },
};

fn request_ids(event: &Event, view: &View) -> Count<(ConnectionId, String)> {
    match &event.kind {
        EventKind::WireReceived { connection, message } => {
            let parts = parts(message);
            let counts = |part: &&Message| view.is_stateless() || part.method() != Some("server/discover");
            let requests = parts.iter().filter(|part| part.is_any_request()).filter(counts);
            let ids = requests.filter_map(|request| request.id().map(ToString::to_string));
            Count::These(ids.map(|id| (connection.clone(), id)).collect())
        }
        EventKind::WireSent { .. } if view.is_stateless() => Count::Forget(is_answered),
        EventKind::WireEof { .. } | EventKind::ConnectionClosed { .. } => Count::Forget(is_of_ended_connection),
        _ => Count::Unrelated,
    }
}

fn is_answered((of, id): &(ConnectionId, String), event: &Event) -> bool {
    let EventKind::WireSent { connection, message } = &event.kind else { return false };
    of == connection
        && parts(message)
            .iter()
            .any(|part| part.is_response() && part.id().map(ToString::to_string).as_ref() == Some(id))
}

fn is_of_ended_connection((of, _): &(ConnectionId, String), event: &Event) -> bool {
    match &event.kind {
        EventKind::WireEof { connection } | EventKind::ConnectionClosed { connection, .. } => of == connection,
        _ => false,
    }
}

fn id_used_twice((connection, id): &(ConnectionId, String), first: Seq, event: &Event) -> Violation {
    let because = format!("request id {id} was used on connection {connection} at {first} and again at {}", event.seq);
    Violation::new("used-twice", because, &[first, event.seq])
}

fn malformed_id(event: &Event, _view: &View) -> Judged {
    let EventKind::WireReceived { connection, message } = &event.kind else { return Judged::Unrelated };
    for part in parts(message).iter() {
        let variant = match (part.method(), part.at(&["id"])) {
            (Some(_), Some(Value::Null)) => "null",
            (Some(_), Some(Value::Bool(_) | Value::Array(_) | Value::Object(_))) => "neither-string-nor-number",
            (Some(_) | None, _) => continue,
        };
        let because =
            format!("a request with an id that is {variant} was sent on connection {connection} at {}", event.seq);
        return Judged::Broken(Violation::new(variant, because, &[event.seq]));
    }
    Judged::Unrelated
}

/// Counter-example: a loader that got a signal, or whose process ended, may have been cut off inside a line.
pub(super) const STDIN_CARRIES_MESSAGES_ONLY: Invariant = Invariant {
    id: "stdin-carries-messages-only",
    property: Property::Safety,
    level: Level::Must,
    claim: "nothing but whole messages is written to a server's stdin",
    source: "2025-11-25, basic/transports, stdio; the same in all revisions",
    requirement: &["LC-STD-02", "LC-MSG-01"],
    applies: AppliesTo::STDIO,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::WireReceived, Kind::WireNoise],
    vacuous: "no client sent a message",
    explain: "A server received bytes that are no message: half a line, or text that belongs elsewhere. A write that \
        is cancelled in the middle leaves half a line; the next message is then joined to it and lost as well.\n\n\
        Look at the first bytes in the witness. To fix it, pass whole lines to one writer task that no caller's \
        cancellation can interrupt.",
    start: |_: &Header| -> Box<dyn Monitor> { each(judge_bytes) },
};

fn judge_bytes(event: &Event, view: &View) -> Judged {
    match &event.kind {
        EventKind::WireReceived { .. } => Judged::Held,
        EventKind::WireNoise { connection, bytes, .. }
            if view.signalled().is_none() && view.loader_exited().is_none() =>
        {
            let because =
                format!("{bytes} bytes that are no message arrived on connection {connection} at {}", event.seq);
            Judged::Broken(Violation::new("noise", because, &[event.seq]))
        }
        _ => Judged::Unrelated,
    }
}

/// Counter-example: 2025-03-26 has batches, but not for `initialize`.
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
    vacuous: "no client sent a message",
    explain: "The client sent several messages as one array. Since 2025-06-18 a server need not support that, and \
        most answer with one error for all of them, without the ids: every call in the batch then waits until its \
        timeout.\n\n\
        Look at the message in the witness. To fix it, send each message by itself once the revision is known.",
    start: |header: &Header| -> Box<dyn Monitor> {
        let has_batches = header.revision == "2025-03-26";
        Box::new(move |event: &Event, _view: &View, tally: &mut Tally| judge_batch(event, has_batches, tally))
    },
};

fn judge_batch(event: &Event, has_batches: bool, tally: &mut Tally) {
    let EventKind::WireReceived { connection, message } = &event.kind else { return };
    let Value::Array(_) = message.body() else {
        tally.held();
        return;
    };
    let has_initialize = parts(message).iter().any(|part| part.is_request("initialize"));
    let (variant, what) = match (has_batches, has_initialize) {
        (true, false) => return tally.held(),
        (_, true) => ("initialize", "a batch with initialize"),
        (false, false) => ("batch", "a batch"),
    };
    let because = format!("{what} was sent on connection {connection} at {}", event.seq);
    tally.broken(Violation::new(variant, because, &[event.seq]));
}

/// Counter-example: the recorder keeps a message above the size limit without its other fields.
pub(super) const MESSAGES_WELL_FORMED: Invariant = Invariant {
    id: "messages-well-formed",
    property: Property::Safety,
    level: Level::Must,
    claim: "each message is JSON-RPC 2.0, and a response holds a result or an error",
    source: "2025-11-25, basic/index, Messages; the same in all revisions",
    requirement: &["LC-MSG-01", "LC-MSG-06"],
    applies: AppliesTo::ALL,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::WireReceived],
    vacuous: "no client sent a message",
    explain: "The client sent a message without `jsonrpc: \"2.0\"`, or a response with both a result and an error, \
        or with neither. Strict servers then close the session; lenient ones answer, and the program works until it \
        meets a strict one.\n\n\
        Look at the message in the witness. To fix it, let the library write the message where the client writes it \
        by hand.",
    start: |_: &Header| -> Box<dyn Monitor> { each(judge_form) },
};

fn judge_form(event: &Event, _view: &View) -> Judged {
    let EventKind::WireReceived { connection, message } = &event.kind else { return Judged::Unrelated };
    for part in parts(message).iter().filter(|part| !part.is_cut()) {
        let has = |name: &str| part.at(&[name]).is_some();
        let variant = if part.at(&["jsonrpc"]).and_then(Value::as_str) != Some("2.0") {
            "no-version"
        } else if part.is_response() && has("result") == has("error") {
            "no-single-outcome"
        } else {
            continue;
        };
        let because = format!("a message with {variant} was sent on connection {connection} at {}", event.seq);
        return Judged::Broken(Violation::new(variant, because, &[event.seq]));
    }
    Judged::Held
}

/// Counter-example: the journal records a batch as received, whether or not the server accepts it;
/// `one-message-at-a-time` judges it.
pub(super) const POSTS_ARE_MESSAGES: Invariant = Invariant {
    id: "posts-are-messages",
    property: Property::Safety,
    level: Level::Must,
    claim: "every POST is one JSON-RPC message",
    source: "2025-11-25, basic/transports, Sending Messages to the Server; the same from 2025-06-18",
    requirement: &["LC-MSG-01"],
    applies: AppliesTo::HTTP,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::WireReceived, Kind::WireNoise],
    vacuous: "nothing was posted",
    explain: "The body of a POST was no message: not JSON, or JSON that is no object. A server answers with an error \
        without an id, so the caller waits until its timeout.\n\n\
        Look at the first bytes in the witness. To fix it, send each message by itself.",
    start: |_: &Header| -> Box<dyn Monitor> { each(judge_post) },
};

fn judge_post(event: &Event, _view: &View) -> Judged {
    match &event.kind {
        EventKind::WireReceived { .. } => Judged::Held,
        EventKind::WireNoise { connection, bytes, .. } => {
            let because = format!("{bytes} bytes that are no message were posted on {connection} at {}", event.seq);
            Judged::Broken(Violation::new("no-message", because, &[event.seq]))
        }
        _ => Judged::Unrelated,
    }
}
