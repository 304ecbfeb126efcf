//! The requests of clients, and which of them they cancel.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::time::Duration;

use crate::check::after_answers::{AfterAnswers, CROSSED_BY_THEN, OWN_TIMEOUT_LEAST};
use crate::check::digests::Digests;
use crate::check::parts::parts;
use crate::check::reading::{RequestKey, new_task};
use crate::check::turns::Turns;
use crate::check::{Monitor, Operation, Tally, View, Violation};
use crate::history::{ConnectionId, Event, EventKind, Message, Name, OpId, Outcome, Seq, Table, WireEnd};

/// Requests of which a rule keeps everything. Of an older one, which is over, it keeps that its answer was read.
const KEPT: usize = 4_096;

/// After this time a timeout of the loader itself may have ended a call.
const OWN_TIMEOUT_US: u64 = 4_000_000;

/// Judges what clients cancel on the wire.
#[derive(Default)]
pub(super) struct CancelledRequests {
    turns: Turns,
    requests: Table<RequestKey, TrackedRequest>,
    /// The requests above in the order in which they came.
    order: VecDeque<RequestKey>,
    /// Older requests whose answers were read, by connection and digest of the id, with the event that shows it.
    settled: Table<ConnectionId, Digests>,
    /// Up to which event each client had read when an operation returned, and that return.
    returned: Table<ConnectionId, (Seq, Seq)>,
    /// The requests of each operation that has not returned a result.
    by_operation: Table<OpId, Vec<RequestKey>>,
    noisy: Vec<ConnectionId>,
    /// Cancellations over HTTP of requests that have not arrived.
    early: Table<RequestKey, Seq>,
    /// What was cancelled on each pair of pipes after its answer.
    after_answers: Table<ConnectionId, AfterAnswers>,
    /// The connection of the newest POST of each mock, until its message arrives.
    unread: Table<Name, ConnectionId>,
}

struct TrackedRequest {
    method: Cow<'static, str>,
    received: Seq,
    operation: Option<OpId>,
    /// The answer, its time, and whether it hands out a task.
    answered: Option<(Seq, u64)>,
    is_task: bool,
    /// Whether every client understands the answer.
    is_sound: bool,
    /// The first event that shows that the answer was read.
    read: Option<Seq>,
    is_cancel_wanted: bool,
    cancelled: Option<Seq>,
    /// The answer and a cancellation without a reason, which came so long after the answer that the two have hardly
    /// crossed.
    late: Option<[Seq; 2]>,
    consumed: Option<Seq>,
}

impl Monitor for CancelledRequests {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        if view.is_line() {
            self.turns.see(event, view);
        }
        for request in view.reading().proven(event) {
            if let Some(asked) = self.requests.get_mut(request) {
                asked.read.get_or_insert(event.seq);
            }
        }
        match &event.kind {
            EventKind::WireReceived { connection, message } => {
                self.unread.swap_remove(&event.source.to_name());
                for part in parts(message).iter() {
                    self.receive(event, view, connection, part, tally);
                }
            }
            EventKind::WireSent { connection, message } => {
                for part in parts(message).iter().filter(|part| part.is_response()) {
                    let key = (connection.clone(), part.id_text());
                    if let Some(asked) = self.requests.get_mut(&key) {
                        asked.answered = Some((event.seq, event.at_us));
                        asked.is_task = new_task(part).is_some();
                        asked.is_sound = part.is_sound_response();
                        asked.read = None;
                        if asked.method == "tools/call" && view.is_line() {
                            self.after_answers.entry(connection.clone()).or_default().n_calls += 1;
                        }
                    }
                }
            }
            EventKind::HttpReceived { verb, connection: Some(connection), .. } if verb == "POST" => {
                self.unread.insert(event.source.to_name(), connection.clone());
            }
            // The request was cut off, or refused before its message was read.
            EventKind::HttpAnswered { .. } | EventKind::HttpEnded { .. } => {
                self.noisy.extend(self.unread.swap_remove(&event.source.to_name()));
            }
            EventKind::WireNoise { connection, .. } => self.noisy.push(connection.clone()),
            // A server that has closed its output may read on.
            EventKind::ConnectionClosed { how: WireEnd::ByServer, .. } if view.is_line() => {}
            EventKind::WireEof { connection } | EventKind::ConnectionClosed { connection, .. } => {
                self.end_early(tally, connection);
                self.requests.retain(|(of, _), _| of != connection);
                self.settled.swap_remove(connection);
                self.returned.swap_remove(connection);
                self.noisy.retain(|of| of != connection);
            }
            EventKind::CancelRequested { operation } => {
                for key in self.by_operation.get(operation).into_iter().flatten() {
                    if let Some(asked) = self.requests.get_mut(key).filter(|asked| asked.is_of(*operation)) {
                        asked.is_cancel_wanted |= asked.consumed.is_none();
                    }
                }
            }
            EventKind::OperationCompleted { operation, outcome: Outcome::Ok { .. } } => {
                for key in self.by_operation.swap_remove(operation).unwrap_or_default() {
                    let asked = self.requests.get_mut(&key).filter(|asked| asked.is_of(*operation));
                    let Some((asked, (answered, _))) = asked.and_then(|asked| asked.answered.map(|at| (asked, at)))
                    else {
                        continue;
                    };
                    asked.consumed.get_or_insert(event.seq);
                    asked.read.get_or_insert(event.seq);
                    if view.reading().has_one_order() {
                        let known = self.returned.entry(key.0.clone()).or_insert((answered, event.seq));
                        if known.0 < answered {
                            *known = (answered, event.seq);
                        }
                    }
                    if let Some(late) = asked.late.take() {
                        self.after_answers.entry(key.0).or_default().given_out.push(late);
                    }
                }
            }
            EventKind::OperationCompleted { operation, .. } => {
                self.by_operation.swap_remove(operation);
            }
            _ => {}
        }
    }

    fn end(&self, view: &View, tally: &mut Tally) {
        self.after_answers.values().flat_map(AfterAnswers::violations).for_each(|violation| tally.broken(violation));
        if !view.is_cut_off() && !view.is_killed() {
            self.judge_early(tally, |_| true);
        }
    }
}

