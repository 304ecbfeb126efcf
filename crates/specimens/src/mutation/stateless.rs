//! Mutations of what only the stateless generation has.

use serde_json::{Value, json};

use crate::mutation::wire::{sees, with};
use crate::reference::Tamper;

const METHOD_NOT_FOUND: i64 = -32_601;
const UNSUPPORTED_VERSION: i64 = -32_022;

pub(super) fn first_revision_alone() -> Box<dyn Tamper> {
    sees(|mut message| {
        if let Some(Value::Array(versions)) = message.pointer_mut("/result/supportedVersions") {
            versions.truncate(1);
        }
        Some(message)
    })
}

pub(super) fn refusal_for_legacy() -> Box<dyn Tamper> {
    sees(|message| {
        let is_refusal = message.pointer("/error/code").and_then(Value::as_i64) == Some(UNSUPPORTED_VERSION);
        Some(if is_refusal { with(&message, "/error/code", Value::from(METHOD_NOT_FOUND)) } else { message })
    })
}

/// An id that rmcp never uses.
const OTHER_ID: u64 = 3_000_000;

/// Sends `initialize` before the first `tools/list`, once. The field: whether the loader has sent it.
#[derive(Default)]
struct Initializes(bool);

impl Tamper for Initializes {
    fn outgoing(&mut self, message: Value) -> Vec<Value> {
        let is_late = message["method"] == "tools/list" && !self.0;
        self.0 |= is_late || message["method"] == "initialize";
        let us = json!({ "name": "mutation", "version": "1" });
        let params = json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": us });
        let initialize = json!({ "jsonrpc": "2.0", "id": OTHER_ID, "method": "initialize", "params": params });
        is_late.then_some(initialize).into_iter().chain([message]).collect()
    }
}

pub(super) fn initializes_as_well() -> Box<dyn Tamper> {
    Box::new(Initializes::default())
}

pub(super) fn sent_back_for_answer() -> Box<dyn Tamper> {
    sees(|message| {
        let is_sent_back = message.pointer("/result/resultType").is_some_and(|kind| kind == "input_required");
        let answer = json!({ "resultType": "complete", "content": [] });
        Some(if is_sent_back { with(&message, "/result", answer) } else { message })
    })
}

/// Returns the first `requestState` that the server sent with every later request. The field: that state.
#[derive(Default)]
struct FirstState(Option<Value>);

impl Tamper for FirstState {
    fn outgoing(&mut self, message: Value) -> Vec<Value> {
        let Some(state) = message.pointer("/params/requestState") else { return vec![message] };
        let first = self.0.get_or_insert_with(|| state.clone());
        vec![with(&message, "/params/requestState", first.clone())]
    }
}

pub(super) fn first_state_kept() -> Box<dyn Tamper> {
    Box::new(FirstState::default())
}

/// Turns the answer to a call into an error unless the state of the subscription allows it.
struct Subscribed {
    calls: Vec<Value>,
    n_asked: usize,
    is_announced: bool,
    is_acknowledged: bool,
    /// Whether an answer passes now.
    allows: fn(&Self) -> bool,
}

impl Subscribed {
    fn that(allows: fn(&Self) -> bool) -> Box<dyn Tamper> {
        Box::new(Self { allows, calls: Vec::new(), n_asked: 0, is_announced: false, is_acknowledged: false })
    }
}

impl Tamper for Subscribed {
    fn outgoing(&mut self, message: Value) -> Vec<Value> {
        match message["method"].as_str() {
            Some("tools/call") => self.calls.push(message["id"].clone()),
            Some("subscriptions/listen") => self.n_asked += 1,
            _ => {}
        }
        vec![message]
    }

    fn incoming(&mut self, message: Value) -> Option<Value> {
        let announced = message.pointer("/result/capabilities/tools/listChanged");
        self.is_announced |= announced.is_some_and(|announced| *announced == true);
        self.is_acknowledged |= message["method"] == "notifications/subscriptions/acknowledged";
        let is_answer = message.get("method").is_none() && self.calls.contains(&message["id"]);
        if !is_answer || (self.allows)(self) {
            return Some(message);
        }
        let error = json!({ "code": -32_603, "message": "a mutation" });
        Some(json!({ "jsonrpc": "2.0", "id": message["id"], "error": error }))
    }
}

pub(super) fn acknowledgement_awaited() -> Box<dyn Tamper> {
    Subscribed::that(|seen| seen.is_acknowledged || !seen.is_announced)
}

pub(super) fn subscription_for_all() -> Box<dyn Tamper> {
    // The loader subscribes again when the subscription has ended.
    Subscribed::that(|seen| seen.n_asked < 2)
}
