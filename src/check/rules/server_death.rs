//! Server death: calls in flight on a server that dies.

use std::collections::BTreeSet;

use std::time::Duration;

use crate::check::{
    AppliesTo, Hears, Invariant, Level, Monitor, Of, Operation, Property, Tally, View, Violation, Witness,
};
use crate::history::{
    Action, Event, EventKind, Header, Impact, Kind, LinkPeer, OpId, Outcome, Seq, ServerEnd, Source, Table, WireEnd,
};
use crate::plan::Promise;

/// Counter-examples: A server that exits because the loader closed it has not died. A loader that promises to reconnect
/// may retry the call elsewhere and take its time. The caller may learn of the death before the recorder reads the end
/// of the link, so the mock announces its death before it dies. A call that was answered before the death need not
/// fail. A script that garbles answers may have sent one that is not in the journal.
pub(super) const FAILURE_PROMPT: Invariant = Invariant {
    id: "failure-prompt-after-server-death",
    property: Property::Liveness,
    level: Level::Own,
    claim: "a call in flight on a server that dies fails promptly, and never succeeds without an answer",
    source: "VG-12: in-flight requests of a dead process are lost, so the caller gets an error at once",
    requirement: &["VG-12", "LC-STD-12", "LC-STD-15"],
    applies: AppliesTo::ALL,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[
        Kind::MockEnding,
        Kind::LinkClosed,
        Kind::ConnectionClosed,
        Kind::FaultDelivered,
        Kind::OperationInvoked,
        Kind::OperationCompleted,
        Kind::OperationOverdue,
        Kind::OperationAbandoned,
    ],
    hears: Hears::ALL.from(&[
        (Kind::MockEnding, &[Of::Any]),
        (Kind::LinkClosed, &[Of::Any]),
        (Kind::ConnectionClosed, &[Of::Any]),
        (Kind::FaultDelivered, &[Of::Any]),
    ]),
    vacuous: "no server died with a call in flight",
    explain: "The server died, and the caller was not informed, was informed only after the whole shutdown of the \
        server, or got a success. The reader task found the end of the stream and did not wake the tasks that wait for \
        answers.\n\n\
        Look at the time between the server's end and the completion of the call. To fix it, fail every waiting \
        request when the reader ends, before any other cleanup.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(LostCalls::default()) },
};

#[derive(Default)]
struct LostCalls {
    lost: Table<OpId, ServerDeath>,
    garbling: BTreeSet<String>,
}

#[derive(Clone, Copy)]
struct ServerDeath {
    seq: Seq,
    at_us: u64,
}

impl ServerDeath {
    fn elapsed(self, event: &Event) -> Duration {
        Duration::from_micros(event.at_us.saturating_sub(self.at_us))
    }
}

impl Monitor for LostCalls {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        match &event.kind {
            EventKind::FaultDelivered { impairs: Impact::Answers, .. } => {
                self.garbling.extend(event.source.server().map(str::to_owned));
                self.server_ended(event, view);
            }
            EventKind::OperationInvoked { .. } => self.time_passes(event, view, tally),
            EventKind::OperationCompleted { operation, outcome } => {
                let Some(death) = self.lost.swap_remove(operation) else { return };
                if let Some(operation) = view.operation(*operation) {
                    self.completed(event, view, operation, outcome, death, tally);
                }
            }
            EventKind::OperationOverdue { operation, bound_ms, .. } => {
                let Some(death) = self.lost.swap_remove(operation) else { return };
                let bound = Duration::from_millis(*bound_ms);
                let because =
                    format!("{operation} lost its server at {} and never ended, up to {}", death.seq, event.seq);
                tally.broken(Violation::new("never", because, &[death.seq, event.seq]).of_bound(bound));
            }
            EventKind::OperationAbandoned { operation, .. } => {
                self.time_passes(event, view, tally);
                self.lost.swap_remove(operation);
            }
            _ => self.server_ended(event, view),
        }
    }

    fn end(&self, _view: &View, tally: &mut Tally) {
        if let Some((operation, death)) = self.lost.iter().next() {
            tally.open(format!("{operation}, whose server died at {}, had not ended", death.seq), &[death.seq]);
        }
    }
}

