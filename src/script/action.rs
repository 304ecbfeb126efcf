//! What a rule does.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::history::Impact;
use crate::script::fault::fault_info;
use crate::script::{Bytes, Carriage, Death, ErrorAnswer, Family, Grandchild, Many, Span, Told, When};

/// One table: the variants, their names in a script and their families.
macro_rules! actions {
    ($($(#[$doc:meta])* $variant:ident $(($payload:ty))? = $name:literal in $family:ident;)*) => {
        /// One action of a rule. The actions of a rule run in order; what no action settled is then done honestly.
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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

            /// Which others it is treated like.
            #[must_use]
            pub fn family(&self) -> Family {
                match self {
                    $(Self::$variant { .. } => Family::$family,)*
                }
            }
        }
    };
}

actions! {
    /// Hold what follows until this gate is open.
    Hold(String) = "hold" in Pause;
    /// Hold what follows for a time.
    Delay(Span) = "delay" in Pause;
    /// Hold what follows until another answer of the connection was sent.
    Reorder = "reorder" in Pause;
    /// Hold what follows until the client has answered something that the server asked.
    AwaitResponse = "await-response" in Pause;
    /// Give the honest answer now, so that what follows comes after it.
    Answer = "answer" in Answer;
    /// Never answer.
    Drop = "drop" in Silence;
    /// Answer with an error.
    AnswerError(ErrorAnswer) = "answer-error" in Answer;
    /// Give the honest answer twice.
    Duplicate = "duplicate" in Answer;
    /// Give the honest answer, also where the request was cancelled.
    AnswerAnyway = "answer-anyway" in Answer;
    /// Give the honest answer under an id that nobody has asked with.
    UnknownId = "unknown-id" in ForgedMessage;
    /// Give the honest answer under an id of the other kind: a number as a string, a string as the number 0.
    ConvertedId = "converted-id" in ForgedMessage;
    /// Give the honest answer under its id as a fraction: 7 as 7.0.
    FloatId = "float-id" in ForgedMessage;
    /// Give the honest answer under the id null.
    NullId = "null-id" in ForgedMessage;
    /// Answer with a result and with an error.
    ResultAndError = "result-and-error" in ForgedMessage;
    /// Answer with neither a result nor an error.
    NoResult = "no-result" in ForgedMessage;
    /// Answer with an error that is a text.
    OddError = "odd-error" in ForgedMessage;
    /// Give the honest answer without its `jsonrpc`.
    NoJsonrpc = "no-jsonrpc" in ForgedMessage;
    /// Give the honest answer with a member beside those of JSON-RPC.
    ExtraMember = "extra-member" in ForgedMessage;
    /// Give the honest answer in a batch of its own.
    Batch = "batch" in ForgedMessage;
    /// Answer with this result.
    AnswerResult(Value) = "answer-result" in ForgedMessage;
    /// Give the honest answer with these members of its result in place of its own.
    AlterResult(Map<String, Value>) = "alter-result" in ForgedMessage;
    /// Give the honest answer without these members of its result.
    OmitResult(Vec<String>) = "omit-result" in ForgedMessage;
    /// Agree to whatever revision the client offered.
    EchoVersion = "echo-version" in ForgedMessage;
    /// Give the honest answer with lists in lists, so many deep, in its `_meta`.
    Deep(u32) = "deep" in ForgedText;
    /// Give the honest answer with a text of so many bytes in its `_meta`.
    Pad(u32) = "pad" in ForgedText;
    /// Send a request of the server's own, with this method and without parameters.
    Ask(String) = "ask" in Message;
    /// Send a request of the server's own, with parameters.
    AskWith(Told) = "ask-with" in Message;
    /// Send a request of the server's own under the id of the one before.
    AskAgain(String) = "ask-again" in Message;
    /// Offer these tools from here on.
    Tools(Vec<String>) = "tools" in Server;
    /// Send a notification without parameters.
    Notify(String) = "notify" in Message;
    /// Send a notification with parameters.
    NotifyWith(Told) = "notify-with" in Message;
    /// Send a notification many times.
    NotifyMany(Many) = "notify-many" in Message;
    /// Report progress of the request so many times.
    Progress(u32) = "progress" in Message;
    /// Report progress of the request again and again, and never answer it.
    ProgressForever(Span) = "progress-forever" in Endless;
    /// Cancel the request, as only its client may.
    CancelRequest = "cancel-request" in Message;
    /// Send an answer with this id to nobody's request.
    StrayAnswer(u32) = "stray-answer" in Message;
    /// Send an error about something that could not be read.
    StrayError = "stray-error" in Message;
    /// Write this text and a line end.
    Noise(String) = "noise" in Line;
    /// Write so many lines that are no messages.
    NoiseFlood(u32) = "noise-flood" in Line;
    /// Write exactly these bytes.
    Bytes(Bytes) = "bytes" in Line;
    /// Write so many bytes, and no line end.
    EndlessLine(u32) = "endless-line" in Line;
    /// Give the honest answer with a carriage return before its line end.
    CarriageReturn = "carriage-return" in ForgedLine;
    /// Give the honest answer with a byte order mark before it.
    ByteOrderMark = "byte-order-mark" in ForgedLine;
    /// Give the honest answer byte by byte.
    Split = "split" in ForgedLine;
    /// Write half of the honest answer, and no line end.
    HalfLine = "half-line" in ForgedLine;
    /// Write half of the honest answer, and a line end.
    BrokenJson = "broken-json" in ForgedLine;
    /// Give the honest answer after so many empty lines.
    BlankLines(u32) = "blank-lines" in ForgedLine;
    /// Give the honest answer with a byte in a text that is not UTF-8.
    BadUtf8 = "bad-utf8" in ForgedLine;
    /// Give the honest answer and a notification in one line.
    Glued = "glued" in ForgedLine;
    /// Give the honest answer over several lines, as a reader would like it.
    Pretty = "pretty" in ForgedLine;
    /// Give the honest answer under a header that says how long it is, as language servers do.
    LengthHeader = "length-header" in ForgedLine;
    /// Close the output and go on reading.
    CloseStdout = "close-stdout" in Line;
    /// Close the input and go on living.
    CloseStdin = "close-stdin" in Line;
    /// Write this text and a line end to stderr.
    Stderr(String) = "stderr" in Server;
    /// Write so many bytes to stderr, and hold what follows until they are written.
    StderrFlood(u32) = "stderr-flood" in Server;
    /// Answer this HTTP request with a status code of its choice instead.
    Status(u16) = "status" in Response;
    /// Answer this HTTP request with a status code and without a body.
    BareStatus(u16) = "bare-status" in Response;
    /// Answer this HTTP request with 401 and a challenge.
    Unauthorized = "unauthorized" in Response;
    /// Answer this HTTP request with 429, to be sent again after so many seconds.
    RetryAfter(u32) = "retry-after" in Response;
    /// Answer this HTTP request with a redirect to a path that is not served.
    Redirect(u16) = "redirect" in Response;
    /// Answer this HTTP request with a redirect to where it came.
    RedirectLoop(u16) = "redirect-loop" in Response;
    /// Give the honest answer to this HTTP request as a body of this type.
    ContentType(String) = "content-type" in Response;
    /// Answer this HTTP request with 200, as JSON, and without a body.
    EmptyBody = "empty-body" in Response;
    /// Take this request as if it were a notification, and never answer it.
    Accepted = "accepted" in Response;
    /// Take this notification with a body that nobody asked for.
    AcceptedBody = "accepted-body" in Response;
    /// Take this request as if it were a notification, and give its answer on the stream of the session.
    WrongStream = "wrong-stream" in Response;
    /// Give the honest answer to this HTTP request byte by byte.
    Trickle = "trickle" in Response;
    /// Give the honest answer in chunks, and close the socket in the middle of one.
    TruncateChunk = "truncate-chunk" in Raw;
    /// Give the honest answer, promise more, and close the socket.
    LongLength = "long-length" in Raw;
    /// Give the honest answer and promise less of it.
    ShortLength = "short-length" in Raw;
    /// Begin a response, and never end its head.
    StalledHead = "stalled-head" in Raw;
    /// Begin a response, and never end its body.
    StalledBody = "stalled-body" in Raw;
    /// Write half of a response, close this side of the socket, and go on reading.
    HalfClose = "half-close" in Raw;
    /// Give the honest answer, say nothing of it, and close the socket.
    CloseAfter = "close-after" in Raw;
    /// Write exactly these bytes where a response should be, and close the socket.
    RawBytes(Bytes) = "raw-bytes" in Raw;
    /// Answer this request as a stream of events, which begins now.
    Sse = "sse" in Session;
    /// Send an event that has an id and nothing else.
    EventId(String) = "event-id" in Event;
    /// Send an event that says after how many milliseconds to come back.
    Retry(u32) = "retry" in Event;
    /// Send so many comments on the stream of events.
    Comments(u32) = "comments" in Event;
    /// Send an event of this type, which is no message.
    OtherEvent(String) = "other-event" in Event;
    /// Give the honest answer as an event of several lines.
    DataLines = "data-lines" in ForgedEvent;
    /// Name this session beside the answer to this HTTP request, where none was opened.
    NameSession(String) = "name-session" in Session;
    /// Give a new session the id that the last one was given.
    SameSession = "same-session" in Session;
    /// End the session: from now on it is unknown, and its streams end.
    ExpireSession = "expire-session" in Session;
    /// End the stream of events in order.
    EndStream = "end-stream" in Session;
    /// Close the socket of the stream of events in the middle.
    CutStream = "cut-stream" in Session;
    /// Keep the honest answer for the stream with which the client takes up where this one ended.
    AnswerOnReturn = "answer-on-return" in Session;
    /// Reset the socket of this HTTP request.
    Reset = "reset" in Response;
    /// Stop doing anything: what comes is neither read nor answered.
    Freeze = "freeze" in Server;
    /// Stop the process, as a debugger does: it takes no signal but SIGKILL.
    Stop = "stop" in Server;
    /// Start a child that lives for a time.
    Grandchild(Grandchild) = "grandchild" in Server;
    /// Exit with this code, in order.
    Exit(u8) = "exit" in Server;
    /// End at once, without a farewell.
    Die(Death) = "die" in Server;
    /// Do not end, although the input ended or a signal asked for it.
    Ignore = "ignore" in Server;
}

impl Action {
    /// Its name in a history, when it is a fault: `hold:before-answer`, `die:KILL`, `ignore:eof`, `status:get-405`.
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
            // What is told apart by its occasion alone.
            _ => when.detail(),
        };
        Some((format!("{}:{detail}", info.id), impairs))
    }

    /// What it impairs on this occasion: what happens to a DELETE concerns the end alone, and what happens to the
    /// stream of a GET concerns no answer.
    fn impairs(&self, when: &When, usual: Impact) -> Impact {
        let is_of_stream = matches!(self, Self::Drop | Self::EndStream | Self::CutStream);
        match when {
            When::Delete if is_of_stream || self.is_of_exchange() => Impact::Ending,
            When::Get if is_of_stream || self.is_of_exchange() => Impact::Timing,
            When::Request { .. } if is_of_stream => Impact::Answers,
            _ => usual,
        }
    }

    /// Whether it answers an HTTP request of whatever kind, without an answer of an honest server.
    pub(super) fn is_of_exchange(&self) -> bool {
        let is_refusal =
            matches!(self, Self::Status(_) | Self::BareStatus(_) | Self::Unauthorized | Self::RetryAfter(_));
        let is_elsewhere = matches!(self, Self::Redirect(_) | Self::RedirectLoop(_));
        is_refusal || is_elsewhere || matches!(self, Self::Reset | Self::StalledHead | Self::RawBytes(_))
    }

    /// Whether it decides about the answer to a request.
    #[must_use]
    pub fn answers(&self) -> bool {
        self.family().answers()
    }

    /// Whether it needs an output.
    #[must_use]
    pub fn writes(&self) -> bool {
        self.family().writes()
    }

    /// What it needs to be carried out over, where not anything will do.
    #[must_use]
    pub fn needs(&self) -> Option<Carriage> {
        self.family().needs()
    }

    /// Whether it needs a process, and can not be done by one of several mocks in another program.
    #[must_use]
    pub fn needs_process(&self) -> bool {
        let is_of_process = matches!(self, Self::Ignore | Self::Stop | Self::Grandchild(_));
        is_of_process || matches!(self, Self::CloseStdin | Self::Stderr(_) | Self::StderrFlood(_))
    }

    /// Whether nothing can follow it.
    #[must_use]
    pub fn ends(&self) -> bool {
        matches!(self, Self::Exit(_) | Self::Die(_) | Self::Freeze)
    }

    /// Whether what follows it may come later, or never.
    #[must_use]
    pub fn holds(&self) -> bool {
        matches!(self.family(), Family::Pause | Family::Endless)
            || matches!(self, Self::Stderr(_) | Self::StderrFlood(_))
    }
}
