//! HTTP streams and answers that a program leaves behind when it exits.

use crate::check::host::{ServerExchange, exchange_of, is_responsible};
use crate::check::lessons::{ServerSocket, socket_of};
use crate::check::parts::parts;
use crate::check::rules::subscriptions::LISTEN;
use crate::check::{AppliesTo, Hears, Invariant, Level, Monitor, Of, Property, Tally, View, Violation, Witness};
use crate::history::{ConnectionId, Event, EventKind, Header, Kind, Message, Name, Seq, Table, WireEnd};
use crate::plan::Promise;

/// Counter-examples: Idle connections of a pool are not streams. A stream that its server ended, also because of a
/// DELETE of its session, was not left open. A client that exits right after it has closed its stream has closed it; so
/// the journal has the exit before the system closes anything. A helper process that exits has no connection. After a
/// later request the process that sent it is still alive.
pub(super) const STREAMS_CLOSED: Invariant = Invariant {
    id: "streams-closed",
    property: Property::Liveness,
    level: Level::Own,
    claim: "no stream is open when the client exits",
    source: "VG-06: no process, socket or session is left",
    requirement: &["VG-06", "LC-HTTP-12", "LC-SUB-08"],
    applies: AppliesTo::HTTP,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::HttpReceived, Kind::HttpAnswered, Kind::HttpEnded, Kind::ProcessExiting, Kind::GraceExpired],
    hears: Hears::only(&[(Kind::HttpAnswered, &[Of::Stream])]),
    vacuous: "no client whose exit was recorded had requested a stream",
    explain: "The client exited with an open stream of events, so the operating system closed the stream, not the \
        client. In a program that keeps running, such streams cost a task, a socket and a session for each connection \
        that the program ever made.\n\n\
        Look at the GET in the witness, or at the `subscriptions/listen`. To fix it, end the stream where you close the session, and wait until it has \
        ended.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(StreamsAtExit::default()) },
};

#[derive(Default)]
struct StreamsAtExit {
    asked: Table<ServerExchange, Seq>,
    open: Table<ServerExchange, OpenStream>,
    /// Number of streams that ended before the exit of a process, or that their server ended.
    n_closed: usize,
    /// Streams that a process left open when it exited: the request for the stream, and the exit.
    left: Vec<(Seq, Seq)>,
    exits: bool,
}

struct OpenStream {
    asked: Seq,
    /// The exit of a process that may hold the stream.
    held: Option<Seq>,
}

impl Monitor for StreamsAtExit {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        match &event.kind {
            EventKind::HttpReceived { verb, exchange, headers, .. } => {
                self.open.values_mut().for_each(|stream| stream.held = None);
                let listens = verb == "POST" && headers.get("mcp-method").is_some_and(|method| method == LISTEN);
                if verb == "GET" || listens {
                    self.asked.insert(exchange_of(event, exchange), event.seq);
                }
            }
            EventKind::HttpAnswered { exchange, streams: true, .. } => {
                if let Some(asked) = self.asked.swap_remove(&exchange_of(event, exchange)) {
                    self.open.insert(exchange_of(event, exchange), OpenStream { asked, held: None });
                }
            }
            EventKind::HttpEnded { exchange, how } => match self.open.swap_remove(&exchange_of(event, exchange)) {
                Some(OpenStream { asked, held: Some(exit) }) if *how != WireEnd::ByServer => {
                    self.left.push((asked, exit))
                }
                Some(_) => self.n_closed += 1,
                None => {}
            },
            // A program that a signal asks to end may let the system close its streams.
            EventKind::ProcessExiting { sockets, .. } if view.signalled().is_none() => {
                self.exits = true;
                if *sockets > 0 {
                    self.open.values_mut().for_each(|stream| stream.held = Some(event.seq));
                }
            }
            EventKind::GraceExpired { .. } if self.exits => self.due(tally),
            _ => {}
        }
    }
}

impl StreamsAtExit {
    fn due(&mut self, tally: &mut Tally) {
        let still = self.open.values().filter_map(|stream| Some((stream.asked, stream.held?)));
        for (asked, exit) in self.left.iter().copied().chain(still) {
            let because = format!("the stream of {asked} was open when the client exited at {exit}");
            tally.broken(Violation::new("left-open", because, &[asked, exit]));
        }
        (0..self.n_closed).for_each(|_| tally.held());
    }
}

