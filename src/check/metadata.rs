//! Names and codes of the stateless generation, as its specification writes them.

use std::ops::RangeInclusive;

use crate::history::Message;

/// The member of `_meta` that holds the revision of a request.
pub(super) const VERSION: &str = "io.modelcontextprotocol/protocolVersion";
/// The member of `_meta` that names the client.
pub(super) const CLIENT: &str = "io.modelcontextprotocol/clientInfo";
/// The member of `_meta` that holds the capabilities of the client.
pub(super) const CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
/// The member of `_meta` that asks for the log of a request.
pub(super) const LOG_LEVEL: &str = "io.modelcontextprotocol/logLevel";
/// The levels of a log, in every revision.
pub(super) const LEVELS: [&str; 8] = ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"];
/// The member of `_meta` that names the subscription of a notification.
pub(super) const SUBSCRIPTION: &str = "io.modelcontextprotocol/subscriptionId";
/// Codes of errors that only servers of this generation send.
pub(super) const STATELESS_ERRORS: RangeInclusive<i64> = -32_022..=-32_020;
/// The code of the error about an unknown method. With status 404 it is an answer of this generation.
pub(super) const UNKNOWN_METHOD: i64 = -32_601;

/// Whether a message carries its revision, as each request of this generation does.
pub(super) fn says_revision(message: &Message) -> bool {
    message.at(&["params", "_meta", VERSION]).is_some()
}
