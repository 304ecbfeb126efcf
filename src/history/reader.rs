//! Reads a history one event at a time, so that memory does not limit its length.

use std::collections::BTreeSet;
use std::io::{BufRead, Read};
use std::str::Utf8Error;

use crate::history::jsonl::{foreign_to_journals, read_header, read_numbered, without_end};
use crate::history::{Event, EventKind, Header, History, Origin, Seq, Source};
use crate::plan::{InputError, TEXT_BYTES_MAX};

/// Most bytes of one line.
const LINE_BYTES_MAX: u64 = TEXT_BYTES_MAX;

/// Reads a history.
///
/// Accepts a history that lacks its last lines. Rejects one whose last line is incomplete or whose lines are out of
/// order.
///
/// # Errors
/// With the line, the text found and the text expected.
pub fn read_history(file: &str, text: &str) -> Result<History, InputError> {
    HistoryReader::of_history(file, text.as_bytes())?.whole()
}

/// Reads the journal of a mock that ran without a harness. One of an older release does not name its origin.
///
/// # Errors
/// As [`read_history`], but a last line that was cut off is left out; also if the history has events that no mock records.
pub fn read_journal(file: &str, text: &str) -> Result<History, InputError> {
    HistoryReader::of_journal(file, text.as_bytes())?.whole()
}

/// The events of a `history.jsonl`, in recorded order. Its end is the end of the file or the first error.
///
/// A standalone mock may be killed while it writes its journal. The lines before remain evidence, so half a line at the
/// end of a journal becomes an `evidence.truncated`. The harness outlives what it records, so there half a line is an
/// error.
pub struct HistoryReader<R> {
    file: String,
    lines: Lines<R>,
    header: Header,
    n_events: u64,
    last_us: u64,
    is_journal: bool,
    is_over: bool,
}

impl<R: BufRead> HistoryReader<R> {
    /// Reads the header of a history.
    ///
    /// # Errors
    /// When the file is empty, or its first line is no header.
    pub fn of_history(file: &str, bytes: R) -> Result<Self, InputError> {
        let mut lines = Lines { bytes, line: Vec::new(), n_lines: 0, n_bytes: 0 };
        let header = match lines.next(file)? {
            Some(line) => read_header(file, line.text)?,
            None => {
                let found = "found an empty file, expected a history: its first line is the header";
                return Err(InputError::whole(file, found));
            }
        };
        Ok(Self { file: file.to_owned(), lines, header, n_events: 0, last_us: 0, is_journal: false, is_over: false })
    }

    /// Reads the header of the journal of a mock that ran without a harness; as [`read_journal`].
    ///
    /// # Errors
    /// As [`HistoryReader::of_history`].
    pub fn of_journal(file: &str, bytes: R) -> Result<Self, InputError> {
        let mut reader = Self::of_history(file, bytes)?;
        reader.header.origin = Origin::Mock;
        reader.is_journal = true;
        Ok(reader)
    }

