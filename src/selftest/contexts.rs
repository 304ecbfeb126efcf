//! Checks of contexts: that the offered kinds exist, keep their identity and run concurrently.

use serde_json::{Value, json};

use crate::history::Context;
use crate::selftest::session::{Session, main_task};

/// A kind of context, as the hello names it, and the id of its check.
const KINDS: [(&str, &str); 3] = [("task", "contexts-task"), ("thread", "contexts-thread"), ("loop", "contexts-loop")];

fn place(kind: &str, name: &str) -> Value {
    match kind {
        "thread" => json!({ "thread": name, "loop": name, "task": name, "flavour": "current-thread" }),
        "loop" => json!({ "thread": "main", "loop": name, "task": name, "flavour": "multi-thread" }),
        _ => main_task(name),
    }
}

/// The number that identifies a context of this kind.
fn number(kind: &str, context: Context) -> Option<u32> {
    match kind {
        "thread" => Some(context.thread),
        "loop" => context.runtime,
        _ => context.task,
    }
}

/// Whether the hello offers this kind of context, and probes work.
fn offers(session: &Session<'_>, kind: &str) -> bool {
    session.notes.is_ok("probe") && session.hello.contexts.iter().any(|known| known == kind)
}

/// Whether this kind of context passed its check.
fn has(session: &Session<'_>, kind: &str) -> bool {
    KINDS.iter().any(|(known, check)| *known == kind && session.notes.is_ok(check))
}

/// Checks each kind that the adapter offers, then the end of one context.
pub(super) async fn contexts(session: &mut Session<'_>) -> Option<()> {
    for (kind, check) in KINDS {
        if !offers(session, kind) {
            session.notes.absent(check, "the adapter does not offer this kind of context, or its probe does not work");
            continue;
        }
        context(session, kind, check).await?;
    }
    if !session.can("drop-context") {
        session.notes.absent("drop-context", "the adapter does not offer this operation");
        return Some(());
    }
    match ["thread", "task", "loop"].into_iter().find(|kind| has(session, kind)) {
        Some(kind) => drop_context(session, kind).await,
        None => {
            session.notes.absent("drop-context", "no context passed its check, so none can be dropped");
            Some(())
        }
    }
}

async fn context(session: &mut Session<'_>, kind: &str, check: &'static str) -> Option<()> {
    let main = probe(session, check, main_task("a")).await?;
    let first = probe(session, check, place(kind, "hop")).await?;
    // Runs something elsewhere between the two uses of the context.
    probe(session, check, main_task("a")).await?;
    let again = probe(session, check, place(kind, "hop")).await?;
    let (Some(main), Some(first), Some(again)) = (main, first, again) else { return Some(()) };
    let numbers = (number(kind, main), number(kind, first), number(kind, again));
    let (Some(of_main), Some(of_first), Some(of_again)) = numbers else {
        let why = format!("its operations report no {kind}, so they run outside of any {kind}");
        session.notes.absent(check, why);
        return Some(());
    };
    session.notes.judge(
        check,
        if of_first == of_main {
            Err(format!("{kind} hop has number {of_first}, the same as the main context"))
        } else if of_first != of_again {
            Err(format!("{kind} hop had number {of_first} first and {of_again} later"))
        } else if kind == "task" && (first.thread, first.runtime) != (main.thread, main.runtime) {
            Err(format!("task hop was in {first}, expected the thread and loop of {main}"))
        } else {
            Ok(())
        },
    );
    Some(())
}

/// Runs a probe. The inner value is its context, or `None` if it failed or did not report one.
async fn probe(session: &mut Session<'_>, check: &'static str, place: Value) -> Option<Option<Context>> {
    let id = session.link.send("probe", json!({ "in": place }));
    let answered = session.answer(check, id, session.operation_limit()).await?;
    if let Err(because) = answered {
        session.notes.fail(check, because);
        return Some(None);
    }
    Some(session.link.command(id).started)
}

async fn drop_context(session: &mut Session<'_>, kind: &str) -> Option<()> {
    let check = "drop-context";
    let before = probe(session, check, place(kind, "hop")).await?;
    let fields = json!({ "in": place(kind, "hop") });
    if let Err(because) = session.request(check, "drop-context", fields, session.operation_limit()).await? {
        session.notes.fail(check, because);
        return Some(());
    }
    let after = probe(session, check, place(kind, "hop")).await?;
    let numbers = before.zip(after).and_then(|(before, after)| number(kind, before).zip(number(kind, after)));
    session.notes.judge(
        check,
        match numbers {
            Some((before, after)) if before == after => {
                Err(format!("{kind} hop still has number {after} after drop-context"))
            }
            Some(_) | None => Ok(()),
        },
    );
    Some(())
}

/// Runs a probe in another context while an operation hangs in task `a` of the main loop.
pub(super) async fn concurrent(session: &mut Session<'_>) -> Option<()> {
    let check = "concurrent";
    for kind in ["thread", "task"] {
        if !has(session, kind) {
            continue;
        }
        if probe(session, check, place(kind, "other")).await?.is_some() {
            session.notes.ok(check);
        }
    }
    session.notes.absent(check, "no other kind of context passed its check");
    Some(())
}
