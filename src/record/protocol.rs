//! The adapter protocol as types. They generate `adapters/protocol.schema.json`.
//!
//! The recorder reads an adapter's lines with the types of `history`, and this module reuses some of them.
//! `adapters/PROTOCOL.md` lists where the recorder accepts more. This module contains no reading or writing.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde_json::Value;

use crate::history::{Channel, CodeLine, Context, Failure, Leaving, OpId, ScopeForm, ScopeId, Tool, WaitingCode};
use crate::record::capability::{Capability, ContextKindName};
use crate::record::server_file::Configuration;

/// The JSON schema of the lines of an adapter's link, in both directions.
///
/// `$defs` contains `ToHome` (from the adapter to the recorder) and `ToAdapter`.
#[must_use]
pub fn adapter_schema() -> Value {
    schemars::schema_for!(AnyLine).to_value()
}

/// One line of an adapter's link.
#[derive(JsonSchema)]
#[schemars(untagged, title = "The adapter protocol of mcp-lifecheck, version 1: one line")]
#[expect(dead_code, reason = "these types exist only for their schema")]
enum AnyLine {
    ToRecorder(ToRecorder),
    ToAdapter(ToAdapter),
}

/// From the adapter to mcp-lifecheck.
#[derive(JsonSchema)]
#[schemars(untagged, rename = "ToHome")]
#[expect(dead_code, reason = "exists only for its schema")]
enum ToRecorder {
    Hello(Hello),
    Event(AdapterEvent),
    Ok(CompletedOk),
    Failed(CompletedFailed),
    Cancelled(CompletedCancelled),
}

/// From mcp-lifecheck to the adapter.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "exists only for its schema")]
enum ToAdapter {
    Welcome(Welcome),
    Refused(Refused),
    Ack(Ack),
    Command(Command),
}

/// The first line of a link. The recorder ignores unknown fields.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "exists only for its schema")]
struct Hello {
    /// Version of the protocol.
    #[schemars(extend("const" = 1))]
    hello: u64,
    /// The value of MCP_LIFECHECK_TOKEN.
    token: String,
    /// Name of the adapter.
    adapter: String,
    /// Version of the package that it adapts.
    #[serde(default)]
    version: String,
    /// Language and its version.
    #[serde(default)]
    language: String,
    /// Pid of the loader's process.
    #[serde(default)]
    pid: Option<u32>,
    /// Fingerprint of the build; only executables of mcp-lifecheck send it.
    #[serde(default)]
    #[schemars(with = "String")]
    build: Option<String>,
    /// Kinds of contexts in which it can run operations.
    #[serde(default)]
    contexts: Vec<ContextKindName>,
    /// Operations and commands that it offers.
    operations: Vec<Capability>,
    /// Witnesses that it provides: `scopes`, and names of error channels.
    #[serde(default)]
    observes: Vec<String>,
    /// Witnesses that it could not provide.
    #[serde(default)]
    unobservable: Vec<Unobservable>,
    /// Error channels into which it can raise an error for the self-test.
    #[serde(default)]
    provokes: Vec<Channel>,
}

/// A witness that an adapter could not provide.
#[derive(JsonSchema)]
#[schemars(rename = "Blind")]
#[expect(dead_code, reason = "exists only for its schema")]
struct Unobservable {
    /// Name of the witness.
    what: String,
    /// The reason, as a sentence.
    because: String,
}

