//! The normal form of a history: the part that is equal for every run of the same plan, written for review.
//!
//! Events are grouped into lanes, one per context and per connection. Only the order within a lane depends on the
//! loader, because servers may open in any order at the same time. Lanes are sorted by name, which hides their order of
//! arrival.
//!
//! Requests get the names `r1`, `r2` and so on, in their order within the lane. Operations get `op1`, `op2` and so on,
//! in the driver's order. Pids, times, samples, delays and texts of failures are left out.
//!
//! Over HTTP, each exchange may use a socket of its own. There, each socket, each call and each server's stream is a
//! lane. When a session is lost, chance decides which request first learns of it, and how many do. All sockets that
//! receive this answer therefore form one lane.
//!
//! Between lanes, the normal form states only what is certain. Over pipes, `during op1` marks a request that arrived
//! between an operation's invocation and its completion. `for op3` marks a call whose arguments name its operation.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::history::jsonl::kind_fields;
use crate::history::{Action, ConnectionId, Context, EventKind, History, LinkPeer, Message, OpId, Outcome, Source};

/// The lanes of a history by name, each with its events as text.
///
/// Several scopes or connections with the same name may open at the same time in any order. Their numbers follow from
/// their contents.
#[must_use]
pub fn normal_lanes(history: &History) -> BTreeMap<String, Vec<String>> {
    let shares_mocks = history.header().carried_by() == "http";
    let mut names = Names { shares_mocks, ..Names::default() };
    let mut lanes: BTreeMap<Lane, Vec<String>> = BTreeMap::new();
    for event in history.events() {
        names.learn(&event.source, &event.kind);
        let lane = names.lane(&event.source, &event.kind);
        if let Some(text) = names.text(&lane, &event.kind) {
            lanes.entry(lane).or_default().push(text);
        }
    }
    let mut alike: BTreeMap<String, Vec<Vec<String>>> = BTreeMap::new();
    for ((lane, _), events) in lanes {
        alike.entry(lane).or_default().push(events);
    }
    let mut numbered = BTreeMap::new();
    for (lane, mut all) in alike {
        merge_lost_sessions(&mut all);
        all.sort();
        let is_one = all.len() == 1;
        for (index, events) in all.into_iter().enumerate() {
            let name = if is_one { lane.clone() } else { format!("{lane} {}", index + 1) };
            numbered.insert(name, events);
        }
    }
    numbered
}

/// Replaces all sockets that report an unknown session by one, without their requests.
fn merge_lost_sessions(sockets: &mut Vec<Vec<String>>) {
    let n_sockets = sockets.len();
    sockets.retain(|events| !events.iter().any(|event| event == UNKNOWN_SESSION));
    if sockets.len() < n_sockets {
        sockets.push(vec![format!("{UNKNOWN_SESSION}, once or more")]);
    }
}

/// The normal form as one text, sorted by lane.
#[must_use]
pub fn normal_text(history: &History) -> String {
    let lanes = normal_lanes(history);
    let mut text = String::new();
    for (lane, events) in lanes {
        text.push_str(&format!("[{lane}]\n"));
        for event in events {
            text.push_str(&format!("  {event}\n"));
        }
    }
    text
}

/// An HTTP response that reports an unknown session.
const UNKNOWN_SESSION: &str = "http.answered status=404";

/// Name of a lane, and an id that separates lanes of the same name.
type Lane = (String, String);

/// Names and relations learned from the events so far.
#[derive(Default)]
struct Names {
    /// Whether one mock serves several connections, as over HTTP.
    shares_mocks: bool,
    /// Operations that have not completed, without the driver's probes.
    open: Vec<OpId>,
    /// The driver's own probes. The normal form shows only those that failed.
    canaries: BTreeSet<OpId>,
    /// The ids of requests, in the order of their lane.
    requests: BTreeMap<Lane, Vec<Value>>,
    /// The context of each operation, as the driver named it.
    places: BTreeMap<OpId, String>,
    /// The socket of each exchange, by its mock.
    sockets: BTreeMap<(String, String), String>,
    /// The lane of each call over HTTP, by its connection and its id as JSON text.
    calls: BTreeMap<(String, String), String>,
    /// Name of each scope, and the context that entered it.
    scopes: BTreeMap<String, (String, Context)>,
}

