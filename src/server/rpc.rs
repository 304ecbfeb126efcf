//! Errors as answers.

use serde_json::Value;

use crate::server::wire;

/// A JSON-RPC error.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct RpcError {
    pub code: i64,
    pub message: String,
    data: Option<Value>,
    status: u16,
}

impl RpcError {
    pub(super) fn new(code: i64, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), data: None, status: 200 }
    }

    /// This error, with data.
    pub(super) fn with(self, data: Value) -> Self {
        Self { data: Some(data), ..self }
    }

    /// This error, with this status code over HTTP.
    pub(super) fn under(self, status: u16) -> Self {
        Self { status, ..self }
    }

    /// Its status code over HTTP.
    pub(super) fn status(&self) -> u16 {
        self.status
    }

    /// This error as the answer to a request.
    pub(super) fn line(&self, id: &Value) -> Vec<u8> {
        wire::error_line(id, self.code, &self.message, self.data.as_ref())
    }
}