/// An event in the adapter's process.
#[derive(JsonSchema)]
#[schemars(tag = "event", deny_unknown_fields)]
#[expect(dead_code, reason = "exists only for its schema")]
enum AdapterEvent {
    /// An operation begins, in the context that runs it.
    #[schemars(rename = "operation.started")]
    OperationStarted {
        /// Number of the line; it requests an acknowledgement. Rises by one with each numbered line.
        #[schemars(with = "u64", range(min = 1))]
        #[serde(default)]
        n: Option<u64>,
        /// CLOCK_MONOTONIC in microseconds.
        at_us: u64,
        /// Id of the command.
        operation: OpId,
        /// The context in which it runs.
        context: Context,
    },
    /// The loader entered a scope.
    #[schemars(rename = "scope.enter")]
    ScopeEntered {
        /// Number of the line, as for `operation.started`.
        #[schemars(with = "u64", range(min = 1))]
        #[serde(default)]
        n: Option<u64>,
        /// CLOCK_MONOTONIC in microseconds.
        at_us: u64,
        /// Id of the scope. The adapter never reuses it.
        scope: ScopeId,
        /// Name of the resource, such as `stdio_client`.
        name: String,
        /// Whether the scope is bound to the task that enters it.
        form: ScopeForm,
        /// The enclosing scope, if there is one.
        #[serde(default)]
        parent: Option<ScopeId>,
        /// The context that entered the scope.
        context: Context,
        /// The lines of the loader's own code that entered it, innermost first. Only after a welcome that accepts `code`.
        #[serde(default)]
        #[schemars(with = "Vec<CodeLine>")]
        code: Option<Vec<CodeLine>>,
    },
    /// The loader left a scope.
    #[schemars(rename = "scope.exit")]
    ScopeLeft {
        /// Number of the line, as for `operation.started`.
        #[schemars(with = "u64", range(min = 1))]
        #[serde(default)]
        n: Option<u64>,
        /// CLOCK_MONOTONIC in microseconds.
        at_us: u64,
        /// Id of the scope, from its `scope.enter`.
        scope: ScopeId,
        /// The cause: its owner, a finaliser or the end of a loop.
        how: Leaving,
        /// The context that left the scope.
        context: Context,
        /// The lines of the loader's own code that left it, as for `scope.enter`.
        #[serde(default)]
        #[schemars(with = "Vec<CodeLine>")]
        code: Option<Vec<CodeLine>>,
    },
    /// An error reached a channel for unhandled errors.
    #[schemars(rename = "error.reported")]
    ErrorReported {
        /// Number of the line, as for `operation.started`.
        #[schemars(with = "u64", range(min = 1))]
        #[serde(default)]
        n: Option<u64>,
        /// CLOCK_MONOTONIC in microseconds.
        at_us: u64,
        /// The channel that the error reached.
        channel: Channel,
        /// The error's text, at most 16 KiB.
        text: String,
        /// The lines of the loader's own code through which the error came, as for `scope.enter`.
        #[serde(default)]
        #[schemars(with = "Vec<CodeLine>")]
        code: Option<Vec<CodeLine>>,
    },
}

/// A command succeeded.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "exists only for its schema")]
struct CompletedOk {
    /// Number of the line, as for events.
    #[schemars(range(min = 1))]
    n: u64,
    /// CLOCK_MONOTONIC in microseconds.
    at_us: u64,
    /// Id of the command.
    id: u32,
    /// The answer to the command.
    ok: Answer,
}

/// The answer to a command. The fields depend on the command.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "exists only for its schema")]
struct Answer {
    /// For load, reload and list: the tools that the loader offers.
    #[serde(default)]
    #[schemars(with = "Vec<Tool>")]
    tools: Option<Vec<Tool>>,
    /// For load, reload and list: an error text for each server that failed.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, String>")]
    errors: Option<BTreeMap<String, String>>,
    /// For call: the text from the tool. For stacks: the stacks.
    #[serde(default)]
    #[schemars(with = "String")]
    text: Option<String>,
    /// For stacks: where each operation waits in the loader's own code.
    #[serde(default)]
    #[schemars(with = "Vec<WaitingCode>")]
    operations: Option<Vec<WaitingCode>>,
    /// For call: whether the tool reported an error.
    #[serde(default)]
    is_error: bool,
    /// For cancel: whether the operation was still running.
    #[serde(default)]
    delivered: bool,
}

/// A command failed with an error.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "exists only for its schema")]
struct CompletedFailed {
    /// Number of the line, as for events.
    #[schemars(range(min = 1))]
    n: u64,
    /// CLOCK_MONOTONIC in microseconds.
    at_us: u64,
    /// Id of the command.
    id: u32,
    /// The error.
    failed: Failure,
}

/// The driver cancelled an operation, and it ended.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "exists only for its schema")]
struct CompletedCancelled {
    /// Number of the line, as for events.
    #[schemars(range(min = 1))]
    n: u64,
    /// CLOCK_MONOTONIC in microseconds.
    at_us: u64,
    /// Id of the command.
    id: u32,
    /// Always true.
    #[schemars(extend("const" = true))]
    cancelled: bool,
}

