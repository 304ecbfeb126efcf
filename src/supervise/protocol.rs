//! What is said between the reporting process and a supervisor: JSON lines over its stdin and stdout.
//!
//! The supervisor's stdin is the lifeline as well: its end means that the reporting process is gone.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// First line: what to start.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LaunchSpec {
    /// Program and arguments.
    pub command: Vec<String>,
    /// Working directory; the current one where there is none.
    pub directory: Option<PathBuf>,
    /// Laid over the inherited environment.
    pub env: BTreeMap<String, String>,
    /// What it has as its stdin.
    #[serde(default)]
    pub stdin: StdinKind,
    /// File for its stdout; appended to.
    pub stdout: PathBuf,
    /// File for its stderr; appended to.
    pub stderr: PathBuf,
    /// Most bytes of either file.
    pub output_bytes_max: u64,
    /// Most processes of the tree.
    pub processes_max: usize,
    /// The soft limit of open descriptors the tree gets; the supervisor's own where there is none.
    pub descriptors_soft: Option<u64>,
    /// Ports to which connections matter: where there are some, every process of the tree is held when it is about to exit.
    #[serde(default)]
    pub ports: Vec<u16>,
    /// Longest life of the tree, in milliseconds.
    pub life_ms: u64,
    /// Longest time for ending the tree, in milliseconds.
    pub settle_ms: u64,
}

/// What a process has as its stdin.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StdinKind {
    /// Nothing: reading gives its end.
    #[default]
    Null,
    /// A pipe that stays open until it is closed on request.
    Pipe,
}

/// A request, answered by a [`Report`] with the same id.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// Chosen by the asker.
    pub id: u32,
    /// What is asked.
    pub ask: Ask,
}

/// What can be asked of a supervisor.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Ask {
    /// Send a signal, named without `SIG`.
    Signal {
        /// To this pid, if it belongs to the tree; to the loader itself where there is none.
        pid: Option<u32>,
        /// Its name.
        signal: String,
    },
    /// Send a signal, named without `SIG`, to the process group of the loader, as a terminal does.
    SignalGroup {
        /// Its name.
        signal: String,
    },
    /// Write to the stdin of the loader, where it is a pipe.
    Write {
        /// What, with the end of its line. Written whole or not at all where it is no longer than a page.
        text: String,
    },
    /// Close the stdin of the loader.
    CloseStdin,
    /// The processes below the supervisor.
    Descendants,
    /// What the loader's process uses over a window.
    Sample {
        /// Length of the window in microseconds.
        window_us: u64,
    },
    /// Stacks and wait channels of every thread of the tree.
    Stacks,
    /// Let a process exit that is held. Not answered.
    LetExit {
        /// Its number.
        exit: u32,
    },
    /// End and reap the whole tree, then end.
    End,
}

/// What a supervisor says.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Report {
    /// The loader's process was started.
    Started {
        /// Its pid.
        pid: u32,
        /// When, on the monotonic clock, in microseconds.
        at_us: u64,
    },
    /// It could not be started.
    NotStarted {
        /// Why.
        because: String,
    },
    /// The loader's process ended.
    Exited {
        /// Exit code.
        code: Option<i32>,
        /// Signal, named without `SIG`.
        signal: Option<String>,
        /// CLOCK_MONOTONIC in microseconds when it was seen.
        at_us: u64,
    },
    /// A process of the tree is about to exit, and is held until it is let go, for a second at most.
    Exiting {
        /// Its number, for the answer.
        exit: u32,
        /// Its pid.
        pid: u32,
        /// How many connections that matter it has open.
        n_sockets: u32,
    },
    /// A limit of the launch was hit; the tree is being ended.
    LimitHit {
        /// `output`, `processes` or `life`.
        limit: String,
        /// What was seen.
        because: String,
    },
    /// The supervisor was kept waiting longer than ever before.
    Delayed {
        /// In microseconds.
        delay_us: u64,
    },
    /// Answer: the signal was sent or there was nobody to send it to.
    Signalled {
        /// Id of the request.
        id: u32,
        /// How it went.
        how: Signalled,
    },
    /// Answer: it was written to stdin, or stdin was closed.
    Written {
        /// Id of the request.
        id: u32,
        /// How it went.
        how: Written,
    },
    /// Answer: the processes below the supervisor.
    Descendants {
        /// Id of the request.
        id: u32,
        /// Parents before children.
        processes: Vec<ProcessFacts>,
    },
    /// Answer: a sample; nothing when the process is gone.
    Sampled {
        /// Id of the request.
        id: u32,
        /// The sample.
        sample: Option<Sample>,
    },
    /// Answer: stacks as text.
    Stacks {
        /// Id of the request.
        id: u32,
        /// The text.
        text: String,
    },
    /// Answer: the tree is ended; the last thing a supervisor says.
    Ended {
        /// Processes that had to be killed.
        n_killed: usize,
        /// Processes that could not be ended within the limit.
        n_left: usize,
        /// CPU time of the tree as far as it was waited for, and of the supervisor, in milliseconds.
        cpu_ms: u64,
    },
}

/// How sending a signal went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Signalled {
    /// It was sent.
    Sent,
    /// There is no such process in the tree.
    Gone,
}

/// How writing to stdin went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Written {
    /// It was done.
    Done,
    /// Nobody can read it any more, or it was closed before.
    Gone,
    /// The pipe is full: the process does not read.
    Full,
}

/// A process as the process table has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProcessFacts {
    /// Its pid.
    pub pid: u32,
    /// Its parent's pid.
    pub parent: u32,
    /// Its start in clock ticks since boot: with the pid, unique.
    pub started: u64,
    /// One letter, as in /proc: R, S, D, T, Z …
    pub state: char,
    /// Its command line, at most 200 characters; empty where it was not asked for.
    pub command: String,
}

impl ProcessFacts {
    /// Whether it has ended and waits to be reaped.
    #[must_use]
    pub fn is_zombie(&self) -> bool {
        matches!(self.state, 'Z' | 'X')
    }
}

/// What a process uses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sample {
    /// Length of the window in microseconds, as it came out.
    pub window_us: u64,
    /// CPU time used in the window, in microseconds.
    pub cpu_us: u64,
    /// Threads.
    pub threads: u32,
    /// Open descriptors by kind.
    pub fds: BTreeMap<String, u32>,
    /// Resident memory in KiB.
    pub rss_kib: u64,
}
