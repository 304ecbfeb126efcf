//! The owner of a machine: it takes inputs in order, and performs effects in order.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until, timeout};

use crate::mock::http::connector::Inbox;
use crate::mock::http::parts::{Part, PartSender, parts};
use crate::mock::http::reply::{Raw, Reply};
use crate::mock::http::shared::{HttpEvent, ServingPhase};
use crate::mock::journal::{Journal, JournalLost, JournalledEffect, journalled_effects};
use crate::mock::own_process::{spawn, stop, write_stderr};
use crate::server::{Body, Effect, End, ExchangeNo, Input, Machine, TimerId};

/// How long an ending mock waits until what it answered before is written.
const DRAIN_LIMIT: Duration = Duration::from_millis(250);
/// How often it checks that.
const DRAIN_LOOK: Duration = Duration::from_millis(1);

/// A mock over HTTP.
pub struct HttpMock<J> {
    machine: Machine,
    journal: J,
    inbox: mpsc::UnboundedReceiver<HttpEvent>,
    sender: mpsc::UnboundedSender<HttpEvent>,
    phase: watch::Sender<ServingPhase>,
    answering: BTreeMap<ExchangeNo, Answering>,
    timers: BTreeSet<(Instant, TimerId)>,
    is_full_journalled: bool,
}

/// The responses for which a client still waits.
enum Answering {
    Nothing(oneshot::Sender<Reply>),
    Stream(PartSender),
}

impl<J: Journal> HttpMock<J> {
    /// A mock that has not started.
    #[must_use]
    pub fn new(machine: Machine, journal: J, inbox: Inbox) -> Self {
        Self {
            machine,
            journal,
            inbox: inbox.events,
            sender: inbox.sender,
            phase: inbox.phase,
            answering: BTreeMap::new(),
            timers: BTreeSet::new(),
            is_full_journalled: false,
        }
    }

    /// Starts: journals the start, and performs what the script does at once. No client may connect before.
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
                HttpEvent::Input(input) => {
                    if let Input::ExchangeGone(exchange) = &input {
                        self.answering.remove(exchange);
                    }
                    input
                }
                HttpEvent::Request(request, reply) => {
                    // A client that left before the end of its body waits for nothing.
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

    async fn next(&mut self, life_ends: Instant) -> HttpEvent {
        let first = self.timers.first().copied().filter(|(at, _)| *at <= life_ends);
        let until = first.map_or(life_ends, |(at, _)| at);
        tokio::select! {
            biased;
            () = sleep_until(until) => match first {
                Some(timer) => {
                    self.timers.remove(&timer);
                    HttpEvent::Input(Input::Timer(timer.1))
                }
                None => HttpEvent::Input(Input::LifeOver),
            },
            event = self.inbox.recv() => event.unwrap_or(HttpEvent::Input(Input::Eof)),
        }
    }

    fn take(&mut self, input: Input) -> Result<Option<End>, JournalLost> {
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            for JournalledEffect { to_journal, then } in journalled_effects(self.machine.handle(input)) {
                self.journal.journal_all(&to_journal)?;
                let effect = match then {
                    Some(Effect::End(end)) => return Ok(Some(end)),
                    Some(effect) => effect,
                    None => continue,
                };
                if self.perform(effect) == Room::None && !std::mem::replace(&mut self.is_full_journalled, true) {
                    inputs.push(Input::OutputFull);
                }
            }
        }
        Ok(None)
    }

    fn perform(&mut self, effect: Effect) -> Room {
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
                let sender = self.sender.clone();
                // The mock may be over. Without a thread nothing is written, and what follows stays held.
                let _ = write_stderr(bytes, move || drop(sender.send(HttpEvent::Input(Input::Timer(then)))));
            }
            Effect::Stop => stop(),
            // If it fails, there is one process less to find.
            Effect::Spawn(grandchild) => drop(spawn(grandchild)),
            // The caller performs these, or they are effects of lines, which a machine over HTTP does not have.
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

    /// Writes the responses that have begun, and cuts off the other requests.
    async fn finish(&mut self) {
        self.answering.clear();
        self.phase.send_replace(ServingPhase::Ending);
        // Each connection holds a receiver, and the connector one.
        let drained = async {
            while self.phase.receiver_count() > 1 {
                tokio::time::sleep(DRAIN_LOOK).await;
            }
        };
        // The mock cuts off a client that does not read.
        let _ = timeout(DRAIN_LIMIT, drained).await;
        self.phase.send_replace(ServingPhase::Over);
    }
}

/// Whether there was room for a part of a stream.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Room {
    Some,
    None,
}
