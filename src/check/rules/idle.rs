//! Idle time: processor use while no operation runs.

use crate::check::combinator::{Judged, each};
use crate::check::{AppliesTo, Hears, Invariant, Level, Monitor, Property, View, Violation, Witness};
use crate::history::{Event, EventKind, Header, Kind, cpu_percent, is_busy};
use crate::plan::Promise;

/// Shorter windows are not judged: the system counts CPU time in ticks of 10 ms, so two ticks in 50 ms would already be
/// 40 %.
const IDLE_WINDOW_MIN_US: u64 = 100_000;

/// Counter-examples: A window in which an operation is still running is not idle. Node compiles its HTTP parser
/// concurrently with the first requests, for up to half of the next window; the driver gives such windows another label
/// and takes a quiet one after them.
pub(super) const IDLE_WITHOUT_CPU: Invariant = Invariant {
    id: "idle-without-cpu",
    property: Property::Safety,
    level: Level::OwnResource,
    claim: "an idle loader uses less than 30 % of one processor, and no thread of it is always ready to run",
    source: "VG-08: no CPU while idle; after a cross-task exit some versions of anyio spin",
    requirement: &["VG-08"],
    applies: AppliesTo::ALL,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::SampleTaken],
    hears: Hears::ALL,
    vacuous: "no idle window was observed",
    explain: "No operation was running, and the loader kept a processor busy. A cancel scope that was left in the \
        wrong task delivers its cancellation again forever, fifty to a hundred thousand times a second. A reconnect \
        loop without a pause has the same effect. Users notice a warm laptop.\n\n\
        Look at the event before the window, most often a cleanup from another task. Fix that event: a pause in the \
        loop only slows the loop down.",
    start: |_: &Header| -> Box<dyn Monitor> { each(judge_sample) },
};

fn judge_sample(event: &Event, view: &View) -> Judged {
    let EventKind::SampleTaken { label, window_us, cpu_us, runnable_us, .. } = &event.kind else {
        return Judged::Unrelated;
    };
    if label != "idle" || *window_us < IDLE_WINDOW_MIN_US || view.operations().next().is_some() {
        return Judged::Unrelated;
    }
    if !is_busy(*cpu_us, *runnable_us, *window_us) {
        return Judged::Held;
    }
    let percent = cpu_percent(*cpu_us, *window_us);
    let mut because = format!("{percent} % of one processor was used in an idle window of {} ms", window_us / 1_000);
    if !is_busy(*cpu_us, 0, *window_us) {
        let ready = cpu_percent(*runnable_us, *window_us);
        because.push_str(&format!(", of which one thread was ready to run for {ready} %"));
    }
    Judged::Broken(Violation::new("busy-while-idle", because, &[event.seq]))
}
