//! The dialling end of a link: what mocks and the plan process of a Rust loader report over.
//!
//! Blocking, with one thread that reads. Start at [`Link::dial`]. Every line is on file at home before the call that sent
//! it returns. A link is a lifeline too: when it is lost, the reaction handed to `dial` runs at once, on whichever thread
//! noticed it; it is expected to end the process.

use std::collections::BTreeSet;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Map, Value};

use crate::history::EventKind;
use crate::record::clock::monotonic_us;

/// Longest line of a link, in bytes, with its line end.
pub const LINK_LINE_BYTES_MAX: usize = 1 << 20;

/// The waits of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkLimits {
    /// From dialling to the welcome.
    pub hello: Duration,
    /// From a line to its acknowledgement. A welcome that carries `acknowledge_ms` overrides it.
    pub acknowledge: Duration,
}

impl Default for LinkLimits {
    fn default() -> Self {
        Self { hello: Duration::from_secs(5), acknowledge: Duration::from_secs(10) }
    }
}

/// Why there is no link.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DialError {
    /// The address is not on this machine.
    #[error("found link address {0}, expected a loopback address")]
    NotLoopback(SocketAddr),
    /// Nobody listens, or not in time.
    #[error("the recorder cannot be reached at {addr}: {source}")]
    Connect {
        /// Where.
        addr: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The connection ended or stalled before the welcome.
    #[error("the link was lost before the welcome: {0}")]
    Lost(#[from] io::Error),
    /// Home refused.
    #[error("the recorder refused the link: {0}")]
    Refused(String),
    /// Home answered something else.
    #[error("found {0:?}, expected a welcome")]
    NoWelcome(String),
}

/// How a link was lost.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LinkLost {
    /// Home closed it.
    #[error("the recorder closed the link")]
    Closed,
    /// It broke.
    #[error("the link broke: {0}")]
    Broken(io::ErrorKind),
    /// Home did not acknowledge in time.
    #[error("the recorder did not acknowledge within {0:?}")]
    NotAcknowledged(Duration),
    /// Home sent something that is no line of a link.
    #[error("the recorder sent a line that is not a JSON object: {0:?}")]
    BadLine(String),
    /// A line of ours is too long to send.
    #[error("found a line of {0} bytes to send, expected at most {LINK_LINE_BYTES_MAX}")]
    TooLong(usize),
}

/// What happens when a link is lost. Runs once, on the thread that noticed.
pub type OnLoss = Box<dyn Fn(&LinkLost) + Send + Sync>;

/// A link to home. Cheap to clone; any thread may use it. The last clone that is dropped closes it.
#[derive(Clone)]
pub struct Link {
    shared: Arc<Shared>,
    // Declared beside `shared`, which the reading thread keeps as well: this one only counts the users.
    _users: Arc<Hangup>,
}

struct Shared {
    acknowledge: Duration,
    writing: Mutex<Writing>,
    waiting: Mutex<Waiting>,
    changed: Condvar,
    on_loss: OnLoss,
}

struct Writing {
    stream: TcpStream,
    n_sent: u64,
}

#[derive(Default)]
struct Waiting {
    pending: BTreeSet<u64>,
    lost: Option<LinkLost>,
    hung_up: bool,
}

impl Link {
    /// Dials home and says hello; returns the link, the welcome and what home commands from then on.
    ///
    /// # Errors
    /// When home can not be reached, refuses, or answers nothing in time. `on_loss` does not run then.
    pub fn dial(
        addr: SocketAddr,
        hello: &Value,
        limits: LinkLimits,
        on_loss: OnLoss,
    ) -> Result<(Self, Value, Receiver<Value>), DialError> {
        let (sender, receiver) = mpsc::channel();
        // The receiver may be gone: then nobody wants commands.
        let forward = move |command| drop(sender.send(command));
        let (link, welcome) = Self::dial_with(addr, hello, limits, on_loss, forward)?;
        Ok((link, welcome, receiver))
    }

