//! Journals: where a mock records its events.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::history::{Event, EventKind, Header, Origin, Seq, ServerFacts, Source, event_to_line};
use crate::plan::{Revision, Transport};
use crate::record::{Link, LinkLost, NearMock, monotonic_us};
use crate::server::Effect;

/// Most bytes of a journal on file.
const BYTES_MAX: u64 = 64 << 20;
/// Most processes that may write a journal of the same name.
const INCARNATIONS_MAX: u32 = 1_000;

/// Records the events of one mock. When a call returns, the event is on record and the mock may act.
pub trait Journal: Send + Sync {
    /// Records one event.
    ///
    /// # Errors
    /// When it cannot be recorded: the mock must end.
    fn journal(&self, kind: &EventKind) -> Result<(), JournalLost>;

    /// Records some events, in order; when it returns, all of them are on record.
    ///
    /// # Errors
    /// When one cannot be recorded: the mock must end.
    fn journal_all(&self, kinds: &[EventKind]) -> Result<(), JournalLost> {
        kinds.iter().try_for_each(|kind| self.journal(kind))
    }
}

/// One effect, and the events that must be on record before it.
pub(super) struct JournalledEffect {
    pub to_journal: Vec<EventKind>,
    /// None after the last effect.
    pub then: Option<Effect>,
}

/// Groups the effects of one input, so that all events between two effects are journalled at once.
pub(super) fn journalled_effects(effects: Vec<Effect>) -> Vec<JournalledEffect> {
    let mut steps = Vec::new();
    let mut to_journal = Vec::new();
    for effect in effects {
        match effect {
            Effect::Journal(kind) => to_journal.push(kind),
            effect => steps.push(JournalledEffect { to_journal: std::mem::take(&mut to_journal), then: Some(effect) }),
        }
    }
    steps.push(JournalledEffect { to_journal, then: None });
    steps
}

/// Why an event is not on record.
#[derive(Debug, thiserror::Error)]
pub enum JournalLost {
    /// The mock lost its link to the recorder.
    #[error(transparent)]
    Link(#[from] LinkLost),
    /// The file cannot be written.
    #[error("the journal cannot be written: {0}")]
    File(#[from] io::Error),
}

impl Journal for Link {
    fn journal(&self, kind: &EventKind) -> Result<(), JournalLost> {
        Ok(Self::journal(self, kind)?)
    }

    fn journal_all(&self, kinds: &[EventKind]) -> Result<(), JournalLost> {
        Ok(Self::journal_all(self, kinds)?)
    }
}

/// Nothing of a link within this process is ever lost.
impl Journal for NearMock {
    fn journal(&self, kind: &EventKind) -> Result<(), JournalLost> {
        Self::journal(self, kind);
        Ok(())
    }
}

impl Journal for Box<dyn Journal> {
    fn journal(&self, kind: &EventKind) -> Result<(), JournalLost> {
        self.as_ref().journal(kind)
    }

    fn journal_all(&self, kinds: &[EventKind]) -> Result<(), JournalLost> {
        self.as_ref().journal_all(kinds)
    }
}

/// Records nothing, for a standalone mock.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoJournal;

impl Journal for NoJournal {
    fn journal(&self, _kind: &EventKind) -> Result<(), JournalLost> {
        Ok(())
    }
}

/// A `history.jsonl` of one standalone mock.
#[derive(Debug)]
pub struct FileJournal {
    path: PathBuf,
    source: Source,
    epoch_us: u64,
    state: Mutex<JournalFile>,
}

#[derive(Debug)]
struct JournalFile {
    file: File,
    n_events: u64,
    n_bytes: u64,
}

impl FileJournal {
    /// Starts a journal at `path`. If that file exists, it uses `path` with `.2` before the extension, and so on, because a
    /// client that restarts its server must not overwrite evidence.
    ///
    /// # Errors
    /// When it can create or write no such file.
    pub fn create(path: &Path, script: &str, revision: Revision, transport: Transport) -> io::Result<Self> {
        let (path, file, incarnation) = create_new(path)?;
        let mut state = JournalFile { file, n_events: 0, n_bytes: 0 };
        let header = Header {
            scenario: "standalone".to_owned(),
            loader: "unknown".to_owned(),
            revision: revision.to_string(),
            transport: transport.to_string(),
            servers: vec![ServerFacts { name: script.to_owned(), script: script.to_owned() }],
            origin: Origin::Mock,
            ..Header::new(&format!("standalone.{script}"))
        };
        state.append(&serde_json::to_string(&header).map_err(io::Error::other)?)?;
        let source = Source::Mock { server: script.to_owned(), incarnation };
        Ok(Self { path, source, epoch_us: monotonic_us(), state: Mutex::new(state) })
    }

    /// The file that it writes.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Journal for FileJournal {
    fn journal(&self, kind: &EventKind) -> Result<(), JournalLost> {
        let at_us = monotonic_us().saturating_sub(self.epoch_us);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.n_bytes > BYTES_MAX {
            return Ok(());
        }
        state.n_events += 1;
        let mut event = Event { seq: Seq(state.n_events), at_us, source: self.source.clone(), kind: kind.clone() };
        let mut line = event_to_line(&event);
        if state.n_bytes + line.len() as u64 >= BYTES_MAX {
            event.kind = EventKind::EvidenceTruncated {
                what: "history".to_owned(),
                because: format!("it reached {BYTES_MAX} bytes"),
            };
            line = event_to_line(&event);
            state.n_bytes = BYTES_MAX;
        }
        state.append(&line)?;
        // This mock alone writes the history, which is complete when the mock ends gracefully.
        if matches!(kind, EventKind::MockEnding { .. }) {
            state.n_events += 1;
            let seq = Seq(state.n_events);
            let end = Event { seq, at_us, source: Source::Recorder, kind: EventKind::PlanEnded {} };
            state.append(&event_to_line(&end))?;
        }
        Ok(())
    }
}

impl JournalFile {
    /// One write for one line, so that a mock that dies leaves no half of one.
    fn append(&mut self, line: &str) -> io::Result<()> {
        let bytes = [line.as_bytes(), b"\n"].concat();
        self.n_bytes += bytes.len() as u64;
        self.file.write_all(&bytes)
    }
}

fn create_new(path: &Path) -> io::Result<(PathBuf, File, u32)> {
    for incarnation in 1..=INCARNATIONS_MAX {
        let path = numbered(path, incarnation);
        match File::create_new(&path) {
            Ok(file) => return Ok((path, file, incarnation)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

fn numbered(path: &Path, incarnation: u32) -> PathBuf {
    if incarnation == 1 {
        return path.to_owned();
    }
    match path.extension().and_then(|extension| extension.to_str()) {
        Some(extension) => path.with_extension(format!("{incarnation}.{extension}")),
        None => path.with_extension(incarnation.to_string()),
    }
}
