//! Following one link: each line is recorded, then acknowledged.

use std::io::ErrorKind;

use serde_json::{Map, Value};
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::mpsc;
use tokio_stream::StreamExt;
use tokio_util::codec::LinesCodecError;

use crate::history::{Channel, EventKind, OpId, Source};
use crate::record::adapter_link::{AdapterLink, Completion};
use crate::record::clock::monotonic_us;
use crate::record::endpoint::{LINE_BYTES_MAX, Lines, send};
use crate::record::recorder::Recorder;

/// What is known while following one link.
pub(super) struct Journal {
    source: Source,
    farewell: bool,
    adapter: Option<AdapterLink>,
    /// Time of the last event: a source's clock does not run backwards, nor ahead of ours.
    last_us: u64,
}

/// One line as a source has sent it.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// Its number, where it asks for an acknowledgement.
    pub number: Option<u64>,
    /// When, on its source's monotonic clock, in microseconds; `None` where it does not say.
    pub at_us: Option<u64>,
    /// What it says.
    pub said: Said,
}

/// What a line says.
#[derive(Debug, Clone, PartialEq)]
pub enum Said {
    /// Something happened.
    Event(Box<EventKind>),
    /// A command is over.
    Completion {
        /// Id of the command.
        id: u64,
        /// How it ended.
        completion: Completion,
    },
}

impl Line {
    /// Reads a line of this source, as home takes it.
    ///
    /// # Errors
    /// With what was found, where it is no line of the protocol or not this source's to say.
    pub fn read(line: &str, source: &Source) -> Result<Self, LineError> {
        let value: Value = serde_json::from_str(line).map_err(|_| LineError::NoObject(head(line)))?;
        let Value::Object(mut fields) = value else { return Err(LineError::NoObject(head(line))) };
        let number = fields.remove("n").and_then(|n| n.as_u64());
        let at_us = fields.remove("at_us").and_then(|at| at.as_u64());
        let said = match fields.remove("event") {
            Some(kind) => Said::Event(Box::new(read_event(kind, fields, source)?)),
            None if fields.contains_key("hello") => return Err(LineError::HelloAgain),
            None => read_completion(&mut fields).ok_or_else(|| LineError::Neither(head(line)))?,
        };
        Ok(Self { number, at_us, said })
    }
}

fn read_event(kind: Value, mut fields: Map<String, Value>, source: &Source) -> Result<EventKind, LineError> {
    fields.insert("kind".to_owned(), kind);
    let kind: EventKind = serde_json::from_value(Value::Object(fields))?;
    if may_report(source, &kind) { Ok(kind) } else { Err(LineError::NotItsOwn(kind.kind().name())) }
}

fn read_completion(fields: &mut Map<String, Value>) -> Option<Said> {
    let id = fields.get("id").and_then(Value::as_u64)?;
    Some(Said::Completion { id, completion: Completion::from_fields(fields)? })
}

/// The beginning of a line, to be shown.
fn head(line: &str) -> String {
    line.chars().take(120).collect()
}

