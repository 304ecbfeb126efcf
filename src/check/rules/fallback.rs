//! Falling back to HTTP with server-sent events: which answers ask for it.

use serde_json::Value;

use crate::check::host::{ServerExchange, exchange_of};
use crate::check::lessons::{ServerSocket, socket_of};
use crate::check::metadata::{STATELESS_ERRORS, UNKNOWN_METHOD};
use crate::check::{AppliesTo, Hears, Invariant, Level, Monitor, Of, Property, Tally, View, Violation, Witness};
use crate::history::{Event, EventKind, Header, Kind, Message, Seq, Table};
use crate::plan::{Promise, Revision};

/// Counter-examples: A program of 2024-11-05 asks for its stream at any server. So the GET counts only if it comes from the
/// client that was refused: on its socket, from a program that the harness started, or while no other client has ever
/// reached the server. Up to 2025-06-18 any 4xx may ask for the old transport.
pub(super) const FALLBACK_AFTER_REFUSAL: Invariant = Invariant {
    id: "fallback-after-refusal",
    property: Property::Safety,
    level: Level::Should,
    claim: "a client falls back to HTTP with server-sent events only after `initialize` got 400, 404 or 405",
    source: "2025-11-25, basic/transports, Backwards Compatibility; any 4xx up to 2025-06-18",
    requirement: &["LC-SSE-05"],
    applies: AppliesTo::SESSIONS,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: FALLBACK,
    hears: Hears::only(&[(Kind::WireSent, &[Of::AnyAnswer])]),
    vacuous: "no client fell back to the old transport",
    explain: "`initialize` failed with a status that says nothing about the transport, such as 500 or 401, and the client \
        asked for the stream of the old transport. The client mistakes a failing server for an old one: it tells the \
        user that the server has no stream, and the real error is lost.\n\n\
        Look at the status in the reason. To fix it, fall back only after 400, 404 and 405, and report every other \
        status unchanged.",
    start: |header: &Header| -> Box<dyn Monitor> { Box::new(Fallbacks::new(header, false)) },
};

/// Counter-examples: as for `fallback-after-refusal`. A server of 2026-07-28 answers 404 to an unknown method: the body
/// shows that.
pub(super) const MODERN_FALLBACK_AFTER_REFUSAL: Invariant = Invariant {
    id: "modern-fallback-after-refusal",
    property: Property::Safety,
    level: Level::Should,
    claim: "a client falls back to HTTP with server-sent events only after 400, 404 or 405 without an error of the new protocol",
    source: "2026-07-28, basic/transports/streamable-http, HTTP+SSE Transport (2024-11-05)",
    requirement: &["LC-SSE-06"],
    applies: AppliesTo::STATELESS_HTTP,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: FALLBACK,
    hears: Hears::only(&[(Kind::WireSent, &[Of::AnyAnswer])]),
    vacuous: "no client fell back to the old transport",
    explain: "The server answered with an error of the new protocol, such as 404 with -32601 for a method that it does not \
        have, and the client asked for the stream of the old transport. The client mistakes an answer for a missing \
        page: each unknown method costs another connection, and the client may drop a server that works.\n\n\
        Look at the error before the GET. To fix it, read the body of a 4xx before the status decides, and stay in the \
        new protocol if the body is one of its errors.",
    start: |header: &Header| -> Box<dyn Monitor> { Box::new(Fallbacks::new(header, true)) },
};

const FALLBACK: &[Kind] = &[Kind::HttpReceived, Kind::WireReceived, Kind::WireSent, Kind::HttpAnswered];

struct Fallbacks {
    is_stateless: bool,
    /// Whether the harness started the one program that sends everything.
    is_program: bool,
    /// The probes that are open.
    probes: Table<ServerExchange, Probe>,
    /// The newest refusal of each server, unless a probe succeeded.
    refused: Table<String, Refused>,
    /// The socket that has carried all requests to a server; none if there were several.
    only: Table<String, Option<ServerSocket>>,
}

