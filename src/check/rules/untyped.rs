//! Answers of a stateless server that leave something open: results without a type, and tasks whose cancellation was
//! acknowledged.

use serde_json::Value;

use crate::check::agreement::Spoken;
use crate::check::operations::sent_back;
use crate::check::parts::parts;
use crate::check::rules::sent_back::CallKey;
use crate::check::rules::subscriptions::id_of;
use crate::check::{AppliesTo, Hears, Invariant, Level, Monitor, Property, Tally, View, Violation, Witness};
use crate::history::{ConnectionId, Event, EventKind, Header, Kind, Message, Seq, Table};
use crate::plan::Promise;

/// Counter-examples: A client may make the same call again, which is a new call. Only a client that sends inputs for a
/// call that no answer has sent back mistakes a result for a request for input. Of two open calls with the same
/// arguments one may have been sent back.
pub(super) const UNTYPED_RESULT_COMPLETE: Invariant = Invariant {
    id: "untyped-result-complete",
    property: Property::Safety,
    level: Level::Must,
    claim: "a client treats a result without a type as complete",
    source: "2026-07-28, basic/index, ResultType",
    requirement: &["LC-META-12"],
    applies: AppliesTo::STATELESS,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::WireReceived, Kind::WireSent],
    hears: Hears::ALL,
    vacuous: "no call was answered with a result without a type before a further request",
    explain: "Servers of earlier revisions write no `resultType`, and a result without one is complete. The client \
        treated it as a call that was sent back, and made the call again with inputs that the server had not asked \
        for. The call is made twice, and its caller gets no result.\n\n\
        Look at the result in the witness and at the call after it. To fix it, treat a missing `resultType` as \
        `complete` before you compare it with any other type.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(UntypedResults::default()) },
};

#[derive(Default)]
struct UntypedResults {
    made: Table<(ConnectionId, String), CallKey>,
    /// Calls whose answers so far have no type.
    untyped: Table<CallKey, Seq>,
    /// Calls that a server has sent back.
    back: Vec<CallKey>,
    /// The newest result without a type of each connection, until a further request of its client.
    newest: Table<ConnectionId, CallKey>,
}

impl Monitor for UntypedResults {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        match &event.kind {
            EventKind::WireReceived { connection, message } => {
                if !message.is_any_request() || matches!(view.spoken(connection), Spoken::Handshake(..)) {
                    return;
                }
                let call = CallKey::of(event, view, message);
                let told = self.newest.swap_remove(connection);
                let gives =
                    ["inputResponses", "requestState"].iter().any(|name| message.at(&["params", name]).is_some());
                let untyped = call.as_ref().filter(|call| gives && !self.back.contains(call));
                match untyped.and_then(|call| self.untyped.get(call)) {
                    Some(answered) => {
                        let because = format!(
                            "{} was answered at {answered} with a result without a type, and made again at {} with inputs, as if it had been sent back",
                            message.method().unwrap_or_default(),
                            event.seq
                        );
                        tally.broken(Violation::new("made-again", because, &[*answered, event.seq]));
                    }
                    None if told.is_some() => tally.held(),
                    None => {}
                }
                if let Some(call) = call {
                    self.made.insert((connection.clone(), id_of(message)), call);
                }
            }
            EventKind::WireSent { connection, message } if message.is_response() => {
                let Some(call) = self.made.swap_remove(&(connection.clone(), id_of(message))) else { return };
                if sent_back(message).is_some() {
                    self.back.push(call);
                    return;
                }
                let is_object = message.at(&["result"]).is_some_and(Value::is_object);
                if is_object && message.at(&["result", "resultType"]).is_none() {
                    self.newest.insert(connection.clone(), call.clone());
                    self.untyped.insert(call, event.seq);
                } else {
                    self.untyped.swap_remove(&call);
                }
            }
            _ => {}
        }
    }
}

/// Requests about a task that show that its client does not accept its end.
const AGAIN: usize = 3;

