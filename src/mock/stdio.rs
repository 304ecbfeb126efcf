//! A mock behind standard input and output: the loader's child.

use std::io;
use std::process::{ExitCode, exit};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::json;
use signal_hook::consts::{SIGHUP, SIGINT, SIGPIPE, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::iterator::Signals;

use crate::history::ConnectionId;
use crate::mock::JOURNAL_LOST_CODE;
use crate::mock::arguments::{CarrierKind, LinkedArgs, MockError, StandaloneArgs};
use crate::mock::carrier::{Carrier, complain};
use crate::mock::http::{Http, run_linked_http, run_standalone_http};
use crate::mock::journal::{FileJournal, Journal, NoJournal};
use crate::plan::{Revision, ShutdownBehaviour, Transport};
use crate::record::{Link, LinkLimits, build_id};
use crate::script::{BODY_BYTES_MAX, Input, Interpreter, Medium, Script, Setup, Signal};

/// Exit code of a mock that can not be where it is asked to be.
const USAGE_CODE: u8 = 2;

/// What home tells a mock.
#[derive(Deserialize)]
pub(super) struct Welcome {
    connection: ConnectionId,
    #[serde(default = "first")]
    incarnation: u64,
    script: Script,
    temperament: ShutdownBehaviour,
    revision: Revision,
    max_life_ms: u64,
    #[serde(default = "body_bytes_max")]
    body_bytes_max: usize,
}

fn first() -> u64 {
    1
}

fn body_bytes_max() -> usize {
    BODY_BYTES_MAX
}

impl Welcome {
    /// What the interpreter of a process is told.
    pub(super) fn setup(self, medium: Medium) -> Setup {
        Setup { pid: Some(std::process::id()), ..self.setup_in_memory(medium) }
    }

    /// What an interpreter without a process of its own is told.
    pub(super) fn setup_in_memory(self, medium: Medium) -> Setup {
        Setup {
            script: self.script,
            temperament: self.temperament,
            revision: self.revision,
            connection: self.connection,
            incarnation: self.incarnation,
            medium,
            pid: None,
            body_bytes_max: self.body_bytes_max,
        }
    }

    /// How long the mock may live.
    pub(super) fn max_life(&self) -> Duration {
        Duration::from_millis(self.max_life_ms)
    }
}

/// What home tells a mock while it lives.
pub(super) enum Told {
    /// A gate is open.
    Gate(String),
    /// It is to end at once, without a farewell. Only a mock without a process is told so: others are killed.
    Die,
}

/// Dials home with the hello of a mock that is a process; hands on the gates that home opens. A mock whose link is lost ends
/// at once.
///
/// Whatever the script says and whatever the carrier does at that moment: a mock nobody watches must not live on.
pub(super) fn connect_to_recorder(
    args: &LinkedArgs,
    on_gate: impl Fn(String) + Send + 'static,
) -> Result<(Link, Welcome), MockError> {
    let on_told = move |told| match told {
        Told::Gate(gate) => on_gate(gate),
        Told::Die => {}
    };
    dial_as(args, Some(std::process::id()), JOURNAL_LOST_CODE.into(), on_told)
}

/// Dials home; the process ends with `code` when the link is lost.
pub(super) fn dial_as(
    args: &LinkedArgs,
    pid: Option<u32>,
    code: i32,
    on_told: impl Fn(Told) + Send + 'static,
) -> Result<(Link, Welcome), MockError> {
    let mut hello = json!({ "hello": 1, "token": args.token, "mock": args.server, "build": build_id() });
    if let (Some(pid), Some(hello)) = (pid, hello.as_object_mut()) {
        hello.insert("pid".to_owned(), pid.into());
    }
    let on_loss = Box::new(move |_: &_| exit(code));
    let on_command = move |command: serde_json::Value| {
        if let Some(gate) = command.get("open_gate").and_then(serde_json::Value::as_str) {
            on_told(Told::Gate(gate.to_owned()));
        } else if command.get("die").is_some() {
            on_told(Told::Die);
        }
    };
    let (link, welcome) = Link::dial_with(args.link, &hello, LinkLimits::default(), on_loss, on_command)?;
    Ok((link, serde_json::from_value(welcome)?))
}

/// The journal of a mock that runs alone.
pub(super) fn journal_alone(args: &StandaloneArgs, transport: Transport) -> Result<Box<dyn Journal>, MockError> {
    let Some(path) = &args.journal else { return Ok(Box::new(NoJournal)) };
    let journal =
        FileJournal::create(path, args.script.name(), args.revision, transport).map_err(MockError::Journal)?;
    if journal.path() != path {
        complain(&format!("{} is there already; the journal is {}", path.display(), journal.path().display()));
    }
    Ok(Box::new(journal))
}

/// What a mock that runs alone is told.
pub(super) fn setup_alone(args: &StandaloneArgs, medium: Medium) -> Setup {
    Setup { pid: Some(std::process::id()), ..Setup::alone(args.script.clone(), args.revision, medium) }
}

/// Dials home, takes its script from there and serves. Without a link it ends with [`JOURNAL_LOST_CODE`].
pub fn run_linked(args: &LinkedArgs) -> ExitCode {
    let ran = match args.carrier {
        CarrierKind::Stdio => linked(args),
        CarrierKind::Http => run_linked_http(args, Http::Streamable),
        CarrierKind::Sse => run_linked_http(args, Http::Sse),
    };
    match ran {
        Ok(code) => code.into(),
        Err(error) => {
            complain(&error.to_string());
            JOURNAL_LOST_CODE.into()
        }
    }
}

/// Serves a script alone, with a journal on file or none.
pub fn run_standalone(carrier: CarrierKind, args: &StandaloneArgs) -> ExitCode {
    let ran = match carrier {
        CarrierKind::Stdio => standalone(args),
        CarrierKind::Http => run_standalone_http(args, Http::Streamable),
        CarrierKind::Sse => run_standalone_http(args, Http::Sse),
    };
    match ran {
        Ok(code) => code.into(),
        Err(error) => {
            complain(&error.to_string());
            match error {
                MockError::NotLoopback(_) | MockError::Listen { .. } => USAGE_CODE.into(),
                _ => JOURNAL_LOST_CODE.into(),
            }
        }
    }
}

fn linked(args: &LinkedArgs) -> Result<u8, MockError> {
    let started = Instant::now();
    let (sender, inputs) = channel();
    // The carrier may have ended.
    let signals = sender.clone();
    catch_signals(move |signal| drop(signals.send(Input::Signal(signal)))).map_err(MockError::Setup)?;
    let gates = sender.clone();
    let (link, welcome) = connect_to_recorder(args, move |gate| drop(gates.send(Input::GateOpened(gate))))?;
    let life_ends = started + welcome.max_life();
    let interpreter = Interpreter::new(welcome.setup(Medium::Lines));
    let code = Carrier { interpreter, journal: link.clone(), sender, inputs, life_ends }.run();
    // Ends here rather than in `main`: nothing that happens between can turn a farewell into a lost link.
    exit(code.into())
}

fn standalone(args: &StandaloneArgs) -> Result<u8, MockError> {
    let started = Instant::now();
    let (sender, inputs) = channel();
    let signals = sender.clone();
    // The carrier may have ended.
    catch_signals(move |signal| drop(signals.send(Input::Signal(signal)))).map_err(MockError::Setup)?;
    let journal = journal_alone(args, Transport::Stdio)?;
    let interpreter = Interpreter::new(setup_alone(args, Medium::Lines));
    let life_ends = started + args.max_life;
    Ok(Carrier { interpreter, journal, sender, inputs, life_ends }.run())
}

/// Turns signals into inputs, on a thread: nothing is journalled inside a signal handler.
pub(super) fn catch_signals(on_signal: impl Fn(Signal) + Send + 'static) -> io::Result<()> {
    // SIGPIPE is caught to be passed over: a helper is entered before the standard library has it ignored, and a client that
    // goes away must not end a mock without a word.
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGPIPE])?;
    let thread = std::thread::Builder::new().name("signals".to_owned()).stack_size(64 * 1_024);
    thread.spawn(move || {
        for number in signals.forever().filter(|number| *number != SIGPIPE) {
            on_signal(match number {
                SIGHUP => Signal::Hup,
                SIGINT => Signal::Int,
                SIGQUIT => Signal::Quit,
                SIGTERM => Signal::Term,
                SIGUSR1 => Signal::Usr1,
                _ => Signal::Usr2,
            });
        }
    })?;
    Ok(())
}
