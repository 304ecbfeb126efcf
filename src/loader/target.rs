//! The one interface that every loader in this crate offers to a driver.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;

use serde_json::Value;

/// A future that may be polled by any executor.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A tool loader, good or broken. `&self` throughout, so that a cancel can overlap a call.
pub trait Loader: Send + Sync {
    /// Connects to the servers of `config`, an `{"mcpServers": {...}}` object.
    fn load<'a>(&'a self, config: &'a Value) -> BoxFuture<'a, Result<Loaded, Failure>>;
    /// What the loader would offer to a model now.
    fn list(&self) -> BoxFuture<'_, Result<Loaded, Failure>>;
    /// Calls one tool of one server. `arguments` is an object, or null for none.
    fn call<'a>(&'a self, server: &'a str, tool: &'a str, arguments: Value) -> BoxFuture<'a, Result<Called, Failure>>;
    /// Closes everything that was opened.
    fn close(&self) -> BoxFuture<'_, Result<(), Failure>>;
}

/// What a load or a list found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Loaded {
    /// Server and tool name, in the loader's order.
    pub tools: Vec<(String, String)>,
    /// Servers that could not be used, each with the reason.
    pub errors: BTreeMap<String, String>,
}

/// What a tool answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Called {
    /// The text blocks of the answer, joined by line ends.
    pub text: String,
    /// Whether the server marked the answer as an error.
    pub is_error: bool,
}

/// Why an operation of a loader failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Short name of the error's type, such as `CallError::Closed`.
    pub kind: String,
    /// The error and its sources in one line.
    pub message: String,
}

impl Failure {
    /// A failure called `kind`, with the message of `error` and of its sources.
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
