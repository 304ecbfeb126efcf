//! The I/O driver of lines as one task: on any runtime, over any stream of bytes, without a thread.

#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, VecDeque};
use std::future::poll_fn;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::future::FutureExt;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};

use crate::mock::input::Lines;
use crate::mock::journal::{Journal, JournalLost, JournalledEffect, journalled_effects};
use crate::mock::output::BACKLOG_BYTES_MAX;
use crate::server::{Effect, End, Input, Machine, TimerId};

/// How long an ending mock waits for a client to read what was written before.
const DRAIN_LIMIT: Duration = Duration::from_millis(250);
/// Bytes read at once.
const READ_BYTES: usize = 4 * 1_024;

/// Gives a mock the inputs that do not arrive through its pipes: an open gate, or the end of its client. Cheap to clone.
#[derive(Clone)]
pub struct LineSender(mpsc::UnboundedSender<Input>);

/// The receiving end of a [`LineSender`].
pub struct LineInbox(mpsc::UnboundedReceiver<Input>);

/// A sender and its inbox.
#[must_use]
pub fn line_inbox() -> (LineSender, LineInbox) {
    let (sender, inbox) = mpsc::unbounded_channel();
    (LineSender(sender), LineInbox(inbox))
}

impl LineSender {
    /// Gives the mock an input.
    pub fn send(&self, input: Input) {
        // The mock may be over.
        let _ = self.0.send(input);
    }

    /// Whether the mock is over.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.0.is_closed()
    }
}

/// A mock over lines.
pub struct LineMock<J, R, W> {
    machine: Machine,
    journal: J,
    input: LineReader<R>,
    output: LineWriter<W>,
    inbox: LineInbox,
    timers: BTreeSet<(Instant, TimerId)>,
}

impl<J: Journal, R: AsyncRead + Unpin, W: AsyncWrite + Unpin> LineMock<J, R, W> {
    /// A mock that has not started: it reads `input` and writes `output`.
    pub fn new(machine: Machine, journal: J, inbox: LineInbox, input: R, output: W) -> Self {
        Self {
            machine,
            journal,
            input: LineReader { bytes: input, lines: Lines::default(), ready: VecDeque::new(), state: Reading::On },
            output: LineWriter { bytes: Some(output), waiting: VecDeque::new(), state: Writing::On },
            inbox,
            timers: BTreeSet::new(),
        }
    }

    /// Serves until the script, the client or the end of its life ends it. Its journal ends before its pipes do.
    ///
    /// Journals while it is polled, and waits there for the acknowledgement: nothing else may happen meanwhile.
    ///
    /// # Errors
    /// When the journal is lost: the mock must end.
    pub async fn run(mut self, life_ends: Instant) -> Result<End, JournalLost> {
        // The driver reads nothing before the start is on record.
        let mut input = Input::Started;
        loop {
            if let Some(end) = self.take(input)? {
                // The mock cuts off a client that does not read.
                let _ = timeout(DRAIN_LIMIT, self.output.drained()).await;
                drop(self.journal);
                return Ok(end);
            }
            input = self.next(life_ends).await;
        }
    }

    async fn next(&mut self, life_ends: Instant) -> Input {
        loop {
            let first = self.timers.first().copied().filter(|(at, _)| *at <= life_ends);
            let until = first.map_or(life_ends, |(at, _)| at);
            tokio::select! {
                biased;
                () = sleep_until(until) => return match first {
                    Some(timer) => {
                        self.timers.remove(&timer);
                        Input::Timer(timer.1)
                    }
                    None => Input::LifeOver,
                },
                Some(input) = self.inbox.0.recv() => match input {
                    Input::Eof => self.input.cut(),
                    input => return input,
                },
                Err(()) = self.output.work() => return Input::OutputBroken,
                input = self.input.next() => return input,
            }
        }
    }

    fn take(&mut self, input: Input) -> Result<Option<End>, JournalLost> {
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            for JournalledEffect { to_journal, then } in journalled_effects(self.machine.handle(input)) {
                self.journal.journal_all(&to_journal)?;
                match then {
                    Some(Effect::Write(bytes)) => inputs.extend(self.output.write(bytes)),
                    Some(Effect::WriteApart(bytes)) => {
                        for byte in bytes {
                            inputs.extend(self.output.write(vec![byte]));
                        }
                    }
                    Some(Effect::SetTimer { timer, after }) => {
                        self.timers.insert((Instant::now() + after, timer));
                    }
                    Some(Effect::CloseStdout) => self.output.close(),
                    Some(Effect::End(end)) => return Ok(Some(end)),
                    // Journalled already, or effects of HTTP, which a machine over lines does not have.
                    Some(Effect::Journal(_) | Effect::Respond { .. } | Effect::BeginStream { .. }) | None => {}
                    Some(Effect::StreamPart { .. } | Effect::EndStream(_) | Effect::Cut(_) | Effect::Reset(_)) => {}
                    // Effects on a process, which a mock over any stream of bytes does not have.
                    Some(Effect::Raw { .. } | Effect::CloseStdin | Effect::Stop | Effect::Spawn(_)) => {}
                    Some(Effect::WriteStderr { then, .. }) => inputs.push(Input::Timer(then)),
                }
            }
        }
        Ok(None)
    }
}

