//! Promises: the claims of a loader about its own behaviour. The default is the reference contract.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::plan::limits::parse_duration;

/// How long a session lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SessionPromise {
    /// Load opens the session, and cleanup closes it.
    Persistent,
    /// Each call opens a session and closes it.
    PerCall,
    /// The first use opens the session, and cleanup closes it.
    Lazy,
    /// A call takes a session from a pool and gives it back.
    Pooled,
}

impl fmt::Display for SessionPromise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Persistent => "persistent",
            Self::PerCall => "per-call",
            Self::Lazy => "lazy",
            Self::Pooled => "pooled",
        })
    }
}

/// A kind of context in which a loader promises to work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ContextKind {
    /// Another task of the same loop or runtime.
    Task,
    /// Another operating-system thread.
    Thread,
    /// Another event loop or runtime.
    Loop,
}

/// The promises of one loader. An invariant does not apply when the promise that it needs is missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Promises {
    /// How long a session lives.
    pub session: SessionPromise,
    /// Cleanup ends the servers. When `false`, they may live on.
    pub closes_servers: bool,
    /// Cleanup also ends what a server has started, however the server itself has ended.
    #[serde(skip_serializing_if = "is_false")]
    pub closes_children: bool,
    /// At the end of an HTTP session that has an id, the loader sends a DELETE.
    pub sends_delete: bool,
    /// The loader announces a cancelled call to the server.
    pub announces_cancel: bool,
    /// The loader reconnects a lost server by itself.
    pub reconnects: bool,
    /// The loader repeats a call that a server may have carried out before it died.
    #[serde(skip_serializing_if = "is_false")]
    pub retries_calls: bool,
    /// Contexts, other than the one of the load, in which a loaded tool may be used.
    pub contexts: Vec<ContextKind>,
    /// Bound on a call, such as `10s`. Breaking a declared bound is a Fail.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call_bound: Option<Bound>,
    /// Bound on cleanup. Breaking a declared bound is a Fail.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cleanup_bound: Option<Bound>,
}

impl Default for Promises {
    fn default() -> Self {
        Self {
            session: SessionPromise::Persistent,
            closes_servers: true,
            closes_children: false,
            sends_delete: true,
            announces_cancel: true,
            reconnects: false,
            retries_calls: false,
            contexts: vec![ContextKind::Task, ContextKind::Thread, ContextKind::Loop],
            call_bound: None,
            cleanup_bound: None,
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(promise: &bool) -> bool {
    !promise
}

impl Promises {
    /// No promise at all. An application is judged by these, because it makes none.
    #[must_use]
    pub fn none() -> Self {
        Self {
            session: SessionPromise::Lazy,
            closes_servers: false,
            sends_delete: false,
            announces_cancel: false,
            contexts: Vec::new(),
            ..Self::default()
        }
    }
}

/// A declared bound, written as `10s` or `250ms`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Bound(pub Duration);

impl TryFrom<String> for Bound {
    type Error = crate::plan::limits::DurationError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        parse_duration(&text).map(Self)
    }
}

impl From<Bound> for String {
    fn from(bound: Bound) -> Self {
        format!("{}ms", bound.0.as_millis())
    }
}

impl fmt::Display for ContextKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Task => "task",
            Self::Thread => "thread",
            Self::Loop => "loop",
        })
    }
}

/// A promise that an invariant or a scenario needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Promise {
    /// The invariant holds for every loader.
    #[serde(skip)]
    None,
    /// Sessions live from load to cleanup.
    #[serde(skip)]
    PersistentSession,
    /// Cleanup ends the servers.
    ClosesServers,
    /// Cancelled calls are announced.
    AnnouncesCancel,
    /// Sessions that have an id are deleted.
    SendsDelete,
}

impl Promise {
    /// Whether `promises` contain it.
    #[must_use]
    pub fn is_given(self, promises: &Promises) -> bool {
        match self {
            Self::None => true,
            Self::PersistentSession => promises.session == SessionPromise::Persistent,
            Self::ClosesServers => promises.closes_servers,
            Self::AnnouncesCancel => promises.announces_cancel,
            Self::SendsDelete => promises.sends_delete,
        }
    }

    /// The promise as a loader description writes it.
    #[must_use]
    pub fn id(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::PersistentSession => "session = persistent",
            Self::ClosesServers => "closes-servers",
            Self::AnnouncesCancel => "announces-cancel",
            Self::SendsDelete => "sends-delete",
        }
    }
}

/// The rows of `list promises`: key, default and claim.
pub const PROMISES: &[(&str, &str, &str)] = &[
    ("session", "persistent", "How long a session lives: persistent, per-call, lazy or pooled."),
    ("closes-servers", "true", "Cleanup ends the servers; with false, they may live on."),
    ("closes-children", "false", "Cleanup also ends what a server has started, however the server itself has ended."),
    ("sends-delete", "true", "At the end of an HTTP session that has an id, the loader sends a DELETE."),
    ("announces-cancel", "true", "The loader announces a cancelled call to the server with notifications/cancelled."),
    ("reconnects", "false", "The loader reconnects a lost server by itself."),
    (
        "retries-calls",
        "false",
        "The loader repeats a call whose server died, although the server may have carried it out: its tools bear that.",
    ),
    (
        "contexts",
        "task, thread, loop (Node: task)",
        "Contexts, other than the one of the load, in which a loaded tool may be used.",
    ),
    ("call-bound", "none", "Declared bound on one call; breaking a declared bound is a Fail."),
    ("cleanup-bound", "none", "Declared bound on one cleanup; breaking a declared bound is a Fail."),
];