    /// As [`Link::dial`], with each command handed to `on_command` on the reading thread: it must not block.
    ///
    /// # Errors
    /// As [`Link::dial`].
    pub fn dial_with(
        addr: SocketAddr,
        hello: &Value,
        limits: LinkLimits,
        on_loss: OnLoss,
        on_command: impl FnMut(Value) + Send + 'static,
    ) -> Result<(Self, Value), DialError> {
        if !addr.ip().is_loopback() {
            return Err(DialError::NotLoopback(addr));
        }
        let deadline = Instant::now() + limits.hello;
        let connected = TcpStream::connect_timeout(&addr, limits.hello);
        // std makes sockets close-on-exec: no grandchild can hold this link open.
        let stream = connected.map_err(|source| DialError::Connect { addr, source })?;
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(limits.acknowledge))?;
        (&stream).write_all(format!("{hello}\n").as_bytes())?;
        let mut reader = BufReader::with_capacity(4_096, stream.try_clone()?);
        let welcome = read_welcome(&mut reader, &stream, deadline)?;
        stream.set_read_timeout(None)?;
        let told = welcome.get("acknowledge_ms").and_then(Value::as_u64).map(Duration::from_millis);
        let shared = Arc::new(Shared {
            acknowledge: told.unwrap_or(limits.acknowledge),
            writing: Mutex::new(Writing { stream, n_sent: 0 }),
            waiting: Mutex::default(),
            changed: Condvar::new(),
            on_loss,
        });
        let users = Arc::new(Hangup { shared: Arc::clone(&shared) });
        let listening = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("link".to_owned())
            .stack_size(128 * 1_024)
            .spawn(move || listening.listen(reader, on_command))?;
        Ok((Self { shared, _users: users }, welcome))
    }

    /// Reports an event that happens now, and waits until it is recorded.
    ///
    /// # Errors
    /// When the link is lost; the reaction to that has run by then.
    pub fn journal(&self, kind: &EventKind) -> Result<(), LinkLost> {
        self.report(event_fields(kind))
    }

    /// Reports events that happen now, in order and in one write, and waits until all of them are recorded: home takes the
    /// lines of a link in order, so the acknowledgement of the last is one for all.
    ///
    /// # Errors
    /// When the link is lost; the reaction to that has run by then.
    pub fn journal_all(&self, kinds: &[EventKind]) -> Result<(), LinkLost> {
        let Some((last, earlier)) = kinds.split_last() else { return Ok(()) };
        let mut lines = Vec::new();
        for kind in earlier {
            let line = line_of(event_fields(kind), None);
            if line.len() > LINK_LINE_BYTES_MAX {
                return Err(self.shared.lose(LinkLost::TooLong(line.len())));
            }
            lines.extend(line);
        }
        let number = self.shared.send_after(lines, event_fields(last), Answer::Acknowledged)?;
        self.shared.wait_for(number)
    }

    /// Sends a line with these fields, such as a completion, and waits until it is recorded.
    ///
    /// # Errors
    /// When the link is lost; the reaction to that has run by then.
    pub fn report(&self, fields: Map<String, Value>) -> Result<(), LinkLost> {
        let number = self.shared.send(fields, Answer::Acknowledged)?;
        self.shared.wait_for(number)
    }

    /// Sends an event without waiting and without asking for an acknowledgement: for code that must not wait.
    ///
    /// # Errors
    /// When the link is lost.
    pub fn tell(&self, kind: &EventKind) -> Result<(), LinkLost> {
        self.shared.send(event_fields(kind), Answer::None).map(drop)
    }
}

/// Whether home answers a line.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Answer {
    Acknowledged,
    None,
}

/// Ends the connection, and with it the reading thread, when nobody uses the link any more.
struct Hangup {
    shared: Arc<Shared>,
}

impl Drop for Hangup {
    fn drop(&mut self) {
        self.shared.waiting().hung_up = true;
        // The other end may have closed it first.
        let _ = self.shared.writing().stream.shutdown(Shutdown::Both);
    }
}

