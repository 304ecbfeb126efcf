//! The I/O driver of standard input and output: blocking, with plain threads.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use crate::mock::JOURNAL_LOST_CODE;
use crate::mock::input::{Credit, InputEnd, read_stdin};
use crate::mock::journal::{Journal, JournalLost, JournalledEffect, journalled_effects};
use crate::mock::output::Output;
use crate::mock::own_process::{complain, die, spawn, stop, write_stderr};
use crate::server::{Effect, End, Input, Machine, TimerId};

/// How long an ending mock waits for a client to read what was written before.
const DRAIN_LIMIT: Duration = Duration::from_millis(250);

/// Performs the effects of one machine on standard input and output.
pub(super) struct StdioDriver<J> {
    pub machine: Machine,
    pub journal: J,
    pub sender: Sender<Input>,
    pub inputs: Receiver<Input>,
    pub input_end: Arc<InputEnd>,
    pub life_ends: Instant,
}

/// Why a mock cannot continue.
#[derive(Debug, thiserror::Error)]
enum DriverError {
    #[error(transparent)]
    Journal(#[from] JournalLost),
    #[error("standard input or output cannot be used: {0}")]
    Stdio(#[from] io::Error),
}

impl<J: Journal> StdioDriver<J> {
    /// Serves until the script, the client or a limit ends it, and returns the exit code.
    pub(super) fn run(mut self) -> u8 {
        match self.serve() {
            Ok(End::Exit(code)) => code,
            Ok(End::Signal(signal)) => die(signal),
            Err(error) => {
                complain(&error.to_string());
                JOURNAL_LOST_CODE
            }
        }
    }

    fn serve(&mut self) -> Result<End, DriverError> {
        let mut timers = BTreeSet::new();
        let mut output = Output::new(self.sender.clone());
        // The driver reads nothing before the start is on record.
        let mut next = Some(Input::Started);
        let mut credit: Option<Credit> = None;
        loop {
            let input = match next.take() {
                Some(input) => input,
                None => self.wait(&mut timers),
            };
            let was_read = matches!(input, Input::Line(_) | Input::Noise { .. } | Input::Eof | Input::InputBroken);
            for JournalledEffect { to_journal, then } in journalled_effects(self.machine.handle(input)) {
                self.journal.journal_all(&to_journal)?;
                match then {
                    Some(Effect::End(end)) => {
                        output.drain(DRAIN_LIMIT);
                        return Ok(end);
                    }
                    Some(Effect::CloseStdin) => {
                        if let Some(credit) = &credit {
                            credit.close();
                        }
                    }
                    Some(effect) => self.perform(effect, &mut output, &mut timers)?,
                    None => {}
                }
            }
            match &credit {
                Some(credit) if was_read => credit.give_back(),
                Some(_) => {}
                None => {
                    let end = Arc::clone(&self.input_end);
                    credit = Some(read_stdin(self.sender.clone(), self.machine.may_close_input(), end)?);
                }
            }
        }
    }

    /// The next input: one that arrives, or the first timer that fires.
    fn wait(&self, timers: &mut BTreeSet<(Instant, TimerId)>) -> Input {
        loop {
            let now = Instant::now();
            if now >= self.life_ends {
                return Input::LifeOver;
            }
            let first = timers.first().copied();
            if let Some((_, timer)) = first.filter(|(at, _)| *at <= now) {
                timers.pop_first();
                return Input::Timer(timer);
            }
            let until = first.map_or(self.life_ends, |(at, _)| at.min(self.life_ends));
            match self.inputs.recv_timeout(until - now) {
                Ok(input) => return input,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => unreachable!("the driver holds a sender itself"),
            }
        }
    }

    fn perform(
        &self,
        effect: Effect,
        output: &mut Output,
        timers: &mut BTreeSet<(Instant, TimerId)>,
    ) -> Result<(), DriverError> {
        match effect {
            Effect::Write(bytes) => output.write(&bytes)?,
            Effect::WriteApart(bytes) => output.write_apart(bytes)?,
            Effect::SetTimer { timer, after } => {
                timers.insert((Instant::now() + after, timer));
            }
            Effect::CloseStdout => {
                output.drain(DRAIN_LIMIT);
                output.close()?;
            }
            Effect::WriteStderr { bytes, then } => {
                let sender = self.sender.clone();
                // The driver may have ended.
                write_stderr(bytes, move || drop(sender.send(Input::Timer(then))))?;
            }
            Effect::Stop => stop(),
            Effect::Spawn(grandchild) => spawn(grandchild)?,
            // The caller performs these, or they are effects of HTTP, which a machine over lines does not have.
            Effect::Journal(_) | Effect::End(_) | Effect::CloseStdin => {}
            Effect::Respond { .. } | Effect::BeginStream { .. } | Effect::StreamPart { .. } => {}
            Effect::EndStream(_) | Effect::Cut(_) | Effect::Reset(_) | Effect::Raw { .. } => {}
        }
        Ok(())
    }
}
