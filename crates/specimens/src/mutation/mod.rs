//! Mutations of the reference loader: small defects that the rules and the snapshots must notice.
//!
//! Each mutation changes one behaviour of a loader that is correct otherwise, and it does so from outside: around the loader (`around`), or
//! at an interception hook. There are hooks for messages (`wire`; `stateless` has those of the stateless generation), for HTTP requests
//! (`http`) and their responses (`responses`), and for bytes (`bytes`).
//!
//! Only the project's own tests use mutations, so no command lists them. A loader description names one as `reference-but-NAME`.

mod around;
mod bytes;
mod careless;
mod children;
mod growing;
mod http;
mod responses;
mod restless;
mod slow;
mod stateless;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use mcp_lifecheck::loader::target::Loader;

use crate::mutation::around::{Alter, Altered};
use crate::reference::{Bounds, Hooks, Ladder, Opening, Options, TamperHttp, ToolsLoader};

/// The prefix of the name of a mutated loader.
pub const PREFIX: &str = "reference-but-";

/// One mutation.
#[derive(Debug, Clone, Copy)]
pub struct Mutation {
    /// Its name without [`PREFIX`].
    pub name: &'static str,
    /// What the loader does differently: the predicate of a sentence.
    pub about: &'static str,
    /// Where it shows.
    pub shows_over: Over,
    make: fn(Options) -> Arc<dyn Loader>,
}

/// Where a mutation shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// Over any transport.
    Any,
    /// Over streamable HTTP alone.
    Http,
    /// With revision 2026-07-28 alone.
    Stateless,
    /// With servers that do not conform. With conforming servers it behaves as the reference loader does.
    Odd,
    /// Over HTTP with server-sent events alone.
    Sse,
    /// In a scenario of the zoo.
    Zoo,
}

impl Mutation {
    /// The reference loader with this mutation.
    #[must_use]
    pub fn loader(&self, options: Options) -> Arc<dyn Loader> {
        (self.make)(options)
    }
}

/// The mutation of that name.
#[must_use]
pub fn mutation(name: &str) -> Option<&'static Mutation> {
    MUTATIONS.iter().find(|mutation| mutation.name == name)
}

macro_rules! mutations {
    (wire { $($wire:literal, $make:path, $wire_about:literal;)* } around { $($around:literal, $alter:expr, $about:literal;)* }
     http { $($http:literal, $change:path, $http_about:literal;)* } sse { $($sse:literal, $detour:path, $sse_about:literal;)* }
     bounds { $($bound:literal, $loosen:path, $bound_about:literal;)* }
     stateless { $($stateless:literal, $hooks:expr, $stateless_about:literal;)* }
     odd { $($odd:literal, $make_odd:expr, $odd_about:literal;)* }
     zoo { $($zoo:literal, $make_zoo:expr, $zoo_about:literal;)* }) => {
        /// Every mutation.
        pub const MUTATIONS: &[Mutation] = &[
            $(Mutation {
                name: $wire,
                about: $wire_about,
                shows_over: Over::Any,
                make: |options| sewn(options, Hooks::with($make)),
            },)*
            $(Mutation { name: $around, about: $about, shows_over: Over::Any, make: |options| around(options, $alter) },)*
            $(Mutation {
                name: $http,
                about: $http_about,
                shows_over: Over::Http,
                make: |options| sewn(options, Hooks::with_http($change)),
            },)*
            $(Mutation {
                name: $sse,
                about: $sse_about,
                shows_over: Over::Sse,
                make: |options| sewn(options, Hooks::with_http($detour)),
            },)*
            $(Mutation {
                name: $bound,
                about: $bound_about,
                shows_over: Over::Http,
                make: |options| Arc::new(ToolsLoader::new($loosen(options))),
            },)*
            $(Mutation {
                name: $stateless,
                about: $stateless_about,
                shows_over: Over::Stateless,
                make: |options| sewn(options, $hooks),
            },)*
            $(Mutation { name: $odd, about: $odd_about, shows_over: Over::Odd, make: $make_odd },)*
            $(Mutation { name: $zoo, about: $zoo_about, shows_over: Over::Zoo, make: $make_zoo },)*
        ];
    };
}

