//! The events of a stream, from its bytes.
//!
//! Source: the HTML standard, server-sent events: lines end with LF, CR or both; an empty line ends an event.

use std::collections::VecDeque;
use std::time::Duration;

use super::error::HttpError;

/// Takes a stream apart. It outlives a connection: the last id and the delay hold for the next one.
pub(super) struct Events {
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
    pub(super) fn new(bytes_max: usize) -> Self {
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
    pub(super) fn last_id(&self) -> Option<&str> {
        self.last_id.as_deref()
    }

    /// The delay that the server asks for before the next connection.
    pub(super) fn retry(&self) -> Option<Duration> {
        self.retry
    }

    /// Begins a new connection: what was unfinished in the last one is no event.
    pub(super) fn restart(&mut self) {
        self.line.clear();
        self.after_cr = false;
        self.at_start = true;
        self.data = None;
        self.name.clear();
    }

    /// The data of the next message that is complete.
    pub(super) fn next(&mut self) -> Option<String> {
        self.ready.pop_front()
    }

    /// The data of the first event that says where to post, as revision 2024-11-05 has it.
    pub(super) fn endpoint(&self) -> Option<&str> {
        self.endpoint.as_deref()
    }

    /// Takes in more bytes.
    ///
    /// # Errors
    /// [`HttpError::TooLarge`] when an event does not end.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Result<(), HttpError> {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn events(chunks: &[&[u8]]) -> (Vec<String>, Events) {
        let mut events = Events::new(64);
        for chunk in chunks {
            events.feed(chunk).unwrap();
        }
        let found = std::iter::from_fn(|| events.next()).collect();
        (found, events)
    }

    #[test]
    fn every_line_end_and_every_split_gives_the_same_events() {
        let texts =
            ["id: 7\ndata: a\ndata: b\n\n: ping\n\ndata:c\n\n", "id: 7\rdata: a\rdata: b\r\r: ping\r\rdata:c\r\r"];
        for text in texts.iter().map(|text| (*text).to_owned()).chain([texts[0].replace('\n', "\r\n")]) {
            for at in 0..=text.len() {
                let (first, second) = text.as_bytes().split_at(at);
                let (found, events) = events(&[first, second]);
                assert_eq!(found, ["a\nb", "c"], "split at {at} of {text:?}");
                assert_eq!(events.last_id(), Some("7"));
            }
        }
    }

    #[test]
    fn only_messages_with_data_are_messages() {
        let (found, events) =
            events(&["\u{feff}data: x\n\nid: 1\ndata:\n\nevent: other\ndata: y\n\ndata: cut off".as_bytes()]);
        assert_eq!(found, ["x"]);
        assert_eq!(events.last_id(), Some("1"));
    }

    #[test]
    fn the_first_endpoint_stands_and_is_no_message() {
        let (found, events) = events(&[b"event: endpoint\r\ndata: /a\r\n\r\nevent: endpoint\ndata: /b\n\ndata: x\n\n"]);
        assert_eq!((events.endpoint(), found.as_slice()), (Some("/a"), &["x".to_owned()][..]));
    }

    #[test]
    fn an_empty_id_takes_the_last_one_back_and_retry_is_digits() {
        let (_, mut events) = events(&[b"id: 1\n\nretry: 500\nid:\nretry: -1\nretry: 2s\n\n"]);
        assert_eq!((events.last_id(), events.retry()), (None, Some(Duration::from_millis(500))));
        events.feed(b"retry: 99999999999999999999999\n\n").unwrap();
        assert_eq!(events.retry(), Some(Duration::from_millis(u64::MAX)));
    }

    #[test]
    fn what_was_unfinished_is_gone_with_its_connection() {
        let (_, mut events) = events(&[b"id: 1\ndata: half"]);
        events.restart();
        events.feed(b"data: whole\n\n").unwrap();
        assert_eq!((events.next().as_deref(), events.last_id()), (Some("whole"), Some("1")));
    }

    #[test]
    fn an_event_that_does_not_end_is_refused() {
        let mut events = Events::new(64);
        assert!(matches!(events.feed(&[b'x'; 65]), Err(HttpError::TooLarge { bytes_max: 64 })));
        let mut events = Events::new(64);
        assert!(events.feed("data: 1234567890\n".repeat(9).as_bytes()).is_err());
    }
}
