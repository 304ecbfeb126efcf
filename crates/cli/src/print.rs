//! All output. It may contain text of other programs, so [`shown`] escapes it before each write.

use std::fmt;
use std::io::{self, Write};

use mcp_lifecheck::foreign::shown;
use mcp_lifecheck::run::RunError;

/// Prints lines to stdout, all at once.
///
/// A reader that went away has seen what it wanted: that changes nothing.
///
/// # Errors
/// When stdout takes no more for any other reason: what was found is not told then.
pub(crate) fn say(text: &str) -> Result<(), RunError> {
    match write_line(&mut io::stdout().lock(), &shown(text)) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(RunError::system("stdout")(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Tells the user something beside the output. Where stderr takes no more, there is nowhere to tell that.
pub(crate) fn complain(message: fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr(), "mcp-lifecheck: {}", shown(&message.to_string()));
}

fn write_line(out: &mut impl Write, text: &str) -> io::Result<()> {
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
