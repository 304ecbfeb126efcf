//! The protocol between the reporting process and a supervisor: JSON lines over the supervisor's stdin and stdout.
//!
//! Stdin is also the lifeline: its end means that the reporting process is gone.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The first line: the program to start, and its limits.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LaunchSpec {
    /// Program and arguments.
    pub command: Vec<String>,
    /// Working directory; `None` for the supervisor's own.
    pub directory: Option<PathBuf>,
    /// Variables to add to the inherited environment.
    pub env: BTreeMap<String, String>,
    /// The loader's stdin.
    #[serde(default)]
    pub stdin: StdinKind,
    /// The loader's stdout is appended to this file.
    pub stdout: PathBuf,
    /// The loader's stderr is appended to this file.
    pub stderr: PathBuf,
    /// Maximum size of either file, in bytes.
    pub output_bytes_max: u64,
    /// Maximum number of processes in the tree.
    pub processes_max: usize,
    /// Soft limit of open descriptors for the tree; `None` for the supervisor's own.
    pub descriptors_soft: Option<u64>,
    /// Ports of mocks. If there are any, every process of the tree is held at its exit, and its connections to them are
    /// counted.
    #[serde(default)]
    pub ports: Vec<u16>,
    /// Maximum lifetime of the tree, in milliseconds.
    pub life_ms: u64,
    /// Maximum time for ending the tree, in milliseconds.
    pub settle_ms: u64,
    /// Whether the loader's process may be a fork of a template. Only the supervisors of a run have templates.
    #[serde(default)]
    pub warm: Option<WarmStart>,
}

impl LaunchSpec {
    /// The inputs of a template of this launch, as text. Launches with the same text can share a template.
    pub(super) fn template_key(&self) -> String {
        let shared: BTreeMap<_, _> = self.env.iter().filter(|(name, _)| !self.is_of_plan(name)).collect();
        serde_json::to_string(&(&self.command, &self.directory, shared)).expect("texts and paths that were JSON before")
    }

    /// Whether a variable is another one in each plan.
    pub(super) fn is_of_plan(&self, name: &str) -> bool {
        self.warm.as_ref().is_some_and(|warm| warm.variables.iter().any(|variable| variable == name))
    }
}

/// How a loader's process may be a fork of a template.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WarmStart {
    /// The variables of the launch that are other ones in each plan. The template has none of them.
    pub variables: Vec<String>,
    /// Maximum time of a template until it is ready to fork, in milliseconds.
    pub ready_ms: u64,
}

/// How a loader's process was started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StartKind {
    /// As a new process.
    Fresh,
    /// As a fork of a template.
    Warm,
    /// As a new process, because its template cannot be forked.
    Refused {
        /// Why not.
        because: String,
    },
}

/// The kind of stdin that a process gets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StdinKind {
    /// Empty: a read returns the end of the file.
    #[default]
    Null,
    /// A pipe that stays open until a request closes it.
    Pipe,
}

/// A request. A [`Report`] with the same id answers it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// Id, chosen by the reporting process.
    pub id: u32,
    /// The kind of request.
    pub kind: RequestKind,
}

/// The requests to a supervisor.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum RequestKind {
    /// Send a signal, named without `SIG`.
    Signal {
        /// A process of the tree; `None` for the loader.
        pid: Option<u32>,
        /// Name of the signal, without `SIG`.
        signal: String,
    },
    /// Send a signal to the loader's process group, as a terminal does.
    SignalGroup {
        /// Name of the signal, without `SIG`.
        signal: String,
    },
    /// Write to the loader's stdin, if it is a pipe.
    Write {
        /// A line with its end. The kernel writes up to one page whole or not at all.
        text: String,
    },
    /// Close the loader's stdin.
    CloseStdin,
    /// List the processes below the supervisor.
    Descendants,
    /// Measure what the loader's process uses over a window.
    Sample {
        /// Length of the window in microseconds.
        window_us: u64,
    },
    /// List the stacks and wait channels of every thread of the tree.
    Stacks,
    /// Let the loader's process continue, if it is the fork of a template. Its start is recorded. The supervisor does
    /// not answer.
    GoOn,
    /// Release a process that waits to exit. The supervisor does not answer.
    LetExit {
        /// Number of the held process, from its report.
        exit: u32,
    },
    /// Kill and reap the whole tree, then end.
    End,
}

