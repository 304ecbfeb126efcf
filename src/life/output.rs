//! The files that a subject writes: its stdout and its stderr.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;

use crate::foreign::{Redacted, Secrets};

/// Names of the files that a subject and its helpers write.
const OUTPUTS: [&str; 3] = ["stdout.txt", "stderr.txt", "page-stderr.txt"];
/// Beginning of the name of a configuration that a user wrote.
const OWN_CONFIGURATION: &str = "config-";

/// Makes the files for the subject's stdout and stderr before it starts, and returns the one for stderr.
///
/// The open file stays the one that is read, even when the subject replaces it in the folder.
pub(crate) fn create_outputs(directory: &Path) -> io::Result<File> {
    File::create(directory.join("stdout.txt"))?;
    File::options().read(true).append(true).create(true).open(directory.join("stderr.txt"))
}

/// The first bytes of a file that may still grow. Other readers and writers of the file do not matter.
pub(crate) fn read_head(file: &File, bytes_max: u64) -> Vec<u8> {
    let length = file.metadata().map_or(0, |file| file.len()).min(bytes_max);
    let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
    let n_read = file.read_at(&mut bytes, 0).unwrap_or(0);
    bytes.truncate(n_read);
    bytes
}

/// Removes the secrets from the files that a subject wrote, after its end. Returns their number by name of the file, without the files
/// that had none.
///
/// The subject writes into these files itself, so they hold a secret until its end.
pub(crate) fn redact_outputs(directory: &Path, secrets: &Secrets) -> BTreeMap<String, usize> {
    let mut redacted = BTreeMap::new();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let has_forms = OUTPUTS.contains(&name.as_str());
        if !has_forms && !name.starts_with(OWN_CONFIGURATION) {
            continue;
        }
        let without = |text: &str| {
            // The configuration has the addresses of the mocks, which are not secrets of the user.
            let Redacted { text, n_secrets } =
                if has_forms { secrets.redact(text) } else { secrets.redact_values(text) };
            (n_secrets > 0).then(|| (text.into_owned(), n_secrets))
        };
        if let Ok(Some(n_secrets)) = rewrite(&entry.path(), without) {
            redacted.insert(name, n_secrets);
        }
    }
    redacted
}

/// Writes a text file again if it holds a secret. It follows no link, because the subject could have made one.
fn rewrite(path: &Path, without: impl Fn(&str) -> Option<(String, usize)>) -> io::Result<Option<usize>> {
    let no_follow = i32::try_from(OFlags::NOFOLLOW.bits()).unwrap_or_default();
    let mut file = File::options().read(true).write(true).custom_flags(no_follow).open(path)?;
    let facts = file.metadata()?;
    if !facts.is_file() || facts.nlink() != 1 {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let Some((text, n_secrets)) = without(&String::from_utf8_lossy(&bytes)) else { return Ok(None) };
    file.rewind()?;
    file.write_all(text.as_bytes())?;
    file.set_len(text.len() as u64)?;
    Ok(Some(n_secrets))
}

/// Tracebacks of Python and panics of Rust, each from its first line to its last.
///
/// Python prints a traceback that ends in KeyboardInterrupt or SystemExit when a signal ends it. That traceback is not an error, and
/// neither is a cancellation that precedes it: asyncio cancels its main task on an interrupt.
pub(crate) fn uncaught(text: &str) -> Vec<String> {
    const TRACEBACK: &str = "Traceback (most recent call last):";
    let mut found = Vec::new();
    let lines: Vec<&str> = text.lines().collect();
    for (index, line) in lines.iter().enumerate() {
        if line.trim_start_matches([' ', '|', '+']).starts_with(TRACEBACK) {
            let indented = |line: &&&str| line.starts_with([' ', '\t', '|', '+']) || line.is_empty();
            let body = lines[index + 1..].iter().take_while(indented).count();
            let last = lines.get(index + 1 + body).copied().unwrap_or_default();
            let end = (index + 2 + body).min(lines.len());
            let is_requested_end = last.starts_with("KeyboardInterrupt") || last.starts_with("SystemExit");
            let is_reported_with_the_next = is_cancellation(last) && is_followed_up(&lines[end..]);
            if !is_requested_end && !is_reported_with_the_next {
                found.push(lines[index..end].join("\n"));
            }
        } else if line.contains("panicked at ") {
            found.push((*line).to_owned());
        }
    }
    found
}

fn is_cancellation(line: &str) -> bool {
    line.split([':', ' ']).next().is_some_and(|name| name.rsplit('.').next() == Some("CancelledError"))
}

/// Whether the next lines report an error that followed from the one before.
fn is_followed_up(lines: &[&str]) -> bool {
    let mut written = lines.iter().filter(|line| !line.is_empty());
    written.next().is_some_and(|line| {
        line.starts_with("During handling of the above exception") || line.starts_with("The above exception was")
    })
}

#[cfg(test)]
mod tests {
    use super::uncaught;

    #[test]
    fn a_cancellation_is_an_error_unless_a_signal_ended_the_program() {
        let first = "Traceback (most recent call last):\n  File \"a\"\nasyncio.exceptions.CancelledError\n";
        let then = "\nDuring handling of the above exception, another exception occurred:\n\n";
        let second = |last: &str| format!("Traceback (most recent call last):\n  File \"b\"\n{last}\n");
        assert_eq!(uncaught(first).len(), 1);
        assert!(uncaught(&format!("{first}{then}{}", second("KeyboardInterrupt"))).is_empty());
        let found = uncaught(&format!("{first}{then}{}", second("RuntimeError: no")));
        assert_eq!(found.len(), 1);
        assert!(found[0].ends_with("RuntimeError: no"), "{found:?}");
    }

    #[test]
    fn a_traceback_is_found_from_its_first_line_to_its_last() {
        let text = "before\nTraceback (most recent call last):\n  File \"a\"\n    x\nValueError: no\nafter\n";
        let expected = "Traceback (most recent call last):\n  File \"a\"\n    x\nValueError: no";
        assert_eq!(uncaught(text), [expected]);
    }

    #[test]
    fn an_end_by_a_signal_is_no_error() {
        assert!(uncaught("Traceback (most recent call last):\n  File \"a\"\nKeyboardInterrupt\n").is_empty());
        assert!(uncaught("a line\nanother\n").is_empty());
    }

    #[test]
    fn a_panic_is_found() {
        assert_eq!(
            uncaught("thread 'main' panicked at src/a.rs:1:2:\nno"),
            ["thread 'main' panicked at src/a.rs:1:2:"]
        );
    }
}