/// The recorder accepted the hello.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "exists only for its schema")]
struct Welcome {
    /// Version of the protocol.
    #[schemars(extend("const" = 1))]
    welcome: u64,
    /// Optional fields of events and failures that the recorder takes: `code`.
    #[serde(default)]
    accepts: Vec<String>,
}

/// The recorder refused the hello and closes the link.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "exists only for its schema")]
struct Refused {
    /// The reason, as a sentence.
    refused: String,
}

/// The recorder stored a line.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "exists only for its schema")]
struct Ack {
    /// Number of the line.
    #[schemars(range(min = 1))]
    ack: u64,
}

/// A command to the adapter. Adapters must ignore unknown fields.
#[derive(JsonSchema)]
#[schemars(tag = "do", rename_all = "kebab-case")]
#[expect(dead_code, reason = "exists only for its schema")]
enum Command {
    /// Connect to every configured server and list its tools.
    Load {
        /// Id of the command.
        id: u32,
        /// Context in which to run it.
        #[serde(rename = "in")]
        place: Place,
        /// The servers to connect to.
        config: Configuration,
    },
    /// Load with a changed configuration.
    Reload {
        /// Id of the command.
        id: u32,
        /// Context in which to run it.
        #[serde(rename = "in")]
        place: Place,
        /// The servers to connect to.
        config: Configuration,
    },
    /// List the tools that the loader currently offers.
    List {
        /// Id of the command.
        id: u32,
        /// Context in which to run it.
        #[serde(rename = "in")]
        place: Place,
    },
    /// Call one tool.
    Call {
        /// Id of the command.
        id: u32,
        /// Context in which to run it.
        #[serde(rename = "in")]
        place: Place,
        /// Name of the server in the configuration.
        server: String,
        /// Name of the tool on that server.
        tool: String,
        /// The tool's arguments, a JSON object.
        arguments: BTreeMap<String, Value>,
    },
    /// Close every connection.
    Close {
        /// Id of the command.
        id: u32,
        /// Context in which to run it.
        #[serde(rename = "in")]
        place: Place,
    },
    /// Force a garbage collection.
    Collect {
        /// Id of the command.
        id: u32,
        /// Context in which to run it.
        #[serde(rename = "in")]
        place: Place,
    },
    /// Await something harmless.
    Probe {
        /// Id of the command.
        id: u32,
        /// Context in which to run it.
        #[serde(rename = "in")]
        place: Place,
    },
    /// For the self-test only: raise an error into a channel, as if the loader's code had not handled it.
    Provoke {
        /// Id of the command.
        id: u32,
        /// Context in which to run it.
        #[serde(rename = "in")]
        place: Place,
        /// The channel that must receive the error.
        channel: Channel,
    },
    /// End a context.
    DropContext {
        /// Id of the command.
        id: u32,
        /// The context to end.
        #[serde(rename = "in")]
        place: Place,
    },
    /// Cancel an operation that runs.
    Cancel {
        /// Id of the command.
        id: u32,
        /// Id of the command that began the operation.
        operation: u32,
    },
    /// Report the stacks of every thread and task.
    Stacks {
        /// Id of the command.
        id: u32,
    },
    /// End the program in its usual way.
    Exit {
        /// Id of the command.
        id: u32,
    },
}

/// A context, given by names.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "exists only for its schema")]
struct Place {
    /// Operating-system thread; `main` is the main thread.
    thread: String,
    /// Event loop or runtime that this thread drives; `main` is the main one.
    #[serde(rename = "loop")]
    runtime: String,
    /// Long-lived task of that loop.
    task: String,
    /// Kind of runtime. Languages with one kind ignore it.
    #[serde(default)]
    #[schemars(with = "Flavour")]
    flavour: Option<Flavour>,
}

/// The kind of a runtime.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case")]
#[expect(dead_code, reason = "exists only for its schema")]
enum Flavour {
    /// Driven only while a command runs on it.
    CurrentThread,
    /// Driven at all times by worker threads.
    MultiThread,
}
