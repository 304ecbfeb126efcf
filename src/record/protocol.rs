//! The adapter protocol as types, from which `adapters/protocol.schema.json` is made.
//!
//! Home reads an adapter's lines with the types of `history`, which stand in these as well; what is wider there than here is told in
//! `adapters/PROTOCOL.md`. Deliberately absent: reading and writing.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::history::{Channel, Context, Failure, Leaving, OpId, ScopeForm, ScopeId, Tool};

/// The JSON schema of the lines of an adapter's link, in both directions.
///
/// `$defs` has `ToHome` and `ToAdapter`, one for each direction.
#[must_use]
pub fn adapter_schema() -> Value {
    schemars::schema_for!(AnyLine).to_value()
}

/// What an adapter may offer to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Capability {
    /// Connect to every configured server.
    Load,
    /// Call one tool.
    Call,
    /// The tools handed out now.
    List,
    /// Cancel an operation that runs.
    Cancel,
    /// Load with a changed configuration.
    Reload,
    /// Cleanup.
    Close,
    /// Force garbage collection.
    Collect,
    /// One innocent await.
    Probe,
    /// End a context.
    DropContext,
}

/// A kind of context an adapter may offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ContextKindName {
    /// Long-lived tasks, each with a number of its own.
    Task,
    /// Threads beside the main one.
    Thread,
    /// Event loops or runtimes beside the main one.
    Loop,
}

/// One line of an adapter's link.
#[derive(JsonSchema)]
#[schemars(untagged, title = "The adapter protocol of mcp-lifecheck, version 1: one line")]
#[expect(dead_code, reason = "only its schema is made; of what follows as well")]
enum AnyLine {
    ToHome(ToHome),
    ToAdapter(ToAdapter),
}

/// From the adapter to mcp-lifecheck.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "only its schema is made")]
enum ToHome {
    Hello(Hello),
    Event(AdapterEvent),
    Ok(CompletedOk),
    Failed(CompletedFailed),
    Cancelled(CompletedCancelled),
}

/// From mcp-lifecheck to the adapter.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "only its schema is made")]
enum ToAdapter {
    Welcome(Welcome),
    Refused(Refused),
    Ack(Ack),
    Command(Command),
}

/// The first line of a link. Fields beside these are passed over.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is made")]
struct Hello {
    /// Version of the protocol.
    #[schemars(extend("const" = 1))]
    hello: u64,
    /// What MCP_LIFECHECK_TOKEN held.
    token: String,
    /// Name of the adapter.
    adapter: String,
    /// Version of what it adapts.
    #[serde(default)]
    version: String,
    /// Language and version.
    #[serde(default)]
    language: String,
    /// Its process.
    #[serde(default)]
    pid: Option<u32>,
    /// Of executables of mcp-lifecheck alone: what they were built from.
    #[serde(default)]
    #[schemars(with = "String")]
    build: Option<String>,
    /// Kinds of contexts it can run operations in.
    #[serde(default)]
    contexts: Vec<ContextKindName>,
    /// What it can do.
    operations: Vec<Capability>,
    /// Witnesses it can give: `scopes`, and names of error channels.
    #[serde(default)]
    observes: Vec<String>,
    /// What it tried to observe and could not.
    #[serde(default)]
    unobservable: Vec<Blind>,
    /// Error channels it can let an error reach, for a self-test.
    #[serde(default)]
    provokes: Vec<Channel>,
}

/// One thing an adapter could not observe.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is made")]
struct Blind {
    /// What.
    what: String,
    /// Why.
    because: String,
}

