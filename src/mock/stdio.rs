//! A mock behind standard input and output: the loader's child.

use std::io;
use std::process::{ExitCode, exit};
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::json;
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::iterator::Signals;

use crate::history::ConnectionId;
use crate::mock::JOURNAL_LOST_CODE;
use crate::mock::arguments::{LinkedArgs, MockError, StandaloneArgs};
use crate::mock::carrier::{Carrier, complain};
use crate::mock::journal::{FileJournal, Journal, NoJournal};
use crate::plan::{Revision, Temperament};
use crate::record::{Link, LinkLimits, build_id};
use crate::script::{BODY_BYTES_MAX, Input, Interpreter, Script, Setup, Signal};

/// What home tells a mock.
#[derive(Deserialize)]
struct Welcome {
    connection: ConnectionId,
    script: Script,
    temperament: Temperament,
    revision: Revision,
    max_life_ms: u64,
    #[serde(default = "body_bytes_max")]
    body_bytes_max: usize,
}

fn body_bytes_max() -> usize {
    BODY_BYTES_MAX
}

/// Dials home, takes its script from there and serves. Without a link it ends with [`JOURNAL_LOST_CODE`].
pub fn run_linked(args: &LinkedArgs) -> ExitCode {
    match linked(args) {
        Ok(code) => code.into(),
        Err(error) => {
            complain(&error.to_string());
            JOURNAL_LOST_CODE.into()
        }
    }
}

/// Serves a script alone, with a journal on file or none.
pub fn run_standalone(args: &StandaloneArgs) -> ExitCode {
    match standalone(args) {
        Ok(code) => code.into(),
        Err(error) => {
            complain(&error.to_string());
            JOURNAL_LOST_CODE.into()
        }
    }
}

fn linked(args: &LinkedArgs) -> Result<u8, MockError> {
    let started = Instant::now();
    let (sender, inputs) = channel();
    catch_signals(sender.clone()).map_err(MockError::Setup)?;
    let hello = json!({
        "hello": 1, "token": args.token, "mock": args.server, "build": build_id(), "pid": std::process::id(),
    });
    // Whatever the script says and whatever the carrier does at that moment: a mock nobody watches must not live on.
    let on_loss = Box::new(|_: &_| exit(JOURNAL_LOST_CODE.into()));
    let gates = sender.clone();
    let on_command = move |command: serde_json::Value| {
        if let Some(gate) = command.get("open_gate").and_then(serde_json::Value::as_str) {
            // The carrier may have ended.
            let _ = gates.send(Input::GateOpened(gate.to_owned()));
        }
    };
    let (link, welcome) = Link::dial_with(args.link, &hello, LinkLimits::default(), on_loss, on_command)?;
    let welcome: Welcome = serde_json::from_value(welcome)?;
    let interpreter = Interpreter::new(Setup {
        script: welcome.script,
        temperament: welcome.temperament,
        revision: welcome.revision,
        connection: welcome.connection,
        pid: Some(std::process::id()),
        body_bytes_max: welcome.body_bytes_max,
    });
    let life_ends = started + Duration::from_millis(welcome.max_life_ms);
    let code = Carrier { interpreter, journal: link.clone(), sender, inputs, life_ends }.run();
    // Ends here rather than in `main`: nothing that happens between can turn a farewell into a lost link.
    exit(code.into())
}

fn standalone(args: &StandaloneArgs) -> Result<u8, MockError> {
    let started = Instant::now();
    let (sender, inputs) = channel();
    catch_signals(sender.clone()).map_err(MockError::Setup)?;
    let journal: Box<dyn Journal> = match &args.journal {
        None => Box::new(NoJournal),
        Some(path) => {
            let journal = FileJournal::create(path, args.script.name(), args.revision).map_err(MockError::Journal)?;
            if journal.path() != path {
                complain(&format!("{} is there already; the journal is {}", path.display(), journal.path().display()));
            }
            Box::new(journal)
        }
    };
    let interpreter = Interpreter::new(Setup {
        script: args.script.clone(),
        temperament: Temperament::Polite,
        revision: args.revision,
        connection: ConnectionId("c1".to_owned()),
        pid: Some(std::process::id()),
        body_bytes_max: BODY_BYTES_MAX,
    });
    let life_ends = started + args.max_life;
    Ok(Carrier { interpreter, journal, sender, inputs, life_ends }.run())
}

/// Turns signals into inputs, on a thread: nothing is journalled inside a signal handler.
fn catch_signals(inputs: Sender<Input>) -> io::Result<()> {
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2])?;
    let thread = std::thread::Builder::new().name("signals".to_owned()).stack_size(64 * 1_024);
    thread.spawn(move || {
        for number in signals.forever() {
            let signal = match number {
                SIGHUP => Signal::Hup,
                SIGINT => Signal::Int,
                SIGQUIT => Signal::Quit,
                SIGTERM => Signal::Term,
                SIGUSR1 => Signal::Usr1,
                _ => Signal::Usr2,
            };
            // The carrier may have ended.
            let _ = inputs.send(Input::Signal(signal));
        }
    })?;
    Ok(())
}
