//! Templates: a process that has imported a loader's modules, and forks for each plan.
//!
//! `_Template` of the Python helper is the other side, and decides whether it can be forked. The two speak JSON lines over
//! a socket that the template inherits. The socket is also the template's lifeline: its end is the end of the supervisor.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream as BlockingStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::{FdFlags, fcntl_dupfd_cloexec, fcntl_setfd};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use serde::{Deserialize, Serialize};
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::time::timeout;
use tokio_stream::StreamExt;
use tokio_util::codec::{FramedRead, LinesCodec};

use crate::record::monotonic_us;
use crate::supervise::os;
use crate::supervise::protocol::{LaunchSpec, ProcessFacts};

/// The variable that makes the helper a template. Its value is the number of the socket.
const VARIABLE: &str = "MCP_LIFECHECK_TEMPLATE";
/// Lowest number of the socket, so that the imports get the same descriptor numbers as without it.
const FIRST_DESCRIPTOR: i32 = 200;
/// Maximum length of a line from a template or a fork, in bytes.
const LINE_BYTES_MAX: usize = 64 << 10;
/// Descriptors that a launch carries: stdout, stderr and the gate.
const N_DESCRIPTORS: usize = 3;
/// Maximum time from a launch to the pid of its fork. Forking takes milliseconds.
const FORK_LIMIT: Duration = Duration::from_secs(5);
/// Maximum resident memory of a template, in KiB. A loader that needs more has a new process for each plan.
const RSS_KIB_MAX: u64 = 1 << 20;

/// Why a template cannot be forked.
#[derive(Debug, thiserror::Error)]
pub(super) enum TemplateError {
    #[error("its template cannot be started: {0}")]
    Start(#[source] io::Error),
    #[error("{0}")]
    Refused(String),
    #[error("its template ended")]
    Ended,
    #[error("its imports took longer than {} s", limit.as_secs())]
    Hanging { limit: Duration },
    #[error("its imports started a process")]
    Strays,
    #[error("its template uses {rss_kib} KiB of memory, at most {RSS_KIB_MAX} are allowed")]
    TooLarge { rss_kib: u64 },
    #[error("its template sent a line that cannot be read")]
    Line,
    #[error("its template did not fork within {} s", FORK_LIMIT.as_secs())]
    NoFork,
    #[error("its template cannot be reached: {0}")]
    Lost(#[source] io::Error),
    #[error("its template forked a process that the supervisor did not adopt")]
    NotAdopted,
}

/// A line from a template.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
enum Said {
    Ready(bool),
    Refused(String),
    Forked(bool),
}

/// A line to a template.
#[derive(Debug, Serialize)]
struct Launch<'a> {
    env: BTreeMap<&'a String, &'a String>,
}

/// A process that forks for launches.
pub(super) struct Template {
    key: String,
    process: ProcessFacts,
    control: FramedRead<UnixStream, LinesCodec>,
    is_ready: bool,
}

/// A fork that waits at its gate.
pub(super) struct Forked {
    pub pid: u32,
    /// CLOCK_MONOTONIC before the fork, in microseconds.
    pub at_us: u64,
    gate: UnixStream,
}

impl Template {
    /// Starts the program of a launch as a template, at the head of its own process group.
    pub(super) fn start(spec: &LaunchSpec, key: String) -> Result<Self, TemplateError> {
        Self::spawn(spec, key).map_err(TemplateError::Start)
    }

