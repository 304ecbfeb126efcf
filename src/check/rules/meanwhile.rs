//! Messages that arrive while a client waits for an answer, and how the client handles them.

use std::time::Duration;

use serde_json::Value;

use crate::check::agreement::Spoken;
use crate::check::asked_answers::AskedAnswers;
use crate::check::parts::parts;
use crate::check::{AppliesTo, Hears, Invariant, Level, Monitor, Of, Property, Tally, View, Violation, Witness};
use crate::history::{ConnectionId, Event, EventKind, Header, KeySet, Kind, KnownMethod, Message, Name, Seq, Table};
use crate::plan::Promise;

/// Time in which a request that no person answers should be answered.
const PROMPT: Duration = Duration::from_secs(1);
/// Time within which a client answers postponed requests after its own wait has ended.
const RELEASED: Duration = Duration::from_millis(250);

/// Counter-examples: A person may take as long as it needs, so only requests are judged that no person answers: roots and
/// pings. A slow client may by chance answer when its own request ends. That is evidence only if it happens again
/// although its own request took another time, and if no request of the kind was answered meanwhile.
pub(super) const REQUESTS_SERVED_MEANWHILE: Invariant = Invariant {
    id: "requests-served-meanwhile",
    property: Property::Liveness,
    level: Level::Should,
    claim: "a client serves the requests of its server while its own request is open",
    source: "2025-11-25, basic/transports, Sending Messages to the Server: a server may send requests before its response",
    requirement: &["LC-S2C-03"],
    applies: AppliesTo::HANDSHAKE,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::WireSent, Kind::WireReceived, Kind::WireEof, Kind::ConnectionClosed],
    hears: Hears::ALL,
    vacuous: "no server asked for roots or sent a ping while a request of its client was open",
    explain: "The server asked its client for something while it worked on a request of that client, and the client \
        answered only once its own request was over, by an answer or by its timeout. If the server needs the answer to \
        continue, it waits for the client while the client waits for the server, and each such call ends with a \
        timeout.\n\n\
        Look at the loop that reads messages: it probably waits for one answer and puts everything else aside. To fix \
        it, read messages in a separate task that hands each answer to the caller that waits for it, and serves \
        requests at once.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(Meanwhile::default()) },
};

#[derive(Default)]
struct Meanwhile {
    asked: Table<(ConnectionId, Name), AskedMeanwhile>,
    /// How each client answers each method.
    ways: Table<(ConnectionId, String), Way>,
}

/// How a client answers the requests of one kind.
enum Way {
    /// While its own request is open: at least once.
    Meanwhile,
    /// Only after its own request, so far: the request, the answer, and the time between them.
    Afterwards(Seq, Seq, Duration),
}

struct AskedMeanwhile {
    method: String,
    seq: Seq,
    at_us: u64,
    /// The requests of the client that have been open since.
    waits_for: KeySet<Name>,
    /// The event that ended the last of them, and its time.
    released: Option<(Seq, u64)>,
}

impl Monitor for Meanwhile {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        match &event.kind {
            EventKind::WireReceived { connection, message } if !self.asked.is_empty() => {
                for part in parts(message).iter() {
                    if let Some(id) = part.cancelled_request() {
                        self.over(event, connection, &Name::from(id));
                    } else if part.is_response() {
                        self.answer(event, connection, part, tally);
                    }
                }
            }
            EventKind::WireSent { connection, message } => {
                for part in parts(message).iter() {
                    if part.is_response() && !self.asked.is_empty() {
                        self.over(event, connection, &part.id_text());
                    } else if part.is_request("roots/list") || part.is_request("ping") {
                        self.ask(event, view, connection, part);
                    }
                }
            }
            EventKind::WireEof { connection } | EventKind::ConnectionClosed { connection, .. } => {
                self.asked.retain(|(of, _), _| of != connection);
                self.ways.retain(|(of, _), _| of != connection);
            }
            _ => {}
        }
    }
}

impl Meanwhile {
    fn ask(&mut self, event: &Event, view: &View, connection: &ConnectionId, request: &Message) {
        let open = view.connection(connection).into_iter().flat_map(|connection| connection.unanswered.keys());
        let waits_for: KeySet<Name> = open.cloned().collect();
        if waits_for.is_empty() {
            return;
        }
        let id = request.id_text();
        let method = request.method().unwrap_or_default().to_owned();
        let asked = AskedMeanwhile { method, seq: event.seq, at_us: event.at_us, waits_for, released: None };
        self.asked.insert((connection.clone(), id), asked);
    }

    fn over(&mut self, event: &Event, connection: &ConnectionId, id: &Name) {
        for (_, asked) in self.asked.iter_mut().filter(|((of, _), _)| of == connection) {
            if asked.waits_for.swap_remove(id) && asked.waits_for.is_empty() {
                asked.released = Some((event.seq, event.at_us));
            }
        }
    }

