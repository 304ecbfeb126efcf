//! Loaders in a life: a mutation of the reference loader, in a scenario that shows its mistake.

use super::client::MODERN;
use super::scenarios::{
    AGAIN, BESIDE, BESIDE_DEAD, CALLS, CANCEL, CANCELLED_LATE, CLOSE_EXIT, CLOSE_TWICE, CLOSE_WAIT, EXIT, HELD,
    HELD_BESIDE, IDLE, LEFT, LOAD, TERM, TWO_CALLS, TWO_TASKS,
};
use super::{Life, Script, Specimen, run, scripted, with_a_session_per_call, without_announcements};

const R2411: &str = "2024-11-05";
const R2503: &str = "2025-03-26";
const R2506: &str = "2025-06-18";
const R2511: &str = "2025-11-25";

/// Answers its first call with a result of a type that no revision has.
const UNKNOWN_TYPE: Script = Script::Written(
    r#"about = "Answers its first call with a result of a type that no revision has."
[[rule]]
on = { request = "tools/call", nth = 1 }
do = [{ answer-result = { resultType = "later", content = [{ type = "text", text = "done" }] } }]
"#,
);

/// Declares more than it must.
const DECLARES_MORE: Script = Script::Written(
    r#"about = "Declares that its tools may change."
[[rule]]
on = { request = "initialize" }
do = [{ alter-result = { capabilities = { tools = { listChanged = true } } } }]
"#,
);

/// Has its first list in two pages.
const IN_PAGES: Script = Script::Written(
    r#"about = "Has its first list in two pages."
[[rule]]
on = { request = "tools/list", nth = 1 }
do = [{ answer-result = { tools = [{ name = "read", inputSchema = { type = "object" } }], nextCursor = "2" } }]
[[rule]]
on = { request = "tools/list", nth = 2 }
do = [{ answer-result = { tools = [{ name = "write", inputSchema = { type = "object" } }] } }]
"#,
);

/// Tells a change of its tools ahead of the answer to its first call.
const CHANGES_IN_CALL: Script = Script::Written(
    r#"about = "Changes its tools in its first call."
tools = ["read"]
[[rule]]
on = { request = "tools/call", nth = 1 }
do = [{ tools = ["read", "write"] }, { notify = "notifications/tools/list_changed" }, "answer"]
"#,
);

/// Uses every kind of character that the name of a tool may have.
const ODD_NAMES: Script = Script::Written(
    r#"about = "Its tools have names that are no identifiers."
tools = ["read", "read.all", "read-2", "READ_3"]
"#,
);

/// Sends an error without an id, as a script of a user may.
const STRAY_ERROR: Script = Script::Written(
    r#"about = "Sends an error without an id."
[[rule]]
on = { request = "tools/call", nth = 1 }
do = ["stray-error", "answer"]
"#,
);

/// Sends progress of a call that it has answered.
const LATE_PROGRESS: Script = Script::Written(
    r#"about = "Sends progress of a call that it has answered."
[[rule]]
on = { request = "tools/call", nth = 1 }
do = ["answer", { notify-with = { method = "notifications/progress", params = { progressToken = "none", progress = 1 } } }]
"#,
);

/// The table. Each row has three lines: what the loader does; which mutation it is, over which transport and with which revision, in which
/// scenario and with which script; and which requirements it breaks, as which invariant must tell.
macro_rules! lives {
    ($($name:literal: $about:literal,
       $loader:literal over $transport:literal from $revision:ident in $scenario:tt with $script:literal,
       breaks $($breaks:literal)+ told by $caught_by:literal;)*) => {
        &[$(Specimen {
            name: $name,
            about: $about,
            breaks: &[$($breaks),+],
            caught_by: $caught_by,
            stage: run($transport, $revision, ($scenario, $script)),
            life: Life::Loader($loader),
        },)*]
    };
}

