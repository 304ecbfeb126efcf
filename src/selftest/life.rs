//! One whole session of an adapter, from its hello to its exit.

use std::io;

use serde_json::{Value, json};

use crate::life::RunEnvironment;
use crate::record::Completion;
use crate::selftest::bench::{Bench, FILES, GATE, HELD};
use crate::selftest::contexts::{concurrent, contexts};
use crate::selftest::errors::error_channels;
use crate::selftest::first::welcome;
use crate::selftest::input::{SelfTestInput, SelfTestTransport};
use crate::selftest::limits::HELD_BACK;
use crate::selftest::link::UNKNOWN;
use crate::selftest::notes::Notes;
use crate::selftest::session::{Session, bench_ending, call_of, hands_out, main_task};

/// Runs every check over the first transport, except the one that ends the link.
pub(super) async fn whole_life(
    input: &SelfTestInput,
    over: SelfTestTransport,
    environment: &RunEnvironment,
) -> io::Result<Notes> {
    let bench = Bench::open(input, over, environment).await?;
    let mut notes = Notes::new(over.transport, &[]);
    let link = match welcome(&bench, &mut notes).await {
        None => None,
        Some((link, hello)) => {
            let mut session = Session { bench: &bench, link, hello, notes: &mut notes };
            // The notes already hold the reason of an early end.
            let _ = live(&mut session).await;
            session.note_faulty_lines();
            Some(session.link)
        }
    };
    bench.close(link).await;
    Ok(notes)
}

/// Runs every check in turn; `None` if the session cannot continue.
async fn live(session: &mut Session<'_>) -> Option<()> {
    before_load(session).await?;
    let can_reload = session.can("reload");
    session.load(if can_reload { &[FILES] } else { &[FILES, HELD] }).await?;
    check_environment(session);
    call_with_acks_held_back(session).await?;
    list(session).await?;
    contexts(session).await?;
    if can_reload {
        reload(session).await?;
    } else {
        session.notes.absent("reload", "the adapter does not offer this operation");
    }
    while_a_call_hangs(session).await?;
    session.close().await?;
    error_channels(session).await?;
    session.exit().await
}

/// Runs checks that do not involve the loader. Any output meanwhile therefore comes from the adapter.
async fn before_load(session: &mut Session<'_>) -> Option<()> {
    for check in ["probe", "collect"] {
        if session.can(check) {
            let fields = json!({ "in": main_task("a") });
            let answered = session.request(check, check, fields, session.operation_limit()).await?;
            session.notes.judge(check, answered.map(drop));
        } else {
            session.notes.absent(check, "the adapter does not offer this operation");
        }
    }
    let fields = json!({ "in": main_task("a") });
    let id = session.link.send(UNKNOWN, fields);
    let unknown = match session.link.completion(id, session.bench.limits().operation).await {
        Some(Completion::Failed(_)) => Ok(()),
        Some(other) => Err(format!("the command completed {}, expected failed", told(&other))),
        None if session.link.has_ended() => Err(format!("the link ended; {}", bench_ending(session.bench).await)),
        None => Err("the command did not complete within limit operation".to_owned()),
    };
    session.notes.judge("unknown-command", unknown);
    // Output before its hello counts as well, because no operation of the loader has run yet.
    let written = session.bench.output();
    let quiet = written.map_or(Ok(()), |output| Err(format!("{output}, before the first call of the loader")));
    session.notes.judge("quiet-streams", quiet);
    (!session.link.has_ended()).then_some(())
}

/// A completion as the end of a sentence.
fn told(completion: &Completion) -> String {
    match completion {
        Completion::Ok(answer) => format!("with ok {answer}"),
        Completion::Failed(failure) => format!("with failed {}: {}", failure.kind, failure.message),
        Completion::Cancelled => "as cancelled".to_owned(),
    }
}

async fn reload(session: &mut Session<'_>) -> Option<()> {
    let from = session.bench.recorder.n_events();
    let fields = json!({ "in": main_task("a"), "config": session.bench.config(&[FILES, HELD]) });
    let answered = session.request("reload", "reload", fields, session.connect_limit()).await?;
    let found = answered.and_then(|answer| {
        hands_out(&answer, FILES)?;
        session.has_loaded(&answer, from, &[HELD])
    });
    let is_loaded = found.is_ok();
    session.notes.judge("reload", found);
    is_loaded.then_some(())
}