/// Something happened in the adapter's process.
#[derive(JsonSchema)]
#[schemars(tag = "event", deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema is made")]
enum AdapterEvent {
    /// An operation begins, in the context that runs it.
    #[schemars(rename = "operation.started")]
    OperationStarted {
        /// Rises by one with each line that has it; it asks for an acknowledgement.
        #[schemars(with = "u64", range(min = 1))]
        #[serde(default)]
        n: Option<u64>,
        /// CLOCK_MONOTONIC in microseconds.
        at_us: u64,
        /// Id of the command.
        operation: OpId,
        /// Where it runs.
        context: Context,
    },
    /// A scope was entered.
    #[schemars(rename = "scope.enter")]
    ScopeEntered {
        /// As above.
        #[schemars(with = "u64", range(min = 1))]
        #[serde(default)]
        n: Option<u64>,
        /// As above.
        at_us: u64,
        /// Which scope; never used for another one.
        scope: ScopeId,
        /// What it is, such as `stdio_client`.
        name: String,
        /// Whether it is bound to its task.
        form: ScopeForm,
        /// The scope in which it was entered.
        #[serde(default)]
        parent: Option<ScopeId>,
        /// Where.
        context: Context,
    },
    /// A scope was left.
    #[schemars(rename = "scope.exit")]
    ScopeLeft {
        /// As above.
        #[schemars(with = "u64", range(min = 1))]
        #[serde(default)]
        n: Option<u64>,
        /// As above.
        at_us: u64,
        /// Which scope.
        scope: ScopeId,
        /// How.
        how: Leaving,
        /// Where.
        context: Context,
    },
    /// An error came out where nobody listens.
    #[schemars(rename = "error.reported")]
    ErrorReported {
        /// As above.
        #[schemars(with = "u64", range(min = 1))]
        #[serde(default)]
        n: Option<u64>,
        /// As above.
        at_us: u64,
        /// Which channel.
        channel: Channel,
        /// The text, at most 16 KiB.
        text: String,
    },
}

/// A command did what it was asked.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is made")]
struct CompletedOk {
    /// As with events.
    #[schemars(range(min = 1))]
    n: u64,
    /// As with events.
    at_us: u64,
    /// Id of the command.
    id: u32,
    /// What came of it.
    ok: Answer,
}

/// What came of a command; which fields there are depends on the command.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is made")]
struct Answer {
    /// Of load, reload and list: the tools that are handed out.
    #[serde(default)]
    #[schemars(with = "Vec<Tool>")]
    tools: Option<Vec<Tool>>,
    /// Of load, reload and list: the servers in error, and why.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, String>")]
    errors: Option<BTreeMap<String, String>>,
    /// Of call: what the tool said. Of stacks: the stacks.
    #[serde(default)]
    #[schemars(with = "String")]
    text: Option<String>,
    /// Of call: whether the tool says that it failed.
    #[serde(default)]
    is_error: bool,
    /// Of cancel: whether there was something to cancel.
    #[serde(default)]
    delivered: bool,
}

/// A command failed: something was raised.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is made")]
struct CompletedFailed {
    /// As with events.
    #[schemars(range(min = 1))]
    n: u64,
    /// As with events.
    at_us: u64,
    /// Id of the command.
    id: u32,
    /// What was raised.
    failed: Failure,
}

/// An operation ended because it was cancelled on request.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is made")]
struct CompletedCancelled {
    /// As with events.
    #[schemars(range(min = 1))]
    n: u64,
    /// As with events.
    at_us: u64,
    /// Id of the command.
    id: u32,
    /// Always true.
    #[schemars(extend("const" = true))]
    cancelled: bool,
}

/// The hello was taken.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is made")]
struct Welcome {
    /// Version of the protocol.
    #[schemars(extend("const" = 1))]
    welcome: u64,
}

/// The hello was refused; the link ends behind this.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is made")]
struct Refused {
    /// Why.
    refused: String,
}

/// A line is on file.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is made")]
struct Ack {
    /// Its number.
    #[schemars(range(min = 1))]
    ack: u64,
}