    fn spawn(spec: &LaunchSpec, key: String) -> io::Result<Self> {
        let (program, arguments) =
            spec.command.split_first().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "no command"))?;
        let (control, its_end) = stream_pair()?;
        // Only this process may pass the descriptor on, and it starts one process at a time.
        let its_end = fcntl_dupfd_cloexec(&its_end, FIRST_DESCRIPTOR)?;
        fcntl_setfd(&its_end, FdFlags::empty())?;
        let mut command = Command::new(program);
        command.args(arguments).envs(spec.env.iter().filter(|(name, _)| !spec.is_of_plan(name)));
        // This process has the variables of its first launch, which a template must not inherit.
        for name in spec.env.keys().filter(|name| spec.is_of_plan(name)) {
            command.env_remove(name);
        }
        command.env(VARIABLE, its_end.as_raw_fd().to_string()).process_group(0);
        command.stdin(Stdio::null()).stdout(memory_file()?).stderr(memory_file()?);
        if let Some(directory) = &spec.directory {
            command.current_dir(directory);
        }
        os::end_with_parent(&mut command);
        let pid = command.spawn()?.id();
        let process = os::facts(pid).ok_or_else(|| io::Error::other("the process ended at once"))?;
        let control = FramedRead::new(control, LinesCodec::new_with_max_length(LINE_BYTES_MAX));
        Ok(Self { key, process, control, is_ready: false })
    }

    /// The inputs of the template.
    pub(super) fn key(&self) -> &str {
        &self.key
    }

    /// Its pid.
    pub(super) fn pid(&self) -> u32 {
        self.process.pid
    }

    /// Whether a process is this template.
    pub(super) fn is(&self, process: &ProcessFacts) -> bool {
        (self.process.pid, self.process.started) == (process.pid, process.started)
    }

    /// Waits until its imports are done and it can be forked.
    pub(super) async fn ready(&mut self, limit: Duration) -> Result<(), TemplateError> {
        if self.is_ready {
            return Ok(());
        }
        let said = timeout(limit, self.said()).await.map_err(|_| TemplateError::Hanging { limit })?;
        match said? {
            Said::Ready(true) => {}
            Said::Refused(because) => return Err(TemplateError::Refused(because)),
            Said::Ready(false) | Said::Forked(_) => return Err(TemplateError::Line),
        }
        // An orphan of the imports is below this process, where the template cannot see it.
        if os::descendants(std::process::id()).iter().any(|process| !self.is(process)) {
            return Err(TemplateError::Strays);
        }
        let rss_kib = os::sample(self.pid()).map_or(0, |sample| sample.rss_kib);
        if rss_kib > RSS_KIB_MAX {
            return Err(TemplateError::TooLarge { rss_kib });
        }
        self.is_ready = true;
        Ok(())
    }

    /// Forks for a launch, whose stdout and stderr are `files`.
    pub(super) async fn fork(&mut self, spec: &LaunchSpec, files: &[File; 2]) -> Result<Forked, TemplateError> {
        timeout(FORK_LIMIT, self.fork_now(spec, files)).await.unwrap_or(Err(TemplateError::NoFork))
    }

    async fn fork_now(&mut self, spec: &LaunchSpec, [stdout, stderr]: &[File; 2]) -> Result<Forked, TemplateError> {
        let (gate, its_end) = stream_pair().map_err(TemplateError::Lost)?;
        let at_us = monotonic_us();
        let launch = Launch { env: spec.env.iter().filter(|(name, _)| spec.is_of_plan(name)).collect() };
        let mut line = serde_json::to_string(&launch).map_err(|_| TemplateError::Line)?;
        line.push('\n');
        let descriptors = [stdout.as_fd(), stderr.as_fd(), its_end.as_fd()];
        send(self.control.get_ref(), &line, descriptors).map_err(|error| match error.kind() {
            io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => TemplateError::Ended,
            _ => TemplateError::Lost(error),
        })?;
        drop(its_end);
        match self.said().await? {
            Said::Forked(true) => {}
            Said::Forked(false) | Said::Ready(_) | Said::Refused(_) => return Err(TemplateError::Line),
        }
        let mut gate = FramedRead::new(gate, LinesCodec::new_with_max_length(LINE_BYTES_MAX));
        let line = gate.next().await.ok_or(TemplateError::Ended)?.map_err(|_| TemplateError::Line)?;
        let pid = line.parse().map_err(|_| TemplateError::Line)?;
        if os::facts(pid).is_none_or(|process| process.parent != std::process::id()) {
            return Err(TemplateError::NotAdopted);
        }
        Ok(Forked { pid, at_us, gate: gate.into_inner() })
    }

    async fn said(&mut self) -> Result<Said, TemplateError> {
        let line = self.control.next().await.ok_or(TemplateError::Ended)?.map_err(|_| TemplateError::Line)?;
        serde_json::from_str(&line).map_err(|_| TemplateError::Line)
    }
}

impl Forked {
    /// Opens the gate: the fork continues as the loader's process.
    pub(super) async fn go_on(mut self) {
        // A fork that was killed meanwhile needs no gate.
        let _ = self.gate.write_all(b"\n").await;
    }
}

/// A pair of connected sockets: one for this process, and one to pass on.
fn stream_pair() -> io::Result<(UnixStream, OwnedFd)> {
    let (mine, other) = BlockingStream::pair()?;
    mine.set_nonblocking(true)?;
    Ok((UnixStream::from_std(mine)?, other.into()))
}

/// An empty file without a name, for the output of a template.
fn memory_file() -> io::Result<Stdio> {
    Ok(Stdio::from(memfd_create("output", MemfdFlags::CLOEXEC)?))
}

/// Sends a line with descriptors. A launch is short, and the template reads one at a time, so this never waits.
fn send(stream: &UnixStream, line: &str, descriptors: [BorrowedFd<'_>; N_DESCRIPTORS]) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(N_DESCRIPTORS))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !ancillary.push(SendAncillaryMessage::ScmRights(&descriptors)) {
        return Err(io::Error::other("no space for descriptors"));
    }
    let n = sendmsg(stream, &[IoSlice::new(line.as_bytes())], &mut ancillary, SendFlags::NOSIGNAL)?;
    if n == line.len() { Ok(()) } else { Err(io::Error::from(io::ErrorKind::WriteZero)) }
}
