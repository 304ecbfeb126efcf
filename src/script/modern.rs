//! What an honest server of the modern era answers.
//!
//! Nothing is agreed on: each request says which revision it is of and what its client can do.
//!
//! Source: revision 2026-07-28, basic/index, `_meta`; basic/versioning; server/discover; basic/patterns/subscriptions.

use serde_json::{Value, json};

use crate::plan::Revision;
use crate::script::offer::{Offer, server_info, shortened};
use crate::script::rpc::RpcError;
use crate::script::wire::{INVALID_PARAMS, METHOD_NOT_FOUND};

/// The method that asks for a subscription.
pub(super) const LISTEN: &str = "subscriptions/listen";
/// The method that asks what a server is.
pub(super) const DISCOVER: &str = "server/discover";

const PROTOCOL_VERSION: &str = "io.modelcontextprotocol/protocolVersion";
const CLIENT_CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
const SERVER_INFO: &str = "io.modelcontextprotocol/serverInfo";
const SUBSCRIPTION: &str = "io.modelcontextprotocol/subscriptionId";

/// What is wrong between a header field and the message.
pub(super) const HEADER_MISMATCH: i64 = -32_020;
const MISSING_CAPABILITY: i64 = -32_021;
const UNSUPPORTED_VERSION: i64 = -32_022;

/// An honest server with a list of tools.
#[derive(Debug, Clone)]
pub(super) struct Modern {
    offer: Offer,
}

/// What a subscription is for, as far as a server grants it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Filter {
    tools_changed: bool,
}

impl Modern {
    pub(super) fn new(offer: Offer) -> Self {
        Self { offer }
    }

    /// Offers these tools from here on.
    pub(super) fn offer(&mut self, tools: Vec<String>) {
        self.offer.set(tools);
    }

    /// Answers a request. That to listen is answered when it is over.
    pub(super) fn answer(&self, method: &str, params: &Value, id: &Value) -> Result<Value, RpcError> {
        if !matches!(method, DISCOVER | LISTEN | "tools/list" | "tools/call") {
            return Err(unknown(method));
        }
        check_context(params)?;
        let mut result = match method {
            DISCOVER => self.discover(),
            LISTEN => return self.filter(params).map(|_| listened(id)),
            "tools/list" => cacheable(self.offer.list(params)?),
            _ => self.offer.call(params)?,
        };
        result["resultType"] = Value::from("complete");
        result["_meta"] = json!({ SERVER_INFO: server_info() });
        Ok(result)
    }

    /// What is granted to a request to listen, where it is a good one.
    pub(super) fn grants(&self, params: &Value) -> Option<Filter> {
        check_context(params).ok()?;
        self.filter(params).ok()
    }

    fn discover(&self) -> Value {
        cacheable(json!({
            "supportedVersions": supported(),
            "capabilities": self.offer.capabilities(),
        }))
    }

    fn filter(&self, params: &Value) -> Result<Filter, RpcError> {
        let Some(asked) = params.get("notifications").and_then(Value::as_object) else {
            return Err(RpcError::new(INVALID_PARAMS, "notifications must be an object").under(400));
        };
        let asks = asked.get("toolsListChanged") == Some(&Value::Bool(true));
        Ok(Filter { tools_changed: asks && self.offer.features().tools_change })
    }
}

impl Filter {
    /// Whether a notification may be sent to who listens with this.
    pub(super) fn lets_through(self, method: &str) -> bool {
        self.tools_changed && method == "notifications/tools/list_changed"
    }

    /// The first message of a subscription.
    pub(super) fn acknowledgement(self, id: &Value) -> Vec<u8> {
        let granted = if self.tools_changed { json!({ "toolsListChanged": true }) } else { json!({}) };
        let params = json!({ "_meta": { SUBSCRIPTION: id }, "notifications": granted });
        notification("notifications/subscriptions/acknowledged", &params)
    }
}

/// A notification of a subscription.
pub(super) fn notification_of(subscription: &Value, method: &str, params: Option<&Value>) -> Vec<u8> {
    let mut params = params.cloned().unwrap_or_else(|| json!({}));
    params["_meta"] = json!({ SUBSCRIPTION: subscription });
    notification(method, &params)
}

/// Whether a notification is for those alone who asked for it.
pub(super) fn is_subscribed_to(method: &str) -> bool {
    method.ends_with("/list_changed") || method == "notifications/resources/updated"
}

/// The revision that the parameters of a request or notification name.
pub(super) fn version_of(params: &Value) -> Option<&str> {
    params.get("_meta")?.get(PROTOCOL_VERSION)?.as_str()
}

/// Whether what names this revision is of the modern era.
pub(super) fn is_modern(version: &str) -> bool {
    version == Revision::R20260728.as_str()
}

/// The status code that goes with an error over HTTP.
///
/// Source: revision 2026-07-28, basic/transports/streamable-http, Protocol Version Header.
pub(super) fn status_of(code: i64) -> u16 {
    match code {
        METHOD_NOT_FOUND => 404,
        HEADER_MISMATCH | MISSING_CAPABILITY | UNSUPPORTED_VERSION => 400,
        _ => 200,
    }
}

/// Whether an error says that its server is of the modern era.
pub(super) fn is_error_of_era(code: i64) -> bool {
    matches!(code, HEADER_MISMATCH | MISSING_CAPABILITY | UNSUPPORTED_VERSION)
}

/// Whether an error says that the revision of a request is not spoken.
pub(super) fn is_refused_revision(code: i64) -> bool {
    code == UNSUPPORTED_VERSION
}

/// What every request says of itself.
fn check_context(params: &Value) -> Result<(), RpcError> {
    let meta = params.get("_meta");
    let lacks = |what: &str| RpcError::new(INVALID_PARAMS, format!("_meta must name {what}")).under(400);
    let Some(version) = version_of(params) else { return Err(lacks(PROTOCOL_VERSION)) };
    if !meta.and_then(|meta| meta.get(CLIENT_CAPABILITIES)).is_some_and(Value::is_object) {
        return Err(lacks(CLIENT_CAPABILITIES));
    }
    if is_modern(version) {
        return Ok(());
    }
    let data = json!({ "requested": shortened(version), "supported": supported() });
    Err(RpcError::new(UNSUPPORTED_VERSION, "Unsupported protocol version").with(data).under(400))
}

/// A client of the legacy era learns from it which revisions there are.
fn unknown(method: &str) -> RpcError {
    let versions = supported().join(", ");
    let message = format!("Method not found: {}; this server speaks {versions}", shortened(method));
    RpcError::new(METHOD_NOT_FOUND, message).with(json!({ "supported": supported() })).under(404)
}

fn supported() -> [&'static str; 1] {
    [Revision::R20260728.as_str()]
}

/// A result that may not be kept.
fn cacheable(mut result: Value) -> Value {
    result["ttlMs"] = Value::from(0);
    result["cacheScope"] = Value::from("private");
    result
}

/// The end of a subscription.
fn listened(id: &Value) -> Value {
    json!({ "resultType": "complete", "_meta": { SUBSCRIPTION: id } })
}

fn notification(method: &str, params: &Value) -> Vec<u8> {
    json!({ "jsonrpc": "2.0", "method": method, "params": params }).to_string().into_bytes()
}
