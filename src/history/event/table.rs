//! The table of event kinds. Each row gives a kind, its name in a history and its fields. The rows of mocks are in `mock_rows`.

use std::collections::BTreeMap;

use super::is_false;
use super::kinds::event_kinds;
use super::mock_rows::with_mock_rows;
use super::operation::{Action, Context, Outcome};
use super::server::{Impact, LinkPeer, ServerEnd, WireEnd};
use super::witness::{Channel, CodeLine, Leaving, ScopeForm, WaitingCode};
use crate::history::{ConnectionId, ExchangeId, Message, OpId, ProcessId, ScopeId, SessionId, SocketId};

with_mock_rows! {
    {
        /// The driver begins a step of the scenario.
        StepBegan = "step.began" {
            /// Position in the scenario, from 1.
            step: u32,
            /// The step in words, for a reader.
            about: String,
        }
        /// The driver could not run a step as written. The plan continues.
        StepSkipped = "step.skipped" {
            /// Position in the scenario, from 1.
            step: u32,
            /// The reason, as a sentence.
            because: String,
        }
        /// A step of an application's plan met its condition.
        StepMet = "step.met" {
            /// Position in the plan, from 1.
            step: u32,
            /// The observation that met the condition.
            saw: String,
        }
        /// A step of an application's plan did not meet its condition. The driver ends the plan.
        StepUnmet = "step.unmet" {
            /// Position in the plan, from 1.
            step: u32,
            /// The awaited condition, and the observation instead.
            because: String,
            /// The whole wait in milliseconds; absent if the wait ended early.
            #[serde(default, skip_serializing_if = "Option::is_none")] bound_ms: Option<u64>,
        }
        /// The driver is about to make an application act, as its user would.
        HostPrompted = "host.prompted" {
            /// The means: `request`, `signal`, `line` or `page`.
            how: String,
        }
        /// The driver is about to send an operation to the loader.
        OperationInvoked = "operation.invoked" {
            /// The id that every later event of this operation carries.
            operation: OpId,
            /// The kind of operation.
            action: Action,
            /// The context of the operation, as the scenario names it: `task:a`.
            #[serde(rename = "in", skip_serializing_if = "Option::is_none")] place: Option<String>,
            /// For a call: the server that offers the tool.
            #[serde(skip_serializing_if = "Option::is_none")] server: Option<String>,
            /// For a call: the name of the tool.
            #[serde(skip_serializing_if = "Option::is_none")] tool: Option<String>,
            /// For load and reload: the servers of the configuration.
            #[serde(default, skip_serializing_if = "Vec::is_empty")] servers: Vec<String>,
            /// For reload: the servers whose configuration entry changed.
            #[serde(default, skip_serializing_if = "Vec::is_empty")] changed: Vec<String>,
        }
        /// The driver is about to request the cancellation of an operation.
        CancelRequested = "cancel.requested" {
            /// The operation to cancel.
            operation: OpId,
        }
        /// The adapter answered a request for cancellation.
        CancelDelivered = "cancel.delivered" {
            /// The operation to cancel.
            operation: OpId,
            /// True if the operation was still running.
            delivered: bool,
        }
        /// An operation exceeded its limit. The driver takes stacks, and ends the plan or the part of a call's server.
        OperationOverdue = "operation.overdue" {
            /// The operation that did not complete.
            operation: OpId,
            /// Name of the limit, as `explain` knows it.
            limit: String,
            /// The limit, in milliseconds.
            bound_ms: u64,
        }
        /// The outcome of an operation will never be known: its process was lost, or its limit passed.
        OperationAbandoned = "operation.abandoned" {
            /// The operation without an outcome.
            operation: OpId,
            /// The reason, as a sentence.
            because: String,
        }
        /// The driver ended a context on purpose.
        ContextEnded = "context.ended" {
            /// The context as the scenario names it.
            #[serde(rename = "in")] place: String,
        }
        /// A context ended by the driver was alive when its limit passed. The driver takes stacks, then ends the plan.
        ContextOverdue = "context.overdue" {
            /// The context as the scenario names it.
            #[serde(rename = "in")] place: String,
            /// Name of the limit, as `explain` knows it.
            limit: String,
            /// The limit, in milliseconds.
            bound_ms: u64,
        }
        /// The driver opened a gate. Actions that wait there continue.
        GateOpened = "gate.opened" {
            /// Name of the gate, as the script gives it.
            gate: String,
        }
        /// The driver is about to have the supervisor send a signal.
        SignalSent = "signal.sent" {
            /// Name of the signal without `SIG`.
            signal: String,
            /// `loader` or `server:NAME`.
            target: String,
        }
        /// The driver requested that the program end in its usual way.
        ExitRequested = "exit.requested" {}
        /// The driver begins an observation window, in which it sends the loader nothing.
        IdleBegan = "idle.began" {}
        /// The grace period began, after cleanup or after the end of the process.
        GraceBegan = "grace.began" {
            /// `close` or `exit`.
            after: String,
        }
        /// The grace period is over, early or at its limit. Every bounded obligation is due now.
        GraceExpired = "grace.expired" {
            /// `close` or `exit`.
            after: String,
        }
        /// The experiment itself failed. The plan cannot be judged.
        ExperimentFailed = "experiment.failed" {
            /// The failure, as a sentence.
            because: String,
        }
        /// A source stopped keeping evidence at a limit.
        EvidenceTruncated = "evidence.truncated" {
            /// The evidence that was cut, such as `history`.
            what: String,
            /// The limit that was reached.
            because: String,
        }
        /// The plan ended before its script delivered this fault.
        FaultUndelivered = "fault.undelivered" {
            /// Server whose script contains the fault.
            server: String,
            /// The fault as the script names it.
            fault: String,
        }
        /// The adapter lacks an ability that the scenario needs. The driver ran nothing, and no rule applies.
        PlanNotApplicable = "plan.not-applicable" {
            /// The missing ability, as a sentence.
            because: String,
        }
        /// The plan is over. The recorder accepts nothing after this event.
        PlanEnded = "plan.ended" {}
        /// The adapter sent its hello: the loader is ready.
        LoaderReady = "loader.ready" {
            /// Name and version of the adapter.
            adapter: String,
            /// Language of the adapter and its version.
            language: String,
            /// Names of the operations that the adapter offers.
            operations: Vec<String>,
            /// Witnesses that the adapter provides, such as `scopes`.
            #[serde(default)] observes: Vec<String>,
            /// Witnesses that the adapter could not provide, each with its reason.
            #[serde(default, skip_serializing_if = "BTreeMap::is_empty")] unobservable: BTreeMap<String, String>,
        }
        /// An operation began to run in its context.
        OperationStarted = "operation.started" {
            /// The operation, as the driver numbered it.
            operation: OpId,
            /// The context in which it runs.
            context: Context,
        }
        /// An operation ended.
        OperationCompleted = "operation.completed" {
            /// The operation, as the driver numbered it.
            operation: OpId,
            /// The result, as its caller saw it.
            outcome: Outcome,
        }
        /// The loader entered a scope.
        ScopeEntered = "scope.enter" {
            /// The scope, unique in a plan.
            scope: ScopeId,
            /// Name of the resource, such as `stdio_client`.
            name: String,
            /// Whether the scope is bound to the task that enters it.
            form: ScopeForm,
            /// The enclosing scope; absent if the adapter does not know it.
            #[serde(default, skip_serializing_if = "Option::is_none")] parent: Option<ScopeId>,
            /// The context that entered the scope.
            context: Context,
            /// The lines of the loader's own code that entered it, innermost first.
            #[serde(default, skip_serializing_if = "Vec::is_empty")] code: Vec<CodeLine>,
        }
        /// The loader left a scope.
        ScopeLeft = "scope.exit" {
            /// The scope that was entered earlier.
            scope: ScopeId,
            /// The context that left the scope.
            context: Context,
            /// The cause: its owner, a finaliser or the end of a loop.
            how: Leaving,
            /// The lines of the loader's own code that left it, innermost first.
            #[serde(default, skip_serializing_if = "Vec::is_empty")] code: Vec<CodeLine>,
        }
        /// An error reached a channel for unhandled errors.
        ErrorReported = "error.reported" {
            /// The channel, such as `unraisable-hook`.
            channel: Channel,
            /// The error's text, at most 16 KiB.
            text: String,
            /// The lines of the loader's own code through which the error came, innermost first.
            #[serde(default, skip_serializing_if = "Vec::is_empty")] code: Vec<CodeLine>,
        }
        /// The driver took the stacks of a hung process before ending it.
        StacksTaken = "stacks.taken" {
            /// Origin of the stacks: `loader` or `system`.
            of: String,
            /// The stacks, as one text for a reader.
            text: String,
            /// Where each operation waits in the loader's own code, as far as the adapter can tell.
            #[serde(default, skip_serializing_if = "Vec::is_empty")] operations: Vec<WaitingCode>,
        }
    }
    {
        /// The recorder accepted the link of a mock or adapter.
        LinkOpened = "link.opened" {
            /// The process that connected.
            peer: LinkPeer,
        }
        /// A link ended. Without a farewell, its process died abruptly.
        LinkClosed = "link.closed" {
            /// The process that had connected.
            peer: LinkPeer,
            /// True if the process announced its end on the link.
            farewell: bool,
        }
        /// The recorder refused a process that connected.
        LinkRefused = "link.refused" {
            /// The reason, as a sentence.
            because: String,
        }
        /// The supervisor saw a process for the first time.
        ProcessStarted = "process.started" {
            /// The process, unique in a plan.
            process: ProcessId,
            /// `loader`, `server:NAME` or `other`.
            role: String,
            /// Its pid, for a reader.
            #[serde(default, skip_serializing_if = "Option::is_none")] pid: Option<u32>,
            /// The beginning of its command line.
            #[serde(default, skip_serializing_if = "Option::is_none")] command: Option<String>,
        }
        /// A process ended.
        ProcessExited = "process.exited" {
            /// The process that was started earlier.
            process: ProcessId,
            /// `loader`, `server:NAME` or `other`.
            role: String,
            /// Exit code; absent if a signal killed the process or the code was not visible.
            #[serde(default, skip_serializing_if = "Option::is_none")] code: Option<i32>,
            /// Name of the signal that killed the process, without `SIG`.
            #[serde(default, skip_serializing_if = "Option::is_none")] signal: Option<String>,
            /// Time for which its main thread waited for a processor in its life, in microseconds; known of the loader only.
            #[serde(default, skip_serializing_if = "Option::is_none")] waited_us: Option<u64>,
        }
        /// A process survived its owner's end and the grace period.
        ProcessOrphan = "process.orphan" {
            /// The process that is still alive.
            process: ProcessId,
            /// `server:NAME`, `child:NAME` for a process that this server has started, or `other`.
            role: String,
            /// Its pid, for a reader.
            #[serde(default, skip_serializing_if = "Option::is_none")] pid: Option<u32>,
            /// The beginning of its command line.
            #[serde(default, skip_serializing_if = "Option::is_none")] command: Option<String>,
        }
        /// A process survived cleanup and the grace period. The loader's process is still alive.
        ProcessLeft = "process.left" {
            /// The process that is still alive.
            process: ProcessId,
            /// `server:NAME` or `other`.
            role: String,
        }
        /// A child of the loader ended, and the loader never waited for it.
        ProcessZombie = "process.zombie" {
            /// The child.
            process: ProcessId,
            /// `server:NAME` or `other`.
            role: String,
        }
        /// The supervisor measured what the loader's process uses, over a window.
        SampleTaken = "sample.taken" {
            /// `idle`; or `repeated`, between the operations of a repeated step.
            label: String,
            /// Length of the window in microseconds; 0 for a single moment.
            window_us: u64,
            /// CPU time used in the window, in microseconds.
            cpu_us: u64,
            /// The longest time for which one thread ran or waited for a processor in the window, in microseconds.
            #[serde(default)] runnable_us: u64,
            /// Time for which its main thread has waited for a processor in its life so far, in microseconds.
            #[serde(default, skip_serializing_if = "Option::is_none")] waited_us: Option<u64>,
            /// Number of threads at the end of the window.
            threads: u32,
            /// Open descriptors at the end of the window, by kind: `pipe`, `socket`, `file`, `other`.
            #[serde(default)] fds: BTreeMap<String, u32>,
            /// Resident memory at the end of the window, in KiB.
            rss_kib: u64,
        }
        /// The machine delayed the supervisor. Limits that passed meanwhile are doubtful.
        SchedulingDelayed = "scheduling.delayed" {
            /// The longest delay seen so far, in microseconds.
            delay_us: u64,
        }
        /// The supervisor killed the process tree because the tree exceeded a limit.
        LimitHit = "limit.hit" {
            /// Name of the limit, as `explain` knows it.
            limit: String,
            /// The measurement that exceeded the limit.
            because: String,
        }
        /// A process of an application is about to exit, once this is on file: it caused every earlier end of a connection.
        ProcessExiting = "process.exiting" {
            /// Pid of the process, for a reader.
            pid: u32,
            /// Number of its open connections to mocks.
            sockets: u32,
        }
    }
}
