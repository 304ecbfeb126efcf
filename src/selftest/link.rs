//! The self-test's end of an adapter's link. It reads lines as the recorder does, but can delay acknowledgements.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_stream::StreamExt;
use tokio_util::codec::{FramedRead, LinesCodec, LinesCodecError};

use crate::history::{Context, EventKind, Source};
use crate::record::{Completion, LINK_LINE_BYTES_MAX, Line, LineContent, monotonic_us};

/// Maximum number of lines in one session, far above the need of any adapter.
const LINES_MAX: usize = 100_000;
/// Maximum number of errors whose channel is kept.
const ERRORS_MAX: usize = 1_000;
/// The name of a command that the protocol does not have.
pub(super) const UNKNOWN: &str = "mcp-lifecheck-unknown";

/// A link to an adapter. Dropping it ends the link.
pub(super) struct AdapterEnd {
    shared: Arc<Shared>,
    out: mpsc::UnboundedSender<String>,
    changed: watch::Receiver<u64>,
    tasks: JoinSet<()>,
    n_commands: u32,
}

struct Shared {
    state: Mutex<State>,
    changed: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    /// Every command sent so far, by id.
    commands: BTreeMap<u32, CommandState>,
    /// Numbers to acknowledge later, while acknowledgements are delayed.
    held: Option<Vec<u64>>,
    last_number: u64,
    n_lines: usize,
    /// The channel of each reported error.
    errors: Vec<String>,
    began_us: u64,
    /// Broken rules: the id of the check, and the fact.
    faults: Vec<(&'static str, String)>,
    has_ended: bool,
}

/// The state of one command.
#[derive(Debug, Clone, Default)]
pub(super) struct CommandState {
    /// Whether the protocol requires an operation.started.
    is_operation: bool,
    /// Whether this is the unknown command, for which the protocol leaves operation.started open.
    is_unknown: bool,
    /// The context that operation.started named.
    pub started: Option<Context>,
    /// How the command ended.
    pub completion: Option<Completion>,
}

/// The lines of a new link.
pub(super) type Lines = FramedRead<OwnedReadHalf, LinesCodec>;

/// Splits a connection into its lines and its writing half.
pub(super) fn split(stream: TcpStream) -> (Lines, OwnedWriteHalf) {
    // If this fails, the link is only slower.
    let _ = stream.set_nodelay(true);
    let (read, write) = stream.into_split();
    (FramedRead::new(read, LinesCodec::new_with_max_length(LINK_LINE_BYTES_MAX)), write)
}

impl AdapterEnd {
    /// Follows a link after its hello.
    pub(super) fn follow(lines: Lines, write: OwnedWriteHalf) -> Self {
        let (out, queue) = mpsc::unbounded_channel();
        let state = Mutex::new(State { began_us: monotonic_us(), ..State::default() });
        let shared = Arc::new(Shared { state, changed: watch::Sender::new(0) });
        let changed = shared.changed.subscribe();
        let mut tasks = JoinSet::new();
        tasks.spawn(write_lines(write, queue));
        tasks.spawn(read_lines(lines, Arc::clone(&shared), out.clone()));
        Self { shared, out, changed, tasks, n_commands: 0 }
    }

    /// Sends a command and returns its id.
    pub(super) fn send(&mut self, action: &str, fields: Value) -> u32 {
        self.n_commands += 1;
        let id = self.n_commands;
        let is_operation = !["cancel", "stacks", "exit", "drop-context"].contains(&action);
        let is_unknown = action == UNKNOWN;
        self.shared.state().commands.insert(id, CommandState { is_operation, is_unknown, ..CommandState::default() });
        let mut command = match fields {
            Value::Object(fields) => fields,
            _ => Map::new(),
        };
        command.insert("id".to_owned(), id.into());
        command.insert("do".to_owned(), action.into());
        // A closed channel means that the link is lost. The wait for the completion notices this.
        let _ = self.out.send(Value::Object(command).to_string());
        id
    }

