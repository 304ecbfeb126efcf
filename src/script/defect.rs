//! What is wrong with a script.

use crate::script::{Carriage, Phase, Signal};

/// Why a script is refused: it could not do what it says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Defect {
    /// A rule has no trigger.
    #[error(
        "found no trigger, expected one of request, notification, tool, response, start, initialized, eof, signal, get, delete, \
         gate or elapsed"
    )]
    NoTrigger,
    /// A rule has two triggers.
    #[error("found both {first} and {second}, expected one trigger: write a rule for each")]
    TwoTriggers {
        /// The one that stands first.
        first: &'static str,
        /// The other one.
        second: &'static str,
    },
    /// `start = false` and the like.
    #[error("found {0} = false, which never comes about: expected true, or leave it out")]
    FlagFalse(&'static str),
    /// Occasions are counted from 1.
    #[error("found nth = 0, which never comes about: occasions are counted from 1")]
    NthZero,
    /// Connections are counted from 1.
    #[error("found connection = 0, which never comes about: connections are counted from 1")]
    ConnectionZero,
    /// A phase in which this does not come about.
    #[error("found {occasion} in phase {phase}, where it never comes about: leave the phase out or name another one")]
    NeverInPhase {
        /// The occasion.
        occasion: String,
        /// The phase.
        phase: Phase,
    },
    /// A time after which no mock lives any more.
    #[error("found elapsed {found_ms}ms, expected at most {max_ms}ms: mocks of a plan do not live longer")]
    ElapsedTooLong {
        /// What was asked for.
        found_ms: u128,
        /// The longest.
        max_ms: u128,
    },
    /// A method that is nearly one of the protocol's.
    #[error("found method {found:?}, which no client sends: did you mean {nearest}?")]
    MethodNeverSent {
        /// What was found.
        found: String,
        /// The one it is like.
        nearest: &'static str,
    },
    /// An n-th occasion of what happens once.
    #[error("found nth = {nth} of {occasion}, which comes about once on a connection: leave nth out")]
    NthOfOne {
        /// What was asked for.
        nth: u32,
        /// Of what.
        occasion: String,
    },
    /// A request that is a notification, or nothing.
    #[error("found request {0:?}, which is never sent as a request: for a notification write notification = …")]
    NotARequest(String),
    /// A notification without the prefix all of them have.
    #[error("found notification {0:?}, which is never sent: the names of all notifications begin with notifications/")]
    NotANotification(String),
    /// `tool` beside something else than a call.
    #[error("found tool beside {trigger}, expected it alone or with request = \"tools/call\": only calls name a tool")]
    ToolWithoutCall {
        /// The other trigger.
        trigger: &'static str,
    },
    /// A tool that nobody can call.
    #[error("found tool {0:?}, which the script never offers: name it in tools, at the top or in an action")]
    ToolNotOffered(String),
    /// A signal no process can react to.
    #[error("found signal {0} as a trigger, which can not be caught: expected one of HUP, INT, QUIT, TERM, USR1, USR2")]
    SignalNotCaught(Signal),
    /// A rule that does nothing.
    #[error("found no action, expected at least one")]
    NoAction,
    /// An answer where there is no request.
    #[error("found {action} on {occasion}, which is no request: there is nothing to answer")]
    NothingToAnswer {
        /// The action.
        action: &'static str,
        /// The trigger.
        occasion: String,
    },
    /// A request answered twice.
    #[error("found {second} after {first}, expected one of them: the answer is settled by then (see duplicate)")]
    AnswerSettled {
        /// The action that settles it.
        first: &'static str,
        /// The action that comes too late.
        second: &'static str,
    },
    /// Something to send after the output is closed.
    #[error("found {0} after close-stdout: nothing can be sent any more")]
    OutputClosed(&'static str),
    /// A status code that is no failure.
    #[error("found status {0}, expected one from 400 to 599: what succeeds is answered honestly")]
    StatusNoFailure(u16),
    /// A status code that sends nobody elsewhere.
    #[error("found status {0}, expected one of 301, 302, 303, 307 and 308: others send nobody elsewhere")]
    StatusNoRedirect(u16),
    /// More than an action does, or nothing.
    #[error("found {action} = {found}, expected 1 to {max}")]
    OutOfRange {
        /// The action.
        action: &'static str,
        /// What was asked for.
        found: u32,
        /// The most.
        max: u32,
    },
    /// Something that concerns one kind of request on another occasion.
    #[error("found {action} on {occasion}, expected it on {expected}")]
    OtherOccasion {
        /// The action.
        action: &'static str,
        /// The trigger.
        occasion: String,
        /// Where it makes sense.
        expected: &'static str,
    },
    /// A text that does not fit in a line of events.
    #[error("found {action} with {found:?}, expected a text of one line")]
    TextOfManyLines {
        /// The action.
        action: &'static str,
        /// The text.
        found: String,
    },
    /// A type of a body that no header field can hold.
    #[error("found content type {0:?}, expected visible ASCII such as \"text/html\"")]
    ContentType(String),
    /// A session id that no header field can hold.
    #[error("found session {0:?}, expected visible ASCII such as \"s-1\"")]
    SessionId(String),
    /// A stream for what is no request.
    #[error("found sse on {0}, expected it on a request: nothing else is answered with messages")]
    NoStreamOfAnswers(String),
    /// The end of a stream where there can be none.
    #[error(
        "found {action} on {occasion}, which has no stream: expected it on request, notification, response, initialized, get, gate, \
         elapsed or signal"
    )]
    NoStream {
        /// The action.
        action: &'static str,
        /// The trigger.
        occasion: String,
    },
    /// The end of a stream that has not begun.
    #[error("found {0} before the stream begins: write answer first")]
    StreamNotBegun(&'static str),
    /// The end of a session that there is not yet.
    #[error("found expire-session before initialize is answered: there is no session yet, write answer first")]
    NoSessionYet,
    /// Something to send on an exchange that is over.
    #[error("found {second} after {first}: the HTTP exchange is over by then")]
    ExchangeOver {
        /// The action that ends it.
        first: &'static str,
        /// The action that comes too late.
        second: &'static str,
    },
    /// A script for which there is no transport.
    #[error(
        "found {second}, which needs {second_needs}, beside {first}, which needs {first_needs}: write a script for each"
    )]
    NoTransport {
        /// The part that stands first.
        first: &'static str,
        /// What it needs.
        first_needs: Carriage,
        /// The other part.
        second: &'static str,
        /// What that needs.
        second_needs: Carriage,
    },
    /// Something after the end of the process.
    #[error("found {next} after {end}: nothing is done any more by then")]
    AfterTheEnd {
        /// The action that ends it.
        end: &'static str,
        /// What follows.
        next: &'static str,
    },
    /// `ignore` where nothing would end.
    #[error("found ignore on {0}, expected it on eof or signal: nothing else asks a server to end")]
    NothingToIgnore(String),
    /// `ignore` beside an end.
    #[error("found {0} after ignore, expected one of them: the script ends what it ignores")]
    IgnoreAndEnd(&'static str),
    /// A delay that is too long.
    #[error("found a delay of {found_ms}ms, expected at most {max_ms}ms: use hold for longer")]
    DelayTooLong {
        /// What was asked for.
        found_ms: u128,
        /// The longest.
        max_ms: u128,
    },
    /// A gate without a name.
    #[error("found an empty gate name, expected a name such as before-answer")]
    GateWithoutName,
    /// Noise that is more than one line.
    #[error("found a noise line with a line end in it, expected one line: write a noise action for each")]
    NoiseOfManyLines,
    /// A tool twice, or without a name.
    #[error("found tool {0:?} twice or without a name, expected each name once")]
    ToolTwice(String),
    /// A rule that comes after the end.
    #[error("found a rule that never acts: nothing is done any more by then, because of rule {rule}")]
    NeverReached {
        /// Number of the rule that ends it, from 1.
        rule: usize,
    },
}
