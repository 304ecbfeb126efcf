//! The log of a server: messages that its client is told from some level on.
//!
//! Source: revision 2025-11-25, server/utilities/logging; the same in all revisions from 2024-11-05.

use serde_json::{Value, json};

use crate::script::rpc::RpcError;
use crate::script::wire::INVALID_PARAMS;

/// The notification that tells a message of the log.
pub(super) const MESSAGE: &str = "notifications/message";
/// The request that says from which level on.
pub(super) const SET_LEVEL: &str = "logging/setLevel";
/// The levels, from the least important on.
const LEVELS: [&str; 8] = ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"];

/// From which level on a client is told messages; from the first one, where it did not say.
#[derive(Debug, Clone, Default)]
pub(super) struct Log {
    least: usize,
}

impl Log {
    /// Answers the request that says from which level on.
    pub(super) fn set_level(&mut self, params: &Value) -> Result<Value, RpcError> {
        let Some(least) = level(params) else {
            return Err(RpcError::new(INVALID_PARAMS, "level must be one of the eight levels"));
        };
        self.least = least;
        Ok(json!({}))
    }

    /// Whether a message is told. One without a level, which only a script sends, is.
    pub(super) fn tells(&self, params: Option<&Value>) -> bool {
        params.and_then(level).is_none_or(|level| level >= self.least)
    }
}

/// The number of the level that is named.
fn level(params: &Value) -> Option<usize> {
    let name = params.get("level")?.as_str()?;
    LEVELS.iter().position(|one| *one == name)
}
