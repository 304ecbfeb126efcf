//! How text ends. `tests/it` includes this file, so it uses no other module of the command.

use std::io::{self, Write};

/// Writes text, which then ends with one line end, and flushes it. Nothing remains nothing.
///
/// # Errors
/// When the writer takes no more.
pub(crate) fn write_line(out: &mut impl Write, text: &str) -> io::Result<()> {
    out.write_all(text.as_bytes())?;
    if !text.is_empty() && !text.ends_with('\n') {
        out.write_all(b"\n")?;
    }
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::write_line;

    #[test]
    fn what_is_printed_ends_with_one_line_end() {
        for (text, printed) in [("", ""), ("a", "a\n"), ("a\n", "a\n")] {
            let mut out = Vec::new();
            write_line(&mut out, text).unwrap();
            assert_eq!(out, printed.as_bytes());
        }
    }
}
