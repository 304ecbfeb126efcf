//! The scenarios of loaders: each has one server called `odd`, whose script is the stage's.

/// The text of a scenario with these steps: of one server, or of one and a conforming one `beside`. One that is `held` begins with a
/// load and a call that the script holds at gate `before-answer`.
macro_rules! scenario {
    ($about:literal, held, $($step:tt)+) => {
        scenario!(
            $about,
            ("load")
            ("call", server = "odd", as = "first", until = "in-flight", in = "task:a")
            ("wait", gate = "before-answer")
            $($step)+
        )
    };
    ($about:literal, beside $server:literal, $($step:tt)+) => {
        scenario!(@ $about, ", { name = \"", $server, "\", script = \"polite\" }", $($step)+)
    };
    ($about:literal, $($step:tt)+) => { scenario!(@ $about, "", "", "", $($step)+) };
    (@ $about:literal, $open:literal, $server:literal, $close:literal, $($step:tt)+) => {
        concat!(
            "about = \"", $about, "\"\n",
            "revisions = [\"2024-11-05\", \"2025-03-26\", \"2025-06-18\", \"2025-11-25\", \"2026-07-28\"]\n",
            "servers = [{ name = \"odd\", script = \"SCRIPT\" }", $open, $server, $close, "]\n",
            $("[[step]]\n", step!$step, "\n"),+
        )
    };
}

/// One step: what to do, and its fields.
macro_rules! step {
    ($do:literal $(, $field:ident = $value:literal)*) => {
        concat!("do = \"", $do, "\"" $(, "\n", stringify!($field), " = \"", $value, "\"")*)
    };
}

/// Loads, calls twice and closes.
pub(super) const CALLS: &str = scenario!(
    "One server is loaded, called twice and closed.",
    ("load")("call", server = "odd")("call", server = "odd")("close")
);

/// Loads a server that cannot be loaded, and closes.
pub(super) const LOAD: &str = scenario!("One server is loaded and closed.", ("load")("close"));

/// Two calls in flight at once.
pub(super) const TWO_CALLS: &str = scenario!(
    "Two tasks call one server at once.",
    ("load")
    ("call", server = "odd", as = "first", until = "in-flight", in = "task:a")
    ("call", server = "odd", in = "task:b")
    ("wait", operation = "first")
    ("close")
);

/// Cancels a call that the script `hold-call` holds.
pub(super) const CANCEL: &str = scenario!(
    "A call is cancelled in flight, and the next one is answered.",
    held,
    ("cancel", operation = "first")("wait", operation = "first")("open-gate", gate = "before-answer")(
        "call",
        server = "odd"
    )("close")
);

/// Cancels a call that the script `hold-call` holds forever.
pub(super) const LEFT: &str = scenario!(
    "A call is cancelled in flight and never answered, the next one is answered, and nothing is asked for a while.", held,
    ("cancel", operation = "first")
    ("wait", operation = "first")
    ("call", server = "odd")
    ("wait", for = "2s")
    ("close")
);

/// Loads twice.
pub(super) const AGAIN: &str = scenario!(
    "One server is loaded, called, loaded again and called again.",
    ("load")("call", server = "odd")("rerun")("call", server = "odd")("close")
);

/// Does nothing for a while.
pub(super) const IDLE: &str = scenario!(
    "One server is loaded, and nothing is asked of the loader for a while.",
    ("load")
    ("call", server = "odd")
    ("wait", for = "400ms")
    ("close")
);

/// Loads and closes in two tasks.
pub(super) const TWO_TASKS: &str = scenario!(
    "One task loads a server, and another closes it.",
    ("load", in = "task:a")
    ("call", server = "odd", in = "task:a")
    ("close", in = "task:b")
);

/// Loads, and gets SIGTERM.
pub(super) const TERM: &str = scenario!(
    "The program gets SIGTERM while a server is loaded.",
    ("load")("call", server = "odd")("signal", signal = "TERM")
);

/// Loads and exits without a close.
pub(super) const EXIT: &str = scenario!("The program ends without cleanup.", ("load")("call", server = "odd")("exit"));

/// Closes twice, and loads after that.
pub(super) const CLOSE_TWICE: &str = scenario!(
    "One server is loaded, closed twice, and loaded again.",
    ("load")("call", server = "odd")("close")("close")("load")("call", server = "odd")("close")
);

/// Calls an odd server and one beside it.
pub(super) const BESIDE: &str = scenario!(
    "An odd server and a conforming one are loaded and called.", beside "search",
    ("load")
    ("call", server = "odd")
    ("call", server = "search")
    ("close")
);

/// Lets a call go on that was held: its server answers late, or dies.
pub(super) const HELD: &str = scenario!(
    "A call is held, and goes on.",
    held,
    ("open-gate", gate = "before-answer")("wait", operation = "first")("close")
);

/// Lets a call go on that was held, once its server has read everything that was sent before a second call.
pub(super) const HELD_BESIDE: &str = scenario!(
    "A call is held, another is made on the same connection, and the first goes on.",
    held,
    ("call", server = "odd")("open-gate", gate = "before-answer")("wait", operation = "first")("close")
);

/// Cancels a call that the server still answers, and makes two more calls, one of which may get the late answer.
pub(super) const CANCELLED_LATE: &str = scenario!(
    "A call is cancelled and answered late.",
    held,
    ("cancel", operation = "first")("open-gate", gate = "before-answer")("call", server = "odd")(
        "call",
        server = "odd"
    )("close")
);

/// Closes and exits.
pub(super) const CLOSE_EXIT: &str = scenario!(
    "One server is loaded and closed, and the program ends.",
    ("load")("call", server = "odd")("close")("exit")
);

/// Closes, and goes on for a while.
pub(super) const CLOSE_WAIT: &str = scenario!(
    "One server is loaded and closed, and the program goes on for a while.",
    ("load")
    ("call", server = "odd")
    ("close")
    ("wait", for = "600ms")
);

/// Loads a server that cannot be loaded beside one that can.
pub(super) const BESIDE_DEAD: &str = scenario!(
    "A server that cannot be loaded and a conforming one are loaded, and the latter is called.", beside "search",
    ("load")
    ("call", server = "search")
    ("close")
);
