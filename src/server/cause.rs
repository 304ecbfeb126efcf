//! The trigger of a task, and the connection or exchange of that trigger.

use serde_json::Value;

use crate::script::{Signal, Span};
use crate::server::batch::Seat;
use crate::server::http_io::ExchangeNo;

/// The place of an event.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Place {
    /// The number of the connection; none for what concerns the whole server.
    pub connection: Option<u64>,
    /// The HTTP exchange that awaits a response.
    pub exchange: Option<ExchangeNo>,
    /// The seat of a request in its batch.
    pub seat: Option<Seat>,
}

impl Place {
    /// A connection as a whole.
    pub(super) fn on(number: u64) -> Self {
        Self { connection: Some(number), ..Self::default() }
    }

    /// An exchange of a connection.
    pub(super) fn exchange(number: u64, exchange: ExchangeNo) -> Self {
        Self { exchange: Some(exchange), ..Self::on(number) }
    }
}

/// The event.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cause {
    Start,
    Initialized,
    Request { id: Value, method: String, params: Value },
    Notification(String),
    Response,
    Gate(String),
    Elapsed(Span),
    Eof,
    Signal(Signal),
    Get,
    Delete,
}

impl Cause {
    /// The bytes it takes in memory, roughly.
    pub(super) fn weight(&self) -> usize {
        match self {
            Self::Request { id, method, params } => weight(id) + method.len() + weight(params),
            Self::Notification(method) => method.len(),
            Self::Gate(gate) => gate.len(),
            Self::Start | Self::Initialized | Self::Eof | Self::Signal(_) | Self::Get | Self::Delete => 0,
            Self::Response | Self::Elapsed(_) => 0,
        }
    }

    /// Whether a client posts it over HTTP.
    pub(super) fn is_posted(&self) -> bool {
        match self {
            Self::Request { .. } | Self::Notification(_) | Self::Response => true,
            Self::Start | Self::Initialized | Self::Gate(_) | Self::Elapsed(_) => false,
            Self::Eof | Self::Signal(_) | Self::Get | Self::Delete => false,
        }
    }
}

/// The bytes a value takes in memory, roughly. It was read from JSON, so its nesting is bounded.
fn weight(value: &Value) -> usize {
    let inner = match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(text) => text.len(),
        Value::Array(all) => all.iter().map(weight).sum(),
        Value::Object(all) => all.iter().map(|(key, value)| key.len() + weight(value)).sum(),
    };
    size_of::<Value>() + inner
}