impl Names {
    fn learn(&mut self, source: &Source, kind: &EventKind) {
        match kind {
            EventKind::OperationInvoked { operation, action, place, .. } if *source == Source::Driver => {
                self.places.insert(*operation, place.clone().unwrap_or_default());
                match action {
                    Action::Probe => {
                        self.canaries.insert(*operation);
                    }
                    _ => self.open.push(*operation),
                }
            }
            EventKind::OperationCompleted { operation, .. } => self.open.retain(|open| open != operation),
            EventKind::HttpReceived { exchange, socket, .. } | EventKind::HttpStray { exchange, socket, .. } => {
                self.sockets.insert((source.to_string(), exchange.to_string()), socket.to_string());
            }
            EventKind::WireReceived { connection, message } if self.shares_mocks => {
                let operation = message.at(&["params", "arguments", "n"]);
                if let (Some(operation), Some(id)) = (operation, message.id()) {
                    let lane = format!("call op{operation} of {source}");
                    self.calls.insert((connection.to_string(), id.to_string()), lane);
                }
            }
            EventKind::ScopeEntered { scope, name, context, .. } => {
                self.scopes.insert(scope.to_string(), (name.clone(), *context));
            }
            _ => {}
        }
    }

    fn lane(&self, source: &Source, kind: &EventKind) -> Lane {
        if let EventKind::ScopeEntered { scope, .. } | EventKind::ScopeLeft { scope, .. } = kind {
            let name = self.scopes.get(scope.0.as_str()).map_or("?", |(name, _)| name);
            return (format!("scope {name}"), scope.to_string());
        }
        // Over pipes, a mock is one connection, and its other events belong between its messages.
        if let (true, Source::Mock { .. }) = (self.shares_mocks, source)
            && let Some(lane) = self.http_lane(source, kind)
        {
            return lane;
        }
        (self.plain_lane(source, kind), String::new())
    }

    /// The lane of an event over HTTP, where each exchange may have a socket of its own.
    ///
    /// Order is meaningful only within a lane. Lanes are one socket, a call with its answer, a server's own messages
    /// with their answers, and the other messages of a connection.
    fn http_lane(&self, source: &Source, kind: &EventKind) -> Option<Lane> {
        let socket = |socket: &str| Some((format!("socket of {source}"), socket.to_owned()));
        match kind {
            EventKind::SocketOpened { socket: id } | EventKind::SocketClosed { socket: id, .. } => socket(&id.0),
            EventKind::HttpReceived { exchange, .. }
            | EventKind::HttpStray { exchange, .. }
            | EventKind::HttpAnswered { exchange, .. }
            | EventKind::HttpEnded { exchange, .. } => {
                socket(self.sockets.get(&(source.to_string(), exchange.to_string())).map_or("", String::as_str))
            }
            EventKind::WireReceived { connection, message } | EventKind::WireSent { connection, message } => {
                let is_sent = matches!(kind, EventKind::WireSent { .. });
                let is_of_stream = if is_sent { message.method().is_some() } else { message.is_response() };
                if is_of_stream {
                    return Some((format!("stream of {source}"), connection.to_string()));
                }
                let id = message.cancelled_request().or_else(|| message.id()).map(ToString::to_string);
                let call = id.and_then(|id| self.calls.get(&(connection.to_string(), id)));
                let lane = call.cloned().unwrap_or_else(|| format!("connection of {source}"));
                Some((lane, connection.to_string()))
            }
            _ => connection_of(kind).map(|connection| (format!("connection of {source}"), connection.to_string())),
        }
    }

    fn plain_lane(&self, source: &Source, kind: &EventKind) -> String {
        let place = |operation: &OpId| format!("loader {}", self.places.get(operation).map_or("?", String::as_str));
        match kind {
            EventKind::OperationStarted { operation, .. } | EventKind::OperationCompleted { operation, .. } => {
                place(operation)
            }
            EventKind::LinkOpened { peer } | EventKind::LinkClosed { peer, .. } => match peer {
                LinkPeer::Adapter => "link adapter".to_owned(),
                LinkPeer::Mock { server, incarnation } => format!("link {server}#{incarnation}"),
            },
            EventKind::ProcessStarted { role, .. }
            | EventKind::ProcessExited { role, .. }
            | EventKind::ProcessOrphan { role, .. }
            | EventKind::ProcessLeft { role, .. }
            | EventKind::ProcessZombie { role, .. } => format!("process {role}"),
            _ => source.to_string(),
        }
    }

