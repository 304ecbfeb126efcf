//! The reference loader, on rmcp: what a correct tool loader looks like.
//!
//! Start with [`ToolsLoader`]. From the outside in:
//!
//! - `tools_loader`: the public face; needs no runtime around it.
//! - `config`, `config_text`: which servers, from JSON, YAML or TOML.
//! - `options`: every bound, with its default. `error`, `report`: what a caller gets back. `block_on`: blocking callers.
//! - `engine`: owns all sessions between a load and a cleanup; one command after the other.
//! - `session`, `owner`: the handle to one session, and the task that opens it, carries its calls and closes it.
//! - `link`, `listing`, `call`, `request`, `handler`: the conversation with one server.
//! - `channel`: what an endpoint is once it is opened: a pair of pipes, or an address for HTTP.
//! - `wire`: the transport under rmcp. `hooks`, `hooked_wire`, `hooked_inlet`: where a mutation changes it. `pipes` are under it
//!   for lines, `http` for streamable HTTP and for HTTP with server-sent events.
//! - `piped_server`: a server behind pipes. `process`, `group`: its process and the group of that. `memory`: how a server in this
//!   process is reached.
//!
//! Deliberately absent: restarts (a dead server stays dead until the next load), and a session per call.

mod block_on;
mod call;
mod channel;
mod config;
mod config_text;
mod engine;
mod error;
mod group;
mod handler;
mod hooked_inlet;
mod hooked_wire;
mod hooks;
mod http;
mod link;
mod listening;
mod listing;
mod memory;
mod options;
mod owner;
mod piped_server;
mod pipes;
mod probe;
mod process;
mod report;
mod request;
mod session;
mod target;
mod tools_loader;
mod wire;

pub use config::{
    CONFIG_VARIABLE, CommandLine, Config, ConfigError, ConfigFormat, Endpoint, HttpAddress, HttpKind, ParseError,
    Position,
};
pub use error::{CallError, LoaderError, LookupError, RequestError, SessionError};
pub use hooks::Hooks;
pub use http::HttpError;
#[doc(hidden)]
pub use http::{Backoff, Events, PostTarget, RequestMetadata};
pub use options::{Bounds, Ladder, Opening, Options, Revision, ServerStderr};
pub use process::{Ending, Exit};
pub use report::{CleanupReport, DuplicateName, FoundTool, LoadReport, ServerTools};
pub use session::Freshness;
pub use tools_loader::ToolsLoader;

pub(crate) use group::Watched;
pub(crate) use hooks::{Fate, Framing, Seen, Tamper, TamperBytes, TamperHttp};
pub(crate) use target::called;
