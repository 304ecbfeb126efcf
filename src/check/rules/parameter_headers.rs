//! Header fields that repeat arguments of a call: `Mcp-Param-NAME`, and what follows when they do not match.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::check::lessons::{Lesson, Sockets, socket_of};
use crate::check::parts::parts;
use crate::check::topics::FIRST_MESSAGE;
use crate::check::{AppliesTo, Hears, Invariant, Level, Monitor, Property, Tally, View, Violation, Witness};
use crate::history::{
    Event, EventKind, ExchangeId, Header, Kind, Message, Name, Outcome, Seq, SocketId, Table, header_text,
    is_header_text,
};
use crate::plan::Promise;

/// The recorder keeps no more characters of a header field.
const FIELD_MAX: usize = 256;

/// Counter-examples: A client that has not read the list of tools does not know of the header. An argument that is not
/// there, or null, has no header. A number may be written in several ways. A value that is not plain ASCII is in base64.
/// A tool whose marks are malformed must not be called at all, so its headers are not judged. The type `number` may not be
/// marked, and some servers do so: a client may leave that header out. A list may have several pages.
pub(super) const PARAMETERS_MIRRORED: Invariant = Invariant {
    id: "modern-parameters-mirrored",
    property: Property::Safety,
    level: Level::Must,
    claim: "over HTTP a call has a header for each argument that its tool marks with x-mcp-header",
    source: "2026-07-28, basic/transports/streamable-http, Custom Headers from Tool Parameters",
    requirement: &["LC-META-04", "LC-META-05"],
    applies: AppliesTo::STATELESS_HTTP,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[
        Kind::HttpReceived,
        Kind::HttpStray,
        Kind::HttpAnswered,
        Kind::HttpEnded,
        Kind::SocketClosed,
        Kind::WireReceived,
        Kind::WireSent,
        Kind::OperationCompleted,
    ],
    hears: Hears::ALL.from(FIRST_MESSAGE),
    vacuous: "no tool was called that marks an argument with x-mcp-header, by a client that knew it",
    explain: "The server listed a tool that marks an argument with `x-mcp-header`, so that a gateway can route the call \
        by it. The call came without that header, or with another value than in its body. A server must refuse such a \
        call with -32020, and a gateway routes it to the wrong server.\n\n\
        Look at the schema of the tool in the list, and at the headers of the call. To fix it, write the headers where \
        the body is written, from the same arguments.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(MarkedArguments::default()) },
};

#[derive(Default)]
struct MarkedArguments {
    sockets: Sockets,
    /// The headers and the socket of the request whose message comes next, by mock.
    newest: Table<Name, (BTreeMap<String, String>, SocketId)>,
    /// By server and tool: what the newest list with that tool marks. Another page leaves it alone.
    tools: Table<(Name, String), MarkedTool>,
}

struct MarkedTool {
    sent: Seq,
    lesson: Lesson,
    /// Whether a load handed the tool out.
    is_loaded: bool,
    marks: Vec<Mark>,
}

struct Mark {
    /// Where the argument is: the names of objects in objects.
    path: Vec<String>,
    /// The name of its header in small letters.
    header: String,
    /// Whether a client may leave the header out.
    is_optional: bool,
}

impl Monitor for MarkedArguments {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        match &event.kind {
            EventKind::HttpReceived { socket, headers, .. } => {
                self.newest.insert(event.source.to_name(), (headers.clone(), socket.clone()));
            }
            EventKind::WireReceived { message, .. } => self.receive(event, message, tally),
            EventKind::WireSent { message, .. } => {
                let Some(carrier) = view.answered(event) else { return };
                for part in parts(message).iter() {
                    if let Some(Value::Array(tools)) = part.at(&["result", "tools"]) {
                        let lesson = self.sockets.lesson(event, &carrier.exchange);
                        self.list(event, tools, &lesson);
                    }
                }
            }
            EventKind::OperationCompleted { outcome: Outcome::Ok { .. }, .. } => {
                self.tools.values_mut().for_each(|tool| tool.is_loaded = true);
            }
            _ => {}
        }
        self.sockets.see(event);
    }
}

impl MarkedArguments {
    fn list(&mut self, event: &Event, tools: &[Value], lesson: &Lesson) {
        for tool in tools {
            let Some(name) = tool.get("name").and_then(Value::as_str) else { continue };
            let key = (event.source.to_name(), name.to_owned());
            self.tools.swap_remove(&key);
            if let Some(marks) = marks_of(tool).filter(|marks| !marks.is_empty()) {
                let lesson = lesson.clone();
                self.tools.insert(key, MarkedTool { sent: event.seq, lesson, is_loaded: false, marks });
            }
        }
    }

