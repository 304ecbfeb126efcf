//! The events of a stream, from its bytes.
//!
//! Source: the HTML standard, server-sent events: lines end with LF, CR or both; an empty line ends an event.

use std::collections::VecDeque;
use std::time::Duration;

use super::error::HttpError;

/// Takes a stream apart. It outlives a connection: the last id and the delay hold for the next one.
pub struct Events {
    bytes_max: usize,
    line: Vec<u8>,
    after_cr: bool,
    at_start: bool,
    data: Option<String>,
    name: String,
    last_id: Option<String>,
    retry: Option<Duration>,
    ready: VecDeque<String>,
    endpoint: Option<String>,
}

impl Events {
    /// At the start of a stream, with a bound on the bytes of one event.
    pub fn new(bytes_max: usize) -> Self {
        Self {
            bytes_max,
            line: Vec::new(),
            after_cr: false,
            at_start: true,
            data: None,
            name: String::new(),
            last_id: None,
            retry: None,
            ready: VecDeque::new(),
            endpoint: None,
        }
    }

    /// The id of the last event that had one.
    pub fn last_id(&self) -> Option<&str> {
        self.last_id.as_deref()
    }

    /// The delay that the server asks for before the next connection.
    pub fn retry(&self) -> Option<Duration> {
        self.retry
    }

    /// Begins a new connection: what was unfinished in the last one is no event.
    pub fn restart(&mut self) {
        self.line.clear();
        self.after_cr = false;
        self.at_start = true;
        self.data = None;
        self.name.clear();
    }

    /// The data of the next message that is complete.
    pub fn next_message(&mut self) -> Option<String> {
        self.ready.pop_front()
    }

    /// The data of the first event that says where to post, as revision 2024-11-05 has it.
    pub fn endpoint(&self) -> Option<&str> {
        self.endpoint.as_deref()
    }

    /// Takes in more bytes.
    ///
    /// # Errors
    /// [`HttpError::TooLarge`] when an event does not end.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<(), HttpError> {
        for &byte in bytes {
            let ends_crlf = std::mem::take(&mut self.after_cr) && byte == b'\n';
            match byte {
                b'\n' if ends_crlf => {}
                b'\n' => self.end_line(),
                b'\r' => {
                    self.after_cr = true;
                    self.end_line();
                }
                _ => self.line.push(byte),
            }
            let n_bytes = self.line.len() + self.data.as_ref().map_or(0, String::len);
            if n_bytes > self.bytes_max {
                return Err(HttpError::TooLarge { bytes_max: self.bytes_max });
            }
        }
        Ok(())
    }

    fn end_line(&mut self) {
        let bytes = std::mem::take(&mut self.line);
        let text = String::from_utf8_lossy(&bytes);
        let line = if std::mem::take(&mut self.at_start) { text.trim_start_matches('\u{feff}') } else { &*text };
        if line.is_empty() {
            self.end_event();
            return;
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        self.take_field(field, value.strip_prefix(' ').unwrap_or(value));
    }

    fn take_field(&mut self, field: &str, value: &str) {
        match field {
            "data" => match &mut self.data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                None => self.data = Some(value.to_owned()),
            },
            "event" => value.clone_into(&mut self.name),
            "id" if !value.contains('\0') => self.last_id = Some(value.to_owned()).filter(|id| !id.is_empty()),
            "retry" if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) => {
                // More digits than fit are more time than anybody has.
                self.retry = Some(Duration::from_millis(value.parse().unwrap_or(u64::MAX)));
            }
            // A comment (its field is empty), or a field of another vocabulary.
            _ => {}
        }
    }

    fn end_event(&mut self) {
        let name = std::mem::take(&mut self.name);
        // An event without data only carries an id.
        let data = self.data.take().filter(|data| !data.trim().is_empty());
        match name.as_str() {
            "" | "message" => self.ready.extend(data),
            "endpoint" if self.endpoint.is_none() => self.endpoint = data,
            _ => {}
        }
    }
}
