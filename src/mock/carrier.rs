//! The loop that carries out what an interpreter says.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getpid, kill_process, setrlimit};

use crate::mock::JOURNAL_LOST_CODE;
use crate::mock::input::{Credit, read_stdin};
use crate::mock::journal::{Journal, JournalLost, Step, steps};
use crate::mock::output::Output;
use crate::mock::own::{spawn, stop, write_stderr};
use crate::script::{Effect, End, Input, Interpreter, Signal, TimerId};

/// How long an ending mock waits for a client to read what was written before.
const DRAIN_LIMIT: Duration = Duration::from_millis(250);

/// Carries one interpreter over standard input and output.
pub(super) struct Carrier<J> {
    pub interpreter: Interpreter,
    pub journal: J,
    pub sender: Sender<Input>,
    pub inputs: Receiver<Input>,
    pub life_ends: Instant,
}

/// Why a mock can not go on.
#[derive(Debug, thiserror::Error)]
enum CarrierError {
    #[error(transparent)]
    Journal(#[from] JournalLost),
    #[error("standard input or output can not be used: {0}")]
    Stdio(#[from] io::Error),
}

impl<J: Journal> Carrier<J> {
    /// Serves until the script, the client or a limit ends it; the exit code.
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

    fn serve(&mut self) -> Result<End, CarrierError> {
        let mut timers = BTreeSet::new();
        let mut output = Output::new(self.sender.clone());
        // Nothing is read before the start is on record.
        let mut next = Some(Input::Started);
        let mut credit: Option<Credit> = None;
        loop {
            let input = match next.take() {
                Some(input) => input,
                None => self.wait(&mut timers),
            };
            let was_read = matches!(input, Input::Line(_) | Input::Noise { .. } | Input::Eof | Input::InputBroken);
            for Step { to_journal, then } in steps(self.interpreter.handle(input)) {
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
                    Some(effect) => self.carry_out(effect, &mut output, &mut timers)?,
                    None => {}
                }
            }
            match &credit {
                Some(credit) if was_read => credit.give_back(),
                Some(_) => {}
                None => credit = Some(read_stdin(self.sender.clone(), self.interpreter.may_close_input())?),
            }
        }
    }

    /// The next input: what arrives, or the first timer that runs out.
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
                Err(RecvTimeoutError::Disconnected) => unreachable!("the carrier holds a sender itself"),
            }
        }
    }

    fn carry_out(
        &self,
        effect: Effect,
        output: &mut Output,
        timers: &mut BTreeSet<(Instant, TimerId)>,
    ) -> Result<(), CarrierError> {
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
                // The carrier may have ended.
                write_stderr(bytes, move || drop(sender.send(Input::Timer(then))))?;
            }
            Effect::Stop => stop(),
            Effect::Spawn(grandchild) => spawn(grandchild)?,
            // Done by the caller, or an effect of HTTP: an interpreter over lines knows no exchange.
            Effect::Journal(_) | Effect::End(_) | Effect::CloseStdin => {}
            Effect::Respond { .. } | Effect::BeginStream { .. } | Effect::StreamPart { .. } => {}
            Effect::EndStream(_) | Effect::Cut(_) | Effect::Reset(_) | Effect::Raw { .. } => {}
        }
        Ok(())
    }
}

/// Says on stderr what no journal can be told any more; a stderr that is gone is no reason to fail.
pub(super) fn complain(message: &str) {
    let _ = writeln!(io::stderr(), "mcp-mock: {message}");
}

/// Ends the process by a signal, as a real server does: abruptly, and visibly to its parent.
pub(super) fn die(signal: Signal) -> u8 {
    let number = match signal {
        Signal::Kill => {
            // A process may always kill itself.
            let _ = kill_process(getpid(), rustix::process::Signal::KILL);
            return 128 + 9;
        }
        Signal::Hup => signal_hook::consts::SIGHUP,
        Signal::Int => signal_hook::consts::SIGINT,
        Signal::Quit => signal_hook::consts::SIGQUIT,
        Signal::Term => signal_hook::consts::SIGTERM,
        Signal::Usr1 => signal_hook::consts::SIGUSR1,
        Signal::Usr2 => signal_hook::consts::SIGUSR2,
        Signal::Abrt => signal_hook::consts::SIGABRT,
        Signal::Segv => signal_hook::consts::SIGSEGV,
    };
    // A mock that dies on cue leaves no core file behind.
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    // Restores the default disposition and raises it; returns only when even that failed.
    let _ = signal_hook::low_level::emulate_default_handler(number);
    u8::try_from(128 + number).unwrap_or(u8::MAX)
}