    /// The facts that hold for the whole plan.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    fn whole(mut self) -> Result<History, InputError> {
        let events = self.by_ref().collect::<Result<Vec<_>, _>>()?;
        History::from_events(self.header, events).map_err(|error| InputError::whole(&self.file, error.to_string()))
    }

    /// Reads on, and gives these events only.
    ///
    /// # Errors
    /// When one of them cannot be read.
    pub fn only(mut self, wanted: &BTreeSet<Seq>) -> Result<Vec<Event>, InputError> {
        let mut events = Vec::new();
        let Some(last) = wanted.last() else { return Ok(events) };
        // Each event is on the line of its number plus one, because the header is on the first line.
        for seq in (self.n_events + 1..=last.0).map(Seq) {
            if wanted.contains(&seq) {
                let Some(event) = self.next() else { break };
                events.push(event?);
            } else if self.lines.next(&self.file)?.is_some() {
                self.n_events += 1;
            } else {
                break;
            }
        }
        Ok(events)
    }

    fn read(&mut self) -> Result<Option<Event>, InputError> {
        let Some(Line { text, number, has_end }) = self.lines.next(&self.file)? else { return Ok(None) };
        if !has_end && self.header.origin == Origin::Mock {
            self.is_over = true;
            return Ok(Some(self.truncated(number)));
        }
        let event = read_numbered(&self.file, number, text, Seq(self.n_events + 1))?;
        if !has_end {
            return Err(without_end(&self.file, number));
        }
        match self.is_journal.then(|| foreign_to_journals(&event)).flatten() {
            Some(found) => Err(InputError::line(&self.file, number, found)),
            None => {
                self.n_events += 1;
                self.last_us = event.at_us;
                Ok(Some(event))
            }
        }
    }

    /// Replaces the last line of a journal that has no end.
    fn truncated(&self, number: usize) -> Event {
        let because = format!("line {number}, the last one, has no end");
        let kind = EventKind::EvidenceTruncated { what: "journal".to_owned(), because };
        Event { seq: Seq(self.n_events + 1), at_us: self.last_us, source: Source::Recorder, kind }
    }
}

impl<R: BufRead> Iterator for HistoryReader<R> {
    type Item = Result<Event, InputError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let event = self.read().transpose();
        self.is_over |= !matches!(event, Some(Ok(_)));
        event
    }
}

/// The lines of a file. One of them is in memory at a time.
struct Lines<R> {
    bytes: R,
    line: Vec<u8>,
    n_lines: usize,
    /// Length of the lines before this one.
    n_bytes: usize,
}

/// A line without its end.
struct Line<'a> {
    text: &'a str,
    /// Its number in the file, from 1.
    number: usize,
    has_end: bool,
}

