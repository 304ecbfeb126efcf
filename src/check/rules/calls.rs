//! Calls: they succeed after a load, and each arrives once and unchanged.
//!
//! The driver gives each call the number of its operation as argument `n`, so a call on the wire names its operation. A
//! call without that number is not judged.

use std::collections::{HashSet, VecDeque};

use foldhash::fast::FixedState;
use serde_json::Value;

use crate::check::agreement::Spoken;
use crate::check::operations::sent_back;
use crate::check::outcome::{MissKind, OperationEnd, Success, judge_call};
use crate::check::parts::parts;
use crate::check::refusals::{declines, is_unserved};
use crate::check::{
    AppliesTo, ContextSwitch, Gone, Hears, Invariant, Level, Monitor, Of, Operation, Property, Tally, View, Violation,
    WireRequest, Witness,
};
use crate::history::{
    Action, ConnectionId, Event, EventKind, ExchangeId, Header, KeySet, Kind, KnownMethod, Message, Name, OpId, Seq,
    Table, WireEnd,
};
use crate::plan::Promise;

/// Judges calls before the first cleanup; `cleanup-repeatable` judges later calls.
pub(super) const CALL_AFTER_LOAD_SUCCEEDS: Invariant = Invariant {
    id: "call-after-load-succeeds",
    property: Property::Liveness,
    level: Level::Own,
    claim: "a call to a loaded, healthy server succeeds from any promised context until cleanup begins",
    source: "VG-04: then, until the first cleanup begins, a call completes with success within its bound",
    requirement: &["VG-04"],
    applies: AppliesTo::ALL,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::OperationCompleted, Kind::OperationOverdue],
    hears: Hears::only(&[(Kind::OperationCompleted, &[Of::Action(Action::Call)])]),
    vacuous: "no call to a loaded server ran undisturbed before the first cleanup",
    explain: "The loader had handed out the tools, cleanup had not begun, the server was healthy, and the call \
        failed or never returned. The typical cause: `load` opens sessions in a scope, lists the tools, leaves the \
        scope and returns the tools, which then point at dead sessions.\n\n\
        Look at whether the request reached the mock at all. If not, the session was closed (see \
        scope-open-until-cleanup) or belongs to a loop or runtime that no thread drives any more; the variant names \
        the difference between the calling context and the loading context. To fix it, keep the session open in one \
        owner task that lives as long as the tools, and pass calls to that task instead of using the session from \
        the context of the caller. Patching the event loop does not help: it turns the error into a hang.\n\n\
        Or the tool has done its work, but the loader treats a result without text as a failure, so a model repeats \
        the call. To fix that, return every kind of content, and treat a result without content as a success.",
    start: |_: &Header| -> Box<dyn Monitor> {
        Box::new(|event: &Event, view: &View, tally: &mut Tally| {
            let Some((id, ended)) = OperationEnd::of(event) else { return };
            let Some(operation) = view.operation(id).filter(|operation| operation.action == Action::Call) else {
                return;
            };
            if !operation.is_in_first_life() {
                return;
            }
            match judge_call(event, view, operation, ended) {
                Success::Excused => {}
                Success::Held => tally.held(),
                Success::Missed(mut miss) => {
                    let variant = variant(miss.kind, operation.switch);
                    miss.because.push_str(", ");
                    miss.because.push_str(operation.switch.phrase());
                    if let Some(loaded) = operation.loaded {
                        miss.because.push_str(&format!(", although its server was loaded at {loaded}"));
                        miss.witness.push(loaded);
                    }
                    tally.broken(miss.violation(variant));
                }
            }
        })
    },
};

fn variant(kind: MissKind, switch: ContextSwitch) -> &'static str {
    match (kind, switch) {
        (MissKind::Overdue, ContextSwitch::None) => "overdue",
        (MissKind::Overdue, ContextSwitch::Task) => "overdue-in-other-task",
        (MissKind::Overdue, ContextSwitch::Thread) => "overdue-on-other-thread",
        (MissKind::Overdue, ContextSwitch::Loop) => "overdue-in-other-loop",
        (
            MissKind::Cancelled,
            ContextSwitch::None | ContextSwitch::Task | ContextSwitch::Thread | ContextSwitch::Loop,
        ) => "cancelled-unasked",
        (MissKind::Failed | MissKind::WithoutTools | MissKind::ServerInError, switch) => match switch {
            ContextSwitch::None => "failed",
            ContextSwitch::Task => "failed-in-other-task",
            ContextSwitch::Thread => "failed-on-other-thread",
            ContextSwitch::Loop => "failed-in-other-loop",
        },
    }
}

