//! Faults of HTTP: its responses, its sockets, its streams and its sessions.

use crate::history::Impact;
use crate::script::fault::info::FaultInfo;

pub(super) const ROWS: &[FaultInfo] = &[
    FaultInfo {
        id: "status",
        about: "answers an HTTP request with a status code of its choice",
        impairs: Impact::Answers,
        explain: "`{ status = 405 }`, from 400 to 599, for a request, a notification, `get` and `delete`. The session continues. On `get` it impairs no answer, and on `delete` only the end.",
    },
    FaultInfo {
        id: "bare-status",
        about: "answers an HTTP request with a status code and an empty body",
        impairs: Impact::Answers,
        explain: "`{ bare-status = 400 }`, from 400 to 599: as `status`, without the error that conforming servers \
                  send.",
    },
    FaultInfo {
        id: "unauthorized",
        about: "answers an HTTP request with 401 and a challenge",
        impairs: Impact::Answers,
        explain: "`\"unauthorized\"`, for a request, a notification, `get` and `delete`: as after the expiry of a \
                  token.",
    },
    FaultInfo {
        id: "retry-after",
        about: "answers an HTTP request with 429",
        impairs: Impact::Answers,
        explain: "`{ retry-after = 1 }`, with that many seconds in its header. A client must not retry earlier, or \
                  forever.",
    },
    FaultInfo {
        id: "redirect",
        about: "redirects an HTTP request to a path that it does not serve",
        impairs: Impact::Answers,
        explain: "`{ redirect = 307 }`, one of 301, 302, 303, 307 and 308. A client that follows it gets 404 there, \
                  and must not treat that as a lost session.",
    },
    FaultInfo {
        id: "redirect-loop",
        about: "redirects an HTTP request to the same path",
        impairs: Impact::Answers,
        explain: "`{ redirect-loop = 308 }`: a client that follows it must stop eventually.",
    },
    FaultInfo {
        id: "content-type",
        about: "answers an HTTP request with a body of another type",
        impairs: Impact::Answers,
        explain: "`{ content-type = \"text/html\" }`, for a request: the conforming answer under this type, like the \
                  page of a proxy. A client fails the request; the session continues.",
    },
    FaultInfo {
        id: "empty-body",
        about: "answers an HTTP request with an empty body of type JSON",
        impairs: Impact::Answers,
        explain: "`\"empty-body\"`, for a request: status 200, `application/json`, and no bytes. A client fails the \
                  request; the session continues.",
    },
    FaultInfo {
        id: "accepted",
        about: "accepts a request like a notification",
        impairs: Impact::Answers,
        explain: "`\"accepted\"`, for a request: status 202, without any answer.",
    },
    FaultInfo {
        id: "accepted-body",
        about: "accepts a notification with a body",
        impairs: Impact::Answers,
        explain: "`\"accepted-body\"`, for a notification: status 202 with `{}`. Conforming servers send no body \
                  there.",
    },
    FaultInfo {
        id: "wrong-stream",
        about: "sends the answer to a POST on another stream",
        impairs: Impact::Answers,
        explain: "`\"wrong-stream\"`, for a request: status 202, and the conforming answer on the stream that the \
                  session's GET opened.",
    },
    FaultInfo {
        id: "trickle",
        about: "sends the answer to an HTTP request byte by byte",
        impairs: Impact::Timing,
        explain: "`\"trickle\"`, for a request: the conforming answer, each byte a chunk of its own.",
    },
    FaultInfo {
        id: "truncate-chunk",
        about: "closes the socket in the middle of a chunk",
        impairs: Impact::Answers,
        explain: "`\"truncate-chunk\"`, for a request: a chunk header with the length of the answer, half of the \
                  answer, and the end. The session continues.",
    },
    FaultInfo {
        id: "long-length",
        about: "announces more bytes of a body than it sends",
        impairs: Impact::Answers,
        explain: "`\"long-length\"`, for a request: the conforming answer, with a content-length that is 64 too \
                  high, and the end.",
    },
    FaultInfo {
        id: "short-length",
        about: "announces fewer bytes of a body than it sends",
        impairs: Impact::Answers,
        explain: "`\"short-length\"`, for a request: the conforming answer with half of its content-length. The \
                  remaining bytes belong to no response.",
    },
    FaultInfo {
        id: "stalled-head",
        about: "begins a response and never ends its head",
        impairs: Impact::Answers,
        explain: "`\"stalled-head\"`, for a request, a notification, `get` and `delete`: the status line and half of \
                  a header. It ends when the client leaves.",
    },
    FaultInfo {
        id: "stalled-body",
        about: "begins a body and never ends it",
        impairs: Impact::Answers,
        explain: "`\"stalled-body\"`, for a request: a complete head, half of the conforming answer, and silence. It \
                  ends when the client leaves.",
    },
    FaultInfo {
        id: "half-close",
        about: "closes its side of a socket in the middle of a body",
        impairs: Impact::Answers,
        explain: "`\"half-close\"`, for a request: a complete head, half of the conforming answer, and the end of \
                  this direction alone: the server still reads.",
    },
    FaultInfo {
        id: "close-after",
        about: "closes a socket that its client may reuse",
        impairs: Impact::Timing,
        explain: "`\"close-after\"`, for a request: the conforming answer, then the end of the socket, which no \
                  header announces. A client that sends its next request there must notice.",
    },
    FaultInfo {
        id: "raw-bytes",
        about: "writes bytes of its choice instead of a response",
        impairs: Impact::Answers,
        explain: "`{ raw-bytes = \"48 49 0a\" }`, for a request, a notification, `get` and `delete`: exactly these, \
                  and then it closes the socket.",
    },
    FaultInfo {
        id: "reset",
        about: "resets the TCP socket of an HTTP request",
        impairs: Impact::Answers,
        explain: "`\"reset\"`, for a request, a notification, `get` and `delete`: the client gets a reset connection \
                  and no answer. The session continues.",
    },
    FaultInfo {
        id: "event-id",
        about: "sends the id of an event",
        impairs: Impact::Timing,
        explain: "`{ event-id = \"7\" }`: on the stream of the request, which begins with it, otherwise on that of \
                  the session. A client that reconnects names it in `last-event-id`.",
    },
    FaultInfo {
        id: "retry",
        about: "sets the reconnection time of a stream",
        impairs: Impact::Timing,
        explain: "`{ retry = 0 }`, in milliseconds, on a stream as `event-id`. With 0, a client must not reconnect \
                  forever without a pause.",
    },
    FaultInfo {
        id: "comments",
        about: "sends comments on a stream",
        impairs: Impact::Timing,
        explain: "`{ comments = 1000 }`, on a stream as `event-id`: servers keep connections alive with them. A \
                  client ignores them.",
    },
    FaultInfo {
        id: "other-event",
        about: "sends an event that is not a message",
        impairs: Impact::Timing,
        explain: "`{ other-event = \"ping\" }`, on a stream as `event-id`: its data is JSON but not a message. A \
                  client ignores it.",
    },
    FaultInfo {
        id: "data-lines",
        about: "sends an answer as an event of several lines",
        impairs: Impact::Timing,
        explain: "`\"data-lines\"`, for a request: the conforming answer over two lines of data, which a client \
                  joins.",
    },
    FaultInfo {
        id: "name-session",
        about: "names a session that it never opened",
        impairs: Impact::Timing,
        explain: "`{ name-session = \"s-1\" }`, for a request other than `initialize`, before its answer: like a \
                  gateway that does not know that the stateless generation has no sessions. Only the header of the \
                  response has it. A client ignores it.",
    },
    FaultInfo {
        id: "same-session",
        about: "gives a new session the id of the previous one",
        impairs: Impact::Connection,
        explain: "`\"same-session\"`, for `initialize`: two clients then share one id. The first session has an id \
                  of its own.",
    },
    FaultInfo {
        id: "expire-session",
        about: "ends the session: its id becomes unknown, and its streams end",
        impairs: Impact::Connection,
        explain: "`\"expire-session\"`, of the connection on which the rule acts; on `start` and `signal`, of all \
                  connections. The server then answers every HTTP request that names the session with 404, even \
                  those that wait for an answer. Its streams end gracefully. A client must open a new session.",
    },
    FaultInfo {
        id: "end-stream",
        about: "ends a stream of events gracefully",
        impairs: Impact::Timing,
        explain: "`\"end-stream\"`: the stream of the request itself if `sse` or `answer` has begun one, otherwise \
                  the stream that the session's GET opened. The session continues: either side may close that stream \
                  at any time. With server-sent events (`sse`) that stream is the connection, and both end.",
    },
    FaultInfo {
        id: "cut-stream",
        about: "closes the socket of a stream of events in the middle",
        impairs: Impact::Timing,
        explain: "`\"cut-stream\"`: as end-stream, but the body of the response stays incomplete.",
    },
];
