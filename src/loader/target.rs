//! The interface between a driver and a Rust loader.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;

use serde_json::Value;

/// A future that any executor may poll.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A tool loader. Methods take `&self`, so that a cancel can overlap a call.
pub trait Loader: Send + Sync {
    /// Connects to the servers of `config`, an `{"mcpServers": {...}}` object.
    fn load<'a>(&'a self, config: &'a Value) -> BoxFuture<'a, Result<Loaded, Failure>>;
    /// Lists the tools that the loader would currently offer to a model.
    fn list(&self) -> BoxFuture<'_, Result<Loaded, Failure>>;
    /// Calls one tool of one server. `arguments` is an object, or null for no arguments.
    fn call<'a>(&'a self, server: &'a str, tool: &'a str, arguments: Value) -> BoxFuture<'a, Result<Called, Failure>>;
    /// Closes every connection.
    fn close(&self) -> BoxFuture<'_, Result<(), Failure>>;
}

/// The result of a load or a list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Loaded {
    /// Pairs of server and tool name, in the loader's order.
    pub tools: Vec<(String, String)>,
    /// Servers that the loader cannot use, each with the reason.
    pub errors: BTreeMap<String, String>,
}

/// The result of a tool call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Called {
    /// Text blocks of the result, joined by newlines.
    pub text: String,
    /// Whether the server marked the result as an error.
    pub is_error: bool,
}

/// Why an operation of a loader failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Short name of the error's type, such as `CallError::Closed`.
    pub kind: String,
    /// The error and its sources on one line.
    pub message: String,
}

impl Failure {
    /// Creates a failure called `kind`, with the message of `error` and of its sources.
    #[must_use]
    pub fn of(kind: &str, error: &(dyn std::error::Error + 'static)) -> Self {
        let mut message = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            message = format!("{message}: {cause}");
            source = cause.source();
        }
        Self { kind: kind.to_owned(), message }
    }
}
