//! The events that the servers of a host have recorded so far. The steps of a plan wait for such events.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde_json::Value;

use crate::history::{Event, EventKind, LinkPeer, Message};
use crate::plan::HostDo;

/// The events of each server.
#[derive(Debug, Default)]
pub(super) struct Observation {
    servers: BTreeMap<String, OfServer>,
    gates: BTreeSet<String>,
}

#[derive(Debug, Default)]
struct OfServer {
    n_opened: u32,
    open: BTreeSet<String>,
    /// Whether a request for tools came.
    is_requested: bool,
    /// Requests for tools without an answer, by connection and id.
    listing: BTreeSet<(String, String)>,
    tools: BTreeSet<String>,
    /// Whether the last page of a list was answered.
    is_listed: bool,
    /// Number of calls, by tool.
    calls: BTreeMap<String, u32>,
}

impl Observation {
    /// An observation of these servers without any event.
    pub(super) fn of(servers: impl Iterator<Item = String>) -> Self {
        Self { servers: servers.map(|name| (name, OfServer::default())).collect(), gates: BTreeSet::new() }
    }

    /// Takes in one more event.
    pub(super) fn see(&mut self, event: &Event) {
        if let EventKind::GateReached { gate } = &event.kind {
            self.gates.insert(gate.clone());
        }
        // A server that has ended has no connection open.
        if let EventKind::LinkClosed { peer: LinkPeer::Mock { server, .. }, .. } = &event.kind {
            self.servers.entry(server.clone()).or_default().open.clear();
        }
        let Some(server) = event.source.server() else { return };
        let of = self.servers.entry(server.to_owned()).or_default();
        match &event.kind {
            // A message without a session belongs to no connection.
            EventKind::ConnectionOpened { connection } if !connection.0.ends_with(".0") => {
                of.n_opened += 1;
                of.open.insert(connection.to_string());
            }
            EventKind::ConnectionClosed { connection, .. } => {
                of.open.remove(connection.0.as_str());
            }
            EventKind::MockEnding { .. } => of.open.clear(),
            EventKind::WireReceived { connection, message } => {
                each(message, |message| of.receive(&connection.0, message));
            }
            EventKind::WireSent { connection, message } => each(message, |message| of.send(&connection.0, message)),
            _ => {}
        }
    }

    /// Forgets lists and calls. Connections and requests in flight stay.
    fn begin_again(&mut self) {
        for server in self.servers.values_mut() {
            let OfServer { n_opened, open, listing, .. } = std::mem::take(server);
            *server = OfServer { n_opened, open, listing, ..OfServer::default() };
        }
    }

    /// Takes in one more event. Returns whether the step has now seen what it waits for, from position `from` on.
    ///
    /// `from` is the position of the last prompt to the host, counted from 0.
    pub(super) fn meets_with(&mut self, event: &Event, step: &HostDo, from: usize) -> bool {
        let position = usize::try_from(event.seq.0).unwrap_or(usize::MAX).saturating_sub(1);
        if from > 0 && position == from {
            self.begin_again();
        }
        self.see(event);
        position >= from && self.meets(step)
    }

    /// Whether the servers have seen what a step waits for.
    pub(super) fn meets(&self, step: &HostDo) -> bool {
        match step {
            HostDo::Tools { at_least, of, .. } => {
                let n_tools: usize = self.meant(of).map(|(_, server)| server.tools.len()).sum();
                self.meant(of).all(|(_, server)| server.is_listed) && n_tools >= *at_least as usize
            }
            HostDo::Call { nth, of, tool, .. } => self.n_calls(of, tool) >= *nth,
            HostDo::Connections { at_least, open, of } => {
                let n_opened: u32 = self.meant(of).map(|(_, server)| server.n_opened).sum();
                let n_open: usize = self.meant(of).map(|(_, server)| server.open.len()).sum();
                at_least.is_none_or(|wanted| n_opened >= wanted) && open.is_none_or(|wanted| n_open == wanted as usize)
            }
            HostDo::Gate { gate } => self.gates.contains(gate),
            // The other steps wait for nothing that servers see.
            HostDo::Ready { .. }
            | HostDo::Request { .. }
            | HostDo::Signal { .. }
            | HostDo::Line { .. }
            | HostDo::KillServer { .. }
            | HostDo::OpenGate { .. }
            | HostDo::Idle { .. }
            | HostDo::Page { .. }
            | HostDo::CloseStdin {}
            | HostDo::Interrupt {}
            | HostDo::Terminate {}
            | HostDo::Exit { .. } => false,
        }
    }

