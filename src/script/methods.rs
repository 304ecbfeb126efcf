//! The methods of the protocol.

use crate::plan::nearest;
use crate::script::Defect;

/// Means every method in a trigger.
pub const EVERY: &str = "*";
/// The request for a subscription, which only the stateless generation has.
pub const LISTEN: &str = "subscriptions/listen";
/// The request with which a client learns what a server of the stateless generation is.
pub const DISCOVER: &str = "server/discover";
/// The notification that carries a message of a server's log.
pub const LOG_MESSAGE: &str = "notifications/message";

/// Requests of clients, over all revisions.
const REQUESTS: &[&str] = &[
    "completion/complete",
    "initialize",
    "logging/setLevel",
    "ping",
    "prompts/get",
    "prompts/list",
    "resources/list",
    "resources/read",
    "resources/subscribe",
    "resources/templates/list",
    "resources/unsubscribe",
    "server/discover",
    "subscriptions/listen",
    "tasks/cancel",
    "tasks/get",
    "tasks/list",
    "tasks/result",
    "tools/call",
    "tools/list",
];
/// Notifications of clients, over all revisions.
const NOTIFICATIONS: &[&str] = &[
    "notifications/cancelled",
    "notifications/initialized",
    "notifications/progress",
    "notifications/roots/list_changed",
    "notifications/tasks/status",
];
/// Most letters by which a typing error differs from the intended method.
const TYPING_ERROR_MAX: usize = 2;

/// Checks the request of a trigger. A method that is almost a known one is a typing error.
pub(super) fn checked_request(method: String) -> Result<String, Defect> {
    if method.is_empty() || method.starts_with("notifications/") {
        return Err(Defect::NotARequest(method));
    }
    without_typing_error(method, REQUESTS)
}

/// Checks the notification of a trigger.
pub(super) fn checked_notification(method: String) -> Result<String, Defect> {
    if method != EVERY && method.strip_prefix("notifications/").is_none_or(str::is_empty) {
        return Err(Defect::NotANotification(method));
    }
    without_typing_error(method, NOTIFICATIONS)
}

fn without_typing_error(method: String, known: &'static [&'static str]) -> Result<String, Defect> {
    if method == EVERY || known.contains(&method.as_str()) {
        return Ok(method);
    }
    match nearest(&method, known.iter().copied(), TYPING_ERROR_MAX) {
        Some(nearest) => Err(Defect::MethodNeverSent { found: method, nearest }),
        None => Ok(method),
    }
}
