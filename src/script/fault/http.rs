//! Faults of HTTP: its responses, its sockets, its streams and its sessions.

use super::FaultInfo;
use crate::history::Impact;

pub(super) const ROWS: &[FaultInfo] = &[
    FaultInfo {
        id: "status",
        about: "answers an HTTP request with a status code of its choice",
        impairs: Impact::Answers,
        explain: "`{ status = 405 }`, from 400 to 599, for a request, a notification, `get` and `delete`. The session \
                  goes on. On `get` it impairs no answer, on `delete` only the end.",
    },
    FaultInfo {
        id: "bare-status",
        about: "answers an HTTP request with a status code and an empty body",
        impairs: Impact::Answers,
        explain: "`{ bare-status = 400 }`, from 400 to 599: as `status`, without the error that honest servers send.",
    },
    FaultInfo {
        id: "unauthorized",
        about: "answers an HTTP request with 401 and a challenge",
        impairs: Impact::Answers,
        explain: "`\"unauthorized\"`, for a request, a notification, `get` and `delete`: as a server does whose token \
                  has expired.",
    },
    FaultInfo {
        id: "retry-after",
        about: "answers an HTTP request with 429",
        impairs: Impact::Answers,
        explain: "`{ retry-after = 1 }`, with that many seconds in its header: a client that comes back earlier, or \
                  for ever, is one too many.",
    },
    FaultInfo {
        id: "redirect",
        about: "redirects an HTTP request to a path that is not served",
        impairs: Impact::Answers,
        explain: "`{ redirect = 307 }`, one of 301, 302, 303, 307 and 308. A client that follows it finds 404 there, \
                  and may not take that for a lost session.",
    },
    FaultInfo {
        id: "redirect-loop",
        about: "redirects an HTTP request to where it came",
        impairs: Impact::Answers,
        explain: "`{ redirect-loop = 308 }`: a client that follows it has to stop some time.",
    },
    FaultInfo {
        id: "content-type",
        about: "answers an HTTP request with a body of another type",
        impairs: Impact::Answers,
        explain: "`{ content-type = \"text/html\" }`, for a request: the honest answer under this type, as a proxy \
                  answers that has something to say of its own. A client fails the request; the session goes on.",
    },
    FaultInfo {
        id: "empty-body",
        about: "answers an HTTP request with nothing, as JSON",
        impairs: Impact::Answers,
        explain: "`\"empty-body\"`, for a request: status 200, `application/json`, and no byte. A client fails the \
                  request; the session goes on.",
    },
    FaultInfo {
        id: "accepted",
        about: "takes a request as if it were a notification",
        impairs: Impact::Answers,
        explain: "`\"accepted\"`, for a request: status 202, and the answer never comes.",
    },
    FaultInfo {
        id: "accepted-body",
        about: "takes a notification with a body",
        impairs: Impact::Answers,
        explain: "`\"accepted-body\"`, for a notification: status 202 with `{}`. Honest servers send nothing there.",
    },
    FaultInfo {
        id: "wrong-stream",
        about: "gives the answer to a POST on another stream",
        impairs: Impact::Answers,
        explain: "`\"wrong-stream\"`, for a request: status 202, and the honest answer on the stream that the \
                  session's GET opened.",
    },
    FaultInfo {
        id: "trickle",
        about: "gives the answer to an HTTP request byte by byte",
        impairs: Impact::Timing,
        explain: "`\"trickle\"`, for a request: the honest answer, each byte a chunk of its own.",
    },
    FaultInfo {
        id: "truncate-chunk",
        about: "closes the socket in the middle of a chunk",
        impairs: Impact::Answers,
        explain: "`\"truncate-chunk\"`, for a request: a chunk that says how long the answer is, half of it, and the \
                  end. The session goes on.",
    },
    FaultInfo {
        id: "long-length",
        about: "promises more of a body than there is",
        impairs: Impact::Answers,
        explain: "`\"long-length\"`, for a request: the honest answer, a content-length that is 64 too high, and the \
                  end.",
    },
    FaultInfo {
        id: "short-length",
        about: "promises less of a body than there is",
        impairs: Impact::Answers,
        explain: "`\"short-length\"`, for a request: the honest answer under half of its length. What is left over \
                  belongs to no response.",
    },
    FaultInfo {
        id: "stalled-head",
        about: "begins a response and never ends its head",
        impairs: Impact::Answers,
        explain: "`\"stalled-head\"`, for a request, a notification, `get` and `delete`: the status line and half of \
                  a header. It is over when the client leaves.",
    },
    FaultInfo {
        id: "stalled-body",
        about: "begins a body and never ends it",
        impairs: Impact::Answers,
        explain: "`\"stalled-body\"`, for a request: a whole head, half of the honest answer, and silence. It is over \
                  when the client leaves.",
    },
    FaultInfo {
        id: "half-close",
        about: "closes its side of a socket in the middle of a body",
        impairs: Impact::Answers,
        explain: "`\"half-close\"`, for a request: a whole head, half of the honest answer, and the end of this \
                  direction alone: it still reads.",
    },
    FaultInfo {
        id: "close-after",
        about: "closes a socket that its client may want to keep",
        impairs: Impact::Timing,
        explain: "`\"close-after\"`, for a request: the honest answer, no word of an end, and the end. A client that \
                  sends its next request there has to notice.",
    },
    FaultInfo {
        id: "raw-bytes",
        about: "writes bytes of its choice where a response should be",
        impairs: Impact::Answers,
        explain: "`{ raw-bytes = \"48 49 0a\" }`, for a request, a notification, `get` and `delete`: exactly these, \
                  and the end of the socket.",
    },
    FaultInfo {
        id: "reset",
        about: "resets the TCP socket of an HTTP request",
        impairs: Impact::Answers,
        explain: "`\"reset\"`, for a request, a notification, `get` and `delete`: the client sees a reset connection \
                  and no answer. The session goes on.",
    },
    FaultInfo {
        id: "event-id",
        about: "sends the id of an event",
        impairs: Impact::Timing,
        explain: "`{ event-id = \"7\" }`: on the stream of the request, which begins with it, otherwise on that of \
                  the session. A client that comes back names it in `last-event-id`.",
    },
    FaultInfo {
        id: "retry",
        about: "says how long to wait before a stream is opened again",
        impairs: Impact::Timing,
        explain: "`{ retry = 0 }`, in milliseconds, on a stream as `event-id`. A client may not take 0 for leave to \
                  come back without a pause for ever.",
    },
    FaultInfo {
        id: "comments",
        about: "sends comments on a stream",
        impairs: Impact::Timing,
        explain: "`{ comments = 1000 }`, on a stream as `event-id`: servers keep connections alive with them. They \
                  are nothing.",
    },
    FaultInfo {
        id: "other-event",
        about: "sends an event that is no message",
        impairs: Impact::Timing,
        explain: "`{ other-event = \"ping\" }`, on a stream as `event-id`: its data is JSON and no message. A client \
                  passes it over.",
    },
    FaultInfo {
        id: "data-lines",
        about: "gives an answer as an event of several lines",
        impairs: Impact::Timing,
        explain: "`\"data-lines\"`, for a request: the honest answer over two lines of data, which a client puts \
                  together again.",
    },
    FaultInfo {
        id: "name-session",
        about: "names a session that was never opened",
        impairs: Impact::Timing,
        explain: "`{ name-session = \"s-1\" }`, for a request other than `initialize`, before its answer: as a server or \
                  a gateway does that has not learnt that the modern era has no sessions. It is in the header of the \
                  response alone. A client does not look at it.",
    },
    FaultInfo {
        id: "same-session",
        about: "gives a new session the id of the one before",
        impairs: Impact::Connection,
        explain: "`\"same-session\"`, for `initialize`: two clients are one from here on. The first session has its \
                  own.",
    },
    FaultInfo {
        id: "expire-session",
        about: "ends the session: its id is unknown from now on, and its streams end",
        impairs: Impact::Connection,
        explain: "`\"expire-session\"`, of the connection on which the rule acts; on `start` and `signal`, of all \
                  that there are. Every HTTP request that names the session is answered with 404 from then on, those \
                  that wait for an answer as well; its streams end in order. A client has to open a new session.",
    },
    FaultInfo {
        id: "end-stream",
        about: "ends a stream of events in order",
        impairs: Impact::Timing,
        explain: "`\"end-stream\"`: that of the request itself where `sse` or `answer` has begun one, otherwise the \
                  stream that the session's GET opened. The session goes on: either side may close that stream at any \
                  time. With server-sent events (`sse`) that stream is the connection, and both end.",
    },
    FaultInfo {
        id: "cut-stream",
        about: "closes the socket of a stream of events in the middle",
        impairs: Impact::Timing,
        explain: "`\"cut-stream\"`: as end-stream, but the body of the response is never completed.",
    },
];
