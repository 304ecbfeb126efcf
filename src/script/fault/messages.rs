//! Faults of messages, over every framing.

use crate::history::Impact;
use crate::script::fault::info::FaultInfo;

pub(super) const ROWS: &[FaultInfo] = &[
    FaultInfo {
        id: "hold",
        about: "holds the following actions until a gate is opened",
        impairs: Impact::Timing,
        explain: "`{ hold = \"before-answer\" }`. It holds this action only: the server handles other messages, EOF \
                  and signals meanwhile. An open gate holds nothing, and a gate stays open.",
    },
    FaultInfo {
        id: "delay",
        about: "waits before the following actions",
        impairs: Impact::Timing,
        explain: "`{ delay = \"250ms\" }`, at most 60s. Holds this action only. Prefer a gate: it needs no clock.",
    },
    FaultInfo {
        id: "drop",
        about: "never answers a request",
        impairs: Impact::Answers,
        explain: "`\"drop\"`, for a request, and over HTTP for `get` and `delete`. The connection stays usable. Over \
                  HTTP the exchange stays open until its client gives it up or its session ends. A client must still \
                  open a server of the handshake generation that is silent on `server/discover`.",
    },
    FaultInfo {
        id: "answer-error",
        about: "answers a request with an error of its choice",
        impairs: Impact::Answers,
        explain: "`{ answer-error = { code = -32000, message = \"out of order\" } }`, for a request. On \
                  `server/discover`, a client must still open a server of the handshake generation, and one of the \
                  stateless generation that refuses once and names the revision.",
    },
    FaultInfo {
        id: "duplicate",
        about: "answers a request twice",
        impairs: Impact::Answers,
        explain: "`\"duplicate\"`, for a request: the conforming answer, and the same bytes again. Over HTTP both \
                  are events of one stream.",
    },
    FaultInfo {
        id: "answer-anyway",
        about: "answers a request although it was cancelled",
        impairs: Impact::Timing,
        explain: "`{ hold = \"late\" }, \"answer-anyway\"`, for a request: the conforming answer, even if the client \
                  has cancelled the request meanwhile. Servers may do so, and a client ignores the answer. Over HTTP \
                  it needs an exchange that is still open.",
    },
    FaultInfo {
        id: "reorder",
        about: "answers a request after the next one",
        impairs: Impact::Timing,
        explain: "`\"reorder\"`, for a request: holds the following actions until the server has sent another answer \
                  on the connection. Answers may come in any order; a client matches them by their ids.",
    },
    FaultInfo {
        id: "unknown-id",
        about: "answers a request under an id that no request had",
        impairs: Impact::Answers,
        explain: "`\"unknown-id\"`, for a request: the conforming answer, with an id higher by a million, or with \
                  `-1000000` appended. The request itself gets no answer. A client ignores such answers, and must \
                  not match them to another request.",
    },
    FaultInfo {
        id: "converted-id",
        about: "answers a request under an id of the other kind: a number as a string",
        impairs: Impact::Answers,
        explain: "`\"converted-id\"`, for a request: 7 becomes \"7\", and a string becomes 0. In JSON-RPC these are \
                  two ids, so the request itself gets no answer. Some servers do this with every id.",
    },
    FaultInfo {
        id: "float-id",
        about: "answers a request under its id as a fraction",
        impairs: Impact::Answers,
        explain: "`\"float-id\"`, for a request: 7 becomes 7.0, and a string becomes 0.5. In JSON these are the same \
                  number, but not for a reader that keeps ids as text or as integers.",
    },
    FaultInfo {
        id: "null-id",
        about: "answers a request under the id null",
        impairs: Impact::Answers,
        explain: "`\"null-id\"`, for a request. JSON-RPC reserves this id for errors about unreadable messages, and \
                  the protocol forbids it. The request itself gets no answer.",
    },
    FaultInfo {
        id: "result-and-error",
        about: "answers a request with a result and with an error",
        impairs: Impact::Answers,
        explain: "`\"result-and-error\"`, for a request: the conforming answer, and an error of code -32000 next to \
                  its result. If the conforming answer is an error, an empty result next to it. A client may take \
                  either, or fail the request; it must not hang.",
    },
    FaultInfo {
        id: "no-result",
        about: "answers a request with neither a result nor an error",
        impairs: Impact::Answers,
        explain: "`\"no-result\"`, for a request: `{\"jsonrpc\":\"2.0\",\"id\":7}`. The client must report to its \
                  caller that the request failed.",
    },
    FaultInfo {
        id: "odd-error",
        about: "answers a request with an error that is a string",
        impairs: Impact::Answers,
        explain: "`\"odd-error\"`, for a request: `{\"jsonrpc\":\"2.0\",\"id\":7,\"error\":\"something went \
                  wrong\"}`, without a code. The client must report to its caller that the request failed.",
    },
    FaultInfo {
        id: "no-jsonrpc",
        about: "answers a request without the member `jsonrpc`",
        impairs: Impact::Answers,
        explain: "`\"no-jsonrpc\"`, for a request: the conforming answer without its member `jsonrpc`.",
    },
    FaultInfo {
        id: "extra-member",
        about: "answers a request with an additional member",
        impairs: Impact::Answers,
        explain: "`\"extra-member\"`, for a request: the conforming answer, with `trace` next to its result. \
                  Gateways add such members.",
    },
    FaultInfo {
        id: "batch",
        about: "answers a request with a batch of one",
        impairs: Impact::Answers,
        explain: "`\"batch\"`, for a request: the conforming answer in an array. Only revision 2025-03-26 has \
                  batches, and there a server may answer a batch with a batch.",
    },
    FaultInfo {
        id: "answer-result",
        about: "answers a request with a result of its choice",
        impairs: Impact::Answers,
        explain: "`{ answer-result = { tools = \"none\" } }`, for a request: exactly this result, even if the \
                  conforming answer is an error.",
    },
    FaultInfo {
        id: "alter-result",
        about: "answers a request with some members of the result changed",
        impairs: Impact::Answers,
        explain: "`{ alter-result = { protocolVersion = \"1999-01-01\" } }`, for a request: the conforming result \
                  with these members instead of its own, or in addition. An answer that is an error stays unchanged.",
    },
    FaultInfo {
        id: "omit-result",
        about: "answers a request with some members of the result left out",
        impairs: Impact::Answers,
        explain: "`{ omit-result = [\"tools\"] }`, for a request: the conforming result without these members. An \
                  answer that is an error stays unchanged.",
    },
    FaultInfo {
        id: "echo-version",
        about: "agrees to any revision that the client offers",
        impairs: Impact::Answers,
        explain: "`\"echo-version\"`, for `initialize`: the answer names the revision of the request, even one that \
                  this server does not speak. Careless servers do so, and the session then has no valid revision.",
    },
    FaultInfo {
        id: "deep",
        about: "answers a request with deeply nested arrays",
        impairs: Impact::Connection,
        explain: "`{ deep = 10000 }`, for a request, at most 100000: the conforming answer, with arrays of this \
                  depth in its `_meta`. A recursive reader runs out of stack.",
    },
    FaultInfo {
        id: "pad",
        about: "answers a request with a very long message",
        impairs: Impact::Connection,
        explain: "`{ pad = 67108864 }`, for a request, at most 64 MiB: the conforming answer, with a string of this \
                  many bytes in its `_meta`. A client may refuse it, but must neither hang nor keep it.",
    },
    FaultInfo {
        id: "ask",
        about: "sends a request of the server's own",
        impairs: Impact::Timing,
        explain: "`{ ask = \"ping\" }`, at any trigger: a request with this method and without parameters. The ids \
                  of such requests are 0, 1, 2 and so on. Over HTTP it goes to the stream of the session, like a \
                  notification. The journal has the client's answer. The request may precede the answer to \
                  `initialize`, where only a ping is allowed.",
    },
    FaultInfo {
        id: "ask-with",
        about: "sends a request of the server's own, with parameters",
        impairs: Impact::Timing,
        explain: "`{ ask-with = { method = \"sampling/createMessage\", params = { messages = [], maxTokens = 1 } } \
                  }`, at any trigger: as `ask`. A client that has not announced the capability refuses it.",
    },
    FaultInfo {
        id: "ask-again",
        about: "sends a request of the server's own under an id that it has used before",
        impairs: Impact::Timing,
        explain: "`{ ask-again = \"ping\" }`, at any trigger: as `ask`, under the id of the previous one. A client \
                  answers both.",
    },
    FaultInfo {
        id: "notify-many",
        about: "sends a notification many times",
        impairs: Impact::Timing,
        explain: "`{ notify-many = { method = \"notifications/tools/list_changed\", times = 200 } }`, at any \
                  trigger, at most 100000 times, with `params` if it has any. A client that lists the tools after \
                  each of them has no time for anything else.",
    },
    FaultInfo {
        id: "progress",
        about: "reports progress of a request",
        impairs: Impact::Timing,
        explain: "`{ progress = 3 }`, for a request, this many times: with the token of the request, or with its id \
                  if the client requested no progress. Over HTTP the response then becomes a stream. It must come \
                  before `answer`.",
    },
    FaultInfo {
        id: "progress-forever",
        about: "reports progress of a request forever, and never answers it",
        impairs: Impact::Answers,
        explain: "`{ progress-forever = \"20ms\" }`, for a request: a report after each pause, until the client \
                  cancels the request or leaves. Progress may extend the timeout of a call, but a maximum must \
                  remain.",
    },
    FaultInfo {
        id: "cancel-request",
        about: "cancels a request of the client",
        impairs: Impact::Answers,
        explain: "`\"cancel-request\"`, for a request: `notifications/cancelled` with its id, which only the sender \
                  of the request may send. The following actions still run: an answer, or `drop`. After an \
                  `\"answer\"` to `subscriptions/listen` it tears the subscription down, as a server may.",
    },
    FaultInfo {
        id: "stray-answer",
        about: "sends an answer that belongs to no request",
        impairs: Impact::Timing,
        explain: "`{ stray-answer = 424242 }`, at any trigger: an empty result under this id. Over HTTP it goes to \
                  the stream of the session. A client ignores it.",
    },
    FaultInfo {
        id: "stray-error",
        about: "sends an error about a message that it could not read",
        impairs: Impact::Answers,
        explain: "`\"stray-error\"`, at any trigger: code -32700 under the id null. It belongs to no request, and a \
                  client cannot know its cause.",
    },
];