struct Probe {
    socket: ServerSocket,
    offered: Option<Revision>,
    /// The code of the error that answers it.
    code: Option<i64>,
}

struct Refused {
    seq: Seq,
    status: u16,
    probe: Probe,
}

impl Fallbacks {
    fn new(header: &Header, is_stateless: bool) -> Self {
        Self {
            is_stateless,
            is_program: header.host.is_some(),
            probes: Table::default(),
            refused: Table::default(),
            only: Table::default(),
        }
    }
}

impl Monitor for Fallbacks {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        let Some(server) = event.source.server() else { return };
        match &event.kind {
            EventKind::HttpReceived { exchange, socket, verb, session, message, .. } => {
                let socket = socket_of(event, socket);
                if verb == "GET" && session.is_none() {
                    self.asked_for_stream(event, server, &socket, view, tally);
                }
                if verb == "POST" {
                    let probe = Probe { socket: socket.clone(), offered: None, code: None };
                    let key = exchange_of(event, exchange);
                    self.probes.insert(key.clone(), probe);
                    if let Some(message) = message {
                        self.posted(&key, message);
                    }
                }
                let only = self.only.entry(server.to_owned()).or_insert_with(|| Some(socket.clone()));
                only.take_if(|only| *only != socket);
            }
            EventKind::WireReceived { message, .. } => {
                if let Some(carrier) = view.carrier(event) {
                    self.posted(&exchange_of(event, &carrier.exchange), message);
                }
            }
            EventKind::WireSent { message, .. } if message.is_error() => {
                let carrier = view.answered(event).map(|carrier| exchange_of(event, &carrier.exchange));
                if let Some(probe) = carrier.and_then(|exchange| self.probes.get_mut(&exchange)) {
                    probe.code = message.at(&["error", "code"]).and_then(Value::as_i64);
                }
            }
            EventKind::HttpAnswered { exchange, status, .. } => {
                let Some(probe) = self.probes.swap_remove(&exchange_of(event, exchange)) else { return };
                if *status >= 400 {
                    self.refused.insert(server.into(), Refused { seq: event.seq, status: *status, probe });
                } else {
                    self.refused.swap_remove(server);
                }
            }
            _ => {}
        }
    }
}

impl Fallbacks {
    /// Takes the message of a probe. In the handshake generation, only `initialize` is a probe.
    fn posted(&mut self, key: &ServerExchange, message: &Message) {
        if !self.is_stateless && !message.is_request("initialize") {
            self.probes.swap_remove(key);
        } else if let Some(probe) = self.probes.get_mut(key) {
            let offered = message.at(&["params", "protocolVersion"]).and_then(Value::as_str);
            probe.offered = offered.and_then(|offered| offered.parse().ok());
        }
    }

    fn asked_for_stream(&self, event: &Event, server: &str, socket: &ServerSocket, view: &View, tally: &mut Tally) {
        let Some(Refused { seq, status, probe }) = self.refused.get(server) else { return };
        let is_alone = self.only.get(server).is_none_or(|only| only.as_ref() == Some(&probe.socket));
        if !(self.is_program || view.is_ready() || probe.socket == *socket || is_alone) {
            return;
        }
        let is_answer = self.is_stateless
            && probe
                .code
                .is_some_and(|code| STATELESS_ERRORS.contains(&code) || *status == 404 && code == UNKNOWN_METHOD);
        let is_asked_for = match status {
            400 | 404 | 405 => !is_answer,
            401..=499 => !self.is_stateless && probe.offered.is_none_or(|offered| offered <= Revision::R20250618),
            _ => false,
        };
        if is_asked_for {
            return tally.held();
        }
        let because = format!(
            "GET was sent to {server} at {} for the stream of the old transport, after a request had got {status} at {seq}",
            event.seq
        );
        tally.broken(Violation::new("other-status", because, &[*seq, event.seq]));
    }
}