    /// The state of a command.
    pub(super) fn command(&self, id: u32) -> CommandState {
        self.shared.state().commands.get(&id).cloned().unwrap_or_default()
    }

    /// Waits for the completion of a command; `None` if the limit passed or the link ended first.
    pub(super) async fn completion(&self, id: u32, limit: Duration) -> Option<Completion> {
        self.wait(limit, |state| {
            state.has_ended || state.commands.get(&id).is_some_and(|command| command.completion.is_some())
        })
        .await;
        self.command(id).completion
    }

    /// Waits for an operation's operation.started; `false` if none arrived.
    pub(super) async fn started(&self, id: u32, limit: Duration) -> bool {
        let has_begun = |command: &CommandState| command.started.is_some() || command.completion.is_some();
        self.wait(limit, |state| state.has_ended || state.commands.get(&id).is_some_and(has_begun)).await;
        self.command(id).started.is_some()
    }

    /// Delays every acknowledgement from now on.
    pub(super) fn hold_back(&self) {
        self.shared.state().held.get_or_insert_default();
    }

    /// Sends the delayed acknowledgements, and stops delaying.
    pub(super) fn let_go(&self) {
        for number in self.shared.state().held.take().unwrap_or_default() {
            // A closed channel means that the link is lost, as for commands.
            let _ = self.out.send(ack(number));
        }
    }

    /// Waits for more than `n_before` errors on a channel, and returns the number of errors.
    pub(super) async fn errors(&self, channel: &str, n_before: usize, limit: Duration) -> usize {
        let count = |state: &State| state.errors.iter().filter(|known| *known == channel).count();
        self.wait(limit, |state| state.has_ended || count(state) > n_before).await;
        count(&self.shared.state())
    }

    /// Waits until the adapter ends the link.
    pub(super) async fn ended(&self, limit: Duration) -> bool {
        self.wait(limit, |state| state.has_ended).await;
        self.has_ended()
    }

    /// Whether the link has ended, or a line broke a rule for which the recorder would end it.
    pub(super) fn has_ended(&self) -> bool {
        self.shared.state().has_ended
    }

    /// The broken rules so far.
    pub(super) fn faults(&self) -> Vec<(&'static str, String)> {
        self.shared.state().faults.clone()
    }

    /// Ends the link.
    pub(super) async fn cut(mut self) {
        self.tasks.shutdown().await;
    }

    async fn wait(&self, limit: Duration, done: impl Fn(&State) -> bool + Send) {
        let mut changed = self.changed.clone();
        let wait = async {
            loop {
                changed.borrow_and_update();
                if done(&self.shared.state()) || changed.changed().await.is_err() {
                    return;
                }
            }
        };
        // The caller checks the state after a timeout as well.
        let _ = tokio::time::timeout(limit, wait).await;
    }
}

fn ack(number: u64) -> String {
    json!({ "ack": number }).to_string()
}

async fn write_lines(mut write: OwnedWriteHalf, mut queue: mpsc::UnboundedReceiver<String>) {
    while let Some(mut line) = queue.recv().await {
        line.push('\n');
        if write.write_all(line.as_bytes()).await.is_err() {
            return;
        }
    }
}

async fn read_lines(mut lines: Lines, shared: Arc<Shared>, out: mpsc::UnboundedSender<String>) {
    loop {
        let line = lines.next().await;
        let mut state = shared.state();
        match line {
            Some(Ok(line)) => match state.take(&line) {
                Some(number) => drop(out.send(ack(number))),
                None if state.has_ended => break,
                None => {}
            },
            Some(Err(LinesCodecError::MaxLineLengthExceeded)) => {
                let because = format!("found a line that is too long, expected at most {LINK_LINE_BYTES_MAX} bytes");
                state.faults.push(("lines-are-of-protocol", because));
                break;
            }
            Some(Err(LinesCodecError::Io(error))) if error.kind() == ErrorKind::InvalidData => {
                let because = "found a line that is not UTF-8, expected UTF-8".to_owned();
                state.faults.push(("lines-are-of-protocol", because));
                break;
            }
            Some(Err(_)) | None => break,
        }
        drop(state);
        shared.touch();
    }
    shared.state().has_ended = true;
    shared.touch();
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn touch(&self) {
        self.changed.send_modify(|n_changes| *n_changes += 1);
    }
}

impl State {
    /// Checks one line. Returns the number to acknowledge now, if any.
    fn take(&mut self, line: &str) -> Option<u64> {
        self.n_lines += 1;
        if self.n_lines > LINES_MAX {
            self.faults.push(("lines-are-of-protocol", format!("found more than {LINES_MAX} lines in one session")));
            self.has_ended = true;
            return None;
        }
        let read = match Line::read(line, &Source::Loader) {
            Ok(read) => read,
            Err(error) => {
                self.faults.push(("lines-are-of-protocol", error.to_string()));
                self.has_ended = true;
                return None;
            }
        };
        self.check_time(read.at_us);
        let must_have_number = match read.content {
            LineContent::Event(kind) => self.take_event(*kind),
            LineContent::Completion { id, completion } => {
                self.take_completion(id, completion);
                true
            }
        };
        self.check_number(read.number, must_have_number);
        let number = read.number?;
        match &mut self.held {
            Some(held) => {
                held.push(number);
                None
            }
            None => Some(number),
        }
    }

