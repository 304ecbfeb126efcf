//! Answers that wait until their client resumes the stream on which they belong.

use std::mem;

use crate::server::http_io::ExchangeNo;

/// The answers of one connection that wait for a stream.
///
/// A server must not replay messages of another stream: a client that polls for two answers would wait for one of them on a
/// stream that never brings it. If no stream sent the event id that a client names, the stream is not known, and the client gets
/// every answer.
///
/// Source: 2025-11-25, basic/transports, Resumability and Redelivery.
#[derive(Debug, Default)]
pub(super) struct KeptAnswers {
    answers: Vec<(Option<ExchangeNo>, Vec<u8>)>,
    /// The event ids of each stream. Two streams of a careless script may share one.
    ids: Vec<(ExchangeNo, String)>,
}

impl KeptAnswers {
    /// Notes that a stream sent an event id.
    pub(super) fn note_id(&mut self, stream: ExchangeNo, id: &str) {
        self.ids.push((stream, id.to_owned()));
    }

    /// Keeps an answer that belongs on a stream.
    pub(super) fn keep(&mut self, stream: Option<ExchangeNo>, line: Vec<u8>) {
        self.answers.push((stream, line));
    }

    /// Removes the answers of the streams that sent this event id.
    pub(super) fn take(&mut self, id: &str) -> Vec<Vec<u8>> {
        let streams: Vec<ExchangeNo> =
            self.ids.iter().filter(|(_, known)| known == id).map(|(stream, _)| *stream).collect();
        let (taken, left) = mem::take(&mut self.answers)
            .into_iter()
            .partition(|(stream, _)| streams.is_empty() || stream.is_some_and(|stream| streams.contains(&stream)));
        self.answers = left;
        let taken: Vec<(Option<ExchangeNo>, Vec<u8>)> = taken;
        taken.into_iter().map(|(_, line)| line).collect()
    }
}
