//! A mock over lines as one task: any runtime, any stream of bytes, no thread.

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
use crate::mock::journal::{Journal, JournalLost, Step, steps};
use crate::mock::output::BACKLOG_BYTES_MAX;
use crate::script::{Effect, End, Input, Interpreter, TimerId};

/// How long an ending mock waits for a client to read what was written before.
const DRAIN_LIMIT: Duration = Duration::from_millis(250);
/// Bytes read at once.
const READ_BYTES: usize = 4 * 1_024;

/// Hands a mock what does not come through its pipes: a gate that was opened, or the end of its client. Cheap to clone.
#[derive(Clone)]
pub struct LineSender(mpsc::UnboundedSender<Input>);

/// What a mock takes such inputs from.
pub struct LineInbox(mpsc::UnboundedReceiver<Input>);

/// Both ends of it.
#[must_use]
pub fn line_inbox() -> (LineSender, LineInbox) {
    let (sender, inbox) = mpsc::unbounded_channel();
    (LineSender(sender), LineInbox(inbox))
}

impl LineSender {
    /// Hands the mock an input.
    pub fn tell(&self, input: Input) {
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
    interpreter: Interpreter,
    journal: J,
    input: LineReader<R>,
    output: LineWriter<W>,
    inbox: LineInbox,
    timers: BTreeSet<(Instant, TimerId)>,
}

impl<J: Journal, R: AsyncRead + Unpin, W: AsyncWrite + Unpin> LineMock<J, R, W> {
    /// A mock that has not started: it reads `input` and writes `output`.
    pub fn new(interpreter: Interpreter, journal: J, inbox: LineInbox, input: R, output: W) -> Self {
        Self {
            interpreter,
            journal,
            input: LineReader { bytes: input, lines: Lines::default(), ready: VecDeque::new(), state: Reading::On },
            output: LineWriter { bytes: Some(output), waiting: VecDeque::new(), state: Writing::On },
            inbox,
            timers: BTreeSet::new(),
        }
    }

    /// Serves until the script, the client or the end of its life ends it. Its link ends before its pipes do.
    ///
    /// Journals while it is polled, and waits there for the acknowledgement: nothing else may happen meanwhile.
    ///
    /// # Errors
    /// When the journal is lost: the mock must end.
    pub async fn run(mut self, life_ends: Instant) -> Result<End, JournalLost> {
        // Nothing is read before the start is on record.
        let mut input = Input::Started;
        loop {
            if let Some(end) = self.take(input)? {
                // A client that does not read is cut off.
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
                Some(told) = self.inbox.0.recv() => match told {
                    Input::Eof => self.input.cut(),
                    told => return told,
                },
                Err(()) = self.output.work() => return Input::OutputBroken,
                input = self.input.next() => return input,
            }
        }
    }

    fn take(&mut self, input: Input) -> Result<Option<End>, JournalLost> {
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            for Step { to_journal, then } in steps(self.interpreter.handle(input)) {
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
                    // Journalled, or an effect of HTTP: an interpreter over lines knows no exchange.
                    Some(Effect::Journal(_) | Effect::Respond { .. } | Effect::BeginStream { .. }) | None => {}
                    Some(Effect::StreamPart { .. } | Effect::EndStream(_) | Effect::Cut(_) | Effect::Reset(_)) => {}
                    // Effects on a process, which no script has here.
                    Some(Effect::Raw { .. } | Effect::CloseStdin | Effect::Stop | Effect::Spawn(_)) => {}
                    Some(Effect::WriteStderr { then, .. }) => inputs.push(Input::Timer(then)),
                }
            }
        }
        Ok(None)
    }
}

/// Lines as they come. Holds nothing back: what is bounded is a line.
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
    /// The next of them; never again after the end. Safe to cancel.
    async fn next(&mut self) -> Input {
        poll_fn(|cx| self.poll(cx)).await
    }

    /// Ends it here, whatever is still under way. What has ended does not end again.
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
            // On the stack: ten thousand mocks that wait hold no buffer each.
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

/// Writes at once what can be written without waiting; the rest waits, and holds up nothing.
struct LineWriter<W> {
    /// None once it is closed or broken.
    bytes: Option<W>,
    waiting: VecDeque<u8>,
    state: Writing,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Writing {
    On,
    /// Too much was waiting; what does not fit is dropped.
    Full,
    /// It is closed when what waits is written.
    Closing,
}

impl<W: AsyncWrite + Unpin> LineWriter<W> {
    /// Writes all of it, now or later and in order; what there is to tell of that.
    fn write(&mut self, bytes: Vec<u8>) -> Option<Input> {
        if self.bytes.is_none() || self.state == Writing::Closing {
            return None;
        }
        // One message of whatever length a script wants has room: scripts bound it.
        if !self.waiting.is_empty() && self.waiting.len() + bytes.len() > BACKLOG_BYTES_MAX {
            let is_told = std::mem::replace(&mut self.state, Writing::Full) == Writing::Full;
            return (!is_told).then_some(Input::OutputFull);
        }
        self.waiting.extend(bytes);
        self.write_ready()
    }

    /// Closes it, behind what was written before: the client sees its end.
    fn close(&mut self) {
        self.state = Writing::Closing;
        // Whether it breaks on the way makes no difference any more.
        let _ = self.write_ready();
    }

    fn write_ready(&mut self) -> Option<Input> {
        matches!(self.drained().now_or_never(), Some(Err(()))).then_some(Input::OutputBroken)
    }

    /// Writes what waits as the client takes it; comes to an end only where the output breaks. Safe to cancel.
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
