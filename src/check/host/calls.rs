//! Calls of a host.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::check::host::{ServerExchange, exchange_of, is_its_doing};
use crate::check::sight::parts;
use crate::check::{Invariant, Level, Monitor, Property, Scope, Tally, View, Violation, Witness};
use crate::history::{ConnectionId, Event, EventKind, ExchangeId, Header, Kind, Message, Seq, WireEnd};
use crate::plan::Promise;

/// Counter-examples that shaped it. Calls with other arguments are other intentions. In the modern era a call that its server answered
/// with a need of more is made again, as it says.
pub(in crate::check) const CALL_MADE_ONCE: Invariant = Invariant {
    id: "call-made-once",
    property: Property::Safety,
    level: Level::Own,
    claim: "one intention is one call: no tool is called twice with the same arguments",
    source: "VG-16: a tool may have effects, and whoever wanted them once wants them once",
    requirement: &["VG-16"],
    applies: Scope::ALL.of_clients(),
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::WireReceived, Kind::WireSent],
    vacuous: "no tool was called",
    explain: "The server received the same call twice. A retry after a timeout or a lost stream does that: the mail goes out twice, \
        the row is written twice, and nobody is told.\n\n\
        Look at what happened between the two. Mend it by failing the call and letting the caller decide, and by taking up a stream \
        that ended instead of calling again.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(RepeatedCalls::default()) },
};

#[derive(Default)]
struct RepeatedCalls {
    made: BTreeMap<String, MadeCall>,
}

struct MadeCall {
    seq: Seq,
    request: (ConnectionId, String),
}

impl Monitor for RepeatedCalls {
    fn see(&mut self, event: &Event, _view: &View, tally: &mut Tally) {
        match &event.kind {
            EventKind::WireReceived { connection, message } => {
                for part in parts(message).iter().filter(|part| part.is_request("tools/call") && !part.is_cut()) {
                    self.receive(event.seq, connection, part, tally);
                }
            }
            EventKind::WireSent { connection, message } => {
                let kind = message.at(&["result", "resultType"]).and_then(Value::as_str);
                if let Some(id) = message.id().filter(|_| kind == Some("input_required")) {
                    let asks = (connection.clone(), id.to_string());
                    self.made.retain(|_, made| made.request != asks);
                }
            }
            _ => {}
        }
    }
}

impl RepeatedCalls {
    fn receive(&mut self, seq: Seq, connection: &ConnectionId, call: &Message, tally: &mut Tally) {
        let param = |name: &str| call.at(&["params", name]).map(ToString::to_string).unwrap_or_default();
        let id = call.id().map(ToString::to_string).unwrap_or_default();
        let made = MadeCall { seq, request: (connection.clone(), id) };
        match self.made.insert(format!("{} {}", param("name"), param("arguments")), made) {
            None => tally.held(),
            Some(earlier) => {
                let because = format!(
                    "{} was called with the same arguments at {} and again at {seq}",
                    param("name"),
                    earlier.seq
                );
                tally.broken(Violation::new("called-twice", because, &[earlier.seq, seq]));
            }
        }
    }
}

/// Counter-examples that shaped it. `initialize` must not be cancelled. A stream that its server ended was not given up. A client that
/// was ended by force had no chance to, nor had one that a signal asked to end.
pub(in crate::check) const ABANDONED_CALL_CANCELLED: Invariant = Invariant {
    id: "abandoned-call-cancelled",
    property: Property::Liveness,
    level: Level::Own,
    claim: "a request that the client gives up is cancelled",
    source: "2025-11-25, basic/transports, Sending Messages to the Server: a disconnect is no cancellation; basic/lifecycle, Timeouts",
    requirement: &["LC-CAN-03", "LC-TMO-02"],
    applies: Scope::SESSIONS,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::HttpReceived, Kind::WireReceived, Kind::WireSent, Kind::HttpEnded],
    vacuous: "no request was answered or given up",
    explain: "The client closed the connection on which it waited for an answer and never said `notifications/cancelled`. Before \
        2026-07-28 the end of a connection is no cancellation: the server goes on with work that nobody wants.\n\n\
        Look at where the client gives up: a timeout that only drops the future is the usual one. Mend it by sending the notification \
        with the id of the request, and by ending only after every answer has come or was cancelled.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(AbandonedRequests::default()) },
};

#[derive(Default)]
struct AbandonedRequests {
    /// The exchange whose message comes next, by server.
    newest: BTreeMap<String, ExchangeId>,
    asked: BTreeMap<ServerExchange, PostedRequest>,
    given_up: Vec<(PostedRequest, Seq)>,
}

struct PostedRequest {
    connection: ConnectionId,
    id: String,
    method: String,
    seq: Seq,
}

