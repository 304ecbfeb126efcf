//! The rules: one file per family, and the tables of all rules.
//!
//! A new rule is a constant and a monitor in the file of its family, a row of a table below, and its histories in
//! `tests/histories/ID`. The order of a table is the order of findings and reports.

mod abandoned;
mod addresses;
mod after_cleanup;
mod answers;
mod asked_again;
mod auth;
mod caching;
mod calls;
mod cancellation;
mod cancellation_notices;
mod cancelled_requests;
mod capabilities;
mod cleanup;
mod completion;
mod connections;
mod credentials;
mod cursors;
mod cut_subscriptions;
mod declared;
mod elicited;
mod eras;
mod fallback;
mod features;
mod given_up;
mod growth;
mod handshake;
mod host_end;
mod http_at_exit;
mod http_bodies;
mod http_headers;
mod http_streams;
mod idle;
mod inputs;
mod listening;
mod loads;
mod meanwhile;
mod messages;
mod methods;
mod modern_features;
mod notices;
mod older_era;
mod output;
mod parameter_headers;
mod pings;
mod processes;
mod program_end;
mod progress;
mod refused_generation;
mod refused_revisions;
mod removal;
mod responses;
mod resume;
mod resumption;
mod scenario;
mod schemas;
mod scopes;
mod sent_back;
mod server_death;
mod server_requests;
mod server_shutdown;
mod session_end;
mod session_loss;
mod sessions;
mod sse;
mod stateless;
mod subscriptions;
mod task_life;
mod tasks;
mod tools;
mod untyped;
mod used_ids;
mod versions;

use crate::check::Invariant;