/// Counter-examples: The client need not read the last bytes of a stream of events, nor an answer without information:
/// the answer to a notification, to its DELETE, to a request that it has cancelled, or on a session that it has
/// deleted. A socket that the mock resets proves nothing.
pub(super) const ANSWERS_READ: Invariant = Invariant {
    id: "answers-read",
    property: Property::Liveness,
    level: Level::Own,
    claim: "no answer is unread when the client ends",
    source: "VG-06: no process, socket or session is left",
    requirement: &["VG-06"],
    applies: AppliesTo::ALL,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::HttpReceived, Kind::HttpAnswered, Kind::WireReceived, Kind::SocketClosed, Kind::FaultDelivered],
    hears: Hears::ALL,
    vacuous: "nothing was answered",
    explain: "The client closed a connection before it had read the answer on it. The code that waited for the \
        answer does not learn that it will never come, or no code waited at all.\n\n\
        Look at the request of the witness. To fix it, wait for every answer before the program ends, or cancel the \
        request.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(UnreadAnswers::default()) },
};

#[derive(Default)]
struct UnreadAnswers {
    /// POSTs whose message comes next.
    posted: Table<ServerExchange, (ServerSocket, Seq)>,
    asked: Table<ServerExchange, OpenRequest>,
    /// The request of the last complete answer on each socket.
    answered: Table<ServerSocket, OpenRequest>,
    reset: bool,
    broken: Vec<(Seq, Seq)>,
}

/// A request whose answer its client should read.
struct OpenRequest {
    socket: ServerSocket,
    seq: Seq,
    connection: ConnectionId,
    id: Name,
}

impl UnreadAnswers {
    /// No caller waits for these answers any more.
    fn forget(&mut self, is_it: impl Fn(&OpenRequest) -> bool) {
        self.asked.retain(|_, asked| !is_it(asked));
        self.answered.retain(|_, asked| !is_it(asked));
    }

    fn receive(&mut self, event: &Event, view: &View, connection: &ConnectionId, message: &Message) {
        for part in parts(message).iter() {
            if let Some(cancelled) = part.cancelled_request().map(Name::of) {
                self.forget(|asked| asked.connection == *connection && asked.id == cancelled);
            }
            let Some(exchange) = view.carrier(event).map(|carrier| exchange_of(event, &carrier.exchange)) else {
                continue;
            };
            let Some(id) = part.id().filter(|_| part.is_any_request()) else { continue };
            if let Some((socket, seq)) = self.posted.swap_remove(&exchange) {
                let asked = OpenRequest { socket, seq, connection: connection.clone(), id: Name::from(id) };
                self.asked.insert(exchange, asked);
            }
        }
    }
}

impl Monitor for UnreadAnswers {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        match &event.kind {
            EventKind::HttpReceived { exchange, socket, verb, connection, .. } => {
                self.answered.swap_remove(&socket_of(event, socket));
                if verb == "POST" {
                    self.posted.insert(exchange_of(event, exchange), (socket_of(event, socket), event.seq));
                } else if let Some(connection) = connection.as_ref().filter(|_| verb == "DELETE") {
                    self.forget(|asked| asked.connection == *connection);
                }
            }
            EventKind::WireReceived { connection, message } => self.receive(event, view, connection, message),
            EventKind::HttpAnswered { exchange, streams, .. } => {
                self.posted.swap_remove(&exchange_of(event, exchange));
                let Some(asked) = self.asked.swap_remove(&exchange_of(event, exchange)) else { return };
                tally.held();
                if !streams {
                    self.answered.insert(asked.socket.clone(), asked);
                }
            }
            EventKind::FaultDelivered { fault, .. } => self.reset |= fault.starts_with("reset"),
            EventKind::SocketClosed { socket, how } => {
                let is_left = *how == WireEnd::Broken && view.signalled().is_none();
                let asked = self.answered.swap_remove(&socket_of(event, socket)).filter(|_| is_left);
                self.broken.extend(asked.map(|asked| (asked.seq, event.seq)));
            }
            _ => {}
        }
    }

    fn end(&self, view: &View, tally: &mut Tally) {
        for (asked, closed) in self.broken.iter().filter(|_| is_responsible(view) && !self.reset) {
            let because =
                format!("the answer to the request of {asked} was not read before its socket ended at {closed}");
            tally.broken(Violation::new("unread", because, &[*asked, *closed]));
        }
    }
}
