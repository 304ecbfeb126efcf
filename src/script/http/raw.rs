//! Responses that no HTTP server writes: bytes of our own in place of what hyper would send.

use crate::history::{EventKind, WireEnd};
use crate::script::http::ExchangeNo;
use crate::script::http::answer::{JSON, SESSION};
use crate::script::interpreter::Interpreter;
use crate::script::task::{At, Task};
use crate::script::{Action, After, Effect};

/// Bytes that are promised and never come.
const MISSING: usize = 64;
/// A head that never ends.
const HALF_A_HEAD: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: applica";

impl Interpreter {
    /// Answers an HTTP request with bytes of our own.
    pub(in crate::script) fn answer_raw(&mut self, action: &Action, task: &Task) {
        let Some(no) = task.at.exchange else { return };
        match action {
            Action::StalledHead => self.write_raw(no, HALF_A_HEAD.to_vec(), After::Stall),
            Action::RawBytes(bytes) => self.write_raw(no, bytes.0.clone(), After::Close),
            _ => {
                let Some(line) = self.honest_answer(&task.cause, task.at) else { return };
                self.note_answer(task.at);
                let (bytes, after) = self.raw_answer(no, task.at, action, &line);
                self.journal(EventKind::HttpAnswered { exchange: no.id(), status: 200, streams: false });
                if *action == Action::CloseAfter {
                    let connection = self.connection_of(task.at);
                    self.sent(connection, &line);
                }
                self.write_raw(no, bytes, after);
            }
        }
    }

    /// A response that carries an answer in some way.
    fn raw_answer(&mut self, no: ExchangeNo, at: At, action: &Action, line: &[u8]) -> (Vec<u8>, After) {
        let half = &line[..line.len() / 2];
        let (framing, body, after) = match action {
            Action::TruncateChunk => {
                let body = [format!("{:x}\r\n", line.len()).as_bytes(), half].concat();
                ("transfer-encoding: chunked".to_owned(), body, After::Close)
            }
            Action::LongLength => (length(line.len() + MISSING), line.to_vec(), After::Close),
            Action::ShortLength => (length(half.len()), line.to_vec(), After::Close),
            Action::StalledBody => (length(line.len()), half.to_vec(), After::Stall),
            Action::HalfClose => (length(line.len()), half.to_vec(), After::HalfClose),
            _ => (length(line.len()), line.to_vec(), After::Close),
        };
        let session = self.session_of_answer(no, at).map(|session| format!("{SESSION}: {session}\r\n"));
        let (name, kind) = JSON;
        let head = format!("HTTP/1.1 200 OK\r\n{name}: {kind}\r\n{}{framing}\r\n\r\n", session.unwrap_or_default());
        ([head.as_bytes(), &body].concat(), after)
    }

    fn write_raw(&mut self, no: ExchangeNo, bytes: Vec<u8>, after: After) {
        match after {
            After::Close => {
                let Some(exchange) = self.take_exchange(no, WireEnd::Broken) else { return };
                if let Some(http) = self.http() {
                    http.sockets.insert(exchange.socket, Some(WireEnd::ByServer));
                }
                self.close_with(Some(exchange), WireEnd::ByServer);
                self.push(Effect::Raw { exchange: no, bytes, after });
            }
            After::HalfClose | After::Stall => {
                // Nothing more is sent on it; it is over when its client leaves.
                if let Some(exchange) = self.http().and_then(|http| http.exchanges.get_mut(&no)) {
                    exchange.streams = true;
                }
                self.push(Effect::Raw { exchange: no, bytes, after });
            }
        }
    }
}

fn length(n_bytes: usize) -> String {
    format!("content-length: {n_bytes}")
}
