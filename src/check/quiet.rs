//! What ought to be quiet: error channels, and the processor while idle.

use crate::check::combinator::{Judged, each};
use crate::check::{Invariant, Level, Monitor, Property, Scope, View, Violation, Witness};
use crate::history::{Channel, Event, EventKind, Header, Kind, cpu_percent, is_busy};
use crate::plan::Promise;

/// Counter-examples that shaped it. A program that is interrupted may print the interrupt as an uncaught exception and a
/// traceback: that is how Python ends. An SDK that logs what a broken server sent it, traceback and all, handles the error; so
/// stderr counts only where no server was made to misbehave.
pub(super) const ERROR_CHANNELS_SILENT: Invariant = Invariant {
    id: "error-channels-silent",
    property: Property::Safety,
    level: Level::Own,
    claim: "nothing comes out of an error channel that nobody awaits",
    source: "VG-07: loop exception handler, unraisable hook, unhandled rejection, panic hook and stderr tracebacks stay silent",
    requirement: &["VG-07"],
    applies: Scope::ALL,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::LoaderReady, Kind::ErrorReported],
    vacuous: "the loader was never ready",
    explain: "An error was raised where no code could catch it: in a finaliser, in a task nobody awaits, in a hook at the end of a \
        loop. The operation that caused it reported success. Such errors are how lifecycle bugs show first, and they go \
        unread, because they end up on stderr of a process nobody watches.\n\n\
        Look at the event before the report, most often a scope left by a finaliser or a loop that ended. Mend the cause; \
        silencing the channel only hides that a session was not closed.",
    start: |_: &Header| -> Box<dyn Monitor> { each(judge_report) },
};

fn judge_report(event: &Event, view: &View) -> Judged {
    let channel = match &event.kind {
        EventKind::LoaderReady { .. } => return Judged::Held,
        EventKind::ErrorReported { channel, .. } => *channel,
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
    let because = format!("an error nobody awaited came out of {channel} at {}", event.seq);
    Judged::Broken(Violation::new(variant, because, &[event.seq]))
}

/// Windows below this are not judged: CPU time is counted in ticks of 10 ms, and two ticks in 50 ms are 40 % of nothing.
const IDLE_WINDOW_MIN_US: u64 = 100_000;

/// Counter-examples that shaped it. A window in which an operation still runs is not idle. Node compiles its HTTP parser beside the
/// first requests, for up to half of the first window after them: windows that are labelled otherwise precede a quiet one.
pub(super) const IDLE_WITHOUT_CPU: Invariant = Invariant {
    id: "idle-without-cpu",
    property: Property::Safety,
    level: Level::OwnResource,
    claim: "a loader of which nothing is asked uses less than 30 % of one processor",
    source: "VG-08: no CPU while idle; after a cross-task exit some versions of anyio turn their loop without end",
    requirement: &["VG-08"],
    applies: Scope::ALL,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::SampleTaken],
    vacuous: "no idle window was observed",
    explain: "Nothing was asked of the loader and it kept a processor busy. A cancel scope that was left in the wrong task \
        re-delivers its cancellation for ever, fifty to a hundred thousand times a second; a reconnect loop without a pause does the same. \
        Users see a laptop that gets warm.\n\n\
        Look at what happened before the window, most often a cleanup from another task. Mend that; a pause in the loop only slows it down.",
    start: |_: &Header| -> Box<dyn Monitor> { each(judge_sample) },
};

fn judge_sample(event: &Event, view: &View) -> Judged {
    let EventKind::SampleTaken { label, window_us, cpu_us, .. } = &event.kind else { return Judged::Unrelated };
    if label != "idle" || *window_us < IDLE_WINDOW_MIN_US || view.operations().next().is_some() {
        return Judged::Unrelated;
    }
    if !is_busy(*cpu_us, *window_us) {
        return Judged::Held;
    }
    let percent = cpu_percent(*cpu_us, *window_us);
    let because = format!("{percent} % of one processor was used in an idle window of {} ms", window_us / 1_000);
    Judged::Broken(Violation::new("busy-while-idle", because, &[event.seq]))
}