    fn receive(&mut self, event: &Event, call: &Message, tally: &mut Tally) {
        let server = event.source.to_name();
        let Some((headers, socket)) = self.newest.swap_remove(&server).filter(|_| call.is_request("tools/call")) else {
            return;
        };
        let name = call.at(&["params", "name"]).and_then(Value::as_str).unwrap_or_default();
        let Some(tool) = self.tools.get_mut(&(server, name.to_owned())) else { return };
        if !tool.lesson.was_read(event, &socket_of(event, &socket), &self.sockets) && !tool.is_loaded {
            return;
        }
        for Mark { path, header, is_optional } in &tool.marks {
            let path: Vec<&str> = path.iter().map(String::as_str).collect();
            let value = call.at(&[&["params", "arguments"], &path[..]].concat()).filter(|value| !value.is_null());
            let field = headers.get(header).map(String::as_str);
            let (variant, how) = match (value, field) {
                (None, None) => continue,
                (Some(_), None) if *is_optional => continue,
                (Some(_), None) => ("missing", format!("does not repeat it in {header}")),
                (None, Some(field)) => ("other-value", format!("has {header}: {field}, and no such argument")),
                (Some(Value::String(value)), Some(field)) if field == value && !is_header_text(value) => {
                    ("not-encoded", format!("has {header} with a value that is neither ASCII nor encoded"))
                }
                (Some(value), Some(field)) if shows(field, value) => {
                    tally.held();
                    continue;
                }
                (Some(Value::Bool(value)), Some(field)) if field.trim().eq_ignore_ascii_case(&value.to_string()) => {
                    ("other-case", format!("has {header}: {field}, which is not in small letters"))
                }
                (Some(value), Some(field)) => {
                    ("other-value", format!("has {header}: {field}, where the body has {value}"))
                }
            };
            let because = format!(
                "the list sent at {} marks the argument {} of {name}, and the call at {} {how}",
                tool.sent,
                path.join("."),
                event.seq
            );
            let violation = Violation::new(variant, because, &[tool.sent, event.seq]);
            tally.broken(if variant == "other-case" { violation.as_warning() } else { violation });
        }
    }
}

/// The arguments that a tool marks. None if a mark is malformed, or is where a client cannot reach its argument.
fn marks_of(tool: &Value) -> Option<Vec<Mark>> {
    let mut marks = Vec::new();
    let schema = tool.get("inputSchema")?;
    add_marks(schema, &[], &mut marks)?;
    (marks.len() == n_marks(schema)).then_some(marks)
}

fn add_marks(schema: &Value, path: &[String], marks: &mut Vec<Mark>) -> Option<()> {
    for (argument, schema) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let path = [path, std::slice::from_ref(argument)].concat();
        add_marks(schema, &path, marks)?;
        let Some(mark) = schema.get("x-mcp-header") else { continue };
        let kind = schema.get("type").and_then(Value::as_str);
        let is_plain = matches!(kind, Some("string" | "integer" | "number" | "boolean"));
        let mark = mark.as_str().filter(|mark| is_plain && is_token(mark))?.to_ascii_lowercase();
        marks.push(Mark { path, header: format!("mcp-param-{mark}"), is_optional: kind == Some("number") });
    }
    Some(())
}

/// How often a schema has a mark anywhere.
fn n_marks(schema: &Value) -> usize {
    match schema {
        Value::Object(members) => {
            members.iter().map(|(name, member)| usize::from(name == "x-mcp-header") + n_marks(member)).sum()
        }
        Value::Array(members) => members.iter().map(n_marks).sum(),
        _ => 0,
    }
}

fn is_token(text: &str) -> bool {
    let is_of_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    !text.is_empty() && text.chars().all(is_of_token)
}

/// Whether a header field shows a value.
fn shows(field: &str, value: &Value) -> bool {
    if field.chars().count() >= FIELD_MAX {
        return true;
    }
    let Some(text) = header_text(field) else { return false };
    match value {
        Value::String(value) => text == *value,
        Value::Number(value) => text.trim().parse::<f64>().ok() == value.as_f64(),
        Value::Bool(value) => text.trim() == value.to_string(),
        // Only plain values can be marked.
        Value::Null | Value::Array(_) | Value::Object(_) => true,
    }
}

