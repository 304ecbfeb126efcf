//! The faults a script can deliver, by name.

use crate::history::Impairs;

/// One kind of fault: a row of `list faults`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FaultInfo {
    /// Its name in a script; in a history it is followed by what it was told, as in `hold:before-answer`.
    pub id: &'static str,
    /// What it does, in one sentence.
    pub about: &'static str,
    /// What may not be expected of a loader any more once it is delivered.
    pub impairs: Impairs,
    /// How it is written and what to know about it.
    pub explain: &'static str,
}

/// Every fault.
pub const FAULTS: &[FaultInfo] = &[
    FaultInfo {
        id: "hold",
        about: "holds what follows until a gate is opened",
        impairs: Impairs::Timing,
        explain: "`{ hold = \"before-answer\" }`. Holds this action only: other messages, EOF and signals are handled \
                  meanwhile. A gate that is open already holds nothing; a gate stays open.",
    },
    FaultInfo {
        id: "delay",
        about: "waits before what follows",
        impairs: Impairs::Timing,
        explain: "`{ delay = \"250ms\" }`, at most 60s. Holds this action only. Prefer a gate: it needs no clock.",
    },
    FaultInfo {
        id: "drop",
        about: "never answers a request",
        impairs: Impairs::Answers,
        explain: "`\"drop\"`, for a request. The connection stays usable.",
    },
    FaultInfo {
        id: "answer-error",
        about: "answers a request with an error of its choice",
        impairs: Impairs::Answers,
        explain: "`{ answer-error = { code = -32000, message = \"out of order\" } }`, for a request.",
    },
    FaultInfo {
        id: "duplicate",
        about: "answers a request twice",
        impairs: Impairs::Answers,
        explain: "`\"duplicate\"`, for a request: the honest answer, and the same bytes again.",
    },
    FaultInfo {
        id: "noise",
        about: "writes a line that is no message",
        impairs: Impairs::Connection,
        explain: "`{ noise = \"Server ready!\" }`: the text and a line end. A client may pass it over or give up the \
                  connection cleanly; it may not hang.",
    },
    FaultInfo {
        id: "bytes",
        about: "writes bytes of its choice",
        impairs: Impairs::Connection,
        explain: "`{ bytes = \"ff fe 0a\" }`: exactly these, in hexadecimal.",
    },
    FaultInfo {
        id: "close-stdout",
        about: "closes its output and goes on reading",
        impairs: Impairs::Connection,
        explain: "`\"close-stdout\"`. Nothing is sent from here on; the process ends with its input.",
    },
    FaultInfo {
        id: "exit",
        about: "exits with a code, in order",
        impairs: Impairs::Connection,
        explain: "`{ exit = 3 }`: says farewell to the journal and exits.",
    },
    FaultInfo {
        id: "die",
        about: "dies abruptly: by a signal, or with a code",
        impairs: Impairs::Connection,
        explain: "`{ die = { signal = \"KILL\" } }` or `{ die = { code = 101 } }`: no farewell, as in a crash.",
    },
    FaultInfo {
        id: "ignore",
        about: "goes on when its input ends or a signal asks it to end",
        impairs: Impairs::Ending,
        explain: "`\"ignore\"`, for `eof` and `signal`. By nature optional: mark the rule so.",
    },
];

/// The row of a fault, by its id or by its name in a history.
#[must_use]
pub fn fault_info(name: &str) -> Option<&'static FaultInfo> {
    let id = name.split(':').next().unwrap_or(name);
    FAULTS.iter().find(|fault| fault.id == id)
}
