//! Output: error channels, stderr, and how much a program writes.

use crate::check::combinator::{Judged, each};
use crate::check::{AppliesTo, Hears, Invariant, Level, Monitor, Property, View, Violation, Witness};
use crate::history::{Channel, Event, EventKind, Header, Kind};
use crate::plan::Promise;

/// Counter-examples: A program that is interrupted may print the interrupt as an uncaught exception and a traceback, as
/// Python does. An SDK that logs the message of a broken server, traceback and all, handles the error, so stderr counts
/// only if no server was made to misbehave.
pub(super) const ERROR_CHANNELS_SILENT: Invariant = Invariant {
    id: "error-channels-silent",
    property: Property::Safety,
    level: Level::Own,
    claim: "error channels stay silent",
    source: "VG-07: loop exception handler, unraisable hook, unhandled rejection, panic hook and stderr tracebacks stay silent",
    requirement: &["VG-07"],
    applies: AppliesTo::ALL,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::LoaderReady, Kind::ErrorReported],
    hears: Hears::ALL,
    vacuous: "the loader was never ready",
    explain: "An error was raised where no code could catch it: in a finaliser, in a task that no code awaits, or in \
        a hook at the end of a loop. The operation that caused it reported success. Lifecycle bugs show first as \
        such errors, and they go unread, because they end up on the stderr of a background process.\n\n\
        Look at the event before the report, most often a scope that a finaliser left or a loop that ended. Fix the \
        cause; silencing the channel only hides that a session was not closed.",
    start: |_: &Header| -> Box<dyn Monitor> { each(judge_report) },
};

fn judge_report(event: &Event, view: &View) -> Judged {
    let (channel, code) = match &event.kind {
        EventKind::LoaderReady { .. } => return Judged::Held,
        EventKind::ErrorReported { channel, code, .. } => (*channel, code.first()),
        _ => return Judged::Unrelated,
    };
    let (variant, is_excused) = match channel {
        Channel::LoopExceptionHandler => ("loop-exception-handler", false),
        Channel::UnraisableHook => ("unraisable-hook", false),
        Channel::ThreadExceptionHook => ("thread-exception-hook", false),
        Channel::UncaughtException => ("uncaught-exception", view.signalled().is_some()),
        Channel::UnhandledRejection => ("unhandled-rejection", false),
        Channel::Panic => ("panic", false),
        Channel::Stderr => ("stderr", view.signalled().is_some() || view.faulted().is_some()),
    };
    if is_excused {
        return Judged::Unrelated;
    }
    let through = code.map(|line| format!(", through {line}")).unwrap_or_default();
    let because = format!("an uncaught error came out of {channel} at {}{through}", event.seq);
    Judged::Broken(Violation::new(variant, because, &[event.seq]))
}

/// Counter-examples: A log on stderr is not an error; a line that names an error, a traceback or a panic is one. A finished
/// application may log what a misbehaving server did to it.
pub(super) const STDERR_WITHOUT_ERRORS: Invariant = Invariant {
    id: "stderr-without-errors",
    property: Property::Safety,
    level: Level::Own,
    claim: "stderr contains no uncaught error",
    source: "VG-07: error channels stay silent",
    requirement: &["VG-07"],
    applies: AppliesTo::ALL,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::ProcessExited, Kind::ErrorReported],
    hears: Hears::ALL,
    vacuous: "the client did not end by itself",
    explain: "The program wrote an uncaught error to stderr: a line that begins with the name of an error and a \
        colon, a traceback, or a panic. Many such errors change no exit status, because they are raised where no \
        code awaits.\n\n\
        Look at the text in the witness. Most such errors come from cleanup: a stream that is closed twice, or a \
        task that is left behind.",
    start: |header: &Header| -> Box<dyn Monitor> {
        if header.application().is_some() { each(judge_log) } else { each(judge_stderr) }
    },
};

fn judge_log(event: &Event, view: &View) -> Judged {
    match &event.kind {
        EventKind::ErrorReported { .. } if view.faulted().is_some() => Judged::Unrelated,
        _ => judge_stderr(event, view),
    }
}

fn judge_stderr(event: &Event, _view: &View) -> Judged {
    match &event.kind {
        EventKind::ProcessExited { role, .. } if role == "loader" => Judged::Held,
        EventKind::ErrorReported { channel: Channel::Stderr, text, .. } => {
            let first: String = text.lines().next().unwrap_or_default().chars().take(120).collect();
            let because = format!("stderr has an uncaught error, at {}: {first}", event.seq);
            Judged::Broken(Violation::new("uncaught", because, &[event.seq]))
        }
        _ => Judged::Unrelated,
    }
}

/// Counter-example: a program may write a lot; only output or processes that the supervisor had to stop count.
pub(super) const OUTPUT_BOUNDED: Invariant = Invariant {
    id: "output-bounded",
    property: Property::Safety,
    level: Level::Own,
    claim: "the program's output and its number of processes stay within their limits",
    source: "VG-17: the resources of a program have bounds",
    requirement: &["VG-17"],
    applies: AppliesTo::ALL,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::ProcessExited, Kind::LimitHit],
    hears: Hears::ALL,
    vacuous: "the program did not end by itself",
    explain: "The program wrote so much, or started so many processes, that the supervisor ended it. A loop that \
        retries without a pause and logs each failure reaches these limits within seconds.\n\n\
        Look at the end of stderr.txt: the same few lines repeat.",
    start: |_: &Header| -> Box<dyn Monitor> { each(judge_amount) },
};

fn judge_amount(event: &Event, _view: &View) -> Judged {
    match &event.kind {
        EventKind::ProcessExited { role, .. } if role == "loader" => Judged::Held,
        EventKind::LimitHit { limit, because } if matches!(limit.as_str(), "output" | "processes") => {
            let because = format!("the program was ended at {}: {because}", event.seq);
            Judged::Broken(Violation::new("ended", because, &[event.seq]))
        }
        _ => Judged::Unrelated,
    }
}
