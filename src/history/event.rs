//! Events: the alphabet of a history.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error as _, MapAccess};
use serde::{Deserialize, Serialize};

use crate::history::{ConnectionId, ExchangeId, Message, OpId, ProcessId, ScopeId, Seq, SessionId, SocketId, Source};

/// One thing that happened.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// The recorder's order.
    pub seq: Seq,
    /// The source's own CLOCK_MONOTONIC in microseconds, relative to the start of the plan.
    pub at_us: u64,
    /// Who reported it.
    pub source: Source,
    /// What happened.
    pub kind: EventKind,
}

macro_rules! event_kinds {
    ($($(#[$doc:meta])* $variant:ident = $name:literal { $($(#[$field_meta:meta])* $field:ident : $type:ty),* $(,)? })*) => {
        /// What happened. Written with its name as `kind` and its fields beside it.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(tag = "kind", deny_unknown_fields)]
        pub enum EventKind {
            $($(#[$doc])* #[serde(rename = $name)] $variant { $($(#[$field_meta])* $field: $type),* },)*
        }

        /// The name of an event kind: what a monitor subscribes to.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Kind {
            $($(#[$doc])* $variant,)*
        }

        impl EventKind {
            /// The kind without its fields.
            #[must_use]
            pub fn kind(&self) -> Kind {
                match self {
                    $(Self::$variant { .. } => Kind::$variant,)*
                }
            }

            /// Reads the fields of the kind of this name from what is left of a map.
            ///
            /// The derived `Deserialize` may meet the name after the fields, so it keeps all of them aside first; where the
            /// name is known beforehand, this takes a third of the time.
            pub(super) fn from_fields_of<'de, A: MapAccess<'de>>(name: &str, fields: A) -> Result<Self, A::Error> {
                match name {
                    $($name => {
                        #[derive(Deserialize)]
                        #[serde(deny_unknown_fields)]
                        struct $variant { $($(#[$field_meta])* $field: $type),* }
                        let $variant { $($field),* } = Deserialize::deserialize(MapAccessDeserializer::new(fields))?;
                        Ok(Self::$variant { $($field),* })
                    })*
                    unknown => Err(A::Error::custom(format_args!("unknown kind `{unknown}`"))),
                }
            }
        }

        impl Kind {
            /// Every kind, in order of declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name as it is written in a history.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

event_kinds! {
    /// The driver begins a step of the scenario.
    StepBegan = "step.began" {
        /// Position in the scenario, from 1.
        step: u32,
        /// The step as a person reads it.
        about: String,
    }
    /// A step could not be carried out as written, and why; the plan goes on.
    StepSkipped = "step.skipped" {
        /// Position in the scenario, from 1.
        step: u32,
        /// Why.
        because: String,
    }
    /// What a step of a host's plan waits for has come about.
    StepMet = "step.met" {
        /// Position in the plan, from 1.
        step: u32,
        /// What was seen.
        saw: String,
    }
    /// What a step of a host's plan waits for did not come about; the plan goes to its end.
    StepUnmet = "step.unmet" {
        /// Position in the plan, from 1.
        step: u32,
        /// What was awaited, and what was seen instead.
        because: String,
        /// How long it was waited for, in milliseconds, where all of that time passed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        bound_ms: Option<u64>,
    }
    /// A host is about to be made to do something, as its user would.
    HostPrompted = "host.prompted" {
        /// How: `request`, `signal`, `line` or `page`.
        how: String,
    }
    /// The driver is about to ask the loader for an operation.
    OperationInvoked = "operation.invoked" {
        /// Which operation.
        operation: OpId,
        /// What it is.
        action: Action,
        /// The context it is asked for in, as the scenario names it: `task:a`.
        #[serde(rename = "in", skip_serializing_if = "Option::is_none")]
        place: Option<String>,
        /// The server a call goes to.
        #[serde(skip_serializing_if = "Option::is_none")]
        server: Option<String>,
        /// The tool a call calls.
        #[serde(skip_serializing_if = "Option::is_none")]
        tool: Option<String>,
        /// The servers of the configuration handed over, for load and reload.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        servers: Vec<String>,
        /// Those of them whose entry differs from the one handed over before, for reload.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        changed: Vec<String>,
    }
    /// The driver is about to ask for the cancellation of an operation.
    CancelRequested = "cancel.requested" {
        /// The operation to cancel.
        operation: OpId,
    }
    /// The adapter answered a cancel.
    CancelDelivered = "cancel.delivered" {
        /// The operation to cancel.
        operation: OpId,
        /// Whether there was something to cancel.
        delivered: bool,
    }
    /// An operation passed its bound; stacks are taken next, then the plan ends.
    OperationOverdue = "operation.overdue" {
        /// Which operation.
        operation: OpId,
        /// Name of the limit.
        limit: String,
        /// The limit, in milliseconds.
        bound_ms: u64,
    }
    /// It will never be known how an operation ended: its process was lost or its bound passed.
    OperationAbandoned = "operation.abandoned" {
        /// Which operation.
        operation: OpId,
        /// Why.
        because: String,
    }
    /// The driver ended a context on purpose.
    ContextEnded = "context.ended" {
        /// The context as the scenario names it.
        #[serde(rename = "in")]
        place: String,
    }
    /// A context that the driver ended, and in which nothing ran, was not over when its bound had passed; stacks are taken
    /// next, then the plan ends.
    ContextOverdue = "context.overdue" {
        /// The context as the scenario names it.
        #[serde(rename = "in")]
        place: String,
        /// Name of the limit.
        limit: String,
        /// The limit, in milliseconds.
        bound_ms: u64,
    }
    /// The driver opened a gate.
    GateOpened = "gate.opened" {
        /// Name of the gate.
        gate: String,
    }
    /// The driver is about to have a signal sent.
    SignalSent = "signal.sent" {
        /// Name without `SIG`.
        signal: String,
        /// `loader` or `server:NAME`.
        target: String,
    }
    /// The driver asked the program to end as it would end by itself.
    ExitRequested = "exit.requested" {}
    /// An observation window in which nothing is asked of the loader begins.
    IdleBegan = "idle.began" {}
    /// The grace period after cleanup or after the end of the process began.
    GraceBegan = "grace.began" {
        /// `close` or `exit`.
        after: String,
    }
    /// The grace period is over: nothing was left to wait for, or its limit passed. Bounded obligations are due now.
    GraceExpired = "grace.expired" {
        /// `close` or `exit`.
        after: String,
    }
    /// The experiment itself failed: the plan can not be judged.
    ExperimentFailed = "experiment.failed" {
        /// What failed.
        because: String,
    }
    /// Evidence was cut off at a limit.
    EvidenceTruncated = "evidence.truncated" {
        /// What was cut.
        what: String,
        /// The limit that was hit.
        because: String,
    }
    /// A fault the script promised never came about.
    FaultUndelivered = "fault.undelivered" {
        /// Name of the server.
        server: String,
        /// The fault as the script names it.
        fault: String,
    }
    /// The adapter can not do what the scenario is about: nothing of it was run, nothing is judged.
    PlanNotApplicable = "plan.not-applicable" {
        /// What it can not do.
        because: String,
    }
    /// The plan is over; nothing is recorded after this.
    PlanEnded = "plan.ended" {}

    /// The adapter said hello: the loader is ready.
    LoaderReady = "loader.ready" {
        /// Name of the adapter.
        adapter: String,
        /// Language and version.
        language: String,
        /// Operations it can do.
        operations: Vec<String>,
        /// Witnesses it can give, such as `scopes`.
        #[serde(default)]
        observes: Vec<String>,
        /// What could not be observed, and why.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        unobservable: BTreeMap<String, String>,
    }
    /// An operation began to run in its context.
    OperationStarted = "operation.started" {
        /// Which operation.
        operation: OpId,
        /// Where it runs.
        context: Context,
    }
    /// An operation ended.
    OperationCompleted = "operation.completed" {
        /// Which operation.
        operation: OpId,
        /// How.
        outcome: Outcome,
    }
    /// A scope was entered.
    ScopeEntered = "scope.enter" {
        /// Which scope.
        scope: ScopeId,
        /// What it is, such as `stdio_client`.
        name: String,
        /// Whether it is bound to its task.
        form: ScopeForm,
        /// The scope it was entered in, where that is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        parent: Option<ScopeId>,
        /// Where.
        context: Context,
    }
    /// A scope was left.
    ScopeLeft = "scope.exit" {
        /// Which scope.
        scope: ScopeId,
        /// Where.
        context: Context,
        /// How.
        how: Leaving,
    }
    /// Something came out of an error channel nobody listens to.
    ErrorReported = "error.reported" {
        /// Which channel.
        channel: Channel,
        /// The text, at most 16 KiB.
        text: String,
    }
    /// Stacks, taken before the end of a process that hung.
    StacksTaken = "stacks.taken" {
        /// Of what: `loader` or `system`.
        of: String,
        /// The stacks as text.
        text: String,
    }

    /// A mock server started and is about to serve.
    MockStarted = "mock.started" {
        /// Name of its script.
        script: String,
        /// Its process, for a reader; judged by role, never by pid.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pid: Option<u32>,
    }
    /// A transport connection came to be: a pair of pipes, or over HTTP what the arrival of one `initialize` begins, however
    /// many sockets it takes. What names no session and is no `initialize` belongs to a connection of its own, `c3.0`.
    ConnectionOpened = "connection.opened" {
        /// Which connection.
        connection: ConnectionId,
    }
    /// A transport connection is over, as its mock saw it.
    ConnectionClosed = "connection.closed" {
        /// Which connection.
        connection: ConnectionId,
        /// Who ended it and how.
        how: WireEnd,
    }
    /// A message arrived at a mock.
    WireReceived = "wire.received" {
        /// On which connection.
        connection: ConnectionId,
        /// The message.
        message: Message,
    }
    /// A mock is about to send a message.
    WireSent = "wire.sent" {
        /// On which connection.
        connection: ConnectionId,
        /// The message.
        message: Message,
    }
    /// Bytes that are no message arrived at a mock.
    WireNoise = "wire.noise" {
        /// On which connection.
        connection: ConnectionId,
        /// How many bytes.
        bytes: u64,
        /// The first of them, as text.
        head: String,
    }
    /// A mock's input ended: for stdio, its stdin is closed.
    WireEof = "wire.eof" {
        /// On which connection.
        connection: ConnectionId,
    }
    /// A mock received a signal.
    SignalReceived = "signal.received" {
        /// Name without `SIG`.
        signal: String,
    }
    /// A mock delivers a fault of its script.
    FaultDelivered = "fault.delivered" {
        /// The fault as the script names it.
        fault: String,
        /// What it impairs.
        impairs: Impact,
    }
    /// An action of a mock waits at a gate.
    GateReached = "gate.reached" {
        /// Name of the gate.
        gate: String,
    }
    /// A mock that is reached over HTTP is about to accept connections.
    MockListening = "mock.listening" {
        /// Where: its URL, whose path holds the secret of the run.
        url: String,
    }
    /// A client connected to a mock over TCP. One socket may carry many exchanges, of several sessions.
    SocketOpened = "socket.opened" {
        /// Which socket.
        socket: SocketId,
    }
    /// A TCP connection is over, as its mock saw it.
    SocketClosed = "socket.closed" {
        /// Which socket.
        socket: SocketId,
        /// Who ended it and how.
        how: WireEnd,
    }
    /// An HTTP request arrived at a mock, or as much of it as its client sent.
    HttpReceived = "http.received" {
        /// Which exchange: this request and what answers it.
        exchange: ExchangeId,
        /// On which socket.
        socket: SocketId,
        /// The HTTP method: `POST`, `GET`, `DELETE`.
        verb: String,
        /// The connection it belongs to: that of the session it names, while there is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        connection: Option<ConnectionId>,
        /// The session it names, whether there is such a session or not.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        session: Option<SessionId>,
        /// The header fields the protocol speaks of, by name in lower case; the session's own is left out.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        headers: BTreeMap<String, String>,
    }
    /// A mock is about to send the head of an HTTP response.
    HttpAnswered = "http.answered" {
        /// Which exchange.
        exchange: ExchangeId,
        /// The status code.
        status: u16,
        /// Whether messages follow as server-sent events, until the exchange ends.
        #[serde(default, skip_serializing_if = "is_false")]
        streams: bool,
    }
    /// The response of an exchange is over: about to be sent to its end (for one in one piece, together with its head), cut
    /// by the mock, or given up by the client.
    HttpEnded = "http.ended" {
        /// Which exchange.
        exchange: ExchangeId,
        /// Who ended it and how: `by-server` for a response that is sent to its end, `broken` for one that the script cuts or
        /// resets, `by-client` for one that the client gave up.
        how: WireEnd,
    }
    /// A mock is about to hand out a session.
    SessionOpened = "session.opened" {
        /// The connection that begins with it.
        connection: ConnectionId,
        /// Its id.
        session: SessionId,
    }
    /// A session is over.
    SessionClosed = "session.closed" {
        /// The connection that ends with it.
        connection: ConnectionId,
        /// Its id.
        session: SessionId,
        /// Who ended it: `by-client` for a DELETE, `by-server` where the script let it expire.
        how: WireEnd,
    }
    /// A mock is about to end, in an orderly way or by its script.
    MockEnding = "mock.ending" {
        /// Why it ends.
        how: ServerEnd,
    }

    /// A mock's or adapter's link was accepted.
    LinkOpened = "link.opened" {
        /// Who dialled.
        peer: LinkPeer,
    }
    /// A link is over. Without a farewell its process died abruptly.
    LinkClosed = "link.closed" {
        /// Who had dialled.
        peer: LinkPeer,
        /// Whether the peer had announced its end.
        farewell: bool,
    }
    /// A peer was refused.
    LinkRefused = "link.refused" {
        /// Why.
        because: String,
    }

    /// The supervisor saw a process for the first time.
    ProcessStarted = "process.started" {
        /// Which process.
        process: ProcessId,
        /// `loader`, `server:NAME` or `other`.
        role: String,
        /// Its pid, for a reader.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pid: Option<u32>,
        /// Its command line, shortened.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        command: Option<String>,
    }
    /// A process ended.
    ProcessExited = "process.exited" {
        /// Which process.
        process: ProcessId,
        /// `loader`, `server:NAME` or `other`.
        role: String,
        /// Exit code, when it ended by itself and the code could be seen.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        code: Option<i32>,
        /// Signal name without `SIG`, when it was killed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        signal: Option<String>,
    }
    /// A process is still there after its owner's end and the grace.
    ProcessOrphan = "process.orphan" {
        /// Which process.
        process: ProcessId,
        /// `server:NAME` or `other`.
        role: String,
        /// Its pid, for a reader.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pid: Option<u32>,
        /// Its command line, shortened.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        command: Option<String>,
    }
    /// A process is still there after cleanup and the grace, while the loader's process lives.
    ProcessLeft = "process.left" {
        /// Which process.
        process: ProcessId,
        /// `server:NAME` or `other`.
        role: String,
    }
    /// A child of the loader has ended and was never waited for.
    ProcessZombie = "process.zombie" {
        /// Which process.
        process: ProcessId,
        /// `server:NAME` or `other`.
        role: String,
    }
    /// What the loader's process uses, over a window.
    SampleTaken = "sample.taken" {
        /// When: `idle`, or `repeated` between the operations of a step that is done many times.
        label: String,
        /// Length of the window in microseconds; 0 for a moment.
        window_us: u64,
        /// CPU time used in the window, in microseconds.
        cpu_us: u64,
        /// Threads at its end.
        threads: u32,
        /// Open descriptors at its end, by kind: `pipe`, `socket`, `file`, `other`.
        #[serde(default)]
        fds: BTreeMap<String, u32>,
        /// Resident memory at its end, in KiB.
        rss_kib: u64,
    }
    /// The machine kept the supervisor waiting: bounds are doubtful.
    SchedulingDelayed = "scheduling.delayed" {
        /// The longest delay seen so far, in microseconds.
        delay_us: u64,
    }
    /// The supervisor ended the tree because a limit on it was hit.
    LimitHit = "limit.hit" {
        /// Name of the limit.
        limit: String,
        /// What was seen.
        because: String,
    }
    /// A process of a host is about to exit, and is held until this is on file. What had ended before on its connections, ended by its
    /// own doing.
    ProcessExiting = "process.exiting" {
        /// Its pid, for a reader.
        pid: u32,
        /// How many connections to mocks it has open.
        sockets: u32,
    }
}

fn is_false(flag: &bool) -> bool {
    !flag
}

/// What an operation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Connect to every configured server and list its tools.
    Load,
    /// The program runs again: load with the same configuration.
    Rerun,
    /// Load with a changed configuration.
    Reload,
    /// The tools handed out now.
    List,
    /// Call one tool.
    Call,
    /// Cleanup.
    Close,
    /// Force garbage collection.
    Collect,
    /// One innocent await.
    Probe,
}

impl Action {
    /// Whether it is a load of any kind.
    #[must_use]
    pub fn loads(self) -> bool {
        matches!(self, Self::Load | Self::Rerun | Self::Reload)
    }

    /// The name as it is written.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Load => "load",
            Self::Rerun => "rerun",
            Self::Reload => "reload",
            Self::List => "list",
            Self::Call => "call",
            Self::Close => "close",
            Self::Collect => "collect",
            Self::Probe => "probe",
        }
    }
}

/// Where something ran, numbered in order of appearance by the adapter's own counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Context {
    /// Operating-system thread; the workers of one work-stealing runtime count as one.
    pub thread: u32,
    /// Event loop or runtime, where there is one.
    #[serde(rename = "loop", default, skip_serializing_if = "Option::is_none")]
    pub runtime: Option<u32>,
    /// Task, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<u32>,
}

impl fmt::Display for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.task, self.runtime) {
            (Some(task), Some(runtime)) => write!(f, "task {task} of loop {runtime}"),
            (None, Some(runtime)) => write!(f, "no task of loop {runtime}"),
            (_, None) => f.write_str("no loop"),
        }?;
        write!(f, " on thread {}", self.thread)
    }
}

/// How an operation ended, as far as its caller saw.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Outcome {
    /// It did what it was asked.
    Ok {
        /// The tools handed out, for load and list.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        tools: Vec<Tool>,
        /// Servers in error, for load and list.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        errors: BTreeMap<String, String>,
        /// The text a call answered.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        text: Option<String>,
    },
    /// It failed. A tool error counts: the caller did not get what it asked for.
    Failed(Failure),
    /// It ended because it was cancelled on request.
    Cancelled,
}

/// How an operation failed. The texts are for readers; nothing is judged by them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Failure {
    /// Type of the error in its own language.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its message.
    pub message: String,
}

/// A tool a loader hands out.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Tool {
    /// Name of its server in the configuration.
    pub server: String,
    /// Its name on that server.
    pub name: String,
}

/// Whether a scope is bound to the task that entered it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ScopeForm {
    /// Must be left by the task that entered it: a cancel scope, a task group, and what is built on them.
    TaskBound,
    /// A context manager or guard that may be left anywhere.
    ContextManager,
}

