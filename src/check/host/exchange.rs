//! What a scenario consists of.

use std::collections::{BTreeMap, BTreeSet};

use crate::check::combinator::{Judged, each};
use crate::check::host::is_its_doing;
use crate::check::sight::parts;
use crate::check::{Invariant, Level, Monitor, Property, Scope, Tally, View, Violation, Witness};
use crate::history::{ConnectionId, Event, EventKind, Header, Kind, Message, Seq};
use crate::plan::Promise;

/// Counter-examples that shaped it. An answer that is an error is none: a call of a tool that is not there has called nothing.
/// A client that was ended by force has come only so far, and is told how far.
pub(in crate::check) const EXCHANGE_COMPLETE: Invariant = Invariant {
    id: "exchange-complete",
    property: Property::Liveness,
    level: Level::Own,
    claim: "everything the scenario consists of was asked and answered before the client ended",
    source: "VG-04: healthy servers load, and calls succeed; a client that does nothing has broken nothing and shown nothing",
    requirement: &["VG-04"],
    applies: Scope::ALL.of_clients(),
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::WireReceived, Kind::WireSent, Kind::ProcessExited, Kind::LimitHit],
    vacuous: "nothing was expected of the client, or it never ran",
    explain: "The client ended before the scenario was over: a message that belongs to it never came, or its answer was an error or was \
        never given. A client that exits early with status 0 looks well everywhere else.\n\n\
        Look at the first message that is missing, and at what the client wrote to stderr. A client that never connected often did not \
        find the URL, which is its last argument, or does not know the name of the scenario, which is in `MCP_CONFORMANCE_SCENARIO`.",
    start: |header: &Header| -> Box<dyn Monitor> {
        let expected = header.host.as_ref().map(|host| host.exchange.clone()).unwrap_or_default();
        Box::new(ScenarioExchange { expected, ..ScenarioExchange::default() })
    },
};

/// Counter-example that shaped it: a batch is on record as what was received, be it taken or not, and has a rule of its own.
pub(in crate::check) const POSTS_ARE_MESSAGES: Invariant = Invariant {
    id: "posts-are-messages",
    property: Property::Safety,
    level: Level::Must,
    claim: "every POST is one JSON-RPC message",
    source: "2025-11-25, basic/transports, Sending Messages to the Server; the same from 2025-06-18",
    requirement: &["LC-MSG-01"],
    applies: Scope::POSTS,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::WireReceived, Kind::WireNoise],
    vacuous: "nothing was posted",
    explain: "The body of a POST was no message: no JSON, or nothing that is an object. A server answers with an error \
        without an id, so whoever waits for an answer waits until its timeout.\n\n\
        Look at the head of the bytes in the witness. Mend it by sending each message by itself.",
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

#[derive(Default)]
struct ScenarioExchange {
    expected: Vec<String>,
    /// Requests without an answer: their method and where they came, by connection and id.
    open: BTreeMap<(ConnectionId, String), (String, Seq)>,
    /// Methods that arrived, and were answered with a result where they are requests.
    done: BTreeSet<String>,
    /// Methods whose answer was an error, and where it was given.
    failed: BTreeMap<String, Seq>,
    first: Option<Seq>,
    exited: Option<Seq>,
    last: Option<Seq>,
}

impl Monitor for ScenarioExchange {
    fn see(&mut self, event: &Event, _view: &View, _tally: &mut Tally) {
        self.last = Some(event.seq);
        match &event.kind {
            EventKind::WireReceived { connection, message } => {
                self.first.get_or_insert(event.seq);
                parts(message).iter().for_each(|part| self.receive(event.seq, connection, part));
            }
            EventKind::WireSent { connection, message } => {
                parts(message).iter().for_each(|part| self.send(event.seq, connection, part));
            }
            EventKind::ProcessExited { role, .. } if role == "loader" => self.exited = Some(event.seq),
            _ => {}
        }
    }

    fn end(&mut self, view: &View, tally: &mut Tally) {
        if !is_its_doing(view) {
            return;
        }
        let missing = self.expected.iter().filter(|method| !self.done.contains(*method)).cloned();
        let missing: Vec<String> = missing.collect();
        if missing.is_empty() {
            self.expected.iter().for_each(|_| tally.held());
            return;
        }
        let at = self.exited.or(self.last).unwrap_or(Seq(1));
        let Some(first) = self.first else {
            let because = "the client never said anything to the server".to_owned();
            tally.broken(Violation::new("nothing-received", because, &[at]));
            return;
        };
        for method in &missing {
            let (variant, because, witness) = self.reason(method, first, at);
            tally.broken(Violation::new(variant, because, &witness));
        }
    }
}

impl ScenarioExchange {
    fn receive(&mut self, seq: Seq, connection: &ConnectionId, message: &Message) {
        match (message.method(), message.id()) {
            (Some(method), Some(id)) => {
                self.open.insert((connection.clone(), id.to_string()), (method.to_owned(), seq));
            }
            (Some(method), None) => {
                self.done.insert(method.to_owned());
            }
            (None, _) => {}
        }
    }

    fn send(&mut self, seq: Seq, connection: &ConnectionId, message: &Message) {
        let Some(id) = message.id().filter(|_| message.is_response()) else { return };
        let Some((method, _)) = self.open.remove(&(connection.clone(), id.to_string())) else { return };
        if message.is_error() {
            self.failed.insert(method, seq);
        } else {
            self.done.insert(method);
        }
    }

    fn reason(&self, method: &str, first: Seq, at: Seq) -> (&'static str, String, Vec<Seq>) {
        let open = self.open.values().find(|(asked, _)| asked == method);
        match (open, self.failed.get(method)) {
            (Some((_, asked)), _) => {
                let because = format!("{method} was received at {asked} and was not answered before the end at {at}");
                ("not-answered", because, vec![*asked, at])
            }
            (None, Some(failed)) => {
                ("error", format!("{method} was answered with an error at {failed}"), vec![*failed])
            }
            (None, None) => ("not-received", format!("{method} was never received"), vec![first, at]),
        }
    }
}
