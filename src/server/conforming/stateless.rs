//! The answers of a conforming server of the stateless generation.
//!
//! There is no negotiation: each request names its revision and the capabilities of its client.
//!
//! Source: revision 2026-07-28, basic/index, `_meta`; basic/versioning; server/discover; basic/patterns/subscriptions.

use serde_json::{Value, json};

use crate::plan::Revision;
use crate::script::{DISCOVER, LISTEN};
use crate::server::conforming::tools::{Advertised, server_info, shortened};
use crate::server::rpc::RpcError;
use crate::server::wire::{INVALID_PARAMS, METHOD_NOT_FOUND};

const PROTOCOL_VERSION: &str = "io.modelcontextprotocol/protocolVersion";
const CLIENT_CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
const SERVER_INFO: &str = "io.modelcontextprotocol/serverInfo";
const SUBSCRIPTION: &str = "io.modelcontextprotocol/subscriptionId";

/// The error code for a header field that contradicts the message.
pub(in crate::server) const HEADER_MISMATCH: i64 = -32_020;
const MISSING_CAPABILITY: i64 = -32_021;
const UNSUPPORTED_VERSION: i64 = -32_022;

/// A conforming server with a list of tools.
#[derive(Debug, Clone)]
pub(in crate::server) struct Stateless {
    advertised: Advertised,
}

/// The notifications that a server grants to a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::server) struct Filter {
    tools_changed: bool,
}

impl Stateless {
    pub(in crate::server) fn new(advertised: Advertised) -> Self {
        Self { advertised }
    }

    /// Advertises these tools from now on.
    pub(in crate::server) fn advertise(&mut self, tools: Vec<String>) {
        self.advertised.set(tools);
    }

    /// Answers a request. The answer to a request to listen ends its subscription.
    pub(in crate::server) fn answer(&self, method: &str, params: &Value, id: &Value) -> Result<Value, RpcError> {
        if !matches!(method, DISCOVER | LISTEN | "tools/list" | "tools/call") {
            return Err(unknown(method));
        }
        check_context(params)?;
        let mut result = match method {
            DISCOVER => self.discover(),
            LISTEN => return self.filter(params).map(|_| listened(id)),
            "tools/list" => cacheable(self.advertised.list(params)?),
            _ => self.advertised.call(params)?,
        };
        result["resultType"] = Value::from("complete");
        result["_meta"] = json!({ SERVER_INFO: server_info() });
        Ok(result)
    }

    /// The notifications granted to a request to listen, if it is valid.
    pub(in crate::server) fn grants(&self, params: &Value) -> Option<Filter> {
        check_context(params).ok()?;
        self.filter(params).ok()
    }

    fn discover(&self) -> Value {
        cacheable(json!({
            "supportedVersions": supported(),
            "capabilities": self.advertised.capabilities(),
        }))
    }

    fn filter(&self, params: &Value) -> Result<Filter, RpcError> {
        let Some(asked) = params.get("notifications").and_then(Value::as_object) else {
            return Err(RpcError::new(INVALID_PARAMS, "notifications must be an object").under(400));
        };
        let asks = asked.get("toolsListChanged") == Some(&Value::Bool(true));
        Ok(Filter { tools_changed: asks && self.advertised.features().tools_change })
    }
}

impl Filter {
    /// A filter for changes of the list of tools.
    #[cfg(test)]
    pub(in crate::server) fn of_tools() -> Self {
        Self { tools_changed: true }
    }

    /// Whether the subscription gets notifications of this method.
    pub(in crate::server) fn lets_through(self, method: &str) -> bool {
        self.tools_changed && method == "notifications/tools/list_changed"
    }

    /// The first message of a subscription.
    pub(in crate::server) fn acknowledgement(self, id: &Value) -> Vec<u8> {
        let granted = if self.tools_changed { json!({ "toolsListChanged": true }) } else { json!({}) };
        let params = json!({ "_meta": { SUBSCRIPTION: id }, "notifications": granted });
        notification("notifications/subscriptions/acknowledged", &params)
    }
}