/// How a scope was left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Leaving {
    /// Its owner left it.
    Explicit,
    /// A finaliser or a drop left it.
    Finaliser,
    /// The end of its event loop left it.
    LoopEnd,
}

/// A channel on which errors come out that nobody awaits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Channel {
    /// asyncio's exception handler.
    LoopExceptionHandler,
    /// Python's `sys.unraisablehook`.
    UnraisableHook,
    /// Python's `threading.excepthook`.
    ThreadExceptionHook,
    /// An exception that ended the program.
    UncaughtException,
    /// Node's unhandled rejection.
    UnhandledRejection,
    /// A Rust panic.
    Panic,
    /// A traceback or panic text on stderr: found by the supervisor, never reported over a link.
    #[schemars(skip)]
    Stderr,
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LoopExceptionHandler => "loop-exception-handler",
            Self::UnraisableHook => "unraisable-hook",
            Self::ThreadExceptionHook => "thread-exception-hook",
            Self::UncaughtException => "uncaught-exception",
            Self::UnhandledRejection => "unhandled-rejection",
            Self::Panic => "panic",
            Self::Stderr => "stderr",
        })
    }
}

/// Who ended a connection, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WireEnd {
    /// The client closed it in order.
    ByClient,
    /// The server closed it, as its script says.
    ByServer,
    /// It broke: reset, or a write failed.
    Broken,
}

/// Why a mock ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum ServerEnd {
    /// Its stdin ended.
    Eof,
    /// It received this signal, named without `SIG`.
    Signal(String),
    /// Its script told it to.
    Script,
    /// Its output can not be written any more.
    BrokenPipe,
    /// Its longest life is over.
    MaxLife,
}

/// What a fault impairs; decides what may still be expected of the loader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Impact {
    /// Nothing: a server may do so.
    Nothing,
    /// Only when things happen: a hold, a delay.
    Timing,
    /// Answers: missing, wrong or doubled.
    Answers,
    /// The connection or the process: from here on this server is lost.
    Connection,
    /// Only how the server ends: it ignores EOF or signals.
    Ending,
}

/// Who holds a link.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum LinkPeer {
    /// The loader's process.
    Adapter,
    /// A mock server.
    Mock {
        /// Name of the server.
        server: String,
        /// Which incarnation, from 1.
        incarnation: u32,
    },
}