    /// The events of the servers of a step, as text.
    pub(super) fn text(&self, step: &HostDo) -> String {
        if let HostDo::Gate { gate } = step {
            let word = if self.gates.contains(gate) { "was" } else { "was not" };
            return format!("gate {gate} {word} reached");
        }
        let of = step.server().map(str::to_owned);
        let mut text = String::new();
        for (name, server) in self.meant(&of) {
            let separator = if text.is_empty() { "" } else { "; " };
            write!(text, "{separator}{name}: {}", server.text(step)).expect("writing to a string cannot fail");
        }
        text
    }

    fn n_calls(&self, of: &Option<String>, tool: &Option<String>) -> u32 {
        let calls = self.meant(of).flat_map(|(_, server)| &server.calls);
        calls.filter(|(name, _)| tool.as_ref().is_none_or(|tool| tool == *name)).map(|(_, n)| n).sum()
    }

    fn meant<'a>(&'a self, of: &'a Option<String>) -> impl Iterator<Item = (&'a String, &'a OfServer)> {
        self.servers.iter().filter(move |(name, _)| of.as_ref().is_none_or(|of| of == *name))
    }
}

impl OfServer {
    fn receive(&mut self, connection: &str, message: &Message) {
        match (message.method(), message.id()) {
            (Some("tools/list"), Some(id)) => {
                self.is_requested = true;
                self.listing.insert((connection.to_owned(), id.to_string()));
            }
            (Some("tools/call"), Some(_)) => {
                let tool = message.at(&["params", "name"]).and_then(Value::as_str).unwrap_or_default();
                *self.calls.entry(tool.to_owned()).or_default() += 1;
            }
            _ => {}
        }
    }

    fn send(&mut self, connection: &str, message: &Message) {
        let Some(id) = message.id().filter(|_| message.is_response()) else { return };
        if !self.listing.remove(&(connection.to_owned(), id.to_string())) || message.is_error() {
            return;
        }
        let tools = message.at(&["result", "tools"]).and_then(Value::as_array);
        let names = tools.into_iter().flatten().filter_map(|tool| tool.get("name")?.as_str());
        self.tools.extend(names.map(str::to_owned));
        self.is_listed |= message.at(&["result", "nextCursor"]).is_none();
    }

    fn text(&self, step: &HostDo) -> String {
        let n = |n: usize, one: &str| format!("{n} {one}{}", if n == 1 { "" } else { "s" });
        match step {
            HostDo::Tools { .. } if self.is_listed => n(self.tools.len(), "tool"),
            HostDo::Call { .. } if !self.calls.is_empty() => {
                let calls = self.calls.iter().map(|(tool, n)| format!("{tool} {n}"));
                format!("called {}", calls.collect::<Vec<_>>().join(", "))
            }
            HostDo::Connections { .. } => {
                format!("{} opened, {} open", n(self.n_opened as usize, "connection"), self.open.len())
            }
            _ if self.n_opened == 0 => "no connection".to_owned(),
            HostDo::Tools { .. } if !self.is_requested => "connected, no tools/list request".to_owned(),
            HostDo::Tools { .. } => "tools/list without a complete reply".to_owned(),
            _ => "connected, not called".to_owned(),
        }
    }
}

