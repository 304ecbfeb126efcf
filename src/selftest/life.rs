//! A whole life of an adapter, from its hello to its exit.

use std::io;
use std::time::Duration;

use serde_json::{Value, json};

use crate::drive::RunEnvironment;
use crate::record::{AdapterHello, Completion};
use crate::selftest::bench::{Bench, FILES, GATE, HELD, TOOL};
use crate::selftest::first::welcome;
use crate::selftest::limits::HELD_BACK;
use crate::selftest::link::{AdapterEnd, UNKNOWN};
use crate::selftest::notes::Notes;
use crate::selftest::{SelfTestInput, SelfTestTransport};

/// What is held against every line of a session.
const OF_EVERY_LINE: [&str; 5] =
    ["lines-are-of-protocol", "numbers-rise", "times-are-monotonic", "started-once", "completes-once"];

/// One session with an adapter that was welcomed.
pub(super) struct Session<'a> {
    pub bench: &'a Bench<'a>,
    pub link: AdapterEnd,
    pub hello: AdapterHello,
    pub notes: &'a mut Notes,
}

/// What came of a command: its answer, or how it failed in words.
pub(super) type Answered = Result<Value, String>;

/// Runs every check over the first transport but what is about the end of the link.
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
            // Where it ends early is on file already.
            let _ = session.live().await;
            session.look_at_lines();
            Some(session.link)
        }
    };
    bench.close(link).await;
    Ok(notes)
}

/// The place of a task of the main loop.
pub(super) fn main_task(name: &str) -> Value {
    json!({ "thread": "main", "loop": "main", "task": name })
}

