//! Mutations of what only the stateless generation has.

use std::sync::atomic::{AtomicBool, Ordering};

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

pub(super) fn sent_back_unread() -> Box<dyn Tamper> {
    sees(|message| {
        let is_sent_back = message.pointer("/result/resultType").is_some_and(|kind| kind == "input_required");
        (!is_sent_back).then_some(message)
    })
}

pub(super) fn type_assumed() -> Box<dyn Tamper> {
    sees(|message| {
        let is_typed = message.pointer("/result/resultType").is_some();
        Some(if is_typed { with(&message, "/result/resultType", Value::from("complete")) } else { message })
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
    /// Whether its server granted less than it asked for, or tore it down.
    is_less: bool,
    is_torn_down: bool,
    /// Whether an answer passes now.
    allows: fn(&Self) -> bool,
}

impl Subscribed {
    fn that(allows: fn(&Self) -> bool) -> Box<dyn Tamper> {
        let (is_announced, is_acknowledged, is_less, is_torn_down) = (false, false, false, false);
        Box::new(Self { allows, calls: Vec::new(), n_asked: 0, is_announced, is_acknowledged, is_less, is_torn_down })
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
        let is_acknowledgement = message["method"] == "notifications/subscriptions/acknowledged";
        self.is_acknowledged |= is_acknowledgement;
        self.is_less |= is_acknowledgement && message["params"]["notifications"]["toolsListChanged"] != true;
        self.is_torn_down |= message["method"] == "notifications/cancelled";
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

pub(super) fn filter_for_all() -> Box<dyn Tamper> {
    Subscribed::that(|seen| !seen.is_less)
}

pub(super) fn torn_down_for_all() -> Box<dyn Tamper> {
    Subscribed::that(|seen| !seen.is_torn_down)
}

pub(super) fn type_needed() -> Box<dyn Tamper> {
    sees(|message| {
        let is_untyped = message.get("result").is_some_and(|result| result.get("resultType").is_none());
        let error = json!({ "code": -32_603, "message": "a mutation" });
        Some(if is_untyped { json!({ "jsonrpc": "2.0", "id": message["id"], "error": error }) } else { message })
    })
}

/// Takes the tools of the first page for those of every later one. The field: those tools.
#[derive(Default)]
struct FirstPage(Option<Value>);

impl Tamper for FirstPage {
    fn outgoing(&mut self, message: Value) -> Vec<Value> {
        vec![message]
    }

    fn incoming(&mut self, message: Value) -> Option<Value> {
        let Some(tools) = message.pointer("/result/tools") else { return Some(message) };
        let first = self.0.get_or_insert_with(|| tools.clone()).clone();
        Some(with(&message, "/result/tools", first))
    }
}

pub(super) fn first_page_kept() -> Box<dyn Tamper> {
    Box::new(FirstPage::default())
}

/// Whether this process has ever subscribed.
static HAS_SUBSCRIBED: AtomicBool = AtomicBool::new(false);

/// Subscribes in the first conversation alone. The field: the ids of the subscriptions that it keeps back.
///
/// rmcp waits for the acknowledgement of a subscription, and cancels it if there is none in time. Nobody can cancel what was never
/// requested, so that notice is kept back as well.
#[derive(Default)]
struct FirstSubscription(Vec<Value>);

impl Tamper for FirstSubscription {
    fn outgoing(&mut self, message: Value) -> Vec<Value> {
        let is_listen = message["method"] == "subscriptions/listen";
        if is_listen && HAS_SUBSCRIBED.swap(true, Ordering::Relaxed) {
            self.0.push(message["id"].clone());
            return Vec::new();
        }
        let is_cancelled = message["method"] == "notifications/cancelled";
        if is_cancelled && self.0.contains(&message["params"]["requestId"]) { Vec::new() } else { vec![message] }
    }
}

pub(super) fn first_subscription_alone() -> Box<dyn Tamper> {
    Box::new(FirstSubscription::default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_subscribed_is_not_cancelled() {
        let message = |method: &str, id: u64| json!({ "method": method, "id": id, "params": { "requestId": id } });
        let sent = |message: &Value, tamper: &mut Box<dyn Tamper>| tamper.outgoing(message.clone()).len();
        let (mut first, mut next) = (first_subscription_alone(), first_subscription_alone());
        assert_eq!(sent(&message("subscriptions/listen", 2), &mut first), 1);
        assert_eq!(sent(&message("notifications/cancelled", 2), &mut first), 1);
        assert_eq!(sent(&message("subscriptions/listen", 2), &mut next), 0);
        assert_eq!(sent(&message("notifications/cancelled", 2), &mut next), 0);
        assert_eq!(sent(&message("notifications/cancelled", 3), &mut next), 1);
    }
}
