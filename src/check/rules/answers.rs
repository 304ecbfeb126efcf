//! Answers to calls: each reaches its caller unchanged.

use std::collections::{BTreeSet, VecDeque};

use serde_json::Value;

use crate::check::operations::sent_back;
use crate::check::parts::parts;
use crate::check::{AppliesTo, Hears, Invariant, Level, Monitor, Of, Property, Tally, View, Violation, Witness};
use crate::history::{
    Action, ConnectionId, Event, EventKind, Header, Impact, KeySet, Kind, KnownMethod, Message, OpId, Outcome, Seq,
    Table,
};
use crate::plan::Promise;

/// Counter-examples: A script that garbles answers may have sent other answers than the journal shows, until a later
/// call to that server returns its own answer. Other servers are not affected. The answer to an earlier call is never
/// the answer to a later one. A loader that returns no text at all gives nothing to compare. A loader may join the
/// texts of an answer in any form that contains them. If an answer has other content next to its texts, a loader may
/// add that content, or return the structured content instead. Some loaders return an error to the model as a text and
/// report success: that is a warning. A call that the server sends back is not answered. The journal has that message
/// as the mock sent it, also if the script garbles answers. Another rule judges the failure of a call to a healthy
/// server. Bytes that a server could not read may have been the request of a call, and a loader may return a text that
/// says that it could not send the call.
pub(super) const ANSWER_REACHES_ITS_CALLER: Invariant = Invariant {
    id: "answer-reaches-its-caller",
    property: Property::Safety,
    level: Level::Own,
    claim: "a call returns what its server answered to it: a success as a success, with its text",
    source: "VG-16: an answer belongs to the request whose id it carries (JSON-RPC 2.0)",
    requirement: &["VG-16", "LC-MSG-06"],
    applies: AppliesTo::ALL,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[
        Kind::WireReceived,
        Kind::WireSent,
        Kind::WireNoise,
        Kind::FaultDelivered,
        Kind::OperationCompleted,
        Kind::OperationAbandoned,
    ],
    hears: Hears::only(&[
        (Kind::WireReceived, &[Of::Request(KnownMethod::ToolsCall)]),
        (Kind::WireSent, &[Of::Answer(KnownMethod::ToolsCall)]),
    ]),
    vacuous: "no call that names its operation was answered and succeeded",
    explain: "A call succeeded with another text than its server had answered: the answer to another call, a late \
        answer to an abandoned call, or a cached one. This is the most harmful mistake of concurrent calls, because no \
        error shows it.\n\n\
        Look at the two requests that were in flight together, and at their ids. To fix it, give each answer to the \
        waiter of its id, and drop the waiter when its call is abandoned.\n\n\
        Or a call failed although the tool has done its work: the loader treats a result without text as a failure, so \
        a model repeats the call. To fix that, return every kind of content, and treat a result without content as a \
        success.\n\n\
        Or a call succeeded that the server never answered, or answered with an error: the server died, lost the \
        connection, refused the call, or sent it back to be repeated, and the caller does not know. To fix that, \
        repeat the call as the server asks, or report the failure to the caller.\n\n\
        Or a call succeeded, and no server received it: the loader took the answer from an earlier call, or invented \
        it.",
    start: |header: &Header| -> Box<dyn Monitor> {
        Box::new(CallAnswers { is_excerpt: !header.origin.is_harness(), ..CallAnswers::default() })
    },
};

/// How many answers of servers that garble some are kept.
const N_BEFORE_MAX: usize = 64;

#[derive(Default)]
struct CallAnswers {
    asked: Vec<UnansweredCall>,
    /// The answer to each running call.
    answered: Table<OpId, CallAnswer>,
    /// Calls that a server sent back and that were not repeated yet.
    sent_back: Table<OpId, Seq>,
    /// Whether the history may lack messages.
    is_excerpt: bool,
    /// Calls that have not completed and that a message on the wire names.
    named: KeySet<OpId>,
    /// Servers that received bytes that they could not read.
    noisy: BTreeSet<String>,
    /// Servers that may have sent other answers than the journal shows, and since when.
    garbled: Table<String, Seq>,
    /// The newest answers of such servers.
    before: VecDeque<(String, Seq, Told)>,
    /// Whether the loader returns the texts of answers.
    tells_texts: bool,
    /// Calls that succeeded without the text of their answer.
    silent: Vec<(OpId, Seq, Seq)>,
}

/// Most calls without the text of their answer that are reported.
const SILENT_MAX: usize = 1_000;

/// A call on the wire without an answer.
struct UnansweredCall {
    at: Seq,
    server: String,
    connection: ConnectionId,
    id: Value,
    operation: OpId,
}

/// The content of a result.
#[derive(Clone)]
struct Told {
    /// The texts of its content, the first one first.
    texts: Vec<String>,
    /// Whether it has other content: links, resources, images, or structured content.
    is_mixed: bool,
    structured: Option<Value>,
}

/// The answer to a call.
struct CallAnswer {
    asked: Seq,
    sent: Seq,
    server: String,
    kind: AnswerKind,
}

