//! A type of its own for every id.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Position of an event in the recorder's order, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seq(pub u64);

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// One operation: an invocation and its completion. Numbered from 1 by the driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
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
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(transparent)]
        pub struct $name(pub String);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name_id! {
    /// One transport life, such as `c1`. Named by the recorder, unique in a plan.
    ConnectionId
}
name_id! {
    /// One session of the protocol over HTTP: the value of its `Mcp-Session-Id`. Chosen by its mock.
    SessionId
}
name_id! {
    /// One TCP connection, such as `t1`. Named by its mock, unique there.
    SocketId
}
name_id! {
    /// One HTTP request and its response, such as `x1`. Named by its mock, unique there.
    ExchangeId
}
name_id! {
    /// One acquired resource with an enter and an exit, such as `s1`. Named by the adapter.
    ScopeId
}
name_id! {
    /// One process the supervisor saw, such as `p3`. Never recycled, unlike a pid.
    ProcessId
}