    /// The event as text, without parts that differ between equal runs; `None` for events that are left out.
    fn text(&mut self, lane: &Lane, kind: &EventKind) -> Option<String> {
        match kind {
            EventKind::SampleTaken { .. } | EventKind::SchedulingDelayed { .. } | EventKind::StacksTaken { .. } => None,
            // The action that sends it has an event of its own.
            EventKind::StreamEvent { .. } => None,
            EventKind::StepBegan { step, about } => Some(format!("step {step}: {about}")),
            EventKind::OperationStarted { operation, .. }
            | EventKind::OperationCompleted { operation, outcome: Outcome::Ok { .. } }
            | EventKind::OperationInvoked { operation, .. }
                if self.canaries.contains(operation) =>
            {
                None
            }
            EventKind::OperationInvoked { .. } => Some(invoked(kind)),
            EventKind::OperationStarted { operation, .. } => Some(format!("op{} begins", operation.0)),
            EventKind::OperationCompleted { operation, outcome } => Some(completed(*operation, outcome)),
            EventKind::WireReceived { message, .. } => Some(self.message(lane, "received", message)),
            EventKind::WireSent { message, .. } => Some(self.message(lane, "sent", message)),
            _ => Some(self.plain_text(kind)),
        }
    }

    fn plain_text(&self, kind: &EventKind) -> String {
        let mut fields = kind_fields(kind);
        let name = fields.remove("kind").and_then(|kind| kind.as_str().map(str::to_owned)).unwrap_or_default();
        // Texts and paths contain addresses and counters. The loader's identity does not affect its lifecycle.
        let volatile = ["pid", "command", "connection", "process", "scope", "parent", "context", "text", "waited_us"];
        for volatile in
            volatile.into_iter().chain(["url", "path", "query", "session", "socket", "exchange", "peer", "adapter"])
        {
            fields.remove(volatile);
        }
        // The lines of a loader's code change with its source. The exit code of a process is a number, and stays.
        if fields.get("code").is_some_and(Value::is_array) {
            fields.remove("code");
        }
        // The key of the digest belongs to one mock.
        if let Some(Value::Object(headers)) = fields.get_mut("headers") {
            headers.entry("authorization").and_modify(|digest| *digest = Value::from("given"));
        }
        if let EventKind::ScopeLeft { scope, context, .. } = kind {
            let entered = self.scopes.get(scope.0.as_str()).map(|(_, entered)| *entered);
            fields.insert("where".to_owned(), Value::from(whereabouts(entered, *context)));
        }
        if let Some(operation) = fields.remove("operation") {
            fields.insert("operation".to_owned(), Value::from(format!("op{operation}")));
        }
        fields.into_iter().fold(name, |text, (name, value)| format!("{text} {name}={}", stable(value)))
    }

    /// A message as text: direction, kind, the name of its request, and its operation.
    fn message(&mut self, lane: &Lane, way: &str, message: &Message) -> String {
        let Value::Object(mut fields) = message.body().clone() else { return format!("{way} {}", message.body()) };
        fields.remove("jsonrpc");
        let id = fields.remove("id").filter(|id| !id.is_null());
        let method = fields.remove("method").and_then(|method| method.as_str().map(str::to_owned));
        let request = id.map(|id| self.request(lane, id));
        let what = match (&method, &request) {
            (Some(method), Some(request)) => format!("request {request} {method}"),
            (Some(method), None) => method.clone(),
            (None, Some(request)) => format!("answer to {request}"),
            (None, None) => "neither request nor answer".to_owned(),
        };
        if let Some(cancelled) = message.cancelled_request() {
            let request = self.request(lane, cancelled.clone());
            let params = fields.get_mut("params").and_then(Value::as_object_mut);
            params.and_then(|params| params.insert("requestId".to_owned(), Value::from(request)));
        }
        let belongs = if message.is_any_request() { self.belongs(message) } else { String::new() };
        let rest =
            fields.into_iter().fold(String::new(), |text, (name, value)| format!("{text} {name}={}", stable(value)));
        format!("{way} {what}{rest}{belongs}")
    }

    /// The operation that caused a request, if that is certain.
    fn belongs(&self, message: &Message) -> String {
        match message.at(&["params", "arguments", "n"]) {
            Some(operation) => format!(" (for op{operation})"),
            // Over HTTP, chance decides whether a call or an idle stream renews a lost session.
            None if self.open.is_empty() || self.shares_mocks => String::new(),
            None => {
                let open: Vec<_> = self.open.iter().map(|operation| format!("op{}", operation.0)).collect();
                format!(" (during {})", open.join(", "))
            }
        }
    }

