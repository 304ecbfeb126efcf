//! Follows one link: the recorder stores each line, then acknowledges it.

use std::io::ErrorKind;

use serde_json::{Map, Value};
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::mpsc;
use tokio_stream::StreamExt;
use tokio_util::codec::LinesCodecError;

use crate::history::{Channel, EventKind, OpId, Source};
use crate::record::adapter_link::{AdapterLink, Completion};
use crate::record::clock::monotonic_us;
use crate::record::lines::{LINE_BYTES_MAX, Lines, send};
use crate::record::recorder::Recorder;

/// Stores the lines of one link.
pub(super) struct Follower {
    source: Source,
    farewell: bool,
    adapter: Option<AdapterLink>,
    /// Time of the last event. A source's clock must not go back, and must not run ahead of the recorder's.
    last_us: u64,
}

/// One line from a source.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// Number to acknowledge; `None` if the source expects no acknowledgement.
    pub number: Option<u64>,
    /// The source's CLOCK_MONOTONIC in microseconds; `None` if the line has no time.
    pub at_us: Option<u64>,
    /// The content of the line.
    pub content: LineContent,
}

/// The content of a line.
#[derive(Debug, Clone, PartialEq)]
pub enum LineContent {
    /// An event.
    Event(Box<EventKind>),
    /// The end of a command.
    Completion {
        /// Id of the command.
        id: u64,
        /// Result of the command.
        completion: Completion,
    },
}

impl Line {
    /// Reads a line under the rules that the recorder applies to this source.
    ///
    /// # Errors
    /// When the line does not follow the protocol, or when this source may not report it.
    pub fn read(line: &str, source: &Source) -> Result<Self, LineError> {
        let value: Value = serde_json::from_str(line).map_err(|_| LineError::NoObject(head(line)))?;
        let Value::Object(mut fields) = value else { return Err(LineError::NoObject(head(line))) };
        let number = fields.remove("n").and_then(|n| n.as_u64());
        let at_us = fields.remove("at_us").and_then(|at| at.as_u64());
        let content = match fields.remove("event") {
            Some(kind) => LineContent::Event(Box::new(read_event(kind, fields, source)?)),
            None if fields.contains_key("hello") => return Err(LineError::HelloAgain),
            None => read_completion(&mut fields).ok_or_else(|| LineError::Neither(head(line)))?,
        };
        Ok(Self { number, at_us, content })
    }
}

fn read_event(kind: Value, mut fields: Map<String, Value>, source: &Source) -> Result<EventKind, LineError> {
    fields.insert("kind".to_owned(), kind);
    let kind: EventKind = serde_json::from_value(Value::Object(fields))?;
    if may_report(source, &kind) { Ok(kind) } else { Err(LineError::NotItsOwn(kind.kind().name())) }
}

fn read_completion(fields: &mut Map<String, Value>) -> Option<LineContent> {
    let id = fields.get("id").and_then(Value::as_u64)?;
    Some(LineContent::Completion { id, completion: Completion::from_fields(fields)? })
}

/// The beginning of a line, for a message.
fn head(line: &str) -> String {
    line.chars().take(120).collect()
}

/// Why the recorder rejects a line.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LineError {
    /// The source may not report this event, because only another source can know of it.
    #[error("found event {0}, which is not an event that this source may report")]
    NotItsOwn(&'static str),
    /// The line is not a JSON object.
    #[error("found {0:?}, expected a JSON object")]
    NoObject(String),
    /// The event has an unknown name, or fields that are missing, wrong or unknown.
    #[error("found an event that cannot be read: {0}")]
    Event(#[from] serde_json::Error),
    /// The line completes a command for the second time, or one that was never sent.
    #[error("found a completion of command {0}, which is not pending")]
    NotPending(u64),
    /// The line is a second hello. The message omits it, because it contains the token.
    #[error("found a second hello, expected one a link")]
    HelloAgain,
    /// The object is neither an event nor a completion.
    #[error("found a line that is neither event nor completion: {0:?}")]
    Neither(String),
}

impl Follower {
    /// Creates a follower for this source. With an adapter, it also delivers completions.
    pub(super) fn new(source: Source, adapter: Option<AdapterLink>) -> Self {
        Self { source, farewell: false, adapter, last_us: 0 }
    }

    /// Whether the peer announced its end.
    pub(super) fn farewell(&self) -> bool {
        self.farewell
    }

    /// Stores lines until the link ends or breaks its rules.
    ///
    /// A peer that died takes no acknowledgement any more. The lines that it had sent before are still evidence.
    pub(super) async fn follow(
        &mut self,
        mut lines: Lines,
        mut write: OwnedWriteHalf,
        commands: &mut mpsc::UnboundedReceiver<Value>,
        recorder: &Recorder,
    ) {
        let mut is_heard = true;
        loop {
            let line = tokio::select! {
                line = lines.next() => line,
                Some(command) = commands.recv(), if is_heard => {
                    is_heard = send(&mut write, &command.to_string()).await.is_ok();
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
                // A process that dies with an unread acknowledgement resets its link. This is an ordinary end.
                Some(Err(LinesCodecError::Io(_))) | None => return,
            };
            match taken {
                Ok(Some(ack)) => is_heard = is_heard && send(&mut write, &ack).await.is_ok(),
                Ok(None) => {}
                Err(error) => {
                    let because = format!("{} broke the link's rules: {error}", self.source);
                    recorder.note(Source::Recorder, EventKind::ExperimentFailed { because });
                    return;
                }
            }
        }
    }

    /// Stores one line. Returns the acknowledgement, if the line has a number.
    fn take(&mut self, line: &str, recorder: &Recorder) -> Result<Option<String>, LineError> {
        let Line { number, at_us, content } = Line::read(line, &self.source)?;
        let now_us = monotonic_us();
        let at_us = at_us.unwrap_or(now_us).clamp(self.last_us.min(now_us), now_us);
        self.last_us = at_us;
        match content {
            LineContent::Event(kind) => {
                self.farewell |= matches!(*kind, EventKind::MockEnding { .. });
                recorder.record(self.source.clone(), at_us, *kind);
            }
            LineContent::Completion { id, completion } => self.complete(id, completion, at_us, recorder, line)?,
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
        // The caller stops waiting when its limit passes. Then the completion has no receiver.
        let _ = waiting.send(completion);
        Ok(())
    }
}

/// Whether this source may report this event. A loader that could report as the driver could disable the checker.
fn may_report(source: &Source, kind: &EventKind) -> bool {
    match kind {
        EventKind::OperationStarted { .. } | EventKind::ScopeEntered { .. } | EventKind::ScopeLeft { .. } => {
            *source == Source::Loader
        }
        // Only the supervisor reads stderr.
        EventKind::ErrorReported { channel, .. } => *source == Source::Loader && *channel != Channel::Stderr,
        EventKind::MockStarted { .. }
        | EventKind::ConnectionOpened { .. }
        | EventKind::ConnectionClosed { .. }
        | EventKind::WireReceived { .. }
        | EventKind::WireSent { .. }
        | EventKind::WireNoise { .. }
        | EventKind::WireRepeated { .. }
        | EventKind::WireEof { .. }
        | EventKind::SignalReceived { .. }
        | EventKind::FaultDelivered { .. }
        | EventKind::GateReached { .. }
        | EventKind::MockListening { .. }
        | EventKind::SocketOpened { .. }
        | EventKind::SocketClosed { .. }
        | EventKind::HttpReceived { .. }
        | EventKind::HttpStray { .. }
        | EventKind::StreamEvent { .. }
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
