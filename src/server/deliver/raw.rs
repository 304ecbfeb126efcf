//! Responses that no HTTP server writes: the script's own bytes.

use crate::history::{EventKind, WireEnd};
use crate::script::family::Raw;
use crate::server::cause::Place;
use crate::server::clients::Clients;
use crate::server::effect::{After, Effect};
use crate::server::http::{Http, JSON, SESSION};
use crate::server::http_io::ExchangeNo;
use crate::server::state::ServerState;
use crate::server::task::Task;

/// Bytes that a head promises and the body lacks.
const MISSING: usize = 64;
/// The beginning of a head without its end.
const HALF_A_HEAD: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: applica";

/// The parts of a response after its first header field, and the end of its socket.
struct RawAnswer {
    framing: String,
    body: Vec<u8>,
    after: After,
    /// Whether a client can read the whole answer.
    is_readable: bool,
}

/// Answers the HTTP request of a task with bytes of our own.
pub(super) fn deliver(raw: Raw<'_>, task: &Task, clients: &mut Clients) {
    let Some(no) = task.place.exchange else { return };
    let make: fn(&[u8]) -> RawAnswer = match raw {
        Raw::StalledHead => return write_alone(no, HALF_A_HEAD.to_vec(), After::Stall, clients),
        Raw::RawBytes(bytes) => return write_alone(no, bytes.0.clone(), After::Close, clients),
        Raw::TruncateChunk => truncated_chunk,
        Raw::LongLength => |line| with_length(line.len() + MISSING, line, After::Close),
        Raw::ShortLength => |line| with_length(line.len() / 2, line, After::Close),
        Raw::StalledBody => |line| with_length(line.len(), half(line), After::Stall),
        Raw::HalfClose => |line| with_length(line.len(), half(line), After::HalfClose),
        Raw::CloseAfter => |line| RawAnswer { is_readable: true, ..with_length(line.len(), line, After::Close) },
    };
    let Some(line) = clients.conforming_answer(&task.cause, task.place) else { return };
    if let Some((http, state)) = clients.http() {
        write_answer(no, task.place, &line, make(&line), http, state);
    }
}

fn half(line: &[u8]) -> &[u8] {
    &line[..line.len() / 2]
}

fn with_length(n_bytes: usize, body: &[u8], after: After) -> RawAnswer {
    RawAnswer { framing: format!("content-length: {n_bytes}"), body: body.to_vec(), after, is_readable: false }
}

fn truncated_chunk(line: &[u8]) -> RawAnswer {
    RawAnswer {
        framing: "transfer-encoding: chunked".to_owned(),
        body: [format!("{:x}\r\n", line.len()).as_bytes(), half(line)].concat(),
        after: After::Close,
        is_readable: false,
    }
}

fn write_answer(
    no: ExchangeNo,
    place: Place,
    line: &[u8],
    answer: RawAnswer,
    http: &mut Http,
    state: &mut ServerState,
) {
    state.wakeups.note_answer(place);
    let session = http.session_of_answer(no, place, state).map(|session| format!("{SESSION}: {session}\r\n"));
    let RawAnswer { framing, body, after, is_readable } = answer;
    let (name, kind) = JSON;
    let head = format!("HTTP/1.1 200 OK\r\n{name}: {kind}\r\n{}{framing}\r\n\r\n", session.unwrap_or_default());
    state.outbox.journal(EventKind::HttpAnswered { exchange: no.id(), status: 200, streams: false });
    if is_readable {
        let connection = http.connection_of(place, state);
        state.outbox.sent(connection, line);
    }
    write(no, [head.as_bytes(), &body].concat(), after, http, state);
}

fn write_alone(no: ExchangeNo, bytes: Vec<u8>, after: After, clients: &mut Clients) {
    if let Some((http, state)) = clients.http() {
        write(no, bytes, after, http, state);
    }
}

fn write(no: ExchangeNo, bytes: Vec<u8>, after: After, http: &mut Http, state: &mut ServerState) {
    let effect = Effect::Raw { exchange: no, bytes, after };
    match after {
        After::Close => http.end_socket(no, WireEnd::ByServer, effect, state),
        After::HalfClose | After::Stall => http.abandon(no, effect, state),
    }
}
