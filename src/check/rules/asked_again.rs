//! Subscriptions that a server grants only partly, or ends gracefully: when a client asks again.

use serde_json::{Map, Value};

use crate::check::agreement::Spoken;
use crate::check::parts::parts;
use crate::check::rules::subscriptions::{LISTEN, id_of, is_change, subscription_in};
use crate::check::senders::Sender;
use crate::check::{AppliesTo, Hears, Invariant, Level, Monitor, Property, Tally, View, Violation, Witness};
use crate::history::{ConnectionId, Event, EventKind, Header, Kind, Message, Seq, Table};
use crate::plan::Promise;

/// The notification with which a server grants a subscription.
const ACKNOWLEDGED: &str = "notifications/subscriptions/acknowledged";
/// Number of repetitions after which a behaviour counts.
const AGAIN: usize = 3;

/// A subscription that is asked for again within this time was asked for at once.
const AT_ONCE_US: u64 = 250_000;
/// Number of gracefully ended subscriptions that a client asks for again at once, before that counts.
const STORM: usize = 6;

/// Counter-examples: A client may subscribe again when its server has ended a subscription, and at once the first times.
/// Several clients may do so together, so only a chain of subscriptions over the same pipes or the same socket is judged. A
/// client that makes other requests in between does something else as well, and a notification shows that the
/// subscription was useful.
pub(super) const ENDED_SUBSCRIPTION_CALM: Invariant = Invariant {
    id: "ended-subscription-calm",
    property: Property::Safety,
    level: Level::Should,
    claim: "a client slows down if its server ends each subscription gracefully",
    source: "2026-07-28, basic/patterns/subscriptions, Graceful Closure; VG-19: reconnects slow down",
    requirement: &["LC-SUB-09"],
    applies: AppliesTo::STATELESS,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::HttpReceived, Kind::WireReceived, Kind::WireSent],
    hears: Hears::only(&[(Kind::HttpReceived, &[])]),
    vacuous: "no server ended a subscription gracefully",
    explain: "The server ended the subscription gracefully, by answering the request, and the client subscribed again \
        at once, each time. The client treats this end like a broken connection. One such client keeps a processor \
        busy; a thousand of them prevent a server from shutting down.\n\n\
        Look at the answers to `subscriptions/listen` and at the time of the request after each. To fix it, \
        distinguish an answer from an error, and wait longer after each subscription that brought no notification.",
    start: |_: &Header| -> Box<dyn Monitor> {
        let (open, chains) = (Table::default(), Table::default());
        Box::new(EndedSubscriptions { open, chains })
    },
};

struct EndedSubscriptions {
    /// Open subscriptions, each with its client.
    open: Table<(ConnectionId, String), Sender>,
    chains: Table<Sender, Chain>,
}

/// Subscriptions of one client, one after the other.
#[derive(Default)]
struct Chain {
    /// The graceful end of the newest subscription, and its time.
    ended: Option<(Seq, u64)>,
    /// The ends after which it was asked for again at once.
    again: Vec<Seq>,
}

impl Monitor for EndedSubscriptions {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        match &event.kind {
            EventKind::WireReceived { connection, message } => {
                for part in parts(message).iter().filter(|part| part.is_any_request()) {
                    let sender = view.senders().connection(event);
                    if part.is_request(LISTEN) && !matches!(view.spoken(connection), Spoken::Handshake(..)) {
                        let is_alone = self.open.values().all(|of| *of != sender);
                        self.chains.entry(sender.clone()).or_default().listen(event, is_alone, tally);
                        self.open.insert((connection.clone(), id_of(part)), sender);
                    } else if let Some(chain) = self.chains.get_mut(&sender) {
                        chain.rest();
                    }
                }
            }
            EventKind::WireSent { connection, message } if !self.open.is_empty() => {
                for part in parts(message).iter() {
                    if part.is_response() {
                        let sender = self.open.swap_remove(&(connection.clone(), id_of(part)));
                        if let Some(sender) = sender.filter(|_| !part.is_error()) {
                            tally.held();
                            self.chains.entry(sender).or_default().ended = Some((event.seq, event.at_us));
                        }
                    } else if is_change(part) {
                        let server = event.source.to_string();
                        let told = self.chains.iter_mut().filter(|(sender, _)| sender.server == server);
                        told.for_each(|(_, chain)| chain.rest());
                    }
                }
            }
            _ => {}
        }
    }
}

impl Chain {
    fn rest(&mut self) {
        self.ended = None;
        self.again.clear();
    }

    fn listen(&mut self, event: &Event, is_alone: bool, tally: &mut Tally) {
        let ended = self.ended.take();
        let at_once = |(_, at_us): &(Seq, u64)| event.at_us.saturating_sub(*at_us) < AT_ONCE_US;
        let Some((ended, _)) = ended.filter(|ended| is_alone && at_once(ended)) else { return self.again.clear() };
        self.again.push(ended);
        if self.again.len() >= STORM {
            let first = self.again[0];
            let because = format!(
                "a subscription that its server had ended gracefully was asked for again at once {} times in a row, from {first} to {}",
                self.again.len(),
                event.seq
            );
            tally.broken(Violation::new("storm", because, &[first, event.seq]));
            self.again.clear();
        }
    }
}

