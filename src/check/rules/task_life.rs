//! The life of a task: how its client follows it, and what belongs to it.

use std::time::Duration;

use serde_json::Value;

use crate::check::agreement::Spoken;
use crate::check::parts::parts;
use crate::check::{AppliesTo, Hears, Invariant, Level, Monitor, Of, Property, Tally, View, Violation, Witness};
use crate::history::{ConnectionId, Event, EventKind, Header, Kind, KnownMethod, Message, Name, Seq, Table, WireEnd};
use crate::plan::{Promise, Revision};

/// Number of requests that show that a client makes other requests, or repeats the same one.
const AGAIN: usize = 3;
/// Number of polls in a row that show that a client does not keep the interval.
const HASTY: usize = 5;
/// Time that a client has for its first poll.
const TIME_TO_POLL: Duration = Duration::from_secs(1);

/// Counter-examples: A poll may cross the answer that ends the task, or the first of a new interval. A client that goes
/// away may leave its tasks to their time to live. A client that got the end by notification asks only for the result.
pub(super) const TASKS_FOLLOWED: Invariant = Invariant {
    id: "tasks-followed",
    property: Property::Safety,
    level: Level::Should,
    claim: "a client polls its tasks until they end, no longer, and at the interval that their server suggests",
    source: "2025-11-25, basic/utilities/tasks, Getting Tasks",
    requirement: &["LC-TASK-03"],
    applies: AppliesTo::HANDSHAKE,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::WireReceived, Kind::WireSent, Kind::WireEof, Kind::ConnectionClosed],
    hears: Hears::only(&[
        (Kind::WireReceived, &[Of::AnyRequest]),
        (Kind::WireSent, &[Of::AnyAnswer, Of::Notice(KnownMethod::TasksStatus)]),
    ]),
    vacuous: "no call became a task that its client asked for",
    explain: "A call became a task, and the client did not poll the task correctly: it never polled and made other \
        requests, it kept polling although the task was over, or it polled far more often than `pollInterval` \
        suggests. If a client never polls a task, the work is wasted and the caller never gets a result. Polls that \
        are too frequent cost the server more than the work itself.\n\n\
        Look at the requests `tasks/get` with the id of the task. To fix it, wait `pollInterval` milliseconds between \
        two polls, stop at `completed`, `failed` or `cancelled`, and fetch the outcome with `tasks/result`.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(FollowedTasks::default()) },
};

#[derive(Default)]
struct FollowedTasks {
    /// Unanswered `tasks/get`, by connection and id, with their tasks.
    polls: Table<(ConnectionId, Name), String>,
    tasks: Table<(ConnectionId, Name), FollowedTask>,
}

struct FollowedTask {
    created: Seq,
    created_us: u64,
    interval: Option<Duration>,
    /// Whether its client asked for it in any way.
    is_asked_for: bool,
    /// Other requests of the client since it was created, and the newest.
    others: (usize, Seq, u64),
    /// When the newest answer to a poll was sent.
    told_us: Option<u64>,
    /// Polls in a row that came too soon.
    n_hasty: usize,
    /// The answer that reported the end, and the polls since.
    ended: Option<(Seq, usize)>,
}

impl Monitor for FollowedTasks {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        match &event.kind {
            EventKind::WireReceived { connection, message } => {
                if self.tasks.is_empty() {
                    return;
                }
                for part in parts(message).iter().filter(|part| part.is_any_request()) {
                    self.receive(event, connection, part, tally);
                }
            }
            EventKind::WireSent { connection, message } => {
                for part in parts(message).iter().filter(|part| task_in(part).is_some()) {
                    if matches!(view.spoken(connection), Spoken::Handshake(Revision::R20251125, _)) {
                        self.send(event, connection, part);
                    }
                }
            }
            EventKind::WireEof { connection } | EventKind::ConnectionClosed { connection, how: WireEnd::ByClient } => {
                self.left(event.seq, connection, tally);
            }
            EventKind::ConnectionClosed { connection, .. } => {
                self.tasks.retain(|(of, _), _| of != connection);
                self.polls.retain(|(of, _), _| of != connection);
            }
            _ => {}
        }
    }
}

