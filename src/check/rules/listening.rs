//! Subscriptions over pipes: notifications that name none, an end by the server, and the death of the server.

use std::collections::{BTreeSet, VecDeque};

use std::time::Duration;

use crate::check::agreement::Spoken;
use crate::check::parts::parts;
use crate::check::rules::subscriptions::{LISTEN, id_of, is_change, subscription_in};
use crate::check::topics::FIRST_MESSAGE;
use crate::check::{AppliesTo, Hears, Invariant, Level, Monitor, Of, Property, Tally, View, Violation, Witness};
use crate::history::{ConnectionId, Event, EventKind, Header, Kind, KnownMethod, LinkPeer, Message, Name, Seq, Table};
use crate::plan::Promise;

/// Number of repetitions after which a behaviour counts.
const AGAIN: usize = 3;

/// Counter-examples: A client may list its tools at any time, before each call for instance. Only a client that makes
/// several calls in a row without a list, lists after each strange notification, and lists at no other time is judged.
/// A number and its text count as the same name. A notification for a subscription that has ended may have been under
/// way.
pub(super) const STRANGE_NOTICE_IGNORED: Invariant = Invariant {
    id: "strange-notice-ignored",
    property: Property::Safety,
    level: Level::Must,
    claim: "over pipes, no client acts on a notification for a subscription that it never opened",
    source: "2026-07-28, basic/patterns/subscriptions, Receiving Notifications",
    requirement: &["LC-SUB-06"],
    applies: AppliesTo::STATELESS_STDIO,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::WireReceived, Kind::WireSent, Kind::WireEof, Kind::ConnectionClosed],
    hears: Hears::ALL.from(FIRST_MESSAGE),
    vacuous: "no client with a subscription got a notification for another one before its next request",
    explain: "Over pipes every notification arrives on one channel, and the id in its metadata says for which \
        subscription it is. The client acted on notifications whose id belongs to no subscription of its own, so it \
        does not look at the id. A client with two subscriptions then notifies the wrong listener.\n\n\
        Look at `io.modelcontextprotocol/subscriptionId` in the notifications of the witness, and at the lists after \
        them. To fix it, store listeners by the id of their `subscriptions/listen` request, and drop a notification \
        that names none of these ids.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(StrangeNotices::default()) },
};

#[derive(Default)]
struct StrangeNotices {
    connections: Table<ConnectionId, Listener>,
}

/// A client with a subscription, and its requests after notifications and without any.
#[derive(Default)]
struct Listener {
    ids: BTreeSet<String>,
    /// The newest notification since the last request, and whether it is a strange one.
    told: Option<(Seq, bool)>,
    /// Strange notifications that a list followed, and the newest such list.
    acted: Vec<Seq>,
    newest: Option<Seq>,
    /// Requests other than lists, each without a notification and without a list before it.
    n_untold: usize,
    /// Whether the newest request was a list.
    has_listed: bool,
    /// Whether it ignored a strange notification, or listed without one.
    is_excused: bool,
}

impl Monitor for StrangeNotices {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        match &event.kind {
            EventKind::WireReceived { connection, message } => {
                for part in parts(message).iter().filter(|part| part.is_any_request()) {
                    if part.is_request(LISTEN) && !matches!(view.spoken(connection), Spoken::Handshake(..)) {
                        let listener = self.connections.entry(connection.clone()).or_default();
                        listener.ids.insert(plain(&id_of(part)));
                    } else if let Some(listener) = self.connections.get_mut(connection) {
                        listener.request(event.seq, part, tally);
                    }
                }
            }
            EventKind::WireSent { connection, message } if !self.connections.is_empty() => {
                let Some(listener) = self.connections.get_mut(connection) else { return };
                for part in parts(message).iter().filter(|part| is_change(part)) {
                    let is_strange = subscription_in(part).is_some_and(|id| !listener.ids.contains(&plain(&id)));
                    let is_all_strange = listener.told.is_none_or(|(_, is_strange)| is_strange);
                    listener.told = Some((event.seq, is_strange && is_all_strange));
                }
            }
            EventKind::WireEof { connection } | EventKind::ConnectionClosed { connection, .. } => {
                self.connections.swap_remove(connection);
            }
            _ => {}
        }
    }
}

