//! One whole session of an adapter, from its hello to its exit.

use std::io;
use std::time::Duration;

use serde_json::{Value, json};

use crate::life::RunEnvironment;
use crate::record::{AdapterHello, Completion};
use crate::selftest::bench::{Bench, FILES, GATE, HELD, TOOL};
use crate::selftest::first::welcome;
use crate::selftest::input::{SelfTestInput, SelfTestTransport};
use crate::selftest::limits::HELD_BACK;
use crate::selftest::link::{AdapterEnd, UNKNOWN};
use crate::selftest::notes::Notes;

/// The checks that apply to every line of a session.
const OF_EVERY_LINE: [&str; 5] =
    ["lines-are-of-protocol", "numbers-rise", "times-are-monotonic", "started-once", "completes-once"];

/// One session with an adapter that received its welcome.
pub(super) struct Session<'a> {
    pub bench: &'a Bench<'a>,
    pub link: AdapterEnd,
    pub hello: AdapterHello,
    pub notes: &'a mut Notes,
}

/// The answer to a command, or how it failed, as text.
pub(super) type Answered = Result<Value, String>;

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

/// A task of the main loop, as the `in` field of a command.
pub(super) fn main_task(name: &str) -> Value {
    json!({ "thread": "main", "loop": "main", "task": name })
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
        self.contexts().await?;
        if can_reload {
            self.reload().await?;
        } else {
            self.notes.absent("reload", "the adapter does not offer this operation");
        }
        self.while_a_call_hangs().await?;
        self.close().await?;
        self.error_channels().await?;
        self.exit().await
    }

    /// Records the faults in all lines. Checks without a fault then hold.
    pub(super) fn note_faulty_lines(&mut self) {
        for (check, because) in self.link.faults() {
            self.notes.fail(check, because);
        }
        OF_EVERY_LINE.into_iter().for_each(|check| self.notes.ok(check));
        self.notes.absent("server-environment", "no server was a child of the adapter's process");
    }

    pub(super) fn can(&self, operation: &str) -> bool {
        self.hello.operations.iter().any(|known| known == operation)
    }

    /// Sends a command and waits for its answer; `None` if none arrived, which the notes then hold.
    pub(super) async fn request(
        &mut self,
        check: &'static str,
        action: &str,
        fields: Value,
        limit: (&str, Duration),
    ) -> Option<Answered> {
        let id = self.link.send(action, fields);
        self.answer(check, id, limit).await
    }

    pub(super) async fn answer(&mut self, check: &'static str, id: u32, limit: (&str, Duration)) -> Option<Answered> {
        let (name, limit) = limit;
        match self.link.completion(id, limit).await {
            Some(Completion::Ok(answer)) => Some(Ok(answer)),
            Some(Completion::Failed(failure)) => {
                Some(Err(format!("the adapter completed the command as failed: {}: {}", failure.kind, failure.message)))
            }
            Some(Completion::Cancelled) => {
                Some(Err("the adapter completed the command as cancelled, without a request to cancel it".to_owned()))
            }
            None if self.link.has_ended() => {
                // A broken rule ended the link, and has its own note.
                if self.link.faults().is_empty() {
                    let how = bench_ending(self.bench).await;
                    self.notes.fail(check, format!("the link ended before the command completed; {how}"));
                }
                None
            }
            None => {
                self.notes.fail(
                    check,
                    format!("the command did not complete within {} ms (limit {name})", limit.as_millis()),
                );
                None
            }
        }
    }

    pub(super) fn operation_limit(&self) -> (&'static str, Duration) {
        ("operation", self.bench.limits().operation)
    }

    fn connect_limit(&self) -> (&'static str, Duration) {
        ("connect", self.bench.limits().connect)
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

    pub(super) async fn load(&mut self, servers: &[&str]) -> Option<()> {
        let from = self.bench.recorder.n_events();
        let fields = json!({ "in": main_task("a"), "config": self.bench.config(servers) });
        let answered = self.request("load", "load", fields, self.connect_limit()).await?;
        let found = answered.and_then(|answer| self.has_loaded(&answer, from, servers));
        let is_loaded = found.is_ok();
        self.notes.judge("load", found);
        is_loaded.then_some(())
    }

    /// Whether an answer contains the tool of each server, and each server received a request for its tools.
    fn has_loaded(&self, answer: &Value, from: usize, servers: &[&str]) -> Result<(), String> {
        for server in servers {
            hands_out(answer, server)?;
            if self.bench.requests(from, server, "tools/list").is_empty() {
                return Err(format!("server {server} received no tools/list"));
            }
        }
        Ok(())
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

    /// Waits for the end of a call to the server that answers at once.
    pub(super) async fn called(&mut self, id: u32, from: usize) -> Option<()> {
        let answered = self.answer("call", id, self.operation_limit()).await?;
        let requests = self.bench.requests(from, FILES, "tools/call");
        self.notes.judge("call", answered.and_then(|answer| has_called(&answer, &requests)));
        Some(())
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
        self.concurrent().await?;
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

    pub(super) async fn close(&mut self) -> Option<()> {
        let limit = ("cleanup", self.bench.limits().cleanup);
        let answered = self.request("close", "close", json!({ "in": main_task("a") }), limit).await?;
        let mut found = answered.map(drop);
        let over = self.bench.over;
        if found.is_ok() && over.closes_servers && over.transport.has_children() {
            let grace = self.bench.limits().grace;
            if !self.bench.endpoint.no_mock_left(grace).await {
                found = Err(format!("a server still ran {} ms after close (limit grace)", grace.as_millis()));
            }
        }
        self.notes.judge("close", found);
        Some(())
    }

    pub(super) async fn exit(&mut self) -> Option<()> {
        let limit = self.bench.limits().exit;
        let answered = self.request("exit", "exit", json!({}), ("exit", limit)).await?;
        let end = self.bench.supervised.loader_end(limit).await;
        let found = answered.map(drop).and_then(|()| match end {
            Some(end) if end.code == Some(0) => Ok(()),
            Some(_) => Err(self.bench.ending().unwrap_or_default()),
            None => Err(format!("its process still ran after {} ms (limit exit)", limit.as_millis())),
        });
        self.notes.judge("exit", found);
        // Its last lines may still be on the way.
        self.link.ended(crate::selftest::limits::UNDER_WAY).await;
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

/// How the adapter's process ended, after a short wait for that fact.
async fn bench_ending(bench: &Bench<'_>) -> String {
    bench.supervised.loader_end(crate::selftest::limits::UNDER_WAY).await;
    bench.ending().unwrap_or_else(|| "its process lives".to_owned())
}

/// The fields of a call to a server's tool.
pub(super) fn call_of(server: &str) -> Value {
    json!({ "in": main_task("a"), "server": server, "tool": TOOL, "arguments": { "n": 7 } })
}

fn hands_out(answer: &Value, server: &str) -> Result<(), String> {
    let tools = answer.get("tools").and_then(Value::as_array);
    let tools = tools.ok_or_else(|| format!("found {answer}, expected an answer with tools"))?;
    match tools.iter().any(|tool| tool["server"] == server && tool["name"] == TOOL) {
        true => Ok(()),
        false => {
            Err(format!("found tools {}, expected {TOOL} of server {server} among them", Value::from(tools.clone())))
        }
    }
}

fn has_called(answer: &Value, requests: &[Value]) -> Result<(), String> {
    let text = answer.get("text").and_then(Value::as_str).filter(|text| !text.is_empty());
    if text.is_none() || answer.get("is_error").is_some_and(|flag| *flag != Value::Bool(false)) {
        return Err(format!("found {answer}, expected a text, and no is_error: the tool did not fail"));
    }
    match requests {
        [one] if one["name"] == TOOL && one["arguments"] == json!({ "n": 7 }) => Ok(()),
        [one] => Err(format!("the server received {one}, expected tool {TOOL} with arguments {{\"n\":7}}")),
        many => Err(format!("the server received {} calls, expected one", many.len())),
    }
}
