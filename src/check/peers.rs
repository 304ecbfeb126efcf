//! Servers and their connections: which are open, whose tools are handed out, which were made to misbehave.

use std::borrow::Cow;

use serde_json::Value;

use crate::check::honest_answers::{is_honest, is_last_page};
use crate::history::{
    ConnectionId, Event, EventKind, Impact, KnownMethod, LinkPeer, Message, Name, OpId, Seq, ServerEnd, Source, Table,
    WireEnd,
};
use crate::plan::Revision;

/// One server of the configuration, across all its incarnations.
#[derive(Debug, Clone, Default)]
pub struct Server {
    /// The latest event after which it may lose answers or connections: a fault, a kill, or its own end. A later operation that
    /// it served shows that it has recovered.
    pub impaired: Option<Seq>,
    /// The latest of these events that cost it its connections.
    pub lost: Option<Seq>,
    /// The first failure since of a call that was invoked since.
    pub failed: Option<Seq>,
    /// The latest attempt of a client to connect: a start of the process, a socket or a connection.
    pub dialled: Option<Seq>,
    /// Whether its process has ended or is ending, and no other one has started.
    pub is_down: bool,
    /// Whether a load has ever handed out its tools.
    pub was_handed_out: bool,
    /// Up to which event its loader had kept up with it when the load that handed out its tools was invoked, as long as they
    /// are valid.
    pub asked: Option<Seq>,
    /// The latest failure of a call of its tools.
    pub last_failed: Option<Seq>,
    /// Whether it has ended by itself, at the end of its input or by its script, and not by a signal.
    pub ended_by_itself: bool,
    /// The latest end of one of its links, and the time of that event in microseconds.
    pub ended: Option<(Seq, u64)>,
    /// The latest invocation of a load so long after that end that its loader must have known of it.
    pub told: Option<Seq>,
    /// The first fault since which its journal may not show what its clients read.
    pub unshown: Option<Seq>,
    /// Whether its script has stopped it. Its journal does not show what its clients do since.
    pub is_stopped: bool,
    /// The latest fault that held or delayed it.
    pub delayed: Option<Seq>,
    /// The completion of the load that handed out its tools, as long as they are valid.
    pub handed_out: Option<Seq>,
    /// Whether it advertises no tools, or listed none.
    pub is_toolless: bool,
    /// The connection that was opened last.
    pub newest: Option<ConnectionId>,
    /// The latest faults that only altered answers.
    altered: Option<Alteration>,
    /// The first alteration whose answer no conforming server may give.
    garbled: Option<Seq>,
    /// Whether a tool has a schema for its output, to which results may not keep.
    has_output_schemas: bool,
}

/// Faults that altered one answer, or the pages of one list, and nothing else.
#[derive(Debug, Clone)]
struct Alteration {
    /// The latest of them.
    seq: Seq,
    /// The impact of faults on the server before the first of them.
    before: Option<Seq>,
    /// The method of the list whose next page is still to be asked for.
    list: Option<String>,
}

/// One connection of a server.
#[derive(Debug, Clone)]
pub struct Connection {
    /// Name of its server.
    pub server: String,
    /// Number of the server's incarnation, from 1.
    pub incarnation: u32,
    /// The event that opened it.
    pub opened: Seq,
    /// Whether its client sent `notifications/initialized`.
    pub is_initialized: bool,
    /// The event since which its client can use it for a call: its opening is over, and with it each load that opened it.
    pub ready: Option<Seq>,
    /// The event that ended it, and the side that did.
    pub gone: Option<(Seq, Gone)>,
    /// The first DELETE of its client. A server may refuse it or never answer it, and the client has done its part.
    pub deleted: Option<Seq>,
    /// Whether its client opened another one after a fault that may have cost it this one.
    pub is_replaced: bool,
    /// Unanswered requests, by id as JSON text.
    pub unanswered: Table<Name, PendingRequest>,
    /// Whether it was unclear once which request an answer belongs to: a request was cancelled, or an open id used again.
    pub(super) is_unclear: bool,
}

/// The side that ended a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gone {
    /// The client: EOF, or an orderly close.
    ByClient,
    /// The server, a fault, or the end of the server's process.
    ByServer,
    /// It broke, and the history does not show which side broke it.
    Unclear,
}

/// An unanswered request.
#[derive(Debug, Clone)]
pub struct PendingRequest {
    /// The JSON-RPC method.
    pub method: Cow<'static, str>,
    pub(super) known: Option<KnownMethod>,
    /// The call to which it belongs, if known.
    pub operation: Option<OpId>,
    /// The revision that its client asked for, in a request to initialize.
    pub version: Option<String>,
    /// Whether a script altered its answer, and the answer is one that a conforming server may give.
    pub(super) is_altered_legally: bool,
}