impl Listener {
    fn request(&mut self, now: Seq, request: &Message, tally: &mut Tally) {
        let is_list = request.method().is_some_and(|method| method.ends_with("/list") || method == "resources/read");
        match self.told.take() {
            Some((told, true)) if is_list => {
                self.acted.push(told);
                self.newest = Some(now);
            }
            Some((_, true)) => {
                self.is_excused = true;
                tally.held();
            }
            Some((_, false)) => {}
            None if is_list => self.is_excused |= !self.acted.is_empty(),
            None => self.n_untold += usize::from(!self.has_listed),
        }
        self.has_listed = is_list;
        if self.is_excused || self.acted.len() < AGAIN || self.n_untold < AGAIN {
            return;
        }
        let (first, newest) = (self.acted[0], self.newest.unwrap_or(now));
        let because = format!(
            "the client listed after each of {} notifications for a subscription that it never opened, from {first} on, the last time at {newest}, and before none of {} other requests",
            self.acted.len(),
            self.n_untold
        );
        tally.broken(Violation::new("acted-on", because, &[first, newest]));
        self.is_excused = true;
    }
}

/// An id without the marks of a text, so that 1 and "1" are the same.
fn plain(id: &str) -> String {
    id.trim_matches('"').to_owned()
}

/// Time in which one part of a client may tell another that a subscription has ended.
const TOLD_BY_THEN: Duration = Duration::from_secs(1);

/// Counter-examples: Both sides may end a subscription at the same time. A client that sends further requests, for
/// however long, may not have read that its server was first: only the use of a later answer proves that. The part of
/// the client that reads may then need some time to notify the part that subscribed.
pub(super) const TORN_DOWN_SUBSCRIPTION_LEFT: Invariant = Invariant {
    id: "torn-down-subscription-left",
    property: Property::Safety,
    level: Level::Must,
    claim: "over pipes, no client cancels a subscription that its server has torn down",
    source: "2026-07-28, basic/patterns/cancellation; 2026-07-28, basic/patterns/subscriptions, Cancellation",
    requirement: &["LC-SUB-10"],
    applies: AppliesTo::STATELESS_STDIO,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::WireReceived, Kind::WireSent, Kind::WireEof, Kind::ConnectionClosed, Kind::OperationCompleted],
    hears: Hears::only(&[
        (Kind::OperationCompleted, &[]),
        (Kind::WireReceived, &[Of::Request(KnownMethod::SubscriptionsListen), Of::Notice(KnownMethod::Cancelled)]),
        (Kind::WireSent, &[Of::AnyAnswer, Of::Notice(KnownMethod::Cancelled)]),
    ])
    .from(&[(Kind::WireReceived, &[Of::Request(KnownMethod::SubscriptionsListen)])]),
    vacuous: "no server tore down a subscription by notification",
    explain: "A server that ends a subscription sends `notifications/cancelled` with the id of the subscription. The \
        client did not treat that as the end: much later it cancelled the same subscription. Until then it waited for \
        notifications that no server sent, and its users believed that they saw every change.\n\n\
        Look at the two notifications of the witness. To fix it, end the subscription when such a notification names \
        its id, as if it had been answered, and subscribe again if you still need notifications.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(TornDown::default()) },
};

#[derive(Default)]
struct TornDown {
    /// Open subscriptions, by connection and id, with their end by the server and its time.
    open: Table<(ConnectionId, String), Option<(Seq, u64)>>,
}

impl Monitor for TornDown {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        match &event.kind {
            EventKind::WireReceived { connection, message } => {
                for part in parts(message).iter() {
                    if part.is_request(LISTEN) && !matches!(view.spoken(connection), Spoken::Handshake(..)) {
                        self.open.insert((connection.clone(), id_of(part)), None);
                    } else if let Some(id) = part.cancelled_request().map(ToString::to_string) {
                        self.cancel(event, view, connection, id, tally);
                    }
                }
            }
            EventKind::WireSent { connection, message } if !self.open.is_empty() => {
                for part in parts(message).iter() {
                    if part.is_response() {
                        self.open.swap_remove(&(connection.clone(), id_of(part)));
                    } else if let Some(id) = part.cancelled_request().map(ToString::to_string)
                        && let Some(torn) = self.open.get_mut(&(connection.clone(), id))
                    {
                        torn.get_or_insert((event.seq, event.at_us));
                    }
                }
            }
            EventKind::WireEof { connection } | EventKind::ConnectionClosed { connection, .. } => {
                self.open.retain(|(of, _), torn| {
                    if of == connection && torn.is_some() {
                        tally.held();
                    }
                    of != connection
                });
            }
            _ => {}
        }
    }
}

impl TornDown {
    fn cancel(&mut self, event: &Event, view: &View, connection: &ConnectionId, id: String, tally: &mut Tally) {
        let key = (connection.clone(), id);
        let Some((torn, torn_us)) = self.open.swap_remove(&key).flatten() else { return };
        let Some(read) = view.reading().has_read(connection, torn) else { return };
        let waited = Duration::from_micros(event.at_us.saturating_sub(torn_us));
        if waited < TOLD_BY_THEN {
            return;
        }
        let because = format!(
            "the server of connection {connection} tore down subscription {} at {torn}, and the client, which had read that at {read}, cancelled it at {}, {} ms later",
            key.1,
            event.seq,
            waited.as_millis()
        );
        let witness = [torn, read, event.seq];
        tally.broken(Violation::new("cancelled", because, &witness).of_bound(TOLD_BY_THEN));
    }
}

