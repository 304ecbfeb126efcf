//! One session with an adapter that received its welcome, and the commands that every session sends.

use std::time::Duration;

use serde_json::{Value, json};

use crate::record::{AdapterHello, Completion};
use crate::selftest::bench::{Bench, FILES, TOOL};
use crate::selftest::limits::UNDER_WAY;
use crate::selftest::link::AdapterEnd;
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

/// A task of the main loop, as the `in` field of a command.
pub(super) fn main_task(name: &str) -> Value {
    json!({ "thread": "main", "loop": "main", "task": name })
}

/// The fields of a call to a server's tool.
pub(super) fn call_of(server: &str) -> Value {
    json!({ "in": main_task("a"), "server": server, "tool": TOOL, "arguments": { "n": 7 } })
}

impl Session<'_> {
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

    pub(super) fn connect_limit(&self) -> (&'static str, Duration) {
        ("connect", self.bench.limits().connect)
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
    pub(super) fn has_loaded(&self, answer: &Value, from: usize, servers: &[&str]) -> Result<(), String> {
        for server in servers {
            hands_out(answer, server)?;
            if self.bench.requests(from, server, "tools/list").is_empty() {
                return Err(format!("server {server} received no tools/list"));
            }
        }
        Ok(())
    }

    /// Waits for the end of a call to the server that answers at once.
    pub(super) async fn called(&mut self, id: u32, from: usize) -> Option<()> {
        let answered = self.answer("call", id, self.operation_limit()).await?;
        let requests = self.bench.requests(from, FILES, "tools/call");
        self.notes.judge("call", answered.and_then(|answer| has_called(&answer, &requests)));
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
                found = Err(format!(
                    "a server of a load or reload still ran {} ms after close (limit grace): {}",
                    grace.as_millis(),
                    self.bench.servers_left().join(", ")
                ));
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
        self.link.ended(UNDER_WAY).await;
        Some(())
    }
}

/// How the adapter's process ended, after a short wait for that fact.
pub(super) async fn bench_ending(bench: &Bench<'_>) -> String {
    bench.supervised.loader_end(UNDER_WAY).await;
    bench.ending().unwrap_or_else(|| "its process lives".to_owned())
}

pub(super) fn hands_out(answer: &Value, server: &str) -> Result<(), String> {
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