impl TrackedRequest {
    fn is_of(&self, operation: OpId) -> bool {
        self.operation == Some(operation)
    }

    /// The event that shows that the client has read the answer.
    ///
    /// Counter-example: A client need not take a message that it cannot understand for the answer, and may wait on.
    fn read_by(&self, view: &View, connection: &ConnectionId, returned: Option<&(Seq, Seq)>) -> Option<Seq> {
        let (sent, _) = self.answered.filter(|_| self.is_sound)?;
        let is_spoiled = || view.reading().is_spoiled(sent);
        let returned = || returned.filter(|(to, _)| sent <= *to && !is_spoiled()).map(|(_, evidence)| *evidence);
        self.read.or_else(|| view.reading().in_order(connection, sent)).or_else(returned)
    }

    /// The event that shows that the client has read the answer, if no more about the request can matter.
    fn settled_by(&self, view: &View, connection: &ConnectionId, returned: Option<&(Seq, Seq)>) -> Option<Seq> {
        let is_over = self.operation.is_none_or(|operation| view.operation(operation).is_none());
        let is_plain = !self.is_task && !self.is_cancel_wanted && self.method != "initialize";
        let is_settled = is_over && is_plain && self.cancelled.is_none();
        let read = self.consumed.or_else(|| self.read_by(view, connection, returned));
        read.filter(|_| is_settled)
    }
}

impl CancelledRequests {
    /// Keeps less about the oldest request, if its client has the answer.
    fn settle_oldest(&mut self, view: &View) {
        let Some(key) = self.order.pop_front() else { return };
        let Some(asked) = self.requests.get(&key) else { return };
        match asked.settled_by(view, &key.0, self.returned.get(&key.0)) {
            Some(read) => {
                self.requests.swap_remove(&key);
                self.settled.entry(key.0).or_default().insert(&key.1, read);
            }
            None => self.order.push_back(key),
        }
    }

