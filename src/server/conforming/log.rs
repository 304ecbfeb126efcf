//! The log of a server: messages that a client gets from some level on.
//!
//! Source: revision 2025-11-25, server/utilities/logging; the same in all revisions from 2024-11-05.

use serde_json::{Value, json};

use crate::server::rpc::RpcError;
use crate::server::wire::INVALID_PARAMS;

/// The request that sets the lowest level.
pub(in crate::server) const SET_LEVEL: &str = "logging/setLevel";
/// The levels, in rising order.
const LEVELS: [&str; 8] = ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"];

/// The lowest level of messages that a client gets. Without a request it gets all.
#[derive(Debug, Clone, Default)]
pub(in crate::server) struct Log {
    least: usize,
}

impl Log {
    /// Answers the request that sets the lowest level.
    pub(in crate::server) fn set_level(&mut self, params: &Value) -> Result<Value, RpcError> {
        let Some(least) = level(params) else {
            return Err(RpcError::new(INVALID_PARAMS, "level must be one of the eight levels"));
        };
        self.least = least;
        Ok(json!({}))
    }

    /// Whether the client gets a message. It always gets one without a level, which only a script sends.
    pub(in crate::server) fn lets_through(&self, params: Option<&Value>) -> bool {
        params.and_then(level).is_none_or(|level| level >= self.least)
    }
}

/// The position of the level that parameters name.
fn level(params: &Value) -> Option<usize> {
    let name = params.get("level")?.as_str()?;
    LEVELS.iter().position(|one| *one == name)
}