impl FollowedTasks {
    fn send(&mut self, event: &Event, connection: &ConnectionId, message: &Message) {
        let Some(found) = task_in(message) else { return };
        let key = (connection.clone(), found.id.into());
        let poll = message.id().map(|id| (connection.clone(), Name::from(id)));
        let is_poll = poll.is_some_and(|poll| self.polls.swap_remove(&poll).is_some());
        if found.is_new {
            let others = (0, event.seq, event.at_us);
            let task = FollowedTask {
                created: event.seq,
                created_us: event.at_us,
                interval: found.interval,
                is_asked_for: false,
                others,
                told_us: None,
                n_hasty: 0,
                ended: None,
            };
            self.tasks.insert(key, task);
        } else if let Some(task) = self.tasks.get_mut(&key) {
            task.interval = found.interval.or(task.interval);
            if is_poll {
                task.told_us = Some(event.at_us);
            }
            if found.has_ended {
                // A client that gets notifications need not poll.
                task.is_asked_for |= message.method().is_some();
                task.ended.get_or_insert((event.seq, 0));
            }
        }
    }

    fn receive(&mut self, event: &Event, connection: &ConnectionId, request: &Message, tally: &mut Tally) {
        let of_tasks = request.method().is_some_and(|method| method.starts_with("tasks/"));
        let asked = request.at(&["params", "taskId"]).and_then(Value::as_str).filter(|_| of_tasks);
        let Some(id) = asked else {
            let is_list = request.is_request("tasks/list");
            for (_, task) in self.tasks.iter_mut().filter(|((of, _), _)| of == connection) {
                task.is_asked_for |= is_list;
                task.others = (task.others.0 + 1, event.seq, event.at_us);
            }
            return;
        };
        let Some(task) = self.tasks.get_mut(&(connection.clone(), id.into())) else { return };
        task.is_asked_for = true;
        if !request.is_request("tasks/get") {
            return tally.held();
        }
        let poll = request.id_text();
        self.polls.insert((connection.clone(), poll), id.to_owned());
        if let Some((ended, n_polls)) = &mut task.ended {
            *n_polls += 1;
            if *n_polls == AGAIN {
                let because = format!(
                    "task {id} of connection {connection} was asked for again and again until {}, although {ended} had shown that it was over",
                    event.seq
                );
                tally.broken(Violation::new("after-end", because, &[*ended, event.seq]));
            }
            return;
        }
        let since_us = task.told_us.unwrap_or(task.created_us);
        let waited = Duration::from_micros(event.at_us.saturating_sub(since_us));
        let is_hasty = task.interval.is_some_and(|interval| waited < interval / 2);
        task.n_hasty = if is_hasty { task.n_hasty + 1 } else { 0 };
        if !is_hasty {
            return tally.held();
        }
        if task.n_hasty == HASTY {
            let because = format!(
                "task {id} of connection {connection}, of {}, was asked for {HASTY} times in a row before half its interval of {} ms had passed, last at {}",
                task.created,
                task.interval.unwrap_or_default().as_millis(),
                event.seq
            );
            tally.broken(Violation::new("too-soon", because, &[task.created, event.seq]));
        }
    }

    fn left(&mut self, now: Seq, connection: &ConnectionId, tally: &mut Tally) {
        self.polls.retain(|(of, _), _| of != connection);
        self.tasks.retain(|(of, id), task| {
            let (n_others, newest, newest_us) = task.others;
            let had_time = Duration::from_micros(newest_us.saturating_sub(task.created_us)) >= TIME_TO_POLL;
            if of == connection && !task.is_asked_for && n_others >= AGAIN && had_time {
                let because = format!(
                    "task {id} of connection {connection}, of {}, was never asked for until {now}, and the client made {n_others} other requests, the last at {newest}",
                    task.created
                );
                tally.broken(Violation::new("never", because, &[task.created, newest, now]).of_bound(TIME_TO_POLL));
            }
            of != connection
        });
    }
}