/// Something to be done. Fields that are added later are to be passed over.
#[derive(JsonSchema)]
#[schemars(tag = "do", rename_all = "kebab-case")]
#[expect(dead_code, reason = "only its schema is made")]
enum Command {
    /// Connect to every configured server and list its tools.
    Load {
        /// Id of the command.
        id: u32,
        /// Where.
        #[serde(rename = "in")]
        place: Place,
        /// The servers.
        config: Configuration,
    },
    /// Load with a changed configuration.
    Reload {
        /// Id of the command.
        id: u32,
        /// Where.
        #[serde(rename = "in")]
        place: Place,
        /// The servers.
        config: Configuration,
    },
    /// The tools that are handed out now.
    List {
        /// Id of the command.
        id: u32,
        /// Where.
        #[serde(rename = "in")]
        place: Place,
    },
    /// Call one tool.
    Call {
        /// Id of the command.
        id: u32,
        /// Where.
        #[serde(rename = "in")]
        place: Place,
        /// Name of the server in the configuration.
        server: String,
        /// Name of the tool on that server.
        tool: String,
        /// An object.
        arguments: BTreeMap<String, Value>,
    },
    /// Cleanup.
    Close {
        /// Id of the command.
        id: u32,
        /// Where.
        #[serde(rename = "in")]
        place: Place,
    },
    /// Force garbage collection.
    Collect {
        /// Id of the command.
        id: u32,
        /// Where.
        #[serde(rename = "in")]
        place: Place,
    },
    /// One innocent await.
    Probe {
        /// Id of the command.
        id: u32,
        /// Where.
        #[serde(rename = "in")]
        place: Place,
    },
    /// Of self-tests alone: let an error reach a channel, as if the loader's code had lost it.
    Provoke {
        /// Id of the command.
        id: u32,
        /// Where.
        #[serde(rename = "in")]
        place: Place,
        /// Which channel.
        channel: Channel,
    },
    /// End a context.
    DropContext {
        /// Id of the command.
        id: u32,
        /// Which.
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
    /// The stacks of every thread and task.
    Stacks {
        /// Id of the command.
        id: u32,
    },
    /// End the program as it would end by itself.
    Exit {
        /// Id of the command.
        id: u32,
    },
}

/// A context by its names.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is made")]
struct Place {
    /// An operating-system thread; `main` is the main thread.
    thread: String,
    /// An event loop or runtime which that thread drives; `main` is the main one.
    #[serde(rename = "loop")]
    runtime: String,
    /// A long-lived task of that loop.
    task: String,
    /// For runtimes that come in kinds; others pass it over.
    #[serde(default)]
    #[schemars(with = "Flavour")]
    flavour: Option<Flavour>,
}

/// The kind of a runtime.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case")]
#[expect(dead_code, reason = "only its schema is made")]
enum Flavour {
    /// Driven only while a command runs on it.
    CurrentThread,
    /// Driven all the time, by threads of its own.
    MultiThread,
}

/// What a load is handed: an mcpServers file.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is made")]
struct Configuration {
    /// The servers by name.
    #[serde(rename = "mcpServers")]
    servers: BTreeMap<String, ServerEntry>,
}

/// How a server is reached.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "only its schema is made")]
enum ServerEntry {
    /// Over stdio: a program to start.
    Program {
        /// The program.
        command: String,
        /// Its arguments.
        args: Vec<String>,
        /// Laid over the environment.
        env: BTreeMap<String, String>,
    },
    /// Over HTTP.
    Url {
        /// Where.
        url: String,
        /// Over which transport: `http` is streamable HTTP, `sse` HTTP with server-sent events.
        r#type: HttpType,
        /// Header fields to send with every request.
        #[serde(default)]
        #[schemars(with = "BTreeMap<String, String>")]
        headers: Option<BTreeMap<String, String>>,
    },
    /// Of Rust loaders alone: a server in the loader's own process.
    Memory {
        /// How it is found there.
        memory: BTreeMap<String, String>,
    },
}

/// A transport over HTTP.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case")]
#[expect(dead_code, reason = "only its schema is made")]
enum HttpType {
    Http,
    Sse,
}
