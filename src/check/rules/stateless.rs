//! The stateless generation: what each request carries, and what clients of such servers no longer send.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::check::metadata::{CAPABILITIES, STATELESS_ERRORS, UNKNOWN_METHOD, VERSION};
use crate::check::parts::parts;
use crate::check::senders::Sender;
use crate::check::{AppliesTo, Hears, Invariant, Level, Monitor, Property, Tally, View, Violation, Witness};
use crate::history::{
    ConnectionId, Event, EventKind, ExchangeId, Header, KeySet, Kind, Message, Name, Seq, SessionId, Source, Table,
    header_text, is_header_text,
};
use crate::plan::{Promise, Revision};

/// Counter-examples: A client of both generations that fell back to `initialize` speaks the handshake generation on
/// that connection from there on. The recorder keeps a message above the size limit without its parameters. A header
/// field is compared with the body only if the body has the value. A name that is not plain ASCII is in base64.
pub(super) const METADATA_SENT: Invariant = Invariant {
    id: "modern-metadata-sent",
    property: Property::Safety,
    level: Level::Must,
    claim: "every request carries its revision and its client's capabilities, and over HTTP its headers match its body",
    source: "2026-07-28, basic/index, _meta; basic/transports/streamable-http, Protocol Version Header and Standard Request Headers",
    requirement: &["LC-META-01", "LC-META-03", "LC-META-04", "LC-TASK-13"],
    applies: AppliesTo::STATELESS,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::HttpReceived, Kind::WireReceived],
    hears: Hears::ALL,
    vacuous: "no request was made without a handshake",
    explain: "Without sessions, each request must carry its revision and the capabilities of its client, and over \
        HTTP its headers must repeat the values that gateways read. A server must refuse a request without them. \
        The client works only with servers that do not check.\n\n\
        Look at the request in the witness. Often it is one that is not sent on the usual path: the first request, a \
        retry, or a request repeated after a restart. To fix it, add the metadata where requests are written, not \
        where they are created.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(RequestMetadata::default()) },
};

#[derive(Default)]
struct RequestMetadata {
    /// The headers of the newest exchange of each mock, until its message arrives.
    headers: Table<Name, BTreeMap<String, String>>,
    /// Connections with a handshake.
    initialized: KeySet<ConnectionId>,
}

impl Monitor for RequestMetadata {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        match &event.kind {
            EventKind::HttpReceived { headers, .. } => {
                self.headers.insert(event.source.to_name(), headers.clone());
            }
            EventKind::WireReceived { connection, message } => {
                let header = self.header_of(&event.source, view);
                for part in parts(message).iter().filter(|part| part.method().is_some() && !part.is_cut()) {
                    if part.is_request("initialize") {
                        self.initialized.insert(connection.clone());
                    }
                    if self.initialized.contains(connection) {
                        continue;
                    }
                    if part.is_any_request() {
                        judge(event.seq, connection, part, header.as_ref(), tally);
                    } else if header.as_ref().is_some_and(|header| !header.contains_key("mcp-protocol-version")) {
                        let method = part.method().unwrap_or_default();
                        let because = format!("{method} at {} has no MCP-Protocol-Version", event.seq);
                        tally.broken(Violation::new("header-version", because, &[event.seq]));
                    }
                }
            }
            _ => {}
        }
    }
}

impl RequestMetadata {
    fn header_of(&mut self, source: &Source, view: &View) -> Option<BTreeMap<String, String>> {
        let found = self.headers.swap_remove(&source.to_name());
        if view.is_line() { None } else { found }
    }
}

fn judge(
    seq: Seq,
    connection: &ConnectionId,
    request: &Message,
    header: Option<&BTreeMap<String, String>>,
    tally: &mut Tally,
) {
    match lacking(request, header) {
        None => tally.held(),
        Some((variant, what)) => {
            let method = request.method().unwrap_or_default();
            let because = format!("{method} on connection {connection} at {seq} {what}");
            tally.broken(Violation::new(variant, because, &[seq]));
        }
    }
}

