//! Seeded changes of the reference loader: what would be noticed if it were changed.
//!
//! Each is one small change of a life that is correct otherwise, made from outside: at the hooks where messages pass
//! (`wire`, and `modern` for what only the modern era has), where HTTP requests pass (`http`) and their responses (`responses`),
//! where bytes are read (`bytes`), or around the loader (`around`). They are for this crate's own tests, so nothing lists them; a
//! loader description names one as `reference-but-NAME`.

mod around;
mod bytes;
mod children;
mod http;
mod modern;
mod responses;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use mcp_lifecheck::loader::target::Loader;

use crate::mutation::around::{Alter, Altered};
use crate::reference::{Bounds, Hooks, Ladder, Opening, Options, TamperHttp, ToolsLoader};

/// What the name of a changed loader begins with.
pub const PREFIX: &str = "reference-but-";

/// One seeded change.
#[derive(Debug, Clone, Copy)]
pub struct Mutant {
    /// Its name, behind [`PREFIX`].
    pub name: &'static str,
    /// What is different, in one sentence.
    pub about: &'static str,
    /// What it can be seen over.
    pub shows_over: Over,
    make: fn(Options) -> Arc<dyn Loader>,
}

/// What a change can be seen over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// Any transport.
    Any,
    /// HTTP alone.
    Http,
    /// Revision 2026-07-28 alone.
    Modern,
    /// Servers that are not honest; the lives of others are the same.
    Odd,
    /// HTTP with server-sent events alone.
    Sse,
}

impl Mutant {
    /// The reference loader with this change.
    #[must_use]
    pub fn loader(&self, options: Options) -> Arc<dyn Loader> {
        (self.make)(options)
    }
}

/// The change of that name.
#[must_use]
pub fn mutant(name: &str) -> Option<&'static Mutant> {
    MUTANTS.iter().find(|mutant| mutant.name == name)
}

macro_rules! mutants {
    (wire { $($wire:literal, $make:path, $wire_about:literal;)* } around { $($around:literal, $alter:expr, $about:literal;)* }
     http { $($http:literal, $change:path, $http_about:literal;)* } sse { $($sse:literal, $detour:path, $sse_about:literal;)* }
     bounds { $($bound:literal, $loosen:path, $bound_about:literal;)* }
     modern { $($modern:literal, $hooks:expr, $modern_about:literal;)* }
     odd { $($odd:literal, $make_odd:expr, $odd_about:literal;)* }) => {
        /// Every seeded change.
        pub const MUTANTS: &[Mutant] = &[
            $(Mutant {
                name: $wire,
                about: $wire_about,
                shows_over: Over::Any,
                make: |options| sewn(options, Hooks::with($make)),
            },)*
            $(Mutant { name: $around, about: $about, shows_over: Over::Any, make: |options| around(options, $alter) },)*
            $(Mutant {
                name: $http,
                about: $http_about,
                shows_over: Over::Http,
                make: |options| sewn(options, Hooks::with_http($change)),
            },)*
            $(Mutant {
                name: $sse,
                about: $sse_about,
                shows_over: Over::Sse,
                make: |options| sewn(options, Hooks::with_http($detour)),
            },)*
            $(Mutant {
                name: $bound,
                about: $bound_about,
                shows_over: Over::Http,
                make: |options| Arc::new(ToolsLoader::new($loosen(options))),
            },)*
            $(Mutant {
                name: $modern,
                about: $modern_about,
                shows_over: Over::Modern,
                make: |options| sewn(options, $hooks),
            },)*
            $(Mutant { name: $odd, about: $odd_about, shows_over: Over::Odd, make: $make_odd },)*
        ];
    };
}

