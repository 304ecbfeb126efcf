//! What a rule does.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::history::Impairs;
use crate::plan::parse_duration;
use crate::script::fault::fault_info;
use crate::script::{Carriage, Signal, When};

/// One action of a rule. The actions of a rule run in order; what no action settled is then done honestly.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Hold what follows until this gate is open.
    Hold(String),
    /// Hold what follows for a time.
    Delay(#[serde(with = "duration_text")] Duration),
    /// Give the honest answer now, so that what follows comes after it.
    Answer,
    /// Never answer.
    Drop,
    /// Answer with an error.
    AnswerError(ErrorAnswer),
    /// Give the honest answer twice.
    Duplicate,
    /// Give the honest answer, also where the request was cancelled.
    AnswerAnyway,
    /// Give the honest answer under an id that nobody has asked with.
    UnknownId,
    /// Give the honest answer under an id of the other kind: a number as a string, a string as the number 0.
    ConvertedId,
    /// Give the honest answer under the id null.
    NullId,
    /// Answer with a result and with an error.
    ResultAndError,
    /// Answer with neither a result nor an error.
    NoResult,
    /// Give the honest answer without its `jsonrpc`.
    NoJsonrpc,
    /// Answer with this result.
    AnswerResult(Value),
    /// Give the honest answer with these members of its result in place of its own.
    AlterResult(Map<String, Value>),
    /// Send a request of the server's own, with this method and without parameters.
    Ask(String),
    /// Offer these tools from here on.
    Tools(Vec<String>),
    /// Send a notification without parameters.
    Notify(String),
    /// Write this text and a line end.
    Noise(String),
    /// Write exactly these bytes.
    Bytes(Bytes),
    /// Give the honest answer with a carriage return before its line end.
    CarriageReturn,
    /// Give the honest answer with a byte order mark before it.
    ByteOrderMark,
    /// Give the honest answer byte by byte.
    Split,
    /// Write half of the honest answer, and no line end.
    HalfLine,
    /// Write half of the honest answer, and a line end.
    BrokenJson,
    /// Close the output and go on reading.
    CloseStdout,
    /// Answer this HTTP request with a status code of its choice instead.
    Status(u16),
    /// Give the honest answer to this HTTP request as a body of this type.
    ContentType(String),
    /// Answer this request as a stream of events, which begins now.
    Sse,
    /// End the session: from now on it is unknown, and its streams end.
    ExpireSession,
    /// End the stream of events in order.
    EndStream,
    /// Close the socket of the stream of events in the middle.
    CutStream,
    /// Reset the socket of this HTTP request.
    Reset,
    /// Exit with this code, in order.
    Exit(u8),
    /// End at once, without a farewell.
    Die(Death),
    /// Do not end, although the input ended or a signal asked for it.
    Ignore,
}

/// An error a script answers with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ErrorAnswer {
    /// Code of the JSON-RPC error.
    pub code: i64,
    /// Its message.
    pub message: String,
    /// Its data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Value>,
}

/// How a mock dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Death {
    /// By a signal it sends to itself.
    Signal(Signal),
    /// With an exit code.
    Code(u8),
}

/// Bytes, written in hexadecimal; spaces between pairs are passed over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Bytes(pub Vec<u8>);

