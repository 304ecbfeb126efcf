//! Scopes: which context leaves them, and how.

use crate::check::{AppliesTo, Hears, Invariant, Level, Monitor, Property, Tally, View, Violation, Witness};
use crate::history::{CodeLine, Context, Event, EventKind, Header, Kind, Leaving, ScopeForm, ScopeId, Seq, Table};
use crate::plan::Promise;

/// Counter-example: any task may leave an async generator context manager, and often another task does. Only scopes
/// that are bound to their task, such as a cancel scope or a task group, are judged.
pub(super) const EXITS_IN_ENTERING_TASK: Invariant = Invariant {
    id: "scope-exits-in-entering-task",
    property: Property::Safety,
    level: Level::Own,
    claim: "each task-bound scope is left by the thread, loop and task that entered it",
    source: "VG-01: anyio binds cancel scopes and task groups to the task that entered them",
    requirement: &["VG-01"],
    applies: AppliesTo::ALL,
    needs: Promise::None,
    witness: Witness::Scopes,
    kinds: &[Kind::ScopeEntered, Kind::ScopeLeft],
    hears: Hears::ALL,
    vacuous: "no task-bound scope was left",
    explain: "A cancel scope or task group was entered in one task and left in another. The library raises \
        (\"Attempted to exit cancel scope in a different task than it was entered in\"), the tasks of the session \
        are cancelled or keep running, and some versions then spin. A Streamlit rerun, two `asyncio.run` calls or a \
        cleanup from an exit handler are enough to cause it.\n\n\
        Look at the two witnesses, the entry and the exit, and at their contexts. To fix it, give each session one \
        owner task that enters and leaves its scopes, and send that task a request to close. nest_asyncio does not fix \
        the mistake: it moves the error to cleanup or turns it into a hang.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(EnteringTask::default()) },
};

#[derive(Default)]
struct EnteringTask {
    entered: Table<ScopeId, Entry>,
}

/// How a scope was entered.
struct Entry {
    seq: Seq,
    name: String,
    context: Context,
    code: Option<CodeLine>,
}

impl Monitor for EnteringTask {
    fn see(&mut self, event: &Event, _view: &View, tally: &mut Tally) {
        match &event.kind {
            EventKind::ScopeEntered { scope, name, form: ScopeForm::TaskBound, context, code, .. } => {
                let (name, context, code) = (name.clone(), *context, code.first().cloned());
                self.entered.insert(scope.clone(), Entry { seq: event.seq, name, context, code });
            }
            EventKind::ScopeLeft { scope, context, code, .. } => {
                let Some(entry) = self.entered.swap_remove(scope) else { return };
                let Some(variant) = difference(entry.context, *context) else {
                    tally.held();
                    return;
                };
                let because = format!(
                    "scope {scope} ({}) was entered in {}{} and left in {context}{}",
                    entry.name,
                    entry.context,
                    at(entry.code.as_ref()),
                    at(code.first())
                );
                tally.broken(Violation::new(variant, because, &[entry.seq, event.seq]));
            }
            _ => {}
        }
    }
}

/// The line of the loader's code, for a sentence; empty if the adapter does not report it.
fn at(code: Option<&CodeLine>) -> String {
    code.map(|line| format!(" at {line}")).unwrap_or_default()
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

/// Counter-example: a cancelled task leaves its scopes by unwinding, which is explicit. Only an exit that a hook
/// performs counts.
pub(super) const EXIT_EXPLICIT: Invariant = Invariant {
    id: "scope-exit-explicit",
    property: Property::Safety,
    level: Level::Own,
    claim: "no scope is left by a finaliser or by the end of its loop",
    source: "VG-02: garbage collection closes a forgotten scope, in no task and at no known time",
    requirement: &["VG-02"],
    applies: AppliesTo::ALL,
    needs: Promise::None,
    witness: Witness::Scopes,
    kinds: &[Kind::ScopeEntered, Kind::ScopeLeft],
    hears: Hears::ALL,
    vacuous: "no scope was left",
    explain: "The async-generator hook, garbage collection, or the end of `asyncio.run` or of a runtime closed a \
        session or transport, instead of the code that opened it. When that happens depends on the collector. Its \
        errors go to a hook that no code reads, and a later cleanup finds nothing to do and reports success.\n\n\
        Look at the name of the scope and at the event just before: the end of a loop, or a dropped reference. To \
        fix it, keep the context manager itself, not only the value that it yielded, and leave it in the task that \
        entered it.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(ExplicitExit::default()) },
};

#[derive(Default)]
struct ExplicitExit {
    /// The text about each open scope: its name and the place where it was entered.
    entered: Table<ScopeId, String>,
}

impl Monitor for ExplicitExit {
    fn see(&mut self, event: &Event, _view: &View, tally: &mut Tally) {
        match &event.kind {
            EventKind::ScopeEntered { scope, name, code, .. } => {
                let entered = code.first().map(|line| format!(", entered at {line},")).unwrap_or_default();
                self.entered.insert(scope.clone(), format!(" ({name}){entered}"));
            }
            EventKind::ScopeLeft { scope, context, how, .. } => {
                let entered = self.entered.swap_remove(scope).unwrap_or_default();
                let (variant, by) = match how {
                    Leaving::Explicit => return tally.held(),
                    Leaving::Finaliser => ("finaliser", "a finaliser"),
                    Leaving::LoopEnd => ("loop-end", "the end of its loop"),
                };
                let because = format!("scope {scope}{entered} was left by {by}, in {context}");
                tally.broken(Violation::new(variant, because, &[event.seq]));
            }
            _ => {}
        }
    }
}