/// Counter-examples: A server may grant less than the client asked for. Several clients may ask for the same, and one
/// client for each call, so only a client that cancels a subscription because of its filter, and makes no other request
/// before it asks for the same again over the same pipes, is judged. Over HTTP the end of a stream is that of its socket, and
/// the next subscription may be another client's.
pub(super) const SMALLER_FILTER_ACCEPTED: Invariant = Invariant {
    id: "smaller-filter-accepted",
    property: Property::Safety,
    level: Level::Should,
    claim: "a client continues with the filter that its server grants, or without a subscription",
    source: "2026-07-28, basic/patterns/subscriptions, Acknowledgment",
    requirement: &["LC-SUB-05"],
    applies: AppliesTo::STATELESS,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::HttpReceived, Kind::WireReceived, Kind::WireSent],
    hears: Hears::only(&[(Kind::HttpReceived, &[])]),
    vacuous: "no server granted less than a client had asked for",
    explain: "The server granted only some kinds of the notifications that the client asked for, as it may, and its \
        acknowledgement says so. The client ended the subscription and asked for the same filter again, several times. \
        The answer stays the same, and the client also loses the notifications that the server had granted.\n\n\
        Look at `notifications` in the request and in the acknowledgement. To fix it, compare the two and keep the \
        subscription for the granted kinds. For the other kinds, list again when a list is used.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(GrantedFilters { clients: Table::default() }) },
};

struct GrantedFilters {
    clients: Table<Sender, Insisting>,
}

/// What was granted to one client, and how often it asked for the same again.
#[derive(Default)]
struct Insisting {
    /// Open subscriptions: their request, and whether less was granted.
    open: Table<(ConnectionId, String), OpenFilter>,
    /// The filter of the subscription that its client ended because of what was granted.
    given_up: Option<Value>,
    /// The acknowledgements after which the same was asked for again.
    again: Vec<Seq>,
}

struct OpenFilter {
    asked: Value,
    refused: Option<Seq>,
}

impl Monitor for GrantedFilters {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        match &event.kind {
            EventKind::WireReceived { connection, message } => {
                let sender = view.senders().connection(event);
                for part in parts(message).iter() {
                    if part.is_request(LISTEN) && !matches!(view.spoken(connection), Spoken::Handshake(..)) {
                        let client = self.clients.entry(sender.clone()).or_default();
                        client.listen(event.seq, connection, part, tally);
                    } else if let Some(client) = self.clients.get_mut(&sender) {
                        match part.cancelled_request() {
                            Some(id) => client.leave(&(connection.clone(), id.to_string())),
                            None => client.rest(),
                        }
                    }
                }
            }
            EventKind::WireSent { connection, message } => {
                for part in parts(message).iter() {
                    let id = if part.is_response() { Some(id_of(part)) } else { subscription_in(part) };
                    let Some(key) = id.map(|id| (connection.clone(), id)) else { continue };
                    let client = self.clients.values_mut().find(|client| client.open.contains_key(&key));
                    let Some(client) = client else { continue };
                    if part.is_response() {
                        client.open.swap_remove(&key);
                    } else if part.method() == Some(ACKNOWLEDGED) {
                        client.grant(event.seq, &key, part, tally);
                    }
                }
            }
            _ => {}
        }
    }
}

impl Insisting {
    fn rest(&mut self) {
        self.given_up = None;
        self.again.clear();
    }

    fn listen(&mut self, now: Seq, connection: &ConnectionId, request: &Message, tally: &mut Tally) {
        let asked = request.at(&["params", "notifications"]).cloned().unwrap_or_default();
        let is_same = self.given_up.take().is_some_and(|given_up| given_up == asked);
        if !is_same || !self.open.is_empty() {
            self.again.clear();
        } else if self.again.len() >= AGAIN {
            let first = self.again[0];
            let because = format!(
                "a subscription was ended because of the smaller filter that its server granted, and asked for again unchanged, {} times from {first} to {now}",
                self.again.len()
            );
            tally.broken(Violation::new("insisted", because, &[first, now]));
            self.again.clear();
        }
        self.open.insert((connection.clone(), id_of(request)), OpenFilter { asked, refused: None });
    }

    fn grant(&mut self, now: Seq, key: &(ConnectionId, String), message: &Message, tally: &mut Tally) {
        let Some(open) = self.open.get_mut(key) else { return };
        let nothing = Map::new();
        let granted = message.at(&["params", "notifications"]).and_then(Value::as_object).unwrap_or(&nothing);
        let asked = open.asked.as_object().unwrap_or(&nothing);
        let is_smaller =
            asked.iter().any(|(kind, value)| *value != Value::Bool(false) && granted.get(kind) != Some(value));
        if is_smaller && open.refused.is_none() {
            open.refused = Some(now);
            tally.held();
        }
    }

    /// The client ends a subscription.
    fn leave(&mut self, key: &(ConnectionId, String)) {
        let Some(open) = self.open.swap_remove(key) else { return };
        match open.refused {
            Some(refused) => {
                self.given_up = Some(open.asked.clone());
                self.again.push(refused);
            }
            None => self.rest(),
        }
    }
}
