//! Generations: a client remembers the generation of a server for its next requests.

use serde_json::Value;

use crate::check::metadata::{CLIENT, VERSION};
use crate::check::parts::parts;
use crate::check::senders::Sender;
use crate::check::{AppliesTo, Hears, Invariant, Level, Monitor, Of, Property, Tally, View, Violation, Witness};
use crate::history::{
    ConnectionId, Event, EventKind, ExchangeId, Header, Impact, KeySet, Kind, KnownMethod, Message, Name, Seq, Table,
    WireEnd,
};
use crate::plan::Promise;

/// The revision that a request of the stateless generation carries.
pub(super) fn revision_of(request: &Message) -> Option<&str> {
    request.at(&["params", "_meta", VERSION]).and_then(Value::as_str)
}

/// How often a program that may be several clients may ask a server for its generation again.
const PROBES_OF_PROGRAM: usize = 2;

/// Most repeated questions of one client that are reported.
const AGAIN_MAX: usize = 1_000;

/// Counter-examples: Two clients on one server each ask once. A server that starts again, refuses something, or ends a
/// session may have become another one. A program may hold several clients; it counts once it has asked three times. A session
/// that is older than the question and is used after it belongs to another client: the two share a program, or its sockets.
pub(super) const GENERATION_REMEMBERED: Invariant = Invariant {
    id: "era-remembered",
    property: Property::Safety,
    level: Level::Should,
    claim: "a client that has fallen back to initialize does not ask the same server for its generation again",
    source: "2026-07-28, basic/versioning, Backward Compatibility with Initialization-Based Versions",
    requirement: &["LC-ERA-10"],
    applies: AppliesTo::ALL,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[
        Kind::HttpReceived,
        Kind::HttpAnswered,
        Kind::WireReceived,
        Kind::WireSent,
        Kind::FaultDelivered,
        Kind::SessionClosed,
        Kind::ConnectionClosed,
        Kind::PlanEnded,
    ],
    hears: Hears::only(&[
        (Kind::HttpReceived, &[]),
        (Kind::WireReceived, &[Of::AnyRequest]),
        (Kind::WireSent, &[Of::AnyAnswer]),
    ])
    .sleeping(
        &[(Kind::WireReceived, &[Of::LoneRequest, Of::Request(KnownMethod::ServerDiscover)])],
        &[
            (Kind::WireReceived, &[Of::Request(KnownMethod::Initialize)]),
            (Kind::WireSent, &[Of::Answer(KnownMethod::Initialize)]),
            (Kind::FaultDelivered, &[Of::Any]),
            (Kind::SessionClosed, &[Of::Any]),
            (Kind::ConnectionClosed, &[Of::Any]),
            (Kind::PlanEnded, &[Of::Any]),
        ],
    ),
    vacuous: "no client fell back to initialize after its server had refused a request of the stateless generation",
    explain: "The server had refused a request of the stateless generation, and the client had opened a session with \
        `initialize`. Before the next session it asked again, and was refused again: each session costs a request \
        that cannot succeed, and a server that is silent instead of refusing costs a whole timeout.\n\n\
        Look at the two requests. To fix it, keep the generation with the process (stdio) or the origin (HTTP), and \
        ask again only after the server has contradicted it.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(Fallbacks { servers: Table::default() }) },
};

struct Fallbacks {
    /// The clients of each server, so that a message costs the same however many servers came before.
    servers: Table<Name, Table<Sender, Fallback>>,
}

impl Fallbacks {
    fn clients_of(&mut self, event: &Event) -> impl Iterator<Item = (&Sender, &mut Fallback)> {
        self.servers.get_mut(&event.source.to_name()).into_iter().flatten()
    }

    /// Forgets the clients of a server, with a report of what is certain about them.
    fn forget(&mut self, event: &Event, tally: &mut Tally) {
        let clients = self.servers.swap_remove(&event.source.to_name());
        clients.iter().flatten().for_each(|(_, client)| client.end(tally));
    }
}

/// How far a client is on its way to the handshake generation.
#[derive(Default)]
struct Fallback {
    /// Its newest request of the stateless generation: connection, id and exchange.
    probe: Option<(ConnectionId, Name, Option<ExchangeId>)>,
    /// The event that refused it.
    refused: Option<Seq>,
    /// Its newest `initialize`.
    initialize: Option<(ConnectionId, Name)>,
    /// The refusal, once the handshake that followed it has succeeded.
    known: Option<Seq>,
    newest_exchange: Option<ExchangeId>,
    n_again: usize,
    /// The sessions that it has opened over HTTP.
    sessions: KeySet<ConnectionId>,
    /// Its repeated questions over HTTP, each with the number of sessions before it.
    again: Vec<(usize, Violation)>,
}