async fn list(session: &mut Session<'_>) -> Option<()> {
    if !session.can("list") {
        session.notes.absent("list", "the adapter does not offer this operation");
        return Some(());
    }
    let answered = session.request("list", "list", json!({ "in": main_task("a") }), session.operation_limit()).await?;
    session.notes.judge("list", answered.and_then(|answer| hands_out(&answer, FILES)));
    Some(())
}

/// Calls a tool and delays the acknowledgements. Meanwhile, no call may reach the server.
async fn call_with_acks_held_back(session: &mut Session<'_>) -> Option<()> {
    let from = session.bench.recorder.n_events();
    session.link.hold_back();
    let id = session.link.send("call", call_of(FILES));
    if session.link.started(id, session.bench.limits().operation).await {
        let has_called = session.bench.has_come(from, FILES, "tools/call", HELD_BACK.default).await;
        session.notes.judge(
            "waits-for-acks",
            match session.link.command(id).completion {
                Some(_) => Err("an operation completed before its operation.started was acknowledged".to_owned()),
                None if has_called => {
                    Err("a call reached its server before its operation.started was acknowledged".to_owned())
                }
                None => Ok(()),
            },
        );
    } else {
        session.notes.absent("waits-for-acks", "no operation.started arrived");
    }
    session.link.let_go();
    session.called(id, from).await
}

/// Checks that must hold while an operation hangs. Then cancels it, or lets it complete if the adapter offers no
/// cancel.
async fn while_a_call_hangs(session: &mut Session<'_>) -> Option<()> {
    let from = session.bench.recorder.n_events();
    let id = session.link.send("call", call_of(HELD));
    if !session.bench.has_come(from, HELD, "tools/call", session.bench.limits().in_flight).await {
        session.notes.fail("call", format!("the call did not reach server {HELD} within limit in-flight"));
        return None;
    }
    check_environment(session);
    let stacks = session.request("stacks", "stacks", json!({}), ("stacks", session.bench.limits().stacks)).await?;
    session.notes.judge(
        "stacks",
        stacks.and_then(|answer| match answer.get("text").and_then(Value::as_str) {
            Some(text) if !text.trim().is_empty() => Ok(()),
            _ => Err("found no text, expected the stacks".to_owned()),
        }),
    );
    concurrent(session).await?;
    if session.can("cancel") {
        cancel(session, id).await
    } else {
        session.notes.absent("cancel", "the adapter does not offer this operation");
        session.bench.endpoint.open_gate(GATE);
        session.answer("call", id, session.operation_limit()).await.map(drop)
    }
}

async fn cancel(session: &mut Session<'_>, operation: u32) -> Option<()> {
    let fields = json!({ "operation": operation });
    let answered = session.request("cancel", "cancel", fields, session.operation_limit()).await?;
    let found = answered.and_then(|answer| match answer.get("delivered") {
        Some(Value::Bool(true)) => Ok(()),
        other => {
            let found = other.map_or("nothing".to_owned(), Value::to_string);
            Err(format!("found {found} for `delivered`, expected true, because the operation was running"))
        }
    });
    let is_delivered = found.is_ok();
    session.notes.judge("cancel", found);
    if !is_delivered {
        session.bench.endpoint.open_gate(GATE);
    }
    match session.link.completion(operation, session.bench.limits().operation).await {
        Some(Completion::Cancelled) => {}
        Some(other) if is_delivered => {
            session.notes.fail("cancel", format!("the operation completed {}, expected cancelled", told(&other)));
        }
        Some(_) => {}
        None => {
            session.notes.fail("cancel", "the operation did not complete within limit operation");
            return None;
        }
    }
    Some(())
}

/// Checks the environment of each running server that is a child of the adapter.
fn check_environment(session: &mut Session<'_>) {
    for mock in
        session.bench.endpoint.mocks().iter().filter(|mock| mock.open && session.bench.over.transport.has_children())
    {
        let Ok(environment) = std::fs::read(format!("/proc/{}/environ", mock.pid)) else { continue };
        let inherited = ["MCP_LIFECHECK_LINK=", "MCP_LIFECHECK_TOKEN="]
            .into_iter()
            .find(|name| environment.split(|byte| *byte == 0).any(|entry| entry.starts_with(name.as_bytes())));
        session.notes.judge(
            "server-environment",
            match inherited {
                Some(name) => {
                    Err(format!("server {} has {} in its environment", mock.server, name.trim_end_matches('=')))
                }
                None => Ok(()),
            },
        );
    }
}
