//! Scopes: which context leaves them, and how.

use std::collections::BTreeMap;

use crate::check::combinator::{Judged, each};
use crate::check::{Invariant, Level, Monitor, Property, Scope, Tally, View, Violation, Witness};
use crate::history::{Context, Event, EventKind, Header, Kind, Leaving, ScopeForm, ScopeId, Seq};
use crate::plan::Promise;

/// Counter-example that shaped it: an async generator context manager may be left anywhere and often is; only what is bound to
/// its task (a cancel scope, a task group) is judged.
pub(super) const EXITS_IN_ENTERING_TASK: Invariant = Invariant {
    id: "scope-exits-in-entering-task",
    property: Property::Safety,
    level: Level::Own,
    claim: "each task-bound scope is left by the thread, loop and task that entered it",
    source: "VG-01: anyio binds cancel scopes and task groups to the task that entered them",
    requirement: &["VG-01"],
    applies: Scope::ALL,
    needs: Promise::None,
    witness: Witness::Scopes,
    kinds: &[Kind::ScopeEntered, Kind::ScopeLeft],
    vacuous: "no task-bound scope was left",
    explain: "A cancel scope or task group was entered in one task and left in another. The library raises (\"Attempted to exit \
        cancel scope in a different task than it was entered in\"), the session's own tasks are cancelled or left running, and some \
        versions then spin. This is the second of the two bugs that this project began with; a Streamlit rerun, two \
        `asyncio.run` calls or a cleanup from an exit handler are enough.\n\n\
        Look at the two witnesses, the entry and the exit, and at their contexts. Mend it by giving each session one owner task that \
        enters and leaves it, and by asking that task to close. nest_asyncio does not mend it: it moves the error to cleanup \
        or turns it into a hang.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(EnteringTask::default()) },
};

#[derive(Default)]
struct EnteringTask {
    entered: BTreeMap<ScopeId, (Seq, String, Context)>,
}

impl Monitor for EnteringTask {
    fn see(&mut self, event: &Event, _view: &View, tally: &mut Tally) {
        match &event.kind {
            EventKind::ScopeEntered { scope, name, form: ScopeForm::TaskBound, context, .. } => {
                self.entered.insert(scope.clone(), (event.seq, name.clone(), *context));
            }
            EventKind::ScopeLeft { scope, context, .. } => {
                let Some((entered, name, home)) = self.entered.remove(scope) else { return };
                let Some(variant) = difference(home, *context) else {
                    tally.held();
                    return;
                };
                let because = format!("scope {scope} ({name}) was entered in {home} and left in {context}");
                tally.broken(Violation::new(variant, because, &[entered, event.seq]));
            }
            _ => {}
        }
    }
}

/// The widest difference between two contexts.
fn difference(entered: Context, left: Context) -> Option<&'static str> {
    if entered == left {
        None
    } else if entered.thread != left.thread {
        Some("other-thread")
    } else if left.task.is_none() {
        Some("no-task")
    } else if entered.runtime != left.runtime {
        Some("other-loop")
    } else {
        Some("other-task-same-loop")
    }
}

/// Counter-example that shaped it: a task that is cancelled leaves its scopes by unwinding, which is explicit; only a hook that
/// nobody called counts.
pub(super) const EXIT_EXPLICIT: Invariant = Invariant {
    id: "scope-exit-explicit",
    property: Property::Safety,
    level: Level::Own,
    claim: "no scope is left by a finaliser or by the end of its loop",
    source: "VG-02: a scope that was forgotten is closed by garbage collection, in no task, at no known time",
    requirement: &["VG-02"],
    applies: Scope::ALL,
    needs: Promise::None,
    witness: Witness::Scopes,
    kinds: &[Kind::ScopeLeft],
    vacuous: "no scope was left",
    explain: "A session or transport was not closed by the code that opened it, but by the async-generator hook, by garbage \
        collection or by the end of `asyncio.run` or of a runtime. When that happens depends on the collector; what it raises goes \
        to a hook nobody reads, and a later cleanup finds nothing to do and reports success: a false clean.\n\n\
        Look at the name of the scope and at what happened just before: the end of a loop, a dropped reference. Mend it by \
        keeping the context manager itself, not only the value it yielded, and by leaving it in the task that entered it.",
    start: |_: &Header| -> Box<dyn Monitor> { each(judge_exit) },
};

fn judge_exit(event: &Event, _view: &View) -> Judged {
    let EventKind::ScopeLeft { scope, context, how } = &event.kind else { return Judged::Unrelated };
    let (variant, by) = match how {
        Leaving::Explicit => return Judged::Held,
        Leaving::Finaliser => ("finaliser", "a finaliser"),
        Leaving::LoopEnd => ("loop-end", "the end of its loop"),
    };
    let because = format!("scope {scope} was left by {by}, in {context}");
    Judged::Broken(Violation::new(variant, because, &[event.seq]))
}