impl Monitor for Fallbacks {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        match &event.kind {
            EventKind::WireReceived { connection, message } => {
                let sender = view.senders().program(event, view.is_ready());
                for part in parts(message).iter().filter(|part| part.is_any_request()) {
                    let exchange = view.carrier(event).map(|carrier| carrier.exchange.clone());
                    let is_probe = part.is_request("server/discover") || revision_of(part).is_some();
                    if !is_probe && !part.is_request("initialize") {
                        self.clients_of(event).for_each(|(_, client)| client.use_of(connection));
                        // It does not say the name of its client.
                        let here = self.clients_of(event).filter(|(of, _)| of.shares_place(&sender));
                        here.for_each(|(_, client)| client.use_session(exchange.clone(), tally));
                        continue;
                    }
                    let clients = self.servers.entry(event.source.to_name()).or_default();
                    let client = clients.entry(sender.clone().named_in(part)).or_default();
                    client.newest_exchange = exchange;
                    let may_be_several = sender.is_whole_server() && !view.is_line();
                    let violation = client.receive(event.seq, may_be_several, connection, part);
                    match violation {
                        Some(violation) if view.is_line() => tally.broken(violation),
                        // The oldest ones stay: an event that takes back a question takes back every later one.
                        Some(violation) if client.again.len() < AGAIN_MAX => {
                            client.again.push((client.sessions.len(), violation));
                        }
                        Some(_) | None => {}
                    }
                }
            }
            EventKind::WireSent { connection, message } => {
                for part in parts(message).iter().filter(|part| part.is_response()) {
                    self.clients_of(event).for_each(|(_, client)| client.answer(event.seq, connection, part));
                }
            }
            EventKind::HttpAnswered { exchange, status, .. } if *status >= 400 => {
                self.clients_of(event).for_each(|(_, client)| client.refuse(event.seq, exchange));
            }
            // Earlier knowledge about the server may be wrong now.
            EventKind::FaultDelivered { impairs: Impact::Answers | Impact::Connection, .. }
            | EventKind::SessionClosed { how: WireEnd::ByServer | WireEnd::Broken, .. }
            | EventKind::ConnectionClosed { how: WireEnd::ByServer | WireEnd::Broken, .. } => {
                self.forget(event, tally);
            }
            // The pipes were those of one process.
            EventKind::ConnectionClosed { .. } if view.is_line() => self.forget(event, tally),
            EventKind::PlanEnded {} => {
                let clients = std::mem::take(&mut self.servers);
                clients.values().flatten().for_each(|(_, client)| client.end(tally));
            }
            _ => {}
        }
    }

    fn end(&self, view: &View, tally: &mut Tally) {
        let clients = self.servers.values().flatten().map(|(_, client)| client);
        for client in clients.filter(|client| !client.again.is_empty()) {
            if view.is_cut_off() {
                tally.open("a later request may show that another client asked".to_owned(), &[]);
            } else {
                client.end(tally);
            }
        }
    }
}

impl Fallback {
    /// A request in a session: the questions since it was opened may be those of another client.
    fn use_of(&mut self, session: &ConnectionId) {
        let Some(index) = self.sessions.get_index_of(session) else { return };
        // Each question has as many sessions before it as the one before, or more.
        let n_kept = self.again.partition_point(|(n_before, _)| *n_before <= index);
        self.again.truncate(n_kept);
    }

    /// Reports the questions that no session can take back any more.
    fn end(&self, tally: &mut Tally) {
        self.again.iter().for_each(|(_, violation)| tally.broken(violation.clone()));
    }

    /// A request of the handshake generation.
    fn use_session(&mut self, exchange: Option<ExchangeId>, tally: &mut Tally) {
        self.newest_exchange = exchange;
        self.known.iter().for_each(|_| tally.held());
    }

    fn receive(
        &mut self,
        now: Seq,
        may_be_several: bool,
        connection: &ConnectionId,
        request: &Message,
    ) -> Option<Violation> {
        let id = request.id_text();
        if request.is_request("initialize") {
            self.initialize = Some((connection.clone(), id));
            return None;
        }
        self.probe = Some((connection.clone(), id, self.newest_exchange.clone()));
        let refused = self.known?;
        self.n_again += 1;
        if may_be_several && self.n_again < PROBES_OF_PROGRAM {
            return None;
        }
        let because = format!(
            "{} was sent at {now} to a server that had refused such a request at {refused} and been initialized since",
            request.method().unwrap_or_default()
        );
        Some(Violation::new("asked-again", because, &[refused, now]))
    }

    fn answer(&mut self, now: Seq, connection: &ConnectionId, response: &Message) {
        let id = response.id_text();
        if self.probe.as_ref().is_some_and(|(on, asked, _)| on == connection && *asked == id) {
            let code = response.at(&["error", "code"]).and_then(Value::as_i64);
            let is_of_generation = code.is_some_and(|code| (-32_022..=-32_020).contains(&code));
            self.refused = (response.is_error() && !is_of_generation).then_some(now);
        }
        let is_initialize = |(on, asked): &(ConnectionId, Name)| on == connection && *asked == id;
        if self.initialize.take_if(|asked| is_initialize(asked)).is_some() && !response.is_error() {
            self.known = self.known.or(self.refused);
            self.sessions.insert(connection.clone());
        }
    }

