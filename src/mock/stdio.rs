//! A mock behind standard input and output, in a process of its own.

use std::io;
use std::process::exit;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::Instant;

use crate::mock::arguments::{LinkedArgs, MockError, StandaloneArgs};
use crate::mock::input::InputEnd;
use crate::mock::recorder_link::connect_to_recorder;
use crate::mock::signals::catch_signals;
use crate::mock::standalone::{journal_alone, setup_alone};
use crate::mock::stdio_driver::StdioDriver;
use crate::plan::Transport;
use crate::server::{Endpoint, Input, Machine};

/// Serves the script of the recorder over standard input and output.
pub(super) fn run_linked_stdio(args: &LinkedArgs) -> Result<u8, MockError> {
    let started = Instant::now();
    let (sender, inputs) = channel();
    let input_end = signals_behind_input(&sender).map_err(MockError::Setup)?;
    // The driver may have ended.
    let gates = sender.clone();
    let (link, welcome) = connect_to_recorder(args, move |gate| drop(gates.send(Input::GateOpened(gate))))?;
    let life_ends = started + welcome.max_life();
    let machine = Machine::new(welcome.setup(Endpoint::Lines));
    let code = StdioDriver { machine, journal: link.clone(), sender, inputs, input_end, life_ends }.run();
    // Ends here rather than in `main`, so that nothing in between can turn a farewell into a lost link.
    exit(code.into())
}

/// Serves a standalone mock over standard input and output.
pub(super) fn run_standalone_stdio(args: &StandaloneArgs) -> Result<u8, MockError> {
    let started = Instant::now();
    let (sender, inputs) = channel();
    let input_end = signals_behind_input(&sender).map_err(MockError::Setup)?;
    let journal = journal_alone(args, Transport::Stdio)?;
    let machine = Machine::new(setup_alone(args, Endpoint::Lines));
    let life_ends = started + args.max_life;
    Ok(StdioDriver { machine, journal, sender, inputs, input_end, life_ends }.run())
}

/// Passes on signals, each after the end of the input if the client has closed the input before.
fn signals_behind_input(sender: &Sender<Input>) -> io::Result<Arc<InputEnd>> {
    let input_end = Arc::<InputEnd>::default();
    let (signals, end) = (sender.clone(), Arc::clone(&input_end));
    catch_signals(move |signal| {
        end.await_if_closed();
        // The driver may have ended.
        drop(signals.send(Input::Signal(signal)));
    })?;
    Ok(input_end)
}