/// What a message of a server says about a task.
struct TaskNews<'a> {
    id: &'a str,
    is_new: bool,
    interval: Option<Duration>,
    has_ended: bool,
    needs_input: bool,
}

fn task_in(message: &Message) -> Option<TaskNews<'_>> {
    let created = message.at(&["result", "task"]);
    let is_status = message.method() == Some("notifications/tasks/status");
    let task = created.or(message.at(&[if is_status { "params" } else { "result" }]))?;
    let status = task.get("status").and_then(Value::as_str)?;
    Some(TaskNews {
        id: task.get("taskId").and_then(Value::as_str)?,
        is_new: created.is_some(),
        interval: task.get("pollInterval").and_then(Value::as_u64).map(Duration::from_millis),
        has_ended: matches!(status, "completed" | "failed" | "cancelled"),
        needs_input: status == "input_required",
    })
}

/// Counter-examples: A poll may cross the answer that says it. A client may cancel the task instead.
pub(super) const TASK_INPUT_AWAITED: Invariant = Invariant {
    id: "task-input-awaited",
    property: Property::Safety,
    level: Level::Should,
    claim: "a client whose task needs input asks for its result, so that the server can ask for the input",
    source: "2025-11-25, basic/utilities/tasks, Input Required Status",
    requirement: &["LC-TASK-05"],
    applies: AppliesTo::HANDSHAKE,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::WireReceived, Kind::WireSent, Kind::WireEof, Kind::ConnectionClosed],
    hears: Hears::only(&[
        (Kind::WireReceived, &[Of::AnyRequest]),
        (Kind::WireSent, &[Of::AnyAnswer, Of::Notice(KnownMethod::TasksStatus)]),
    ]),
    vacuous: "no task needed input",
    explain: "A task had the status `input_required`, and the client continued to poll. The server sends its request \
        for input on the stream of `tasks/result`, because it knows that the client listens there. As long as the \
        client does not ask for the result, the task waits for the input, and the client waits for the task.\n\n\
        Look at the status in the answers to `tasks/get`. To fix it, send `tasks/result` as soon as the status is \
        `input_required`, and serve the request for input.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(TaskInput::default()) },
};

#[derive(Default)]
struct TaskInput {
    /// Tasks that need input, by connection and id: the answer that said it first, and the polls since.
    needy: Table<(ConnectionId, Name), (Seq, usize)>,
}

impl Monitor for TaskInput {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        match &event.kind {
            EventKind::WireSent { connection, message } => {
                for news in parts(message).iter().filter_map(task_in) {
                    let Spoken::Handshake(Revision::R20251125, _) = view.spoken(connection) else { return };
                    let key = (connection.clone(), news.id.into());
                    if news.needs_input {
                        self.needy.entry(key).or_insert((event.seq, 0));
                    } else {
                        self.needy.swap_remove(&key);
                    }
                }
            }
            EventKind::WireReceived { connection, message } if !self.needy.is_empty() => {
                for part in parts(message).iter().filter(|part| part.is_any_request()) {
                    let Some(id) = part.at(&["params", "taskId"]).and_then(Value::as_str) else { continue };
                    let key = (connection.clone(), id.into());
                    let Some((needed, n_polls)) = self.needy.get_mut(&key) else { continue };
                    if !part.is_request("tasks/get") {
                        self.needy.swap_remove(&key);
                        tally.held();
                        continue;
                    }
                    *n_polls += 1;
                    if *n_polls == AGAIN {
                        let because = format!(
                            "task {id} of connection {connection} needed input at {needed}, and was only asked for its status until {}",
                            event.seq
                        );
                        tally.broken(Violation::new("polled-on", because, &[*needed, event.seq]));
                    }
                }
            }
            EventKind::WireEof { connection } | EventKind::ConnectionClosed { connection, .. } => {
                self.needy.retain(|(of, _), _| of != connection);
            }
            _ => {}
        }
    }
}

