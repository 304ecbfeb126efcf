//! The history of one plan while it grows.

use std::fs::File;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use crate::foreign::Secrets;
use crate::history::{Event, EventKind, Header, History, Seq, Source};
use crate::record::clock::monotonic_us;
use crate::record::redact::without_secrets;

/// Maximum number of events in a history. Beyond it, the recorder records that it truncated the evidence.
const EVENTS_MAX: usize = 200_000;
/// Maximum size of one `history.jsonl`, in bytes.
const BYTES_MAX: u64 = 64 << 20;

/// Assigns sequence numbers and keeps the history of one plan. Cheap to clone.
///
/// It appends each event to `history.jsonl` before it returns the number. So every acknowledged event is on file. Where the file takes
/// no more, the history continues in memory: a full disk must not change a verdict.
#[derive(Clone)]
pub struct Recorder {
    inner: Arc<Inner>,
}

struct Inner {
    header: Header,
    epoch_us: u64,
    secrets: Secrets,
    state: Mutex<State>,
    n_events: watch::Sender<usize>,
}

struct State {
    file: Option<File>,
    n_bytes: u64,
    events: Vec<Event>,
    full: bool,
    /// Whether the events keep secrets and have no lines.
    is_unwritten: bool,
    n_redacted: usize,
    /// Why the file lacks events.
    unwritten: Option<io::Error>,
}

impl Recorder {
    /// Starts the clock of a plan. With a `file`, writes the header as its first line. No event keeps one of the `secrets`.
    #[must_use]
    pub fn start(header: Header, file: Option<File>, secrets: Secrets) -> Self {
        let mut state = State {
            file,
            n_bytes: 0,
            events: Vec::new(),
            full: false,
            is_unwritten: false,
            n_redacted: 0,
            unwritten: None,
        };
        state.append(&serde_json::to_string(&header).expect("a header has string keys only"));
        let (state, n_events) = (Mutex::new(state), watch::Sender::new(0));
        Self { inner: Arc::new(Inner { header, epoch_us: monotonic_us(), secrets, state, n_events }) }
    }

    /// Starts a history that no file has, and that keeps secrets until [`redacted`] removes them.
    #[must_use]
    pub fn unwritten(header: Header) -> Self {
        let recorder = Self::in_memory(header);
        recorder.inner.state.lock().unwrap_or_else(PoisonError::into_inner).is_unwritten = true;
        recorder
    }

    /// Starts a history that no file has.
    #[must_use]
    pub fn in_memory(header: Header) -> Self {
        Self::start(header, None, Secrets::default())
    }