/// Counter-examples: If a server answers over HTTP that it does not know the session, it has not done the work, so the
/// client may send the call again on a new session. The same holds for a call that HTTP refused, for example with 401
/// or 502, or redirected, and for a call that the server declined with an error, for example because of its version.
/// The client repeats a call that the server sent back for more input. Without a handshake, a response that breaks off
/// loses its request. If a server died, it may have done the work before, so the loader must promise that it repeats
/// calls. Without a handshake, a client should reconnect, so the verdict is Warn. There is no warning if the loader
/// promises that, or if the server has marked the tool as one that may be called again. Only the driver numbers calls;
/// in the journal of a mock alone the argument `n` is the caller's own.
pub(super) const CALL_SENT_ONCE: Invariant = Invariant {
    id: "call-sent-once",
    property: Property::Safety,
    level: Level::Own,
    claim: "one call of a tool is one request on the wire",
    source: "VG-16: a tool may have effects, and one call must cause them once",
    requirement: &["VG-16", "LC-STD-15"],
    applies: AppliesTo::ALL,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[
        Kind::WireReceived,
        Kind::WireSent,
        Kind::HttpAnswered,
        Kind::HttpEnded,
        Kind::OperationCompleted,
        Kind::OperationAbandoned,
    ],
    hears: Hears::only(&[
        (Kind::WireReceived, &[Of::Request(KnownMethod::ToolsCall)]),
        (Kind::WireSent, &[Of::Answer(KnownMethod::ToolsCall), Of::Answer(KnownMethod::ToolsList), Of::OtherAnswer]),
        (Kind::HttpAnswered, &[Of::Failure, Of::OtherStatus]),
        (Kind::OperationCompleted, &[Of::Action(Action::Call)]),
    ]),
    vacuous: "no call that names its operation reached a server",
    explain: "The program called a tool once, and a server received the call twice. The cause is a retry in a layer \
        below the caller, after a lost answer or a new session: the mail goes out twice, the row is written twice, and \
        the caller does not know.\n\n\
        Look at the two requests and at the events between them. To fix it, fail the call and let the caller decide. \
        Send a request again only if the server cannot have received it. If a second call does no harm to the tools of \
        a loader, the loader may promise `retries-calls`.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(SentCalls::default()) },
};

/// How many calls that are over are remembered: a second request may arrive after its caller got the first answer.
const N_OVER_MAX: usize = 1_024;

#[derive(Default)]
struct SentCalls {
    sent: Table<OpId, SentCall>,
    /// Tools that may be called again without another effect, by server.
    harmless: KeySet<(String, String)>,
    /// The newest calls that are over.
    over: VecDeque<OpId>,
}

struct SentCall {
    connection: ConnectionId,
    request: Name,
    seq: Seq,
    /// The HTTP exchange that carries it.
    carrier: Option<(Name, ExchangeId)>,
    /// Whether its response ended without an answer.
    is_cut_off: bool,
    is_answered: bool,
}

