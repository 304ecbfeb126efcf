//! Which evidence a history can have at all, given what recorded it, and which rules need it.
//!
//! A rule needs every sort of evidence whose events it subscribes to, unless a row of [`ROLES`] says otherwise. So a
//! new rule is not observable if a recorder lacks one sort of evidence, until a row and the histories of the rule show
//! that the rule does not need it.

use crate::check::{HOST_RULES, Invariant};
use crate::history::{Header, KeySet, Kind, Origin, UNKNOWN_TRANSPORT};
use crate::plan::{Framing, Transport};

/// Evidence that some recorders lack. Of several sorts that a rule lacks, a finding names the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Evidence {
    /// Scopes that the loader enters and leaves.
    Scopes,
    /// Errors that the program printed or did not handle.
    Output,
    /// The steps of the driver, and the operations that it requests.
    Operations,
    /// The process table.
    Processes,
    /// The lives of servers, and the signals that they get.
    Servers,
    /// How the process of a server ended, as its link shows.
    Links,
    /// HTTP exchanges, sessions and sockets.
    Http,
    /// Bytes that are not a message.
    Noise,
    /// The ends of connections.
    Ends,
    /// The transport.
    Transport,
    /// Times in one known unit.
    Times,
    /// The first message of each connection.
    Beginnings,
}

/// How a rule handles missing evidence of one sort.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// Nothing.
    Needed,
    /// Show violations, but not their absence.
    ShowsAbsence,
    /// Show their absence, but not violations: the missing evidence might excuse them.
    Excuses,
    /// Everything.
    Spare,
}

/// The rules for which a sort of evidence has another role than [`Role::Needed`].
const ROLES: &[(Evidence, Role, &[&str])] = &[
    // The end of a connection only lets the rule forget it. In a trace, no two connections have the same name.
    (
        Evidence::Ends,
        Role::Spare,
        &[
            "handshake-order",
            "unknown-version-left",
            "features-declared",
            "task-support-followed",
            "request-id-unique",
            "responses-match-requests",
            "progress-tokens-valid",
            "cancel-only-open-requests",
            "older-era-kept",
            "sent-back-call-keeps-state",
            "fresh-list-kept",
            "refused-version-dropped",
        ],
    ),
    // An answer may come after the last line.
    (Evidence::Ends, Role::Excuses, &["server-requests-answered"]),
    // Only its link shows that a server was killed.
    (Evidence::Links, Role::ShowsAbsence, &["eof-before-signal", "term-before-kill", "time-before-signal"]),
    // A killed server receives no more requests, so the rule judges nothing that came later.
    (Evidence::Links, Role::Spare, &["cut-stream-resumed", "resume-stops"]),
    // The end of an operation proves that the client has read an answer, or that it continues.
    (Evidence::Operations, Role::ShowsAbsence, &["cancel-only-open-requests", "abandoned-call-cancelled"]),
    // Only the end of the wait for an answer shows that it never came.
    (Evidence::Ends, Role::ShowsAbsence, &["ping-answered"]),
    // A request that was refused as HTTP does may be sent again, and two requests on two sockets have no order.
    (Evidence::Http, Role::Excuses, &["request-id-unique", "handshake-order"]),
    // An exchange only shows more of what a client has read.
    (
        Evidence::Http,
        Role::Spare,
        &["server-requests-answered", "changed-list-fetched", "taken-back-request-unanswered", "ping-answered"],
    ),
    // A trace has a message that its server refused like any other.
    (Evidence::Http, Role::Spare, &["unknown-version-left"]),
    // Bytes that are not a message cannot be a request that a trace of messages would have shown.
    (Evidence::Noise, Role::Spare, &["cancel-only-open-requests"]),
    // The journal of a mock that was told to end shows which sessions are still there.
    (Evidence::Processes, Role::Spare, &["session-ended"]),
    // Only a violation consists of a wait.
    (Evidence::Times, Role::ShowsAbsence, &["ping-answered", "server-requests-answered"]),
    // These judge each message by itself.
    (Evidence::Beginnings, Role::Spare, &["messages-well-formed", "initialize-complete", "one-message-at-a-time"]),
];

/// Rules that measure the time between two messages.
const TIMED: &[&str] = &[
    "ping-answered",
    "server-requests-answered",
    "ended-subscription-calm",
    "fresh-list-kept",
    "list-not-polled",
    "torn-down-subscription-left",
];

/// Why some verdicts of a rule cannot be relied on.
#[derive(Debug, Default)]
pub(super) struct Missing {
    /// The evidence without which a pass proves nothing.
    pub absence: Option<String>,
    /// The evidence that might excuse a violation.
    pub excuse: Option<String>,
}

impl Missing {
    /// The evidence that a history lacks for a rule.
    pub(super) fn of(invariant: &Invariant, header: &Header) -> Self {
        let mut missing = Self::default();
        if header.origin.is_harness() {
            return missing;
        }
        let subscribed = invariant.kinds.iter().filter_map(|kind| Evidence::of(*kind));
        let derived = [
            (Evidence::Times, TIMED.contains(&invariant.id)),
            (Evidence::Beginnings, true),
            (Evidence::Transport, invariant.applies.names_transports()),
        ];
        let derived = derived.into_iter().filter(|(_, is_needed)| *is_needed).map(|(evidence, _)| evidence);
        let lacking: KeySet<Evidence> = subscribed.chain(derived).filter(|evidence| evidence.lacks(header)).collect();
        for evidence in lacking {
            let because = || Some(format!("{} {}", header.origin.name(), evidence.because()));
            match evidence.role(invariant.id) {
                Role::Needed => {
                    missing.absence = missing.absence.or_else(because);
                    missing.excuse = missing.excuse.or_else(because);
                }
                Role::ShowsAbsence => missing.absence = missing.absence.or_else(because),
                Role::Excuses => missing.excuse = missing.excuse.or_else(because),
                Role::Spare => {}
            }
        }
        missing
    }
}