/// The rules for loaders.
pub const INVARIANTS: &[Invariant] = &[
    scopes::EXITS_IN_ENTERING_TASK,
    scopes::EXIT_EXPLICIT,
    sessions::OPEN_UNTIL_CLEANUP,
    loads::LOAD_SUCCEEDS,
    calls::CALL_AFTER_LOAD_SUCCEEDS,
    cleanup::CLEANUP_REPEATABLE,
    processes::NOTHING_SURVIVES,
    output::ERROR_CHANNELS_SILENT,
    output::OUTPUT_BOUNDED,
    idle::IDLE_WITHOUT_CPU,
    program_end::SIGNAL_ENDS_PROCESS,
    removal::REMOVAL_SPARES_SIBLINGS,
    completion::OPERATION_COMPLETES,
    program_end::EXIT_COMPLETES,
    processes::CHILDREN_REAPED,
    server_death::FAILURE_PROMPT,
    server_shutdown::EOF_BEFORE_SIGNAL,
    handshake::HANDSHAKE_ORDER,
    messages::REQUEST_ID_UNIQUE,
    messages::STDIN_CARRIES_MESSAGES_ONLY,
    cancellation_notices::CANCEL_ANNOUNCED,
    cancellation_notices::STATELESS_CANCEL_SENT,
    cancellation::CANCEL_ONLY_OPEN_REQUESTS,
    stateless::METADATA_SENT,
    eras::CLIENT_NAMED,
    stateless::GENERATION_KEPT,
    eras::GENERATION_REMEMBERED,
    refused_revisions::REFUSED_REVISION_DROPPED,
    refused_generation::REFUSED_GENERATION_LEFT,
    stateless::SESSIONS_OVER,
    subscriptions::SUBSCRIPTION_CLOSED,
    listening::STRANGE_NOTICE_IGNORED,
    listening::TORN_DOWN_SUBSCRIPTION_LEFT,
    listening::SUBSCRIPTION_SENT_AGAIN,
    asked_again::ENDED_SUBSCRIPTION_CALM,
    asked_again::SMALLER_FILTER_ACCEPTED,
    caching::FRESH_LIST_KEPT,
    caching::LIST_NOT_POLLED,
    untyped::UNTYPED_RESULT_COMPLETE,
    untyped::CANCELLED_TASK_OVER,
    sent_back::SENT_BACK_KEEPS_STATE,
    inputs::SENT_BACK_HAS_INPUTS,
    inputs::SENT_BACK_BOUNDED,
    modern_features::FEATURES_IN_EACH_REQUEST,
    parameter_headers::PARAMETERS_MIRRORED,
    parameter_headers::MISMATCH_LISTED_AGAIN,
    older_era::OLDER_ERA_KEPT,
    sent_back::RESULT_TYPE_KNOWN,
    handshake::INITIALIZE_COMPLETE,
    versions::UNKNOWN_VERSION_LEFT,
    handshake::INITIALIZED_SENT,
    capabilities::CAPABILITIES_RESPECTED,
    messages::ONE_MESSAGE_AT_A_TIME,
    messages::MESSAGES_WELL_FORMED,
    schemas::PARAMS_MATCH_SCHEMA,
    schemas::RESULTS_MATCH_SCHEMA,
    notices::NOTIFICATIONS_UNANSWERED,
    elicited::INPUT_MATCHES_REQUEST,
    messages::POSTS_ARE_MESSAGES,
    methods::METHODS_KNOWN,
    schemas::FIELDS_OF_REVISION,
    features::FEATURES_DECLARED,
    declared::DECLARED_FEATURES_SERVED,
    declared::CHANGED_ROOTS_TOLD,
    responses::RESPONSES_MATCH_REQUESTS,
    responses::SERVER_REQUESTS_ANSWERED,
    meanwhile::REQUESTS_SERVED_MEANWHILE,
    notices::TAKEN_BACK_UNANSWERED,
    progress::PROGRESS_TOKENS_VALID,
    tasks::TASK_SUPPORT_FOLLOWED,
    task_life::TASKS_FOLLOWED,
    task_life::TASK_INPUT_AWAITED,
    task_life::TASK_ANSWERS_RELATED,
    server_requests::PING_ANSWERED,
    pings::PINGS_MODEST,
    pings::SILENT_CONNECTION_LEFT,
    calls::CALL_SENT_ONCE,
    calls::CALL_ARRIVES_AS_MADE,
    answers::ANSWER_REACHES_ITS_CALLER,
    cancellation::CANCEL_HAS_A_REASON,
    cancellation::CANCEL_PROMPT,
    tools::TOOLS_MATCH_OFFER,
    tools::CHANGED_TOOLS_LISTED_AGAIN,
    meanwhile::CHANGED_LIST_FETCHED,
    loads::FAILURE_REPORTED,
    connections::ONE_CONNECTION_PER_SERVER,
    connections::UNCHANGED_SERVER_KEPT,
    connections::CHANGED_SERVER_REPLACED,
    removal::REMOVED_SERVER_CLOSED,
    connections::SERVER_NOT_RESPAWNED,
    cleanup::CLEANUP_OPENS_NOTHING,
    after_cleanup::CLOSED_STAYS_CLOSED,
    after_cleanup::CLOSED_STAYS_SILENT,
    after_cleanup::CALL_AFTER_CLEANUP_FAILS,
    cleanup::REPEATED_CLEANUP_QUIET,
    program_end::EXIT_OPENS_NOTHING,
    program_end::EXIT_PROMPT_AFTER_CLEANUP,
    server_shutdown::TERM_BEFORE_KILL,
    server_shutdown::TIME_BEFORE_SIGNAL,
    growth::REPEATS_KEEP_DESCRIPTORS,
    growth::REPEATS_KEEP_THREADS,
    growth::REPEATS_KEEP_MEMORY,
    growth::REPEATS_KEEP_SERVERS,
    http_headers::SESSION_ID_SENT,
    session_loss::STALE_SESSION_UNUSED,
    session_loss::LOST_SESSION_RENEWED_ONCE,
    session_loss::LOST_SESSION_CALLS_END,
    session_end::SESSION_DELETED,
    session_end::DELETED_SESSION_SILENT,
    http_headers::PROTOCOL_VERSION_SENT,
    http_headers::ACCEPT_OFFERS_BOTH,
    http_streams::STREAM_REOPENED_SLOWLY,
    cut_subscriptions::CUT_SUBSCRIPTION_CALM,
    http_streams::REFUSED_STREAM_ACCEPTED,
    resume::RETRY_HONOURED,
    resume::EVENT_ID_KNOWN,
    resumption::RESUMED_BY_GET,
    resumption::RESUMED_FROM_LAST_EVENT,
    resumption::CUT_STREAM_RESUMED,
    resumption::RESUME_STOPS,
    session_end::SESSION_ENDED,
    addresses::ENDPOINT_USED,
    http_bodies::POSTS_SAY_JSON,
    http_bodies::SESSION_ID_IN_HEADER_ONLY,
    auth::TOKEN_SENT,
    credentials::BEARER_TOKEN_USED,
    credentials::UNAUTHORIZED_NOT_REPEATED,
    credentials::FORBIDDEN_NOT_REPEATED,
    fallback::FALLBACK_AFTER_REFUSAL,
    fallback::MODERN_FALLBACK_AFTER_REFUSAL,
    cursors::CURSOR_OF_SESSION,
    abandoned::ABANDONED_CALL_CANCELLED,
    sse::POSTED_TO_ENDPOINT,
    sse::CLOSED_STREAM_SILENT,
    sse::OLD_TRANSPORT_ALONE,
    sse::STREAM_CLOSED,
];

