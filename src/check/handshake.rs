//! The handshake of the revisions that have one.

use std::collections::BTreeMap;

use crate::check::sight::parts;
use crate::check::{Invariant, Level, Monitor, Property, Scope, Tally, View, Violation, Witness};
use crate::history::{ConnectionId, Event, EventKind, Header, Impact, Kind, Message, Seq};
use crate::plan::Promise;

/// Counter-examples that shaped it. A client that knows both eras may ask `server/discover` first. Pings, responses and
/// cancellations belong to no phase. A client may try `initialize` again after an error. Where a script garbles answers, nobody can say what the client
/// has read, so the connection is not judged any further.
pub(super) const HANDSHAKE_ORDER: Invariant = Invariant {
    id: "handshake-order",
    property: Property::Safety,
    level: Level::Must,
    claim: "a connection opens with one initialize, its answer, and one initialized before anything else is asked",
    source: "2025-11-25, basic/lifecycle, Initialization; the same in all revisions from 2024-11-05",
    requirement: &["LC-INIT-01", "LC-INIT-03", "LC-INIT-05"],
    applies: Scope::LEGACY,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[
        Kind::ConnectionOpened,
        Kind::ConnectionClosed,
        Kind::WireEof,
        Kind::WireReceived,
        Kind::WireSent,
        Kind::FaultDelivered,
    ],
    vacuous: "no client spoke on any connection",
    explain: "The client spoke out of turn while a session was being opened. Lenient servers accept it, strict ones refuse \
        the session or drop the request, so the program works on one machine and not on the next. Concurrency is the usual reason: a call that \
        is let through while another task still waits for the answer to `initialize`.\n\n\
        Look at the order of messages on that connection. Mend it by handing out the session only after `notifications/initialized` \
        was written.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(Handshakes::default()) },
};

#[derive(Default)]
struct Handshakes {
    open: BTreeMap<ConnectionId, Handshake>,
}

#[derive(Default)]
struct Handshake {
    initialize: Option<(Seq, String)>,
    answer: Option<InitializeAnswer>,
    initialized: Option<Seq>,
    /// Nothing more is judged: it was broken already, or its answers are garbled.
    is_settled: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum InitializeAnswer {
    Result,
    Error,
}

impl Monitor for Handshakes {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        match &event.kind {
            EventKind::ConnectionOpened { connection } => {
                self.open.insert(connection.clone(), Handshake::default());
            }
            EventKind::ConnectionClosed { connection, .. } | EventKind::WireEof { connection } => {
                self.open.remove(connection);
            }
            EventKind::FaultDelivered { impairs: Impact::Answers | Impact::Connection, .. } => {
                let Some(server) = event.source.server() else { return };
                for (id, handshake) in &mut self.open {
                    let is_of_server = view.connection(id).is_none_or(|connection| connection.server == server);
                    handshake.is_settled |= is_of_server;
                }
            }
            EventKind::WireReceived { connection, message } => {
                let handshake = self.open.entry(connection.clone()).or_default();
                for part in parts(message).iter() {
                    handshake.receive(event.seq, connection, part, tally);
                }
            }
            EventKind::WireSent { connection, message } => {
                if let Some(handshake) = self.open.get_mut(connection) {
                    parts(message).iter().for_each(|part| handshake.send(part));
                }
            }
            _ => {}
        }
    }
}

impl Handshake {
    fn receive(&mut self, seq: Seq, connection: &ConnectionId, message: &Message, tally: &mut Tally) {
        let Some(method) = message.method().filter(|_| !self.is_settled) else { return };
        let is_request = message.is_any_request();
        let is_of_no_phase = matches!(method, "ping" | "notifications/cancelled");
        let is_probe = method == "server/discover" && self.initialize.is_none();
        if is_of_no_phase || is_probe {
            return;
        }
        let (variant, what, before) = match (&self.initialize, method) {
            (None, "initialize") => {
                self.initialize = message.id().map(|id| (seq, id.to_string()));
                tally.held();
                return;
            }
            (Some(_), "initialize") if self.answer == Some(InitializeAnswer::Error) => {
                self.initialize = message.id().map(|id| (seq, id.to_string()));
                self.answer = None;
                return;
            }
            (None, _) => ("first-not-initialize", "before any initialize", None),
            (Some((first, _)), "initialize") => ("initialize-twice", "a second time", Some(*first)),
            (Some((first, _)), "notifications/initialized") => match (self.answer, self.initialized) {
                (None, _) => ("initialized-before-answer", "before initialize was answered", Some(*first)),
                (Some(_), Some(earlier)) => ("initialized-twice", "a second time", Some(earlier)),
                (Some(_), None) => {
                    self.initialized = Some(seq);
                    return;
                }
            },
            (Some((first, _)), _) => match (self.answer, self.initialized) {
                (None, _) if is_request => ("request-before-answer", "before initialize was answered", Some(*first)),
                (Some(InitializeAnswer::Result), None) if is_request => {
                    ("request-before-initialized", "before notifications/initialized", Some(*first))
                }
                (_, _) => return,
            },
        };
        self.is_settled = true;
        let because = format!("{method} was sent on connection {connection} at {seq} {what}");
        let witness: Vec<Seq> = before.into_iter().chain([seq]).collect();
        let violation = Violation::new(variant, because, &witness);
        // LC-INIT-05 is a SHOULD NOT; the others are MUSTs.
        tally.broken(if variant == "request-before-answer" { violation.as_warning() } else { violation });
    }

    fn send(&mut self, message: &Message) {
        let id = message.id().map(ToString::to_string);
        let is_answer = message.is_response() && self.initialize.as_ref().map(|(_, id)| id) == id.as_ref();
        if is_answer && self.answer.is_none() {
            self.answer = Some(if message.is_error() { InitializeAnswer::Error } else { InitializeAnswer::Result });
        }
    }
}