mutants! {
    wire {
        "initialized-lost", wire::initialized_lost, "never says that it is initialized";
        "initialized-late", wire::initialized_late, "lists the tools first and says then that it is initialized";
        "initialized-twice", wire::initialized_twice, "says twice that it is initialized";
        "initialize-twice", wire::initialize_twice, "asks twice for the handshake";
        "older-revision", wire::older_revision, "offers an older revision than it was made for";
        "false-capabilities", wire::false_capabilities, "announces roots and sampling, which it does not have";
        "list-twice", wire::list_twice, "lists the tools twice";
        "list-before-call", wire::list_before_call, "lists the tools again before each call";
        "call-twice", wire::call_twice, "sends each call twice";
        "ids-reused", wire::ids_reused, "gives every call the same id";
        "answers-lost", wire::answers_lost, "answers nothing that a server asks";
        "cancel-lost", wire::cancel_lost, "does not announce a cancellation";
        "cancel-twice", wire::cancel_twice, "announces a cancellation twice";
        "cancel-of-another", wire::cancel_of_another, "announces the cancellation of a request that it never sent";
        "cancel-of-the-answered", wire::cancel_of_the_answered, "announces the cancellation of calls that were answered";
    }
    around {
        "close-lost", around::CloseLost, "does nothing to close";
        "second-close-fails", around::SecondCloseFails::default(), "fails when it is closed again";
        "dead-after-close", around::DeadAfterClose::default(), "loads nothing more once it was closed";
        "restart-on-rerun", around::Restart::when(|_, _| true), "starts every server anew on each load";
        "siblings-closed", around::Restart::when(|before, now| now < before), "starts the others anew when one server is removed";
        "removed-kept", around::RemovedKept::default(), "keeps a server that was removed";
        "session-per-call", around::SessionPerCall::default(), "closes everything after each call, and loads again for the next";
        "error-swallowed", around::ErrorSwallowed, "answers nothing where a call fails";
        "term-before-eof", around::TermBeforeEof, "sends SIGTERM before the end of input";
        "kill-before-eof", around::KillBeforeEof, "kills without asking";
    }
    http {
        "delete-lost", http::delete_lost, "does not ask for the end of its session";
        "delete-of-the-first", http::delete_of_the_first, "asks for the end of the session that was renewed, not of the new one";
        "first-session-for-ever", http::first_session_for_ever, "names its first session after it has renewed it";
        "stream-of-the-first", http::stream_of_the_first, "asks for the stream of its first session after it has renewed it";
        "racers-initialize", http::racers_initialize, "opens a session of its own for each call that was told that there is none";
        "version-lost", http::version_lost, "does not say which revision was agreed on";
        "notifications-without-session", http::notifications_without_session, "sends cancellations without the id of the session";
        "one-kind-accepted", http::one_kind_accepted, "accepts JSON alone";
        "open-after-delete", http::open_after_delete, "opens another session when it has ended its own";
        "calls-in-batches", http::calls_in_batches, "sends each call as a batch of one";
        "resent-twice", http::resent_twice, "sends a call twice to the new session";
        "task-asked", http::task_asked, "asks for a task with each call, and does not know what that is";
    }
    sse {
        "posted-without-query", http::posted_without_query, "posts to the path of the address that the stream says, and leaves its query out";
        "cancelled-without-query", http::cancelled_without_query, "leaves the query of the address out where it cancels a call";
    }
    bounds {
        "stream-at-once", http::stream_at_once, "opens a stream that ended again at once, for ever";
        "stream-steadily", http::stream_steadily, "opens a stream that ended again after the same time, for ever";
    }
    modern {
        "metadata-lost", Hooks::with(wire::metadata_lost), "does not say with a call of which revision it is";
        "name-lost", Hooks::with_http(http::name_lost), "does not show the tool of a call in the header";
    }
    odd {
        "strict", |options| sewn(options, Hooks::with_bytes(bytes::strict)), "takes whatever is not the next plain answer for the end";
        "stuck", |options| sewn(unbounded(options), Hooks::with_bytes(bytes::stuck)), "waits for ever behind whatever is not the next plain answer";
        "group-spared", |options| sewn(options, Hooks::with_group_spared()), "ends a server, and not what that has started";
        "json-alone", |options| sewn(options, Hooks::with_bytes(bytes::json_alone)), "does not understand events";
        "stream-insisted", |options| sewn(options, Hooks::with_http(http::stream_insisted)), "asks twice for each stream";
        "stderr-unread", |options| sewn(options, Hooks::with_stderr_left()), "has the stderr of its servers in a pipe, and does not read it";
        "changes-unheard", |options| sewn(options, Hooks::with(wire::changes_unheard)), "does not hear that a list of tools has changed";
        "tools-assumed", |options| sewn(options, Hooks::with(wire::tools_assumed)), "takes every server for one that has tools";
        "content-assumed", |options| sewn(unbounded(options), Hooks::with(wire::content_assumed)), "waits for ever behind a result without content";
        "one-fails-all", |options| around(options, around::OneFailsAll), "closes everything when one server fails";
        "streamless", |options| one_fails_all(options, http::streamless), "opens no stream, and closes everything when one server fails";
        "accepted-empty", |options| one_fails_all(options, responses::accepted_empty), "takes a message that was accepted with more than a status for refused, and closes everything when one server fails";
        "dead-ids-remembered", |options| one_fails_all(options, responses::dead_ids_remembered), "never names a session again that was once unknown to its server, and closes everything when one server fails";
        "stream-needed", |options| sewn(unbounded(options), Hooks::with_http(responses::stream_needed)), "makes no call while the stream of the session is not open, for which it waits for ever, and takes a comment for its end";
        "delete-insisted", |options| around(options, around::DeleteInsisted), "fails to close when a server does not end its session";
        "socket-kept", |options| sewn(options, Hooks::with_http(responses::socket_kept)), "sends the next request on the socket of the last one, without a look at it";
        "unbounded", |options| Arc::new(ToolsLoader::new(unbounded(options))), "waits for ever for an answer";
        "never-falls-back", |options| Arc::new(ToolsLoader::new(Options { opening: Opening::Discover, ..options })), "speaks the modern era alone";
        "never-discovers", |options| Arc::new(ToolsLoader::new(Options { opening: Opening::Initialize, ..options })), "speaks the legacy era alone";
        "first-revision-alone", |options| sewn(options, Hooks::with(modern::first_revision_alone)), "knows of a server the first revision that it names, and no other";
        "refusal-for-legacy", |options| sewn(options, Hooks::with(modern::refusal_for_legacy)), "takes a server that refuses a revision for one of the legacy era";
        "initializes-as-well", |options| sewn(options, Hooks::with(modern::initializes_as_well)), "initializes a server that was found to be of the modern era";
        "sent-back-for-answer", |options| sewn(options, Hooks::with(modern::sent_back_for_answer)), "takes a call that is sent back for one that was answered with nothing";
        "first-state-kept", |options| sewn(options, Hooks::with(modern::first_state_kept)), "returns the first state that it was given with every call that it makes again";
        "acknowledgement-awaited", |options| sewn(options, Hooks::with(modern::acknowledgement_awaited)), "takes no answer to a call before its subscription is acknowledged";
        "subscription-for-all", |options| sewn(options, Hooks::with(modern::subscription_for_all)), "takes no answer to a call once a subscription has ended";
        "session-believed", |options| sewn(options, Hooks::with_http(responses::session_believed)), "names every session that a response names";
        "patient", |options| Arc::new(ToolsLoader::new(patient(options))), "waits for ever for a server to end by itself";
        "close-queued", |options| around(unbounded(options), around::CloseQueued::default()), "closes when the load before it has ended, which has no bound";
    }
}

/// Without a bound on anything that a server is asked.
fn unbounded(options: Options) -> Options {
    let Options { bounds, .. } = options;
    let (connect, call, delete) = (NEVER, NEVER, NEVER);
    Options { bounds: Bounds { connect, call, delete, ..bounds }, ..options }
}

/// With all the time in the world for a server to end by itself.
fn patient(options: Options) -> Options {
    Options { ladder: Ladder { eof_grace: NEVER, ..options.ladder }, ..options }
}

/// Longer than any plan.
const NEVER: Duration = Duration::from_secs(3_600);

/// With something of its own for the HTTP exchanges, where what goes wrong with one server goes wrong with all.
fn one_fails_all(options: Options, make: fn() -> Box<dyn TamperHttp>) -> Arc<dyn Loader> {
    around(Options { hooks: Hooks::with_http(make), ..options }, around::OneFailsAll)
}

fn sewn(options: Options, hooks: Hooks) -> Arc<dyn Loader> {
    Arc::new(ToolsLoader::new(Options { hooks, ..options }))
}

fn around<A: Alter>(options: Options, alter: A) -> Arc<dyn Loader> {
    Arc::new(Altered { inner: ToolsLoader::new(options), alter })
}
