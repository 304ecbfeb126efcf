//! Faults of messages: over whatever carries them.

use super::FaultInfo;
use crate::history::Impact;

pub(super) const ROWS: &[FaultInfo] = &[
    FaultInfo {
        id: "hold",
        about: "holds what follows until a gate is opened",
        impairs: Impact::Timing,
        explain: "`{ hold = \"before-answer\" }`. Holds this action only: other messages, EOF and signals are handled \
                  meanwhile. A gate that is open already holds nothing; a gate stays open.",
    },
    FaultInfo {
        id: "delay",
        about: "waits before what follows",
        impairs: Impact::Timing,
        explain: "`{ delay = \"250ms\" }`, at most 60s. Holds this action only. Prefer a gate: it needs no clock.",
    },
    FaultInfo {
        id: "drop",
        about: "never answers a request",
        impairs: Impact::Answers,
        explain: "`\"drop\"`, for a request, and over HTTP for `get` and `delete`. The connection stays usable. Over \
                  HTTP the exchange stays open until its client gives it up or its session ends. A server of the legacy \
                  era that is silent on `server/discover` is expected to be opened all the same.",
    },
    FaultInfo {
        id: "answer-error",
        about: "answers a request with an error of its choice",
        impairs: Impact::Answers,
        explain: "`{ answer-error = { code = -32000, message = \"out of order\" } }`, for a request. On \
                  `server/discover`, a server of the legacy era is expected to be opened all the same, and one of the \
                  modern era that refuses once and names the revision.",
    },
    FaultInfo {
        id: "duplicate",
        about: "answers a request twice",
        impairs: Impact::Answers,
        explain: "`\"duplicate\"`, for a request: the honest answer, and the same bytes again. Over HTTP both come as \
                  events of one stream.",
    },
    FaultInfo {
        id: "answer-anyway",
        about: "answers a request although it was cancelled",
        impairs: Impact::Timing,
        explain: "`{ hold = \"late\" }, \"answer-anyway\"`, for a request: the honest answer, also when the client \
                  has cancelled the request meanwhile. Servers may do so, and a client passes such an answer over. \
                  Over HTTP it needs an exchange that is still open.",
    },
    FaultInfo {
        id: "reorder",
        about: "answers a request after the next one",
        impairs: Impact::Timing,
        explain: "`\"reorder\"`, for a request: holds what follows until another answer of the connection was sent. \
                  Answers may come in any order; a client finds whose they are by their ids.",
    },
    FaultInfo {
        id: "unknown-id",
        about: "answers a request under an id that nobody has asked with",
        impairs: Impact::Answers,
        explain: "`\"unknown-id\"`, for a request: the honest answer, its id a million higher, or `-1000000` behind \
                  it. The request itself is never answered. A client passes such an answer over; it must not take it \
                  for another request's.",
    },
    FaultInfo {
        id: "converted-id",
        about: "answers a request under an id of the other kind: a number as a string",
        impairs: Impact::Answers,
        explain: "`\"converted-id\"`, for a request: 7 becomes \"7\", and a string becomes 0. To JSON-RPC these are \
                  two ids, so the request itself is never answered; some servers do this with every id.",
    },
    FaultInfo {
        id: "float-id",
        about: "answers a request under its id as a fraction",
        impairs: Impact::Answers,
        explain: "`\"float-id\"`, for a request: 7 becomes 7.0, and a string becomes 0.5. To JSON these are the same \
                  number; to a reader that keeps ids as text or as whole numbers they are not.",
    },
    FaultInfo {
        id: "null-id",
        about: "answers a request under the id null",
        impairs: Impact::Answers,
        explain: "`\"null-id\"`, for a request. JSON-RPC has this id for errors about what could not be read; the \
                  protocol forbids it. The request itself is never answered.",
    },
    FaultInfo {
        id: "result-and-error",
        about: "answers a request with a result and with an error",
        impairs: Impact::Answers,
        explain: "`\"result-and-error\"`, for a request: the honest answer, and an error of code -32000 beside its \
                  result; where the honest answer is an error, an empty result beside that. A client may take either, \
                  or fail; it may not hang.",
    },
    FaultInfo {
        id: "no-result",
        about: "answers a request with neither a result nor an error",
        impairs: Impact::Answers,
        explain: "`\"no-result\"`, for a request: `{\"jsonrpc\":\"2.0\",\"id\":7}`. The one who asked has to be told \
                  that it failed.",
    },
    FaultInfo {
        id: "odd-error",
        about: "answers a request with an error that is a text",
        impairs: Impact::Answers,
        explain: "`\"odd-error\"`, for a request: `{\"jsonrpc\":\"2.0\",\"id\":7,\"error\":\"something went \
                  wrong\"}`, without a code. The one who asked has to be told that it failed.",
    },
    FaultInfo {
        id: "no-jsonrpc",
        about: "answers a request without saying that it is JSON-RPC 2.0",
        impairs: Impact::Answers,
        explain: "`\"no-jsonrpc\"`, for a request: the honest answer without its member `jsonrpc`.",
    },
    FaultInfo {
        id: "extra-member",
        about: "answers a request with a member beside those of JSON-RPC",
        impairs: Impact::Answers,
        explain: "`\"extra-member\"`, for a request: the honest answer, and `trace` beside its result. Servers behind \
                  a gateway send such things.",
    },
    FaultInfo {
        id: "batch",
        about: "answers a request with a batch of one",
        impairs: Impact::Answers,
        explain: "`\"batch\"`, for a request: the honest answer in a list. Revision 2025-03-26 alone has batches, and \
                  there a server may answer so where it was asked so.",
    },
    FaultInfo {
        id: "answer-result",
        about: "answers a request with a result of its choice",
        impairs: Impact::Answers,
        explain: "`{ answer-result = { tools = \"none\" } }`, for a request: exactly this result, also where the \
                  honest answer is an error.",
    },
    FaultInfo {
        id: "alter-result",
        about: "answers a request with some members of the result changed",
        impairs: Impact::Answers,
        explain: "`{ alter-result = { protocolVersion = \"1999-01-01\" } }`, for a request: the honest result with \
                  these members in place of its own, or beside them. An answer that is an error stays as it is.",
    },
    FaultInfo {
        id: "omit-result",
        about: "answers a request with some members of the result left out",
        impairs: Impact::Answers,
        explain: "`{ omit-result = [\"tools\"] }`, for a request: the honest result without these members. An answer \
                  that is an error stays as it is.",
    },
    FaultInfo {
        id: "echo-version",
        about: "agrees to whatever revision the client offered",
        impairs: Impact::Answers,
        explain: "`\"echo-version\"`, for `initialize`: the answer names the revision of the request, also one that \
                  this server does not speak. Careless servers do so, and what follows is a conversation in no \
                  revision.",
    },
    FaultInfo {
        id: "deep",
        about: "answers a request with lists in lists, very deep",
        impairs: Impact::Connection,
        explain: "`{ deep = 10000 }`, for a request, at most 100000: the honest answer, with so many lists in each \
                  other in its `_meta`. A reader that goes down one call a level runs out of stack.",
    },
    FaultInfo {
        id: "pad",
        about: "answers a request with a very long message",
        impairs: Impact::Connection,
        explain: "`{ pad = 67108864 }`, for a request, at most 64 MiB: the honest answer, with a text of so many \
                  bytes in its `_meta`. A client may refuse it; it may not hang, and not keep it.",
    },
    FaultInfo {
        id: "ask",
        about: "sends a request of the server's own",
        impairs: Impact::Timing,
        explain: "`{ ask = \"ping\" }`, on any occasion: a request with this method and without parameters. The ids \
                  of such requests are 0, 1, 2 and so on. Over HTTP it goes to the stream of the session, as a \
                  notification does. Whatever a client answers is on record. It may come before the answer to \
                  `initialize`, where only a ping is allowed.",
    },
    FaultInfo {
        id: "ask-with",
        about: "sends a request of the server's own, with parameters",
        impairs: Impact::Timing,
        explain: "`{ ask-with = { method = \"sampling/createMessage\", params = { messages = [], maxTokens = 1 } } \
                  }`, on any occasion: as `ask`. A client that has not announced what is asked for refuses it.",
    },
    FaultInfo {
        id: "ask-again",
        about: "sends a request of the server's own under an id that it has used before",
        impairs: Impact::Timing,
        explain: "`{ ask-again = \"ping\" }`, on any occasion: as `ask`, under the id of the one before. A client \
                  answers both.",
    },
    FaultInfo {
        id: "notify-many",
        about: "sends a notification many times",
        impairs: Impact::Timing,
        explain: "`{ notify-many = { method = \"notifications/tools/list_changed\", times = 200 } }`, on any \
                  occasion, at most 100000 times, with `params` where it has some. A client that lists the tools after each of them does nothing else \
                  any more.",
    },
    FaultInfo {
        id: "progress",
        about: "reports progress of a request",
        impairs: Impact::Timing,
        explain: "`{ progress = 3 }`, for a request, so many times: with the token of the request, or with its id \
                  where the client asked for no progress. Over HTTP the response becomes a stream with it. After \
                  `answer` it comes too late.",
    },
    FaultInfo {
        id: "progress-forever",
        about: "reports progress of a request for ever, and never answers it",
        impairs: Impact::Answers,
        explain: "`{ progress-forever = \"20ms\" }`, for a request: a report each time, until the client cancels it \
                  or leaves. Progress may give a call more time; a bound of all of it there has to be.",
    },
    FaultInfo {
        id: "cancel-request",
        about: "cancels a request of the client",
        impairs: Impact::Answers,
        explain: "`\"cancel-request\"`, for a request: `notifications/cancelled` with its id, which only its sender \
                  may send. What follows is done: an answer, or `drop`.",
    },
    FaultInfo {
        id: "stray-answer",
        about: "sends an answer that nobody has asked for",
        impairs: Impact::Timing,
        explain: "`{ stray-answer = 424242 }`, on any occasion: an empty result under this id. Over HTTP on the \
                  stream of the session. A client passes it over.",
    },
    FaultInfo {
        id: "stray-error",
        about: "sends an error about something that it could not read",
        impairs: Impact::Answers,
        explain: "`\"stray-error\"`, on any occasion: code -32700 under the id null. It belongs to no request, and a \
                  client can not tell what it was about.",
    },
];
