//! Pings that a client sends: how often it sends them, and how it handles silence.

use std::collections::VecDeque;
use std::time::Duration;

use crate::check::parts::parts;
use crate::check::{AppliesTo, Hears, Invariant, Level, Monitor, Of, Property, Tally, View, Violation, Witness};
use crate::history::{ConnectionId, Event, EventKind, Header, Kind, KnownMethod, Seq, Table};
use crate::plan::Promise;

/// Too many pings: this many pings of one connection...
const MANY: usize = 30;
/// ... in this time.
const SHORT: Duration = Duration::from_secs(1);

/// Counter-example: a client may ping some times in a row, before each use of a connection.
pub(super) const PINGS_MODEST: Invariant = Invariant {
    id: "pings-modest",
    property: Property::Safety,
    level: Level::Should,
    claim: "a client pings at a modest rate",
    source: "2025-11-25, basic/utilities/ping, Implementation Considerations: excessive pinging should be avoided",
    requirement: &["LC-PING-04"],
    applies: AppliesTo::HANDSHAKE,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::WireReceived, Kind::WireEof, Kind::ConnectionClosed],
    hears: Hears::only(&[(Kind::WireReceived, &[Of::Request(KnownMethod::Ping)])])
        .from(&[(Kind::WireReceived, &[Of::Request(KnownMethod::Ping)])]),
    vacuous: "no client sent a ping",
    explain: "The client pinged one connection dozens of times within a second. Each ping costs both sides a message and a \
        wake-up, and over HTTP a request. Such pings show nothing more than a ping every few seconds, and servers that \
        limit rates end the session.\n\n\
        Look at the loop that sends the pings. The usual reason is a wait that ends at once, such as a timer of zero, or a \
        loop that pings again as soon as it has its answer. To fix it, wait some seconds between two pings, and make the \
        interval configurable.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(PingRate::default()) },
};

#[derive(Default)]
struct PingRate {
    /// The newest pings of each connection, with their times.
    newest: Table<ConnectionId, VecDeque<(Seq, u64)>>,
}

impl Monitor for PingRate {
    fn see(&mut self, event: &Event, _view: &View, tally: &mut Tally) {
        match &event.kind {
            EventKind::WireReceived { connection, message } => {
                for _ in parts(message).iter().filter(|part| part.is_request("ping")) {
                    let newest = self.newest.entry(connection.clone()).or_default();
                    newest.push_back((event.seq, event.at_us));
                    let Some(&(first, since_us)) = newest.front().filter(|_| newest.len() >= MANY) else {
                        tally.held();
                        continue;
                    };
                    if Duration::from_micros(event.at_us.saturating_sub(since_us)) >= SHORT {
                        newest.pop_front();
                        tally.held();
                        continue;
                    }
                    let because = format!(
                        "{MANY} pings were sent on connection {connection} in less than a second, from {first} to {}",
                        event.seq
                    );
                    newest.clear();
                    tally.broken(Violation::new("too-many", because, &[first, event.seq]));
                }
            }
            EventKind::WireEof { connection } | EventKind::ConnectionClosed { connection, .. } => {
                self.newest.swap_remove(connection);
            }
            _ => {}
        }
    }
}

/// Number of pings without an answer after which the connection counts as dead.
const UNANSWERED: usize = 3;
/// Time for the answer to the last of them.
const PATIENCE: Duration = Duration::from_secs(1);

/// Counter-examples: One lost ping is not a failure. A client that opens a new session, or exits, has reacted. Answers
/// to other requests show that the server works.
pub(super) const SILENT_CONNECTION_LEFT: Invariant = Invariant {
    id: "silent-connection-left",
    property: Property::Safety,
    level: Level::Should,
    claim: "a client whose pings stay unanswered stops using the connection",
    source: "2025-11-25, basic/utilities/ping, Behavior Requirements and Error Handling: a timeout is a connection failure",
    requirement: &["LC-PING-03"],
    applies: AppliesTo::HANDSHAKE,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::WireReceived, Kind::WireSent, Kind::WireEof, Kind::ConnectionClosed],
    hears: Hears::only(&[(Kind::WireReceived, &[Of::AnyRequest]), (Kind::WireSent, &[Of::AnyAnswer])])
        .from(&[(Kind::WireReceived, &[Of::Request(KnownMethod::Ping)])]),
    vacuous: "no ping of a client was answered or left unanswered",
    explain: "The client pinged its server again and again, got no answer to anything, and then sent the next request on \
        the same connection. A ping without an answer shows that the connection is dead. The next request on it waits \
        until its own timeout, and so does its caller.\n\n\
        Look at the last pings before the request. To fix it, give each ping a timeout, treat an overdue ping as a \
        failure of the connection, and open a new connection before the next request.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(SilentPings::default()) },
};

#[derive(Default)]
struct SilentPings {
    /// Pings since the newest answer of the server, by connection: how many, the first, and the newest with its time.
    silent: Table<ConnectionId, (usize, Seq, Seq, u64)>,
}

impl Monitor for SilentPings {
    fn see(&mut self, event: &Event, _view: &View, tally: &mut Tally) {
        match &event.kind {
            EventKind::WireReceived { connection, message } => {
                for part in parts(message).iter().filter(|part| part.is_any_request()) {
                    if part.is_request("ping") {
                        let new = (0, event.seq, event.seq, event.at_us);
                        let silent = self.silent.entry(connection.clone()).or_insert(new);
                        (silent.0, silent.2, silent.3) = (silent.0 + 1, event.seq, event.at_us);
                        continue;
                    }
                    let Some(&(n_pings, first, newest, at_us)) = self.silent.get(connection) else { continue };
                    let waited = Duration::from_micros(event.at_us.saturating_sub(at_us));
                    if n_pings < UNANSWERED || waited < PATIENCE {
                        continue;
                    }
                    let because = format!(
                        "{} was sent on connection {connection} at {}, after {n_pings} pings from {first} to {newest} had no answer",
                        part.method().unwrap_or_default(),
                        event.seq
                    );
                    self.silent.swap_remove(connection);
                    tally.broken(Violation::new("went-on", because, &[first, newest, event.seq]).of_bound(PATIENCE));
                }
            }
            EventKind::WireSent { connection, message } if !self.silent.is_empty() => {
                let is_answer = parts(message).iter().any(|part| part.is_response());
                if is_answer && self.silent.swap_remove(connection).is_some() {
                    tally.held();
                }
            }
            EventKind::WireEof { connection } | EventKind::ConnectionClosed { connection, .. } => {
                let n_pings = self.silent.swap_remove(connection).map_or(0, |(n_pings, ..)| n_pings);
                if n_pings >= UNANSWERED {
                    tally.held();
                }
            }
            _ => {}
        }
    }
}