impl Monitor for SentCalls {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        match &event.kind {
            EventKind::WireReceived { connection, message } => {
                for part in parts(message).iter() {
                    if let Some(operation) = view.caller_of(part) {
                        let request = part.id_text();
                        let sent = SentCall {
                            connection: connection.clone(),
                            request,
                            seq: event.seq,
                            carrier: view.carrier(event).map(|of| (of.mock.clone(), of.exchange.clone())),
                            is_cut_off: false,
                            is_answered: false,
                        };
                        let tool = part.at(&["params", "name"]).and_then(Value::as_str).unwrap_or_default();
                        let tool = (event.source.server().unwrap_or_default().to_owned(), tool.to_owned());
                        self.receive(view, sent, (operation, &tool), tally);
                    }
                }
            }
            EventKind::WireSent { connection, message } => {
                let parts = parts(message);
                let server = event.source.server().unwrap_or_default();
                let listed = parts.iter().filter_map(|part| part.at(&["result", "tools"]).and_then(Value::as_array));
                let names = listed.flatten().filter(|tool| bears_repetition(tool)).filter_map(|tool| tool.get("name"));
                self.harmless.extend(names.filter_map(Value::as_str).map(|name| (server.to_owned(), name.to_owned())));
                let is_awaited = !self.sent.is_empty();
                for part in parts.iter().filter(|part| is_awaited && part.is_response()) {
                    let request = part.id_text();
                    let is_it = |sent: &SentCall| sent.connection == *connection && sent.request == request;
                    if sent_back(part).is_some() || declines(part) {
                        self.sent.retain(|_, sent| !is_it(sent));
                    } else {
                        self.sent.values_mut().filter(|sent| is_it(sent)).for_each(|sent| sent.is_answered = true);
                    }
                }
            }
            EventKind::HttpAnswered { exchange, status, .. } if is_unserved(*status) => {
                let carrier = Some((event.source.to_name(), exchange.clone()));
                self.sent.retain(|_, sent| sent.carrier != carrier);
            }
            EventKind::HttpEnded { exchange, how } if *how != WireEnd::ByClient && !self.sent.is_empty() => {
                let carrier = Some((event.source.to_name(), exchange.clone()));
                let cut_off = self.sent.values_mut().filter(|sent| sent.carrier == carrier && !sent.is_answered);
                cut_off.for_each(|sent| sent.is_cut_off = true);
            }
            EventKind::OperationCompleted { operation, .. } | EventKind::OperationAbandoned { operation, .. }
                if self.sent.contains_key(operation) =>
            {
                self.over.push_back(*operation);
                let n_forgotten = self.over.len().saturating_sub(N_OVER_MAX);
                self.over.drain(..n_forgotten).for_each(|operation| drop(self.sent.swap_remove(&operation)));
            }
            _ => {}
        }
    }
}

impl SentCalls {
    fn receive(
        &mut self,
        view: &View,
        sent: SentCall,
        (operation, tool): (OpId, &(String, String)),
        tally: &mut Tally,
    ) {
        let (connection, seq) = (sent.connection.clone(), sent.seq);
        let Some(SentCall { connection: before, seq: first, is_cut_off, .. }) = self.sent.insert(operation, sent)
        else {
            tally.held();
            return;
        };
        let is_stateless = matches!(view.spoken(&connection), Spoken::Stateless);
        let is_gone = view.connection(&before).is_none_or(|before| matches!(before.gone, Some((_, Gone::ByServer))));
        if is_gone && !view.is_stdio() && !view.is_sse() {
            return;
        }
        let is_lost = is_gone || is_stateless && is_cut_off;
        let because = format!("the call of {operation} was received at {first} and again at {seq}");
        let variant = if before == connection { "sent-twice" } else { "sent-again-elsewhere" };
        let violation = Violation::new(variant, because, &[first, seq]);
        if !is_lost {
            return tally.broken(violation);
        }
        let promises = view.promises();
        if promises.retries_calls || is_stateless && (promises.reconnects || self.harmless.contains(tool)) {
            return tally.held();
        }
        tally.broken(if is_stateless { violation.as_warning() } else { violation });
    }
}

/// Whether a server has marked a tool as one that only reads, or that has no further effect when it is called again.
fn bears_repetition(tool: &Value) -> bool {
    let says = |hint: &str| tool.pointer(&format!("/annotations/{hint}")) == Some(&Value::Bool(true));
    says("readOnlyHint") || says("idempotentHint")
}

/// Counter-examples: A call that arrives after its operation has completed, for example after a cancellation, is not
/// judged. A call that the loader makes while no call of its caller runs is its own. Some languages write 7 as 7.0. An
/// excerpt of a history may leave out the arguments.
pub(super) const CALL_ARRIVES_AS_MADE: Invariant = Invariant {
    id: "call-arrives-as-made",
    property: Property::Safety,
    level: Level::Own,
    claim: "a call arrives at its server, for its tool and with its arguments",
    source: "VG-16: a call reaches its tool unchanged",
    requirement: &["VG-16", "LC-META-11"],
    applies: AppliesTo::ALL,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::OperationInvoked, Kind::WireReceived],
    hears: Hears::only(&[
        (Kind::OperationInvoked, &[Of::Action(Action::Call)]),
        (Kind::WireReceived, &[Of::Request(KnownMethod::ToolsCall)]),
    ]),
    vacuous: "no call reached a server while it ran",
    explain: "A call reached another server or another tool than the one that the caller named, or it lost or gained \
        an argument. Some loaders keep the tools of several servers in one table; when two have the same name, the \
        last one wins, and the caller talks to the wrong server.\n\n\
        Look at the request and at the invocation. To fix it, keep tools by server *and* name, refuse names that \
        collide, and pass arguments through unchanged.",
    start: |header: &Header| -> Box<dyn Monitor> {
        Box::new(ArrivedCalls { made: HashSet::default(), is_excerpt: header.servers.is_empty() })
    },
};

