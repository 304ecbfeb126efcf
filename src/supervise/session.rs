//! The connection of a supervisor to the reporting process, which outlives each of its trees.

use std::io;
use std::os::fd::OwnedFd;

use tokio::net::unix::pipe;
use tokio::signal::unix::{SignalKind, signal};
use tokio_stream::StreamExt;
use tokio_util::codec::{FramedRead, LinesCodec};

use crate::supervise::template::Template;

/// Maximum length of a request line, in bytes.
const LINE_BYTES_MAX: usize = 1 << 20;

/// The lines that the reporting process writes. Their end is the end of the lifeline.
type Requests = FramedRead<pipe::Receiver, LinesCodec>;

/// The state that a supervisor keeps from one launch to the next.
pub(super) struct Session {
    pub requests: Requests,
    pub signals: Signals,
    pub output: pipe::Sender,
    /// CPU time of this process, of the trees it has ended and of its templates, in milliseconds.
    pub cpu_ms: u64,
    /// The process that forks for launches which may start warm. It belongs to no tree.
    pub template: Option<Template>,
}

/// Whether a supervisor continues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    GoOn,
    /// The tree ends, and the supervisor too: its lifeline ended, or the protocol was broken.
    End,
    /// The tree ends, as the reporting process requests.
    EndTree,
}

impl Session {
    /// Opens the pipes to the reporting process, and catches signals.
    pub(super) fn open() -> io::Result<Self> {
        let signals = catch_signals()?;
        let input = own(&io::stdin()).and_then(pipe::Receiver::from_owned_fd)?;
        let output = own(&io::stdout()).and_then(pipe::Sender::from_owned_fd)?;
        let requests = FramedRead::new(input, LinesCodec::new_with_max_length(LINE_BYTES_MAX));
        Ok(Self { requests, signals, output, cpu_ms: 0, template: None })
    }

    /// The next launch line; `None` when the reporting process wants no further launch.
    pub(super) async fn next_launch(&mut self) -> Option<String> {
        tokio::select! {
            line = self.requests.next() => line?.ok(),
            _ = self.signals.term.recv() => None,
        }
    }
}

fn own(fd: &impl std::os::fd::AsFd) -> io::Result<OwnedFd> {
    fd.as_fd().try_clone_to_owned()
}

/// Catches signals for two reasons. They must not end this process. And the loader gets the default action for a signal
/// caught here, but would inherit an ignored one, such as SIGINT below a background shell.
fn catch_signals() -> io::Result<Signals> {
    let kinds = [SignalKind::interrupt(), SignalKind::hangup(), SignalKind::quit(), SignalKind::pipe()];
    let more = [SignalKind::user_defined1(), SignalKind::user_defined2(), SignalKind::alarm()];
    let ignored = kinds.into_iter().chain(more).map(signal).collect::<io::Result<Vec<_>>>()?;
    Ok(Signals { child: signal(SignalKind::child())?, term: signal(SignalKind::terminate())?, _ignored: ignored })
}

pub(super) struct Signals {
    pub child: tokio::signal::unix::Signal,
    pub term: tokio::signal::unix::Signal,
    _ignored: Vec<tokio::signal::unix::Signal>,
}