enum AnswerKind {
    /// A result that begins with a text.
    Texts(Told),
    /// A result that does not begin with a text.
    Other,
    /// A result that is marked as an error.
    ToolError,
    /// An error of JSON-RPC.
    Error,
}

impl Monitor for CallAnswers {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        match &event.kind {
            EventKind::WireReceived { connection, message } => {
                self.named.extend(parts(message).iter().filter_map(|part| view.caller_of(part)));
                if let (Some(operation), Some(id)) = (view.caller_of(message), message.id()) {
                    self.sent_back.swap_remove(&operation);
                    self.asked.push(UnansweredCall {
                        at: event.seq,
                        server: event.source.server().unwrap_or_default().into(),
                        connection: connection.clone(),
                        id: id.clone(),
                        operation,
                    });
                }
            }
            EventKind::WireSent { connection, message } if !self.asked.is_empty() => {
                self.answer(event.seq, connection, message);
            }
            EventKind::WireNoise { .. } => self.noisy.extend(event.source.server().map(str::to_owned)),
            EventKind::FaultDelivered { impairs: Impact::Answers, .. } => {
                self.garbled.extend(event.source.server().map(|server| (server.into(), event.seq)));
            }
            EventKind::OperationCompleted { operation, outcome } => {
                let asked = self.asked.iter().position(|asked| asked.operation == *operation);
                let asked = asked.map(|index| self.asked.swap_remove(index));
                self.asked.retain(|asked| asked.operation != *operation);
                let answered = self.answered.swap_remove(operation);
                let sent_back = self.sent_back.swap_remove(operation);
                let is_named = self.named.swap_remove(operation);
                let Outcome::Ok { text, .. } = outcome else { return };
                self.tells_texts |= text.is_some();
                if let Some(violation) = self.of_nobody(event.seq, (*operation, is_named), text.as_deref(), view) {
                    return tally.broken(violation);
                }
                match (text.as_deref(), answered, sent_back) {
                    (Some(text), _, Some(sent)) => judge_sent_back(event.seq, *operation, text, sent, tally),
                    (text, Some(answer), None) => self.judge(event.seq, *operation, text, &answer, tally),
                    (Some(text), None, None) => self.judge_unanswered(event.seq, *operation, text, asked, tally),
                    (None, _, _) => {}
                }
            }
            EventKind::OperationAbandoned { operation, .. } => {
                self.asked.retain(|asked| asked.operation != *operation);
                self.answered.swap_remove(operation);
                self.sent_back.swap_remove(operation);
            }
            _ => {}
        }
    }

    fn end(&self, _view: &View, tally: &mut Tally) {
        for (operation, sent, now) in self.silent.iter().filter(|_| self.tells_texts) {
            let because = format!("{operation} succeeded at {now} without the text that was sent at {sent}");
            tally.broken(Violation::new("text-lost", because, &[*sent, *now]).as_warning());
        }
    }
}

impl CallAnswers {
    fn answer(&mut self, sent: Seq, connection: &ConnectionId, message: &Message) {
        for part in parts(message).iter() {
            let Some(id) = part.id().filter(|_| part.is_response()) else { continue };
            let is_it = |asked: &UnansweredCall| asked.connection == *connection && asked.id == *id;
            let Some(index) = self.asked.iter().position(is_it) else { continue };
            let UnansweredCall { at: asked, server, operation, .. } = self.asked.swap_remove(index);
            if sent_back(part).is_some() {
                self.sent_back.insert(operation, sent);
                continue;
            }
            let kind = AnswerKind::of(part);
            if let AnswerKind::Texts(told) = &kind
                && self.garbled.contains_key(&server)
            {
                self.before.push_back((server.clone(), sent, told.clone()));
                self.before.drain(..self.before.len().saturating_sub(N_BEFORE_MAX));
            }
            self.answered.insert(operation, CallAnswer { asked, sent, server, kind });
        }
    }

