//! What is wrong with an input file, in a form a person can act on.

use std::fmt;

/// A defect in a file that a user wrote: where it is, what was found and what was expected.
///
/// Printed as `FILE:LINE:COLUMN: found …, expected …`. Always exit code 2.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct InputError {
    /// Name of the file as the user gave it.
    pub file: String,
    /// Line from 1; 0 where the whole file is meant.
    pub line: usize,
    /// Column in characters from 1; 0 where the whole line is meant.
    pub column: usize,
    /// What was found and what was expected: lower case, no final period.
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
        let message = error.message().trim_end_matches('\n').replace('\n', ", ");
        match error.span() {
            Some(span) => Self::at(file, text, span.start, message),
            None => Self::whole(file, message),
        }
    }

    /// A JSON error with its position; `line` is the line of the file on which the JSON text starts, from 1.
    #[must_use]
    pub fn json(file: &str, line: usize, error: &serde_json::Error) -> Self {
        let text = error.to_string();
        let message = text.rsplit_once(" at line ").map_or(text.as_str(), |(message, _)| message).to_owned();
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

/// Reads a text file; what cannot be read is an [`InputError`] as well.
///
/// # Errors
/// When the file cannot be read or is not UTF-8.
pub fn read_text(path: &std::path::Path) -> Result<String, InputError> {
    let shown = path.display().to_string();
    let bytes = std::fs::read(path).map_err(|error| InputError::whole(&shown, format!("cannot be read: {error}")))?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_becomes_line_and_column() {
        assert_eq!(position("ab\ncd\n", 0), (1, 1));
        assert_eq!(position("ab\ncd\n", 4), (2, 2));
        assert_eq!(position("ab\ncd\n", 99), (3, 1));
    }
}
