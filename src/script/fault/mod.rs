//! The faults a script can deliver, by name.

mod http;
mod lines;
mod messages;
mod processes;

use std::sync::LazyLock;

use crate::history::Impact;

/// One kind of fault: a row of `list faults`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FaultInfo {
    /// Its name in a script; in a history it is followed by what it was told, as in `hold:before-answer`.
    pub id: &'static str,
    /// What it does, in one sentence.
    pub about: &'static str,
    /// What may not be expected of a loader any more once it is delivered.
    pub impairs: Impact,
    /// How it is written and what to know about it.
    pub explain: &'static str,
}

/// Every fault: of messages, lines, processes and HTTP, in this order.
pub static FAULTS: LazyLock<Vec<FaultInfo>> =
    LazyLock::new(|| [messages::ROWS, lines::ROWS, processes::ROWS, http::ROWS].concat());

/// The row of a fault, by its id or by its name in a history.
#[must_use]
pub fn fault_info(name: &str) -> Option<&'static FaultInfo> {
    let id = name.split(':').next().unwrap_or(name);
    FAULTS.iter().find(|fault| fault.id == id)
}
