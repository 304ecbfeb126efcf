//! The table of invariants. Its order is the order of findings and reports.

use crate::check::{
    Invariant, call, calls, cancel, cleanup, completes, failure, growth, handshake, http, life, load, opening, process,
};
use crate::check::{ping, quiet, removal, renewal, scope, session, shutdown, siblings, wire};

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
    opening::INITIALIZE_COMPLETE,
    opening::INITIALIZED_SENT,
    opening::CAPABILITIES_RESPECTED,
    wire::ONE_MESSAGE_AT_A_TIME,
    wire::MESSAGES_WELL_FORMED,
    ping::PING_ANSWERED,
    calls::CALL_SENT_ONCE,
    calls::CALL_ARRIVES_AS_MADE,
    calls::ANSWER_REACHES_ITS_CALLER,
    calls::CANCEL_HAS_A_REASON,
    calls::CANCEL_PROMPT,
    siblings::TOOLS_MATCH_OFFER,
    siblings::FAILURE_REPORTED,
    siblings::ONE_CONNECTION_PER_SERVER,
    siblings::UNCHANGED_SERVER_KEPT,
    siblings::CHANGED_SERVER_REPLACED,
    siblings::REMOVED_SERVER_CLOSED,
    siblings::SERVER_NOT_RESPAWNED,
    life::CLEANUP_OPENS_NOTHING,
    life::CLOSED_STAYS_CLOSED,
    life::CLOSED_STAYS_SILENT,
    life::CALL_AFTER_CLEANUP_FAILS,
    life::REPEATED_CLEANUP_QUIET,
    life::EXIT_OPENS_NOTHING,
    life::EXIT_PROMPT_AFTER_CLEANUP,
    shutdown::TERM_BEFORE_KILL,
    shutdown::TIME_BEFORE_SIGNAL,
    growth::REPEATS_KEEP_DESCRIPTORS,
    growth::REPEATS_KEEP_THREADS,
    growth::REPEATS_KEEP_MEMORY,
    growth::REPEATS_KEEP_SERVERS,
    http::SESSION_ID_SENT,
    renewal::STALE_SESSION_UNUSED,
    renewal::LOST_SESSION_RENEWED_ONCE,
    renewal::LOST_SESSION_CALLS_END,
    renewal::SESSION_DELETED,
    renewal::DELETED_SESSION_SILENT,
    http::PROTOCOL_VERSION_SENT,
    http::ACCEPT_OFFERS_BOTH,
    http::STREAM_REOPENED_SLOWLY,
    http::REFUSED_STREAM_ACCEPTED,
];

/// The invariant with this id.
#[must_use]
pub fn invariant(id: &str) -> Option<&'static Invariant> {
    INVARIANTS.iter().find(|invariant| invariant.id == id)
}
