//! The table of invariants. Its order is the order of findings and reports.

use crate::check::{
    Invariant, call, cancel, cleanup, completes, failure, handshake, load, process, quiet, removal, scope,
};
use crate::check::{session, shutdown, wire};

/// Every invariant.
pub const INVARIANTS: &[Invariant] = &[
    scope::EXITS_IN_ENTERING_TASK,
    scope::EXIT_EXPLICIT,
    session::OPEN_UNTIL_CLEANUP,
    load::LOAD_SUCCEEDS,
    call::CALL_AFTER_LOAD_SUCCEEDS,
    cleanup::CLEANUP_REPEATABLE,
    process::NOTHING_SURVIVES,
    quiet::ERROR_CHANNELS_SILENT,
    quiet::IDLE_WITHOUT_CPU,
    process::SIGNAL_ENDS_PROCESS,
    removal::REMOVAL_SPARES_SIBLINGS,
    completes::OPERATION_COMPLETES,
    process::EXIT_COMPLETES,
    process::CHILDREN_REAPED,
    failure::FAILURE_PROMPT,
    shutdown::EOF_BEFORE_SIGNAL,
    handshake::HANDSHAKE_ORDER,
    wire::REQUEST_ID_UNIQUE,
    wire::STDIN_CARRIES_MESSAGES_ONLY,
    cancel::CANCEL_ANNOUNCED,
    cancel::CANCEL_ONLY_OPEN_REQUESTS,
];

/// The invariant with this id.
#[must_use]
pub fn invariant(id: &str) -> Option<&'static Invariant> {
    INVARIANTS.iter().find(|invariant| invariant.id == id)
}