/// Counter-examples: One more poll may cross the answer that reports the end. A client that exits may leave its tasks.
/// A task that is over before its cancellation was acknowledged is another case.
pub(super) const CANCELLED_TASK_OVER: Invariant = Invariant {
    id: "cancelled-task-over",
    property: Property::Safety,
    level: Level::Should,
    claim: "after a client asked to cancel a task, it accepts every final status of the task",
    source: "docs/seps/2663-tasks-extension, Task Cancellation",
    requirement: &["LC-TASK-11"],
    applies: AppliesTo::STATELESS,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::WireReceived, Kind::WireSent],
    hears: Hears::ALL,
    vacuous: "after an acknowledged cancellation, no task ended in another way",
    explain: "The server acknowledged the cancellation of a task, but the task ended in another way: it was complete, \
        or it failed. The specification allows that, because a cancellation is only a request. The client keeps asking \
        until it sees `cancelled`, so its caller waits forever.\n\n\
        Look at the status in the answer and at the requests after it. To fix it, treat every final status as the end \
        of the task: `completed`, `failed` and `cancelled`.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(CancelledTasks::default()) },
};

/// A task: its server and its id.
type TaskKey = (String, String);

#[derive(Default)]
struct CancelledTasks {
    asked: Table<(ConnectionId, String), (TaskKey, bool)>,
    tasks: Table<TaskKey, CancelledTask>,
}

struct CancelledTask {
    acknowledged: Seq,
    /// The answer that reports another end, and the requests since.
    ended: Option<(Seq, String, usize)>,
}

impl Monitor for CancelledTasks {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        match &event.kind {
            EventKind::WireReceived { connection, message } => {
                if matches!(view.spoken(connection), Spoken::Handshake(..)) {
                    return;
                }
                for part in parts(message).iter() {
                    let is_cancel = part.is_request("tasks/cancel");
                    let id = part.at(&["params", "taskId"]).and_then(Value::as_str);
                    let Some(id) = id.filter(|_| is_cancel || part.is_request("tasks/get")) else { continue };
                    let task = (event.source.server().unwrap_or_default().to_owned(), id.to_owned());
                    self.judge(event.seq, &task, tally);
                    self.asked.insert((connection.clone(), id_of(part)), (task, is_cancel));
                }
            }
            EventKind::WireSent { connection, message } if !self.asked.is_empty() => {
                for part in parts(message).iter().filter(|part| part.is_response()) {
                    let asked = self.asked.swap_remove(&(connection.clone(), id_of(part)));
                    if let Some((task, is_cancel)) = asked.filter(|_| !part.is_error()) {
                        self.answer(event.seq, task, is_cancel, part, tally);
                    }
                }
            }
            _ => {}
        }
    }
}

impl CancelledTasks {
    fn answer(&mut self, now: Seq, task: TaskKey, is_cancel: bool, answer: &Message, tally: &mut Tally) {
        if is_cancel {
            self.tasks.entry(task).or_insert(CancelledTask { acknowledged: now, ended: None });
            return;
        }
        let status = answer.at(&["result", "status"]).or_else(|| answer.at(&["result", "task", "status"]));
        let status = status.and_then(Value::as_str).filter(|status| matches!(*status, "completed" | "failed"));
        let (Some(status), Some(task)) = (status, self.tasks.get_mut(&task)) else { return };
        if task.ended.is_none() {
            tally.held();
            task.ended = Some((now, status.to_owned(), 0));
        }
    }

    fn judge(&mut self, now: Seq, key: &TaskKey, tally: &mut Tally) {
        let Some(task) = self.tasks.get_mut(key) else { return };
        let Some((ended, status, n_again)) = task.ended.as_mut() else { return };
        *n_again += 1;
        if *n_again == AGAIN {
            let because = format!(
                "task {} was {status} at {ended}, after its cancellation was acknowledged at {}, and its client asked for it {AGAIN} times more, the last time at {now}",
                key.1, task.acknowledged
            );
            tally.broken(Violation::new("not-accepted", because, &[task.acknowledged, *ended, now]));
        }
    }
}
