//! Following one link: each line is recorded, then acknowledged.

use serde_json::{Map, Value};
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::mpsc;
use tokio_stream::StreamExt;
use tokio_util::codec::LinesCodecError;

use crate::history::{EventKind, OpId, Source};
use crate::record::adapter_link::{AdapterLink, Completion};
use crate::record::clock::monotonic_us;
use crate::record::home::{LINE_BYTES_MAX, Lines, send};
use crate::record::recorder::Recorder;

/// What is known while following one link.
pub(super) struct Journal {
    source: Source,
    farewell: bool,
    adapter: Option<AdapterLink>,
    /// Time of the last event: a source's clock does not run backwards, nor ahead of ours.
    last_us: u64,
}

#[derive(Debug, thiserror::Error)]
enum LineError {
    #[error("found event {0}, which is not this source's to report")]
    NotItsOwn(&'static str),
    #[error("found {0:?}, expected a JSON object")]
    NoObject(String),
    #[error("found an event that can not be read: {0}")]
    Event(#[from] serde_json::Error),
    #[error("found a completion of command {0}, which is not pending")]
    NotPending(u64),
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
        let head = || line.chars().take(120).collect::<String>();
        let value: Value = serde_json::from_str(line).map_err(|_| LineError::NoObject(head()))?;
        let Value::Object(mut fields) = value else { return Err(LineError::NoObject(head())) };
        let number = fields.remove("n").and_then(|n| n.as_u64());
        let now_us = monotonic_us();
        let at_us = fields.remove("at_us").and_then(|at| at.as_u64()).unwrap_or(now_us);
        let at_us = at_us.clamp(self.last_us.min(now_us), now_us);
        self.last_us = at_us;
        if let Some(kind) = fields.remove("event") {
            fields.insert("kind".to_owned(), kind);
            let kind: EventKind = serde_json::from_value(Value::Object(fields))?;
            if !may_report(&self.source, &kind) {
                return Err(LineError::NotItsOwn(kind.kind().name()));
            }
            self.farewell |= matches!(kind, EventKind::MockEnding { .. });
            recorder.record(self.source.clone(), at_us, kind);
        } else {
            self.complete(fields, at_us, recorder, head)?;
        }
        Ok(number.map(|n| format!(r#"{{"ack":{n}}}"#)))
    }

    fn complete(
        &mut self,
        mut fields: Map<String, Value>,
        at_us: u64,
        recorder: &Recorder,
        head: impl Fn() -> String,
    ) -> Result<(), LineError> {
        let (Some(adapter), Some(id)) = (&self.adapter, fields.get("id").and_then(Value::as_u64)) else {
            return Err(LineError::Neither(head()));
        };
        let completion = Completion::from_fields(&mut fields).ok_or_else(|| LineError::Neither(head()))?;
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
        EventKind::OperationStarted { .. }
        | EventKind::ScopeEntered { .. }
        | EventKind::ScopeLeft { .. }
        | EventKind::ErrorReported { .. } => *source == Source::Loader,
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
