//! The checks of the self-test. Each row is one rule of the adapter protocol.

/// One rule of the adapter protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Check {
    /// Kebab-case id that names the good case.
    pub id: &'static str,
    /// The rule, as one sentence.
    pub claim: &'static str,
    /// How the author of an adapter fixes a failure.
    pub remedy: &'static str,
}

macro_rules! checks {
    ($($id:literal: $claim:literal, $remedy:literal;)*) => {
        /// Every check, in the order in which the self-test runs them.
        pub const CHECKS: &[Check] = &[$(Check { id: $id, claim: $claim, remedy: $remedy },)*];
    };
}

checks! {
    "dials-home": "the adapter connects to the address in MCP_LIFECHECK_LINK",
        "Connect to this address after the loader's imports, and keep the connection open.";
    "hello-in-time": "the adapter sends its hello, one line, as soon as it has connected",
        "Send the hello before anything else, and end it with a line end.";
    "hello-version": "the hello names version 1 of the protocol",
        "Send \"hello\":1, with 1 as a number.";
    "hello-token": "the hello contains the token from MCP_LIFECHECK_TOKEN",
        "Send the token exactly as the environment variable holds it.";
    "hello-fields": "the hello describes the adapter and its operations, with names from the protocol",
        "Compare the hello with adapters/protocol.schema.json.";
    "waits-for-welcome": "the adapter sends nothing between its hello and the welcome",
        "Read the answer to the hello before you send anything else.";
    "lines-are-of-protocol": "each line from the adapter is an event or a completion of the protocol",
        "Compare the line with adapters/protocol.schema.json; an event must not have other fields.";
    "numbers-rise": "line numbers rise from 1 without a gap; every completion and operation.started has a number",
        "Assign the number when you write the line, under the lock that orders the lines.";
    "times-are-monotonic": "each line carries CLOCK_MONOTONIC in microseconds",
        "Read the monotonic clock, not the time of day, and convert to microseconds.";
    "started-once": "each operation has exactly one operation.started, before its completion; no other command has one",
        "Send it in the context of the operation, right before the call of the loader's code. Send none for cancel, stacks, exit and drop-context.";
    "completes-once": "each command has exactly one completion",
        "Send one completion when a command ends, including one that failed or was cancelled.";
    "probe": "a probe completes with ok",
        "Await something harmless in that context, such as a sleep of zero, then complete.";
    "collect": "collect completes with ok",
        "Run the garbage collector, or remove `collect` from the hello's operations.";
    "unknown-command": "the adapter completes an unknown command as failed",
        "Answer {\"failed\":{\"type\":…,\"message\":…}}, and continue.";
    "quiet-streams": "the adapter itself writes nothing to stdout and stderr",
        "Write debug output to a file, because both streams belong to the loader.";
    "load": "load connects to every configured server and returns the loader's tools",
        "Pass the configuration to the loader unchanged; answer {\"tools\":[{\"server\":…,\"name\":…}],\"errors\":{}}.";
    "server-environment": "no process that the adapter starts inherits MCP_LIFECHECK_LINK or MCP_LIFECHECK_TOKEN",
        "Remove both from the process's own environment as soon as you have read them.";
    "waits-for-acks": "the loader's code waits until the recorder has acknowledged an event",
        "Block the reporting thread until {\"ack\":n} arrives, even inside an event loop.";
    "call": "call calls the tool once with the given arguments and returns its text",
        "Call the tool object that load returned; answer {\"text\":…}.";
    "list": "list returns the tools that the loader currently offers",
        "Use the same answer format as load.";
    "contexts-task": "commands with the same task name run in one task, and other names in other tasks",
        "Keep one long-lived task per name and run operations in it, never in a new task; or remove `task` from the hello's contexts.";
    "contexts-thread": "commands with another thread name run on another thread, always the same one",
        "Keep one thread per name; or remove `thread` from the hello's contexts.";
    "contexts-loop": "commands with another loop name run on another event loop, always the same one",
        "Keep one loop per name; or remove `loop` from the hello's contexts.";
    "reload": "reload applies the changed configuration",
        "Pass the configuration to the loader unchanged, or remove `reload` from the hello's operations.";
    "concurrent": "an operation that hangs in one context does not block another context",
        "Pass a command to its context and read the next one. Never wait for a command in the reading thread.";
    "stacks": "the adapter answers stacks while an operation hangs",
        "Answer in the thread that reads commands, without a lock that an operation may hold.";
    "cancel": "cancel reaches a running operation, which then completes as cancelled",
        "Answer {\"delivered\":true}, then complete the operation with \"cancelled\":true when its code has ended.";
    "drop-context": "drop-context ends the context, and its name then means a new context",
        "End the task, thread or loop, and forget its name; or remove `drop-context` from the hello's operations.";
    "close": "close completes with ok, and ends the servers if the description promises that",
        "Call the loader's cleanup, and complete when it has ended. It must end the servers of every load and reload. If the loader keeps its servers, set `closes-servers = false`.";
    "error-channels": "the adapter reports an error on an observed channel, with that channel's name",
        "Hook the channel, and send error.reported before you call the previous hook.";
    "exit": "the adapter completes exit, and the program ends by itself with code 0",
        "Complete first, then return from main, so that registered exit handlers run.";
    "link-end": "when the link ends, the process exits at once with code 86",
        "Call os._exit or its equivalent in the reading thread, whatever the loader is doing.";
}
