//! Handshake: the order and the content of its messages.

use serde_json::Value;

use crate::check::carriers::Carrier;
use crate::check::combinator::{Judged, each};
use crate::check::early_streams::EarlyStreams;
use crate::check::host::is_responsible;
use crate::check::metadata::says_revision;
use crate::check::parts::parts;
use crate::check::peers::is_on_record;
use crate::check::{AppliesTo, Hears, Invariant, Level, Monitor, Of, Property, Tally, View, Violation, Witness};
use crate::history::{
    ConnectionId, Event, EventKind, Header, Impact, Kind, KnownMethod, Message, Name, Seq, SocketId, Table, WireEnd,
};
use crate::plan::Promise;

/// Counter-examples: A client of both generations may send `server/discover` first, or any request of the stateless
/// generation. Pings, responses and cancellations belong to no phase. Two
/// sockets have no order, so a request may overtake the notification on another one. A client may send `initialize` again after an error, or
/// go on without a handshake, as a server of the stateless generation expects. If a script garbles answers so that the
/// journal does not show what the client read, a connection is not judged any further once it has carried `initialize`.
/// Nothing that a client may have read lets it leave that out. No text says that a GET is an interaction, so a stream that a client
/// requests too early is a warning.
pub(super) const HANDSHAKE_ORDER: Invariant = Invariant {
    id: "handshake-order",
    property: Property::Safety,
    level: Level::Must,
    claim: "a connection opens with initialize, its answer and notifications/initialized, before any other request",
    source: "2025-11-25, basic/lifecycle, Initialization; the same in all revisions from 2024-11-05",
    requirement: &["LC-INIT-01", "LC-INIT-03", "LC-INIT-04", "LC-INIT-05"],
    applies: AppliesTo::HANDSHAKE,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[
        Kind::SocketOpened,
        Kind::SocketClosed,
        Kind::ConnectionOpened,
        Kind::ConnectionClosed,
        Kind::WireEof,
        Kind::WireReceived,
        Kind::WireSent,
        Kind::FaultDelivered,
        Kind::HttpReceived,
        Kind::HttpAnswered,
    ],
    hears: Hears::only(&[(Kind::WireSent, &[Of::Answer(KnownMethod::Initialize)]), (Kind::HttpReceived, &[Of::Get])]),
    vacuous: "no client sent a message",
    explain: "The client sent a message out of turn while a session was being opened. Lenient servers accept it; \
        strict ones refuse the session or drop the request, so the program works on one machine and not on the next. \
        Concurrency is the usual reason: a call goes out while another task still waits for the answer to \
        `initialize`.\n\n\
        Look at the order of messages on that connection. To fix it, share the session only after \
        `notifications/initialized` was written.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(Handshakes::default()) },
};

#[derive(Default)]
struct Handshakes {
    open: Table<ConnectionId, Handshake>,
    /// The open sockets of each mock, with the events that opened them.
    sockets: Table<(Name, SocketId), Seq>,
    streams: EarlyStreams,
}

