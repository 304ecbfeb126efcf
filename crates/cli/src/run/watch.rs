//! What goes on around a run: progress on a terminal, and what interrupts it.

use std::io::{self, IsTerminal};
use std::os::fd::OwnedFd;
use std::sync::Arc;

use indicatif::{ProgressBar, ProgressStyle};
use mcp_lifecheck::run::ExitReason;
use rustix::event::{PollFd, PollFlags, poll};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::args::OutputArgs;
use crate::signals::heeded;

/// A bar over so many plans, where there is a terminal to show it.
pub(crate) fn progress_bar(n_plans: usize, output: &OutputArgs) -> ProgressBar {
    if output.results.quiet || !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {elapsed} {msg}");
    ProgressBar::new(n_plans as u64).with_style(style.expect("the template is well formed"))
}

/// The first signal stops the run in order; another one ends this process at once, and supervisors see to the rest.
/// The end of the parent stops the run in order as well.
pub(crate) fn watch_signals(interrupt: watch::Sender<bool>, parent: Option<OwnedFd>) -> io::Result<()> {
    let interrupt = Arc::new(interrupt);
    for number in heeded() {
        let mut signals = signal(SignalKind::from_raw(number))?;
        let interrupt = Arc::clone(&interrupt);
        tokio::spawn(async move {
            while signals.recv().await.is_some() {
                if interrupt.send_replace(true) {
                    std::process::exit(i32::from(ExitReason::Inconclusive.number()));
                }
            }
        });
    }
    if let Some(parent) = parent {
        // A thread that waits as long as this process lives: the runtime is not to wait for it.
        std::thread::spawn(move || {
            if await_readable(&parent).is_ok() {
                interrupt.send_replace(true);
            }
        });
    }
    Ok(())
}

fn await_readable(fd: &OwnedFd) -> rustix::io::Result<()> {
    loop {
        match poll(&mut [PollFd::new(fd, PollFlags::IN)], None) {
            Ok(_) => return Ok(()),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
}