/// The first missing or wrong value of a request: variant and text.
fn lacking(request: &Message, header: Option<&BTreeMap<String, String>>) -> Option<(&'static str, &'static str)> {
    let meta = |name: &str| request.at(&["params", "_meta", name]);
    let version = meta(VERSION).and_then(Value::as_str);
    if version.is_none() {
        return Some(("no-version", "does not carry its revision"));
    }
    if !meta(CAPABILITIES).is_some_and(Value::is_object) {
        return Some(("no-capabilities", "does not carry the capabilities of its client"));
    }
    let header = header?;
    let shows = |field: &str, said: Option<&str>| said.is_none() || header.get(field).map(String::as_str) == said;
    let name = request.method().and_then(named_by).and_then(|member| request.at(&["params", member]));
    if !shows("mcp-protocol-version", version) {
        Some(("header-version", "does not repeat its revision in the header"))
    } else if !shows("mcp-method", request.method()) {
        Some(("header-method", "does not repeat its method in the header"))
    } else {
        name.and_then(Value::as_str).and_then(|name| misnamed(header.get("mcp-name").map(String::as_str), name))
    }
}

/// The member of the parameters that `Mcp-Name` repeats, for the methods that have one.
fn named_by(method: &str) -> Option<&'static str> {
    match method {
        "tools/call" | "prompts/get" => Some("name"),
        "resources/read" => Some("uri"),
        // An extension has them.
        "tasks/get" | "tasks/update" | "tasks/cancel" => Some("taskId"),
        _ => None,
    }
}

/// The recorder keeps no more characters of a header field.
const FIELD_MAX: usize = 256;

/// What is wrong with the field that repeats a name.
fn misnamed(field: Option<&str>, name: &str) -> Option<(&'static str, &'static str)> {
    let Some(field) = field else {
        return Some(("header-name", "does not repeat its name in the header, which has no Mcp-Name"));
    };
    if field.chars().count() >= FIELD_MAX {
        return None;
    }
    match header_text(field) {
        None => Some(("header-name", "has an Mcp-Name that cannot be decoded")),
        Some(shown) if shown != name => Some(("header-name", "has an Mcp-Name that shows another name")),
        Some(_) if field == name && !is_header_text(name) => {
            Some(("header-not-encoded", "has an Mcp-Name that is neither ASCII nor encoded"))
        }
        Some(_) => None,
    }
}

/// After this time a client may have stopped waiting for an answer.
const PATIENCE_US: u64 = 1_000_000;

/// Counter-examples: A server that was opened with `initialize` may be initialized again. A server that restarts may be
/// of another generation and counts as another server. A client that takes silence for the handshake generation may
/// send `initialize` while the answer is on its way. Two clients on two sockets know different things, also two of one
/// program, whose name is one. Only if every id under that name continues one counter, one client sent all.
pub(super) const GENERATION_KEPT: Invariant = Invariant {
    id: "modern-era-kept",
    property: Property::Safety,
    level: Level::Should,
    claim: "a client sends no initialize to a server that has shown that it is stateless",
    source: "2026-07-28, basic/transports/stdio, Backward Compatibility; basic/transports/streamable-http, Backward Compatibility",
    requirement: &["LC-ERA-04", "LC-ERA-05", "LC-META-14"],
    applies: AppliesTo::ALL,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::HttpReceived, Kind::HttpAnswered, Kind::WireReceived, Kind::WireSent],
    hears: Hears::only(&[(Kind::HttpReceived, &[])]),
    vacuous: "no server that had shown that it is stateless got a later request",
    explain: "The server answered `server/discover`, or refused a request with an error that only the stateless \
        generation has, and the client still sent `initialize`. A stateless server refuses it, and the load fails. A \
        server of both generations then speaks the older one, although neither side wanted that.\n\n\
        Look at the answer in the witness, and at its code if it is an error. To fix it, continue with a revision \
        that the server names, and fall back only after an error that is not specific to a generation.",
    start: |_: &Header| -> Box<dyn Monitor> {
        let (shown, asked, unknown) = (Table::default(), Table::default(), Table::default());
        let (counters, doubted) = (Table::default(), Table::default());
        Box::new(KnownGenerations { shown, asked, unknown, counters, doubted })
    },
};

