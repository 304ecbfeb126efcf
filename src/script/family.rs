//! Actions by family. Each family is delivered in one place, and the match there names every member.

use serde_json::{Map, Value};

use crate::plan::Framing;
use crate::script::{Bytes, Death, ErrorAnswer, Grandchild, Many, OwnMessage, Span};

/// An action as a member of its family.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Family<'a> {
    /// Delays what follows.
    Pause(Pause<'a>),
    /// Sends the conforming answer, or an error.
    Answer(Answer<'a>),
    /// Sends the conforming answer with a defect in the message.
    MalformedMessage(MalformedMessage<'a>),
    /// Sends the conforming answer, valid but deeper or longer than a reader may accept.
    LongMessage(LongMessage<'a>),
    /// Writes the conforming answer with a defect in the line.
    MalformedLine(MalformedLine<'a>),
    /// Sends the conforming answer in an unusual event.
    MalformedEvent(MalformedEvent),
    /// Sends no answer.
    Silence(Silence),
    /// Sends messages forever instead of an answer.
    Endless(Endless<'a>),
    /// Sends a message that is not an answer.
    Message(Message<'a>),
    /// Writes bytes that are not a message, or closes a pipe.
    Line(Line<'a>),
    /// Answers an HTTP request with an unusual response.
    Response(Response<'a>),
    /// Answers an HTTP request with bytes that no HTTP server writes.
    Raw(Raw<'a>),
    /// Sends an event that is not a message.
    Event(Event<'a>),
    /// Changes an HTTP session or its streams.
    Session(Session<'a>),
    /// Changes the server or its process, or ends it.
    Process(Process<'a>),
}

impl Family<'_> {
    /// Whether such an action decides about the answer to a request.
    pub(super) fn answers(self) -> bool {
        match self {
            Self::Answer(_) | Self::MalformedMessage(_) | Self::LongMessage(_) => true,
            Self::MalformedLine(_) | Self::MalformedEvent(_) => true,
            Self::Silence(_) | Self::Endless(_) | Self::Response(_) | Self::Raw(_) => true,
            Self::Pause(_) | Self::Message(_) | Self::Line(_) => false,
            Self::Event(_) | Self::Session(_) | Self::Process(_) => false,
        }
    }

    /// Whether it needs an open output.
    pub(super) fn writes(self) -> bool {
        match self {
            Self::Answer(_) | Self::MalformedMessage(_) | Self::LongMessage(_) | Self::MalformedLine(_) => true,
            Self::Endless(_) | Self::Message(_) | Self::Line(_) => true,
            Self::MalformedEvent(_) | Self::Pause(_) | Self::Silence(_) | Self::Response(_) | Self::Raw(_) => false,
            Self::Event(_) | Self::Session(_) | Self::Process(_) => false,
        }
    }

    /// The framing it needs; none where it works over every framing.
    pub(super) fn needs(self) -> Option<Framing> {
        match self {
            Self::MalformedLine(_) | Self::Line(_) => Some(Framing::Lines),
            Self::MalformedEvent(_) | Self::Response(_) | Self::Raw(_) => Some(Framing::Http),
            Self::Event(_) | Self::Session(_) => Some(Framing::Http),
            Self::Pause(_) | Self::Answer(_) | Self::MalformedMessage(_) | Self::LongMessage(_) => None,
            Self::Silence(_) | Self::Endless(_) | Self::Message(_) | Self::Process(_) => None,
        }
    }
}

/// Delays what follows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pause<'a> {
    /// Hold the following actions until this gate is open.
    Hold(&'a String),
    /// Hold the following actions for a time.
    Delay(&'a Span),
    /// Hold the following actions until the server has sent another answer on the connection.
    Reorder,
    /// Hold the following actions until the client has answered a request of the server's own.
    AwaitResponse,
}

/// Sends the conforming answer, or an error.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Answer<'a> {
    /// Send the conforming answer now, so that the following actions come after it.
    Answer,
    /// Answer with an error.
    AnswerError(&'a ErrorAnswer),
    /// Send the conforming answer twice.
    Duplicate,
    /// Send the conforming answer, even if the client has cancelled the request.
    AnswerAnyway,
}

/// Sends the conforming answer with a defect in the message.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum MalformedMessage<'a> {
    /// Send the conforming answer under an id that no request had.
    UnknownId,
    /// Send the conforming answer under an id of the other kind: a number as a string, a string as the number 0.
    ConvertedId,
    /// Send the conforming answer under its id as a fraction: 7 as 7.0.
    FloatId,
    /// Send the conforming answer under the id null.
    NullId,
    /// Answer with a result and with an error.
    ResultAndError,
    /// Answer with neither a result nor an error.
    NoResult,
    /// Answer with an error that is a string.
    OddError,
    /// Send the conforming answer without its `jsonrpc`.
    NoJsonrpc,
    /// Send the conforming answer with an additional member.
    ExtraMember,
    /// Send the conforming answer in a batch of its own.
    Batch,
    /// Answer with this result.
    AnswerResult(&'a Value),
    /// Send the conforming answer with these members of its result in place of its own.
    AlterResult(&'a Map<String, Value>),
    /// Send the conforming answer without these members of its result.
    OmitResult(&'a Vec<String>),
    /// Agree to whatever revision the client offered.
    EchoVersion,
}

/// Sends the conforming answer, valid but deeper or longer than a reader may accept.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum LongMessage<'a> {
    /// Send the conforming answer with nested arrays of this depth in its `_meta`.
    Deep(&'a u32),
    /// Send the conforming answer with a string of this many bytes in its `_meta`.
    Pad(&'a u32),
}

/// Writes the conforming answer with a defect in the line.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum MalformedLine<'a> {
    /// Send the conforming answer with a carriage return before its line end.
    CarriageReturn,
    /// Send the conforming answer with a byte order mark before it.
    ByteOrderMark,
    /// Send the conforming answer byte by byte.
    Split,
    /// Write half of the conforming answer, and no line end.
    HalfLine,
    /// Write half of the conforming answer, and a line end.
    BrokenJson,
    /// Send the conforming answer after this many empty lines.
    BlankLines(&'a u32),
    /// Send the conforming answer with a byte in a text that is not UTF-8.
    BadUtf8,
    /// Send the conforming answer and a notification in one line.
    Glued,
    /// Send the conforming answer over several lines, pretty-printed.
    Pretty,
    /// Send the conforming answer after a header with its length, as language servers do.
    LengthHeader,
}

/// Sends the conforming answer in an unusual event.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum MalformedEvent {
    /// Send the conforming answer as an event of several lines.
    DataLines,
}

/// Sends no answer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Silence {
    /// Never answer.
    Drop,
}

/// Sends messages forever instead of an answer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Endless<'a> {
    /// Report progress of the request again and again, and never answer it.
    ProgressForever(&'a Span),
}

/// Sends a message that is not an answer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Message<'a> {
    /// Send a request of the server's own, with this method and without parameters.
    Ask(&'a String),
    /// Send a request of the server's own, with parameters.
    AskWith(&'a OwnMessage),
    /// Send a request of the server's own under the id of the previous one.
    AskAgain(&'a String),
    /// Send a notification without parameters.
    Notify(&'a String),
    /// Send a notification with parameters.
    NotifyWith(&'a OwnMessage),
    /// Send a notification many times.
    NotifyMany(&'a Many),
    /// Report progress of the request this many times.
    Progress(&'a u32),
    /// Cancel the request, which only its client may do.
    CancelRequest,
    /// Send an answer with this id, which belongs to no request.
    StrayAnswer(&'a u32),
    /// Send an error about a message that the server could not read.
    StrayError,
}

/// Writes bytes that are not a message, or closes a pipe.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Line<'a> {
    /// Write this text and a line end.
    Noise(&'a String),
    /// Write this many lines that are not messages.
    NoiseFlood(&'a u32),
    /// Write exactly these bytes.
    Bytes(&'a Bytes),
    /// Write this many bytes, without a line end.
    EndlessLine(&'a u32),
    /// Close the output and continue to read.
    CloseStdout,
    /// Close the input and keep running.
    CloseStdin,
}

/// Answers an HTTP request with an unusual response.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Response<'a> {
    /// Answer this HTTP request with this status code instead.
    Status(&'a u16),
    /// Answer this HTTP request with this status code and without a body.
    BareStatus(&'a u16),
    /// Answer this HTTP request with 401 and a challenge.
    Unauthorized,
    /// Answer this HTTP request with 429, with a retry after this many seconds.
    RetryAfter(&'a u32),
    /// Answer this HTTP request with a redirect to a path that the server does not serve.
    Redirect(&'a u16),
    /// Answer this HTTP request with a redirect to the same path.
    RedirectLoop(&'a u16),
    /// Send the conforming answer to this HTTP request as a body of this type.
    ContentType(&'a String),
    /// Answer this HTTP request with 200, as JSON, and without a body.
    EmptyBody,
    /// Accept this request like a notification, and never answer it.
    Accepted,
    /// Accept this notification with a body, which no client expects.
    AcceptedBody,
    /// Accept this request like a notification, and send its answer on the stream of the session.
    WrongStream,
    /// Send the conforming answer to this HTTP request byte by byte.
    Trickle,
    /// Reset the socket of this HTTP request.
    Reset,
}

/// Answers an HTTP request with bytes that no HTTP server writes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Raw<'a> {
    /// Send the conforming answer in chunks, and close the socket in the middle of one.
    TruncateChunk,
    /// Send the conforming answer, announce more bytes, and close the socket.
    LongLength,
    /// Send the conforming answer, and announce fewer bytes.
    ShortLength,
    /// Begin a response, and never end its head.
    StalledHead,
    /// Begin a response, and never end its body.
    StalledBody,
    /// Write half of a response, close this side of the socket, and continue to read.
    HalfClose,
    /// Send the conforming answer, and close the socket without announcing that.
    CloseAfter,
    /// Write exactly these bytes instead of a response, and close the socket.
    RawBytes(&'a Bytes),
}

/// Sends an event that is not a message.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Event<'a> {
    /// Send an event that consists of an id.
    EventId(&'a String),
    /// Send an event that sets the reconnection time, in milliseconds.
    Retry(&'a u32),
    /// Send this many comments on the stream of events.
    Comments(&'a u32),
    /// Send an event of this type, which is not a message.
    OtherEvent(&'a String),
}

/// Changes an HTTP session or its streams.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Session<'a> {
    /// Answer this request as a stream of events, which begins now.
    Sse,
    /// Name this session in the response to this HTTP request, although the server never opened it.
    NameSession(&'a String),
    /// Give a new session the id of the previous one.
    SameSession,
    /// End the session: its id becomes unknown, and its streams end.
    ExpireSession,
    /// End the stream of events gracefully.
    EndStream,
    /// Close the socket of the stream of events in the middle.
    CutStream,
    /// Keep the conforming answer for the stream with which the client resumes this one.
    AnswerOnReturn,
}

/// Changes the server or its process, or ends it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Process<'a> {
    /// Advertise these tools from now on.
    Tools(&'a Vec<String>),
    /// Write this text and a line end to stderr.
    Stderr(&'a String),
    /// Write this many bytes to stderr, and hold the following actions until they are written.
    StderrFlood(&'a u32),
    /// Freeze: the server neither reads nor answers any more.
    Freeze,
    /// Stop the process, as a debugger does. It then takes no signal but SIGKILL.
    Stop,
    /// Start a child that lives for a time.
    Grandchild(&'a Grandchild),
    /// Exit gracefully, with this code.
    Exit(&'a u8),
    /// End at once, without a last event in the journal.
    Die(&'a Death),
    /// Do not end, although the input ended or a signal arrived.
    Ignore,
}