struct ArrivedCalls {
    /// Every call that the driver has made, for lookups alone: there may be millions.
    made: HashSet<OpId, FixedState>,
    /// Whether the history is an excerpt, whose header names no server.
    is_excerpt: bool,
}

impl Monitor for ArrivedCalls {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        match &event.kind {
            EventKind::OperationInvoked { operation, action: Action::Call, .. } => {
                self.made.insert(*operation);
            }
            EventKind::WireReceived { connection, message } => {
                let parts = parts(message);
                for part in parts.iter().filter(|part| part.is_request("tools/call") && !part.is_cut()) {
                    self.judge(event, connection, part, view, tally);
                }
            }
            _ => {}
        }
    }
}

impl ArrivedCalls {
    fn judge(&self, event: &Event, connection: &ConnectionId, request: &Message, view: &View, tally: &mut Tally) {
        let named = view.caller_of(request);
        let running = named.and_then(|id| view.operation(id)).filter(|operation| operation.action == Action::Call);
        let (operation, variant) = match running {
            Some(operation) => (operation, changed(operation, event, request)),
            // A call that arrives late names an operation that has completed.
            None if named.is_some_and(|named| self.made.contains(&named)) => return,
            None if self.is_excerpt && request.at(&["params", "arguments"]).is_none() => return,
            None => match sender_of(event, connection, request, view) {
                Some(operation) => (operation, Some("other-arguments")),
                None => return,
            },
        };
        let Some(variant) = variant else { return tally.held() };
        let found = request.at(&["params", "arguments"]).map_or("none".to_owned(), ToString::to_string);
        let because = format!(
            "{} arrived at {} with {variant}: found {}, expected {{\"n\":{}}}",
            operation.describe(),
            event.seq,
            found.chars().take(FOUND_MAX).collect::<String>(),
            operation.id.0
        );
        let because = if variant == "other-arguments" {
            because
        } else {
            format!("{} arrived at {} with {variant}", operation.describe(), event.seq)
        };
        tally.broken(Violation::new(variant, because, &[operation.invoked, event.seq]));
    }
}

/// Most characters of arguments in a finding.
const FOUND_MAX: usize = 100;

/// What a call that names its operation has lost or changed.
fn changed(operation: &Operation, event: &Event, request: &Message) -> Option<&'static str> {
    let arguments = request.at(&["params", "arguments"]).and_then(Value::as_object);
    let tool = request.at(&["params", "name"]).and_then(Value::as_str);
    if operation.server.as_deref() != event.source.server() {
        Some("other-server")
    } else if operation.tool.as_deref() != tool {
        Some("other-tool")
    } else if arguments.is_some_and(|arguments| arguments.len() != 1) {
        Some("other-arguments")
    } else {
        None
    }
}

/// The running call whose request this is, although it does not name it.
fn sender_of<'a>(event: &Event, connection: &ConnectionId, request: &Message, view: &'a View) -> Option<&'a Operation> {
    let id = request.id()?.to_string();
    let is_it = |sent: &WireRequest| sent.connection == *connection && sent.id == id && sent.received == event.seq;
    view.operations().find(|operation| operation.requests.iter().any(is_it))
}

/// Counter-examples: Calls with different arguments are different calls. A program may call again on purpose: after it
/// has the answer, or while another call still runs. An error of HTTP is an answer. In the stateless generation the
/// client repeats a call that its server answered with a request for input.
pub(super) const CALL_MADE_ONCE: Invariant = Invariant {
    id: "call-made-once",
    property: Property::Safety,
    level: Level::Own,
    claim: "no call is made again, with the same arguments, because its answer did not come",
    source: "VG-16: a tool may have effects, and one call must cause them once",
    requirement: &["VG-16"],
    applies: AppliesTo::ALL.of_clients(),
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::WireReceived, Kind::WireSent, Kind::HttpAnswered, Kind::HttpEnded],
    hears: Hears::only(&[
        (Kind::WireReceived, &[Of::Request(KnownMethod::ToolsCall), Of::Notice(KnownMethod::Cancelled)]),
        (Kind::WireSent, &[Of::Answer(KnownMethod::ToolsCall)]),
        (Kind::HttpAnswered, &[Of::Failure, Of::OtherStatus]),
    ]),
    vacuous: "no tool was called",
    explain: "The server received the same call twice, and the second one came after the first had lost its stream or \
        was given up. The cause is a retry after a timeout or a lost stream: the mail goes out twice, the row is \
        written twice, and the caller does not know.\n\n\
        Look at the events between the two calls. To fix it, fail the call and let the caller decide, and resume a \
        stream that ended instead of calling again.\n\n\
        Without a handshake no stream can be resumed, and a client may issue a call again under a new id (LC-HTTP-18). \
        In that generation the verdict is Warn, because the first call may have had its effect.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(RepeatedCalls::default()) },
};

