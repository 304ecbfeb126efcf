//! The waits of a host's plan, by name. A step may say another value with `within`.

use std::time::Duration;

use crate::plan::LimitInfo;

/// Every wait of a host's plan that is no limit of a loader's plan as well.
pub const HOST_LIMITS: &[LimitInfo] = &[
    LimitInfo { name: "host-tools", default_ms: 60_000, about: "Until a host has listed the tools a step waits for." },
    LimitInfo { name: "host-call", default_ms: 30_000, about: "Until the call a step waits for has come in." },
    LimitInfo {
        name: "host-connections",
        default_ms: 30_000,
        about: "Until a host has as many connections as a step waits for.",
    },
    LimitInfo { name: "host-gate", default_ms: 30_000, about: "Until a server of a host waits at a gate." },
    LimitInfo {
        name: "host-ready",
        default_ms: 60_000,
        about: "Until a host answers a request, tried again and again.",
    },
    LimitInfo { name: "host-answer", default_ms: 30_000, about: "From a request to a host to its whole answer." },
    LimitInfo { name: "host-server-end", default_ms: 10_000, about: "From the kill of a host's server to its end." },
    LimitInfo {
        name: "host-page",
        default_ms: 60_000,
        about: "One action on a page, from asking the browser to its answer.",
    },
    LimitInfo {
        name: "host-stdin-end",
        default_ms: 1_000,
        about: "After the end of its stdin: how long a host is left alone to end by itself. It need not.",
    },
];

/// The default of the wait with this name.
///
/// # Panics
/// When there is no such wait: a defect of ours.
#[must_use]
pub fn host_limit(name: &str) -> Duration {
    let limit = HOST_LIMITS.iter().find(|limit| limit.name == name);
    Duration::from_millis(limit.expect("every wait of a step is in the table").default_ms)
}