/// The key of `_meta` that names the task to which a message belongs.
const RELATED: &str = "io.modelcontextprotocol/related-task";

/// Counter-example: an error has no place for metadata.
pub(super) const TASK_ANSWERS_RELATED: Invariant = Invariant {
    id: "task-answers-related",
    property: Property::Safety,
    level: Level::Must,
    claim: "the result of a request that belongs to a task names that task",
    source: "2025-11-25, basic/utilities/tasks, Associating Task-Related Messages",
    requirement: &["LC-TASK-07"],
    applies: AppliesTo::HANDSHAKE,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::WireSent, Kind::WireReceived, Kind::WireEof, Kind::ConnectionClosed],
    hears: Hears::only(&[(Kind::WireSent, &[Of::AnyRequest]), (Kind::WireReceived, &[Of::AnyAnswer])])
        .from(&[(Kind::WireSent, &[Of::AnyRequest])]),
    vacuous: "no client answered a request that belongs to a task",
    explain: "The server sent a request on behalf of a task, and marked it with the metadata \
        `io.modelcontextprotocol/related-task`. The client's result does not carry that metadata, or names another \
        task. A server that runs several tasks gives the result to the wrong one, or to none, and the task waits \
        forever.\n\n\
        Look at `_meta` of the request and of the result. To fix it, copy the metadata of the request into the result, \
        in one place for all handlers.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(RelatedAnswers::default()) },
};

#[derive(Default)]
struct RelatedAnswers {
    /// Requests that belong to a task, by connection and id.
    asked: Table<(ConnectionId, Name), (String, Seq)>,
}

impl Monitor for RelatedAnswers {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        match &event.kind {
            EventKind::WireSent { connection, message } => {
                for request in parts(message).iter().filter(|part| part.is_any_request()) {
                    let Spoken::Handshake(Revision::R20251125, _) = view.spoken(connection) else { return };
                    let task = request.at(&["params", "_meta", RELATED, "taskId"]).and_then(Value::as_str);
                    let is_about_tasks = request.method().is_some_and(|method| method.starts_with("tasks/"));
                    let Some(task) = task.filter(|_| !is_about_tasks) else { continue };
                    let id = request.id_text();
                    self.asked.insert((connection.clone(), id), (task.to_owned(), event.seq));
                }
            }
            EventKind::WireReceived { connection, message } if !self.asked.is_empty() => {
                for answer in parts(message).iter().filter(|part| part.is_response() && !part.is_cut()) {
                    let id = answer.id_text();
                    let Some((task, at)) = self.asked.swap_remove(&(connection.clone(), id)) else { continue };
                    if answer.at(&["result"]).is_none() {
                        continue;
                    }
                    let named = answer.at(&["result", "_meta", RELATED, "taskId"]).and_then(Value::as_str);
                    let (variant, found) = match named {
                        Some(named) if named == task => {
                            tally.held();
                            continue;
                        }
                        Some(named) => ("other", format!("names task {named:?}")),
                        None => ("missing", "names no task".to_owned()),
                    };
                    let because = format!(
                        "the request of {at}, which belongs to task {task:?}, was answered on connection {connection} at {}, and the result {found}",
                        event.seq
                    );
                    tally.broken(Violation::new(variant, because, &[at, event.seq]));
                }
            }
            EventKind::WireEof { connection } | EventKind::ConnectionClosed { connection, .. } => {
                self.asked.retain(|(of, _), _| of != connection);
            }
            _ => {}
        }
    }
}