struct KnownGenerations {
    /// The generation that each server has shown first, and the client that saw it.
    shown: Table<Name, (ShownGeneration, Option<Sender>)>,
    /// The unanswered requests by server and id.
    asked: Table<(Name, Name), AskedServer>,
    /// Exchanges whose error says that the method is unknown: with status 404 the server is stateless.
    unknown: Table<(Name, ExchangeId), (Seq, Sender)>,
    /// The ids of requests, by server and the name of the client.
    counters: Table<(Name, Name), Counter>,
    /// What clients did that share no more than their name with the one that had the answer, by server and that name.
    doubted: Table<(Name, Name), Vec<Violation>>,
}

/// The newest id of the clients of one name; none if their ids do not continue one counter.
struct Counter(Option<i64>);

impl Counter {
    fn count(&mut self, id: Option<i64>) {
        self.0 = self.0.zip(id).filter(|(newest, id)| newest.checked_add(1) == Some(*id)).map(|(_, id)| id);
    }
}

struct AskedServer {
    client: Sender,
    is_discover: bool,
    /// Whether it carries a revision, as in the stateless generation.
    is_stateless: bool,
    at_us: u64,
}

/// Whether two requests came from one client: they say the same name, or came from the same place.
fn is_one(one: &Sender, other: &Sender) -> bool {
    one.shares_name(other) || one.shares_place(other)
}

#[derive(Clone, Copy)]
enum ShownGeneration {
    /// The stateless generation, with this answer.
    Stateless(Seq),
    /// No generation that binds the client: the server was initialized, or answered late.
    Nothing,
}

impl Monitor for KnownGenerations {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        if matches!(self.shown.get(&event.source.to_name()), Some((ShownGeneration::Nothing, _))) {
            return;
        }
        match &event.kind {
            EventKind::WireReceived { message, .. } => {
                let sender = view.senders().connection(event);
                for part in parts(message).iter().filter(|part| part.is_any_request()) {
                    self.receive(event, part, sender.clone().named_in(part), tally);
                }
            }
            EventKind::WireSent { message, .. } => self.send(event, message, view),
            EventKind::HttpAnswered { exchange, status, .. } => {
                let unknown = self.unknown.swap_remove(&(event.source.to_name(), exchange.clone()));
                if let Some((sent, client)) = unknown.filter(|_| *status == 404) {
                    let shown = (ShownGeneration::Stateless(sent), Some(client));
                    self.shown.entry(event.source.to_name()).or_insert(shown);
                }
            }
            _ => {}
        }
    }

    fn end(&self, view: &View, tally: &mut Tally) {
        let is_one = |key: &(Name, Name)| self.counters.get(key).is_some_and(|counter| counter.0.is_some());
        for violation in self.doubted.iter().filter(|(key, _)| is_one(key)).flat_map(|(_, violations)| violations) {
            if view.is_cut_off() {
                tally.open("a later request may show that there are two clients".to_owned(), &[]);
            } else {
                tally.broken(violation.clone());
            }
        }
    }
}

