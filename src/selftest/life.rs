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
            let _ = session.live().await;
            session.note_faulty_lines();
            Some(session.link)
        }
    };
    bench.close(link).await;
    Ok(notes)
}

impl Session<'_> {
    /// Runs every check in turn; `None` if the session cannot go on.
    async fn live(&mut self) -> Option<()> {
        self.before_load().await?;
        let can_reload = self.can("reload");
        self.load(if can_reload { &[FILES] } else { &[FILES, HELD] }).await?;
        self.check_environment();
        self.call_with_acks_held_back().await?;
        self.list().await?;
        contexts(self).await?;
        if can_reload {
            self.reload().await?;
        } else {
            self.notes.absent("reload", "the adapter does not offer this operation");
        }
        self.while_a_call_hangs().await?;
        self.close().await?;
        error_channels(self).await?;
        self.exit().await
    }

    /// Runs checks that do not involve the loader. Any output meanwhile therefore comes from the adapter.
    async fn before_load(&mut self) -> Option<()> {
        let before = self.bench.output();
        for check in ["probe", "collect"] {
            if self.can(check) {
                let fields = json!({ "in": main_task("a") });
                let answered = self.request(check, check, fields, self.operation_limit()).await?;
                self.notes.judge(check, answered.map(drop));
            } else {
                self.notes.absent(check, "the adapter does not offer this operation");
            }
        }
        let fields = json!({ "in": main_task("a") });
        let id = self.link.send(UNKNOWN, fields);
        let unknown = match self.link.completion(id, self.bench.limits().operation).await {
            Some(Completion::Failed(_)) => Ok(()),
            Some(other) => Err(format!("the command completed with {other:?}, expected failed")),
            None if self.link.has_ended() => Err(format!("the link ended; {}", bench_ending(self.bench).await)),
            None => Err("the command did not complete within limit operation".to_owned()),
        };
        self.notes.judge("unknown-command", unknown);
        let after = self.bench.output();
        self.notes.judge(
            "quiet-streams",
            match after {
                Some(output) if before.is_none() => Err(format!("{output}, before the first call of the loader")),
                Some(_) | None => Ok(()),
            },
        );
        (!self.link.has_ended()).then_some(())
    }

    async fn reload(&mut self) -> Option<()> {
        let from = self.bench.recorder.n_events();
        let fields = json!({ "in": main_task("a"), "config": self.bench.config(&[FILES, HELD]) });
        let answered = self.request("reload", "reload", fields, self.connect_limit()).await?;
        let found = answered.and_then(|answer| {
            hands_out(&answer, FILES)?;
            self.has_loaded(&answer, from, &[HELD])
        });
        let is_loaded = found.is_ok();
        self.notes.judge("reload", found);
        is_loaded.then_some(())
    }

    async fn list(&mut self) -> Option<()> {
        if !self.can("list") {
            self.notes.absent("list", "the adapter does not offer this operation");
            return Some(());
        }
        let answered = self.request("list", "list", json!({ "in": main_task("a") }), self.operation_limit()).await?;
        self.notes.judge("list", answered.and_then(|answer| hands_out(&answer, FILES)));
        Some(())
    }

    /// Calls a tool and delays the acknowledgements. Meanwhile, no call may reach the server.
    async fn call_with_acks_held_back(&mut self) -> Option<()> {
        let from = self.bench.recorder.n_events();
        self.link.hold_back();
        let id = self.link.send("call", call_of(FILES));
        if self.link.started(id, self.bench.limits().operation).await {
            let has_called = self.bench.has_come(from, FILES, "tools/call", HELD_BACK.default).await;
            self.notes.judge(
                "waits-for-acks",
                match self.link.command(id).completion {
                    Some(_) => Err("an operation completed before its operation.started was acknowledged".to_owned()),
                    None if has_called => {
                        Err("a call reached its server before its operation.started was acknowledged".to_owned())
                    }
                    None => Ok(()),
                },
            );
        } else {
            self.notes.absent("waits-for-acks", "no operation.started arrived");
        }
        self.link.let_go();
        self.called(id, from).await
    }

    /// Checks that must hold while an operation hangs. Then cancels it, or lets it complete if the adapter offers no
    /// cancel.
    async fn while_a_call_hangs(&mut self) -> Option<()> {
        let from = self.bench.recorder.n_events();
        let id = self.link.send("call", call_of(HELD));
        if !self.bench.has_come(from, HELD, "tools/call", self.bench.limits().in_flight).await {
            self.notes.fail("call", format!("the call did not reach server {HELD} within limit in-flight"));
            return None;
        }
        self.check_environment();
        let stacks = self.request("stacks", "stacks", json!({}), ("stacks", self.bench.limits().stacks)).await?;
        self.notes.judge(
            "stacks",
            stacks.and_then(|answer| match answer.get("text").and_then(Value::as_str) {
                Some(text) if !text.trim().is_empty() => Ok(()),
                _ => Err("found no text, expected the stacks".to_owned()),
            }),
        );
        concurrent(self).await?;
        if self.can("cancel") {
            self.cancel(id).await
        } else {
            self.notes.absent("cancel", "the adapter does not offer this operation");
            self.bench.endpoint.open_gate(GATE);
            self.answer("call", id, self.operation_limit()).await.map(drop)
        }
    }

    async fn cancel(&mut self, operation: u32) -> Option<()> {
        let fields = json!({ "operation": operation });
        let answered = self.request("cancel", "cancel", fields, self.operation_limit()).await?;
        let found = answered.and_then(|answer| match answer.get("delivered") {
            Some(Value::Bool(true)) => Ok(()),
            other => Err(format!("found delivered {other:?}, expected true, because the operation was running")),
        });
        let is_delivered = found.is_ok();
        self.notes.judge("cancel", found);
        if !is_delivered {
            self.bench.endpoint.open_gate(GATE);
        }
        match self.link.completion(operation, self.bench.limits().operation).await {
            Some(Completion::Cancelled) => {}
            Some(other) if is_delivered => {
                self.notes.fail("cancel", format!("the operation completed with {other:?}, expected cancelled"));
            }
            Some(_) => {}
            None => {
                self.notes.fail("cancel", "the operation did not complete within limit operation");
                return None;
            }
        }
        Some(())
    }

    /// Checks the environment of each running server that is a child of the adapter.
    fn check_environment(&mut self) {
        for mock in
            self.bench.endpoint.mocks().iter().filter(|mock| mock.open && self.bench.over.transport.has_children())
        {
            let Ok(environment) = std::fs::read(format!("/proc/{}/environ", mock.pid)) else { continue };
            let inherited = ["MCP_LIFECHECK_LINK=", "MCP_LIFECHECK_TOKEN="]
                .into_iter()
                .find(|name| environment.split(|byte| *byte == 0).any(|entry| entry.starts_with(name.as_bytes())));
            self.notes.judge(
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
}
