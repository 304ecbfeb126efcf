//! A separate type for each kind of id.

use std::fmt;

#[cfg(feature = "schemas")]
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::history::Name;

/// Position of an event in the recorder's order, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seq(pub u64);

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// One operation: an invocation and its completion. The driver numbers operations from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schemas", derive(JsonSchema))]
#[serde(transparent)]
pub struct OpId(pub u32);

impl fmt::Display for OpId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "operation {}", self.0)
    }
}

macro_rules! name_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[cfg_attr(feature = "schemas", derive(JsonSchema))]
        #[serde(transparent)]
        pub struct $name(pub Name);

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.into())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.0.as_str())
            }
        }
    };
}

name_id! {
    /// One transport connection, such as `c1`. The recorder names it, unique in a plan.
    ConnectionId
}
name_id! {
    /// One protocol session over HTTP: the value of `Mcp-Session-Id`. Its mock chooses it.
    SessionId
}
name_id! {
    /// One TCP connection, such as `t1`. Its mock names it, unique for that mock.
    SocketId
}
name_id! {
    /// One HTTP request and its response, such as `x1`. Its mock names it, unique for that mock.
    ExchangeId
}
name_id! {
    /// One acquired resource with an enter and an exit, such as `s1`. The adapter names it.
    ScopeId
}
name_id! {
    /// One process that the supervisor saw, such as `p3`. Unlike a pid, the id is never reused.
    ProcessId
}