/// A line from a supervisor.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Report {
    /// The supervisor started the loader's process.
    Started {
        /// Pid of the loader's process.
        pid: u32,
        /// CLOCK_MONOTONIC at the start, in microseconds.
        at_us: u64,
        /// The kind of start.
        how: StartKind,
    },
    /// The supervisor could not start the loader's process.
    NotStarted {
        /// The system's error.
        because: String,
    },
    /// The loader's process ended.
    Exited {
        /// Exit code; `None` if a signal killed it.
        code: Option<i32>,
        /// Name of the signal that killed it, without `SIG`.
        signal: Option<String>,
        /// Time for which its main thread waited for a processor in its life, in microseconds; `None` if it is already reaped.
        waited_us: Option<u64>,
        /// CLOCK_MONOTONIC when the supervisor noticed, in microseconds.
        at_us: u64,
    },
    /// A process of the tree waits to exit, until it is released, for a second at most.
    Exiting {
        /// Number of the held process, for its release.
        exit: u32,
        /// Pid of the process.
        pid: u32,
        /// Number of its open connections to the ports of the launch.
        n_sockets: u32,
    },
    /// The tree reached a limit of the launch. The supervisor kills it.
    LimitHit {
        /// `output`, `processes` or `life`.
        limit: String,
        /// The measurement that exceeded the limit.
        because: String,
    },
    /// The machine delayed the supervisor by more than ever before.
    Delayed {
        /// The delay in microseconds.
        delay_us: u64,
    },
    /// Answer: whether the signal was sent.
    Signalled {
        /// Id of the request.
        id: u32,
        /// The result.
        how: Signalled,
    },
    /// Answer: whether stdin was written to or closed.
    Written {
        /// Id of the request.
        id: u32,
        /// The result.
        how: Written,
    },
    /// Answer: the processes below the supervisor.
    Descendants {
        /// Id of the request.
        id: u32,
        /// Parents before children.
        processes: Vec<ProcessFacts>,
    },
    /// Answer: a sample.
    Sampled {
        /// Id of the request.
        id: u32,
        /// `None` if the process has ended.
        sample: Option<Sample>,
    },
    /// Answer: stacks as text.
    Stacks {
        /// Id of the request.
        id: u32,
        /// Threads and stacks, one a line.
        text: String,
    },
    /// Answer: the tree has ended. This is a supervisor's last line.
    Ended {
        /// Processes that the supervisor killed.
        n_killed: usize,
        /// Processes that survived the limit for ending the tree.
        n_left: usize,
        /// CPU time of the supervisor and of every process it waited for, in milliseconds.
        cpu_ms: u64,
        /// Whether the supervisor waits for another launch. Otherwise it ends.
        stays: bool,
    },
}

/// The result of sending a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Signalled {
    /// The signal was sent.
    Sent,
    /// The tree has no such process.
    Gone,
}

/// The result of writing to stdin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Written {
    /// The supervisor wrote the line or closed the pipe.
    Done,
    /// The pipe was closed before, or has no reader.
    Gone,
    /// The pipe is full: the process does not read.
    Full,
}

/// A process, from the process table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProcessFacts {
    /// Pid of the process.
    pub pid: u32,
    /// Pid of its parent.
    pub parent: u32,
    /// Start in clock ticks since boot. Together, pid and start are unique.
    pub started: u64,
    /// State as in /proc: R, S, D, T, Z and so on.
    pub state: char,
    /// Command line, at most 200 characters; empty if the caller did not request it.
    pub command: String,
}

impl ProcessFacts {
    /// Whether it has ended and waits to be reaped.
    #[must_use]
    pub fn is_zombie(&self) -> bool {
        matches!(self.state, 'Z' | 'X')
    }
}

/// The resource use of a process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sample {
    /// Measured length of the window, in microseconds.
    pub window_us: u64,
    /// CPU time used in the window, in microseconds.
    pub cpu_us: u64,
    /// The longest time for which one thread ran or waited for a processor in the window, in microseconds.
    pub runnable_us: u64,
    /// Time for which its main thread has waited for a processor in its life so far, in microseconds.
    pub waited_us: Option<u64>,
    /// Number of threads at the end of the window.
    pub threads: u32,
    /// Open descriptors by kind: `pipe`, `socket`, `file`, `other`.
    pub fds: BTreeMap<String, u32>,
    /// Resident memory, in KiB.
    pub rss_kib: u64,
}