impl<R: BufRead> Lines<R> {
    fn next(&mut self, file: &str) -> Result<Option<Line<'_>>, InputError> {
        self.n_bytes += self.line.len();
        self.line.clear();
        let read = self.bytes.by_ref().take(LINE_BYTES_MAX + 1).read_until(b'\n', &mut self.line);
        read.map_err(|error| InputError::whole(file, format!("cannot be read: {error}")))?;
        if self.line.is_empty() {
            return Ok(None);
        }
        self.n_lines += 1;
        let (number, n_bytes) = (self.n_lines, self.line.len() as u64);
        let (line, has_end) = match self.line.strip_suffix(b"\n") {
            Some(line) => (line.strip_suffix(b"\r").unwrap_or(line), true),
            None => (self.line.as_slice(), false),
        };
        if n_bytes > LINE_BYTES_MAX {
            let found = format!("found more than {LINE_BYTES_MAX} bytes, expected at most that many on one line");
            return Err(InputError::line(file, number, found));
        }
        // A line that was cut off may end inside a character.
        let is_cut = |error: &Utf8Error| !has_end && error.error_len().is_none();
        let line = match std::str::from_utf8(line) {
            Err(error) if is_cut(&error) => &line[..error.valid_up_to()],
            Ok(_) | Err(_) => line,
        };
        let text = std::str::from_utf8(line).map_err(|error| {
            let offset = self.n_bytes + error.valid_up_to();
            let found = format!("found bytes that are not UTF-8 at offset {offset}, expected UTF-8 text");
            InputError::line(file, number, found)
        })?;
        Ok(Some(Line { text, number, has_end }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::event_to_line;

    fn text(n_events: u64) -> String {
        let header = serde_json::to_string(&Header::new("test")).unwrap();
        let event = |seq| Event { seq: Seq(seq), at_us: seq, source: Source::Driver, kind: EventKind::IdleBegan {} };
        let lines = (1..=n_events).map(|seq| event_to_line(&event(seq)));
        std::iter::once(header).chain(lines).map(|line| line + "\n").collect()
    }

    fn streamed(text: &[u8]) -> Result<Vec<Event>, InputError> {
        HistoryReader::of_history("test", text)?.collect()
    }

    #[test]
    fn it_reads_whole_lines_in_order_and_names_the_first_that_is_not() {
        let whole = text(3);
        let lines: Vec<&str> = whole.lines().collect();
        let texts = [
            (whole.clone(), Ok(3)),
            (whole.replace('\n', "\r\n"), Ok(3)),
            (format!("{}\n", lines[0]), Ok(0)),
            (String::new(), Err("test: found an empty file")),
            (whole.trim_end().to_owned(), Err("test:4: found a line without its end")),
            (whole[..whole.len() - 5].to_owned(), Err("test:4:")),
            (format!("{}\n{}\n", lines[0], lines[2]), Err("test:2: found event #2, expected #1")),
            (format!("{whole}\n"), Err("test:5:")),
            (format!("{whole}{{\"seq\"\n"), Err("test:5:")),
            (format!("{}\n", lines[1]), Err("test:1: found no `schema`")),
        ];
        for (text, expected) in texts {
            let read = streamed(text.as_bytes()).map(|events| events.len()).map_err(|error| error.to_string());
            match expected {
                Ok(n_events) => assert_eq!(read, Ok(n_events), "{text:?}"),
                Err(begin) => assert!(read.as_ref().is_err_and(|error| error.starts_with(begin)), "{begin}: {read:?}"),
            }
        }
    }

    #[test]
    fn it_names_the_place_of_bytes_that_are_no_text() {
        let mut bytes = text(2).into_bytes();
        let offset = bytes.len() - 4;
        bytes[offset] = 0xff;
        let error = streamed(&bytes).unwrap_err().to_string();
        assert!(error.starts_with(&format!("test:3: found bytes that are not UTF-8 at offset {offset},")), "{error}");
    }

    #[test]
    fn a_journal_has_events_of_mocks_only() {
        let text = text(1);
        let reader = HistoryReader::of_journal("test", text.as_bytes()).unwrap();
        assert_eq!(reader.header().origin, Origin::Mock);
        let error = read_journal("test", &text).unwrap_err().to_string();
        assert!(error.starts_with("test:2: found an event of source driver"), "{error}");
    }

    #[test]
    fn a_journal_that_ends_with_half_a_line_keeps_what_stands_before() {
        let header = Header { origin: Origin::Mock, ..Header::new("test") };
        let kind = EventKind::MockStarted { script: "é".to_owned(), pid: None };
        let source: Source = "mock:files#1".parse().unwrap();
        let events = (1..=3).map(|seq| Event { seq: Seq(seq), at_us: seq, source: source.clone(), kind: kind.clone() });
        let lines = std::iter::once(serde_json::to_string(&header).unwrap()).chain(events.map(|it| event_to_line(&it)));
        let whole: String = lines.map(|line| line + "\n").collect();
        let end_of_second = whole.trim_end().rfind('\n').unwrap() + 1;
        for cut in end_of_second + 1..whole.len() {
            let read =
                |bytes| HistoryReader::of_history("test", bytes).unwrap().collect::<Result<Vec<_>, _>>().unwrap();
            let events = read(&whole.as_bytes()[..cut]);
            let is_told = |event: &Event| matches!(&event.kind, EventKind::EvidenceTruncated { because, .. } if because.contains("line 4"));
            assert!(events.len() == 3 && is_told(&events[2]), "{events:?}");
        }
        assert_eq!(streamed(&whole.as_bytes()[..end_of_second]).unwrap().len(), 2);
        assert!(streamed(&whole.as_bytes()[..whole.find('\n').unwrap() - 1]).is_err(), "half a header tells nothing");
    }

    #[test]
    fn single_events_are_found_again() {
        let text = text(9);
        let wanted = BTreeSet::from([Seq(2), Seq(7), Seq(70)]);
        let events = HistoryReader::of_history("test", text.as_bytes()).unwrap().only(&wanted).unwrap();
        assert_eq!(events.iter().map(|event| event.seq).collect::<Vec<_>>(), [Seq(2), Seq(7)]);
    }
}