/// The rules for programs that the harness only starts and watches: conformance clients and applications.
///
/// Some of them are rules for loaders, too; those judge only messages, processes and output.
pub const HOST_RULES: &[Invariant] = &[
    scenario::SERVERS_REACHED,
    scenario::STEPS_MET,
    scenario::EXCHANGE_COMPLETE,
    host_end::EXITS_WITH_SUCCESS,
    host_end::ENDED_BY_NO_SIGNAL,
    host_end::ENDS_IN_TIME,
    host_end::ENDS_AS_ASKED,
    program_end::SIGNAL_ENDS_PROCESS,
    processes::NOTHING_SURVIVES,
    connections::SERVERS_KEPT,
    idle::IDLE_WITHOUT_CPU,
    output::STDERR_WITHOUT_ERRORS,
    output::OUTPUT_BOUNDED,
    http_at_exit::STREAMS_CLOSED,
    http_at_exit::ANSWERS_READ,
    handshake::HANDSHAKE_ORDER,
    handshake::INITIALIZE_COMPLETE,
    versions::UNKNOWN_VERSION_LEFT,
    capabilities::CAPABILITIES_RESPECTED,
    handshake::SESSION_INITIALIZED,
    sessions::SESSIONS_USED,
    session_end::SILENT_AFTER_END,
    session_end::SESSION_ENDED,
    http_headers::SESSION_ID_SENT,
    http_headers::PROTOCOL_VERSION_SENT,
    http_headers::ACCEPT_OFFERS_BOTH,
    http_streams::STREAM_REOPENED_SLOWLY,
    cut_subscriptions::CUT_SUBSCRIPTION_CALM,
    http_streams::REFUSED_STREAM_ACCEPTED,
    calls::CALL_MADE_ONCE,
    abandoned::ABANDONED_CALL_CANCELLED,
    resume::RETRY_HONOURED,
    resume::EVENT_ID_KNOWN,
    resumption::RESUMED_BY_GET,
    resumption::RESUMED_FROM_LAST_EVENT,
    resumption::CUT_STREAM_RESUMED,
    resumption::RESUME_STOPS,
    session_loss::STALE_SESSION_UNUSED,
    addresses::ENDPOINT_USED,
    http_bodies::POSTS_SAY_JSON,
    http_bodies::SESSION_ID_IN_HEADER_ONLY,
    auth::TOKEN_SENT,
    credentials::BEARER_TOKEN_USED,
    credentials::UNAUTHORIZED_NOT_REPEATED,
    credentials::FORBIDDEN_NOT_REPEATED,
    fallback::FALLBACK_AFTER_REFUSAL,
    fallback::MODERN_FALLBACK_AFTER_REFUSAL,
    sse::POSTED_TO_ENDPOINT,
    sse::CLOSED_STREAM_SILENT,
    sse::OLD_TRANSPORT_ALONE,
    cursors::CURSOR_OF_SESSION,
    server_requests::DEFAULTS_APPLIED,
    messages::REQUEST_ID_UNIQUE,
    messages::POSTS_ARE_MESSAGES,
    messages::STDIN_CARRIES_MESSAGES_ONLY,
    messages::ONE_MESSAGE_AT_A_TIME,
    messages::MESSAGES_WELL_FORMED,
    schemas::PARAMS_MATCH_SCHEMA,
    schemas::RESULTS_MATCH_SCHEMA,
    notices::NOTIFICATIONS_UNANSWERED,
    elicited::INPUT_MATCHES_REQUEST,
    methods::METHODS_KNOWN,
    schemas::FIELDS_OF_REVISION,
    features::FEATURES_DECLARED,
    declared::DECLARED_FEATURES_SERVED,
    declared::CHANGED_ROOTS_TOLD,
    meanwhile::CHANGED_LIST_FETCHED,
    responses::RESPONSES_MATCH_REQUESTS,
    responses::SERVER_REQUESTS_ANSWERED,
    meanwhile::REQUESTS_SERVED_MEANWHILE,
    notices::TAKEN_BACK_UNANSWERED,
    progress::PROGRESS_TOKENS_VALID,
    tasks::TASK_SUPPORT_FOLLOWED,
    task_life::TASKS_FOLLOWED,
    task_life::TASK_INPUT_AWAITED,
    task_life::TASK_ANSWERS_RELATED,
    server_requests::PING_ANSWERED,
    pings::PINGS_MODEST,
    pings::SILENT_CONNECTION_LEFT,
    cancellation::CANCEL_ONLY_OPEN_REQUESTS,
    stateless::METADATA_SENT,
    stateless::SESSIONS_OVER,
    eras::CLIENT_NAMED,
    stateless::GENERATION_KEPT,
    eras::GENERATION_REMEMBERED,
    refused_revisions::REFUSED_REVISION_DROPPED,
    refused_generation::REFUSED_GENERATION_LEFT,
    sent_back::SENT_BACK_KEEPS_STATE,
    inputs::SENT_BACK_HAS_INPUTS,
    inputs::SENT_BACK_BOUNDED,
    modern_features::FEATURES_IN_EACH_REQUEST,
    listening::STRANGE_NOTICE_IGNORED,
    listening::TORN_DOWN_SUBSCRIPTION_LEFT,
    listening::SUBSCRIPTION_SENT_AGAIN,
    asked_again::ENDED_SUBSCRIPTION_CALM,
    asked_again::SMALLER_FILTER_ACCEPTED,
    caching::FRESH_LIST_KEPT,
    caching::LIST_NOT_POLLED,
    untyped::UNTYPED_RESULT_COMPLETE,
    untyped::CANCELLED_TASK_OVER,
    parameter_headers::PARAMETERS_MIRRORED,
    parameter_headers::MISMATCH_LISTED_AGAIN,
    older_era::OLDER_ERA_KEPT,
    server_shutdown::EOF_BEFORE_SIGNAL,
    server_shutdown::TERM_BEFORE_KILL,
    server_shutdown::TIME_BEFORE_SIGNAL,
];

/// The rule with this id, from either table.
#[must_use]
pub fn invariant(id: &str) -> Option<&'static Invariant> {
    INVARIANTS.iter().chain(HOST_RULES).find(|invariant| invariant.id == id)
}
