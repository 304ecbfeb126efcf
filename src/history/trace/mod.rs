//! Traces: JSON-RPC messages that another program recorded, one JSON object a line.
//!
//! Start at [`read_trace`]; `docs/src/traces.md` is the format. A trace becomes a history with the origin
//! [`Origin::Trace`]: each message is a `wire.received` or a `wire.sent` of its server. The reader adds nothing that
//! the trace does not show, except one `connection.opened` before the first message of each connection.

mod connections;
mod line;
mod time;

use std::path::Path;

use serde_json::Value;

use self::connections::Connections;
use self::line::{Direction, TraceLine};
use self::time::{RawTime, Times};
use crate::history::{
    ConnectionId, Event, EventKind, Header, History, Message, Origin, Seq, Source, UNKNOWN_TRANSPORT,
};
use crate::plan::{InputError, Revision, Transport};

/// Whether the first line of a text is a line of a trace.
#[must_use]
pub fn is_trace(text: &str) -> bool {
    let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    matches!(serde_json::from_str(first), Ok(Value::Object(fields)) if line::has_direction(&fields))
}

/// Reads a trace.
///
/// A last line that was cut off is dropped, and the history says that its evidence is truncated.
///
/// # Errors
/// With the line and column, the text found and the text expected. Also if the trace does not tell two connections of
/// one server apart.
pub fn read_trace(file: &str, text: &str) -> Result<History, InputError> {
    let mut trace = Trace::default();
    let mut cut = None;
    let n_lines = text.lines().count();
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let fields = match serde_json::from_str(line) {
            Ok(Value::Object(fields)) => fields,
            Ok(_) => {
                let found = "found a value that is not a line of a trace, expected a JSON object with `direction` and `message`";
                return Err(InputError {
                    file: file.to_owned(),
                    line: index + 1,
                    column: 1,
                    message: found.to_owned(),
                });
            }
            Err(error) if error.is_eof() && index + 1 == n_lines && !text.ends_with('\n') => {
                cut = Some(index + 1);
                break;
            }
            Err(error) => return Err(InputError::json(file, index + 1, &error)),
        };
        let line = TraceLine { number: index + 1, text: line, fields: &fields };
        trace.take(&line).map_err(|error| error.into_input_error(file))?;
    }
    if trace.events.is_empty() {
        return Err(InputError::whole(
            file,
            "found no message, expected one JSON object with `direction` and `message` on each line",
        ));
    }
    trace.end(file, cut)
}

/// The part that has been read so far.
#[derive(Default)]
struct Trace {
    events: Vec<Event>,
    times: Times,
    connections: Connections,
    transport: Option<Transport>,
    agreed: Option<Revision>,
    is_stateless: bool,
}

impl Trace {
    fn take(&mut self, line: &TraceLine<'_>) -> Result<(), line::LineError> {
        let direction = line.direction()?;
        let message = Message::new(line.message()?);
        let time = line.time()?;
        let transport = line.transport()?;
        if let (Some(found), Some(before)) = (transport, self.transport)
            && found != before
        {
            return Err(
                line.error("transport", format!("found transport {found}, expected {before} as on the lines before"))
            );
        }
        self.transport = transport.or(self.transport);
        let server = line.server()?;
        let (connection, is_new) = self.connections.of(line, &server, direction, &message)?;
        self.note_revision(direction, &message);
        if is_new {
            self.push(&server, time, EventKind::ConnectionOpened { connection: connection.clone() });
        }
        let kind = wire_event(direction, connection, message);
        self.push(&server, time, kind);
        Ok(())
    }

    fn push(&mut self, server: &str, time: Option<RawTime>, kind: EventKind) {
        self.times.push(time);
        let source = Source::Mock { server: server.to_owned(), incarnation: 1 };
        self.events.push(Event { seq: Seq(self.events.len() as u64 + 1), at_us: 0, source, kind });
    }

    /// The revision of the history decides which generation's rules apply; each session is judged by what it agreed on.
    fn note_revision(&mut self, direction: Direction, message: &Message) {
        match direction {
            Direction::ToServer => self.is_stateless |= line::says_revision(message),
            Direction::ToClient => {
                let version = message.at(&["result", "protocolVersion"]).and_then(Value::as_str);
                let revision = version.and_then(|version| version.parse().ok());
                self.agreed = self.agreed.or(revision.filter(|revision| *revision <= Revision::NEWEST_HANDSHAKE));
            }
        }
    }

    fn end(self, file: &str, cut: Option<usize>) -> Result<History, InputError> {
        let Self { mut events, times, connections, transport, agreed, is_stateless } = self;
        let (at_us, has_times) = times.end();
        for (event, at_us) in events.iter_mut().zip(&at_us) {
            event.at_us = *at_us;
        }
        let last_us = at_us.last().copied().unwrap_or_default();
        let because = cut.map(|line| format!("line {line}, the last one, has no end"));
        let truncated = because.map(|because| EventKind::EvidenceTruncated { what: "trace".to_owned(), because });
        for kind in truncated.into_iter().chain([EventKind::PlanEnded {}]) {
            let seq = Seq(events.len() as u64 + 1);
            events.push(Event { seq, at_us: last_us, source: Source::Recorder, kind });
        }
        let newest = if is_stateless { Revision::R20260728 } else { Revision::NEWEST_HANDSHAKE };
        let name = Path::new(file).file_stem().map_or(file.into(), |stem| stem.to_string_lossy());
        let header = Header {
            scenario: "trace".to_owned(),
            loader: "unknown".to_owned(),
            revision: agreed.unwrap_or(newest).to_string(),
            transport: transport.map_or(UNKNOWN_TRANSPORT.to_owned(), |transport| transport.to_string()),
            origin: Origin::Trace { has_times, has_beginnings: connections.have_beginnings() },
            ..Header::new(&format!("trace.{name}"))
        };
        History::from_events(header, events).map_err(|error| InputError::whole(file, error.to_string()))
    }
}

fn wire_event(direction: Direction, connection: ConnectionId, message: Message) -> EventKind {
    match direction {
        Direction::ToServer => EventKind::WireReceived { connection, message },
        Direction::ToClient => EventKind::WireSent { connection, message },
    }
}

#[cfg(test)]
mod tests;