impl KnownGenerations {
    fn receive(&mut self, event: &Event, request: &Message, client: Sender, tally: &mut Tally) {
        let server = event.source.to_name();
        let name = client.name().map(|name| (server.clone(), name.clone()));
        if let Some(name) = &name {
            let id = request.id().and_then(Value::as_i64);
            match self.counters.get_mut(name) {
                Some(counter) => counter.count(id),
                None => drop(self.counters.insert(name.clone(), Counter(id))),
            }
        }
        if let Some(id) = request.id() {
            let asked = AskedServer {
                client: client.clone(),
                is_discover: request.is_request("server/discover"),
                is_stateless: request.at(&["params", "_meta", VERSION]).is_some(),
                at_us: event.at_us,
            };
            self.asked.insert((server.clone(), Name::from(id)), asked);
        }
        match self.shown.get(&server) {
            Some((ShownGeneration::Stateless(_), Some(shown))) if !is_one(shown, &client) => {}
            Some((ShownGeneration::Stateless(shown), first)) if request.is_request("initialize") => {
                let because = format!(
                    "initialize was sent at {}, to a server that had shown its generation at {shown}",
                    event.seq
                );
                let violation = Violation::new("initialized", because, &[*shown, event.seq]);
                if first.as_ref().is_none_or(|first| first.shares_place(&client)) {
                    tally.broken(violation);
                } else if let Some(name) = name {
                    self.doubted.entry(name).or_default().push(violation);
                }
            }
            Some((ShownGeneration::Stateless(_), _)) => {
                if let Some(name) = name.filter(|_| request.at(&["params", "_meta", VERSION]).is_some()) {
                    self.doubted.swap_remove(&name);
                }
                tally.held();
            }
            Some((ShownGeneration::Nothing, _)) => {}
            None if request.is_request("initialize") => {
                self.asked.retain(|(of, _), _| *of != server);
                self.shown.insert(server, (ShownGeneration::Nothing, None));
            }
            None => {}
        }
    }

    fn send(&mut self, event: &Event, message: &Message, view: &View) {
        let server = event.source.to_name();
        let id = message.id_text();
        let asked = self.asked.swap_remove(&(server.clone(), id));
        let is_discover = asked.as_ref().is_some_and(|asked| asked.is_discover);
        let is_discovered = is_discover && message.at(&["result"]).is_some();
        let code = message.at(&["error", "code"]).and_then(Value::as_i64);
        if !is_discovered && !code.is_some_and(|code| STATELESS_ERRORS.contains(&code)) {
            // A server of the handshake generation may not know `server/discover` either.
            let is_telling = |asked: &AskedServer| asked.is_stateless && !is_discover && code == Some(UNKNOWN_METHOD);
            if let (Some(asked), Some(carrier)) = (asked.filter(is_telling), view.answered(event)) {
                self.unknown.insert((server, carrier.exchange.clone()), (event.seq, asked.client));
            }
            return;
        }
        let asked_at_us = asked.as_ref().filter(|_| is_discover).map(|asked| asked.at_us);
        let is_late = asked_at_us.is_some_and(|asked_at_us| event.at_us > asked_at_us + PATIENCE_US);
        let generation = if is_late { ShownGeneration::Nothing } else { ShownGeneration::Stateless(event.seq) };
        self.shown.entry(server).or_insert((generation, asked.map(|asked| asked.client)));
    }
}

/// Counter-examples: A server is stateless once it has answered without a handshake. Before that a client may still try
/// features of older revisions, but not a session that it was never given. A server of both generations has sessions
/// with a client that initializes. An older client on another socket may try a GET. A request that names a revision
/// without sessions and an event id needs no answer before it: its client knows that nothing can be resumed.
pub(super) const SESSIONS_OVER: Invariant = Invariant {
    id: "modern-without-session",
    property: Property::Safety,
    level: Level::Should,
    claim: "a client names no session, resumes no stream and sends neither GET nor DELETE to a server that has answered without a handshake",
    source: "2026-07-28, basic/transports/streamable-http, Earlier Streamable HTTP Revisions",
    requirement: &["LC-HTTP-19", "LC-SESS-03", "LC-HTTP-18"],
    applies: AppliesTo::STATELESS_HTTP,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::HttpReceived, Kind::SessionOpened, Kind::WireReceived, Kind::WireSent],
    hears: Hears::ALL,
    vacuous: "no server that had answered without a handshake got a later request",
    explain: "The client used a feature that only revisions with sessions have: it named a session, opened or \
        deleted one, or resumed a stream. A stateless server does not support any of these and may refuse the \
        request. If a gateway in front of it assigns a session id, the client is bound to a session that the server \
        does not have.\n\n\
        Look at the HTTP request in the witness. To fix it, choose headers and streams by the generation of the \
        server, not by the headers of its responses.",
    start: |_: &Header| -> Box<dyn Monitor> {
        let (is_stateless, places, given) = (Table::default(), KeySet::default(), KeySet::default());
        Box::new(StatelessServers { is_stateless, places, given })
    },
};

