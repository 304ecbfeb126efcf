//! The limits of an application's plan. A step sets another value with `within`.

use std::time::Duration;

use crate::plan::LimitInfo;

/// Every limit of an application's plan that a loader's plan does not have.
pub const HOST_LIMITS: &[LimitInfo] = &[
    LimitInfo {
        name: "host-tools",
        default_ms: 60_000,
        about: "From the start of a step until the application has listed the tools that the step waits for.",
    },
    LimitInfo {
        name: "host-call",
        default_ms: 30_000,
        about: "From the start of a step until the call that it waits for has arrived.",
    },
    LimitInfo {
        name: "host-connections",
        default_ms: 30_000,
        about: "From the start of a step until the application has the connections that it waits for.",
    },
    LimitInfo {
        name: "host-gate",
        default_ms: 30_000,
        about: "From the start of a step until a server of the application waits at a gate.",
    },
    LimitInfo {
        name: "host-ready",
        default_ms: 60_000,
        about: "Until the application answers a request, which is repeated until then.",
    },
    LimitInfo {
        name: "host-answer",
        default_ms: 30_000,
        about: "From a request to the application to the end of its answer.",
    },
    LimitInfo {
        name: "host-server-end",
        default_ms: 10_000,
        about: "From the kill of a server of the application to the end of its process.",
    },
    LimitInfo {
        name: "host-page",
        default_ms: 60_000,
        about: "One action on a page, from the command to the browser to its answer.",
    },
    LimitInfo {
        name: "host-stdin-end",
        default_ms: 1_000,
        about: "How long the application may take to end by itself after the end of its stdin. It need not end.",
    },
];

/// The default of the limit with this name.
///
/// # Panics
/// When no limit has this name: a defect of this crate.
#[must_use]
pub fn host_limit(name: &str) -> Duration {
    let limit = HOST_LIMITS.iter().find(|limit| limit.name == name);
    Duration::from_millis(limit.expect("every wait of a step is in the table").default_ms)
}
