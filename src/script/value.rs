//! Parameters of actions.

use std::fmt;
use std::time::Duration;

#[cfg(feature = "schemas")]
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::plan::parse_duration;
use crate::script::Signal;

/// An error a script answers with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemas", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ErrorAnswer {
    /// Code of the JSON-RPC error.
    pub code: i64,
    /// Its message.
    pub message: String,
    /// Its data, if it has any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Value>,
}

/// A message of the server's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemas", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schemas", schemars(rename = "Told"))]
pub struct OwnMessage {
    /// Its method.
    pub method: String,
    /// Its parameters.
    pub params: Map<String, Value>,
}

/// A notification, many times.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemas", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Many {
    /// Its method.
    pub method: String,
    /// Its parameters, if it has any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub params: Option<Map<String, Value>>,
    /// How many times the server sends it.
    pub times: u32,
}

/// A child of a mock: a process that only waits for a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemas", derive(JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Grandchild {
    /// Whether it keeps the mock's pipes open.
    pub holds_pipes: bool,
    /// How long it lives, at most 60s.
    pub life: Span,
}

/// How a mock dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemas", derive(JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Death {
    /// By a signal that it sends to itself.
    Signal(Signal),
    /// With an exit code.
    Code(u8),
}

/// A time as a script has it: `250ms`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schemas", derive(JsonSchema))]
#[serde(try_from = "String", into = "String")]
pub struct Span(pub Duration);

impl TryFrom<String> for Span {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        parse_duration(&text).map(Self).map_err(|error| error.to_string())
    }
}

impl From<Span> for String {
    fn from(Span(time): Span) -> Self {
        format!("{}ms", time.as_millis())
    }
}

/// Bytes in hexadecimal. Spaces between pairs are ignored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemas", derive(JsonSchema))]
#[serde(try_from = "String", into = "String")]
pub struct Bytes(pub Vec<u8>);

/// A text that is not bytes in hexadecimal.
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
