//! The one owner of an interpreter: takes inputs in order and carries out effects in order.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until, timeout};

use crate::mock::http::body::{Part, PartSender, parts};
use crate::mock::http::connection::Reply;
use crate::mock::http::stream::Raw;
use crate::mock::http::{Inbox, Stage};
use crate::mock::journal::{Journal, JournalLost, Step, steps};
use crate::mock::own::{spawn, stop, write_stderr};
use crate::script::{Body, Effect, End, ExchangeNo, Input, Interpreter, Request, TimerId};

/// How long an ending mock waits until what it answered before is written.
const DRAIN_LIMIT: Duration = Duration::from_millis(250);
/// How often it looks whether that is so.
const DRAIN_LOOK: Duration = Duration::from_millis(1);

/// What comes about at a mock.
pub(super) enum Event {
    Input(Input),
    /// A request, and where its answer is awaited.
    Request(Request, oneshot::Sender<Reply>),
}

/// A mock over HTTP.
pub struct HttpMock<J> {
    interpreter: Interpreter,
    journal: J,
    inbox: mpsc::UnboundedReceiver<Event>,
    tell: mpsc::UnboundedSender<Event>,
    stage: watch::Sender<Stage>,
    answering: HashMap<ExchangeNo, Answering>,
    timers: BTreeSet<(Instant, TimerId)>,
    is_full_told: bool,
}

/// What is still to be told to a client.
enum Answering {
    Nothing(oneshot::Sender<Reply>),
    Stream(PartSender),
}

impl<J: Journal> HttpMock<J> {
    /// A mock that has not started.
    #[must_use]
    pub fn new(interpreter: Interpreter, journal: J, inbox: Inbox) -> Self {
        Self {
            interpreter,
            journal,
            inbox: inbox.events,
            tell: inbox.tell,
            stage: inbox.stage,
            answering: HashMap::new(),
            timers: BTreeSet::new(),
            is_full_told: false,
        }
    }

    /// Starts: journals that, and does what the script does at once. Nothing may be accepted before.
    ///
    /// # Errors
    /// When the journal is lost: the mock must end.
    pub fn start(&mut self) -> Result<Option<End>, JournalLost> {
        self.take(Input::Started)
    }

    /// Serves until the script, a signal or the end of its life ends it.
    ///
    /// Journals while it is polled, and waits there for the acknowledgement: nothing else may happen meanwhile.
    ///
    /// # Errors
    /// When the journal is lost: the mock must end.
    pub async fn run(mut self, life_ends: Instant) -> Result<End, JournalLost> {
        loop {
            let input = match self.next(life_ends).await {
                Event::Input(input) => {
                    if let Input::ExchangeGone(exchange) = &input {
                        self.answering.remove(exchange);
                    }
                    input
                }
                Event::Request(request, reply) => {
                    // Whose client left before the end of the body awaits nothing.
                    if request.body != Body::Cut {
                        self.answering.insert(request.exchange, Answering::Nothing(reply));
                    }
                    Input::Request(request)
                }
            };
            if let Some(end) = self.take(input)? {
                self.finish().await;
                return Ok(end);
            }
        }
    }

    async fn next(&mut self, life_ends: Instant) -> Event {
        let first = self.timers.first().copied().filter(|(at, _)| *at <= life_ends);
        let until = first.map_or(life_ends, |(at, _)| at);
        tokio::select! {
            biased;
            () = sleep_until(until) => match first {
                Some(timer) => {
                    self.timers.remove(&timer);
                    Event::Input(Input::Timer(timer.1))
                }
                None => Event::Input(Input::LifeOver),
            },
            event = self.inbox.recv() => event.unwrap_or(Event::Input(Input::Eof)),
        }
    }

    fn take(&mut self, input: Input) -> Result<Option<End>, JournalLost> {
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            for Step { to_journal, then } in steps(self.interpreter.handle(input)) {
                self.journal.journal_all(&to_journal)?;
                let effect = match then {
                    Some(Effect::End(end)) => return Ok(Some(end)),
                    Some(effect) => effect,
                    None => continue,
                };
                if self.carry_out(effect) == Room::None && !std::mem::replace(&mut self.is_full_told, true) {
                    inputs.push(Input::OutputFull);
                }
            }
        }
        Ok(None)
    }

    fn carry_out(&mut self, effect: Effect) -> Room {
        match effect {
            Effect::SetTimer { timer, after } => {
                self.timers.insert((Instant::now() + after, timer));
            }
            Effect::Respond { exchange, response } => self.reply(exchange, Reply::Whole(response)),
            Effect::BeginStream { exchange, response } => {
                let (sender, parts) = parts();
                self.reply(exchange, Reply::Stream(response, parts));
                self.answering.insert(exchange, Answering::Stream(sender));
            }
            Effect::StreamPart { exchange, bytes } => {
                if let Some(Answering::Stream(parts)) = self.answering.get(&exchange)
                    && !parts.send(Part::Bytes(bytes))
                {
                    return Room::None;
                }
            }
            Effect::EndStream(exchange) => self.end(exchange, Part::End, Reply::Cut),
            Effect::Cut(exchange) => self.end(exchange, Part::Cut, Reply::Cut),
            Effect::Reset(exchange) => self.end(exchange, Part::Reset, Reply::Reset),
            Effect::Raw { exchange, bytes, after } => self.reply(exchange, Reply::Raw(Raw { bytes, after })),
            Effect::WriteStderr { bytes, then } => {
                let tell = self.tell.clone();
                // The mock may be over; without a thread nothing is written, and what follows stays held.
                let _ = write_stderr(bytes, move || drop(tell.send(Event::Input(Input::Timer(then)))));
            }
            Effect::Stop => stop(),
            // Without it there is one process less to find.
            Effect::Spawn(grandchild) => drop(spawn(grandchild)),
            // Done by the caller, or an effect of lines, which an interpreter over HTTP does not have.
            Effect::Journal(_) | Effect::End(_) => {}
            Effect::Write(_) | Effect::WriteApart(_) | Effect::CloseStdout | Effect::CloseStdin => {}
        }
        Room::Some
    }

    fn reply(&mut self, exchange: ExchangeNo, reply: Reply) {
        if let Some(Answering::Nothing(sender)) = self.answering.remove(&exchange) {
            // The client may be gone.
            let _ = sender.send(reply);
        }
    }

    fn end(&mut self, exchange: ExchangeNo, part: Part, reply: Reply) {
        match self.answering.remove(&exchange) {
            Some(Answering::Stream(parts)) => {
                parts.send(part);
            }
            Some(Answering::Nothing(sender)) => {
                // The client may be gone.
                let _ = sender.send(reply);
            }
            None => {}
        }
    }

    /// What is answered is written; what is not is cut off.
    async fn finish(&mut self) {
        self.answering.clear();
        self.stage.send_replace(Stage::Ending);
        // Each connection holds a receiver, and the connector one.
        let drained = async {
            while self.stage.receiver_count() > 1 {
                tokio::time::sleep(DRAIN_LOOK).await;
            }
        };
        // A client that does not read is cut off.
        let _ = timeout(DRAIN_LIMIT, drained).await;
        self.stage.send_replace(Stage::Over);
    }
}

/// Whether a client still takes what is sent.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Room {
    Some,
    None,
}
