//! Finds uncaught errors on stderr.

use crate::life::uncaught;

/// Most errors of one program that are recorded.
const ERRORS_MAX: usize = 16;
/// Most characters of one recorded error.
const CHARS_MAX: usize = 4_096;

/// Tracebacks, panics, and lines that begin with the name of an error and a colon. A runtime prints these lines when an error ends
/// a program.
pub(super) fn errors_in(text: &str) -> Vec<String> {
    let mut found = uncaught(text);
    for line in text.lines().filter(|line| names_an_error(line)) {
        // The last line of a traceback is already part of it.
        if !found.iter().any(|earlier| earlier.lines().any(|known| known == line)) {
            found.push(line.to_owned());
        }
    }
    found.truncate(ERRORS_MAX);
    found.into_iter().map(|error| error.chars().take(CHARS_MAX).collect()).collect()
}

/// Whether a line begins with something like `TypeError: `, in a module or not, uncaught or not.
fn names_an_error(line: &str) -> bool {
    let line = line.strip_prefix("Uncaught ").unwrap_or(line);
    let Some((name, _)) = line.split_once(':') else { return false };
    let is_name = |part: &str| {
        part.starts_with(|c: char| c.is_alphabetic()) && part.chars().all(|c| c.is_alphanumeric() || c == '_')
    };
    // Node writes a code after the name: `TypeError [ERR_CODE]: `.
    let name = name.split_once(" [").filter(|(_, code)| code.ends_with(']')).map_or(name, |(name, _)| name);
    (name.ends_with("Error") || name.ends_with("Exception")) && name.split('.').all(is_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_that_a_runtime_prints_is_found() {
        for text in [
            "TypeError: x is not a function",
            "Error: no",
            "Uncaught ReferenceError: x",
            "TypeError [ERR_INVALID_URL]: Invalid URL",
            "mcp.shared.exceptions.McpError: Session terminated",
            "java.lang.IllegalStateException: closed",
            "thread 'main' panicked at src/main.rs:1:2:",
        ] {
            assert_eq!(errors_in(&format!("a log\n{text}\n")), [text]);
        }
        let traceback = "Traceback (most recent call last):\n  File \"a\"\nValueError: no";
        assert_eq!(errors_in(traceback), [traceback]);
    }

    #[test]
    fn a_log_is_no_error() {
        for text in ["INFO Error: retried", "  at TypeError: x", "0 errors: none", "Error", "errors: 3", "an Error: x"]
        {
            assert_eq!(errors_in(text), Vec::<String>::new(), "{text}");
        }
    }

    #[test]
    fn a_flood_of_errors_is_cut() {
        assert_eq!(errors_in(&"Error: 1\nError: 2\n".repeat(50)).len(), 2);
        let many: String = (0..100).map(|n| format!("Error: {n}\n")).collect();
        assert_eq!(errors_in(&many).len(), ERRORS_MAX);
    }
}
