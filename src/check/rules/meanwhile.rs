//! Messages that arrive while a client waits for an answer, and how the client handles them.

use std::time::Duration;

use crate::check::agreement::Spoken;
use crate::check::parts::parts;
use crate::check::turns::Turns;
use crate::check::{AppliesTo, Invariant, Level, Monitor, Property, Tally, View, Violation, Witness};
use crate::history::{ConnectionId, Event, EventKind, Header, KeySet, Kind, Message, Name, Seq, Table};
use crate::plan::Promise;

/// Time in which a request that no person answers should be answered.
const PROMPT: Duration = Duration::from_secs(1);
/// Time within which a client answers postponed requests after its own wait has ended.
const RELEASED: Duration = Duration::from_millis(250);

/// Counter-examples: A person may take as long as it needs, so only requests are judged that no person answers: roots and
/// pings. A client that is slow for another reason does not answer exactly when its own request ends.
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
        let Some((released, released_us)) = asked.released else { return tally.held() };
        let waited = Duration::from_micros(released_us.saturating_sub(asked.at_us));
        if waited < PROMPT || since(released_us) >= RELEASED {
            return;
        }
        let because = format!(
            "{} of {} was answered on connection {connection} at {}, {} ms later, only after the client's own request had ended at {released}",
            asked.method,
            asked.seq,
            event.seq,
            since(asked.at_us).as_millis()
        );
        tally.broken(Violation::new("afterwards", because, &[asked.seq, released, event.seq]).of_bound(PROMPT));
    }
}

/// Number of calls after which the client must have noticed the change.
const N_CALLS: usize = 3;

/// Time for which a client may gather changes before it lists.
const GATHERED: Duration = Duration::from_secs(1);

/// Counter-examples: A loader lists again at its next load, which another rule judges. A program that exits, or makes
/// no more calls, need not list. If a server did not declare `listChanged`, its notification does not count. A client
/// that has not read the notification knows of no change, however much time has passed. It has read the notification if
/// it sends one request at a time and has sent further requests.
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
    kinds: &[Kind::WireSent, Kind::WireReceived, Kind::WireEof, Kind::ConnectionClosed],
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
    turns: Turns,
    /// The first change of each server since its client listed its tools, and the calls since.
    changed: Table<ConnectionId, ChangedList>,
}

struct ChangedList {
    seq: Seq,
    at_us: u64,
    n_calls: usize,
    /// The newest call, and its time.
    newest: (Seq, u64),
    /// Whether each request so far was sent after the answer to the one before.
    is_in_turn: bool,
}

impl Monitor for ChangedLists {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        self.turns.see(event, view);
        match &event.kind {
            EventKind::WireSent { connection, message } => {
                if !parts(message).iter().any(|part| part.method() == Some("notifications/tools/list_changed")) {
                    return;
                }
                let Spoken::Handshake(_, agreement) = view.spoken(connection) else { return };
                let declared = agreement.of_server(&["tools", "listChanged"]).and_then(serde_json::Value::as_bool);
                if declared == Some(true) && view.connection(connection).is_some_and(|one| one.is_initialized) {
                    let newest = (event.seq, event.at_us);
                    let change =
                        ChangedList { seq: event.seq, at_us: event.at_us, n_calls: 0, newest, is_in_turn: false };
                    self.changed.entry(connection.clone()).or_insert(change);
                }
            }
            EventKind::WireReceived { connection, message } if !self.changed.is_empty() => {
                for part in parts(message).iter() {
                    if part.is_request("tools/list") && self.changed.swap_remove(connection).is_some() {
                        tally.held();
                    } else if part.is_request("tools/call")
                        && let Some(change) = self.changed.get_mut(connection)
                    {
                        change.n_calls += 1;
                        change.newest = (event.seq, event.at_us);
                        change.is_in_turn = self.turns.n_requests(connection).is_some();
                    }
                }
            }
            EventKind::WireEof { connection } | EventKind::ConnectionClosed { connection, .. } => {
                let Some(change) = self.changed.swap_remove(connection).filter(|_| !view.is_ready()) else { return };
                let (newest, newest_us) = change.newest;
                let had_time = Duration::from_micros(newest_us.saturating_sub(change.at_us)) >= GATHERED;
                if change.is_in_turn && change.n_calls >= N_CALLS && had_time {
                    let because = format!(
                        "the server of connection {connection} announced at {} that its tools had changed; its client made {} calls, the last at {newest}, and never listed them again",
                        change.seq, change.n_calls
                    );
                    tally.broken(Violation::new("never", because, &[change.seq, newest]).of_bound(GATHERED));
                }
            }
            _ => {}
        }
    }
}