struct StatelessServers {
    /// Whether each server has answered without a handshake.
    is_stateless: Table<Name, bool>,
    /// Where messages came from.
    places: KeySet<Sender>,
    given: KeySet<SessionId>,
}

impl StatelessServers {
    /// Whether a request comes from a client of the stateless generation: it says so, or came from a place that carried
    /// such messages, or there is one client. An older client may try a GET at any server.
    fn is_of_generation(&self, event: &Event, view: &View, headers: &BTreeMap<String, String>) -> bool {
        let place = view.senders().program(event, view.is_ready());
        says_so(headers) || place.is_whole_server() || self.places.contains(&place)
    }

    /// Whether a request must keep to the generation of its server: this has answered without a handshake, or the client says
    /// itself that it speaks the stateless generation where it resumes a stream.
    fn is_over(&self, server: &Name, headers: &BTreeMap<String, String>) -> bool {
        let resumes = || headers.contains_key("last-event-id") && says_so(headers);
        self.is_stateless.get(server).copied().unwrap_or_else(resumes)
    }
}

/// Whether the header of a request names a revision without sessions.
fn says_so(headers: &BTreeMap<String, String>) -> bool {
    let revision = headers.get("mcp-protocol-version").and_then(|revision| revision.parse::<Revision>().ok());
    revision.is_some_and(|revision| revision > Revision::NEWEST_HANDSHAKE)
}

impl Monitor for StatelessServers {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        let server = || event.source.to_name();
        match &event.kind {
            EventKind::WireReceived { message, .. } if message.is_request("initialize") => {
                self.is_stateless.insert(server(), false);
            }
            EventKind::WireReceived { .. } => {
                self.places.insert(view.senders().program(event, view.is_ready()));
            }
            EventKind::WireSent { message, .. } if message.at(&["result"]).is_some() => {
                self.is_stateless.entry(server()).or_insert(true);
            }
            EventKind::SessionOpened { session, .. } => {
                self.given.insert(session.clone());
            }
            EventKind::HttpReceived { verb, session: Some(session), .. }
                if !self.is_stateless.contains_key(&server()) && !self.given.contains(session) =>
            {
                let because = format!("{verb} at {} names session {session}, which no server gave", event.seq);
                tally.broken(Violation::new("never-given", because, &[event.seq]));
            }
            EventKind::HttpReceived { verb, session, headers, .. }
                if self.is_over(&server(), headers)
                    && (session.is_some() || self.is_of_generation(event, view, headers)) =>
            {
                let (variant, what) = match verb.as_str() {
                    "GET" if headers.contains_key("last-event-id") => ("get", "resumes a stream"),
                    "GET" => ("get", "requests a stream"),
                    "DELETE" => ("delete", "deletes a session"),
                    _ if session.is_some() => ("session", "names a session"),
                    _ if headers.contains_key("last-event-id") => ("event-id", "resumes a stream"),
                    _ => return tally.held(),
                };
                let because = format!("{verb} at {} {what}, and {} has none", event.seq, event.source);
                tally.broken(Violation::new(variant, because, &[event.seq]));
            }
            _ => {}
        }
    }
}