impl Evidence {
    /// The sort to which a kind of event belongs; `None` if every recorder has it, or if it is about the experiment.
    fn of(kind: Kind) -> Option<Self> {
        match kind {
            Kind::StepBegan
            | Kind::StepSkipped
            | Kind::StepMet
            | Kind::StepUnmet
            | Kind::HostPrompted
            | Kind::OperationInvoked
            | Kind::OperationStarted
            | Kind::OperationCompleted
            | Kind::OperationOverdue
            | Kind::OperationAbandoned
            | Kind::CancelRequested
            | Kind::CancelDelivered
            | Kind::ContextEnded
            | Kind::ContextOverdue
            | Kind::SignalSent
            | Kind::ExitRequested
            | Kind::IdleBegan
            | Kind::GraceBegan
            | Kind::GraceExpired
            | Kind::LoaderReady => Some(Self::Operations),
            Kind::ScopeEntered | Kind::ScopeLeft => Some(Self::Scopes),
            Kind::ErrorReported => Some(Self::Output),
            Kind::ProcessStarted
            | Kind::ProcessExited
            | Kind::ProcessExiting
            | Kind::ProcessOrphan
            | Kind::ProcessLeft
            | Kind::ProcessZombie
            | Kind::SampleTaken
            | Kind::LimitHit => Some(Self::Processes),
            Kind::LinkOpened | Kind::LinkClosed => Some(Self::Links),
            Kind::MockStarted | Kind::MockListening | Kind::MockEnding | Kind::SignalReceived => Some(Self::Servers),
            Kind::ConnectionClosed | Kind::WireEof => Some(Self::Ends),
            Kind::WireNoise => Some(Self::Noise),
            Kind::SocketOpened
            | Kind::SocketClosed
            | Kind::HttpReceived
            | Kind::HttpStray
            | Kind::HttpAnswered
            | Kind::HttpEnded
            | Kind::StreamEvent
            | Kind::SessionOpened
            | Kind::SessionClosed => Some(Self::Http),
            // A trace has each message as its recorder has read it, with one value for each name.
            Kind::ConnectionOpened | Kind::WireReceived | Kind::WireSent | Kind::WireRepeated => None,
            // No script plays in a trace, and a journal has the faults of its own.
            Kind::FaultDelivered | Kind::FaultUndelivered | Kind::GateOpened | Kind::GateReached => None,
            Kind::ExperimentFailed
            | Kind::EvidenceTruncated
            | Kind::PlanNotApplicable
            | Kind::PlanEnded
            | Kind::StacksTaken
            | Kind::LinkRefused
            | Kind::SchedulingDelayed => None,
        }
    }

    /// Whether a history lacks it because of what recorded it.
    fn lacks(self, header: &Header) -> bool {
        let is_trace = match header.origin {
            Origin::Harness => return false,
            Origin::Mock => false,
            Origin::Trace { .. } => true,
        };
        match (self, header.origin) {
            (Self::Operations | Self::Scopes | Self::Output | Self::Processes | Self::Links, _) => true,
            (Self::Servers | Self::Ends | Self::Noise, _) => is_trace,
            // Over pipes there is nothing to record.
            (Self::Http, _) => is_trace && !is_line(header),
            (Self::Times, Origin::Trace { has_times, .. }) => !has_times,
            (Self::Beginnings, Origin::Trace { has_beginnings, .. }) => !has_beginnings,
            (Self::Times | Self::Beginnings, Origin::Harness | Origin::Mock) => false,
            (Self::Transport, _) => header.transport == UNKNOWN_TRANSPORT,
        }
    }

    /// The role that it has for a rule.
    fn role(self, id: &str) -> Role {
        let row = ROLES.iter().find(|(evidence, _, ids)| *evidence == self && ids.contains(&id));
        let usual = || match self {
            // A rule that also judges programs to which no driver sends operations does without them.
            Self::Operations if HOST_RULES.iter().any(|rule| rule.id == id) => Role::Spare,
            Self::Beginnings => Role::Excuses,
            _ => Role::Needed,
        };
        row.map_or_else(usual, |(_, role, _)| *role)
    }

    /// The end of a sentence whose subject is the recorder.
    fn because(self) -> &'static str {
        match self {
            Self::Operations => "does not show the operations of a loader",
            Self::Scopes => "does not show the scopes of a loader",
            Self::Output => "does not show what the program printed",
            Self::Processes => "does not show the processes of the program",
            Self::Links => "does not show how the process of a server was killed",
            Self::Servers => "does not show the lives of the servers",
            Self::Ends => "does not show the ends of connections",
            Self::Noise => "does not show bytes that are not a message",
            Self::Http => "does not show HTTP exchanges, and they matter unless `transport` is stdio",
            Self::Times => {
                "needs a time on each line, in one known unit and never going back, to show how long a client waited"
            }
            Self::Beginnings => "that begins in the middle of a connection does not show what came before",
            Self::Transport => "needs `transport` on a line to show what only one transport has",
        }
    }
}

fn is_line(header: &Header) -> bool {
    Transport::named(header.carried_by()).is_some_and(|transport| transport.usual_framing() == Framing::Lines)
}
