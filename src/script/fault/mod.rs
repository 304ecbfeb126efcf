//! The faults a script can deliver, by name.

mod http;
mod info;
mod lines;
mod messages;
mod processes;

use std::sync::LazyLock;

pub use info::FaultInfo;

/// Every fault: of messages, lines, processes and HTTP, in this order.
pub static FAULTS: LazyLock<Vec<FaultInfo>> =
    LazyLock::new(|| [messages::ROWS, lines::ROWS, processes::ROWS, http::ROWS].concat());

/// The row of a fault, by its id or by its name in a history.
#[must_use]
pub fn fault_info(name: &str) -> Option<&'static FaultInfo> {
    let id = name.split(':').next().unwrap_or(name);
    FAULTS.iter().find(|fault| fault.id == id)
}