/// Reads lines as they arrive, each bounded in length.
struct LineReader<R> {
    bytes: R,
    lines: Lines,
    ready: VecDeque<Input>,
    state: Reading,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Reading {
    On,
    Over,
}

impl<R: AsyncRead + Unpin> LineReader<R> {
    /// The next input; none after the end. Safe to cancel.
    async fn next(&mut self) -> Input {
        poll_fn(|cx| self.poll(cx)).await
    }

    /// Ends the input here, unless it has ended. Bytes in flight are lost.
    fn cut(&mut self) {
        if self.state == Reading::On {
            self.end(Input::Eof);
        }
    }

    fn end(&mut self, last: Input) {
        self.state = Reading::Over;
        self.ready.extend(self.lines.finish().into_iter().chain([last]));
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Input> {
        loop {
            if let Some(input) = self.ready.pop_front() {
                return Poll::Ready(input);
            }
            if self.state == Reading::Over {
                return Poll::Pending;
            }
            // On the stack, so that ten thousand waiting mocks hold no buffers.
            let mut space = [MaybeUninit::uninit(); READ_BYTES];
            let mut buffer = ReadBuf::uninit(&mut space);
            match ready!(Pin::new(&mut self.bytes).poll_read(cx, &mut buffer)) {
                Ok(()) if !buffer.filled().is_empty() => {
                    self.lines.push(buffer.filled(), |input| self.ready.push_back(input));
                }
                Ok(()) => self.end(Input::Eof),
                Err(_) => self.end(Input::InputBroken),
            }
        }
    }
}

/// Writes at once as much as the output takes; the rest waits without delaying anything.
struct LineWriter<W> {
    /// None once the output is closed or broken.
    bytes: Option<W>,
    waiting: VecDeque<u8>,
    state: Writing,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Writing {
    On,
    /// Too much was waiting; the driver drops what does not fit.
    Full,
    /// The driver closes it when it has written what waits.
    Closing,
}

impl<W: AsyncWrite + Unpin> LineWriter<W> {
    /// Writes all bytes, now or later and in order. Returns an input if there is no room, or if the output broke.
    fn write(&mut self, bytes: Vec<u8>) -> Option<Input> {
        if self.bytes.is_none() || self.state == Writing::Closing {
            return None;
        }
        // One message always has room, because scripts bound its length.
        if !self.waiting.is_empty() && self.waiting.len() + bytes.len() > BACKLOG_BYTES_MAX {
            let was_full = std::mem::replace(&mut self.state, Writing::Full) == Writing::Full;
            return (!was_full).then_some(Input::OutputFull);
        }
        self.waiting.extend(bytes);
        self.write_ready()
    }

    /// Closes the output after the bytes written before, so that the client reads its end.
    fn close(&mut self) {
        self.state = Writing::Closing;
        // A failure on the way makes no difference any more.
        let _ = self.write_ready();
    }

    fn write_ready(&mut self) -> Option<Input> {
        matches!(self.drained().now_or_never(), Some(Err(()))).then_some(Input::OutputBroken)
    }

    /// Writes the waiting bytes as the client reads; returns only if the output breaks. Safe to cancel.
    async fn work(&mut self) -> Result<(), ()> {
        self.drained().await?;
        std::future::pending().await
    }

    /// Resolves when nothing waits. Safe to cancel.
    async fn drained(&mut self) -> Result<(), ()> {
        while let Some(output) = self.bytes.as_mut().filter(|_| !self.waiting.is_empty()) {
            match output.write(self.waiting.as_slices().0).await {
                Ok(n_bytes) if n_bytes > 0 => drop(self.waiting.drain(..n_bytes)),
                Ok(_) | Err(_) => {
                    self.bytes = None;
                    self.waiting = VecDeque::new();
                    return Err(());
                }
            }
        }
        if self.state == Writing::Closing {
            self.bytes = None;
        }
        Ok(())
    }
}
