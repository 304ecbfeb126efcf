//! Mutations of the messages.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::reference::Tamper;

/// Added to an id of rmcp, it gives an id that rmcp never uses.
const OTHER_IDS: u64 = 1_000_000;
/// The id of every call in the mutation that reuses it.
const SAME_ID: u64 = 2_000_000;

/// Replaces each message by the messages that a function returns.
struct Sends<F>(F);

impl<F: FnMut(Value) -> Vec<Value> + Send> Tamper for Sends<F> {
    fn outgoing(&mut self, message: Value) -> Vec<Value> {
        (self.0)(message)
    }
}

fn sends(change: impl FnMut(Value) -> Vec<Value> + Send + 'static) -> Box<dyn Tamper> {
    Box::new(Sends(change))
}

/// Replaces the messages of one method.
fn each(method: &'static str, mut change: impl FnMut(Value) -> Vec<Value> + Send + 'static) -> Box<dyn Tamper> {
    sends(move |message| if message["method"] == method { change(message) } else { vec![message] })
}

fn with_other_id(message: &Value) -> Value {
    let id = message["id"].as_u64().unwrap_or_default() + OTHER_IDS;
    with(message, "/id", Value::from(id))
}

pub(super) fn with(message: &Value, pointer: &str, value: Value) -> Value {
    let mut changed = message.clone();
    if let Some(field) = changed.pointer_mut(pointer) {
        *field = value;
    }
    changed
}

fn cancelled(request: &Value) -> Value {
    let params = json!({ "requestId": request, "reason": "a mutation" });
    json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": params })
}

pub(super) fn initialized_lost() -> Box<dyn Tamper> {
    each("notifications/initialized", |_| Vec::new())
}

pub(super) fn initialized_late() -> Box<dyn Tamper> {
    let mut held = None;
    sends(move |message| {
        if message["method"] == "notifications/initialized" {
            held = Some(message);
            return Vec::new();
        }
        let is_first = held.is_some() && message["method"] == "tools/list";
        std::iter::once(message).chain(held.take_if(|_| is_first)).collect()
    })
}

pub(super) fn initialized_twice() -> Box<dyn Tamper> {
    each("notifications/initialized", |message| vec![message.clone(), message])
}

pub(super) fn initialize_twice() -> Box<dyn Tamper> {
    each("initialize", |message| vec![message.clone(), with_other_id(&message)])
}

pub(super) fn older_revision() -> Box<dyn Tamper> {
    each("initialize", |message| vec![with(&message, "/params/protocolVersion", Value::from("2025-03-26"))])
}

pub(super) fn false_capabilities() -> Box<dyn Tamper> {
    each("initialize", |message| vec![with(&message, "/params/capabilities", json!({ "roots": {}, "sampling": {} }))])
}

pub(super) fn list_twice() -> Box<dyn Tamper> {
    each("tools/list", |message| vec![message.clone(), with_other_id(&message)])
}

pub(super) fn list_before_call() -> Box<dyn Tamper> {
    each("tools/call", |message| {
        let id = message["id"].as_u64().unwrap_or_default() + OTHER_IDS;
        vec![json!({ "jsonrpc": "2.0", "id": id, "method": "tools/list" }), message]
    })
}

pub(super) fn call_twice() -> Box<dyn Tamper> {
    each("tools/call", |message| vec![message.clone(), with_other_id(&message)])
}

/// Gives every call the same id. It expects one call at a time.
#[derive(Default)]
struct SameId {
    real: Value,
}

impl Tamper for SameId {
    fn outgoing(&mut self, message: Value) -> Vec<Value> {
        if message["method"] != "tools/call" {
            return vec![message];
        }
        self.real = message["id"].clone();
        vec![with(&message, "/id", Value::from(SAME_ID))]
    }

    fn incoming(&mut self, message: Value) -> Option<Value> {
        Some(if message["id"] == SAME_ID { with(&message, "/id", self.real.clone()) } else { message })
    }
}

pub(super) fn ids_reused() -> Box<dyn Tamper> {
    Box::new(SameId::default())
}

/// Sends no response to a request of the server.
struct AnswersLost;

impl Tamper for AnswersLost {
    fn outgoing(&mut self, message: Value) -> Vec<Value> {
        let is_answer = message.get("method").is_none();
        if is_answer { Vec::new() } else { vec![message] }
    }
}

/// Number of requests of servers that this process has not answered.
pub(super) static N_OWED: AtomicUsize = AtomicUsize::new(0);

/// Keeps each response to a request of the server, as long as its handler lives: forever.
struct AnswersOwed;

impl Tamper for AnswersOwed {
    fn outgoing(&mut self, message: Value) -> Vec<Value> {
        if message.get("method").is_some() {
            return vec![message];
        }
        N_OWED.fetch_add(1, Ordering::Relaxed);
        Vec::new()
    }
}

pub(super) fn answers_owed() -> Box<dyn Tamper> {
    Box::new(AnswersOwed)
}