    fn receive(&mut self, event: &Event, view: &View, connection: &ConnectionId, message: &Message, tally: &mut Tally) {
        let seq = event.seq;
        if let Some(method) = message.method_name().filter(|_| message.is_any_request()) {
            let asked = TrackedRequest {
                operation: owner(view, connection, &method, seq),
                method,
                received: seq,
                answered: None,
                is_task: false,
                is_sound: false,
                read: None,
                is_cancel_wanted: false,
                cancelled: None,
                late: None,
                consumed: None,
            };
            let key = (connection.clone(), message.id_text());
            if self.early.swap_remove(&key).is_some() {
                tally.held();
            }
            if let Some(operation) = asked.operation {
                self.by_operation.entry(operation).or_default().push(key.clone());
            }
            // An id that is used again keeps its place.
            if self.requests.insert(key.clone(), asked).is_none() {
                self.order.push_back(key);
            }
            if self.order.len() > KEPT {
                self.settle_oldest(view);
            }
        }
        if !message.is_notification("notifications/cancelled") || message.is_cut() {
            return;
        }
        let Some(id) = message.cancelled_request() else {
            let because = format!("a cancellation without a request was sent on connection {connection} at {seq}");
            return tally.broken(Violation::new("no-request", because, &[seq]));
        };
        let key = (connection.clone(), Name::from(id));
        let returned = self.returned.get(connection);
        let Some(asked) = self.requests.get_mut(&key) else {
            let settled = self.settled.get(connection).and_then(|settled| settled.get(&key.1));
            if let Some(had) = settled {
                let because = format!("request {id} was cancelled at {seq}, after its answer had been read at {had}");
                return tally.broken(Violation::new("already-answered", because, &[had, seq]));
            }
            if !self.noisy.contains(connection) {
                self.early.insert(key, seq);
            }
            // Over lines no message overtakes another.
            if view.is_line() {
                self.end_early(tally, connection);
            }
            return;
        };
        if asked.method == "initialize" {
            let because = format!("initialize (request {id} of {}) was cancelled at {seq}", asked.received);
            tally.broken(Violation::new("initialize", because, &[asked.received, seq]));
            return;
        }
        let read = asked.read_by(view, connection, returned);
        if let Some(read) = read.filter(|_| asked.is_task) {
            let because = format!(
                "request {id} of {} was cancelled at {seq} by notification, although it was a task, as the client knew at {read}",
                asked.received
            );
            return tally.broken(Violation::new("task", because, &[asked.received, read, seq]));
        }
        let earlier = asked.cancelled.replace(seq).filter(|_| view.is_line());
        if let Some(earlier) = earlier {
            let because = format!("request {id} of {} was cancelled at {earlier} and again at {seq}", asked.received);
            let violation = Violation::new("twice", because, &[asked.received, earlier, seq]);
            return tally.broken(violation.as_warning());
        }
        let consumed = asked.consumed.map(|consumed| (consumed, "returned"));
        match consumed.or(read.map(|read| (read, "read"))).filter(|_| !asked.is_cancel_wanted) {
            Some((had, how)) => {
                let because = format!(
                    "request {id} of {} was cancelled at {seq}, after its answer had been {how} at {had}",
                    asked.received
                );
                tally.broken(Violation::new("already-answered", because, &[asked.received, had, seq]));
            }
            None => {
                let is_delayed =
                    event.source.server().and_then(|server| view.server(server)).is_some_and(|it| it.delayed.is_some());
                let takes_turns = self.turns.takes_turns(connection);
                let late = asked.answered.filter(|_| asked.is_sound && takes_turns && !asked.is_cancel_wanted);
                let waited = late.map(|(_, at_us)| Duration::from_micros(event.at_us.saturating_sub(at_us)));
                if let Some((answered, _)) = late.filter(|_| waited >= Some(CROSSED_BY_THEN)) {
                    let operation = asked.operation.and_then(|operation| view.operation(operation));
                    let is_short = operation.is_some_and(|operation| !may_have_timed_out(event, view, operation));
                    asked.late = is_short.then_some([answered, seq]);
                    if !is_delayed && waited < Some(OWN_TIMEOUT_LEAST) {
                        self.after_answers.entry(connection.clone()).or_default().cancelled.push([answered, seq]);
                    }
                }
                tally.held();
            }
        }
    }

    /// Judges cancellations whose request did not arrive as long as its connection was open.
    fn judge_early(&self, tally: &mut Tally, concerns: impl Fn(&ConnectionId) -> bool) {
        let due = self.early.iter().filter(|((of, _), _)| concerns(of) && !self.noisy.contains(of));
        for ((connection, id), seq) in due {
            let because =
                format!("request {id} was cancelled on connection {connection} at {seq}, where it was never made");
            tally.broken(Violation::new("unknown-request", because, &[*seq]));
        }
    }

    fn end_early(&mut self, tally: &mut Tally, connection: &ConnectionId) {
        self.judge_early(tally, |of| of == connection);
        self.early.retain(|(of, _), _| of != connection);
    }
}

/// The operation to which a request belongs without doubt: its call, or the only running load.
fn owner(view: &View, connection: &ConnectionId, method: &str, seq: Seq) -> Option<OpId> {
    if method == "tools/call" {
        let is_its = |operation: &&Operation| {
            operation.requests.iter().any(|request| request.connection == *connection && request.received == seq)
        };
        return view
            .operations()
            .find(is_its)
            .filter(|operation| !operation.is_ambiguous)
            .map(|operation| operation.id);
    }
    let mut loads = view.operations().filter(|operation| operation.action.loads());
    let only = loads.next().filter(|_| loads.next().is_none());
    only.map(|operation| operation.id)
}

/// Whether an operation has run for so long that its loader may have given it up by itself.
pub(super) fn may_have_timed_out(event: &Event, view: &View, operation: &Operation) -> bool {
    let bound = view.promises().call_bound.map(|bound| u64::try_from(bound.0.as_micros()).unwrap_or(u64::MAX));
    let own_timeout = bound.unwrap_or(OWN_TIMEOUT_US).min(OWN_TIMEOUT_US);
    operation.started.is_none_or(|(_, at_us)| event.at_us >= at_us.saturating_add(own_timeout))
}
