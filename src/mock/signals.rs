//! Signals that a mock catches.

use std::io;

use signal_hook::consts::{SIGHUP, SIGINT, SIGPIPE, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::iterator::Signals;

use crate::script::Signal;

/// Passes on signals from a thread, because a signal handler must not journal.
pub(super) fn catch_signals(on_signal: impl Fn(Signal) + Send + 'static) -> io::Result<()> {
    // The mock ignores SIGPIPE itself, because a helper runs before the standard library ignores it, and a client that leaves
    // must not kill a mock.
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