pub(super) fn answers_lost() -> Box<dyn Tamper> {
    Box::new(AnswersLost)
}

pub(super) fn cancel_lost() -> Box<dyn Tamper> {
    each("notifications/cancelled", |_| Vec::new())
}

pub(super) fn cancel_twice() -> Box<dyn Tamper> {
    each("notifications/cancelled", |message| vec![message.clone(), message])
}

pub(super) fn cancel_of_another() -> Box<dyn Tamper> {
    each("notifications/cancelled", |_| vec![cancelled(&Value::from(OTHER_IDS))])
}

/// Announces the cancellation of a call that was answered, before the next message.
#[derive(Default)]
struct CancelAnswered {
    calls: Vec<Value>,
    answered: Option<Value>,
}

impl Tamper for CancelAnswered {
    fn outgoing(&mut self, message: Value) -> Vec<Value> {
        if message["method"] == "tools/call" {
            self.calls.push(message["id"].clone());
        }
        self.answered.take().iter().map(cancelled).chain([message]).collect()
    }

    fn incoming(&mut self, message: Value) -> Option<Value> {
        if self.calls.contains(&message["id"]) {
            self.answered = Some(message["id"].clone());
        }
        Some(message)
    }
}

pub(super) fn cancel_of_the_answered() -> Box<dyn Tamper> {
    Box::new(CancelAnswered::default())
}

pub(super) fn cancels_unasked() -> Box<dyn Tamper> {
    let mut is_first = true;
    each("tools/call", move |message| {
        let notice = std::mem::take(&mut is_first).then(|| cancelled(&message["id"]));
        std::iter::once(message).chain(notice).collect()
    })
}

pub(super) fn metadata_lost() -> Box<dyn Tamper> {
    each("tools/call", |mut message| {
        if let Some(params) = message["params"].as_object_mut() {
            params.remove("_meta");
        }
        vec![message]
    })
}

/// Changes the messages that the loader receives.
struct Sees(fn(Value) -> Option<Value>);

impl Tamper for Sees {
    fn outgoing(&mut self, message: Value) -> Vec<Value> {
        vec![message]
    }

    fn incoming(&mut self, message: Value) -> Option<Value> {
        (self.0)(message)
    }
}

pub(super) fn sees(change: fn(Value) -> Option<Value>) -> Box<dyn Tamper> {
    Box::new(Sees(change))
}

pub(super) fn changes_unheard() -> Box<dyn Tamper> {
    sees(|message| (message["method"] != "notifications/tools/list_changed").then_some(message))
}

pub(super) fn tools_assumed() -> Box<dyn Tamper> {
    sees(|mut message| {
        if let Some(capabilities) = message.pointer_mut("/result/capabilities") {
            capabilities["tools"] = json!({});
        }
        Some(message)
    })
}

/// Drops a result without content, so the call waits forever. rmcp reads a result that lacks `content` as one with an
/// empty list.
pub(super) fn content_assumed() -> Box<dyn Tamper> {
    Box::new(Sees(|message| (message.pointer("/result/content") != Some(&json!([]))).then_some(message)))
}

/// Receives nothing more once a call was answered that it had cancelled.
#[derive(Default)]
struct LateAnswerFeared {
    cancelled: Vec<Value>,
    is_over: bool,
}

impl Tamper for LateAnswerFeared {
    fn outgoing(&mut self, message: Value) -> Vec<Value> {
        if message["method"] == "notifications/cancelled" {
            self.cancelled.push(message["params"]["requestId"].clone());
        }
        vec![message]
    }

    fn incoming(&mut self, message: Value) -> Option<Value> {
        self.is_over |= message.get("method").is_none() && self.cancelled.contains(&message["id"]);
        (!self.is_over).then_some(message)
    }
}

pub(super) fn late_answer_feared() -> Box<dyn Tamper> {
    Box::new(LateAnswerFeared::default())
}

/// Takes an answer that comes twice for the answer to the next call as well.
#[derive(Default)]
struct AnswerKept {
    calls: Vec<Value>,
    answered: Vec<Value>,
    kept: Option<Value>,
}

impl Tamper for AnswerKept {
    fn outgoing(&mut self, message: Value) -> Vec<Value> {
        if message["method"] == "tools/call" {
            self.calls.push(message["id"].clone());
        }
        vec![message]
    }

    fn incoming(&mut self, message: Value) -> Option<Value> {
        let id = message["id"].clone();
        if message.get("method").is_some() || !self.calls.contains(&id) {
            return Some(message);
        }
        if self.answered.contains(&id) {
            self.kept = Some(message["result"].clone());
            return None;
        }
        self.answered.push(id);
        Some(match self.kept.take() {
            Some(kept) => with(&message, "/result", kept),
            None => message,
        })
    }
}

pub(super) fn answer_kept() -> Box<dyn Tamper> {
    Box::new(AnswerKept::default())
}
