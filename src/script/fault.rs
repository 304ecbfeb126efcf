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
        explain: "`\"drop\"`, for a request, and over HTTP for `get` and `delete`. The connection stays usable. Over HTTP \
                  the exchange stays open until its client gives it up or its session ends.",
    },
    FaultInfo {
        id: "answer-error",
        about: "answers a request with an error of its choice",
        impairs: Impairs::Answers,
        explain: "`{ answer-error = { code = -32000, message = \"out of order\" } }`, for a request; with `data = …` beside them where \
                  an error has such.",
    },
    FaultInfo {
        id: "duplicate",
        about: "answers a request twice",
        impairs: Impairs::Answers,
        explain: "`\"duplicate\"`, for a request: the honest answer, and the same bytes again. Over HTTP both come as \
                  events of one stream.",
    },
    FaultInfo {
        id: "answer-anyway",
        about: "answers a request although it was cancelled",
        impairs: Impairs::Timing,
        explain: "`{ hold = \"late\" }, \"answer-anyway\"`, for a request: the honest answer, also when the client has cancelled the \
                  request meanwhile. Servers may do so, and a client passes such an answer over. Over HTTP it needs an exchange that \
                  is still open.",
    },
    FaultInfo {
        id: "unknown-id",
        about: "answers a request under an id that nobody has asked with",
        impairs: Impairs::Answers,
        explain: "`\"unknown-id\"`, for a request: the honest answer, its id a million higher, or `-1000000` behind it. The request \
                  itself is never answered. A client passes such an answer over; it must not take it for another request's.",
    },
    FaultInfo {
        id: "converted-id",
        about: "answers a request under an id of the other kind: a number as a string",
        impairs: Impairs::Answers,
        explain: "`\"converted-id\"`, for a request: 7 becomes \"7\", and a string becomes 0. To JSON-RPC these are two ids, so \
                  the request itself is never answered; some servers do this with every id.",
    },
    FaultInfo {
        id: "null-id",
        about: "answers a request under the id null",
        impairs: Impairs::Answers,
        explain: "`\"null-id\"`, for a request. JSON-RPC has this id for errors about what could not be read; the protocol \
                  forbids it. The request itself is never answered.",
    },
    FaultInfo {
        id: "result-and-error",
        about: "answers a request with a result and with an error",
        impairs: Impairs::Answers,
        explain: "`\"result-and-error\"`, for a request: the honest answer, and an error of code -32000 beside its result; where the \
                  honest answer is an error, an empty result beside that. A client may take either, or fail; it may not hang.",
    },
    FaultInfo {
        id: "no-result",
        about: "answers a request with neither a result nor an error",
        impairs: Impairs::Answers,
        explain: "`\"no-result\"`, for a request: `{\"jsonrpc\":\"2.0\",\"id\":7}`. The one who asked has to be told that it failed.",
    },
    FaultInfo {
        id: "no-jsonrpc",
        about: "answers a request without saying that it is JSON-RPC 2.0",
        impairs: Impairs::Answers,
        explain: "`\"no-jsonrpc\"`, for a request: the honest answer without its member `jsonrpc`.",
    },
    FaultInfo {
        id: "answer-result",
        about: "answers a request with a result of its choice",
        impairs: Impairs::Answers,
        explain: "`{ answer-result = { tools = \"none\" } }`, for a request: exactly this result, also where the honest answer is \
                  an error.",
    },
    FaultInfo {
        id: "alter-result",
        about: "answers a request with some members of the result changed",
        impairs: Impairs::Answers,
        explain: "`{ alter-result = { protocolVersion = \"1999-01-01\" } }`, for a request: the honest result with these members \
                  in place of its own, or beside them. An answer that is an error stays as it is.",
    },
    FaultInfo {
        id: "ask",
        about: "sends a request of the server's own",
        impairs: Impairs::Timing,
        explain: "`{ ask = \"ping\" }`, on any occasion: a request with this method and without parameters. The ids of such requests \
                  are 0, 1, 2 and so on. Over HTTP it goes to the stream of the session, as a notification does. Whatever a \
                  client answers is on record. It may come before the answer to `initialize`, where only a ping is allowed.",
    },
    FaultInfo {
        id: "carriage-return",
        about: "ends the line of an answer as other systems do",
        impairs: Impairs::Timing,
        explain: "`\"carriage-return\"`, for a request: the honest answer, `\\r\\n`. JSON takes a carriage return for white space, so a \
                  client that reads lines has to understand it.",
    },
    FaultInfo {
        id: "byte-order-mark",
        about: "writes a byte order mark before an answer",
        impairs: Impairs::Answers,
        explain: "`\"byte-order-mark\"`, for a request: `ef bb bf` and the honest answer. A client may pass the mark over or fail \
                  the request; it may not hang.",
    },
    FaultInfo {
        id: "split",
        about: "writes an answer byte by byte",
        impairs: Impairs::Timing,
        explain: "`\"split\"`, for a request: the honest answer, each byte written by itself. What a client reads at once is no message.",
    },
    FaultInfo {
        id: "half-line",
        about: "writes half of an answer, and no line end",
        impairs: Impairs::Connection,
        explain: "`\"half-line\"`, for a request. Nothing is wrong with the connection until more is written: what comes next, if \
                  anything does, is the rest of this line to a client.",
    },
    FaultInfo {
        id: "broken-json",
        about: "writes half of an answer, and a line end",
        impairs: Impairs::Answers,
        explain: "`\"broken-json\"`, for a request: a line that is no JSON. The next line is whole again.",
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
        id: "status",
        about: "answers an HTTP request with a status code of its choice",
        impairs: Impairs::Answers,
        explain: "`{ status = 405 }`, from 400 to 599, for a request, a notification, `get` and `delete`. The session goes \
                  on. On `get` it impairs no answer, on `delete` only the end.",
    },
    FaultInfo {
        id: "content-type",
        about: "answers an HTTP request with a body of another type",
        impairs: Impairs::Answers,
        explain: "`{ content-type = \"text/html\" }`, for a request: the honest answer under this type, as a proxy answers that has \
                  something to say of its own. A client fails the request; the session goes on.",
    },
    FaultInfo {
        id: "expire-session",
        about: "ends the session: its id is unknown from now on, and its streams end",
        impairs: Impairs::Connection,
        explain: "`\"expire-session\"`, of the connection on which the rule acts; on `start` and `signal`, of all that \
                  there are. Every HTTP request that names the session is answered with 404 from then on, those that \
                  wait for an answer as well; its streams end in order. A client has to open a new session.",
    },
    FaultInfo {
        id: "end-stream",
        about: "ends a stream of events in order",
        impairs: Impairs::Timing,
        explain: "`\"end-stream\"`: that of the request itself where `sse` or `answer` has begun one, otherwise the stream \
                  that the session's GET opened. The session goes on: either side may close that stream at any time.",
    },
    FaultInfo {
        id: "cut-stream",
        about: "closes the socket of a stream of events in the middle",
        impairs: Impairs::Timing,
        explain: "`\"cut-stream\"`: as end-stream, but the body of the response is never completed.",
    },
    FaultInfo {
        id: "reset",
        about: "resets the TCP socket of an HTTP request",
        impairs: Impairs::Answers,
        explain: "`\"reset\"`, for a request, a notification, `get` and `delete`: the client sees a reset connection and no \
                  answer. The session goes on.",
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