/// Calls a function with every message of a frame. A batch has several.
fn each(message: &Message, mut of_each: impl FnMut(&Message)) {
    match message.body().as_array() {
        Some(batch) => batch.iter().cloned().map(Message::new).for_each(|message| of_each(&message)),
        None => of_each(message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{Header, history_from_text};

    const OPENED: &str = "mock:a#1 connection.opened connection=c1.1";
    const REQUESTED: &str =
        r#"mock:a#1 wire.received connection=c1.1 message={"jsonrpc":"2.0","id":2,"method":"tools/list"}"#;
    const PAGE: &str = r#"mock:a#1 wire.sent connection=c1.1 message={"jsonrpc":"2.0","id":2,"result":{"tools":[{"name":"x"}],"nextCursor":"n"}}"#;
    const LIST: &str = r#"mock:a#1 wire.sent connection=c1.1 message={"jsonrpc":"2.0","id":2,"result":{"tools":[{"name":"x"},{"name":"y"}]}}"#;
    const REFUSED: &str =
        r#"mock:a#1 wire.sent connection=c1.1 message={"jsonrpc":"2.0","id":2,"error":{"code":1,"message":"no"}}"#;
    const CALLED: &str = r#"mock:a#1 wire.received connection=c1.1 message={"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"x"}}"#;
    const CLOSED: &str = "mock:a#1 connection.closed connection=c1.1 how=by-client";

    fn seen(servers: &[&str], lines: &[&str]) -> Observation {
        let history = history_from_text("seen", Header::new("seen"), &(lines.join("\n") + "\n")).unwrap();
        let mut seen = Observation::of(servers.iter().map(|name| (*name).to_owned()));
        history.events().iter().for_each(|event| seen.see(event));
        seen
    }

    #[test]
    fn tools_are_listed_when_every_server_of_the_step_has_sent_its_last_page() {
        let tools =
            |at_least: u32, of: Option<&str>| HostDo::Tools { at_least, of: of.map(str::to_owned), again: false };
        for (servers, lines, step, met, text) in [
            (&["a"][..], &[OPENED, REQUESTED, LIST][..], tools(2, None), true, "a: 2 tools"),
            (&["a"], &[OPENED, REQUESTED, LIST], tools(3, None), false, "a: 2 tools"),
            (&["a"], &[OPENED, REQUESTED, PAGE], tools(1, None), false, "without a complete reply"),
            (&["a"], &[OPENED, REQUESTED, REFUSED], tools(1, None), false, "without a complete reply"),
            (&["a"], &[OPENED], tools(1, None), false, "a: connected, no tools/list"),
            (&["a", "b"], &[OPENED, REQUESTED, LIST], tools(1, None), false, "a: 2 tools; b: no connection"),
            (&["a", "b"], &[OPENED, REQUESTED, LIST], tools(1, Some("a")), true, "a: 2 tools"),
        ] {
            let seen = seen(servers, lines);
            assert_eq!(seen.meets(&step), met, "{lines:?} {step:?}");
            assert!(seen.text(&step).contains(text), "{}", seen.text(&step));
        }
    }

    #[test]
    fn lists_and_calls_are_counted_from_the_last_prompt_and_connections_stay() {
        let lines = [OPENED, REQUESTED, LIST, CALLED, "driver host.prompted how=line"];
        let again = HostDo::Tools { at_least: 1, of: None, again: true };
        let call = HostDo::Call { nth: 1, of: None, tool: None, again: true };
        let met = |more: &[&str], step: &HostDo| {
            let text = [&lines[..], more].concat().join("\n") + "\n";
            let history = history_from_text("seen", Header::new("seen"), &text).unwrap();
            let mut seen = Observation::of(["a".to_owned()].into_iter());
            let met = history.events().iter().any(|event| seen.meets_with(event, step, 4));
            (met, seen.text(step))
        };
        assert_eq!(met(&[], &again), (false, "a: connected, no tools/list request".to_owned()));
        assert_eq!(met(&[], &call), (false, "a: connected, not called".to_owned()));
        assert!(met(&[CALLED], &call).0);
        assert!(met(&[REQUESTED, LIST], &again).0);
    }

    #[test]
    fn calls_and_connections_are_counted() {
        let call =
            |nth: u32, tool: Option<&str>| HostDo::Call { nth, of: None, tool: tool.map(str::to_owned), again: false };
        let connections = |at_least: Option<u32>, open: Option<u32>| HostDo::Connections { at_least, open, of: None };
        let seen = seen(&["a"], &[OPENED, CALLED, CALLED, CLOSED]);
        for (step, met) in [
            (call(2, None), true),
            (call(3, None), false),
            (call(1, Some("y")), false),
            (connections(Some(1), Some(0)), true),
            (connections(Some(2), None), false),
            (connections(None, Some(1)), false),
        ] {
            assert_eq!(seen.meets(&step), met, "{step:?}: {}", seen.text(&step));
        }
        assert_eq!(seen.text(&call(3, None)), "a: called x 2");
        assert_eq!(seen.text(&connections(Some(2), None)), "a: 1 connection opened, 0 open");
    }
}