/// A notification of a subscription.
pub(in crate::server) fn notification_of(subscription: &Value, method: &str, params: Option<&Value>) -> Vec<u8> {
    let mut params = params.cloned().unwrap_or_else(|| json!({}));
    params["_meta"] = json!({ SUBSCRIPTION: subscription });
    notification(method, &params)
}

/// Whether only subscribers get notifications of this method.
pub(in crate::server) fn is_subscribed_to(method: &str) -> bool {
    method.ends_with("/list_changed") || method == "notifications/resources/updated"
}

/// Whether the parameters of a notification name a subscription.
pub(in crate::server) fn names_subscription(params: &Value) -> bool {
    params.get("_meta").is_some_and(|meta| meta.get(SUBSCRIPTION).is_some())
}

/// The revision that the parameters of a request or notification name.
pub(in crate::server) fn version_of(params: &Value) -> Option<&str> {
    params.get("_meta")?.get(PROTOCOL_VERSION)?.as_str()
}

/// Whether this is a revision of the stateless generation.
fn is_stateless(version: &str) -> bool {
    version == Revision::R20260728.as_str()
}

/// The status code that goes with an error over HTTP.
///
/// Source: revision 2026-07-28, basic/transports/streamable-http, Protocol Version Header.
pub(in crate::server) fn status_of(code: i64) -> u16 {
    match code {
        METHOD_NOT_FOUND => 404,
        HEADER_MISMATCH | MISSING_CAPABILITY | UNSUPPORTED_VERSION => 400,
        _ => 200,
    }
}

/// Whether only servers of the stateless generation send an error with this code.
pub(in crate::server) fn is_error_of_generation(code: i64) -> bool {
    matches!(code, HEADER_MISMATCH | MISSING_CAPABILITY | UNSUPPORTED_VERSION)
}

/// Whether an error with this code refuses the revision of a request.
pub(in crate::server) fn is_refused_revision(code: i64) -> bool {
    code == UNSUPPORTED_VERSION
}

/// Checks the context that every request carries.
fn check_context(params: &Value) -> Result<(), RpcError> {
    let meta = params.get("_meta");
    let lacks = |what: &str| RpcError::new(INVALID_PARAMS, format!("_meta must name {what}")).under(400);
    let Some(version) = version_of(params) else { return Err(lacks(PROTOCOL_VERSION)) };
    if !meta.and_then(|meta| meta.get(CLIENT_CAPABILITIES)).is_some_and(Value::is_object) {
        return Err(lacks(CLIENT_CAPABILITIES));
    }
    if is_stateless(version) {
        return Ok(());
    }
    let data = json!({ "requested": shortened(version), "supported": supported() });
    Err(RpcError::new(UNSUPPORTED_VERSION, "Unsupported protocol version").with(data).under(400))
}

/// A client of the handshake generation learns the supported revisions from it.
fn unknown(method: &str) -> RpcError {
    let versions = supported().join(", ");
    let message = format!("Method not found: {}; this server speaks {versions}", shortened(method));
    RpcError::new(METHOD_NOT_FOUND, message).with(json!({ "supported": supported() })).under(404)
}

fn supported() -> [&'static str; 1] {
    [Revision::R20260728.as_str()]
}

/// A result that clients must not cache.
fn cacheable(mut result: Value) -> Value {
    result["ttlMs"] = Value::from(0);
    result["cacheScope"] = Value::from("private");
    result
}

/// The answer that ends a subscription.
fn listened(id: &Value) -> Value {
    json!({ "resultType": "complete", "_meta": { SUBSCRIPTION: id } })
}

fn notification(method: &str, params: &Value) -> Vec<u8> {
    json!({ "jsonrpc": "2.0", "method": method, "params": params }).to_string().into_bytes()
}