/// Times that a client may repeat a call after its headers were refused, before it has listed the tools again.
const BLIND_REPEATS_MAX: usize = 3;

/// Counter-examples: A client may tell its caller at once, and the caller may call again. A call with other headers or
/// other arguments is another attempt. Calls that were sent together are all refused: only those behind the refusal on
/// its socket count. After a new list of tools, counting begins again.
pub(super) const MISMATCH_LISTED_AGAIN: Invariant = Invariant {
    id: "mismatched-call-listed-again",
    property: Property::Safety,
    level: Level::Should,
    claim: "a client whose call was refused for its headers lists the tools before it repeats the call again",
    source: "2026-07-28, basic/transports/streamable-http, Client Behavior",
    requirement: &["LC-META-05"],
    applies: AppliesTo::STATELESS_HTTP,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[
        Kind::HttpReceived,
        Kind::HttpStray,
        Kind::HttpAnswered,
        Kind::HttpEnded,
        Kind::SocketClosed,
        Kind::WireReceived,
        Kind::WireSent,
    ],
    hears: Hears::ALL.from(FIRST_MESSAGE),
    vacuous: "no call was refused for its headers",
    explain: "The server refused a call with -32020: its headers do not match its body, or the schema that the client \
        knows is old. The client sent the same call again and again, with the same headers. Each is refused for the \
        same reason.\n\n\
        Look at the refusal, and check whether a `tools/list` follows it. To fix it, list the tools again, build the \
        headers from the new schema, and repeat the call once.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(MismatchedCalls::default()) },
};

const MISMATCH: i64 = -32_020;

#[derive(Default)]
struct MismatchedCalls {
    sockets: Sockets,
    newest: Table<Name, (String, SocketId)>,
    /// The call and the headers that each open exchange carries.
    asked: Table<(Name, ExchangeId), String>,
    /// Refused calls by mock and content.
    refused: Table<(Name, String), RefusedCall>,
}

struct RefusedCall {
    first: Seq,
    lesson: Lesson,
    n_again: usize,
}

impl Monitor for MismatchedCalls {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        let mock = event.source.to_name();
        match &event.kind {
            EventKind::HttpReceived { socket, headers, .. } => {
                let mirrored: Vec<String> = headers
                    .iter()
                    .filter(|(name, _)| name.starts_with("mcp-"))
                    .map(|(name, value)| format!("{name}: {value}"))
                    .collect();
                self.newest.insert(mock, (mirrored.join("\n"), socket.clone()));
            }
            EventKind::WireReceived { message, .. } if message.is_request("tools/list") => {
                self.refused.retain(|(of, _), _| *of != mock);
            }
            EventKind::WireReceived { message, .. } if message.is_request("tools/call") => {
                let (Some(carrier), Some((headers, socket))) = (view.carrier(event), self.newest.swap_remove(&mock))
                else {
                    return;
                };
                let call = format!("{} {headers}", message.at(&["params"]).unwrap_or(&Value::Null));
                self.judge(event, (mock.clone(), call.clone()), &socket, tally);
                self.asked.insert((mock, carrier.exchange.clone()), call);
            }
            EventKind::WireSent { message, .. } => {
                let Some(carrier) = view.answered(event) else { return };
                let Some(call) = self.asked.swap_remove(&(mock.clone(), carrier.exchange.clone())) else { return };
                if message.at(&["error", "code"]).and_then(Value::as_i64) == Some(MISMATCH) {
                    let lesson = self.sockets.lesson(event, &carrier.exchange);
                    let refused = RefusedCall { first: event.seq, lesson: lesson.clone(), n_again: 0 };
                    self.refused.entry((mock, call)).or_insert(refused).lesson = lesson;
                }
            }
            _ => {}
        }
        self.sockets.see(event);
    }
}

impl MismatchedCalls {
    fn judge(&mut self, event: &Event, key: (Name, String), socket: &SocketId, tally: &mut Tally) {
        let Some(refused) = self.refused.get_mut(&key) else { return };
        if !refused.lesson.was_read(event, &socket_of(event, socket), &self.sockets) {
            return;
        }
        refused.n_again += 1;
        if refused.n_again <= BLIND_REPEATS_MAX {
            return tally.held();
        }
        let because = format!(
            "the call at {} repeats one that was refused for its headers at {}, for the {}th time and with the same headers, and the tools were not listed again",
            event.seq, refused.first, refused.n_again
        );
        tally.broken(Violation::new("sent-again", because, &[refused.first, event.seq]));
    }
}