    /// The name of a request in its lane.
    fn request(&mut self, lane: &Lane, id: Value) -> String {
        let seen = self.requests.entry(lane.clone()).or_default();
        let index = seen.iter().position(|known| *known == id).unwrap_or_else(|| {
            seen.push(id);
            seen.len() - 1
        });
        format!("r{}", index + 1)
    }
}

/// The request to the loader; empty for any other event.
fn invoked(kind: &EventKind) -> String {
    let EventKind::OperationInvoked { operation, action, place, server, tool, servers, changed } = kind else {
        return String::new();
    };
    let called = server.iter().zip(tool).map(|(server, tool)| format!("{server}.{tool}"));
    let is_changed = |server: &String| if changed.contains(server) { "~" } else { "" };
    let loaded = servers.iter().map(|server| format!("{}{server}", is_changed(server)));
    let on: Vec<_> = called.chain(loaded).collect();
    let on = if on.is_empty() { String::new() } else { format!(" {}", on.join(", ")) };
    format!("op{} {}{on} in {}", operation.0, action.name(), place.as_deref().unwrap_or("?"))
}

fn completed(operation: OpId, outcome: &Outcome) -> String {
    let how = match outcome {
        Outcome::Ok { tools, errors, text } => {
            let tools: Vec<_> = tools.iter().map(|tool| format!("{}.{}", tool.server, tool.name)).collect();
            let tools = if tools.is_empty() { String::new() } else { format!(" with {}", tools.join(", ")) };
            let errors = errors.keys().map(|server| format!(" without {server}"));
            let text = text.as_ref().map(|text| format!(" {text:?}")).unwrap_or_default();
            format!("ok{tools}{}{text}", errors.collect::<String>())
        }
        // The message depends on which sign of a server's end arrived first.
        Outcome::Failed(failure) => format!("failed: {}", failure.kind),
        Outcome::Cancelled => "cancelled".to_owned(),
    };
    format!("op{} {how}", operation.0)
}

/// The connection of a mock's event.
fn connection_of(kind: &EventKind) -> Option<&ConnectionId> {
    match kind {
        EventKind::ConnectionOpened { connection }
        | EventKind::ConnectionClosed { connection, .. }
        | EventKind::WireReceived { connection, .. }
        | EventKind::WireSent { connection, .. }
        | EventKind::WireNoise { connection, .. }
        | EventKind::WireRepeated { connection, .. }
        | EventKind::WireEof { connection } => Some(connection),
        _ => None,
    }
}

/// Where a scope was left, compared with where it was entered.
fn whereabouts(entered: Option<Context>, left: Context) -> &'static str {
    match entered {
        None => "unknown",
        Some(entered) if entered.task.is_some() && (entered.runtime, entered.task) == (left.runtime, left.task) => {
            "same-task"
        }
        Some(entered) if entered == left => "same-thread",
        Some(entered) if entered.runtime == left.runtime => "other-task",
        Some(_) => "elsewhere",
    }
}

/// The text with every hexadecimal number replaced by `0x…`.
fn without_addresses(text: &str) -> String {
    let mut parts = text.split("0x");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + "0x…" + part.trim_start_matches(|c: char| c.is_ascii_hexdigit()))
}