    fn answer(&mut self, event: &Event, connection: &ConnectionId, answer: &Message, tally: &mut Tally) {
        let id = answer.id_text();
        let Some(asked) = self.asked.swap_remove(&(connection.clone(), id)) else { return };
        let since = |us: u64| Duration::from_micros(event.at_us.saturating_sub(us));
        let way = (connection.clone(), asked.method.clone());
        let Some((released, released_us)) = asked.released else {
            self.ways.insert(way, Way::Meanwhile);
            return tally.held();
        };
        let waited = Duration::from_micros(released_us.saturating_sub(asked.at_us));
        if waited < PROMPT || since(released_us) >= RELEASED {
            return;
        }
        let took = since(asked.at_us);
        let (first, first_answer, first_took) = match self.ways.get(&way) {
            Some(Way::Meanwhile) => return,
            Some(Way::Afterwards(asked, answered, took)) => (*asked, *answered, *took),
            None => {
                self.ways.insert(way, Way::Afterwards(asked.seq, event.seq, took));
                return;
            }
        };
        // Handlers that always take the same time cannot explain two times that differ by more than this.
        if took.abs_diff(first_took) < RELEASED * 2 {
            return;
        }
        let because = format!(
            "{} of {} was answered on connection {connection} at {}, {} ms later, only after the client's own request had ended at {released}, and so was that of {first} at {first_answer}, {} ms later",
            asked.method,
            asked.seq,
            event.seq,
            took.as_millis(),
            first_took.as_millis()
        );
        let witness = [first, first_answer, asked.seq, released, event.seq];
        tally.broken(Violation::new("afterwards", because, &witness).of_bound(PROMPT));
    }
}

/// Number of calls after which the change counts as ignored.
const N_CALLS: usize = 3;

/// The same for a client that may not have read the change, but waits for each answer before it sends its next request.
const N_CALLS_IN_TURN: usize = 10;

/// A client that gathers changes before it lists does so for less than this time.
const GATHERED: Duration = Duration::from_secs(10);

/// Counter-examples: A loader lists again at its next load, which another rule judges. A program that exits, or makes
/// no more calls, need not list. If a server did not declare `listChanged`, its notification does not count. A client
/// that has not read the notification knows of no change, however much time has passed. Over pipes, a client that waits for
/// each of many answers behind the notification has read it as well. A client that has read it may
/// gather changes for some seconds before it lists. If an error says that a tool is gone, and the client calls that
/// tool again, it does not gather.
pub(super) const CHANGED_LIST_FETCHED: Invariant = Invariant {
    id: "changed-list-fetched",
    property: Property::Safety,
    level: Level::Should,
    claim: "a client that continues to call tools lists them again after their server announced a change",
    source: "2025-11-25, server/tools, List Changed Notification and Message Flow",
    requirement: &["LC-SUB-01"],
    applies: AppliesTo::SERVER_PUSH,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[
        Kind::HttpReceived,
        Kind::HttpEnded,
        Kind::WireSent,
        Kind::WireReceived,
        Kind::WireEof,
        Kind::ConnectionClosed,
    ],
    hears: Hears::ALL.from(&[(Kind::WireSent, &[Of::Notice(KnownMethod::ToolsListChanged)])]),
    vacuous: "no server that had declared listChanged announced a change of its tools before a call",
    explain: "The server announced that its tools had changed, and the client continued to call tools from the old \
        list and never asked for the new list. The model sees tools that are gone, its calls of them fail, and it \
        never sees the new tools.\n\n\
        Look at the notification and at the calls after it. To fix it, handle `notifications/tools/list_changed`: send \
        `tools/list` again, and hand the new list to the code that shows tools to the model.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(ChangedLists::default()) },
};

#[derive(Default)]
struct ChangedLists {
    /// Calls that were refused.
    answers: AskedAnswers,
    /// The first change of each server since its client listed its tools, and the calls since.
    changed: Table<ConnectionId, ChangedList>,
}

struct ChangedList {
    seq: Seq,
    at_us: u64,
    n_calls: usize,
    /// The newest call, and its time.
    newest: (Seq, u64),
    /// Whether the client had read the change when it made the newest call.
    is_read: bool,
    /// Whether the client, over pipes, sent each request since then behind the answer to the one before.
    takes_turns: bool,
    /// The tools of open calls, by id.
    open: Table<Name, String>,
    /// Calls that were refused because there is no such tool, with the refusals.
    refused: Vec<(String, Name, Seq)>,
    /// A refusal that the client had read, and a later call of the same tool.
    called_when_gone: Option<[Seq; 2]>,
}