/// What is wrong with a line.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LineError {
    /// An event that only somebody else can know of.
    #[error("found event {0}, which is not this source's to report")]
    NotItsOwn(&'static str),
    /// No JSON object.
    #[error("found {0:?}, expected a JSON object")]
    NoObject(String),
    /// An event of an unknown name, or with fields that are missing, wrong or unknown.
    #[error("found an event that can not be read: {0}")]
    Event(#[from] serde_json::Error),
    /// A completion nobody waits for: a second one, or of a command that was never given.
    #[error("found a completion of command {0}, which is not pending")]
    NotPending(u64),
    /// A hello behind the first. Not shown: it holds the token.
    #[error("found a second hello, expected one a link")]
    HelloAgain,
    /// An object that is nothing of the protocol.
    #[error("found a line that is neither event nor completion: {0:?}")]
    Neither(String),
}

impl Journal {
    /// Follows a link of this source; with an adapter, completions are taken as well.
    pub(super) fn new(source: Source, adapter: Option<AdapterLink>) -> Self {
        Self { source, farewell: false, adapter, last_us: 0 }
    }

    /// Whether the peer announced its end.
    pub(super) fn farewell(&self) -> bool {
        self.farewell
    }

    /// Records what comes until the link ends or breaks its rules.
    pub(super) async fn follow(
        &mut self,
        mut lines: Lines,
        mut write: OwnedWriteHalf,
        mut commands: mpsc::UnboundedReceiver<String>,
        recorder: &Recorder,
    ) {
        loop {
            let line = tokio::select! {
                line = lines.next() => line,
                Some(command) = commands.recv() => {
                    if send(&mut write, &command).await.is_err() {
                        return;
                    }
                    continue;
                }
            };
            let taken = match line {
                Some(Ok(line)) => self.take(&line, recorder).map_err(|error| error.to_string()),
                Some(Err(LinesCodecError::MaxLineLengthExceeded)) => {
                    Err(format!("found a line that is too long, expected at most {LINE_BYTES_MAX} bytes"))
                }
                Some(Err(LinesCodecError::Io(error))) if error.kind() == ErrorKind::InvalidData => {
                    Err("found a line that is not UTF-8, expected UTF-8".to_owned())
                }
                // A process that dies with an unread acknowledgement resets its link: that is an end like any other.
                Some(Err(LinesCodecError::Io(_))) | None => return,
            };
            match taken {
                Ok(Some(ack)) => {
                    if send(&mut write, &ack).await.is_err() {
                        return;
                    }
                }
                Ok(None) => {}
                Err(error) => {
                    let because = format!("{} broke the link's rules: {error}", self.source);
                    recorder.note(Source::Recorder, EventKind::ExperimentFailed { because });
                    return;
                }
            }
        }
    }

    /// Records one line; the acknowledgement it asks for, if any.
    fn take(&mut self, line: &str, recorder: &Recorder) -> Result<Option<String>, LineError> {
        let Line { number, at_us, said } = Line::read(line, &self.source)?;
        let now_us = monotonic_us();
        let at_us = at_us.unwrap_or(now_us).clamp(self.last_us.min(now_us), now_us);
        self.last_us = at_us;
        match said {
            Said::Event(kind) => {
                self.farewell |= matches!(*kind, EventKind::MockEnding { .. });
                recorder.record(self.source.clone(), at_us, *kind);
            }
            Said::Completion { id, completion } => self.complete(id, completion, at_us, recorder, line)?,
        }
        Ok(number.map(|n| format!(r#"{{"ack":{n}}}"#)))
    }

    fn complete(
        &mut self,
        id: u64,
        completion: Completion,
        at_us: u64,
        recorder: &Recorder,
        line: &str,
    ) -> Result<(), LineError> {
        let Some(adapter) = &self.adapter else { return Err(LineError::Neither(head(line))) };
        let command = u32::try_from(id).map_err(|_| LineError::NotPending(id))?;
        let waiting = adapter.take_pending(command).ok_or(LineError::NotPending(id))?;
        if command < AdapterLink::FIRST_PLAIN_COMMAND {
            let kind = EventKind::OperationCompleted { operation: OpId(command), outcome: completion.outcome() };
            recorder.record(Source::Loader, at_us, kind);
        }
        // Nobody waits any more when its bound has passed.
        let _ = waiting.send(completion);
        Ok(())
    }
}

/// Whether an event is its source's own to report: a loader that could speak for the driver could switch the judge off.
fn may_report(source: &Source, kind: &EventKind) -> bool {
    match kind {
        EventKind::OperationStarted { .. } | EventKind::ScopeEntered { .. } | EventKind::ScopeLeft { .. } => {
            *source == Source::Loader
        }
        // What is on stderr is the supervisor's to find.
        EventKind::ErrorReported { channel, .. } => *source == Source::Loader && *channel != Channel::Stderr,
        EventKind::MockStarted { .. }
        | EventKind::ConnectionOpened { .. }
        | EventKind::ConnectionClosed { .. }
        | EventKind::WireReceived { .. }
        | EventKind::WireSent { .. }
        | EventKind::WireNoise { .. }
        | EventKind::WireEof { .. }
        | EventKind::SignalReceived { .. }
        | EventKind::FaultDelivered { .. }
        | EventKind::GateReached { .. }
        | EventKind::MockListening { .. }
        | EventKind::SocketOpened { .. }
        | EventKind::SocketClosed { .. }
        | EventKind::HttpReceived { .. }
        | EventKind::HttpAnswered { .. }
        | EventKind::HttpEnded { .. }
        | EventKind::SessionOpened { .. }
        | EventKind::SessionClosed { .. }
        | EventKind::MockEnding { .. }
        | EventKind::EvidenceTruncated { .. } => source.server().is_some(),
        EventKind::StepBegan { .. }
        | EventKind::StepSkipped { .. }
        | EventKind::StepMet { .. }
        | EventKind::StepUnmet { .. }
        | EventKind::HostPrompted { .. }
        | EventKind::OperationInvoked { .. }
        | EventKind::CancelRequested { .. }
        | EventKind::CancelDelivered { .. }
        | EventKind::OperationOverdue { .. }
        | EventKind::OperationAbandoned { .. }
        | EventKind::ContextEnded { .. }
        | EventKind::ContextOverdue { .. }
        | EventKind::GateOpened { .. }
        | EventKind::SignalSent { .. }
        | EventKind::ExitRequested {}
        | EventKind::IdleBegan {}
        | EventKind::GraceBegan { .. }
        | EventKind::GraceExpired { .. }
        | EventKind::ExperimentFailed { .. }
        | EventKind::FaultUndelivered { .. }
        | EventKind::PlanNotApplicable { .. }
        | EventKind::PlanEnded {}
        | EventKind::LoaderReady { .. }
        | EventKind::OperationCompleted { .. }
        | EventKind::StacksTaken { .. }
        | EventKind::LinkOpened { .. }
        | EventKind::LinkClosed { .. }
        | EventKind::LinkRefused { .. }
        | EventKind::ProcessStarted { .. }
        | EventKind::ProcessExited { .. }
        | EventKind::ProcessOrphan { .. }
        | EventKind::ProcessLeft { .. }
        | EventKind::ProcessZombie { .. }
        | EventKind::SampleTaken { .. }
        | EventKind::SchedulingDelayed { .. }
        | EventKind::LimitHit { .. }
        | EventKind::ProcessExiting { .. } => false,
    }
}
