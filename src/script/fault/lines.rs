//! Faults of lines, and of the pipes under them.

use super::FaultInfo;
use crate::history::Impact;

pub(super) const ROWS: &[FaultInfo] = &[
    FaultInfo {
        id: "carriage-return",
        about: "ends the line of an answer as other systems do",
        impairs: Impact::Timing,
        explain: "`\"carriage-return\"`, for a request: the honest answer, `\\r\\n`. JSON takes a carriage return for \
                  white space, so a client that reads lines has to understand it.",
    },
    FaultInfo {
        id: "byte-order-mark",
        about: "writes a byte order mark before an answer",
        impairs: Impact::Answers,
        explain: "`\"byte-order-mark\"`, for a request: `ef bb bf` and the honest answer. A client may pass the mark \
                  over or fail the request; it may not hang.",
    },
    FaultInfo {
        id: "split",
        about: "writes an answer byte by byte",
        impairs: Impact::Timing,
        explain: "`\"split\"`, for a request: the honest answer, each byte written by itself, and over a pipe read by itself. \
                  What a client reads at once is no message.",
    },
    FaultInfo {
        id: "half-line",
        about: "writes half of an answer, and no line end",
        impairs: Impact::Connection,
        explain: "`\"half-line\"`, for a request. Nothing is wrong with the connection until more is written: what \
                  comes next, if anything does, is the rest of this line to a client.",
    },
    FaultInfo {
        id: "broken-json",
        about: "writes half of an answer, and a line end",
        impairs: Impact::Answers,
        explain: "`\"broken-json\"`, for a request: a line that is no JSON. The next line is whole again.",
    },
    FaultInfo {
        id: "blank-lines",
        about: "writes empty lines before an answer",
        impairs: Impact::Answers,
        explain: "`{ blank-lines = 3 }`, for a request: so many line ends, then the honest answer. They are no \
                  messages; a client passes them over or fails the request.",
    },
    FaultInfo {
        id: "bad-utf8",
        about: "writes an answer that is not UTF-8",
        impairs: Impact::Answers,
        explain: "`\"bad-utf8\"`, for a request: the honest answer with a byte `ff` in its last text. The next line \
                  is whole again.",
    },
    FaultInfo {
        id: "glued",
        about: "writes an answer and another message in one line",
        impairs: Impact::Answers,
        explain: "`\"glued\"`, for a request: the honest answer, and `notifications/tools/list_changed` behind it, \
                  before the line end.",
    },
    FaultInfo {
        id: "pretty",
        about: "writes an answer over several lines",
        impairs: Impact::Answers,
        explain: "`\"pretty\"`, for a request: the honest answer as a person would like to read it. None of its lines \
                  is a message.",
    },
    FaultInfo {
        id: "length-header",
        about: "writes an answer as language servers do",
        impairs: Impact::Answers,
        explain: "`\"length-header\"`, for a request: `Content-Length: 81`, an empty line, and the honest answer \
                  without a line end. What comes next is the rest of that line.",
    },
    FaultInfo {
        id: "noise",
        about: "writes a line that is no message",
        impairs: Impact::Connection,
        explain: "`{ noise = \"Server ready!\" }`: the text and a line end. A client may pass it over or give up the \
                  connection cleanly; it may not hang.",
    },
    FaultInfo {
        id: "noise-flood",
        about: "writes many lines that are no messages",
        impairs: Impact::Connection,
        explain: "`{ noise-flood = 1000 }`, at most 100000 lines. As `noise`: a client may give up the connection \
                  cleanly; it may not hang.",
    },
    FaultInfo {
        id: "bytes",
        about: "writes bytes of its choice",
        impairs: Impact::Connection,
        explain: "`{ bytes = \"ff fe 0a\" }`: exactly these, in hexadecimal.",
    },
    FaultInfo {
        id: "endless-line",
        about: "writes a line that does not end",
        impairs: Impact::Connection,
        explain: "`{ endless-line = 8388608 }`, at most 64 MiB: so many bytes and no line end. What comes next is the \
                  rest of this line. A client may not keep all of it for ever.",
    },
    FaultInfo {
        id: "close-stdout",
        about: "closes its output and goes on reading",
        impairs: Impact::Connection,
        explain: "`\"close-stdout\"`. Nothing is sent from here on; the process ends with its input.",
    },
    FaultInfo {
        id: "close-stdin",
        about: "closes its input and goes on living",
        impairs: Impact::Connection,
        explain: "`\"close-stdin\"`. What a client writes from here on fails. The process sees no end of its input \
                  any more: a signal ends it.",
    },
];
