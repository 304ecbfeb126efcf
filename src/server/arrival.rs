//! The result of the framing for one input, on which the machine acts.

use serde_json::Value;

/// A message or an HTTP request that arrived on a connection.
#[derive(Debug, PartialEq)]
pub(super) enum Arrival {
    Request {
        id: Value,
        method: String,
        params: Value,
    },
    Notification {
        body: Value,
        method: String,
    },
    Response,
    /// Several messages at once.
    Batch(Vec<Value>),
    Get,
    Delete,
}

impl Arrival {
    /// A request with this body.
    pub(super) fn request(mut body: Value, id: Value, method: String) -> Self {
        let params = body.get_mut("params").map(Value::take).unwrap_or_default();
        Self::Request { id, method, params }
    }
}