impl Server {
    fn lose(&mut self, seq: Seq) {
        self.impaired = Some(seq);
        self.lost = Some(seq);
        self.failed = None;
    }

    /// A fault was delivered that may cost answers.
    fn impair(&mut self, seq: Seq, fault: &str) {
        self.altered = method_of_alteration(fault).map(|method| {
            let goes_on = |altered: &Alteration| {
                self.impaired == Some(altered.seq) && altered.list.as_deref().is_none_or(|list| list == method)
            };
            let known = self.altered.take();
            let (before, list) = match known.as_ref().filter(|altered| goes_on(altered)) {
                Some(Alteration { before, list, .. }) => (*before, list.clone()),
                None => {
                    self.garbled = self.garbled.or(known.map(|altered| altered.seq));
                    (self.impaired, None)
                }
            };
            Alteration { seq, before, list }
        });
        self.impaired = Some(seq);
        self.is_stopped |= matches!(fault.split(':').next(), Some("stop" | "freeze"));
        self.is_down |= ends_process(fault);
        if !is_on_record(fault) {
            self.unshown.get_or_insert(seq);
        }
    }

    /// A request is answered. A script that altered an answer, or the pages of a list, has impaired nothing if the answer is still one
    /// that a conforming server may give.
    ///
    /// Counter-examples: A list that is never at an end is none. An answer to another request says nothing of the altered one.
    /// Returns whether a script altered this answer and it is such an answer.
    fn hear(&mut self, request: &PendingRequest, only: Option<&Value>, revision: Option<Revision>) -> bool {
        let method = &*request.method;
        if let Some(tools) = only.filter(|_| method == "tools/list").and_then(|result| result.get("tools")) {
            let tools = tools.as_array().into_iter().flatten();
            self.has_output_schemas |= tools.into_iter().any(|tool| tool.get("outputSchema").is_some());
        }
        let is_here = |altered: &mut Alteration| altered.list.as_deref().is_none_or(|list| list == method);
        let Some(altered) = self.altered.take_if(is_here) else { return false };
        let keeps_to_its_schema = method != "tools/call" || !self.has_output_schemas;
        let is_honest = |result: &&Value| is_honest(method, result, request.version.as_deref(), revision);
        let Some(result) = only.filter(|_| keeps_to_its_schema).filter(is_honest) else {
            self.garbled.get_or_insert(altered.seq);
            return false;
        };
        if self.impaired != Some(altered.seq) {
            return false;
        }
        if is_last_page(result) {
            self.impaired = altered.before;
        } else {
            self.altered = Some(Alteration { list: Some(method.to_owned()), ..altered });
        }
        true
    }

    /// A call has failed.
    pub(super) fn call_failed(&mut self, invoked: Seq, completed: Seq) {
        self.last_failed = Some(completed);
        if self.lost.is_some_and(|lost| lost < invoked) {
            self.failed.get_or_insert(completed);
        }
    }

    /// A load begins.
    pub(super) fn load_begins(&mut self, event: &Event) {
        let is_long_ago = |(_, at_us): (Seq, u64)| event.at_us >= at_us.saturating_add(NOTICED_US);
        if self.ended.is_some_and(is_long_ago) {
            self.told = Some(event.seq);
        }
    }

    /// A load has ended: with tools of this server, or without.
    pub(super) fn load_ended(&mut self, asked: (Seq, Option<Seq>), completed: Seq, has_tools: bool, is_settled: bool) {
        let (invoked, kept_up) = asked;
        let failed = self.last_failed.filter(|failed| *failed < invoked);
        self.handed_out = (has_tools && is_settled).then_some(completed);
        let told = self.told.filter(|told| *told <= invoked);
        self.asked = kept_up.max(failed).max(told).filter(|_| has_tools);
        self.was_handed_out |= has_tools;
    }
}

/// Time after which a loader knows that a server has ended, without other evidence.
const NOTICED_US: u64 = 2_000_000;

/// The method of the request whose answer a fault alters, if it does nothing else.
pub(super) fn method_of_alteration(fault: &str) -> Option<&str> {
    let (fault, method) = fault.split_once(':').unwrap_or((fault, ""));
    matches!(fault, "answer-result" | "alter-result" | "omit-result").then_some(method)
}

/// Whether a fault ends the process of its mock.
fn ends_process(fault: &str) -> bool {
    matches!(fault.split(':').next(), Some("exit" | "die"))
}