mutations! {
    wire {
        "initialized-lost", wire::initialized_lost, "never says that it is initialized";
        "initialized-late", wire::initialized_late, "lists the tools first and says then that it is initialized";
        "initialized-twice", wire::initialized_twice, "says twice that it is initialized";
        "initialize-twice", wire::initialize_twice, "sends `initialize` twice";
        "older-revision", wire::older_revision, "requests an older revision than its own";
        "false-capabilities", wire::false_capabilities, "announces roots and sampling, which it does not have";
        "list-twice", wire::list_twice, "lists the tools twice";
        "list-before-call", wire::list_before_call, "lists the tools again before each call";
        "call-twice", wire::call_twice, "sends each call twice";
        "ids-reused", wire::ids_reused, "gives every call the same id";
        "answers-lost", wire::answers_lost, "sends no response to a request of the server";
        "cancel-lost", wire::cancel_lost, "does not announce a cancellation";
        "cancel-twice", wire::cancel_twice, "announces a cancellation twice";
        "cancel-of-another", wire::cancel_of_another, "announces the cancellation of a request that it never sent";
        "cancel-of-the-answered", wire::cancel_of_the_answered, "announces the cancellation of calls that were answered";
    }
    around {
        "close-lost", around::CloseLost, "does nothing to close";
        "second-close-fails", around::SecondCloseFails::default(), "fails when it is closed again";
        "dead-after-close", around::DeadAfterClose::default(), "loads nothing more once it was closed";
        "restart-on-rerun", around::Restart::when(|_, _| true), "starts every server again on each load";
        "siblings-closed", around::Restart::when(|before, now| now < before), "starts the others again when one server is removed";
        "removed-kept", around::RemovedKept::default(), "keeps a server that was removed";
        "session-per-call", around::SessionPerCall::default(), "closes everything after each call, and loads again for the next";
        "tools-remembered", around::ToolsRemembered::default(), "hands out the tools of its first load again for the same configuration, whatever became of the servers";
        "error-swallowed", around::ErrorSwallowed, "returns an empty answer where a call fails";
        "term-before-eof", around::TermBeforeEof, "sends SIGTERM before the end of input";
        "kill-before-eof", around::KillBeforeEof, "kills without asking";
    }
    http {
        "delete-lost", http::delete_lost, "does not delete its session";
        "delete-of-the-first", http::delete_of_the_first, "deletes the session that was lost, not the new one";
        "renewal-lost", http::renewal_lost, "opens no new session after a server has lost one";
        "first-session-for-ever", http::first_session_for_ever, "names its first session after it has renewed it";
        "stream-of-the-first", http::stream_of_the_first, "requests the stream of its first session after it has renewed it";
        "racers-initialize", http::racers_initialize, "opens a new session for each call that the server refused with 404";
        "version-lost", http::version_lost, "does not name the negotiated revision";
        "notifications-without-session", http::notifications_without_session, "sends cancellations without the id of the session";
        "one-kind-accepted", http::one_kind_accepted, "accepts JSON alone";
        "open-after-delete", http::open_after_delete, "opens another session after it has deleted its own";
        "calls-in-batches", http::calls_in_batches, "sends each call as a batch of one";
        "resent-twice", http::resent_twice, "sends a call twice to the new session";
        "task-asked", http::task_asked, "requests a task with each call, and does not know tasks";
    }
    sse {
        "posted-without-query", http::posted_without_query, "posts to the address that the stream names, without its query";
        "cancelled-without-query", http::cancelled_without_query, "cancels a call at the address that the stream names, without its query";
    }
    bounds {
        "stream-at-once", http::stream_at_once, "opens a stream again as soon as it ends, forever";
        "stream-steadily", http::stream_steadily, "opens a stream again one second after it ends, forever";
    }
    stateless {
        "metadata-lost", Hooks::with(wire::metadata_lost), "does not name the revision in a call";
        "name-lost", Hooks::with_http(http::name_lost), "does not name the tool of a call in the header";
        "first-subscription-alone", Hooks::with(stateless::first_subscription_alone), "subscribes in its first conversation alone";
    }
    odd {
        "strict", |options| sewn(options, Hooks::with_bytes(bytes::strict)), "sees the end of the stream in place of any bytes but the next plain answer";
        "stuck", |options| sewn(unbounded(options), Hooks::with_bytes(bytes::stuck)), "reads nothing more after any bytes but the next plain answer";
        "group-spared", |options| sewn(options, Hooks::with_group_spared()), "ends a server, but not the processes that the server started";
        "json-alone", |options| sewn(options, Hooks::with_bytes(bytes::json_alone)), "does not understand events";
        "stream-insisted", |options| sewn(options, Hooks::with_http(http::stream_insisted)), "requests each stream twice";
        "stream-insisted-on", |options| sewn(options, Hooks::with_http(http::stream_insisted_on)), "requests each stream four times";
        "stderr-unread", |options| sewn(options, Hooks::with_stderr_left()), "connects the stderr of its servers to a pipe that it does not read";
        "changes-unheard", |options| sewn(options, Hooks::with(wire::changes_unheard)), "drops the notification that a list of tools has changed";
        "tools-assumed", |options| sewn(options, Hooks::with(wire::tools_assumed)), "assumes that every server has tools";
        "content-assumed", |options| sewn(unbounded(options), Hooks::with(wire::content_assumed)), "waits forever when a result has no content";
        "one-fails-all", |options| around(options, around::OneFailsAll), "closes everything when one server fails";
        "streamless", |options| one_fails_all(options, http::streamless), "opens no stream, and closes everything when one server fails";
        "accepted-empty", |options| one_fails_all(options, responses::accepted_empty), "takes a 202 with a content type for a refusal, and closes everything when one server fails";
        "dead-ids-remembered", |options| one_fails_all(options, responses::dead_ids_remembered), "never names a session again after a 404 to it, and closes everything when one server fails";
        "stream-needed", |options| sewn(unbounded(options), Hooks::with_http(responses::stream_needed)), "waits forever for the stream of the session before it calls, and takes a comment for the end of the stream";
        "delete-insisted", |options| around(options, around::DeleteInsisted), "fails to close when a server does not end its session";
        "socket-kept", |options| sewn(options, Hooks::with_http(responses::socket_kept)), "sends the next request on the socket of the last one, without checking it";
        "unbounded", |options| Arc::new(ToolsLoader::new(unbounded(options))), "waits forever for an answer";
        "never-falls-back", |options| Arc::new(ToolsLoader::new(Options { opening: Opening::Discover, ..options })), "opens with `server/discover` alone";
        "never-discovers", |options| Arc::new(ToolsLoader::new(Options { opening: Opening::Initialize, ..options })), "opens with `initialize` alone";
        "first-revision-alone", |options| sewn(options, Hooks::with(stateless::first_revision_alone)), "reads only the first revision that a server names";
        "refusal-for-legacy", |options| sewn(options, Hooks::with(stateless::refusal_for_legacy)), "opens with `initialize` after a server has refused a revision";
        "initializes-as-well", |options| sewn(options, Hooks::with(stateless::initializes_as_well)), "sends `initialize` to a server that has answered `server/discover`";
        "sent-back-for-answer", |options| sewn(options, Hooks::with(stateless::sent_back_for_answer)), "takes `input_required` for an empty answer";
        "first-state-kept", |options| sewn(options, Hooks::with(stateless::first_state_kept)), "sends the first request state with every call that it repeats";
        "acknowledgement-awaited", |options| sewn(options, Hooks::with(stateless::acknowledgement_awaited)), "refuses the answer to a call before its subscription is acknowledged";
        "subscription-for-all", |options| sewn(options, Hooks::with(stateless::subscription_for_all)), "refuses the answer to a call after a subscription has ended";
        "filter-for-all", |options| sewn(options, Hooks::with(stateless::filter_for_all)), "refuses the answer to a call after its server has granted less than it asked for";
        "torn-down-for-all", |options| sewn(options, Hooks::with(stateless::torn_down_for_all)), "refuses the answer to a call after its server has torn down a subscription";
        "type-needed", |options| sewn(options, Hooks::with(stateless::type_needed)), "takes a result without a type for an error";
        "first-page-kept", |options| sewn(options, Hooks::with(stateless::first_page_kept)), "takes the first page of a list for every page";
        "handlers-awaited", |options| around(Options { hooks: Hooks::with(wire::answers_owed), ..unbounded(options) }, around::HandlersAwaited), "closes only after it has answered every request of its servers, and never does";
        "session-believed", |options| sewn(options, Hooks::with_http(responses::session_believed)), "names the session of the newest response, in every request";
        "patient", |options| Arc::new(ToolsLoader::new(patient(options))), "waits forever for a server to exit by itself";
        "close-queued", |options| around(unbounded(options), around::CloseQueued::default()), "closes only after the load before it has ended, and that has no bound";
    }
    zoo {
        "failures-untold", |options| around(options, slow::FailuresLate::never()), "never completes an operation that fails";
        "failures-late", |options| around(options, slow::FailuresLate::late()), "completes an operation that fails only some seconds later";
        "cancel-blocks", |options| around(options, slow::CancelBlocks), "blocks the thread of a call that is cancelled";
        "close-stuck", |options| around(options, slow::CloseStuck), "closes everything, and never says that it has";
        "spins", |options| around(options, slow::Spins::default()), "keeps a processor busy";
        "killed-without-term", |options| around(patient(options), slow::KilledWithoutTerm { interrupts: false }), "kills a server that does not exit by itself, without SIGTERM";
        "killed-after-an-interrupt", |options| around(patient(options), slow::KilledWithoutTerm { interrupts: true }), "interrupts a server that does not exit by itself and then kills it, without SIGTERM";
        "scope-dropped", |options| { let scopes = options.scopes.clone(); around(options, slow::OwnScope::dropped(scopes)) }, "drops a scope that it has entered";
        "scope-left-by-close", |options| { let scopes = options.scopes.clone(); around(options, slow::OwnScope::left_by_close(scopes)) }, "leaves the scope of a load in the task that closes";
        "type-assumed", |options| sewn(options, Hooks::with(stateless::type_assumed)), "takes a result of any type for a complete one";
        "arguments-lost", |options| around(options, careless::ArgumentsLost), "calls without the arguments of its caller";
        "child-forgotten", |options| around(options, careless::ChildForgotten::default()), "never waits for the end of a process that it has started";
        "deaf", |options| sewn(options, Hooks::with_bytes(bytes::stuck)), "reads nothing more after any bytes but the next plain answer, and waits no longer than its bounds";
        "late-answer-feared", |options| sewn(options, Hooks::with(wire::late_answer_feared)), "receives nothing more once a cancelled call was answered";
        "answer-kept", |options| sewn(options, Hooks::with(wire::answer_kept)), "takes an answer that comes twice for the answer to the next call";
        "sent-back-unread", |options| sewn(unbounded(options), Hooks::with(stateless::sent_back_unread)), "waits forever when a call is sent back for more input";
        "respawns", |options| around(options, restless::Respawns), "starts every server several times before it keeps one";
        "errors-left-out", |options| around(options, restless::ErrorsLeftOut), "leaves out which servers it could not load";
        "tool-made-up", |options| around(options, restless::ToolMadeUp), "hands out a tool that no server has";
        "names-narrowed", |options| around(options, restless::NamesNarrowed), "leaves out each tool whose name is no identifier";
        "tools-doubled", |options| around(options, restless::ToolsDoubled), "hands out each tool twice";
        "first-entry-kept", |options| around(options, restless::FirstEntryKept::default()), "keeps the first entry of a server when it changes";
        "panics-aside", |options| around(options, restless::PanicsAside), "panics in another thread when it closes";
        "lingers", |options| around(options, restless::Lingers::default()), "takes seconds to close once more";
        "loads-to-close", |options| around(options, restless::LoadsToClose::default()), "loads once more in order to close";
        "cancels-unasked", |options| sewn(options, Hooks::with(wire::cancels_unasked)), "cancels the first call that it makes";
        "stderr-flooded", |options| around(options, careless::StderrFlooded), "logs without a bound";
        "connected-twice", careless::ConnectedTwice::loader, "connects to every server twice";
        "descriptors-kept", |options| around(options, growing::Kept::descriptors()), "keeps a descriptor of each load";
        "threads-kept", |options| around(options, growing::Kept::threads()), "keeps a thread of each load";
        "memory-kept", |options| around(options, growing::Kept::memory()), "keeps memory of each load";
        "servers-kept", growing::ServersKept::loader, "keeps a server of each load";
        "reopens", |options| around(options, growing::Reopens::default()), "starts every server once more soon after it has closed it";
        "closes-later", growing::ClosesLater::loader, "says that it has closed everything, calls once more, and closes then";
        "lost-calls-forgotten", |options| around(Options { hooks: Hooks::with_http(responses::losses_counted), ..options }, growing::LostCallsForgotten), "never completes a call whose session was lost";
    }
}

/// Removes the bounds on connecting, calling and deleting a session.
fn unbounded(options: Options) -> Options {
    let Options { bounds, .. } = options;
    let (connect, call, delete) = (NEVER, NEVER, NEVER);
    Options { bounds: Bounds { connect, call, delete, ..bounds }, ..options }
}

/// Waits forever for a server to exit by itself.
fn patient(options: Options) -> Options {
    Options { ladder: Ladder { eof_grace: NEVER, ..options.ladder }, ..options }
}

/// Longer than any plan.
const NEVER: Duration = Duration::from_secs(3_600);

/// A mutation of the HTTP exchanges that also closes every server when one of them fails.
fn one_fails_all(options: Options, make: fn() -> Box<dyn TamperHttp>) -> Arc<dyn Loader> {
    around(Options { hooks: Hooks::with_http(make), ..options }, around::OneFailsAll)
}

fn sewn(options: Options, hooks: Hooks) -> Arc<dyn Loader> {
    Arc::new(ToolsLoader::new(Options { hooks, ..options }))
}

fn around<A: Alter>(options: Options, alter: A) -> Arc<dyn Loader> {
    Arc::new(Altered { inner: ToolsLoader::new(options), alter })
}