pub(super) const SPECIMENS: &[Specimen] = lives! {
    "late-answer-refused": "Takes the answer to a call that it has cancelled for the end of the stream.",
        "late-answer-feared" over "stdio" from R2511 in CANCELLED_LATE with "call-answered-late",
        breaks "LC-CAN-07" told by "call-after-load-succeeds";
    "answer-of-before": "Takes an answer that came twice for the answer to the next call.",
        "answer-kept" over "stdio" from R2511 in CALLS with "call-answered-twice",
        breaks "LC-HTTP-10" "LC-RES-06" told by "answer-reaches-its-caller";
    "slow-to-cancel": "Keeps the thread of a call that was cancelled.",
        "cancel-blocks" over "stdio" from R2511 in CANCEL with "hold-call",
        breaks "LC-CAN-08" told by "cancel-prompt";
    "cancelled-by-server-and-stuck": "Reads nothing more after its server has cancelled a request.",
        "stuck" over "stdio" from R2511 in CALLS with "call-cancelled-by-server",
        breaks "LC-CAN-09" told by "operation-completes";
    "cancelled-without-session-and-stuck": "Reads nothing more after a server without sessions has cancelled a request.",
        "stuck" over "stdio" from MODERN in CALLS with "call-cancelled-by-server",
        breaks "LC-CAN-13" told by "operation-completes";
    "cancellation-unsaid-in-a-pipe": "Does not tell a server without sessions that a call was cancelled.",
        "cancel-lost" over "stdio" from MODERN in CANCEL with "hold-call",
        breaks "LC-CAN-04" "LC-CAN-06" told by "cancel-announced";
    "stream-left-to-the-cleanup": "Keeps the stream of a call that was cancelled until it closes.",
        "cancel-lost" over "http" from MODERN in LEFT with "hold-call",
        breaks "LC-CAN-06" told by "cancel-announced";
    "status-400-for-the-end": "Takes the status 400 to a question about the generation for the end.",
        "never-falls-back" over "http" from MODERN in CALLS with "discover-status-400",
        breaks "LC-ERA-08" told by "load-succeeds";
    "no-common-revision-untold": "Waits forever when its server has no revision of its own.",
        "failures-untold" over "stdio" from MODERN in LOAD with "discover-unknown-versions",
        breaks "LC-ERA-15" told by "operation-completes";
    "own-code-for-the-end": "Takes an error with a code of the server's own for the end.",
        "never-falls-back" over "stdio" from MODERN in CALLS with "discover-error-own-code",
        breaks "LC-ERA-18" told by "load-succeeds";
    "events-not-understood": "Does not understand an answer as an event.",
        "json-alone" over "http" from R2511 in CALLS with "sse-answers",
        breaks "LC-HTTP-03" told by "load-succeeds";
    "acceptance-with-a-body-refused": "Takes a 202 with a body for a refusal.",
        "accepted-empty" over "http" from R2511 in BESIDE with "initialized-accepted-with-body",
        breaks "LC-HTTP-04" told by "load-succeeds";
    "end-of-a-stream-untold": "Waits forever when the stream of a call ends without an answer.",
        "failures-untold" over "http" from R2506 in CALLS with "call-stream-ends",
        breaks "LC-HTTP-09" told by "operation-completes";
    "status-400-untold": "Waits forever when a call is refused with 400.",
        "failures-untold" over "http" from R2511 in CALLS with "call-400-empty",
        breaks "LC-HTTP-15" told by "operation-completes";
    "comment-for-the-end": "Takes a comment of a stream for its end.",
        "strict" over "http" from MODERN in CALLS with "call-commented",
        breaks "LC-HTTP-17" told by "call-after-load-succeeds";
    "ping-in-the-handshake-refused": "Takes a ping before its handshake is over for the end.",
        "strict" over "stdio" from R2511 in CALLS with "ping-before-initialized",
        breaks "LC-INIT-06" told by "load-succeeds";
    "silence-untold": "Waits forever for the answer to `initialize`.",
        "unbounded" over "stdio" from R2411 in LOAD with "mute-initialize",
        breaks "LC-INIT-14" "LC-TMO-06" told by "operation-completes";
    "connected-twice": "Opens two sessions with one server.",
        "connected-twice" over "stdio" from R2511 in CALLS with "polite",
        breaks "LC-INIT-15" told by "one-connection-per-server";
    "answers-in-order-alone": "Reads answers only in the order of its requests.",
        "deaf" over "stdio" from MODERN in TWO_CALLS with "call-reordered",
        breaks "LC-META-08" told by "call-after-load-succeeds";
    "server-for-each-run": "Starts its server again when the program runs again.",
        "restart-on-rerun" over "stdio" from MODERN in AGAIN with "polite",
        breaks "LC-META-10" told by "unchanged-server-kept";
    "arguments-lost": "Calls without the arguments that its caller gave.",
        "arguments-lost" over "stdio" from MODERN in CALLS with "polite",
        breaks "LC-META-11" told by "call-arrives-as-made";
    "input-required-untold": "Waits forever when it cannot give what a call needs.",
        "failures-untold" over "stdio" from MODERN in CALLS with "input-required-for-ever",
        breaks "LC-MRTR-07" told by "operation-completes";
    "sent-back-unread": "Waits forever when a call is sent back for more input.",
        "sent-back-unread" over "stdio" from MODERN in CALLS with "input-required-once",
        breaks "LC-MRTR-06" told by "operation-completes";
    "stray-error-and-stuck": "Reads nothing more after an error without an id.",
        "stuck" over "stdio" from R2511 in CALLS with "stray-error-in-call",
        breaks "LC-MSG-07" told by "operation-completes";
    "batch-for-the-end": "Reads nothing more after a batch.",
        "deaf" over "stdio" from R2503 in CALLS with "call-in-batch",
        breaks "LC-MSG-09" told by "call-after-load-succeeds";
    "scope-left-elsewhere": "Leaves a scope in another task than the one that entered it.",
        "scope-left-by-close" over "stdio" from R2511 in TWO_TASKS with "polite",
        breaks "VG-01" told by "scope-exits-in-entering-task";
    "scope-dropped": "Leaves a scope to its finaliser.",
        "scope-dropped" over "stdio" from R2511 in CALLS with "polite",
        breaks "VG-02" told by "scope-exit-explicit";
    "second-close-fails": "Fails when it is closed again.",
        "second-close-fails" over "stdio" from R2511 in CLOSE_TWICE with "polite",
        breaks "VG-05" told by "cleanup-repeatable";
    "busy-while-idle": "Keeps a processor busy while nothing is asked of it.",
        "spins" over "stdio" from R2511 in IDLE with "polite",
        breaks "VG-08" told by "idle-without-cpu";
    "signal-survived": "Does not end on SIGTERM.",
        "close-stuck" over "stdio" from R2511 in TERM with "polite",
        breaks "VG-09" told by "signal-ends-process";
    "exit-survived": "Does not end when its program exits.",
        "close-stuck" over "stdio" from R2511 in EXIT with "polite",
        breaks "VG-14" told by "exit-completes";
    "siblings-closed": "Starts a server anew when another one is removed.",
        "siblings-closed" over "stdio" from R2511 in "remove-first" with "polite",
        breaks "VG-10" told by "removal-spares-siblings";
    "death-told-late": "Tells late that the server of a call has died.",
        "failures-late" over "stdio" from R2511 in HELD with "die-in-call",
        breaks "VG-12" "LC-STD-12" told by "failure-prompt-after-server-death";
    "death-told-late-without-sessions": "Tells late that the server without sessions of a call has died.",
        "failures-late" over "stdio" from MODERN in HELD with "die-in-call",
        breaks "LC-STD-15" told by "failure-prompt-after-server-death";
    "child-forgotten": "Never waits for the end of a process that it has started.",
        "child-forgotten" over "stdio" from R2511 in CALLS with "polite",
        breaks "VG-13" told by "children-reaped";
    "session-after-delete": "Opens a session after it has deleted its own.",
        "open-after-delete" over "http" from R2511 in CALLS with "polite",
        breaks "VG-15" told by "cleanup-opens-nothing";
    "log-flood-and-deaf": "Reads nothing more after a flood of logs.",
        "deaf" over "stdio" from R2511 in CALLS with "log-flood-in-call",
        breaks "LC-PROG-03" told by "call-after-load-succeeds";
    "event-id-for-the-end": "Takes an event with an id for the end.",
        "strict" over "http" from R2511 in CALLS with "call-with-event-id",
        breaks "LC-RES-02" told by "call-after-load-succeeds";
    "unknown-elicitation-and-deaf": "Reads nothing more after the end of an elicitation that it does not know.",
        "deaf" over "stdio" from R2511 in CALLS with "elicitation-completed-unknown",
        breaks "LC-S2C-06" told by "call-after-load-succeeds";
    "refused-delete-fails": "Fails to close when its server refuses to delete the session.",
        "delete-insisted" over "http" from R2511 in CALLS with "delete-refused",
        breaks "LC-SESS-08" told by "cleanup-repeatable";
    "noise-and-stuck": "Reads nothing more after a line that is not a message.",
        "stuck" over "stdio" from R2511 in CALLS with "noise-in-call",
        breaks "LC-STD-03" told by "operation-completes";
    "stderr-unread": "Leaves the stderr of its server unread.",
        "stderr-unread" over "stdio" from R2511 in CALLS with "stderr-flood-in-call",
        breaks "LC-STD-04" "LC-STD-05" told by "call-after-load-succeeds";
    "killed-without-term": "Kills a server that does not exit, without SIGTERM.",
        "killed-without-term" over "stdio" from R2511 in CALLS with "stubborn",
        breaks "LC-STD-08" "LC-STD-09" told by "term-before-kill";
    "killed-after-an-interrupt": "Interrupts a server that does not exit, and kills it, without SIGTERM.",
        "killed-after-an-interrupt" over "stdio" from R2511 in CALLS with "stubborn",
        breaks "LC-STD-08" told by "term-before-kill";
    "subscription-unacknowledged": "Refuses answers until its subscription is acknowledged.",
        "acknowledgement-awaited" over "stdio" from MODERN in CALLS with "listen-mute",
        breaks "LC-SUB-04" told by "call-after-load-succeeds";
    "task-refused": "Asks for a task, and does not follow it.",
        "task-asked" over "http" from R2511 in CALLS with "tasks-served",
        breaks "LC-TASK-04" told by "call-after-load-succeeds";
    "task-unasked-untold": "Waits forever when a call is answered with a task that it did not ask for.",
        "failures-untold" over "stdio" from MODERN in CALLS with "task-unasked",
        breaks "LC-TASK-09" told by "operation-completes";
    "call-without-a-bound": "Waits forever for the answer to a call.",
        "unbounded" over "stdio" from R2511 in CALLS with "call-mute",
        breaks "LC-TMO-01" "LC-TMO-05" told by "operation-completes";
    "progress-without-a-bound": "Waits for as long as a call makes progress.",
        "unbounded" over "stdio" from R2511 in CALLS with "call-progress-forever",
        breaks "LC-TMO-04" told by "operation-completes";
    "messages-of-a-stream-unread": "Does not read the answers on its stream.",
        "json-alone" over "sse" from R2411 in CALLS with "polite",
        breaks "LC-SSE-03" told by "load-succeeds";
    "call-sent-twice": "Sends each call twice.",
        "call-twice" over "stdio" from R2511 in CALLS with "polite",
        breaks "VG-16" told by "call-sent-once";
    "changed-tools-unheard": "Drops the notice that the tools of a server have changed.",
        "changes-unheard" over "stdio" from R2511 in "tools-change" with "tools-that-change",
        breaks "LC-SUB-01" "VG-04" told by "changed-tools-listed-again";
    "initialized-never-sent": "Never says that it is initialized.",
        "initialized-lost" over "stdio" from R2511 in CALLS with "polite",
        breaks "LC-INIT-03" told by "initialized-sent";
    "lost-session-not-replaced": "Opens no session after its server has lost one.",
        "renewal-lost" over "http" from R2511 in "session-lost-idle" with "polite",
        breaks "LC-SESS-05" "LC-SESS-06" "VG-20" told by "lost-session-renewed-once";
    "loading-logged-without-a-bound": "Logs without a bound while it loads.",
        "stderr-flooded" over "stdio" from R2511 in CALLS with "polite",
        breaks "VG-17" told by "output-bounded";
    "removed-server-kept": "Keeps a server that was removed.",
        "removed-kept" over "stdio" from R2511 in "remove-first" with "polite",
        breaks "VG-06" "VG-18" told by "removed-server-closed";
    "closed-after-each-call": "Closes everything after each call.",
        "session-per-call" over "stdio" from R2511 in CALLS with "polite",
        breaks "VG-03" told by "scope-open-until-cleanup";
    "session-never-deleted": "Does not delete its session.",
        "delete-lost" over "http" from R2511 in CALLS with "polite",
        breaks "LC-SESS-07" "VG-06" told by "session-deleted";
    "stream-never-closed": "Does nothing to close the stream that is its session.",
        "close-lost" over "sse" from R2411 in CALLS with "polite",
        breaks "LC-SSE-04" "VG-06" told by "stream-closed";
    "server-never-closed": "Does nothing to close its server.",
        "close-lost" over "stdio" from R2511 in CALLS with "polite",
        breaks "VG-06" told by "nothing-survives";
    "child-left-by-sigterm": "Ends a server with SIGTERM, but not the process that the server started.",
        "group-spared" over "stdio" from R2511 in "child-left-by-term" with "orphans-its-child",
        breaks "VG-06" told by "nothing-survives";
    "call-beside-cleanup-untold": "Never tells a call in another task that cleanup has ended it.",
        "failures-untold" over "stdio" from R2511 in "close-beside-call" with "hold-call",
        breaks "VG-11" told by "operation-completes";
    "refused-stream-requested-again": "Requests a stream again that is refused after an earlier one has ended.",
        "stream-insisted-on" over "http" from R2511 in "stream-refused-later" with "get-refused-later",
        breaks "VG-19" "LC-HTTP-06" told by "refused-stream-accepted";
    "dead-server-kept-by-a-rerun": "Hands out the tools of a server that is dead, although a call to it has failed.",
        "tools-remembered" over "stdio" from R2511 in "rerun-after-death" with "polite",
        breaks "VG-04" told by "call-after-load-succeeds";
    "failure-left-out": "Leaves out which servers it could not load.",
        "errors-left-out" over "stdio" from R2511 in BESIDE_DEAD with "dead-on-arrival",
        breaks "VG-18" told by "failure-reported";
    "tool-made-up": "Hands out a tool that its server does not have.",
        "tool-made-up" over "stdio" from R2511 in CALLS with "polite",
        breaks "VG-04" told by "tools-match-offer";
    "tools-handed-out-twice": "Hands out each tool of its server twice.",
        "tools-doubled" over "stdio" from R2511 in CALLS with "polite",
        breaks "VG-04" told by "tools-match-offer";
    "changed-entry-ignored": "Keeps a server whose entry has changed.",
        "first-entry-kept" over "stdio" from R2511 in "reload-changes" with "polite",
        breaks "VG-18" told by "changed-server-replaced";
    "call-after-close-untold": "Waits forever when a call comes after its cleanup.",
        "failures-untold" over "stdio" from R2511 in "call-after-close" with "polite",
        breaks "VG-15" told by "call-after-cleanup-fails";
    "panic-aside": "Panics in another thread when it closes.",
        "panics-aside" over "stdio" from R2511 in CALLS with "polite",
        breaks "VG-07" told by "error-channels-silent";
    "call-cancelled-unasked": "Cancels the first call, for whose result its caller waits.",
        "cancels-unasked" over "stdio" from R2511 in HELD_BESIDE with "call-answered-late",
        breaks "VG-16" told by "cancel-has-a-reason";
    "end-delayed": "Takes seconds to end, though everything is closed.",
        "lingers" over "stdio" from R2511 in CLOSE_EXIT with "polite",
        breaks "VG-14" told by "exit-prompt-after-cleanup";
    "load-at-the-end": "Loads once more in order to close at the end.",
        "loads-to-close" over "stdio" from R2511 in EXIT with "polite",
        breaks "VG-15" told by "exit-opens-nothing";
    "server-started-again-and-again": "Starts its server again and again in one load.",
        "respawns" over "stdio" from MODERN in CALLS with "polite",
        breaks "LC-STD-14" "VG-18" told by "server-not-respawned";
    "descriptor-for-each-run": "Keeps a descriptor each time the program runs.",
        "descriptors-kept" over "stdio" from R2511 in "hundred-reruns" with "polite",
        breaks "VG-17" told by "repeats-keep-descriptors";
    "thread-for-each-run": "Keeps a thread each time the program runs.",
        "threads-kept" over "stdio" from R2511 in "hundred-reruns" with "polite",
        breaks "VG-17" told by "repeats-keep-threads";
    "memory-for-each-run": "Keeps memory each time the program runs.",
        "memory-kept" over "stdio" from R2511 in "hundred-reruns" with "polite",
        breaks "VG-17" told by "repeats-keep-memory";
    "server-started-by-a-timer": "Starts its server once more soon after it has closed it.",
        "reopens" over "stdio" from R2511 in CLOSE_WAIT with "polite",
        breaks "VG-15" told by "closed-stays-closed";
    "closed-later-than-told": "Says that it has closed its server, and calls it once more.",
        "closes-later" over "stdio" from R2511 in CLOSE_WAIT with "polite",
        breaks "VG-15" told by "closed-stays-silent";
    "call-on-a-lost-session-untold": "Never completes a call whose session was lost.",
        "lost-calls-forgotten" over "http" from R2511 in "session-lost-in-call" with "polite",
        breaks "VG-20" told by "lost-session-calls-end";
    "subscription-of-the-first-process": "Subscribes at the first process of its server, and not at the next one.",
        "first-subscription-alone" over "stdio" from MODERN in "subscription-lost" with "polite",
        breaks "LC-SUB-12" told by "subscription-sent-again";
    "first-page-for-every-page": "Takes the tools of the first page for those of every page.",
        "first-page-kept" over "stdio" from MODERN in "pages" with "polite",
        breaks "LC-SUB-15" told by "load-succeeds";
    "subscription-left-open": "Does nothing to close a subscription.",
        "close-lost" over "http" from MODERN in "subscription-heard" with "polite",
        breaks "LC-SUB-08" told by "modern-subscription-closed";
};

