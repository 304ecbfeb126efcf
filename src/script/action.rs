//! The actions of a rule.

#[cfg(feature = "schemas")]
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::history::Impact;
use crate::plan::Framing;
use crate::script::family::{self, Family};
use crate::script::fault::fault_info;
use crate::script::{Bytes, Death, ErrorAnswer, Grandchild, Many, OwnMessage, Span, When};

/// One table: the variants, their names in a script and their families.
macro_rules! actions {
    ($($(#[$doc:meta])* $variant:ident $(($value:ident: $payload:ty))? = $name:literal in $family:ident;)*) => {
        /// One action of a rule. The actions of a rule run in order, and the default handling comes last.
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[cfg_attr(feature = "schemas", derive(JsonSchema))]
        pub enum Action {
            $($(#[$doc])* #[serde(rename = $name)] $variant $(($payload))?,)*
        }

        impl Action {
            /// Its name in a script.
            #[must_use]
            pub fn name(&self) -> &'static str {
                match self {
                    $(Self::$variant { .. } => $name,)*
                }
            }

            /// This action as a member of its family. A member that no server delivers does not compile.
            #[must_use]
            pub fn family(&self) -> Family<'_> {
                match self {
                    $(Self::$variant $(($value))? => Family::$family(family::$family::$variant $(($value))?),)*
                }
            }
        }
    };
}

actions! {
    /// Hold the following actions until this gate is open.
    Hold(gate: String) = "hold" in Pause;
    /// Hold the following actions for a time.
    Delay(time: Span) = "delay" in Pause;
    /// Hold the following actions until the server has sent another answer on the connection.
    Reorder = "reorder" in Pause;
    /// Hold the following actions until the client has answered a request of the server's own.
    AwaitResponse = "await-response" in Pause;
    /// Send the conforming answer now, so that the following actions come after it.
    Answer = "answer" in Answer;
    /// Never answer.
    Drop = "drop" in Silence;
    /// Answer with an error.
    AnswerError(error: ErrorAnswer) = "answer-error" in Answer;
    /// Send the conforming answer twice.
    Duplicate = "duplicate" in Answer;
    /// Send the conforming answer, even if the client has cancelled the request.
    AnswerAnyway = "answer-anyway" in Answer;
    /// Send the conforming answer under an id that no request had.
    UnknownId = "unknown-id" in MalformedMessage;
    /// Send the conforming answer under an id of the other kind: a number as a string, a string as the number 0.
    ConvertedId = "converted-id" in MalformedMessage;
    /// Send the conforming answer under its id as a fraction: 7 as 7.0.
    FloatId = "float-id" in MalformedMessage;
    /// Send the conforming answer under the id null.
    NullId = "null-id" in MalformedMessage;
    /// Answer with a result and with an error.
    ResultAndError = "result-and-error" in MalformedMessage;
    /// Answer with neither a result nor an error.
    NoResult = "no-result" in MalformedMessage;
    /// Answer with an error that is a string.
    OddError = "odd-error" in MalformedMessage;
    /// Send the conforming answer without its `jsonrpc`.
    NoJsonrpc = "no-jsonrpc" in MalformedMessage;
    /// Send the conforming answer with an additional member.
    ExtraMember = "extra-member" in MalformedMessage;
    /// Send the conforming answer in a batch of its own.
    Batch = "batch" in MalformedMessage;
    /// Answer with this result.
    AnswerResult(result: Value) = "answer-result" in MalformedMessage;
    /// Send the conforming answer with these members of its result in place of its own.
    AlterResult(members: Map<String, Value>) = "alter-result" in MalformedMessage;
    /// Send the conforming answer without these members of its result.
    OmitResult(names: Vec<String>) = "omit-result" in MalformedMessage;
    /// Agree to whatever revision the client offered.
    EchoVersion = "echo-version" in MalformedMessage;
    /// Send the conforming answer with nested arrays of this depth in its `_meta`.
    Deep(depth: u32) = "deep" in LongMessage;
    /// Send the conforming answer with a string of this many bytes in its `_meta`.
    Pad(n_bytes: u32) = "pad" in LongMessage;
    /// Send a request of the server's own, with this method and without parameters.
    Ask(method: String) = "ask" in Message;
    /// Send a request of the server's own, with parameters.
    AskWith(request: OwnMessage) = "ask-with" in Message;
    /// Send a request of the server's own under the id of the previous one.
    AskAgain(method: String) = "ask-again" in Message;
    /// Advertise these tools from now on.
    Tools(tools: Vec<String>) = "tools" in Process;
    /// Send a notification without parameters.
    Notify(method: String) = "notify" in Message;
    /// Send a notification with parameters.
    NotifyWith(notification: OwnMessage) = "notify-with" in Message;
    /// Send a notification many times.
    NotifyMany(notification: Many) = "notify-many" in Message;
    /// Report progress of the request this many times.
    Progress(times: u32) = "progress" in Message;
    /// Report progress of the request again and again, and never answer it.
    ProgressForever(pause: Span) = "progress-forever" in Endless;
    /// Cancel the request, which only its client may do.
    CancelRequest = "cancel-request" in Message;
    /// Send an answer with this id, which belongs to no request.
    StrayAnswer(id: u32) = "stray-answer" in Message;
    /// Send an error about a message that the server could not read.
    StrayError = "stray-error" in Message;
    /// Write this text and a line end.
    Noise(text: String) = "noise" in Line;
    /// Write this many lines that are not messages.
    NoiseFlood(times: u32) = "noise-flood" in Line;
    /// Write exactly these bytes.
    Bytes(bytes: Bytes) = "bytes" in Line;
    /// Write this many bytes, without a line end.
    EndlessLine(n_bytes: u32) = "endless-line" in Line;
    /// Send the conforming answer with a carriage return before its line end.
    CarriageReturn = "carriage-return" in MalformedLine;
    /// Send the conforming answer with a byte order mark before it.
    ByteOrderMark = "byte-order-mark" in MalformedLine;
    /// Send the conforming answer byte by byte.
    Split = "split" in MalformedLine;
    /// Write half of the conforming answer, and no line end.
    HalfLine = "half-line" in MalformedLine;
    /// Write half of the conforming answer, and a line end.
    BrokenJson = "broken-json" in MalformedLine;
    /// Send the conforming answer after this many empty lines.
    BlankLines(times: u32) = "blank-lines" in MalformedLine;
    /// Send the conforming answer with a byte in a text that is not UTF-8.
    BadUtf8 = "bad-utf8" in MalformedLine;
    /// Send the conforming answer and a notification in one line.
    Glued = "glued" in MalformedLine;
    /// Send the conforming answer over several lines, pretty-printed.
    Pretty = "pretty" in MalformedLine;
    /// Send the conforming answer after a header with its length, as language servers do.
    LengthHeader = "length-header" in MalformedLine;
    /// Close the output and continue to read.
    CloseStdout = "close-stdout" in Line;
    /// Close the input and keep running.
    CloseStdin = "close-stdin" in Line;
    /// Write this text and a line end to stderr.
    Stderr(text: String) = "stderr" in Process;
    /// Write this many bytes to stderr, and hold the following actions until they are written.
    StderrFlood(n_bytes: u32) = "stderr-flood" in Process;
    /// Answer this HTTP request with this status code instead.
    Status(status: u16) = "status" in Response;
    /// Answer this HTTP request with this status code and without a body.
    BareStatus(status: u16) = "bare-status" in Response;
    /// Answer this HTTP request with 401 and a challenge.
    Unauthorized = "unauthorized" in Response;
    /// Answer this HTTP request with 429, with a retry after this many seconds.
    RetryAfter(seconds: u32) = "retry-after" in Response;
    /// Answer this HTTP request with a redirect to a path that the server does not serve.
    Redirect(status: u16) = "redirect" in Response;
    /// Answer this HTTP request with a redirect to the same path.
    RedirectLoop(status: u16) = "redirect-loop" in Response;
    /// Send the conforming answer to this HTTP request as a body of this type.
    ContentType(kind: String) = "content-type" in Response;
    /// Answer this HTTP request with 200, as JSON, and without a body.
    EmptyBody = "empty-body" in Response;
    /// Accept this request like a notification, and never answer it.
    Accepted = "accepted" in Response;
    /// Accept this notification with a body, which no client expects.
    AcceptedBody = "accepted-body" in Response;
    /// Accept this request like a notification, and send its answer on the stream of the session.
    WrongStream = "wrong-stream" in Response;
    /// Send the conforming answer to this HTTP request byte by byte.
    Trickle = "trickle" in Response;
    /// Send the conforming answer in chunks, and close the socket in the middle of one.
    TruncateChunk = "truncate-chunk" in Raw;
    /// Send the conforming answer, announce more bytes, and close the socket.
    LongLength = "long-length" in Raw;
    /// Send the conforming answer, and announce fewer bytes.
    ShortLength = "short-length" in Raw;
    /// Begin a response, and never end its head.
    StalledHead = "stalled-head" in Raw;
    /// Begin a response, and never end its body.
    StalledBody = "stalled-body" in Raw;
    /// Write half of a response, close this side of the socket, and continue to read.
    HalfClose = "half-close" in Raw;
    /// Send the conforming answer, and close the socket without announcing that.
    CloseAfter = "close-after" in Raw;
    /// Write exactly these bytes instead of a response, and close the socket.
    RawBytes(bytes: Bytes) = "raw-bytes" in Raw;
    /// Answer this request as a stream of events, which begins now.
    Sse = "sse" in Session;
    /// Send an event that consists of an id.
    EventId(id: String) = "event-id" in Event;
    /// Send an event that sets the reconnection time, in milliseconds.
    Retry(ms: u32) = "retry" in Event;
    /// Send this many comments on the stream of events.
    Comments(times: u32) = "comments" in Event;
    /// Send an event of this type, which is not a message.
    OtherEvent(kind: String) = "other-event" in Event;
    /// Send the conforming answer as an event of several lines.
    DataLines = "data-lines" in MalformedEvent;
    /// Name this session in the response to this HTTP request, although the server never opened it.
    NameSession(id: String) = "name-session" in Session;
    /// Give a new session the id of the previous one.
    SameSession = "same-session" in Session;
    /// End the session: its id becomes unknown, and its streams end.
    ExpireSession = "expire-session" in Session;
    /// End the stream of events gracefully.
    EndStream = "end-stream" in Session;
    /// Close the socket of the stream of events in the middle.
    CutStream = "cut-stream" in Session;
    /// Keep the conforming answer for the stream with which the client resumes this one.
    AnswerOnReturn = "answer-on-return" in Session;
    /// Reset the socket of this HTTP request.
    Reset = "reset" in Response;
    /// Freeze: the server neither reads nor answers any more.
    Freeze = "freeze" in Process;
    /// Stop the process, as a debugger does. It then takes no signal but SIGKILL.
    Stop = "stop" in Process;
    /// Start a child that lives for a time.
    Grandchild(grandchild: Grandchild) = "grandchild" in Process;
    /// Exit gracefully, with this code.
    Exit(code: u8) = "exit" in Process;
    /// End at once, without a last event in the journal.
    Die(death: Death) = "die" in Process;
    /// Do not end, although the input ended or a signal arrived.
    Ignore = "ignore" in Process;
}

impl Action {
    /// Its name in a history if it is a fault: `hold:before-answer`, `die:KILL`, `ignore:eof`, `status:get-405`.
    #[must_use]
    pub fn fault(&self, when: &When) -> Option<(String, Impact)> {
        let info = fault_info(self.name())?;
        let impairs = self.impairs(when, info.impairs);
        let detail = match self {
            Self::Hold(gate) => gate.clone(),
            Self::Delay(Span(delay)) => format!("{}ms", delay.as_millis()),
            Self::Status(status) | Self::BareStatus(status) | Self::Redirect(status) | Self::RedirectLoop(status) => {
                format!("{}-{status}", when.detail())
            }
            Self::AnswerError(error) => error.code.to_string(),
            Self::Exit(code) | Self::Die(Death::Code(code)) => code.to_string(),
            Self::Die(Death::Signal(signal)) => signal.name().to_owned(),
            Self::Ask(text) | Self::AskAgain(text) | Self::ContentType(text) => text.clone(),
            Self::AskWith(told) => told.method.clone(),
            Self::NotifyMany(many) => many.method.clone(),
            Self::Noise(_) | Self::Bytes(_) | Self::CloseStdout | Self::CloseStdin | Self::ExpireSession => {
                return Some((info.id.to_owned(), impairs));
            }
            // The trigger alone distinguishes these.
            _ => when.detail(),
        };
        Some((format!("{}:{detail}", info.id), impairs))
    }

    /// Its impact at this trigger. A fault on a DELETE impairs only the end, and a fault on the stream of a GET impairs
    /// no answer.
    fn impairs(&self, when: &When, usual: Impact) -> Impact {
        let is_of_stream = matches!(self, Self::Drop | Self::EndStream | Self::CutStream);
        match when {
            When::Delete if is_of_stream || self.is_of_exchange() => Impact::Ending,
            When::Get if is_of_stream || self.is_of_exchange() => Impact::Timing,
            When::Request { .. } if is_of_stream => Impact::Answers,
            _ => usual,
        }
    }

    /// Whether it answers any HTTP request without the conforming answer.
    #[must_use]
    pub fn is_of_exchange(&self) -> bool {
        let is_refusal =
            matches!(self, Self::Status(_) | Self::BareStatus(_) | Self::Unauthorized | Self::RetryAfter(_));
        let is_elsewhere = matches!(self, Self::Redirect(_) | Self::RedirectLoop(_));
        is_refusal || is_elsewhere || matches!(self, Self::Reset | Self::StalledHead | Self::RawBytes(_))
    }

    /// Whether it is of HTTP, and is possible with server-sent events as well.
    pub(super) fn is_of_any_http(&self) -> bool {
        let is_of_stream = matches!(self, Self::EndStream | Self::CutStream | Self::ExpireSession);
        is_of_stream || self.is_of_exchange() || matches!(self.family(), Family::Event(_))
    }

    /// Whether it decides about the answer to a request.
    #[must_use]
    pub fn answers(&self) -> bool {
        self.family().answers()
    }

    /// Whether it settles the answer to a request: the server then has nothing more to decide.
    #[must_use]
    pub fn settles(&self) -> bool {
        self.answers() && !matches!(self.family(), Family::Endless(_))
    }

    /// Whether it needs an output.
    #[must_use]
    pub fn writes(&self) -> bool {
        self.family().writes()
    }

    /// The framing it needs; none if it works over every framing.
    #[must_use]
    pub fn needs(&self) -> Option<Framing> {
        self.family().needs()
    }

    /// Whether it needs a process of its own, which a mock that lives in its client's process does not have.
    #[must_use]
    pub fn needs_process(&self) -> bool {
        let is_of_process = matches!(self, Self::Ignore | Self::Stop | Self::Grandchild(_));
        is_of_process || matches!(self, Self::CloseStdin | Self::Stderr(_) | Self::StderrFlood(_))
    }

    /// Whether no action can follow it.
    #[must_use]
    pub fn ends(&self) -> bool {
        matches!(self, Self::Exit(_) | Self::Die(_) | Self::Freeze)
    }

    /// Whether it may delay the following actions, or prevent them.
    #[must_use]
    pub fn holds(&self) -> bool {
        matches!(self.family(), Family::Pause(_) | Family::Endless(_))
            || matches!(self, Self::Stderr(_) | Self::StderrFlood(_))
    }
}