    /// Judges a call that succeeded after this answer.
    fn judge(&mut self, now: Seq, operation: OpId, text: Option<&str>, answer: &CallAnswer, tally: &mut Tally) {
        let CallAnswer { asked, sent, server, kind, .. } = answer;
        let witness = [*sent, now];
        match (kind, text) {
            (AnswerKind::Texts(told), Some(text)) if told.is_in(text) => {
                // The server is read correctly again.
                if self.garbled.get(server).is_some_and(|garbled| garbled < asked) {
                    self.garbled.swap_remove(server);
                    self.before.retain(|(of, ..)| of != server);
                }
                tally.held();
            }
            // An error is an error, whatever else is wrong with its server.
            (AnswerKind::Error | AnswerKind::ToolError, text) => {
                let (variant, what) = match kind {
                    AnswerKind::ToolError => ("tool-error-as-success", "a result that is an error"),
                    AnswerKind::Error | AnswerKind::Texts(_) | AnswerKind::Other => ("error-as-success", "an error"),
                };
                let because = format!("{operation} succeeded at {now}, and {what} was sent at {sent}");
                let violation = Violation::new(variant, because, &witness);
                tally.broken(if text.is_none_or(str::is_empty) { violation } else { violation.as_warning() });
            }
            (AnswerKind::Texts(_), Some(text)) if self.garbled.contains_key(server) => {
                let is_it = |(of, before, told): &&(String, Seq, Told)| {
                    of == server && before < asked && !text.is_empty() && told.is_in(text)
                };
                if let Some((_, before, _)) = self.before.iter().find(is_it) {
                    let because = format!(
                        "{operation} returned at {now} the text that was sent at {before} to an earlier call, and its own answer of {sent} is another"
                    );
                    tally.broken(Violation::new("other-text", because, &[*before, *sent, now]));
                }
            }
            _ if self.garbled.contains_key(server) => {}
            (AnswerKind::Texts(_), Some(_)) => {
                let because = format!("{operation} returned at {now} another text than was sent at {sent}");
                tally.broken(Violation::new("other-text", because, &witness));
            }
            (AnswerKind::Texts(told), None) => {
                if self.silent.len() < SILENT_MAX && told.texts.iter().any(|text| !text.is_empty()) {
                    self.silent.push((operation, *sent, now));
                }
            }
            (AnswerKind::Other, _) => {}
        }
    }

    /// The violation of a call that succeeded although no server received it.
    fn of_nobody(
        &self,
        now: Seq,
        (operation, is_named): (OpId, bool),
        text: Option<&str>,
        view: &View,
    ) -> Option<Violation> {
        let call = view.operation(operation).filter(|call| call.action == Action::Call && call.loaded.is_some())?;
        let server = call.server.as_deref()?;
        let may_have_arrived = is_named || self.noisy.contains(server) || call.is_ambiguous;
        if may_have_arrived || !call.requests.is_empty() || call.is_excused() || self.is_excerpt {
            return None;
        }
        let because = format!("{} succeeded at {now}, and no server had received it", call.describe());
        let violation = Violation::new("of-nobody", because, &[call.invoked, now]);
        let is_open = view.connections_of(server).any(|(_, connection)| connection.gone.is_none());
        let may_be_an_error = !call.is_promised || !view.is_healthy(server) || !is_open;
        let is_warning = may_be_an_error && text.is_some_and(|text| !text.is_empty());
        Some(if is_warning { violation.as_warning() } else { violation })
    }

    /// Judges a call that succeeded with this text and had no answer.
    fn judge_unanswered(
        &self,
        now: Seq,
        operation: OpId,
        text: &str,
        asked: Option<UnansweredCall>,
        tally: &mut Tally,
    ) {
        let Some(asked) = asked.filter(|asked| !self.garbled.contains_key(&asked.server)) else { return };
        let because = format!("{operation} succeeded at {now}, and its request of {} was never answered", asked.at);
        let violation = Violation::new("never-answered", because, &[asked.at, now]);
        tally.broken(if text.is_empty() { violation } else { violation.as_warning() });
    }
}

impl AnswerKind {
    fn of(response: &Message) -> Self {
        let (result, error) = (response.at(&["result"]), response.at(&["error"]));
        if result.is_none() && error.is_some_and(Value::is_object) {
            return Self::Error;
        }
        if response.at(&["result", "isError"]) == Some(&Value::Bool(true)) {
            return Self::ToolError;
        }
        let text_of = |block: &Value| block.get("text").and_then(Value::as_str).map(str::to_owned);
        let content = response.at(&["result", "content"]).and_then(Value::as_array);
        let Some(content) = content.filter(|content| content.first().and_then(text_of).is_some()) else {
            return Self::Other;
        };
        let texts: Vec<String> = content.iter().filter_map(text_of).collect();
        let structured = response.at(&["result", "structuredContent"]).cloned();
        let is_mixed = structured.is_some() || texts.len() < content.len();
        Self::Texts(Told { texts, is_mixed, structured })
    }
}

impl Told {
    /// Whether `text` is this answer: its first text, all its texts with any other content, or its structured content.
    fn is_in(&self, text: &str) -> bool {
        let has_all = || {
            let written = |each: &str| Value::from(each).to_string();
            let is_in = |each: &String| text.contains(each.as_str()) || text.contains(&written(each));
            (self.is_mixed || self.texts.len() > 1) && self.texts.iter().all(is_in)
        };
        let is_structured = || {
            let told: Option<Value> = self.structured.as_ref().and_then(|_| serde_json::from_str(text).ok());
            told.is_some() && told == self.structured
        };
        self.texts.first().is_some_and(|first| first == text) || has_all() || is_structured()
    }
}

/// Judges a call that succeeded with this text although its server had sent it back.
fn judge_sent_back(now: Seq, operation: OpId, text: &str, sent: Seq, tally: &mut Tally) {
    let because =
        format!("{operation} succeeded at {now}, although its server had sent it back at {sent} for more input");
    let violation = Violation::new("sent-back", because, &[sent, now]);
    tally.broken(if text.is_empty() { violation } else { violation.as_warning() });
}