/// Loaders that promise less, and servers with a script of the zoo.
pub(super) const SPECIAL: &[Specimen] = &[
    with_a_session_per_call(Specimen {
        name: "server-for-each-run-kept",
        about: "Starts a server each time the program runs, and closes them at its end.",
        breaks: &["VG-17"],
        caught_by: "repeats-keep-servers",
        stage: run("stdio", R2511, ("hundred-reruns", "polite")),
        life: Life::Loader("servers-kept"),
    }),
    with_a_session_per_call(Specimen {
        name: "loads-to-close-again",
        about: "Loads once more in order to close what is closed.",
        breaks: &["VG-05"],
        caught_by: "repeated-cleanup-quiet",
        stage: run("http", MODERN, (CLOSE_TWICE, "polite")),
        life: Life::Loader("loads-to-close"),
    }),
    without_announcements(Specimen {
        name: "stream-of-a-cancelled-call-kept",
        about: "Keeps the response stream of a call that was cancelled.",
        breaks: &["LC-CAN-05"],
        caught_by: "modern-cancel-sent",
        stage: run("http", MODERN, ("cancel-in-flight", "hold-call")),
        life: Life::Loader("cancel-lost"),
    }),
    scripted(
        UNKNOWN_TYPE,
        Specimen {
            name: "unknown-type-taken",
            about: "Takes a result of an unknown type for a complete one.",
            breaks: &["LC-META-13"],
            caught_by: "result-type-known",
            stage: run("stdio", MODERN, (CALLS, "polite")),
            life: Life::Loader("type-assumed"),
        },
    ),
    scripted(
        DECLARES_MORE,
        Specimen {
            name: "tool-made-up-of-a-server-that-declares-more",
            about: "Hands out a tool that its server does not have, which declares more than it must.",
            breaks: &["VG-04"],
            caught_by: "tools-match-offer",
            stage: run("stdio", R2511, (CALLS, "polite")),
            life: Life::Loader("tool-made-up"),
        },
    ),
    scripted(
        IN_PAGES,
        Specimen {
            name: "server-with-pages-for-each-run",
            about: "Starts a server whose list has pages anew when the program runs again.",
            breaks: &["VG-18"],
            caught_by: "unchanged-server-kept",
            stage: run("stdio", R2511, (AGAIN, "polite")),
            life: Life::Loader("restart-on-rerun"),
        },
    ),
    scripted(
        CHANGES_IN_CALL,
        Specimen {
            name: "changed-tools-unheard-at-once",
            about: "Drops the notice that the tools of a server have changed, which it read ahead of an answer.",
            breaks: &["LC-SUB-01", "VG-04"],
            caught_by: "changed-tools-listed-again",
            stage: run("stdio", R2511, (AGAIN, "polite")),
            life: Life::Loader("changes-unheard"),
        },
    ),
    scripted(
        CHANGES_IN_CALL,
        Specimen {
            name: "changed-tools-and-deaf",
            about: "Reads nothing more after the notice that the tools of a server have changed.",
            breaks: &["VG-04"],
            caught_by: "call-after-load-succeeds",
            stage: run("stdio", R2511, (CALLS, "polite")),
            life: Life::Loader("deaf"),
        },
    ),
    scripted(
        ODD_NAMES,
        Specimen {
            name: "tool-with-a-dot-left-out",
            about: "Leaves out the tools whose names are no identifiers.",
            breaks: &["VG-04"],
            caught_by: "tools-match-offer",
            stage: run("stdio", R2511, (CALLS, "polite")),
            life: Life::Loader("names-narrowed"),
        },
    ),
    scripted(
        STRAY_ERROR,
        Specimen {
            name: "stray-error-of-any-script-and-stuck",
            about: "Reads nothing more after an error without an id that a script of its own sent.",
            breaks: &["LC-MSG-07"],
            caught_by: "operation-completes",
            stage: run("stdio", R2511, (CALLS, "polite")),
            life: Life::Loader("stuck"),
        },
    ),
    scripted(
        LATE_PROGRESS,
        Specimen {
            name: "late-progress-and-deaf",
            about: "Reads nothing more after progress of a call that was answered.",
            breaks: &["LC-PROG-03"],
            caught_by: "call-after-load-succeeds",
            stage: run("stdio", R2511, (CALLS, "polite")),
            life: Life::Loader("deaf"),
        },
    ),
];