impl Monitor for ChangedLists {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        self.answers.see(event, view);
        match &event.kind {
            EventKind::WireSent { connection, message } => {
                for part in parts(message).iter() {
                    if part.method() == Some("notifications/tools/list_changed") {
                        self.announce(event, view, connection);
                    } else if let Some(change) = self.changed.get_mut(connection).filter(|_| part.is_response())
                        && change.answer(event.seq, part)
                    {
                        self.answers.keep((connection.clone(), part.id_text()), event.seq);
                    }
                }
            }
            EventKind::WireReceived { connection, message } if !self.changed.is_empty() => {
                let is_alone = view.connection(connection).is_none_or(|known| known.unanswered.len() <= 1);
                for part in parts(message).iter() {
                    if let Some(change) = self.changed.get_mut(connection).filter(|_| part.is_any_request()) {
                        change.takes_turns &= is_alone;
                    }
                    if part.is_request("tools/list") && self.changed.swap_remove(connection).is_some() {
                        tally.held();
                    } else if part.is_request("tools/call")
                        && let Some(change) = self.changed.get_mut(connection)
                    {
                        change.call(event, view, connection, part, &self.answers);
                    }
                }
            }
            EventKind::WireEof { connection } | EventKind::ConnectionClosed { connection, .. } => {
                let change = self.changed.swap_remove(connection).filter(|_| !view.is_ready());
                let is_known =
                    |change: &ChangedList| change.is_read || change.takes_turns && change.n_calls >= N_CALLS_IN_TURN;
                if let Some(change) = change.filter(is_known) {
                    change.judge(connection, tally);
                }
            }
            _ => {}
        }
    }
}

impl ChangedLists {
    fn announce(&mut self, event: &Event, view: &View, connection: &ConnectionId) {
        let Spoken::Handshake(_, agreement) = view.spoken(connection) else { return };
        let declared = agreement.of_server(&["tools", "listChanged"]).and_then(Value::as_bool);
        if declared == Some(true) && view.connection(connection).is_some_and(|one| one.is_initialized) {
            self.changed.entry(connection.clone()).or_insert_with(|| ChangedList {
                seq: event.seq,
                at_us: event.at_us,
                n_calls: 0,
                newest: (event.seq, event.at_us),
                is_read: false,
                takes_turns: view.is_line(),
                open: Table::default(),
                refused: Vec::new(),
                called_when_gone: None,
            });
        }
    }
}

impl ChangedList {
    fn call(&mut self, event: &Event, view: &View, connection: &ConnectionId, call: &Message, answers: &AskedAnswers) {
        self.n_calls += 1;
        self.newest = (event.seq, event.at_us);
        self.is_read |= view.reading().has_read(connection, self.seq).is_some();
        let Some(tool) = call.at(&["params", "name"]).and_then(Value::as_str) else { return };
        let is_known = |(of, id, _): &&(String, Name, Seq)| {
            of == tool && answers.read(view, &(connection.clone(), id.clone())).is_some()
        };
        if let Some((_, _, refused)) = self.refused.iter().find(is_known) {
            self.called_when_gone.get_or_insert([*refused, event.seq]);
        }
        self.open.insert(call.id_text(), tool.to_owned());
    }

    /// Takes an answer; gives whether it refuses a call because there is no such tool.
    fn answer(&mut self, seq: Seq, answer: &Message) -> bool {
        let id = answer.id_text();
        let Some(tool) = self.open.swap_remove(&id) else { return false };
        let text = answer.at(&["error", "message"]).and_then(Value::as_str).unwrap_or_default();
        let is_refused = text.to_lowercase().starts_with("unknown tool");
        if is_refused {
            self.refused.push((tool, id, seq));
        }
        is_refused
    }

    /// Judges a change that the client has read, and after which it never listed.
    fn judge(&self, connection: &ConnectionId, tally: &mut Tally) {
        let (newest, newest_us) = self.newest;
        let went_on = Duration::from_micros(newest_us.saturating_sub(self.at_us));
        let announced =
            format!("the server of connection {connection} announced at {} that its tools had changed", self.seq);
        if let Some([refused, called]) = self.called_when_gone {
            let because = format!(
                "{announced}; its client called a tool again at {called} that was gone, as it knew from {refused}, and never listed them again"
            );
            tally.broken(Violation::new("called-when-gone", because, &[self.seq, refused, called]));
        } else if self.n_calls >= N_CALLS && went_on >= GATHERED {
            let because = format!(
                "{announced}; its client made {} calls, the last at {newest}, and never listed them again",
                self.n_calls
            );
            tally.broken(Violation::new("never", because, &[self.seq, newest]).of_bound(GATHERED));
        }
    }
}