    /// An HTTP response refuses a request.
    fn refuse(&mut self, now: Seq, exchange: &ExchangeId) {
        let is_probe = self.probe.as_ref().is_some_and(|(.., of)| of.as_ref() == Some(exchange));
        if is_probe {
            self.refused.get_or_insert(now);
        } else if self.newest_exchange.as_ref() == Some(exchange) {
            (self.known, self.refused) = (None, None);
        }
    }
}

/// Ids of one client that are kept.
const IDS_MAX: usize = 10_000;

/// Counter-examples: A client may be configured to keep its name to itself; then it never says it. Two clients of one
/// server may differ, also two of one program, which may share a pool of sockets: over HTTP, only one socket on which every
/// id is another number shows one counter, and so one client. A client that fell back to `initialize` has said its name
/// there.
pub(super) const CLIENT_NAMED: Invariant = Invariant {
    id: "modern-client-named",
    property: Property::Safety,
    level: Level::Should,
    claim: "a client that says its name in one request says it in every request",
    source: "2026-07-28, basic/index, _meta",
    requirement: &["LC-META-02"],
    applies: AppliesTo::STATELESS,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::HttpReceived, Kind::WireReceived, Kind::PlanEnded],
    hears: Hears::only(&[(Kind::HttpReceived, &[])]),
    vacuous: "no client said its name",
    explain: "One request of the client carried `clientInfo` and another one did not. A stateless server keeps nothing \
        between two requests, so it does not know which client it serves, and a gateway that admits clients by name \
        refuses the second request.\n\n\
        Look at the request in the witness. To fix it, add the metadata where requests are written, not where they \
        are created.",
    start: |_: &Header| -> Box<dyn Monitor> {
        Box::new(ClientNames { clients: Table::default(), initialized: KeySet::default() })
    },
};

struct ClientNames {
    clients: Table<Sender, ClientName>,
    initialized: KeySet<ConnectionId>,
}

#[derive(Default)]
struct ClientName {
    said: Option<Seq>,
    unsaid: Option<Seq>,
    /// Over HTTP, the ids of the requests so far.
    ids: KeySet<Name>,
    /// Whether an id came twice, or is no number: then it is not known that one client sent all.
    are_several: bool,
    /// Requests unlike an earlier one, if one client sent them.
    unlike: Vec<Violation>,
}

impl Monitor for ClientNames {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        match &event.kind {
            EventKind::WireReceived { connection, message } => {
                let sender = view.senders().connection(event);
                for part in parts(message).iter().filter(|part| part.is_any_request() && !part.is_cut()) {
                    if part.is_request("initialize") {
                        self.initialized.insert(connection.clone());
                    }
                    if revision_of(part).is_some() && !self.initialized.contains(connection) {
                        let client = self.clients.entry(sender.clone()).or_default();
                        if !view.is_line() {
                            client.count(part);
                        }
                        client.name(event.seq, part, tally);
                    }
                }
            }
            EventKind::PlanEnded {} => {
                unlike(&self.clients).for_each(|violation| tally.broken(violation.clone()));
                self.clients.clear();
            }
            _ => {}
        }
    }

    fn end(&self, view: &View, tally: &mut Tally) {
        for violation in unlike(&self.clients) {
            if view.is_cut_off() {
                tally.open("a later request may show that there are two clients".to_owned(), &[]);
            } else {
                tally.broken(violation.clone());
            }
        }
    }
}

fn unlike(clients: &Table<Sender, ClientName>) -> impl Iterator<Item = &Violation> {
    clients.values().filter(|client| !client.are_several).flat_map(|client| &client.unlike)
}

impl ClientName {
    fn count(&mut self, request: &Message) {
        self.are_several |= !request.id().is_some_and(Value::is_number) || self.ids.len() >= IDS_MAX;
        self.are_several |= !self.are_several && !self.ids.insert(request.id_text());
    }

    fn name(&mut self, now: Seq, request: &Message, tally: &mut Tally) {
        // Another rule judges the shape of what it says.
        let is_named = request.at(&["params", "_meta", CLIENT]).is_some_and(|client| !client.is_null());
        let (this, other) = if is_named { (&mut self.said, self.unsaid) } else { (&mut self.unsaid, self.said) };
        let is_first = this.is_none();
        this.get_or_insert(now);
        match other {
            // One cause: a client that began silently is reported once.
            Some(other) if !is_named || is_first => {
                let method = request.method().unwrap_or_default();
                let how = if is_named { "says who its client is" } else { "does not say who its client is" };
                let unlike = if is_named { "did not" } else { "did" };
                let because = format!("{method} at {now} {how}, and the request of {other} {unlike}");
                self.unlike.push(Violation::new("not-said", because, &[other, now]));
            }
            Some(_) => {}
            None if is_named => tally.held(),
            None => {}
        }
    }
}