impl Session<'_> {
    /// Everything in turn; nothing where it can not go on.
    async fn live(&mut self) -> Option<()> {
        self.before_load().await?;
        let can_reload = self.can("reload");
        self.load(if can_reload { &[FILES] } else { &[FILES, HELD] }).await?;
        self.look_at_environment();
        self.call_with_acks_held_back().await?;
        self.list().await?;
        self.contexts().await?;
        if can_reload {
            self.reload().await?;
        } else {
            self.notes.absent("reload", "not among its operations");
        }
        self.while_a_call_hangs().await?;
        self.close().await?;
        self.error_channels().await?;
        self.exit().await
    }

    /// What was wrong with any line, and that nothing was where nothing is on file.
    pub(super) fn look_at_lines(&mut self) {
        for (check, because) in self.link.faults() {
            self.notes.fail(check, because);
        }
        OF_EVERY_LINE.into_iter().for_each(|check| self.notes.ok(check));
        self.notes.absent("server-environment", "no server was its child");
    }

    pub(super) fn can(&self, operation: &str) -> bool {
        self.hello.operations.iter().any(|known| known == operation)
    }

    /// Asks and waits for the answer; nothing where none came, which is then on file.
    pub(super) async fn ask(
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
                Some(Err(format!("it was completed as failed: {}: {}", failure.kind, failure.message)))
            }
            Some(Completion::Cancelled) => {
                Some(Err("it was completed as cancelled, which nobody had asked".to_owned()))
            }
            None if self.link.has_ended() => {
                // A line that broke the rules is what ended it, and is told by itself.
                if self.link.faults().is_empty() {
                    let how = bench_ending(self.bench).await;
                    self.notes.fail(check, format!("the link ended before it was completed; {how}"));
                }
                None
            }
            None => {
                self.notes.fail(check, format!("it was not completed within {} ms (limit {name})", limit.as_millis()));
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

    /// What has nothing to do with the loader: so whatever is written meanwhile, the adapter writes.
    async fn before_load(&mut self) -> Option<()> {
        let before = self.bench.output();
        for check in ["probe", "collect"] {
            if self.can(check) {
                let fields = json!({ "in": main_task("a") });
                let answered = self.ask(check, check, fields, self.operation_limit()).await?;
                self.notes.judge(check, answered.map(drop));
            } else {
                self.notes.absent(check, "not among its operations");
            }
        }
        let fields = json!({ "in": main_task("a") });
        let id = self.link.send(UNKNOWN, fields);
        let unknown = match self.link.completion(id, self.bench.limits().operation).await {
            Some(Completion::Failed(_)) => Ok(()),
            Some(other) => Err(format!("it was completed with {other:?}, expected failed")),
            None if self.link.has_ended() => Err(format!("the link ended; {}", bench_ending(self.bench).await)),
            None => Err("it was not completed within limit operation".to_owned()),
        };
        self.notes.judge("unknown-command", unknown);
        let after = self.bench.output();
        self.notes.judge(
            "quiet-streams",
            match after {
                Some(said) if before.is_none() => Err(format!("{said}, and the loader had not been called yet")),
                Some(_) | None => Ok(()),
            },
        );
        (!self.link.has_ended()).then_some(())
    }

    pub(super) async fn load(&mut self, servers: &[&str]) -> Option<()> {
        let from = self.bench.recorder.n_events();
        let fields = json!({ "in": main_task("a"), "config": self.bench.config(servers) });
        let answered = self.ask("load", "load", fields, self.connect_limit()).await?;
        let found = answered.and_then(|answer| self.has_loaded(&answer, from, servers));
        let is_loaded = found.is_ok();
        self.notes.judge("load", found);
        is_loaded.then_some(())
    }

    /// Whether an answer hands out the tool of each server, and the server has been asked for it.
    fn has_loaded(&self, answer: &Value, from: usize, servers: &[&str]) -> Result<(), String> {
        for server in servers {
            hands_out(answer, server)?;
            if self.bench.requests(from, server, "tools/list").is_empty() {
                return Err(format!("server {server} was never asked for its tools"));
            }
        }
        Ok(())
    }

    async fn reload(&mut self) -> Option<()> {
        let from = self.bench.recorder.n_events();
        let fields = json!({ "in": main_task("a"), "config": self.bench.config(&[FILES, HELD]) });
        let answered = self.ask("reload", "reload", fields, self.connect_limit()).await?;
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
            self.notes.absent("list", "not among its operations");
            return Some(());
        }
        let answered = self.ask("list", "list", json!({ "in": main_task("a") }), self.operation_limit()).await?;
        self.notes.judge("list", answered.and_then(|answer| hands_out(&answer, FILES)));
        Some(())
    }

    /// A call whose acknowledgements are held back for a while: nothing may reach the server meanwhile.
    async fn call_with_acks_held_back(&mut self) -> Option<()> {
        let from = self.bench.recorder.n_events();
        self.link.hold_back();
        let id = self.link.send("call", call_of(FILES));
        if self.link.started(id, self.bench.limits().operation).await {
            let has_called = self.bench.has_come(from, FILES, "tools/call", HELD_BACK.default).await;
            self.notes.judge(
                "waits-for-acks",
                match self.link.asked(id).completion {
                    Some(_) => {
                        Err("an operation was completed while its operation.started was not acknowledged".to_owned())
                    }
                    None if has_called => {
                        Err("a call reached its server while its operation.started was not acknowledged".to_owned())
                    }
                    None => Ok(()),
                },
            );
        } else {
            self.notes.absent("waits-for-acks", "no operation.started came");
        }
        self.link.let_go();
        self.called(id, from).await
    }

    /// Waits for the end of a call of the server that answers at once.
    pub(super) async fn called(&mut self, id: u32, from: usize) -> Option<()> {
        let answered = self.answer("call", id, self.operation_limit()).await?;
        let requests = self.bench.requests(from, FILES, "tools/call");
        self.notes.judge("call", answered.and_then(|answer| has_called(&answer, &requests)));
        Some(())
    }

    /// What has to work while an operation hangs; then its cancellation, or its end where that is not offered.
    async fn while_a_call_hangs(&mut self) -> Option<()> {
        let from = self.bench.recorder.n_events();
        let id = self.link.send("call", call_of(HELD));
        if !self.bench.has_come(from, HELD, "tools/call", self.bench.limits().in_flight).await {
            self.notes.fail("call", format!("a call of server {HELD} did not reach it within limit in-flight"));
            return None;
        }
        self.look_at_environment();
        let stacks = self.ask("stacks", "stacks", json!({}), ("stacks", self.bench.limits().stacks)).await?;
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
            self.notes.absent("cancel", "not among its operations");
            self.bench.endpoint.open_gate(GATE);
            self.answer("call", id, self.operation_limit()).await.map(drop)
        }
    }

    async fn cancel(&mut self, operation: u32) -> Option<()> {
        let fields = json!({ "operation": operation });
        let answered = self.ask("cancel", "cancel", fields, self.operation_limit()).await?;
        let found = answered.and_then(|answer| match answer.get("delivered") {
            Some(Value::Bool(true)) => Ok(()),
            other => Err(format!("found delivered {other:?}, expected true: the operation was running")),
        });
        let is_delivered = found.is_ok();
        self.notes.judge("cancel", found);
        if !is_delivered {
            self.bench.endpoint.open_gate(GATE);
        }
        match self.link.completion(operation, self.bench.limits().operation).await {
            Some(Completion::Cancelled) => {}
            Some(other) if is_delivered => {
                self.notes.fail("cancel", format!("the operation was completed with {other:?}, expected cancelled"));
            }
            Some(_) => {}
            None => {
                self.notes.fail("cancel", "the operation was not completed within limit operation");
                return None;
            }
        }
        Some(())
    }

    pub(super) async fn close(&mut self) -> Option<()> {
        let limit = ("cleanup", self.bench.limits().cleanup);
        let answered = self.ask("close", "close", json!({ "in": main_task("a") }), limit).await?;
        let mut found = answered.map(drop);
        let over = self.bench.over;
        if found.is_ok() && over.closes_servers && over.transport.has_children() {
            let grace = self.bench.limits().grace;
            if !self.bench.endpoint.no_mock_left(grace).await {
                found = Err(format!("a server was still there {} ms after it (limit grace)", grace.as_millis()));
            }
        }
        self.notes.judge("close", found);
        Some(())
    }

    pub(super) async fn exit(&mut self) -> Option<()> {
        let limit = self.bench.limits().exit;
        let answered = self.ask("exit", "exit", json!({}), ("exit", limit)).await?;
        let end = self.bench.supervised.loader_end(limit).await;
        let found = answered.map(drop).and_then(|()| match end {
            Some(end) if end.code == Some(0) => Ok(()),
            Some(_) => Err(self.bench.ending().unwrap_or_default()),
            None => Err(format!("its process lived on for {} ms (limit exit)", limit.as_millis())),
        });
        self.notes.judge("exit", found);
        // What it still said is on its way.
        self.link.ended(crate::selftest::limits::UNDER_WAY).await;
        Some(())
    }

    /// What the servers inherited that are its children and live now.
    fn look_at_environment(&mut self) {
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

/// How the adapter's process ended, which may be about to become known.
async fn bench_ending(bench: &Bench<'_>) -> String {
    bench.supervised.loader_end(crate::selftest::limits::UNDER_WAY).await;
    bench.ending().unwrap_or_else(|| "its process lives".to_owned())
}

/// The fields of a call of a server's tool.
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