/// A client that calls a new process, reads the answer, and calls it again this much later should have subscribed there.
const TIME_TO_LISTEN: Duration = Duration::from_millis(500);
/// Calls whose answers the client must have read before a missing subscription counts.
const N_CALLS: usize = 2;

/// Counter-examples: A client that closed the pipes itself needs no subscription any more. A client that never uses the
/// server again need not subscribe, nor a client that exits at once. A client that stands still reads no answer, however
/// many calls a timer sends meanwhile: only calls count whose answers it has read. Another connection that was open at the
/// time may be another client. A new process of the other generation, or one that announces no changes, has nothing to
/// subscribe to. The end of a subscription by its server is not a loss of the connection.
pub(super) const SUBSCRIPTION_SENT_AGAIN: Invariant = Invariant {
    id: "subscription-sent-again",
    property: Property::Liveness,
    level: Level::Must,
    claim: "a client that starts a lost server again subscribes there again",
    source: "2026-07-28, basic/patterns/subscriptions, Cancellation: a client re-sends subscriptions/listen over stdio",
    requirement: &["LC-SUB-12"],
    applies: AppliesTo::STATELESS_STDIO,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[
        Kind::ConnectionOpened,
        Kind::WireReceived,
        Kind::WireSent,
        Kind::WireEof,
        Kind::ConnectionClosed,
        Kind::OperationCompleted,
        Kind::MockEnding,
        Kind::LinkClosed,
    ],
    hears: Hears::ALL,
    vacuous: "no client that lost a server with an open subscription used it again for long enough",
    explain: "A server died while a subscription was open. The client started it again and continued without \
        subscribing. A new server process knows nothing of the old subscription, so the client misses every later \
        change without any error.\n\n\
        Look at the end of the first process, and at the requests to the second one. To fix it, keep the filter with the \
        configuration of the server, and send `subscriptions/listen` wherever a connection is opened.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(LostSubscriptions::default()) },
};

#[derive(Default)]
struct LostSubscriptions {
    servers: Table<String, SubscribedServer>,
}

#[derive(Default)]
struct SubscribedServer {
    /// The live connections, each with its open subscriptions.
    live: Table<ConnectionId, Table<String, Seq>>,
    /// The lost subscription and the event that shows its loss.
    owed: Option<(Seq, Seq)>,
    /// The connection that was opened after that.
    renewed: Option<Renewed>,
}

struct Renewed {
    connection: ConnectionId,
    opened: Seq,
    /// Calls that were not answered yet, with the times at which they came.
    calls: Table<Name, u64>,
    /// Answers, and when the call of each came. The client has not read these answers yet.
    answered: VecDeque<(Seq, u64)>,
    /// Number of calls whose answers the client has read, when it showed that of the first, and the newest such answer.
    n_read: usize,
    used_us: u64,
    newest: Seq,
    /// Whether the client called again long enough after it had read an answer.
    is_used: bool,
}

impl Renewed {
    /// Takes over the answers that the client has read by now.
    fn read(&mut self, event: &Event, view: &View) {
        let is_read = |answered: Seq| view.reading().in_order(&self.connection, answered).is_some();
        // Pipes have one order, so the oldest answer is read first.
        while let Some((answered, called_us)) = self.answered.pop_front_if(|(answered, _)| is_read(*answered)) {
            if self.n_read == 0 {
                self.used_us = event.at_us;
            }
            self.n_read += 1;
            self.newest = self.newest.max(answered);
            let used_for = Duration::from_micros(called_us.saturating_sub(self.used_us));
            self.is_used |= used_for >= TIME_TO_LISTEN;
        }
    }
}

