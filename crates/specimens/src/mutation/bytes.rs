//! Mutations of the bytes that the loader reads.

use serde_json::Value;

use crate::reference::{Framing, TamperBytes};

/// The bytes before and after the message of an event.
const EVENT: (&[u8], &[u8]) = (b"event: message\ndata: ", b"\n\n");

/// Reads what a conforming server writes to a client that sends one request at a time. It reads nothing after the first other bytes.
struct Strict {
    framing: Framing,
    last_id: Option<u64>,
    then: Then,
    is_over: bool,
}

/// What the loader sees in place of other bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Then {
    /// The end of the stream.
    End,
    /// Nothing, forever.
    Silence,
}

impl TamperBytes for Strict {
    fn read(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        self.is_over |= !self.is_plain(bytes);
        match (self.is_over, self.then) {
            (false, _) => Some(bytes.to_vec()),
            (true, Then::End) => None,
            (true, Then::Silence) => Some(Vec::new()),
        }
    }
}

impl Strict {
    fn is_plain(&mut self, bytes: &[u8]) -> bool {
        match self.framing {
            Framing::Lines => bytes.strip_suffix(b"\n").is_some_and(|lines| {
                lines.split(|byte| *byte == b'\n').all(|line| !line.ends_with(b"\r") && self.is_next_answer(line))
            }),
            Framing::Body => {
                let event = bytes.strip_prefix(EVENT.0).and_then(|rest| rest.strip_suffix(EVENT.1));
                self.is_next_answer(event.unwrap_or(bytes))
            }
        }
    }

    fn is_next_answer(&mut self, message: &[u8]) -> bool {
        let Ok(Value::Object(message)) = serde_json::from_slice(message) else { return false };
        let id = message.get("id").and_then(Value::as_u64);
        let is_next = id.is_some() && self.last_id.is_none_or(|last| id > Some(last));
        self.last_id = id;
        let has_one = message.contains_key("result") != message.contains_key("error");
        is_next && has_one && message.len() == 3 && message.get("jsonrpc").is_some_and(|text| text == "2.0")
    }
}

pub(super) fn strict(framing: Framing) -> Box<dyn TamperBytes> {
    Box::new(Strict { framing, last_id: None, then: Then::End, is_over: false })
}

pub(super) fn stuck(framing: Framing) -> Box<dyn TamperBytes> {
    Box::new(Strict { framing, last_id: None, then: Then::Silence, is_over: false })
}

/// Reads a body that is JSON, and sees the end of any other body at once.
struct JsonAlone(Framing);

impl TamperBytes for JsonAlone {
    fn read(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        (self.0 == Framing::Lines || bytes.starts_with(b"{")).then(|| bytes.to_vec())
    }
}

pub(super) fn json_alone(framing: Framing) -> Box<dyn TamperBytes> {
    Box::new(JsonAlone(framing))
}