    fn check_time(&mut self, at_us: Option<u64>) {
        let (began_us, now_us) = (self.began_us, monotonic_us());
        let because = match at_us {
            Some(at_us) if (began_us..=now_us).contains(&at_us) => return,
            Some(at_us) => format!("found a time of {at_us}, expected one between {began_us} and {now_us}"),
            None => "found a line without at_us, expected the time in microseconds".to_owned(),
        };
        self.faults.push(("times-are-monotonic", because));
    }

    fn check_number(&mut self, number: Option<u64>, must_have_one: bool) {
        let expected = self.last_number + 1;
        match number {
            Some(number) => {
                if number != expected {
                    self.faults.push(("numbers-rise", format!("found number {number}, expected {expected}")));
                }
                self.last_number = number;
            }
            None if must_have_one => {
                let because = format!("found a completion or operation.started without a number, expected {expected}");
                self.faults.push(("numbers-rise", because));
            }
            None => {}
        }
    }

    /// Records an event. Returns whether it must have a number.
    fn take_event(&mut self, kind: EventKind) -> bool {
        if let EventKind::ErrorReported { channel, .. } = &kind
            && self.errors.len() < ERRORS_MAX
        {
            self.errors.push(channel.to_string());
        }
        let EventKind::OperationStarted { operation, context } = kind else { return false };
        let because = match self.commands.get_mut(&operation.0) {
            Some(command) if command.completion.is_some() => {
                format!("found operation.started of command {} after its completion", operation.0)
            }
            Some(command) if command.is_operation && command.started.is_none() => {
                command.started = Some(context);
                return true;
            }
            Some(command) if command.is_operation => {
                format!("found operation.started of command {} twice", operation.0)
            }
            Some(_) => format!("found operation.started of command {}, which is not an operation", operation.0),
            None => format!("found operation.started of command {}, which was never sent", operation.0),
        };
        self.faults.push(("started-once", because));
        true
    }

    fn take_completion(&mut self, id: u64, completion: Completion) {
        let command = u32::try_from(id).ok().and_then(|id| self.commands.get_mut(&id));
        let (check, because) = match command {
            Some(command) if command.completion.is_none() => {
                let is_early = command.is_operation
                    && !command.is_unknown
                    && command.started.is_none()
                    // An operation that cannot run does not begin.
                    && !matches!(completion, Completion::Failed(_));
                command.completion = Some(completion);
                if !is_early {
                    return;
                }
                ("started-once", format!("found a completion of command {id} without an earlier operation.started"))
            }
            Some(_) => ("completes-once", format!("found a second completion of command {id}")),
            None => ("completes-once", format!("found a completion of command {id}, which was never sent")),
        };
        self.faults.push((check, because));
    }
}
