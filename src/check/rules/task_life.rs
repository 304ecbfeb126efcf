//! The life of a task: how its client follows it, and what belongs to it.

use std::time::Duration;

use serde_json::Value;

use crate::check::agreement::Spoken;
use crate::check::asked_answers::AskedAnswers;
use crate::check::parts::parts;
use crate::check::reading::{self, RequestKey};
use crate::check::{AppliesTo, Hears, Invariant, Level, Monitor, Of, Property, Tally, View, Violation, Witness};
use crate::history::{ConnectionId, Event, EventKind, Header, Kind, KnownMethod, Message, Name, Seq, Table, WireEnd};
use crate::plan::{Promise, Revision};

/// Number of requests that show that a client makes other requests, or repeats the same one.
const AGAIN: usize = 3;
/// Number of polls that show that a client does not keep the interval.
const HASTY: usize = 5;
/// Time that a client has for its first poll, where its server suggests no longer one.
const TIME_TO_POLL: Duration = Duration::from_secs(1);

/// Counter-examples: A client that has not read that there is a task, or that it is over, does not know it, however many
/// requests a timer sends meanwhile. A client that goes away may leave its tasks to their time to live. A client that got
/// the end by notification asks only for the result. Polls that were sent at the interval may arrive all at once, so they
/// are counted since the last answer that the client is known to have read.
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
    kinds: reading::KINDS,
    hears: Hears::ALL,
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
    /// Those in which the tasks below appear.
    answers: AskedAnswers,
    /// Unanswered `tasks/get`, by connection and id, with their tasks.
    polls: Table<RequestKey, String>,
    tasks: Table<(ConnectionId, Name), FollowedTask>,
}

struct FollowedTask {
    created: Seq,
    /// The call that became the task.
    call: RequestKey,
    pace: Pace,
    /// Whether its client asked for it in any way.
    is_asked_for: bool,
    /// Other requests of the client since it is known to have read of the task.
    others: Option<Others>,
    /// What reported the end, and the polls since the client had read it.
    ended: Option<(Option<RequestKey>, Seq, usize)>,
}

struct Others {
    since_us: u64,
    n_requests: usize,
    newest: (Seq, u64),
}

/// How often a client polls.
struct Pace {
    /// The interval that the client has read.
    interval: Option<Duration>,
    /// Other intervals that its server has suggested since.
    suggested: Vec<Told>,
    /// The newest answer to a poll.
    newest: Option<Told>,
    /// When an answer was sent that the client had read, and the polls since.
    since_us: u64,
    n_polls: usize,
}

/// An answer about a task.
struct Told {
    request: RequestKey,
    at_us: u64,
    interval: Duration,
}

impl Pace {
    fn told(&mut self, request: RequestKey, at_us: u64, interval: Option<Duration>) {
        let newest = self.suggested.last().map(|told| told.interval).or(self.interval);
        if let Some(interval) = interval.filter(|interval| newest != Some(*interval)) {
            self.suggested.push(Told { request: request.clone(), at_us, interval });
        }
        self.newest = Some(Told { request, at_us, interval: interval.unwrap_or_default() });
    }

    fn restart(&mut self, since_us: u64) {
        (self.since_us, self.n_polls) = (since_us, 0);
    }

    /// Takes a poll; gives the interval and the time in which so many polls came, if they came too soon.
    fn poll(&mut self, now_us: u64, is_read: impl Fn(&RequestKey) -> bool) -> Option<(Duration, Duration)> {
        let read = self.suggested.iter().rposition(|told| is_read(&told.request));
        if let Some(told) = read.and_then(|read| self.suggested.drain(..=read).next_back()) {
            self.interval = Some(told.interval);
            self.restart(told.at_us);
        }
        self.n_polls += 1;
        // A client that may have read of a shorter interval may keep that one.
        let interval = self.suggested.iter().map(|told| told.interval).chain(self.interval).min();
        let interval = interval.filter(|_| self.interval.is_some())?;
        let within = Duration::from_micros(now_us.saturating_sub(self.since_us));
        if within < interval / 2 * u32::try_from(self.n_polls).unwrap_or(u32::MAX) {
            return Some((interval, within));
        }
        if let Some(told) = self.newest.take_if(|told| is_read(&told.request)) {
            self.restart(told.at_us);
        }
        None
    }
}