#[derive(Default)]
struct RepeatedCalls {
    made: Table<String, MadeCall>,
}

struct MadeCall {
    seq: Seq,
    request: (ConnectionId, Name),
    /// The HTTP exchange that carries it.
    carrier: Option<(Name, ExchangeId)>,
    became: Became,
}

/// The state of a call.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Became {
    /// It may still run.
    Open,
    Answered,
    /// Its response ended without an answer, which may still come on another stream.
    CutOff(Seq),
    /// Its client has cancelled it.
    Cancelled(Seq),
}

impl Monitor for RepeatedCalls {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        match &event.kind {
            // The error of HTTP is the answer.
            EventKind::HttpAnswered { status, .. } if *status >= 300 => {
                view.refusals().failed().iter().for_each(|request| self.end(request, Became::Answered));
                self.made.retain(|_, made| !view.refusals().now().contains(&made.request));
            }
            EventKind::HttpEnded { exchange, .. } => {
                let carrier = Some((event.source.to_name(), exchange.clone()));
                let cut_off = self.made.values_mut().filter(|made| made.carrier == carrier);
                cut_off.filter(|made| made.became == Became::Open).for_each(|made| {
                    made.became = Became::CutOff(event.seq);
                });
            }
            EventKind::WireReceived { connection, message } => {
                for part in parts(message).iter().filter(|part| !part.is_cut()) {
                    if part.is_request("tools/call") {
                        self.receive(event, view, connection, part, tally);
                    } else if part.is_notification("notifications/cancelled") {
                        let id = part.at(&["params", "requestId"]).map(Name::from).unwrap_or_default();
                        self.end(&(connection.clone(), id), Became::Cancelled(event.seq));
                    }
                }
            }
            EventKind::WireSent { connection, message } => {
                for part in parts(message).iter().filter(|part| part.is_response()) {
                    let request = (connection.clone(), part.id_text());
                    if sent_back(part).is_some() {
                        self.made.retain(|_, made| made.request != request);
                    } else {
                        self.end(&request, Became::Answered);
                    }
                }
            }
            _ => {}
        }
    }
}

impl RepeatedCalls {
    fn end(&mut self, request: &(ConnectionId, Name), became: Became) {
        let ended = self.made.values_mut().filter(|made| made.request == *request);
        let ended = ended.filter(|made| matches!(made.became, Became::Open | Became::CutOff(_)));
        ended.for_each(|made| made.became = became);
    }

    fn receive(&mut self, event: &Event, view: &View, connection: &ConnectionId, call: &Message, tally: &mut Tally) {
        let param = |name: &str| call.at(&["params", name]).map(ToString::to_string).unwrap_or_default();
        let id = call.id_text();
        let carrier = view.carrier(event).map(|carrier| (carrier.mock.clone(), carrier.exchange.clone()));
        let (seq, became) = (event.seq, Became::Open);
        let made = MadeCall { seq, request: (connection.clone(), id), carrier, became };
        let earlier = self.made.insert(format!("{} {}", param("name"), param("arguments")), made);
        let (because, lost) = match earlier.as_ref().map(|earlier| earlier.became) {
            None | Some(Became::Open | Became::Answered) => return tally.held(),
            Some(Became::CutOff(lost)) => (format!("whose response ended without an answer at {lost}"), lost),
            Some(Became::Cancelled(lost)) => (format!("which was cancelled at {lost}"), lost),
        };
        let Some(earlier) = earlier else { return };
        let because = format!(
            "{} was called with the same arguments at {}, {because}, and again at {seq}",
            param("name"),
            earlier.seq
        );
        let violation = Violation::new("called-twice", because, &[earlier.seq, lost, seq]);
        let is_stateless = matches!(view.spoken(connection), Spoken::Stateless);
        tally.broken(if is_stateless { violation.as_warning() } else { violation });
    }
}