/// Whether the journal shows what a client reads although this fault was delivered: the mock sends an odd message as the
/// journal has it, or none.
pub(super) fn is_on_record(fault: &str) -> bool {
    matches!(
        fault.split(':').next(),
        Some(
            "answer-error"
                | "answer-result"
                | "alter-result"
                | "omit-result"
                | "echo-version"
                | "extra-member"
                | "cancel-request"
                | "progress-forever"
                | "drop"
        )
    )
}

/// All servers and connections.
#[derive(Debug, Default)]
pub struct Peers {
    servers: Table<String, Server>,
    connections: Table<ConnectionId, Connection>,
    /// The connections of each server that ended and are still known.
    ended: Table<String, Vec<ConnectionId>>,
}

impl Peers {
    pub(super) fn server(&self, name: &str) -> Option<&Server> {
        self.servers.get(name)
    }

    pub(super) fn server_mut(&mut self, name: &str) -> &mut Server {
        if !self.servers.contains_key(name) {
            self.servers.insert(name.to_owned(), Server::default());
        }
        self.servers.get_mut(name).expect("inserted when it was missing")
    }

    pub(super) fn servers_mut(&mut self) -> impl Iterator<Item = (&String, &mut Server)> {
        self.servers.iter_mut()
    }

    /// The first alteration after which an answer is still missing, or was one that no conforming server may give.
    pub(super) fn altered(&self) -> Option<Seq> {
        let of = |server: &Server| server.garbled.or(server.altered.as_ref().map(|altered| altered.seq));
        self.servers.values().filter_map(of).min()
    }

    pub(super) fn connection(&self, id: &ConnectionId) -> Option<&Connection> {
        self.connections.get(id)
    }

    /// Its client can use a connection since this event, unless it could earlier.
    pub(super) fn ready(&mut self, id: &ConnectionId, since: Seq) {
        if let Some(connection) = self.connections.get_mut(id) {
            connection.ready.get_or_insert(since);
        }
    }

    /// A client has the tools of a server: it can use each open connection.
    pub(super) fn all_ready(&mut self, server: &str, since: Seq) {
        let connections = self.connections.values_mut().filter(|known| known.server == server && known.gone.is_none());
        connections.for_each(|connection| _ = connection.ready.get_or_insert(since));
    }

    pub(super) fn connections_of(&self, server: &str) -> impl Iterator<Item = (&ConnectionId, &Connection)> {
        self.connections.iter().filter(move |(_, connection)| connection.server == server)
    }

    /// Updates servers and connections from one event, except from requests and answers.
    pub(super) fn see(&mut self, event: &Event) {
        let seq = event.seq;
        match (&event.kind, &event.source) {
            (EventKind::ConnectionOpened { connection }, Source::Mock { .. }) => self.open(event, connection),
            (EventKind::ConnectionClosed { connection, how }, Source::Mock { server, .. }) => {
                let gone = match how {
                    WireEnd::ByClient => Gone::ByClient,
                    WireEnd::ByServer => Gone::ByServer,
                    WireEnd::Broken => Gone::Unclear,
                };
                if gone == Gone::ByServer {
                    self.server_mut(server).lose(seq);
                }
                self.end(connection, seq, gone);
            }
            (EventKind::WireEof { connection }, _) => self.end(connection, seq, Gone::ByClient),
            (EventKind::HttpReceived { verb, connection: Some(connection), .. }, _) if verb == "DELETE" => {
                if let Some(known) = self.connections.get_mut(connection) {
                    known.deleted.get_or_insert(seq);
                }
            }
            (EventKind::FaultDelivered { impairs, fault }, Source::Mock { server, incarnation }) => match impairs {
                Impact::Answers => self.server_mut(server).impair(seq, fault),
                Impact::Connection => {
                    let known = self.server_mut(server);
                    known.impair(seq, fault);
                    known.lose(seq);
                    if ends_process(fault) {
                        self.end_all(server, *incarnation, seq);
                    }
                }
                Impact::Timing => self.server_mut(server).delayed = Some(seq),
                Impact::Ending | Impact::Nothing => {}
            },
            (EventKind::SignalSent { target, .. }, _) => {
                if let Some(server) = target.strip_prefix("server:") {
                    self.server_mut(server).lose(seq);
                }
            }
            (EventKind::MockEnding { how }, Source::Mock { server, incarnation }) => {
                self.server_mut(server).ended_by_itself |= !matches!(how, ServerEnd::Signal(_));
                match how {
                    ServerEnd::Script | ServerEnd::MaxLife => self.server_mut(server).lose(seq),
                    ServerEnd::Eof | ServerEnd::Signal(_) | ServerEnd::BrokenPipe => {}
                }
                self.end_all(server, *incarnation, seq);
            }
            (EventKind::MockStarted { .. }, Source::Mock { server, .. }) => {
                let server = self.server_mut(server);
                (server.is_down, server.is_stopped) = (false, false);
                server.dialled = Some(seq);
            }
            (EventKind::SocketOpened { .. }, Source::Mock { server, .. }) => {
                self.server_mut(server).dialled = Some(seq);
            }
            (EventKind::LinkClosed { peer: LinkPeer::Mock { server, incarnation }, .. }, _) => {
                let known = self.server_mut(server);
                known.is_down = true;
                known.ended = Some((seq, event.at_us));
                self.end_all(server, *incarnation, seq);
            }
            _ => {}
        }
    }

