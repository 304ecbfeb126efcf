//! Changes of what is read.

use serde_json::Value;

use crate::loader::rmcp::{Framing, TamperBytes};

/// What stands before the message of an event, and behind it.
const EVENT: (&[u8], &[u8]) = (b"event: message\ndata: ", b"\n\n");

/// Reads what an honest server writes to a client that asks one thing at a time, and takes anything else for the end.
struct Strict {
    framing: Framing,
    last_id: Option<u64>,
}

impl TamperBytes for Strict {
    fn read(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        let is_plain = match self.framing {
            Framing::Lines => {
                let lines = bytes.strip_suffix(b"\n")?;
                lines.split(|byte| *byte == b'\n').all(|line| self.is_next_answer(line))
            }
            Framing::Body => {
                let event = bytes.strip_prefix(EVENT.0).and_then(|rest| rest.strip_suffix(EVENT.1));
                self.is_next_answer(event.unwrap_or(bytes))
            }
        };
        is_plain.then(|| bytes.to_vec())
    }
}

impl Strict {
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
    Box::new(Strict { framing, last_id: None })
}