impl LostCalls {
    fn server_ended(&mut self, event: &Event, view: &View) {
        let Some((server, incarnation)) = dead_server(event) else { return };
        // Over HTTP a server has many connections, and only one of them may end.
        let closed = match &event.kind {
            EventKind::ConnectionClosed { connection, .. } => Some(connection),
            _ => None,
        };
        let is_hit = |operation: &&Operation| {
            let is_in_flight = operation.requests.iter().any(|request| {
                let connection = view.connection(&request.connection);
                request.answered.is_none()
                    && connection.is_some_and(|found| {
                        let is_its = closed.is_none_or(|closed| *closed == request.connection);
                        is_its
                            && found.server == server
                            && found.incarnation == incarnation
                            && died_by_itself(found, event)
                    })
            });
            operation.action == Action::Call && !operation.is_excused() && is_in_flight
        };
        for operation in view.operations().filter(is_hit) {
            self.lost.entry(operation.id).or_insert(ServerDeath { seq: event.seq, at_us: event.at_us });
        }
    }

    /// A call that is open after its limit is late, whatever happens to it afterwards.
    fn time_passes(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        let limit = view.limits().failure;
        if view.promises().reconnects {
            return;
        }
        self.lost.retain(|operation, death| {
            let is_excused = view.operation(*operation).is_none_or(|operation| operation.cancel_requested.is_some());
            let is_late = !is_excused && death.elapsed(event) > limit;
            if is_late {
                tally.broken(late(*operation, *death, event, limit));
            }
            !is_late
        });
    }

    fn completed(
        &self,
        event: &Event,
        view: &View,
        operation: &Operation,
        outcome: &Outcome,
        death: ServerDeath,
        tally: &mut Tally,
    ) {
        if operation.is_excused() {
            return;
        }
        let limit = view.limits().failure;
        let is_answered = operation.requests.iter().any(|request| request.answered.is_some());
        let is_garbled = operation.server.as_ref().is_some_and(|server| self.garbling.contains(server));
        match outcome {
            Outcome::Ok { .. } if is_answered || is_garbled => {}
            Outcome::Ok { .. } => {
                let because = format!(
                    "{} succeeded at {}, although its server died at {} and had sent no answer",
                    operation.describe(),
                    event.seq,
                    death.seq
                );
                tally.broken(Violation::new("ok-without-answer", because, &[death.seq, event.seq]));
            }
            Outcome::Failed(_) | Outcome::Cancelled if view.promises().reconnects => {}
            Outcome::Failed(_) | Outcome::Cancelled if death.elapsed(event) > limit => {
                tally.broken(late(operation.id, death, event, limit));
            }
            Outcome::Failed(_) | Outcome::Cancelled => tally.held(),
        }
    }
}

fn late(operation: OpId, death: ServerDeath, event: &Event, limit: Duration) -> Violation {
    let because = format!(
        "{operation} lost its server at {} and was still open {} ms later at {}, where {} ms are allowed",
        death.seq,
        death.elapsed(event).as_millis(),
        event.seq,
        limit.as_millis()
    );
    Violation::new("late", because, &[death.seq, event.seq]).as_warning().of_bound(limit)
}

/// The server that an event reports as dead. The client causes EOF and a broken pipe.
fn dead_server(event: &Event) -> Option<(&str, u32)> {
    match (&event.kind, &event.source) {
        (
            EventKind::MockEnding { how: ServerEnd::Script | ServerEnd::Signal(_) | ServerEnd::MaxLife }
            | EventKind::ConnectionClosed { how: WireEnd::ByServer, .. },
            Source::Mock { server, incarnation },
        ) => Some((server, *incarnation)),
        // A mock announces its death before it dies. The recorder may read the end of the link only after the client
        // has read the end of its pipe and failed the call.
        (EventKind::FaultDelivered { fault, .. }, Source::Mock { server, incarnation })
            if fault == "die" || fault.starts_with("die:") =>
        {
            Some((server, *incarnation))
        }
        (EventKind::LinkClosed { peer: LinkPeer::Mock { server, incarnation }, farewell: false }, _) => {
            Some((server, *incarnation))
        }
        _ => None,
    }
}

/// Whether this event ended the connection.
fn died_by_itself(connection: &crate::check::Connection, event: &Event) -> bool {
    connection.gone.is_none_or(|(gone, _)| gone == event.seq)
}