    pub(super) fn receive(&mut self, event: &Event, connection: &ConnectionId, message: &Message, owner: Option<OpId>) {
        if !self.connections.contains_key(connection) {
            self.open(event, connection);
        }
        let Some(known) = self.connections.get_mut(connection) else { return };
        if message.method() == Some("notifications/initialized") {
            known.is_initialized = true;
        }
        if let Some(cancelled) = message.cancelled_request() {
            known.unanswered.swap_remove(&Name::of(cancelled));
            known.is_unclear = true;
        }
        if let Some(method) = message.method_name().filter(|_| message.is_any_request()) {
            let version = message.at(&["params", "protocolVersion"]).and_then(Value::as_str);
            let version = version.filter(|_| method == "initialize").map(str::to_owned);
            let pending = PendingRequest {
                method,
                known: message.known_method(),
                operation: owner,
                version,
                is_altered_legally: false,
            };
            known.is_unclear |= known.unanswered.insert(message.id_text(), pending).is_some();
        }
    }

    /// Removes and returns the request to which an answer belongs.
    pub(super) fn answer(
        &mut self,
        connection: &ConnectionId,
        message: &Message,
        revision: Option<Revision>,
    ) -> Option<PendingRequest> {
        let mut pending = self.connections.get_mut(connection)?.unanswered.swap_remove(&message.id_text())?;
        let known = self.connections.get(connection)?;
        let name = &known.server;
        let result = message.at(&["result"]);
        if !self.servers.contains_key(name) {
            self.servers.insert(name.clone(), Server::default());
        }
        let server = self.servers.get_mut(name)?;
        // It matters only after an alteration whether another request was open, and few servers have many connections.
        let is_open = |other: &Connection| other.server == *name && !other.unanswered.is_empty();
        let is_alone = server.altered.is_none() || !self.connections.values().any(is_open);
        pending.is_altered_legally = server.hear(&pending, result.filter(|_| is_alone), revision);
        let says_no_tools = match &*pending.method {
            "tools/list" => result.and_then(|result| result.get("tools")).and_then(Value::as_array).map(Vec::is_empty),
            "initialize" => {
                result.and_then(|result| result.get("capabilities")).map(|offered| offered.get("tools").is_none())
            }
            _ => None,
        };
        if let Some(is_toolless) = says_no_tools {
            server.is_toolless = is_toolless;
        }
        Some(pending)
    }

    fn open(&mut self, event: &Event, id: &ConnectionId) {
        let Source::Mock { server, incarnation } = &event.source else { return };
        for ended in self.ended.swap_remove(server).unwrap_or_default() {
            if self.connections.get(&ended).is_some_and(|known| known.gone.is_some() && known.server == *server) {
                self.connections.swap_remove(&ended);
            }
        }
        if let Some(server) = self.servers.get(server)
            && let Some(older) = server.newest.as_ref().and_then(|newest| self.connections.get_mut(newest))
        {
            older.is_replaced |= server.impaired.is_some_and(|impaired| impaired > older.opened);
        }
        let connection = Connection {
            server: server.clone(),
            incarnation: *incarnation,
            opened: event.seq,
            is_initialized: false,
            ready: None,
            gone: None,
            deleted: None,
            is_replaced: false,
            unanswered: Table::default(),
            is_unclear: self.connections.contains_key(id),
        };
        self.connections.insert(id.clone(), connection);
        let server = self.server_mut(server);
        server.newest = Some(id.clone());
        server.dialled = Some(event.seq);
    }

    fn end(&mut self, id: &ConnectionId, seq: Seq, gone: Gone) {
        if let Some(connection) = self.connections.get_mut(id).filter(|connection| connection.gone.is_none()) {
            connection.gone = Some((seq, gone));
            self.ended.entry(connection.server.clone()).or_default().push(id.clone());
        }
    }

    fn end_all(&mut self, server: &str, incarnation: u32, seq: Seq) {
        for (id, connection) in &mut self.connections {
            if connection.server == server && connection.incarnation == incarnation && connection.gone.is_none() {
                connection.gone = Some((seq, Gone::ByServer));
                self.ended.entry(server.to_owned()).or_default().push(id.clone());
            }
        }
    }
}
