//! All output. It may contain text of other programs, so [`shown`] escapes it before each write.

use std::fmt;
use std::io::{self, Write as _};

use mcp_lifecheck::foreign::shown;
use mcp_lifecheck::run::RunError;

use crate::lines::write_line;

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
