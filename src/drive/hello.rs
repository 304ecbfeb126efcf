//! The wait for an adapter's hello.

use std::fs::File;
use std::time::Duration;

use tokio::time::Instant;

use crate::drive::input::PlanInput;
use crate::life::{OUTPUT_BYTES_MAX, Stage, read_head};
use crate::record::{AdapterLink, RecorderEndpoint};
use crate::supervise::{LoaderEnd, Supervised};

/// How long the last messages of an ended process may stay in transit.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// Why no adapter said hello.
#[derive(Debug, thiserror::Error)]
pub(super) enum HelloError {
    #[error("the loader's process said no hello within {} ms{refused}; {stderr}", limit.as_millis())]
    NoHello { limit: Duration, refused: String, stderr: String },
    #[error("the loader's process ended before its hello ({how}); {stderr}")]
    EndedEarly { how: String, stderr: String },
    #[error("the loader's process sent a hello that was refused: {because}")]
    Refused { because: String },
    #[error("a limit on the loader's process was hit before its hello")]
    BrokenEarly,
    #[error("the run was interrupted")]
    Interrupted,
}

/// Waits for the hello, at most for the limit `start` or until the loader's process ends.
pub(super) async fn await_hello(
    input: &PlanInput,
    stage: &Stage<'_>,
    supervised: &Supervised,
) -> Result<AdapterLink, HelloError> {
    let limit = input.plan.limits.start;
    let began = Instant::now();
    tokio::select! {
        biased;
        adapter = stage.endpoint.adapter(limit) => {
            adapter.ok_or_else(|| no_hello(&stage.endpoint, began.elapsed() < limit, limit, stage.stderr.as_ref()))
        }
        () = stage.environment.interruption() => Err(HelloError::Interrupted),
        () = supervised.broken_or_ended() => match supervised.loader_end_now() {
            Some(end) if !supervised.is_broken() => late_hello(stage, &end).await,
            Some(_) | None => Err(HelloError::BrokenEarly),
        },
    }
}

/// The process has ended, but its hello may still be in transit.
async fn late_hello(stage: &Stage<'_>, end: &LoaderEnd) -> Result<AdapterLink, HelloError> {
    if let Some(adapter) = stage.endpoint.adapter(LAST_WORDS).await {
        return Ok(adapter);
    }
    if let Some(because) = stage.endpoint.refusal() {
        return Err(HelloError::Refused { because });
    }
    let how = match (end.code, &end.signal) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "unknown".to_owned(),
    };
    Err(HelloError::EndedEarly { how, stderr: stderr_tail(stage.stderr.as_ref()) })
}

/// Why there is no adapter: the endpoint refused it before the limit, or the limit passed.
fn no_hello(endpoint: &RecorderEndpoint, is_early: bool, limit: Duration, stderr: Option<&File>) -> HelloError {
    match endpoint.refusal() {
        Some(because) if is_early => HelloError::Refused { because },
        refused => {
            let refused = refused
                .map(|because| format!("; the recorder endpoint refused a connection: {because}"))
                .unwrap_or_default();
            HelloError::NoHello { limit, refused, stderr: stderr_tail(stderr) }
        }
    }
}

/// So many lines at the end of a stderr are shown.
const SHOWN_LINES: usize = 5;

/// The last lines of the loader's stderr, as a clause.
fn stderr_tail(stderr: Option<&File>) -> String {
    let bytes = stderr.map(|stderr| read_head(stderr, OUTPUT_BYTES_MAX)).unwrap_or_default();
    last_lines(&String::from_utf8_lossy(&bytes))
}

fn last_lines(text: &str) -> String {
    if text.trim().is_empty() {
        return "it wrote nothing to stderr; does the program serve its loader?".to_owned();
    }
    let mut lines: Vec<&str> = text.lines().rev().take(SHOWN_LINES).collect();
    // Some runtimes write their stack and more behind the error.
    if !lines.iter().any(|line| names_an_error(line)) {
        lines.extend(text.lines().rfind(|line| names_an_error(line)));
    }
    format!("its stderr ends with: {}", lines.into_iter().rev().collect::<Vec<_>>().join(" | "))
}

/// Whether a line has the type of an error, a colon, and what it says.
fn names_an_error(line: &str) -> bool {
    let Some((types, _)) = line.rsplit_once(": ") else { return false };
    let words = types.split(": ").map(|part| part.split(" [").next().unwrap_or_default());
    words.into_iter().any(|word| word.ends_with("Error") || word.ends_with("Exception"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_shown_or_that_there_are_none() {
        assert_eq!(last_lines("1\n2\n3\n4\n5\n6\n"), "its stderr ends with: 2 | 3 | 4 | 5 | 6");
        assert_eq!(last_lines("\n"), "it wrote nothing to stderr; does the program serve its loader?");
    }

    #[test]
    fn the_error_is_shown_where_a_stack_stands_behind_it() {
        let node = "node:internal/modules/cjs/loader:1228\n  throw err;\n  ^\n\nError: Cannot find module 'x'\nRequire stack:\n- /a\n    \
                    at Module.load\n  code: 'MODULE_NOT_FOUND',\n  requireStack: [ '/a' ]\n}\n\nNode.js v20\n";
        assert_eq!(
            last_lines(node),
            "its stderr ends with: Error: Cannot find module 'x' |   code: 'MODULE_NOT_FOUND', |   requireStack: [ '/a' ] | } |  | Node.js v20"
        );
        let esm = format!("Error [ERR_MODULE_NOT_FOUND]: Cannot find package 'x'\n{}", "    at run\n".repeat(9));
        assert!(last_lines(&esm).contains("with: Error [ERR_MODULE_NOT_FOUND]: Cannot find package 'x' | "), "{esm}");
        assert_eq!(last_lines("a\nValueError: b\n"), "its stderr ends with: a | ValueError: b");
    }
}