impl Monitor for AbandonedRequests {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        let server = || event.source.server().unwrap_or_default().to_owned();
        match &event.kind {
            EventKind::HttpReceived { verb, exchange, .. } if verb == "POST" => {
                self.newest.insert(server(), exchange.clone());
            }
            EventKind::WireReceived { connection, message } => {
                if let Some(cancelled) = message.cancelled_request() {
                    let id = cancelled.to_string();
                    let is_it = |asked: &PostedRequest| asked.connection == *connection && asked.id == id;
                    self.given_up.retain(|(asked, _)| !is_it(asked));
                    self.asked.retain(|_, asked| !is_it(asked));
                }
                let Some(exchange) = self.newest.remove(&server()) else { return };
                if let (Some(method), Some(id)) = (message.method(), message.id()) {
                    let (connection, id, method) = (connection.clone(), id.to_string(), method.to_owned());
                    self.asked.insert((server(), exchange), PostedRequest { connection, id, method, seq: event.seq });
                }
            }
            EventKind::WireSent { connection, message } if message.is_response() => {
                let id = message.id().map(ToString::to_string).unwrap_or_default();
                let n_before = self.asked.len();
                self.asked.retain(|_, asked| asked.connection != *connection || asked.id != id);
                if self.asked.len() < n_before {
                    tally.held();
                }
            }
            // Whoever is asked to end by a signal has given up nothing, and may have no time to say so.
            EventKind::HttpEnded { exchange, how: WireEnd::ByClient } if view.signalled().is_none() => {
                let asked = self.asked.remove(&exchange_of(event, exchange));
                let asked = asked.filter(|asked| asked.method != "initialize");
                self.given_up.extend(asked.map(|asked| (asked, event.seq)));
            }
            _ => {}
        }
    }

    fn end(&mut self, view: &View, tally: &mut Tally) {
        for (asked, gave_up) in self.given_up.drain(..).filter(|_| is_its_doing(view)) {
            let PostedRequest { connection, id, method, seq } = asked;
            let because = format!(
                "{method} (request {id} on {connection}, of {seq}) was given up at {gave_up} and never cancelled"
            );
            tally.broken(Violation::new("not-cancelled", because, &[seq, gave_up]));
        }
    }
}

/// A timer may be early by as much as this.
const EARLY_US: u64 = 50_000;

/// Counter-example that shaped it: only a stream that is taken up, with `Last-Event-ID`, is a reconnection.
pub(in crate::check) const RETRY_HONOURED: Invariant = Invariant {
    id: "retry-honoured",
    property: Property::Safety,
    level: Level::Must,
    claim: "a stream that its server ended is taken up no earlier than `retry` says",
    source: "2025-11-25, basic/transports, Sending Messages to the Server: MUST respect the retry field",
    requirement: &["LC-RES-04", "VG-19"],
    applies: Scope::SESSIONS,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::HttpReceived, Kind::HttpAnswered, Kind::HttpEnded],
    vacuous: "no stream was to be taken up after a time",
    explain: "The server had said how long to wait and ended the stream, and the client came back earlier. Servers use that to \
        spread their clients after a restart; those who do not wait are the load that keeps it down.\n\n\
        Look at the times of the end and of the GET. Mend it by keeping the newest `retry` of a stream and waiting that long.",
    start: |header: &Header| -> Box<dyn Monitor> {
        let retry_us = header.host.as_ref().and_then(|host| host.retry_ms).map(|ms| ms * 1_000);
        Box::new(StreamRetries { retry_us, ..StreamRetries::default() })
    },
};

#[derive(Default)]
struct StreamRetries {
    retry_us: Option<u64>,
    posts: BTreeMap<ServerExchange, bool>,
    ended: Option<(Seq, u64)>,
}

impl Monitor for StreamRetries {
    fn see(&mut self, event: &Event, _view: &View, tally: &mut Tally) {
        let Some(retry_us) = self.retry_us else { return };
        match &event.kind {
            EventKind::HttpReceived { verb, exchange, .. } if verb == "POST" => {
                self.posts.insert(exchange_of(event, exchange), false);
            }
            EventKind::HttpAnswered { exchange, streams: true, .. } => {
                self.posts.entry(exchange_of(event, exchange)).and_modify(|streams| *streams = true);
            }
            EventKind::HttpEnded { exchange, how: WireEnd::ByServer | WireEnd::Broken } => {
                let streamed = self.posts.remove(&exchange_of(event, exchange)).filter(|streams| *streams);
                self.ended = streamed.map(|_| (event.seq, event.at_us)).or(self.ended);
            }
            EventKind::HttpReceived { verb, headers, .. } if verb == "GET" && headers.contains_key("last-event-id") => {
                let Some((ended, at_us)) = self.ended.take() else { return };
                let waited_us = event.at_us.saturating_sub(at_us);
                if waited_us + EARLY_US >= retry_us {
                    return tally.held();
                }
                let because = format!(
                    "the stream that ended at {ended} was taken up at {}, after {} ms instead of {} ms",
                    event.seq,
                    waited_us / 1_000,
                    retry_us / 1_000
                );
                tally.broken(Violation::new("early", because, &[ended, event.seq]));
            }
            _ => {}
        }
    }
}