#[derive(Default)]
struct Handshake {
    initialize: Option<(Seq, Name)>,
    answer: Option<InitializeAnswer>,
    initialized: Option<Seq>,
    /// Whether a script made the answer to `initialize` odd.
    is_odd: bool,
    /// Whether the journal may not show what the client read.
    is_garbled: bool,
    /// Whether judging has stopped: the handshake was broken already, or the server has closed its output.
    has_stopped: bool,
    /// A request that came before notifications/initialized, and its socket: on another socket, the notification may be
    /// under way.
    raced: Option<(Violation, Seq, Carrier)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum InitializeAnswer {
    Result,
    Error,
}

impl Monitor for Handshakes {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        self.streams.see(event, view).into_iter().for_each(|violation| tally.broken(violation));
        match &event.kind {
            EventKind::ConnectionOpened { connection } => {
                self.open.insert(connection.clone(), Handshake::default());
            }
            EventKind::SocketOpened { socket, .. } => {
                self.sockets.insert((event.source.to_name(), socket.clone()), event.seq);
            }
            EventKind::SocketClosed { socket, .. } => {
                self.sockets.swap_remove(&(event.source.to_name(), socket.clone()));
            }
            // A server that has closed its output may read on.
            EventKind::ConnectionClosed { connection, how: WireEnd::ByServer } => {
                self.open.entry(connection.clone()).or_default().has_stopped = true;
            }
            EventKind::ConnectionClosed { connection, how: WireEnd::ByClient | WireEnd::Broken }
            | EventKind::WireEof { connection } => {
                let raced = self.open.swap_remove(connection).and_then(|handshake| handshake.raced);
                raced.into_iter().for_each(|(violation, ..)| tally.broken(violation));
            }
            // The journal shows what the client read: only after an odd answer to `initialize` may it begin again.
            EventKind::FaultDelivered { fault, .. } if is_on_record(fault) => {
                let server = event.source.server().unwrap_or_default();
                if fault.ends_with(":initialize") {
                    let of_server = |id: &ConnectionId| view.connection(id).is_some_and(|one| one.server == server);
                    self.open.iter_mut().filter(|(id, _)| of_server(id)).for_each(|(_, one)| one.is_odd = true);
                }
            }
            EventKind::FaultDelivered { impairs: Impact::Answers | Impact::Connection, .. } => {
                let Some(server) = event.source.server() else { return };
                for (id, handshake) in &mut self.open {
                    let is_of_server = view.connection(id).is_none_or(|connection| connection.server == server);
                    handshake.is_garbled |= is_of_server;
                }
            }
            EventKind::WireReceived { connection, message } => {
                let carrier = view.carrier(event);
                let opened = carrier.and_then(|on| self.sockets.get(&(on.mock.clone(), on.socket.clone())));
                let handshake = self.open.entry(connection.clone()).or_default();
                for part in parts(message).iter() {
                    handshake.settle(part, (carrier, opened.copied()), tally);
                    handshake.receive(event.seq, connection, part, (carrier, tally));
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

    fn end(&self, view: &View, tally: &mut Tally) {
        let open = self.open.values().filter(|_| is_responsible(view));
        let raced = open.filter_map(|handshake| handshake.raced.as_ref());
        raced.for_each(|(violation, ..)| tally.broken(violation.clone()));
    }
}

impl Handshake {
    /// Judges a request that came before notifications/initialized, once the notification arrives. The notification was
    /// under way if its socket is another one and was open already.
    fn settle(&mut self, message: &Message, (carrier, opened): (Option<&Carrier>, Option<Seq>), tally: &mut Tally) {
        if message.method() != Some("notifications/initialized") {
            return;
        }
        let Some((violation, seq, on)) = self.raced.take() else { return };
        let is_other = carrier.is_some_and(|now| now.socket != on.socket) && opened.is_none_or(|opened| opened < seq);
        if !is_other {
            self.has_stopped = true;
            tally.broken(violation);
        }
    }

    fn receive(
        &mut self,
        seq: Seq,
        connection: &ConnectionId,
        message: &Message,
        (carrier, tally): (Option<&Carrier>, &mut Tally),
    ) {
        let Some(method) = message.method().filter(|_| !self.has_stopped) else { return };
        let is_request = message.is_any_request();
        let is_of_no_phase = matches!(method, "ping" | "notifications/cancelled");
        let is_of_revision = says_revision(message);
        let has_no_session = self.initialize.is_none() || self.answer == Some(InitializeAnswer::Error);
        let is_probe = (method == "server/discover" || is_of_revision && is_request) && has_no_session;
        if is_of_no_phase || is_probe {
            return;
        }
        if self.is_garbled && self.initialize.is_some() {
            self.has_stopped = true;
            return;
        }
        let (variant, what, before) = match (&self.initialize, method) {
            (None, "initialize") => {
                self.initialize = message.id().map(|id| (seq, Name::from(id)));
                tally.held();
                return;
            }
            (Some(_), "initialize") if self.answer == Some(InitializeAnswer::Error) => {
                self.initialize = message.id().map(|id| (seq, Name::from(id)));
                self.answer = None;
                return;
            }
            (None, _) => ("first-not-initialize", "before any initialize", None),
            (Some(_), "initialize") if self.is_odd => {
                self.has_stopped = true;
                return;
            }
            (Some((first, _)), "initialize") => ("initialize-twice", "a second time", Some(*first)),
            (Some((first, _)), "notifications/initialized") => match (self.answer, self.initialized) {
                (None, _) => ("initialized-before-answer", "before initialize was answered", Some(*first)),
                (Some(InitializeAnswer::Error), None) => {
                    ("after-refusal", "after initialize was refused", Some(*first))
                }
                (Some(_), Some(earlier)) => ("initialized-twice", "a second time", Some(earlier)),
                (Some(InitializeAnswer::Result), None) => {
                    self.initialized = Some(seq);
                    return;
                }
            },
            (Some((first, _)), _) => match (self.answer, self.initialized) {
                (None, _) if is_request => ("request-before-answer", "before initialize was answered", Some(*first)),
                (Some(InitializeAnswer::Result), None) if is_request => {
                    ("request-before-initialized", "before notifications/initialized", Some(*first))
                }
                (Some(InitializeAnswer::Error), None) if is_request && !says_revision(message) => {
                    ("after-refusal", "after initialize was refused", Some(*first))
                }
                (None | Some(InitializeAnswer::Result | InitializeAnswer::Error), _) => return,
            },
        };
        let because = format!("{method} was sent on connection {connection} at {seq} {what}");
        let witness: Vec<Seq> = before.into_iter().chain([seq]).collect();
        let violation = Violation::new(variant, because, &witness);
        if let Some(carrier) = carrier.filter(|_| variant == "request-before-initialized") {
            self.raced.get_or_insert_with(|| (violation, seq, carrier.clone()));
            return;
        }
        self.has_stopped = true;
        // LC-INIT-05 is a SHOULD NOT, and LC-INIT-04 follows from the text; the others are MUSTs.
        let is_should = matches!(variant, "request-before-answer" | "after-refusal");
        tally.broken(if is_should { violation.as_warning() } else { violation });
    }

    fn send(&mut self, message: &Message) {
        let id = message.id().map(|_| message.id_text());
        let is_answer = message.is_response() && self.initialize.as_ref().map(|(_, id)| id) == id.as_ref();
        if is_answer && self.answer.is_none() {
            self.answer = Some(if message.is_error() { InitializeAnswer::Error } else { InitializeAnswer::Result });
        }
    }
}

/// Counter-examples: The recorder keeps a message above the size limit without its parameters. A client may offer a
/// revision that is newer than this program, or a draft of one.
pub(super) const INITIALIZE_COMPLETE: Invariant = Invariant {
    id: "initialize-complete",
    property: Property::Safety,
    level: Level::Must,
    claim: "initialize carries a possible revision, capabilities, and the client's name and version",
    source: "2025-11-25, basic/lifecycle, Initialization; the same in all revisions from 2024-11-05",
    requirement: &["LC-INIT-02", "LC-INIT-07"],
    applies: AppliesTo::HANDSHAKE,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::WireReceived],
    hears: Hears::only(&[(Kind::WireReceived, &[Of::Request(KnownMethod::Initialize)])]),
    vacuous: "no client sent initialize",
    explain: "The client sent `initialize` without a revision, without its capabilities, or without its name and \
        version. A strict server refuses the session. Lenient servers guess the revision, and different servers guess \
        different revisions.\n\n\
        Look at the parameters in the witness. To fix it, send all three; empty capabilities are an empty object.",
    start: |_: &Header| -> Box<dyn Monitor> { each(judge_initialize) },
};

fn judge_initialize(event: &Event, _view: &View) -> Judged {
    let EventKind::WireReceived { connection, message } = &event.kind else { return Judged::Unrelated };
    if !message.is_request("initialize") || message.is_cut() {
        return Judged::Unrelated;
    }
    if let Some(offered) = message.at(&["params", "protocolVersion"]).and_then(Value::as_str)
        && !is_version(offered)
    {
        let because = format!("initialize was sent on connection {connection} at {} and offers {offered:?}", event.seq);
        return Judged::Broken(Violation::new("no-such-version", because, &[event.seq]));
    }
    let params = message.at(&["params"]);
    let param = |path: &[&str]| path.iter().try_fold(params?, |value, name| value.get(*name));
    let is_text = |path: &[&str]| param(path).is_some_and(Value::is_string);
    let missing = if !is_text(&["protocolVersion"]) {
        "protocol-version"
    } else if !param(&["capabilities"]).is_some_and(Value::is_object) {
        "capabilities"
    } else if !is_text(&["clientInfo", "name"]) || !is_text(&["clientInfo", "version"]) {
        "client-info"
    } else {
        return Judged::Held;
    };
    let because = format!("initialize was sent on connection {connection} at {} without {missing}", event.seq);
    Judged::Broken(Violation::new(missing, because, &[event.seq]))
}

/// Whether a text can name a revision: a date from the first published one on, or a draft.
fn is_version(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let number = |part: &str, n_digits, range: std::ops::RangeInclusive<u32>| {
        part.len() == n_digits && part.parse().is_ok_and(|number: u32| range.contains(&number))
    };
    let is_date = match parts.as_slice() {
        [year, month, day] => number(year, 4, 2024..=9999) && number(month, 2, 1..=12) && number(day, 2, 1..=31),
        _ => false,
    };
    (is_date && (FIRST_PUBLISHED..BEYOND_ALL).contains(&text)) || text.to_ascii_lowercase().contains("draft")
}

/// The first revision that was published, before 2024-11-05.
const FIRST_PUBLISHED: &str = "2024-10-07";
/// No revision has a date as late as this one while this program is in use.
const BEYOND_ALL: &str = "2050";

/// Counter-examples: A load that was cancelled, or gave up on the server, need not finish the handshake. Pings may come
/// before the answer was read; over HTTP a request that names the session shows that it was.
pub(super) const INITIALIZED_SENT: Invariant = Invariant {
    id: "initialized-sent",
    property: Property::Liveness,
    level: Level::Must,
    claim: "a session is in use only after notifications/initialized was sent on it",
    source: "2025-11-25, basic/lifecycle, Initialization; the same in all revisions from 2024-11-05",
    requirement: &["LC-INIT-03"],
    applies: AppliesTo::HANDSHAKE,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::WireReceived, Kind::WireSent, Kind::WireEof, Kind::ConnectionClosed, Kind::OperationCompleted],
    hears: Hears::only(&[
        (
            Kind::WireReceived,
            &[
                Of::Request(KnownMethod::Initialize),
                Of::Notice(KnownMethod::Initialized),
                Of::Request(KnownMethod::Ping),
            ],
        ),
        (Kind::WireSent, &[Of::Answer(KnownMethod::Initialize)]),
        (Kind::OperationCompleted, &[Of::Loads]),
    ]),
    vacuous: "no server answered initialize",
    explain: "The server answered `initialize`, the load handed out its tools, and the client never sent \
        `notifications/initialized`. Until the server receives that notification, it may refuse every request and may \
        not send requests of its own, so sampling and roots do not work.\n\n\
        Look at the connection of the witness. To fix it, send the notification right after the answer, before you \
        list the tools.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(InitializedConnections::default()) },
};

#[derive(Default)]
struct InitializedConnections {
    asked: Table<ConnectionId, Name>,
    owed: Table<ConnectionId, Seq>,
    /// Pings in sessions whose `initialize` was answered.
    pinged: Table<ConnectionId, Seq>,
}

impl Monitor for InitializedConnections {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        match &event.kind {
            EventKind::WireReceived { connection, message } if message.is_request("initialize") => {
                let id = message.id_text();
                self.asked.insert(connection.clone(), id);
            }
            EventKind::WireReceived { connection, message } if !self.owed.is_empty() => {
                // Another rule judges one with an id.
                let is_notice = |part: &Message| part.method() == Some("notifications/initialized");
                if parts(message).iter().any(is_notice) && self.owed.swap_remove(connection).is_some() {
                    tally.held();
                }
                let is_in_session = view.carrier(event).is_some() && self.owed.contains_key(connection);
                if is_in_session && parts(message).iter().any(|part| part.is_request("ping")) {
                    self.pinged.entry(connection.clone()).or_insert(event.seq);
                }
            }
            EventKind::WireSent { connection, message } if !self.asked.is_empty() => {
                let id = message.id().map(|_| message.id_text());
                if message.at(&["result"]).is_some() && self.asked.get(connection) == id.as_ref() {
                    self.asked.swap_remove(connection);
                    self.owed.insert(connection.clone(), event.seq);
                }
            }
            EventKind::WireEof { connection } | EventKind::ConnectionClosed { connection, .. } => {
                self.asked.swap_remove(connection);
                let pinged = self.pinged.swap_remove(connection);
                let is_by_client = matches!(&event.kind, EventKind::ConnectionClosed { how: WireEnd::ByClient, .. });
                if let (Some(answered), Some(pinged)) =
                    (self.owed.swap_remove(connection), pinged.filter(|_| is_by_client))
                {
                    let because = format!(
                        "connection {connection} was in use at {pinged} and ended at {}, and no notifications/initialized had followed the answer of {answered}",
                        event.seq
                    );
                    tally.broken(Violation::new("never", because, &[answered, pinged, event.seq]));
                }
            }
            EventKind::OperationCompleted { .. } if !self.owed.is_empty() => self.completed(event, view, tally),
            _ => {}
        }
    }
}

impl InitializedConnections {
    fn completed(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        self.owed.retain(|connection, answered| {
            let server = view.connection(connection).and_then(|connection| view.server(&connection.server));
            let is_in_use = server.is_some_and(|server| {
                server.handed_out == Some(event.seq) && server.newest.as_ref() == Some(connection)
            });
            if is_in_use {
                let because = format!(
                    "connection {connection} was in use at {}, and no notifications/initialized had followed the answer of {answered}",
                    event.seq
                );
                tally.broken(Violation::new("missing", because, &[*answered, event.seq]));
            }
            !is_in_use
        });
    }
}

/// Counter-example: a client that the harness killed during the handshake may have been about to send the notification.
pub(super) const SESSION_INITIALIZED: Invariant = Invariant {
    id: "session-initialized",
    property: Property::Liveness,
    level: Level::Must,
    claim: "every session that was opened gets notifications/initialized",
    source: "2025-11-25, basic/lifecycle, Initialization",
    requirement: &["LC-INIT-03"],
    applies: AppliesTo::SESSIONS,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::SessionOpened, Kind::WireReceived],
    hears: Hears::only(&[(Kind::WireReceived, &[Of::Notice(KnownMethod::Initialized)])]),
    vacuous: "no session was opened",
    explain: "The server answered `initialize`, and the client never sent `notifications/initialized`. Until the \
        server receives that notification, it may refuse every request and may not send requests of its own.\n\n\
        Look at the messages after the answer on that connection. To fix it, send the notification right after the \
        answer.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(InitializedSessions::default()) },
};

#[derive(Default)]
struct InitializedSessions {
    owed: Table<ConnectionId, Seq>,
}

impl Monitor for InitializedSessions {
    fn see(&mut self, event: &Event, _view: &View, tally: &mut Tally) {
        match &event.kind {
            EventKind::SessionOpened { connection, .. } => {
                self.owed.insert(connection.clone(), event.seq);
            }
            EventKind::WireReceived { connection, message } => {
                // Another rule judges one with an id.
                let is_notice = parts(message).iter().any(|part| part.method() == Some("notifications/initialized"));
                if is_notice && self.owed.swap_remove(connection).is_some() {
                    tally.held();
                }
            }
            _ => {}
        }
    }

    fn end(&self, view: &View, tally: &mut Tally) {
        for (connection, opened) in self.owed.iter().filter(|_| is_responsible(view)) {
            let because = format!("the session of connection {connection}, opened at {opened}, was never initialized");
            tally.broken(Violation::new("missing", because, &[*opened]));
        }
    }
}
