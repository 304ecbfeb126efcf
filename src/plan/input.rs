//! Errors in input files: the place, the text that was found and the text that was expected.

use std::fmt;
use std::fs::{File, Metadata};
use std::io::{self, BufReader, Read};
use std::path::Path;

use crate::plan::suggest::with_suggestion;

/// Most bytes of an input file.
///
/// Ten times the longest history that the limits of a plan allow. The bound stops a read that would never end.
pub const TEXT_BYTES_MAX: u64 = 256 << 20;

/// A defect in a file that a user wrote.
///
/// Printed as `FILE:LINE:COLUMN: found …, expected …`. Always exit code 2.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct InputError {
    /// The file, by the name that the user gave.
    pub file: String,
    /// Line from 1; 0 when the error is about the whole file.
    pub line: usize,
    /// Column in characters from 1; 0 when the error is about the whole line.
    pub column: usize,
    /// The defect and the expectation: lower case, no final period.
    pub message: String,
}

impl fmt::Display for InputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file)?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        if self.column > 0 {
            write!(f, ":{}", self.column)?;
        }
        write!(f, ": {}", self.message)
    }
}

impl InputError {
    /// An error about a file as a whole.
    #[must_use]
    pub fn whole(file: &str, message: impl Into<String>) -> Self {
        Self { file: file.to_owned(), line: 0, column: 0, message: message.into() }
    }

    /// An error about one line, from 1.
    #[must_use]
    pub fn line(file: &str, line: usize, message: impl Into<String>) -> Self {
        Self { file: file.to_owned(), line, column: 0, message: message.into() }
    }

    /// An error at a byte offset of `text`.
    #[must_use]
    pub fn at(file: &str, text: &str, offset: usize, message: impl Into<String>) -> Self {
        let (line, column) = position(text, offset);
        Self { file: file.to_owned(), line, column, message: message.into() }
    }

    /// A TOML error with its position.
    #[must_use]
    pub fn toml(file: &str, text: &str, error: &toml::de::Error) -> Self {
        let message = with_suggestion(&error.message().trim_end_matches('\n').replace('\n', ", "));
        match error.span() {
            Some(span) => Self::at(file, text, span.start, message),
            None => Self::whole(file, message),
        }
    }

    /// A YAML error with its position.
    #[must_use]
    pub fn yaml(file: &str, error: &yaml_serde::Error) -> Self {
        let text = error.to_string();
        let message = with_suggestion(text.rsplit_once(" at line ").map_or(text.as_str(), |(message, _)| message));
        let (line, column) = error.location().map_or((0, 0), |place| (place.line(), place.column()));
        Self { file: file.to_owned(), line, column, message }
    }

    /// A JSON error with its position; `line` is the line of the file on which the JSON text starts, from 1.
    #[must_use]
    pub fn json(file: &str, line: usize, error: &serde_json::Error) -> Self {
        let text = error.to_string();
        let message = with_suggestion(text.rsplit_once(" at line ").map_or(text.as_str(), |(message, _)| message));
        let message = match error.is_syntax() || error.is_eof() {
            true => format!("found text that is not JSON ({message})"),
            false => message,
        };
        Self { file: file.to_owned(), line: line + error.line().saturating_sub(1), column: error.column(), message }
    }
}

/// Line and column, both from 1, of a byte offset.
fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset.min(text.len())).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |last| last.chars().count()) + 1;
    (line, column)
}

/// Accepts a name that becomes part of a file name: of a scenario, a loader, a stack or a server.
///
/// Plan ids are made of such names, and every plan has a folder by its id: a name that could lead out of the folder it
/// belongs to, hide itself or look like an option is refused.
///
/// # Errors
/// With what was found and what was expected.
pub(in crate::plan) fn check_name(what: &str, name: &str) -> Result<(), NameError> {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '@' | '-');
    if !name.is_empty() && name.chars().all(is_allowed) && !name.starts_with(['.', '-']) {
        return Ok(());
    }
    Err(NameError { what: what.to_owned(), found: name.to_owned() })
}

/// A text that cannot be a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("found {what} name {found:?}, expected letters of ASCII, digits and `._@-`, not starting with `.` or `-`")]
pub(in crate::plan) struct NameError {
    what: String,
    found: String,
}

/// Reads a text file.
///
/// # Errors
/// When the file cannot be read, is not a regular file, is longer than [`TEXT_BYTES_MAX`] or is not UTF-8.
pub fn read_text(path: &Path) -> Result<String, InputError> {
    let shown = path.display().to_string();
    let bytes = read_bytes(path, TEXT_BYTES_MAX).map_err(|error| InputError::whole(&shown, error.to_string()))?;
    String::from_utf8(bytes).map_err(|error| {
        let offset = error.utf8_error().valid_up_to();
        let line = error.as_bytes()[..offset].iter().filter(|byte| **byte == b'\n').count() + 1;
        InputError::line(
            &shown,
            line,
            format!("found bytes that are not UTF-8 at offset {offset}, expected UTF-8 text"),
        )
    })
}

/// Opens a text file of any length, to be read part by part.
///
/// # Errors
/// When the file cannot be read or is not a regular file.
pub fn open_text(path: &Path) -> Result<BufReader<File>, InputError> {
    let opened = regular(path).and_then(|_| Ok(File::open(path)?));
    let file = opened.map_err(|error| InputError::whole(&path.display().to_string(), error.to_string()))?;
    Ok(BufReader::with_capacity(64 << 10, file))
}

/// Why the bytes of a file were not read.
#[derive(Debug, thiserror::Error)]
enum ReadError {
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
    #[error("found something other than a regular file, expected one: a device or a pipe may have no end")]
    NotRegular,
    #[error("found more than {bytes_max} bytes, expected at most that many")]
    TooLong { bytes_max: u64 },
}

/// The facts about a regular file.
fn regular(path: &Path) -> Result<Metadata, ReadError> {
    // The metadata comes first, because opening a pipe waits for its other end.
    let facts = std::fs::metadata(path)?;
    if facts.is_file() { Ok(facts) } else { Err(ReadError::NotRegular) }
}

fn read_bytes(path: &Path, bytes_max: u64) -> Result<Vec<u8>, ReadError> {
    let facts = regular(path)?;
    if facts.len() > bytes_max {
        return Err(ReadError::TooLong { bytes_max });
    }
    // The length proves nothing: a file may grow while it is read, and files in /proc report a length of 0.
    let mut bytes = Vec::new();
    File::open(path)?.take(bytes_max + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > bytes_max {
        return Err(ReadError::TooLong { bytes_max });
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stays_in_the_folder_it_stands_in() {
        for good in ["reference", "mcp-1.30", "python-owner-task@mcp-1.30", "a_b", "9"] {
            assert_eq!(check_name("loader", good), Ok(()), "{good}");
        }
        for bad in ["", ".", "..", ".x", "-x", "a/b", "/a", "a b", "a\nb", "\u{fc}", "a:b"] {
            assert!(check_name("loader", bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_file_that_is_longer_than_its_facts_say_is_still_refused() {
        // Files in /proc report a length of 0.
        let path = Path::new("/proc/self/status");
        assert!(matches!(read_bytes(path, 16), Err(ReadError::TooLong { bytes_max: 16 })));
        assert!(read_bytes(path, 1 << 20).is_ok_and(|bytes| bytes.len() > 16));
    }

    #[test]
    fn an_offset_becomes_line_and_column() {
        assert_eq!(position("ab\ncd\n", 0), (1, 1));
        assert_eq!(position("ab\ncd\n", 4), (2, 2));
        assert_eq!(position("ab\ncd\n", 99), (3, 1));
    }
}
