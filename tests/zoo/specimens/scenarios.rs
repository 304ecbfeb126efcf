//! The scenarios of loaders: each has one server, whose script is the stage's.

/// Loads, calls twice and closes.
pub(super) const CALLS: &str = r#"
about = "One server is loaded, called twice and closed."
revisions = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"]
servers = [{ name = "odd", script = "SCRIPT" }]
[[step]]
do = "load"
[[step]]
do = "call"
server = "odd"
[[step]]
do = "call"
server = "odd"
[[step]]
do = "close"
"#;

/// Loads a server that cannot be loaded, and closes.
pub(super) const LOAD: &str = r#"
about = "One server is loaded and closed."
revisions = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"]
servers = [{ name = "odd", script = "SCRIPT" }]
[[step]]
do = "load"
[[step]]
do = "close"
"#;

/// Two calls in flight at once.
pub(super) const TWO_CALLS: &str = r#"
about = "Two tasks call one server at once."
revisions = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"]
servers = [{ name = "odd", script = "SCRIPT" }]
[[step]]
do = "load"
[[step]]
do = "call"
server = "odd"
as = "first"
until = "in-flight"
in = "task:a"
[[step]]
do = "call"
server = "odd"
in = "task:b"
[[step]]
do = "wait"
operation = "first"
[[step]]
do = "close"
"#;

/// Cancels a call that the script `hold-call` holds.
pub(super) const CANCEL: &str = r#"
about = "A call is cancelled in flight, and the next one is answered."
revisions = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"]
servers = [{ name = "odd", script = "SCRIPT" }]
[[step]]
do = "load"
[[step]]
do = "call"
server = "odd"
as = "first"
until = "in-flight"
in = "task:a"
[[step]]
do = "wait"
gate = "before-answer"
[[step]]
do = "cancel"
operation = "first"
[[step]]
do = "wait"
operation = "first"
[[step]]
do = "open-gate"
gate = "before-answer"
[[step]]
do = "call"
server = "odd"
[[step]]
do = "close"
"#;

/// Loads twice.
pub(super) const AGAIN: &str = r#"
about = "One server is loaded, called, loaded again and called again."
revisions = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"]
servers = [{ name = "odd", script = "SCRIPT" }]
[[step]]
do = "load"
[[step]]
do = "call"
server = "odd"
[[step]]
do = "rerun"
[[step]]
do = "call"
server = "odd"
[[step]]
do = "close"
"#;

/// Does nothing for a while.
pub(super) const IDLE: &str = r#"
about = "One server is loaded, and nothing is asked of the loader for a while."
revisions = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"]
servers = [{ name = "odd", script = "SCRIPT" }]
[[step]]
do = "load"
[[step]]
do = "call"
server = "odd"
[[step]]
do = "wait"
for = "400ms"
[[step]]
do = "close"
"#;

/// Loads and closes in two tasks.
pub(super) const TWO_TASKS: &str = r#"
about = "One task loads a server, and another closes it."
revisions = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"]
servers = [{ name = "odd", script = "SCRIPT" }]
[[step]]
do = "load"
in = "task:a"
[[step]]
do = "call"
server = "odd"
in = "task:a"
[[step]]
do = "close"
in = "task:b"
"#;

/// Loads, and gets SIGTERM.
pub(super) const TERM: &str = r#"
about = "The program gets SIGTERM while a server is loaded."
revisions = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"]
servers = [{ name = "odd", script = "SCRIPT" }]
[[step]]
do = "load"
[[step]]
do = "call"
server = "odd"
[[step]]
do = "signal"
signal = "TERM"
"#;

/// Loads and exits without a close.
pub(super) const EXIT: &str = r#"
about = "The program ends without cleanup."
revisions = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"]
servers = [{ name = "odd", script = "SCRIPT" }]
[[step]]
do = "load"
[[step]]
do = "call"
server = "odd"
[[step]]
do = "exit"
"#;

/// Closes twice, and loads after that.
pub(super) const CLOSE_TWICE: &str = r#"
about = "One server is loaded, closed twice, and loaded again."
revisions = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"]
servers = [{ name = "odd", script = "SCRIPT" }]
[[step]]
do = "load"
[[step]]
do = "call"
server = "odd"
[[step]]
do = "close"
[[step]]
do = "close"
[[step]]
do = "load"
[[step]]
do = "call"
server = "odd"
[[step]]
do = "close"
"#;

/// Calls a server that dies at its gate.
pub(super) const DIES: &str = r#"
about = "A server is killed during a call."
revisions = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"]
servers = [{ name = "odd", script = "SCRIPT" }]
[[step]]
do = "load"
[[step]]
do = "call"
server = "odd"
as = "first"
until = "in-flight"
in = "task:a"
[[step]]
do = "wait"
gate = "before-answer"
[[step]]
do = "open-gate"
gate = "before-answer"
[[step]]
do = "wait"
operation = "first"
[[step]]
do = "close"
"#;

/// Calls an odd server and one beside it.
pub(super) const BESIDE: &str = r#"
about = "An odd server and a conforming one are loaded and called."
revisions = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"]
servers = [{ name = "odd", script = "SCRIPT" }, { name = "search", script = "polite" }]
[[step]]
do = "load"
[[step]]
do = "call"
server = "odd"
[[step]]
do = "call"
server = "search"
[[step]]
do = "close"
"#;

/// Calls a server that answers late.
pub(super) const LATE: &str = r#"
about = "A call is answered late."
revisions = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"]
servers = [{ name = "odd", script = "SCRIPT" }]
[[step]]
do = "load"
[[step]]
do = "call"
server = "odd"
as = "first"
until = "in-flight"
in = "task:a"
[[step]]
do = "wait"
gate = "before-answer"
[[step]]
do = "open-gate"
gate = "before-answer"
[[step]]
do = "wait"
operation = "first"
[[step]]
do = "close"
"#;

/// Closes and exits.
pub(super) const CLOSE_EXIT: &str = r#"
about = "One server is loaded and closed, and the program ends."
revisions = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"]
servers = [{ name = "odd", script = "SCRIPT" }]
[[step]]
do = "load"
[[step]]
do = "call"
server = "odd"
[[step]]
do = "close"
[[step]]
do = "exit"
"#;

/// Loads a server that cannot be loaded beside one that can.
pub(super) const BESIDE_DEAD: &str = r#"
about = "A server that cannot be loaded and a conforming one are loaded, and the latter is called."
revisions = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"]
servers = [{ name = "odd", script = "SCRIPT" }, { name = "search", script = "polite" }]
[[step]]
do = "load"
[[step]]
do = "call"
server = "search"
[[step]]
do = "close"
"#;