impl Monitor for FollowedTasks {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        self.answers.see(event, view);
        match &event.kind {
            EventKind::WireReceived { connection, message } => {
                if self.tasks.is_empty() {
                    return;
                }
                for part in parts(message).iter().filter(|part| part.is_any_request()) {
                    self.receive(event, view, connection, part, tally);
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
        let request = message.id().map(|id| (connection.clone(), Name::from(id)));
        request.iter().for_each(|request| self.answers.keep(request.clone(), event.seq));
        let poll = request.clone().filter(|request| self.polls.swap_remove(request).is_some());
        if let (true, Some(call)) = (found.is_new, request) {
            let pace = Pace {
                interval: found.interval,
                suggested: Vec::new(),
                newest: None,
                since_us: event.at_us,
                n_polls: 0,
            };
            let task = FollowedTask { created: event.seq, call, pace, is_asked_for: false, others: None, ended: None };
            self.tasks.insert(key, task);
        } else if let Some(task) = self.tasks.get_mut(&key) {
            if let Some(poll) = &poll {
                task.pace.told(poll.clone(), event.at_us, found.interval);
            }
            if found.has_ended {
                // A client that gets notifications need not poll.
                task.is_asked_for |= message.method().is_some();
                task.ended.get_or_insert((poll, event.seq, 0));
            }
        }
    }

    fn receive(&mut self, event: &Event, view: &View, connection: &ConnectionId, request: &Message, tally: &mut Tally) {
        let of_tasks = request.method().is_some_and(|method| method.starts_with("tasks/"));
        let asked = request.at(&["params", "taskId"]).and_then(Value::as_str).filter(|_| of_tasks);
        let Some(id) = asked else {
            let is_list = request.is_request("tasks/list");
            let answers = &self.answers;
            for (_, task) in self.tasks.iter_mut().filter(|((of, _), _)| of == connection) {
                task.is_asked_for |= is_list;
                if answers.read(view, &task.call).is_some() {
                    let newest = (event.seq, event.at_us);
                    let others = Others { since_us: event.at_us, n_requests: 0, newest };
                    let others = task.others.get_or_insert(others);
                    (others.n_requests, others.newest) = (others.n_requests + 1, newest);
                }
            }
            return;
        };
        let Some(task) = self.tasks.get_mut(&(connection.clone(), id.into())) else { return };
        task.is_asked_for = true;
        if !request.is_request("tasks/get") {
            return tally.held();
        }
        self.polls.insert((connection.clone(), request.id_text()), id.to_owned());
        if let Some((poll, ended, n_polls)) = &mut task.ended {
            let read = poll.as_ref().and_then(|poll| self.answers.read(view, poll));
            *n_polls += usize::from(read.or_else(|| view.reading().has_read(connection, *ended)).is_some());
            if *n_polls == AGAIN {
                let because = format!(
                    "task {id} of connection {connection} was asked for again and again until {}, although {ended} had shown that it was over",
                    event.seq
                );
                tally.broken(Violation::new("after-end", because, &[*ended, event.seq]));
            }
            return;
        }
        let Some((interval, within)) =
            task.pace.poll(event.at_us, |request| self.answers.read(view, request).is_some())
        else {
            return tally.held();
        };
        if task.pace.n_polls == HASTY {
            let because = format!(
                "task {id} of connection {connection}, of {}, was asked for {HASTY} times within {} ms, last at {}, although its server suggests {} ms between two polls",
                task.created,
                within.as_millis(),
                event.seq,
                interval.as_millis()
            );
            tally.broken(Violation::new("too-soon", because, &[task.created, event.seq]));
        }
    }

    fn left(&mut self, now: Seq, connection: &ConnectionId, tally: &mut Tally) {
        self.polls.retain(|(of, _), _| of != connection);
        self.tasks.retain(|(of, id), task| {
            let Some(others) = task.others.as_ref().filter(|_| of == connection && !task.is_asked_for) else {
                return of != connection;
            };
            let (newest, newest_us) = others.newest;
            let lived_on = Duration::from_micros(newest_us.saturating_sub(others.since_us));
            let time_to_poll = TIME_TO_POLL.max(task.pace.interval.unwrap_or_default() * 2);
            if others.n_requests >= AGAIN && lived_on >= time_to_poll {
                let because = format!(
                    "task {id} of connection {connection}, of {}, was never asked for until {now}, and the client made {} other requests, the last at {newest}",
                    task.created, others.n_requests
                );
                tally.broken(Violation::new("never", because, &[task.created, newest, now]).of_bound(time_to_poll));
            }
            false
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
