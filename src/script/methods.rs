//! The methods that clients send.

use crate::plan::nearest;
use crate::script::Defect;

/// What stands for every method in a trigger.
pub(super) const EVERY: &str = "*";

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
/// Most letters in which a slip of the pen differs from what was meant.
const SLIP_MAX: usize = 2;

/// A request that a trigger can wait for; one that nearly has the name of a known one is a slip.
pub(super) fn checked_request(method: String) -> Result<String, Defect> {
    if method.is_empty() || method.starts_with("notifications/") {
        return Err(Defect::NotARequest(method));
    }
    no_slip(method, REQUESTS)
}

/// A notification that a trigger can wait for.
pub(super) fn checked_notification(method: String) -> Result<String, Defect> {
    if method != EVERY && method.strip_prefix("notifications/").is_none_or(str::is_empty) {
        return Err(Defect::NotANotification(method));
    }
    no_slip(method, NOTIFICATIONS)
}

fn no_slip(method: String, known: &'static [&'static str]) -> Result<String, Defect> {
    if method == EVERY || known.contains(&method.as_str()) {
        return Ok(method);
    }
    match nearest(&method, known.iter().copied(), SLIP_MAX) {
        Some(nearest) => Err(Defect::MethodNeverSent { found: method, nearest }),
        None => Ok(method),
    }
}
