//! Cancellation notices: a request that its caller gives up is cancelled on the wire.

use std::time::Duration;

use crate::check::parts::parts;
use crate::check::reading::RequestKey;
use crate::check::{
    AppliesTo, Hears, Invariant, Level, Monitor, Of, Operation, Property, Tally, View, Violation, Witness,
};
use crate::history::{
    Action, ConnectionId, Event, EventKind, ExchangeId, Header, KeySet, Kind, KnownMethod, LinkPeer, Message, Name,
    OpId, Outcome, Seq, Source, Table, WireEnd,
};
use crate::plan::Promise;

/// Counter-examples: An answer that crosses the cancellation ends the request, so there is nothing to announce. A
/// request that may belong to another operation is not judged. A dead server cannot receive a notice, and a program
/// that a signal ends may not send one. Where only the end of a stream is a notice, the server may have ended the
/// stream with the answer before the client could, unless the client had made another request meanwhile. A cleanup ends
/// every stream: if a stream ends only then, its end is not a notice if the caller had its outcome long before.
pub(super) const CANCEL_ANNOUNCED: Invariant = Invariant {
    id: "cancel-announced",
    property: Property::Liveness,
    level: Level::Own,
    claim: "a call that is cancelled in flight is announced to its server exactly once",
    source: "the loader's promise announces-cancel; 2026-07-28, basic/patterns/cancellation (SHOULD), basic/transports/stdio (MUST)",
    requirement: &["LC-CAN-04", "LC-CAN-06"],
    applies: AppliesTo::ALL,
    needs: Promise::AnnouncesCancel,
    witness: Witness::Always,
    kinds: &[
        Kind::HttpReceived,
        Kind::CancelRequested,
        Kind::CancelDelivered,
        Kind::OperationCompleted,
        Kind::OperationAbandoned,
        Kind::HttpEnded,
        Kind::WireReceived,
        Kind::WireSent,
        Kind::WireEof,
        Kind::ConnectionClosed,
        Kind::MockEnding,
        Kind::LinkClosed,
        Kind::GraceExpired,
        Kind::PlanEnded,
    ],
    hears: Hears::only(&[
        (Kind::HttpReceived, &[]),
        (Kind::WireReceived, &[Of::AnyRequest, Of::AnyAnswer, Of::Notice(KnownMethod::Cancelled)]),
        (Kind::OperationCompleted, &[Of::Action(Action::Call)]),
    ])
    .sleeping(
        &[(Kind::CancelRequested, &[Of::Any])],
        &[
            (Kind::WireReceived, &[Of::AnyRequest, Of::AnyAnswer, Of::Notice(KnownMethod::Cancelled)]),
            (Kind::HttpEnded, &[Of::Any]),
        ],
    ),
    vacuous: "no call was cancelled while its request was in flight",
    explain: "The user pressed stop, the caller got its cancellation, and the server received no notice. It keeps \
        working for a caller that is gone, and may hold a lock or spend money meanwhile.\n\n\
        Look at the connection after the cancellation: there is no `notifications/cancelled` with the id of the \
        request. Often the code that would send it runs inside the scope that was just cancelled. To fix it, send \
        the notice from the session's own task, or shield it. Over HTTP, since 2026-07-28, only the end of the \
        response stream is a notice: close it when the caller goes, not in the cleanup.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(CancellationNotices::default()) },
};

/// Counter-examples: those of `cancel-announced`, which judges a loader that promises to announce a cancellation.
pub(super) const STATELESS_CANCEL_SENT: Invariant = Invariant {
    id: "modern-cancel-sent",
    property: Property::Liveness,
    level: Level::Should,
    claim: "without sessions, a call that is cancelled in flight ends on the wire, whatever the loader promises",
    source: "2026-07-28, basic/patterns/cancellation; basic/transports/stdio, Cancellation (MUST)",
    requirement: &["LC-CAN-04", "LC-CAN-05", "LC-CAN-06"],
    applies: AppliesTo::STATELESS,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: CANCEL_ANNOUNCED.kinds,
    hears: CANCEL_ANNOUNCED.hears,
    vacuous: "no call was cancelled while its request was in flight",
    explain: "The caller gave up its call, and the client did not tell the server, which is of the stateless \
        generation. Over stdio only `notifications/cancelled` tells the server, and over HTTP only the end of the \
        response stream. A loader that does not promise to announce a cancellation must still send one: the \
        specification demands it.\n\n\
        Look at the connection after the cancellation. To fix it, send the notice from the session's own task, or \
        close the stream of the response.",
    start: |header: &Header| -> Box<dyn Monitor> {
        let is_promised = header.promises.announces_cancel;
        Box::new(CancellationNotices { is_promised, ..CancellationNotices::default() })
    },
};

