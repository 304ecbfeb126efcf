//! Faults of lines, and of the pipes under them.

use crate::history::Impact;
use crate::script::fault::info::FaultInfo;

pub(super) const ROWS: &[FaultInfo] = &[
    FaultInfo {
        id: "carriage-return",
        about: "ends the line of an answer with a carriage return as well",
        impairs: Impact::Timing,
        explain: "`\"carriage-return\"`, for a request: the conforming answer, `\\r\\n`. JSON treats a carriage return as white space, so a client that reads lines must understand it.",
    },
    FaultInfo {
        id: "byte-order-mark",
        about: "writes a byte order mark before an answer",
        impairs: Impact::Answers,
        explain: "`\"byte-order-mark\"`, for a request: `ef bb bf` and the conforming answer. A client may ignore \
                  the mark or fail the request; it must not hang.",
    },
    FaultInfo {
        id: "split",
        about: "writes an answer byte by byte",
        impairs: Impact::Timing,
        explain: "`\"split\"`, for a request: the conforming answer, each byte written by itself, and over a pipe \
                  read by itself. No single read of the client has a whole message.",
    },
    FaultInfo {
        id: "half-line",
        about: "writes half of an answer, without a line end",
        impairs: Impact::Connection,
        explain: "`\"half-line\"`, for a request. The connection is intact until the server writes more: the client \
                  reads the next bytes as the rest of this line.",
    },
    FaultInfo {
        id: "broken-json",
        about: "writes half of an answer, with a line end",
        impairs: Impact::Answers,
        explain: "`\"broken-json\"`, for a request: a line that is not JSON. The next line is intact.",
    },
    FaultInfo {
        id: "blank-lines",
        about: "writes empty lines before an answer",
        impairs: Impact::Answers,
        explain: "`{ blank-lines = 3 }`, for a request: this many line ends, then the conforming answer. They are \
                  not messages; a client ignores them or fails the request.",
    },
    FaultInfo {
        id: "bad-utf8",
        about: "writes an answer that is not UTF-8",
        impairs: Impact::Answers,
        explain: "`\"bad-utf8\"`, for a request: the conforming answer with a byte `ff` in its last string. The next \
                  line is intact.",
    },
    FaultInfo {
        id: "glued",
        about: "writes an answer and another message in one line",
        impairs: Impact::Answers,
        explain: "`\"glued\"`, for a request: the conforming answer, followed by `notifications/tools/list_changed` \
                  before the line end.",
    },
    FaultInfo {
        id: "pretty",
        about: "writes an answer over several lines",
        impairs: Impact::Answers,
        explain: "`\"pretty\"`, for a request: the conforming answer pretty-printed. None of its lines is a message.",
    },
    FaultInfo {
        id: "length-header",
        about: "writes an answer after a length header, as language servers do",
        impairs: Impact::Connection,
        explain: "`\"length-header\"`, for a request: `Content-Length: 81`, an empty line, and the conforming answer \
                  without a line end. The next bytes continue that line.",
    },
    FaultInfo {
        id: "noise",
        about: "writes a line that is not a message",
        impairs: Impact::Connection,
        explain: "`{ noise = \"Server ready!\" }`: the text and a line end. A client may ignore it or close the \
                  connection cleanly; it must not hang.",
    },
    FaultInfo {
        id: "noise-flood",
        about: "writes many lines that are not messages",
        impairs: Impact::Connection,
        explain: "`{ noise-flood = 1000 }`, at most 100000 lines. As `noise`: a client may close the connection \
                  cleanly; it must not hang.",
    },
    FaultInfo {
        id: "bytes",
        about: "writes bytes of its choice",
        impairs: Impact::Connection,
        explain: "`{ bytes = \"ff fe 0a\" }`: exactly these, in hexadecimal.",
    },
    FaultInfo {
        id: "endless-line",
        about: "writes a line without an end",
        impairs: Impact::Connection,
        explain: "`{ endless-line = 8388608 }`, at most 64 MiB: this many bytes without a line end. The next bytes \
                  continue this line. A client must not keep all of it.",
    },
    FaultInfo {
        id: "close-stdout",
        about: "closes its output and continues to read",
        impairs: Impact::Connection,
        explain: "`\"close-stdout\"`. The server sends nothing more; the process ends with its input.",
    },
    FaultInfo {
        id: "close-stdin",
        about: "closes its input and stays alive",
        impairs: Impact::Connection,
        explain: "`\"close-stdin\"`. Further writes of the client fail. The process cannot observe the end of its \
                  input: a signal ends it.",
    },
];
