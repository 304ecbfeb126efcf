//! What is checked, one row a rule of the protocol.

/// One rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Check {
    /// Kebab-case; states the good case.
    pub id: &'static str,
    /// The rule, one sentence.
    pub claim: &'static str,
    /// What to mend where it fails.
    pub mend: &'static str,
}

macro_rules! checks {
    ($($id:literal: $claim:literal, $mend:literal;)*) => {
        /// Every check, in order.
        pub const CHECKS: &[Check] = &[$(Check { id: $id, claim: $claim, mend: $mend },)*];
    };
}

checks! {
    "dials-home": "it connects to the address in MCP_LIFECHECK_LINK",
        "Connect to it after the loader's imports, and keep the connection.";
    "hello-in-time": "it says hello, one line, as soon as it is connected",
        "Send the hello first, and end it with a line end.";
    "hello-version": "its hello is of version 1 of the protocol",
        "Send \"hello\":1, a number.";
    "hello-token": "its hello has the token of MCP_LIFECHECK_TOKEN",
        "Send the token as it stands in the environment.";
    "hello-fields": "its hello says what it is and what it can do, with the names of the protocol",
        "Compare the hello with adapters/protocol.schema.json.";
    "waits-for-welcome": "it sends nothing between its hello and the welcome",
        "Read the answer to the hello before anything else is sent.";
    "lines-are-of-protocol": "each line it sends is an event or a completion of the protocol",
        "Compare the line with adapters/protocol.schema.json; an event has no fields but those.";
    "numbers-rise": "its lines are numbered from 1 without a gap; a completion and operation.started always have a number",
        "Take the number when the line is written, under the lock that keeps the lines in order.";
    "times-are-monotonic": "each line has the time on CLOCK_MONOTONIC, in microseconds",
        "Use the monotonic clock, not the time of day, and microseconds.";
    "started-once": "operation.started comes once for each operation, before its completion, and for nothing else",
        "Send it in the context of the operation, right before the loader's code is called; none for cancel, stacks, exit and drop-context.";
    "completes-once": "each command is completed once",
        "Complete a command when it is over, also one that failed or was cancelled, and never again.";
    "probe": "a probe completes with ok",
        "Await something innocent in that context, such as a sleep of zero, and complete.";
    "collect": "collect completes with ok",
        "Run the garbage collector, or do not offer it.";
    "unknown-command": "a command it does not know is completed as failed",
        "Answer {\"failed\":{\"type\":…,\"message\":…}}, and go on.";
    "quiet-streams": "it writes nothing to stdout and stderr of its own",
        "Write what is for debugging to a file: both streams belong to the loader.";
    "load": "load connects to every configured server, and answers the tools it hands out",
        "Give the loader the configuration as it came; answer {\"tools\":[{\"server\":…,\"name\":…}],\"errors\":{}}.";
    "server-environment": "nothing it starts inherits MCP_LIFECHECK_LINK or MCP_LIFECHECK_TOKEN",
        "Remove both from the process's own environment as soon as they are read.";
    "waits-for-acks": "the loader's code does not go on before an event is acknowledged",
        "Block in the thread that reports until {\"ack\":n} has come, also inside of an event loop.";
    "call": "call calls that tool once with these arguments, and answers its text",
        "Call through what load handed out; answer {\"text\":…}.";
    "list": "list answers the tools that are handed out now",
        "Answer in the shape of load.";
    "contexts-task": "one task runs all commands that name it, and another one those of another name",
        "Keep one long-lived task a name and run operations in it, never in a fresh task; or do not offer `task`.";
    "contexts-thread": "commands of another thread run on another thread, which is kept",
        "Keep one thread a name; or do not offer `thread`.";
    "contexts-loop": "commands of another loop run on another event loop, which is kept",
        "Keep one loop a name; or do not offer `loop`.";
    "reload": "reload brings the loader to the changed configuration",
        "Give the loader the configuration as it came, or do not offer it.";
    "concurrent": "another context works while an operation hangs in one",
        "Hand a command to its context and read on; never wait for it where commands are read.";
    "stacks": "stacks are answered while an operation hangs",
        "Answer from the thread that reads commands, without a lock that an operation may hold.";
    "cancel": "cancel reaches an operation that runs, which completes as cancelled",
        "Answer {\"delivered\":true}, and complete the operation with \"cancelled\":true when its code has ended.";
    "drop-context": "a context that is dropped is gone, and its name stands for a new one then",
        "End the task, thread or loop, and forget its name; or do not offer it.";
    "close": "close completes with ok, and ends the servers where that is promised",
        "Call the loader's cleanup, and complete when it is over; `closes-servers = false` where servers are kept.";
    "error-channels": "an error on a channel that it observes is reported with that channel's name",
        "Hook the channel, and send error.reported before whatever was hooked before goes on.";
    "exit": "exit is completed, and the program ends by itself with code 0",
        "Complete first, then return from main, so that what is registered for exit runs.";
    "link-end": "when the link ends, the process is gone at once with exit code 86",
        "End with os._exit or its like from the thread that reads, whatever the loader is doing.";
}
