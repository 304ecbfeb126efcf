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
    /// Its name in a script. In a history a detail follows, as in `hold:before-answer`.
    pub id: &'static str,
    /// What it does, in one sentence.
    pub about: &'static str,
    /// What a loader need not achieve any more once the server has delivered it.
    pub impairs: Impact,
    /// Its form in a script, and its details.
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