    /// The facts of the plan.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.inner.header
    }

    /// Records an event that happened at `at_us`, on the absolute CLOCK_MONOTONIC of its source.
    pub fn record(&self, source: Source, at_us: u64, kind: EventKind) -> Seq {
        let mut state = self.inner.state.lock().unwrap_or_else(PoisonError::into_inner);
        let seq = state.push(source, at_us.saturating_sub(self.inner.epoch_us), kind, &self.inner.secrets);
        let n_events = state.events.len();
        drop(state);
        self.inner.n_events.send_replace(n_events);
        seq
    }

    /// Records an event that happens now.
    pub fn note(&self, source: Source, kind: EventKind) -> Seq {
        self.record(source, monotonic_us(), kind)
    }

    /// Waits up to `limit` for an event that satisfies `wanted`, from position `from` (counted from 0) on.
    ///
    /// Returns the event's position, or `None` if the limit passed.
    pub async fn wait_for(
        &self,
        from: usize,
        limit: Duration,
        mut wanted: impl FnMut(&Event) -> bool + Send,
    ) -> Option<usize> {
        let mut n_events = self.inner.n_events.subscribe();
        let search = async {
            let mut next = from;
            loop {
                n_events.borrow_and_update();
                {
                    let state = self.inner.state.lock().unwrap_or_else(PoisonError::into_inner);
                    let found = state.events.iter().skip(next).position(&mut wanted);
                    if let Some(offset) = found {
                        return Some(next + offset);
                    }
                    next = state.events.len().max(next);
                }
                if n_events.changed().await.is_err() {
                    return None;
                }
            }
        };
        tokio::time::timeout(limit, search).await.ok().flatten()
    }

    /// The number of events so far, which is the position of the next one.
    #[must_use]
    pub fn n_events(&self) -> usize {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner).events.len()
    }

    /// Whether any event so far satisfies `wanted`.
    pub fn any(&self, wanted: impl FnMut(&Event) -> bool) -> bool {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner).events.iter().any(wanted)
    }

    /// Waits up to `limit` until the events so far satisfy `is_so`; `false` if the limit passed.
    pub async fn wait_until(&self, limit: Duration, mut is_so: impl FnMut(&[Event]) -> bool + Send) -> bool {
        let mut n_events = self.inner.n_events.subscribe();
        let search = async {
            loop {
                n_events.borrow_and_update();
                if is_so(&self.inner.state.lock().unwrap_or_else(PoisonError::into_inner).events) {
                    return true;
                }
                if n_events.changed().await.is_err() {
                    return false;
                }
            }
        };
        tokio::time::timeout(limit, search).await.unwrap_or(false)
    }

    /// Number of secrets that the events lost.
    #[must_use]
    pub fn n_redacted(&self) -> usize {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner).n_redacted
    }

    /// Why `history.jsonl` lacks events, if it does. Call it once, after the last event.
    #[must_use]
    pub fn take_unwritten(&self) -> Option<io::Error> {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner).unwritten.take()
    }

    /// The secrets that no event keeps.
    #[must_use]
    pub fn secrets(&self) -> &Secrets {
        &self.inner.secrets
    }

    /// A copy of the history so far.
    #[must_use]
    pub fn history_so_far(&self) -> History {
        let events = self.inner.state.lock().unwrap_or_else(PoisonError::into_inner).events.clone();
        History::from_events(self.inner.header.clone(), events)
            .expect("the recorder numbers events from 1 without a gap")
    }

    /// Takes the history out. Call it once, after the last event.
    #[must_use]
    pub fn take_history(&self) -> History {
        let mut state = self.inner.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.full = true;
        History::from_events(self.inner.header.clone(), std::mem::take(&mut state.events))
            .expect("the recorder numbers events from 1 without a gap")
    }
}

/// Removes the secrets from a history that was recorded without a file. Returns their number.
#[must_use]
pub fn redacted(history: History, secrets: &Secrets) -> (History, usize) {
    let header = history.header().clone();
    let mut events = history.events().to_vec();
    let n_secrets = events.iter_mut().map(|event| without_secrets(event, secrets).1).sum();
    let history = History::from_events(header, events).expect("the events keep their numbers");
    (history, n_secrets)
}

impl State {
    fn push(&mut self, source: Source, at_us: u64, kind: EventKind, secrets: &Secrets) -> Seq {
        let seq = Seq(self.events.len() as u64 + 1);
        let ends = matches!(kind, EventKind::PlanEnded {});
        if self.full && !ends {
            return seq;
        }
        let mut event = Event { seq, at_us, source, kind };
        if !ends && (self.events.len() >= EVENTS_MAX || self.n_bytes >= BYTES_MAX) {
            self.full = true;
            event.source = Source::Recorder;
            event.kind = EventKind::EvidenceTruncated {
                what: "history".to_owned(),
                because: format!("it reached {EVENTS_MAX} events or {BYTES_MAX} bytes"),
            };
        }
        if !self.is_unwritten {
            let (line, n_secrets) = without_secrets(&mut event, secrets);
            self.n_redacted += n_secrets;
            self.append(&line);
        }
        self.events.push(event);
        seq
    }

    fn append(&mut self, line: &str) {
        self.n_bytes += line.len() as u64 + 1;
        let Some(file) = &mut self.file else { return };
        let mut bytes = Vec::with_capacity(line.len() + 1);
        bytes.extend_from_slice(line.as_bytes());
        bytes.push(b'\n');
        if let Err(error) = file.write_all(&bytes) {
            self.file = None;
            self.unwritten = Some(error);
        }
    }
}