#[derive(Default)]
struct CancellationNotices {
    /// Whether `cancel-announced` judges the violation.
    is_promised: bool,
    owed: Table<OpId, OwedNotice>,
    notices: Table<RequestKey, usize>,
    /// The request that each open HTTP exchange carries, by the name of its mock and its own.
    carried: Table<(Name, ExchangeId), RequestKey>,
    /// Connections that a client opened with `initialize` although the plan is of the stateless generation.
    fallen_back: KeySet<ConnectionId>,
}

impl CancellationNotices {
    fn fell_back(&mut self, connection: &ConnectionId, message: &Message) -> bool {
        if message.is_request("initialize") {
            self.fallen_back.insert(connection.clone());
        }
        self.fallen_back.contains(connection)
    }
}

struct OwedNotice {
    key: RequestKey,
    server: String,
    incarnation: u32,
    requested: Seq,
    is_delivered: bool,
    /// When the operation ended.
    ended: Option<(Seq, u64)>,
    /// Whether its client made a request after the operation had ended.
    has_gone_on: bool,
    /// The end of its stream, where only a cleanup ended it, and how long after the operation.
    left_until: Option<(Seq, Duration)>,
}

impl Monitor for CancellationNotices {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        if let EventKind::WireReceived { message, .. } = &event.kind
            && parts(message).iter().any(Message::is_any_request)
        {
            let server = event.source.server().unwrap_or_default();
            self.owed
                .values_mut()
                .filter(|owed| owed.server == server)
                .for_each(|owed| owed.has_gone_on |= owed.ended.is_some());
        }
        match (&event.kind, &event.source) {
            (EventKind::CancelRequested { operation }, _) => {
                if let Some(owed) = view.operation(*operation).and_then(|found| OwedNotice::of(found, view, event.seq))
                {
                    self.owed.entry(*operation).or_insert(owed);
                }
            }
            (EventKind::CancelDelivered { operation, delivered }, _) => match self.owed.get_mut(operation) {
                Some(owed) if *delivered => owed.is_delivered = true,
                // A cancellation that was delivered stays delivered, whatever happens to a second one.
                Some(owed) if owed.is_delivered => {}
                Some(_) | None => {
                    self.owed.swap_remove(operation);
                }
            },
            (EventKind::OperationCompleted { operation, outcome }, _) => match outcome {
                Outcome::Ok { .. } => {
                    self.owed.swap_remove(operation);
                }
                Outcome::Failed(_) | Outcome::Cancelled => {
                    self.owed.entry(*operation).and_modify(|owed| owed.ended = Some((event.seq, event.at_us)));
                }
            },
            (EventKind::OperationAbandoned { operation, .. }, _) => {
                self.owed.swap_remove(operation);
            }
            (EventKind::HttpEnded { exchange, how }, source) => {
                let ended = self.carried.swap_remove(&(source.to_name(), exchange.clone()));
                if let Some(key) = ended.filter(|_| *how == WireEnd::ByClient) {
                    let owed = self.owed.values_mut().filter(|owed| owed.key == key);
                    owed.for_each(|owed| owed.end_stream(event, view));
                    *self.notices.entry(key).or_default() += 1;
                }
            }
            // A posted notice has no effect in the stateless generation, except on a connection that fell back.
            (EventKind::WireReceived { connection, message }, _)
                if view.is_stateless(connection) && !view.is_line() && !self.fell_back(connection, message) =>
            {
                if let (Some(carrier), Some(id)) = (view.carrier(event), message.id()) {
                    let exchange = (carrier.mock.clone(), carrier.exchange.clone());
                    self.carried.insert(exchange, (connection.clone(), Name::from(id)));
                }
            }
            (EventKind::WireReceived { connection, message }, _) => {
                for id in parts(message).iter().filter_map(Message::cancelled_request) {
                    *self.notices.entry((connection.clone(), Name::from(id))).or_default() += 1;
                }
            }
            (EventKind::WireSent { connection, message }, _) => {
                for id in parts(message).iter().filter(|part| part.is_response()).filter_map(Message::id) {
                    let key = (connection.clone(), Name::from(id));
                    let is_stream = view.is_stateless(connection) && !view.is_line();
                    let is_owed = |owed: &OwedNotice| owed.ended.is_some() && (owed.has_gone_on || !is_stream);
                    self.owed.retain(|_, owed| is_owed(owed) || owed.key != key);
                }
            }
            (EventKind::WireEof { connection } | EventKind::ConnectionClosed { connection, .. }, _) => {
                self.due(event.seq, view, tally, |owed| owed.key.0 == *connection);
            }
            (EventKind::MockEnding { .. }, Source::Mock { server, incarnation })
            | (EventKind::LinkClosed { peer: LinkPeer::Mock { server, incarnation }, .. }, _) => {
                self.due(event.seq, view, tally, |owed| owed.server == *server && owed.incarnation == *incarnation);
            }
            (EventKind::GraceExpired { .. } | EventKind::PlanEnded {}, _) => self.due(event.seq, view, tally, |_| true),
            _ => {}
        }
    }

    fn end(&self, _view: &View, tally: &mut Tally) {
        if let Some((operation, owed)) = self.owed.iter().find(|(_, owed)| owed.is_delivered) {
            tally.open(format!("the cancellation of {operation} was not announced yet"), &[owed.requested]);
        }
    }
}

