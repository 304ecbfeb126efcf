//! The end of an adapter's link that a self-test holds: it takes lines as home does, and can hold back what it owes.

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

/// Most lines of one session: far more than any adapter has to say in one.
const LINES_MAX: usize = 100_000;
/// Most errors of which the channel is kept.
const ERRORS_MAX: usize = 1_000;
/// A command that is none.
pub(super) const UNKNOWN: &str = "mcp-lifecheck-unknown";

/// A link to an adapter. When it is dropped, the link ends.
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
    /// What was asked, by id.
    asked: BTreeMap<u32, Asked>,
    /// Numbers that are not acknowledged while they are held back.
    held: Option<Vec<u64>>,
    last_number: u64,
    n_lines: usize,
    /// The channels of the errors that were reported.
    errors: Vec<String>,
    began_us: u64,
    /// What is wrong, with the check it is about.
    faults: Vec<(&'static str, String)>,
    has_ended: bool,
}

/// What is known of one command.
#[derive(Debug, Clone, Default)]
pub(super) struct Asked {
    /// Whether operation.started belongs to it.
    is_operation: bool,
    /// Whether nobody can say, because it is no command of the protocol.
    is_unknown: bool,
    /// Where it runs, once that is told.
    pub started: Option<Context>,
    /// How it ended.
    pub completion: Option<Completion>,
}

/// The lines of a link that is new.
pub(super) type Lines = FramedRead<OwnedReadHalf, LinesCodec>;

/// The lines of a connection, and where to write.
pub(super) fn split(stream: TcpStream) -> (Lines, OwnedWriteHalf) {
    // A failure only makes it slower.
    let _ = stream.set_nodelay(true);
    let (read, write) = stream.into_split();
    (FramedRead::new(read, LinesCodec::new_with_max_length(LINK_LINE_BYTES_MAX)), write)
}

impl AdapterEnd {
    /// Follows a link whose hello was taken.
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

    /// Sends a command; its id.
    pub(super) fn send(&mut self, action: &str, fields: Value) -> u32 {
        self.n_commands += 1;
        let id = self.n_commands;
        let is_operation = !["cancel", "stacks", "exit", "drop-context"].contains(&action);
        let is_unknown = action == UNKNOWN;
        self.shared.state().asked.insert(id, Asked { is_operation, is_unknown, ..Asked::default() });
        let mut command = match fields {
            Value::Object(fields) => fields,
            _ => Map::new(),
        };
        command.insert("id".to_owned(), id.into());
        command.insert("do".to_owned(), action.into());
        // A closed channel means that the link is lost: then nothing comes of it, which is seen.
        let _ = self.out.send(Value::Object(command).to_string());
        id
    }

    /// What is known of a command.
    pub(super) fn asked(&self, id: u32) -> Asked {
        self.shared.state().asked.get(&id).cloned().unwrap_or_default()
    }

    /// Waits for the completion of a command; `None` where its limit passed or the link ended before.
    pub(super) async fn completion(&self, id: u32, limit: Duration) -> Option<Completion> {
        self.wait(limit, |state| {
            state.has_ended || state.asked.get(&id).is_some_and(|asked| asked.completion.is_some())
        })
        .await;
        self.asked(id).completion
    }

    /// Waits until an operation has said that it is started; whether it has.
    pub(super) async fn started(&self, id: u32, limit: Duration) -> bool {
        let has_begun = |asked: &Asked| asked.started.is_some() || asked.completion.is_some();
        self.wait(limit, |state| state.has_ended || state.asked.get(&id).is_some_and(has_begun)).await;
        self.asked(id).started.is_some()
    }

    /// From here on nothing is acknowledged.
    pub(super) fn hold_back(&self) {
        self.shared.state().held.get_or_insert_default();
    }

    /// Acknowledges what was held back, and everything from here on.
    pub(super) fn let_go(&self) {
        for number in self.shared.state().held.take().unwrap_or_default() {
            // As with commands.
            let _ = self.out.send(ack(number));
        }
    }

    /// Waits until more than `n_before` errors were reported on a channel; how many there are.
    pub(super) async fn errors(&self, channel: &str, n_before: usize, limit: Duration) -> usize {
        let count = |state: &State| state.errors.iter().filter(|known| *known == channel).count();
        self.wait(limit, |state| state.has_ended || count(state) > n_before).await;
        count(&self.shared.state())
    }

    /// Waits until the adapter has ended the link.
    pub(super) async fn ended(&self, limit: Duration) -> bool {
        self.wait(limit, |state| state.has_ended).await;
        self.has_ended()
    }

    /// Whether the link has ended, or broken its rules so that home would end it.
    pub(super) fn has_ended(&self) -> bool {
        self.shared.state().has_ended
    }

    /// What was wrong with lines so far.
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
        // Whoever waits looks at what has come about.
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
    /// Takes one line; the number to acknowledge now.
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
        self.look_at_time(read.at_us);
        let must_have_number = match read.content {
            LineContent::Event(kind) => self.take_event(*kind),
            LineContent::Completion { id, completion } => {
                self.take_completion(id, completion);
                true
            }
        };
        self.look_at_number(read.number, must_have_number);
        let number = read.number?;
        match &mut self.held {
            Some(held) => {
                held.push(number);
                None
            }
            None => Some(number),
        }
    }

    fn look_at_time(&mut self, at_us: Option<u64>) {
        let (began_us, now_us) = (self.began_us, monotonic_us());
        let because = match at_us {
            Some(at_us) if (began_us..=now_us).contains(&at_us) => return,
            Some(at_us) => format!("found a time of {at_us}, expected one between {began_us} and {now_us}"),
            None => "found a line without at_us, expected the time in microseconds".to_owned(),
        };
        self.faults.push(("times-are-monotonic", because));
    }

    fn look_at_number(&mut self, number: Option<u64>, must_have_one: bool) {
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

    /// Whether such an event has to have a number.
    fn take_event(&mut self, kind: EventKind) -> bool {
        if let EventKind::ErrorReported { channel, .. } = &kind
            && self.errors.len() < ERRORS_MAX
        {
            self.errors.push(channel.to_string());
        }
        let EventKind::OperationStarted { operation, context } = kind else { return false };
        let because = match self.asked.get_mut(&operation.0) {
            Some(asked) if asked.completion.is_some() => {
                format!("found operation.started of command {} behind its completion", operation.0)
            }
            Some(asked) if asked.is_operation && asked.started.is_none() => {
                asked.started = Some(context);
                return true;
            }
            Some(asked) if asked.is_operation => format!("found operation.started of command {} twice", operation.0),
            Some(_) => format!("found operation.started of command {}, which is no operation", operation.0),
            None => format!("found operation.started of command {}, which was never given", operation.0),
        };
        self.faults.push(("started-once", because));
        true
    }

    fn take_completion(&mut self, id: u64, completion: Completion) {
        let asked = u32::try_from(id).ok().and_then(|id| self.asked.get_mut(&id));
        let (check, because) = match asked {
            Some(asked) if asked.completion.is_none() => {
                let is_early = asked.is_operation
                    && !asked.is_unknown
                    && asked.started.is_none()
                    // What can not be done is not begun.
                    && !matches!(completion, Completion::Failed(_));
                asked.completion = Some(completion);
                if !is_early {
                    return;
                }
                ("started-once", format!("found a completion of command {id}, and no operation.started before it"))
            }
            Some(_) => ("completes-once", format!("found a second completion of command {id}")),
            None => ("completes-once", format!("found a completion of command {id}, which was never given")),
        };
        self.faults.push((check, because));
    }
}