impl Shared {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn writing(&self) -> MutexGuard<'_, Writing> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn send(&self, fields: Map<String, Value>, answer: Answer) -> Result<u64, LinkLost> {
        self.send_after(Vec::new(), fields, answer)
    }

    /// Sends a line behind others that are complete.
    fn send_after(&self, mut lines: Vec<u8>, fields: Map<String, Value>, answer: Answer) -> Result<u64, LinkLost> {
        let mut writing = self.writing();
        let number = writing.n_sent + 1;
        let line = line_of(fields, (answer == Answer::Acknowledged).then_some(number));
        if line.len() > LINK_LINE_BYTES_MAX {
            drop(writing);
            return Err(self.lose(LinkLost::TooLong(line.len())));
        }
        if answer == Answer::Acknowledged {
            let mut waiting = self.waiting();
            if let Some(lost) = &waiting.lost {
                return Err(lost.clone());
            }
            waiting.pending.insert(number);
            writing.n_sent = number;
        }
        lines.extend(line);
        let sent = writing.stream.write_all(&lines);
        drop(writing);
        sent.map_err(|error| self.lose(LinkLost::Broken(error.kind())))?;
        Ok(number)
    }

    fn wait_for(&self, number: u64) -> Result<(), LinkLost> {
        let is_open = |waiting: &mut Waiting| waiting.lost.is_none() && waiting.pending.contains(&number);
        let waited = self.changed.wait_timeout_while(self.waiting(), self.acknowledge, is_open);
        let (waiting, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        if let Some(lost) = &waiting.lost {
            return Err(lost.clone());
        }
        drop(waiting);
        if timeout.timed_out() {
            return Err(self.lose(LinkLost::NotAcknowledged(self.acknowledge)));
        }
        Ok(())
    }

    fn listen(&self, mut reader: BufReader<TcpStream>, mut on_command: impl FnMut(Value)) {
        let lost = loop {
            let line = match read_line(&mut reader) {
                Ok(Some(line)) => line,
                Ok(None) => break LinkLost::Closed,
                Err(error) => break LinkLost::Broken(error.kind()),
            };
            let Some(fields) = read_object(&line) else { break LinkLost::BadLine(head(&line)) };
            match fields.get("ack").and_then(Value::as_u64) {
                Some(number) => {
                    self.waiting().pending.remove(&number);
                    self.changed.notify_all();
                }
                None => on_command(Value::Object(fields)),
            }
        };
        self.lose(lost);
    }

    /// Runs the reaction, the first time, unless it was us who hung up.
    fn lose(&self, found: LinkLost) -> LinkLost {
        let mut waiting = self.waiting();
        if let Some(lost) = &waiting.lost {
            return lost.clone();
        }
        waiting.lost = Some(found.clone());
        let hung_up = waiting.hung_up;
        drop(waiting);
        if !hung_up {
            (self.on_loss)(&found);
        }
        self.changed.notify_all();
        found
    }
}

fn event_fields(kind: &EventKind) -> Map<String, Value> {
    let Ok(Value::Object(mut fields)) = serde_json::to_value(kind) else {
        unreachable!("an event kind is written as an object with string keys");
    };
    let name = fields.remove("kind").unwrap_or_default();
    fields.insert("event".to_owned(), name);
    fields
}

fn line_of(mut fields: Map<String, Value>, number: Option<u64>) -> Vec<u8> {
    if let Some(number) = number {
        fields.insert("n".to_owned(), Value::from(number));
    }
    fields.insert("at_us".to_owned(), Value::from(monotonic_us()));
    let mut line = Value::Object(fields).to_string().into_bytes();
    line.push(b'\n');
    line
}

fn read_welcome(reader: &mut BufReader<TcpStream>, stream: &TcpStream, deadline: Instant) -> Result<Value, DialError> {
    let mut line = Vec::new();
    while line.last() != Some(&b'\n') {
        // At least a millisecond: zero would mean to wait for ever.
        let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        stream.set_read_timeout(Some(left))?;
        let available = reader.fill_buf()?;
        if available.is_empty() {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        let n_bytes = available.iter().position(|byte| *byte == b'\n').map_or(available.len(), |end| end + 1);
        line.extend_from_slice(&available[..n_bytes]);
        reader.consume(n_bytes);
        if line.len() > LINK_LINE_BYTES_MAX {
            return Err(DialError::NoWelcome(head(&line)));
        }
        if line.last() != Some(&b'\n') && Instant::now() >= deadline {
            return Err(io::Error::from(io::ErrorKind::TimedOut).into());
        }
    }
    let Some(fields) = read_object(&line) else { return Err(DialError::NoWelcome(head(&line))) };
    if let Some(because) = fields.get("refused") {
        return Err(DialError::Refused(because.as_str().map_or_else(|| because.to_string(), str::to_owned)));
    }
    match fields.get("welcome").and_then(Value::as_u64) {
        Some(1) => Ok(Value::Object(fields)),
        _ => Err(DialError::NoWelcome(head(&line))),
    }
}

/// One line with its end; `None` at the end of the link, also in the middle of a line.
fn read_line(reader: &mut BufReader<TcpStream>) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    reader.take(LINK_LINE_BYTES_MAX as u64).read_until(b'\n', &mut line)?;
    match line.last() {
        Some(b'\n') => Ok(Some(line)),
        Some(_) if line.len() >= LINK_LINE_BYTES_MAX => Err(io::ErrorKind::InvalidData.into()),
        _ => Ok(None),
    }
}

fn read_object(line: &[u8]) -> Option<Map<String, Value>> {
    match serde_json::from_slice(line) {
        Ok(Value::Object(fields)) => Some(fields),
        Ok(_) | Err(_) => None,
    }
}

fn head(line: &[u8]) -> String {
    String::from_utf8_lossy(&line[..line.len().min(120)]).into_owned()
}