impl OwedNotice {
    /// The notice that a cancellation requires: only if exactly one request is in flight and it belongs to the
    /// operation.
    fn of(operation: &Operation, view: &View, requested: Seq) -> Option<Self> {
        let [request] = operation.requests.as_slice() else { return None };
        if operation.action != Action::Call || operation.is_ambiguous || request.answered.is_some() {
            return None;
        }
        let connection = view.connection(&request.connection).filter(|connection| connection.gone.is_none())?;
        Some(Self {
            key: (request.connection.clone(), request.id.clone()),
            server: connection.server.clone(),
            incarnation: connection.incarnation,
            requested,
            is_delivered: false,
            ended: None,
            has_gone_on: false,
            left_until: None,
        })
    }
}

impl OwedNotice {
    /// Notes that its client has ended the stream. Only a cleanup did that, if it had begun, and the operation had ended long
    /// before.
    fn end_stream(&mut self, event: &Event, view: &View) {
        let Some((ended, at_us)) = self.ended else { return };
        let is_cleanup = view.last_close().is_some_and(|close| close > ended) || view.ending().is_some();
        let waited = Duration::from_micros(event.at_us.saturating_sub(at_us));
        if is_cleanup && waited > view.limits().failure {
            self.left_until = Some((event.seq, waited));
        }
    }

    /// The violation of a client that left the stream of the request open until a cleanup.
    fn left(&self, what: &str, limit: Duration) -> Option<Violation> {
        let (seq, waited) = self.left_until?;
        let connection = &self.key.0;
        let because = format!(
            "{what}, was not announced on connection {connection}: its stream stayed open until the cleanup, {} ms after its end, at {seq}",
            waited.as_millis()
        );
        Some(Violation::new("left-open", because, &[self.requested, seq]).of_lateness(waited.saturating_sub(limit)))
    }
}

impl CancellationNotices {
    fn due(&mut self, seq: Seq, view: &View, tally: &mut Tally, concerns: impl Fn(&OwedNotice) -> bool) {
        let (notices, is_promised) = (&self.notices, self.is_promised);
        self.owed.retain(|operation, owed| {
            if !concerns(owed) {
                return true;
            }
            let is_excused = owed.ended.is_none()
                || !owed.is_delivered
                || !view.is_healthy(&owed.server)
                || view.signalled().is_some();
            if is_excused {
                return false;
            }
            let (connection, id) = &owed.key;
            let what =
                format!("the cancellation of {operation}, requested at {} with request {id} in flight", owed.requested);
            match notices.get(&owed.key).copied().unwrap_or_default() {
                0 | 2.. if is_promised => {}
                0 => {
                    let because = format!("{what}, had not been announced on connection {connection} at {seq}");
                    tally.broken(Violation::new("not-announced", because, &[owed.requested, seq]));
                }
                1 => match owed.left(&what, view.limits().failure) {
                    Some(violation) if !is_promised => tally.broken(violation),
                    Some(_) => {}
                    None => tally.held(),
                },
                n => {
                    let because = format!("{what}, had been announced {n} times on connection {connection} at {seq}");
                    tally.broken(Violation::new("announced-twice", because, &[owed.requested, seq]));
                }
            }
            false
        });
    }
}