impl Action {
    /// Its name in a script.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Hold(_) => "hold",
            Self::Delay(_) => "delay",
            Self::Answer => "answer",
            Self::Drop => "drop",
            Self::AnswerError(_) => "answer-error",
            Self::Duplicate => "duplicate",
            Self::AnswerAnyway => "answer-anyway",
            Self::UnknownId => "unknown-id",
            Self::ConvertedId => "converted-id",
            Self::NullId => "null-id",
            Self::ResultAndError => "result-and-error",
            Self::NoResult => "no-result",
            Self::NoJsonrpc => "no-jsonrpc",
            Self::AnswerResult(_) => "answer-result",
            Self::AlterResult(_) => "alter-result",
            Self::Ask(_) => "ask",
            Self::Tools(_) => "tools",
            Self::Notify(_) => "notify",
            Self::Noise(_) => "noise",
            Self::Bytes(_) => "bytes",
            Self::CarriageReturn => "carriage-return",
            Self::ByteOrderMark => "byte-order-mark",
            Self::Split => "split",
            Self::HalfLine => "half-line",
            Self::BrokenJson => "broken-json",
            Self::CloseStdout => "close-stdout",
            Self::Status(_) => "status",
            Self::ContentType(_) => "content-type",
            Self::Sse => "sse",
            Self::ExpireSession => "expire-session",
            Self::EndStream => "end-stream",
            Self::CutStream => "cut-stream",
            Self::Reset => "reset",
            Self::Exit(_) => "exit",
            Self::Die(_) => "die",
            Self::Ignore => "ignore",
        }
    }

    /// Its name in a history, when it is a fault: `hold:before-answer`, `die:KILL`, `ignore:eof`, `status:get-405`.
    #[must_use]
    pub fn fault(&self, when: &When) -> Option<(String, Impairs)> {
        let info = fault_info(self.name())?;
        let impairs = self.impairs(when, info.impairs);
        let detail = match self {
            Self::Hold(gate) => gate.clone(),
            Self::Delay(delay) => format!("{}ms", delay.as_millis()),
            Self::Status(status) => format!("{}-{status}", when.detail()),
            Self::AnswerError(error) => error.code.to_string(),
            Self::Exit(code) | Self::Die(Death::Code(code)) => code.to_string(),
            Self::Die(Death::Signal(signal)) => signal.name().to_owned(),
            Self::Ask(text) | Self::ContentType(text) => text.clone(),
            Self::Noise(_) | Self::Bytes(_) | Self::CloseStdout | Self::ExpireSession => {
                return Some((info.id.to_owned(), impairs));
            }
            // What is told apart by its occasion alone.
            _ => when.detail().to_owned(),
        };
        Some((format!("{}:{detail}", info.id), impairs))
    }

    /// What it impairs on this occasion: what happens to a DELETE concerns the end alone, and what happens to the
    /// stream of a GET concerns no answer.
    fn impairs(&self, when: &When, usual: Impairs) -> Impairs {
        let is_of_exchange =
            matches!(self, Self::Drop | Self::Status(_) | Self::EndStream | Self::CutStream | Self::Reset);
        match when {
            When::Delete if is_of_exchange => Impairs::Ending,
            When::Get if is_of_exchange => Impairs::Timing,
            When::Request { .. } if is_of_exchange => Impairs::Answers,
            _ => usual,
        }
    }

    /// Which others it is treated like.
    fn family(&self) -> Family {
        match self {
            Self::Hold(_) | Self::Delay(_) => Family::Pause,
            Self::Answer | Self::AnswerAnyway | Self::AnswerError(_) | Self::Duplicate => Family::Answer,
            Self::UnknownId | Self::ConvertedId | Self::NullId | Self::ResultAndError => Family::ForgedMessage,
            Self::NoResult | Self::NoJsonrpc | Self::AnswerResult(_) | Self::AlterResult(_) => Family::ForgedMessage,
            Self::CarriageReturn | Self::ByteOrderMark | Self::Split => Family::ForgedLine,
            Self::HalfLine | Self::BrokenJson => Family::ForgedLine,
            Self::Drop => Family::Silence,
            Self::Notify(_) | Self::Ask(_) => Family::Message,
            Self::Noise(_) | Self::Bytes(_) | Self::CloseStdout => Family::Line,
            Self::Status(_) | Self::ContentType(_) | Self::Reset => Family::Response,
            Self::Sse | Self::ExpireSession | Self::EndStream | Self::CutStream => Family::Session,
            Self::Tools(_) | Self::Exit(_) | Self::Die(_) | Self::Ignore => Family::Server,
        }
    }

    /// Whether what is wrong with its answer is the line, not the message.
    #[must_use]
    pub fn forges_line(&self) -> bool {
        self.family() == Family::ForgedLine
    }

    /// Whether it decides about the answer to a request.
    #[must_use]
    pub fn answers(&self) -> bool {
        match self.family() {
            Family::Answer | Family::ForgedMessage | Family::ForgedLine | Family::Silence | Family::Response => true,
            Family::Pause | Family::Message | Family::Line | Family::Session | Family::Server => false,
        }
    }

    /// Whether it needs an output.
    #[must_use]
    pub fn writes(&self) -> bool {
        match self.family() {
            Family::Answer | Family::ForgedMessage | Family::ForgedLine | Family::Message | Family::Line => true,
            Family::Pause | Family::Silence | Family::Response | Family::Session | Family::Server => false,
        }
    }

    /// What it needs to be carried out over, where not anything will do.
    #[must_use]
    pub fn needs(&self) -> Option<Carriage> {
        match self.family() {
            Family::ForgedLine | Family::Line => Some(Carriage::Lines),
            Family::Response | Family::Session => Some(Carriage::Http),
            Family::Pause | Family::Answer | Family::ForgedMessage | Family::Silence => None,
            Family::Message | Family::Server => None,
        }
    }

    /// Whether nothing can follow it.
    #[must_use]
    pub fn ends(&self) -> bool {
        matches!(self, Self::Exit(_) | Self::Die(_))
    }

    /// Whether what follows it may come later, or never.
    #[must_use]
    pub fn holds(&self) -> bool {
        matches!(self, Self::Hold(_) | Self::Delay(_))
    }
}

/// Actions that are treated alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    /// Puts off what follows.
    Pause,
    /// Sends the honest answer, or an error.
    Answer,
    /// Sends the honest answer with something wrong in the message.
    ForgedMessage,
    /// Writes the honest answer with something wrong in the line.
    ForgedLine,
    /// Sends no answer.
    Silence,
    /// Sends a message that is no answer.
    Message,
    /// Does something to the output that is no message.
    Line,
    /// Answers an HTTP request in a way of its own.
    Response,
    /// Does something to an HTTP session or its streams.
    Session,
    /// Changes the server, or ends it.
    Server,
}

/// Why a text is not bytes in hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("found {0:?}, expected pairs of hexadecimal digits such as \"ff fe 0a\"")]
pub struct BytesError(String);

impl TryFrom<String> for Bytes {
    type Error = BytesError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let error = || BytesError(text.chars().take(40).collect());
        let digits: Vec<u8> = text.bytes().filter(|byte| *byte != b' ').collect();
        if digits.is_empty() || !digits.len().is_multiple_of(2) {
            return Err(error());
        }
        let value = |digit: u8| char::from(digit).to_digit(16);
        let pairs = digits.chunks_exact(2).map(|pair| Some(value(pair[0])? * 16 + value(pair[1])?));
        let bytes: Option<Vec<u8>> = pairs.map(|pair| u8::try_from(pair?).ok()).collect();
        bytes.map(Self).ok_or_else(error)
    }
}

impl From<Bytes> for String {
    fn from(bytes: Bytes) -> Self {
        bytes.to_string()
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            let space = if index == 0 { "" } else { " " };
            write!(f, "{space}{byte:02x}")?;
        }
        Ok(())
    }
}

/// Durations as a script writes them: `250ms`.
mod duration_text {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::{Duration, parse_duration};

    pub fn serialize<S: Serializer>(value: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        format!("{}ms", value.as_millis()).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        parse_duration(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}
