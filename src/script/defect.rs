//! Defects of scripts.

use crate::plan::Framing;
use crate::script::{Phase, Signal};

/// The reason why a script is refused: it could not do what it says.
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
        /// The first one.
        first: &'static str,
        /// The other one.
        second: &'static str,
    },
    /// `start = false` and the like.
    #[error("found {0} = false, which never happens: expected true, or leave it out")]
    FlagFalse(&'static str),
    /// `nth = 0`; triggers are counted from 1.
    #[error("found nth = 0, which never happens: occurrences are counted from 1")]
    NthZero,
    /// `connection = 0`; connections are counted from 1.
    #[error("found connection = 0, which never happens: connections are counted from 1")]
    ConnectionZero,
    /// A phase in which the trigger never occurs.
    #[error("found {trigger} in phase {phase}, where it never happens: leave the phase out or name another one")]
    NeverInPhase {
        /// The trigger.
        trigger: String,
        /// The phase.
        phase: Phase,
    },
    /// A time longer than the life of any mock.
    #[error("found elapsed {found_ms}ms, expected at most {max_ms}ms: mocks of a plan do not live longer")]
    ElapsedTooLong {
        /// The value found.
        found_ms: u128,
        /// The longest.
        max_ms: u128,
    },
    /// A method that is almost one of the protocol's.
    #[error("found method {found:?}, which no client sends: did you mean {nearest}?")]
    MethodNeverSent {
        /// The method found.
        found: String,
        /// The most similar method of the protocol.
        nearest: &'static str,
    },
    /// An n-th occurrence of a trigger that occurs once.
    #[error("found nth = {nth} of {trigger}, which happens once on a connection: leave nth out")]
    NthOfOne {
        /// The value found.
        nth: u32,
        /// The trigger.
        trigger: String,
    },
    /// A request with the name of a notification, or without a name.
    #[error("found request {0:?}, which is never sent as a request: for a notification write notification = …")]
    NotARequest(String),
    /// A notification without the prefix of all notifications.
    #[error("found notification {0:?}, which is never sent: the names of all notifications begin with notifications/")]
    NotANotification(String),
    /// `tool` next to a trigger other than a call.
    #[error(
        "found tool together with {trigger}, expected it alone or with request = \"tools/call\": only calls name a tool"
    )]
    ToolWithoutCall {
        /// The other trigger.
        trigger: &'static str,
    },
    /// A tool that the server never advertises.
    #[error("found tool {0:?}, which the script never offers: name it in tools, at the top or in an action")]
    ToolNotOffered(String),
    /// A signal that no process can catch.
    #[error("found signal {0} as a trigger, which cannot be caught: expected one of HUP, INT, QUIT, TERM, USR1, USR2")]
    SignalNotCaught(Signal),
    /// A rule that does nothing.
    #[error("found no action, expected at least one")]
    NoAction,
    /// An answer to a trigger that is not a request.
    #[error("found {action} on {trigger}, which is not a request: there is nothing to answer")]
    NothingToAnswer {
        /// The action.
        action: &'static str,
        /// The trigger.
        trigger: String,
    },
    /// A request answered twice.
    #[error("found {second} after {first}, expected one of them: the answer is already determined (see duplicate)")]
    AnswerSettled {
        /// The action that settles it.
        first: &'static str,
        /// The action that comes too late.
        second: &'static str,
    },
    /// An action that writes after the output is closed.
    #[error("found {0} after close-stdout: nothing can be sent any more")]
    OutputClosed(&'static str),
    /// A status code that is not a failure.
    #[error("found status {0}, expected one from 400 to 599: the default handling answers with success")]
    StatusNoFailure(u16),
    /// A status code that is not a redirect.
    #[error("found status {0}, expected one of 301, 302, 303, 307 and 308: others are not redirects")]
    StatusNoRedirect(u16),
    /// A count or size outside the range of the action.
    #[error("found {action} = {found}, expected 1 to {max}")]
    OutOfRange {
        /// The action.
        action: &'static str,
        /// The value found.
        found: u32,
        /// The largest allowed value.
        max: u32,
    },
    /// An action for one kind of trigger at another trigger.
    #[error("found {action} on {trigger}, expected it on {expected}")]
    OtherTrigger {
        /// The action.
        action: &'static str,
        /// The trigger.
        trigger: String,
        /// The trigger at which it makes sense.
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
    /// A body type that does not fit into a header field.
    #[error("found content type {0:?}, expected visible ASCII such as \"text/html\"")]
    ContentType(String),
    /// A session id that does not fit into a header field.
    #[error("found session {0:?}, expected visible ASCII such as \"s-1\"")]
    SessionId(String),
    /// A stream for a trigger that is not a request.
    #[error("found sse on {0}, expected it on a request: nothing else is answered with messages")]
    NoStreamOfAnswers(String),
    /// The end of a stream at a trigger that has no stream.
    #[error(
        "found {action} on {trigger}, which has no stream: expected it on request, notification, response, initialized, get, gate, \
         elapsed or signal"
    )]
    NoStream {
        /// The action.
        action: &'static str,
        /// The trigger.
        trigger: String,
    },
    /// The end of a stream before the stream begins.
    #[error("found {0} before the stream begins: write answer first")]
    StreamNotBegun(&'static str),
    /// The end of a session before the session opens.
    #[error("found expire-session before initialize is answered: there is no session yet, write answer first")]
    NoSessionYet,
    /// An action on an exchange that is complete.
    #[error("found {second} after {first}: the HTTP exchange is over by then")]
    ExchangeOver {
        /// The action that ends it.
        first: &'static str,
        /// The action that comes too late.
        second: &'static str,
    },
    /// A script that fits no transport.
    #[error(
        "found {second}, which needs {second_needs}, together with {first}, which needs {first_needs}: write a script for each"
    )]
    NoTransport {
        /// The first part.
        first: &'static str,
        /// The framing that the first part needs.
        first_needs: Framing,
        /// The other part.
        second: &'static str,
        /// The framing that the other part needs.
        second_needs: Framing,
    },
    /// An action after the end of the process.
    #[error("found {next} after {end}: the server has ended by then")]
    AfterTheEnd {
        /// The action that ends it.
        end: &'static str,
        /// The action that follows.
        next: &'static str,
    },
    /// `ignore` at a trigger that does not end the server.
    #[error("found ignore on {0}, expected it on eof or signal: nothing else asks a server to end")]
    NothingToIgnore(String),
    /// `ignore` next to an end.
    #[error("found {0} after ignore, expected one of them: the script ends what it ignores")]
    IgnoreAndEnd(&'static str),
    /// A delay that is too long.
    #[error("found a delay of {found_ms}ms, expected at most {max_ms}ms: use hold for longer")]
    DelayTooLong {
        /// The value found.
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
    #[error("found a rule that never acts: the server has ended by then, because of rule {rule}")]
    NeverReached {
        /// Number of the rule that ends it, from 1.
        rule: usize,
    },
}
