//! The connecting end of a link. Mocks and the plan process of a Rust loader report over it.
//!
//! Calls block, and one thread reads. Start at [`Link::dial`]. A call that sends a line returns only after the recorder
//! has stored it.
//!
//! A link is also a lifeline: its end means that the recorder's process is gone. The thread that notices it runs the
//! reaction passed to `dial`, which should end the process.

use std::collections::BTreeSet;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Map, Value};

use crate::history::EventKind;
use crate::record::clock::monotonic_us;

/// Maximum length of a link's line, in bytes, with its line end.
pub const LINK_LINE_BYTES_MAX: usize = 1 << 20;

/// Timeouts of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkLimits {
    /// From the connection attempt to the welcome.
    pub hello: Duration,
    /// From a line to its acknowledgement. `acknowledge_ms` in the welcome overrides it.
    pub acknowledge: Duration,
}

impl Default for LinkLimits {
    fn default() -> Self {
        Self { hello: Duration::from_secs(5), acknowledge: Duration::from_secs(10) }
    }
}

/// Why no link was established.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DialError {
    /// The recorder's address is not on this machine.
    #[error("found link address {0}, expected a loopback address")]
    NotLoopback(SocketAddr),
    /// Nothing accepted the connection in time.
    #[error("the recorder cannot be reached at {addr}: {source}")]
    Connect {
        /// The address that was tried.
        addr: SocketAddr,
        /// The system's error.
        source: io::Error,
    },
    /// The connection ended or stalled before the welcome.
    #[error("the link was lost before the welcome: {0}")]
    Lost(#[from] io::Error),
    /// The recorder refused the hello, for this reason.
    #[error("the recorder refused the link: {0}")]
    Refused(String),
    /// The recorder answered with something other than a welcome.
    #[error("found {0:?}, expected a welcome")]
    NoWelcome(String),
}

/// How a link was lost.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LinkLost {
    /// The recorder closed it.
    #[error("the recorder closed the link")]
    Closed,
    /// The connection broke.
    #[error("the link broke: {0}")]
    Broken(io::ErrorKind),
    /// The recorder did not acknowledge a line within this timeout.
    #[error("the recorder did not acknowledge within {0:?}")]
    NotAcknowledged(Duration),
    /// The recorder sent something that is not a JSON object.
    #[error("the recorder sent a line that is not a JSON object: {0:?}")]
    BadLine(String),
    /// This process tried to send a line that is too long.
    #[error("found a line of {0} bytes to send, expected at most {LINK_LINE_BYTES_MAX}")]
    TooLong(usize),
}

/// Reaction to the loss of a link. It runs once, on the thread that noticed the loss.
pub type OnLoss = Box<dyn Fn(&LinkLost) + Send + Sync>;

/// A link to the recorder. Cheap to clone; any thread may use it. Dropping the last clone closes it.
#[derive(Clone)]
pub struct Link {
    shared: Arc<Shared>,
    // Counts the users. `shared` cannot, because the reading thread also holds it.
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
    /// Connects to the recorder and sends the hello. Returns the link, the welcome and a channel of later commands.
    ///
    /// # Errors
    /// When the recorder is unreachable, refuses, or does not answer in time. `on_loss` does not run in these cases.
    pub fn dial(
        addr: SocketAddr,
        hello: &Value,
        limits: LinkLimits,
        on_loss: OnLoss,
    ) -> Result<(Self, Value, Receiver<Value>), DialError> {
        let (sender, receiver) = mpsc::channel();
        // The caller may have dropped the receiver because it needs no commands.
        let forward = move |command| drop(sender.send(command));
        let (link, welcome) = Self::dial_with(addr, hello, limits, on_loss, forward)?;
        Ok((link, welcome, receiver))
    }

    /// Like [`Link::dial`], but passes each command to `on_command` on the reading thread. The callback must not block.
    ///
    /// # Errors
    /// Like [`Link::dial`].
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
        // std makes sockets close-on-exec, so no grandchild can keep this link open.
        let stream = connected.map_err(|source| DialError::Connect { addr, source })?;
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(limits.acknowledge))?;
        (&stream).write_all(format!("{hello}\n").as_bytes())?;
        let mut reader = BufReader::with_capacity(4_096, stream.try_clone()?);
        let welcome = read_welcome(&mut reader, &stream, deadline)?;
        stream.set_read_timeout(None)?;
        let announced = welcome.get("acknowledge_ms").and_then(Value::as_u64).map(Duration::from_millis);
        let shared = Arc::new(Shared {
            acknowledge: announced.unwrap_or(limits.acknowledge),
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

    /// Reports an event that happens now, and waits until the recorder has stored it.
    ///
    /// # Errors
    /// When the link is lost. The reaction to the loss has already run.
    pub fn journal(&self, kind: &EventKind) -> Result<(), LinkLost> {
        self.report(event_fields(kind))
    }

    /// Reports events that happen now, in order and in one write. Waits until the recorder has stored all of them.
    ///
    /// The recorder processes a link's lines in order, so one acknowledgement for the last line covers all.
    ///
    /// # Errors
    /// When the link is lost. The reaction to the loss has already run.
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
        let number = self.shared.send_after(lines, event_fields(last))?;
        self.shared.wait_for(number)
    }

    /// Sends a line with these fields, such as a completion. Waits until the recorder has stored it.
    ///
    /// # Errors
    /// When the link is lost. The reaction to the loss has already run.
    pub fn report(&self, fields: Map<String, Value>) -> Result<(), LinkLost> {
        let number = self.shared.send_after(Vec::new(), fields)?;
        self.shared.wait_for(number)
    }
}

/// Ends the connection, and with it the reading thread, when the last user drops the link.
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

    /// Sends `lines`, which are complete, and after them a line with these fields.
    fn send_after(&self, mut lines: Vec<u8>, fields: Map<String, Value>) -> Result<u64, LinkLost> {
        let mut writing = self.writing();
        let number = writing.n_sent + 1;
        let line = line_of(fields, Some(number));
        if line.len() > LINK_LINE_BYTES_MAX {
            drop(writing);
            return Err(self.lose(LinkLost::TooLong(line.len())));
        }
        let mut waiting = self.waiting();
        if let Some(lost) = &waiting.lost {
            return Err(lost.clone());
        }
        waiting.pending.insert(number);
        drop(waiting);
        writing.n_sent = number;
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

    /// Runs the reaction to the first loss, unless this process closed the link itself.
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
        // At least a millisecond, because zero would disable the timeout.
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

/// Reads one line with its end; `None` if the link ends first, even within a line.
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