/// A value without the parts that differ between runs.
fn stable(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let kept = fields.into_iter().filter(|(name, _)| !["progressToken", "version"].contains(&name.as_str()));
            Value::Object(Map::from_iter(kept.map(|(name, value)| (name, stable(value)))))
        }
        Value::String(text) => Value::String(without_addresses(&text)),
        Value::Array(values) => Value::Array(values.into_iter().map(stable).collect()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::normal_text;
    use crate::history::{Header, history_from_text};

    fn normal(transport: &str, lines: &[&str]) -> String {
        let header = Header { transport: transport.to_owned(), ..Header::new("test") };
        normal_text(&history_from_text("test", header, &lines.join("\n")).unwrap())
    }

    const LOAD: &str = "driver operation.invoked operation=1 action=load in=task:a servers=[\"a\",\"b\"]";
    const FROM_A: &str = "mock:a#1 wire.received connection=c1 message={\"id\":7,\"method\":\"initialize\"}";
    const FROM_B: &str = "mock:b#1 wire.received connection=c2 message={\"id\":3,\"method\":\"initialize\"}";

    #[test]
    fn the_order_of_arrival_does_not_show() {
        let one = normal("stdio", &[LOAD, FROM_A, FROM_B]);
        assert_eq!(one, normal("stdio", &[LOAD, FROM_B, FROM_A]));
        insta::assert_snapshot!(one, @r"
        [driver]
          op1 load a, b in task:a
        [mock:a#1]
          received request r1 initialize (during op1)
        [mock:b#1]
          received request r1 initialize (during op1)
        ");
    }

    #[test]
    fn the_order_within_a_lane_shows() {
        let eof = "mock:a#1 wire.eof connection=c1";
        let term = "mock:a#1 signal.received signal=TERM";
        assert_ne!(normal("stdio", &[eof, term]), normal("stdio", &[term, eof]));
    }

    #[test]
    fn connections_of_one_mock_are_numbered_by_what_happened_to_them() {
        let call = |connection: &str| {
            format!(
                "mock:a#1 wire.received connection={connection} \
                 message={{\"id\":1,\"method\":\"tools/call\",\"params\":{{\"arguments\":{{\"n\":3}}}}}}"
            )
        };
        let list =
            |connection: &str| format!("mock:a#1 wire.received connection={connection} message={{\"method\":\"x\"}}");
        let one = normal("http", &[&call("c1"), &list("c2")]);
        assert_eq!(one, normal("http", &[&list("c1"), &call("c2")]));
        assert!(one.contains("[call op3 of mock:a#1]\n") && one.contains("[connection of mock:a#1]\n"), "{one}");
    }

    #[test]
    fn what_is_on_other_sockets_has_no_order_over_http() {
        let exchange = |n: u32, verb: &str| {
            format!(
                "mock:a#1 http.received exchange=x{n} socket=t{n} verb={verb} headers={{}}\nmock:a#1 http.answered exchange=x{n} status=200"
            )
        };
        let one = normal("http", &[&exchange(1, "GET"), &exchange(2, "POST")]);
        assert_eq!(one, normal("http", &[&exchange(1, "POST"), &exchange(2, "GET")]));
        assert!(one.contains("[socket of mock:a#1 2]\n"), "{one}");
    }

    #[test]
    fn what_a_server_says_on_its_stream_has_a_lane_of_its_own_over_http() {
        let ping = "mock:a#1 wire.sent connection=c1 message={\"id\":0,\"method\":\"ping\"}";
        let pong = "mock:a#1 wire.received connection=c1 message={\"id\":0,\"result\":{}}";
        let list = "mock:a#1 wire.received connection=c1 message={\"id\":1,\"method\":\"tools/list\"}";
        let one = normal("http", &[ping, list, pong]);
        assert_eq!(one, normal("http", &[list, ping, pong]));
        assert!(
            one.ends_with("[stream of mock:a#1]\n  sent request r1 ping\n  received answer to r1 result={}\n"),
            "{one}"
        );
        assert_ne!(one, normal("http", &[list, pong, ping]));
    }

    #[test]
    fn who_finds_out_that_a_session_is_lost_does_not_show() {
        let answered = |n: u32, verb: &str| {
            format!(
                "mock:a#1 http.received exchange=x{n} socket=t{n} verb={verb} headers={{}}\nmock:a#1 http.answered exchange=x{n} status=404"
            )
        };
        let one = normal("http", &[&answered(1, "GET"), &answered(2, "POST")]);
        assert_eq!(one, normal("http", &[&answered(1, "POST")]));
        assert_eq!(one, "[socket of mock:a#1]\n  http.answered status=404, once or more\n");
        assert_ne!(one, normal("http", &[&answered(1, "POST").replace("404", "405")]));
    }

    #[test]
    fn what_a_failure_says_does_not_show() {
        let failed = |port: u32| {
            format!(
                "loader operation.completed operation=1 outcome={{\"failed\":{{\"type\":\"X\",\"message\":\"127.0.0.1:{port} is closed\"}}}}"
            )
        };
        assert_eq!(normal("http", &[LOAD, &failed(4_711)]), normal("http", &[LOAD, &failed(40_000)]));
    }

    #[test]
    fn an_id_that_is_used_again_keeps_its_name() {
        let lines = normal("stdio", &[FROM_A, FROM_A]);
        assert_eq!(lines.matches("request r1 ").count(), 2, "{lines}");
    }
}