impl Monitor for LostSubscriptions {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        let of_server = event.source.server();
        for (name, server) in &mut self.servers {
            let concerns = of_server.is_none_or(|of_server| of_server == name);
            if let Some(renewed) = server.renewed.as_mut().filter(|_| concerns) {
                renewed.read(event, view);
            }
        }
        if let EventKind::LinkClosed { peer: LinkPeer::Mock { server, .. }, farewell: false } = &event.kind {
            self.servers.entry(server.clone()).or_default().lose(event.seq);
            return;
        }
        let Some(name) = event.source.server() else { return };
        match &event.kind {
            EventKind::ConnectionOpened { connection } => {
                self.servers.entry(name.to_owned()).or_default().open(event, connection);
            }
            EventKind::WireReceived { connection, message } => {
                let Some(server) = self.servers.get_mut(name) else { return };
                for part in parts(message).iter() {
                    server.receive(event, view, connection, part, tally);
                }
            }
            EventKind::WireSent { connection, message } => {
                let Some(server) = self.servers.get_mut(name) else { return };
                for part in parts(message).iter() {
                    server.send(event.seq, connection, part);
                }
            }
            EventKind::WireEof { connection } => {
                let Some(server) = self.servers.get_mut(name) else { return };
                server.judge(tally);
                if server.renewed.take().is_some() {
                    server.owed = None;
                }
                server.live.swap_remove(connection);
            }
            EventKind::MockEnding { .. } => {
                if let Some(server) = self.servers.get_mut(name) {
                    server.lose(event.seq);
                }
            }
            _ => {}
        }
    }

    fn end(&self, view: &View, tally: &mut Tally) {
        if !view.is_cut_off() {
            self.servers.values().for_each(|server| server.judge(tally));
        }
    }
}

impl SubscribedServer {
    fn open(&mut self, event: &Event, connection: &ConnectionId) {
        self.live.insert(connection.clone(), Table::default());
        if self.owed.is_some() && self.renewed.is_none() {
            self.renewed = Some(Renewed {
                connection: connection.clone(),
                opened: event.seq,
                calls: Table::default(),
                answered: VecDeque::new(),
                n_read: 0,
                used_us: event.at_us,
                newest: event.seq,
                is_used: false,
            });
        }
    }

    /// The process of its connection has ended, and its client had not closed the pipes.
    fn lose(&mut self, lost: Seq) {
        // Over pipes each process has one connection, and a client ends a process before it starts the next.
        if self.live.is_empty() {
            return;
        }
        if self.live.len() > 1 {
            self.live.clear();
            self.owed = None;
        } else if let Some((_, open)) = self.live.pop()
            && let Some(opened) = open.values().min()
        {
            self.owed = Some((*opened, lost));
        }
        self.renewed = None;
    }

    fn receive(&mut self, event: &Event, view: &View, connection: &ConnectionId, message: &Message, tally: &mut Tally) {
        let is_renewed = self.renewed.as_ref().is_some_and(|renewed| renewed.connection == *connection);
        if message.is_request(LISTEN) {
            if let Some(open) = self.live.get_mut(connection) {
                open.insert(id_of(message), event.seq);
            }
            if is_renewed {
                tally.held();
                (self.owed, self.renewed) = (None, None);
            }
        } else if let Some(id) = message.cancelled_request()
            && let Some(open) = self.live.get_mut(connection)
        {
            open.swap_remove(&id.to_string());
        } else if message.is_request("initialize") || matches!(view.spoken(connection), Spoken::Handshake(..)) {
            self.excuse(is_renewed);
        } else if let Some(renewed) = self.renewed.as_mut().filter(|_| is_renewed && message.is_request("tools/call")) {
            renewed.calls.insert(message.id_text(), event.at_us);
        }
    }

    fn send(&mut self, seq: Seq, connection: &ConnectionId, message: &Message) {
        if !message.is_response() {
            if let Some(id) = message.cancelled_request()
                && let Some(open) = self.live.get_mut(connection)
            {
                open.swap_remove(&id.to_string());
            }
            return;
        }
        let id = id_of(message);
        if let Some(open) = self.live.get_mut(connection) {
            open.swap_remove(&id);
        }
        let Some(renewed) = self.renewed.as_mut().filter(|renewed| renewed.connection == *connection) else { return };
        if let Some(called_us) = renewed.calls.swap_remove(&message.id_text()) {
            renewed.answered.push_back((seq, called_us));
        }
        let capabilities = message.at(&["result", "capabilities"]);
        let announces = capabilities.is_none_or(|capabilities| capabilities.to_string().contains("listChanged"));
        self.excuse(!announces);
    }

    fn excuse(&mut self, is_excused: bool) {
        if is_excused {
            (self.owed, self.renewed) = (None, None);
        }
    }

    /// Judges a connection that its client used instead of the lost one, and where it did not subscribe.
    fn judge(&self, tally: &mut Tally) {
        let (Some((opened, lost)), Some(renewed)) = (self.owed, &self.renewed) else { return };
        if renewed.n_read < N_CALLS || !renewed.is_used {
            return;
        }
        let newest = renewed.newest;
        let because = format!(
            "the subscription of {opened} was lost with its server at {lost}; the client started the server again at {}, read the answers of {} calls there up to {newest}, and did not subscribe",
            renewed.opened, renewed.n_read
        );
        let witness = [opened, lost, renewed.opened, newest];
        tally.broken(Violation::new("not-sent", because, &witness).of_bound(TIME_TO_LISTEN));
    }
}
