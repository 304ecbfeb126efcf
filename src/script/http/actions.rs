//! The actions that only HTTP has.

use serde_json::Value;

use crate::history::WireEnd;
use crate::script::http::ExchangeNo;
use crate::script::http::admit::Refusal;
use crate::script::http::answer::JSON;
use crate::script::interpreter::{Face, Interpreter};
use crate::script::task::{At, Cause, Task};
use crate::script::{Action, Carriage, Effect, Family, wire};

/// Status code of a client that is to come back later.
const TOO_MANY_REQUESTS: u16 = 429;

impl Interpreter {
    /// Whether an action can still be carried out.
    pub(in crate::script) fn can_over_http(&self, action: &Action, at: At) -> bool {
        let Face::Http(http) = &self.face else { return false };
        let exchange = at.exchange.and_then(|no| http.exchanges.get(&no));
        let mut talks = self.numbers_at(at).into_iter().filter_map(|number| self.talks.get(&number));
        match (action.family(), action) {
            (_, Action::AnswerAnyway | Action::ProgressForever(_) | Action::Progress(_)) if self.is_sse() => {
                self.has_stream(at)
            }
            (_, Action::Reset | Action::AnswerAnyway | Action::ProgressForever(_) | Action::Progress(_)) => {
                exchange.is_some()
            }
            (Family::Response | Family::Raw, _) | (_, Action::Sse | Action::NameSession(_)) => {
                exchange.is_some_and(|exchange| !exchange.streams)
            }
            (Family::ForgedEvent, _) => exchange.is_some(),
            (_, Action::ExpireSession) => talks.any(|talk| talk.session.is_some()),
            (_, Action::AnswerOnReturn) => exchange.is_some(),
            (_, Action::SameSession) => exchange.is_some_and(|exchange| exchange.opens),
            (Family::Event, _) | (_, Action::EndStream | Action::CutStream) => {
                let is_own = exchange.is_some_and(|exchange| exchange.streams || action.family() == Family::Event);
                is_own || talks.any(|talk| !talk.streams.is_empty())
            }
            _ => action.needs() != Some(Carriage::Lines),
        }
    }

    /// Does an action that only HTTP has.
    pub(in crate::script) fn http_action(&mut self, action: Action, task: &mut Task) {
        let at = task.at;
        match action.family() {
            Family::Response => at.exchange.into_iter().for_each(|no| self.respond_oddly(no, &action, task)),
            Family::Event => {
                let bytes = event(&action);
                self.send_event(task, &bytes);
            }
            Family::ForgedEvent => self.answer_in_lines(task),
            _ => match action {
                Action::Sse => at.exchange.into_iter().for_each(|no| self.begin_stream(no)),
                Action::NameSession(id) => {
                    let exchange = at.exchange.and_then(|no| self.http()?.exchanges.get_mut(&no));
                    exchange.into_iter().for_each(|exchange| exchange.names_session = Some(id.clone()));
                }
                Action::SameSession => {
                    if let Some(talk) = at.connection.and_then(|number| self.talks.get_mut(&number)) {
                        talk.repeats_session = true;
                    }
                }
                Action::ExpireSession => {
                    for number in self.numbers_at(at) {
                        self.close_talk(number, WireEnd::ByServer, None);
                    }
                    task.settled = true;
                }
                Action::EndStream => self.streams_at(at).into_iter().for_each(|no| self.end_stream(no)),
                Action::AnswerOnReturn => self.keep_for_return(task),
                Action::CutStream => self.streams_at(at).into_iter().for_each(|no| self.cut(no, Effect::Cut(no))),
                _ => {}
            },
        }
    }

    fn respond_oddly(&mut self, no: ExchangeNo, action: &Action, task: &Task) {
        let at = task.at;
        match action {
            Action::Status(status) => self.answer_status(no, *status),
            Action::BareStatus(status) => self.respond(no, *status, &[], Vec::new()),
            Action::Unauthorized => {
                self.respond(no, 401, &[("www-authenticate", "Bearer realm=\"mcp-mock\"")], Vec::new());
            }
            Action::RetryAfter(seconds) => {
                self.respond(no, TOO_MANY_REQUESTS, &[("retry-after", &seconds.to_string())], Vec::new());
            }
            Action::Redirect(status) => {
                let elsewhere = self.path().map(|path| format!("{path}/moved")).unwrap_or_default();
                self.respond(no, *status, &[("location", &elsewhere)], Vec::new());
            }
            Action::RedirectLoop(status) => {
                let here = self.path().unwrap_or_default();
                self.respond(no, *status, &[("location", &here)], Vec::new());
            }
            Action::EmptyBody => self.respond(no, 200, &[JSON], Vec::new()),
            Action::Accepted => self.accept(at),
            Action::AcceptedBody => self.respond(no, 202, &[JSON], b"{}".to_vec()),
            Action::Reset => self.cut(no, Effect::Reset(no)),
            Action::ContentType(_) | Action::Trickle | Action::WrongStream => {
                let Some(line) = self.honest_answer(&task.cause, at) else { return };
                match action {
                    Action::ContentType(kind) => {
                        let mut answers = at.seat.map(|seat| self.batches.take_kept(seat)).unwrap_or_default();
                        answers.push(line);
                        self.answer_typed(no, at, &answers, kind);
                    }
                    Action::Trickle => self.trickle(no, at, &line),
                    _ => {
                        self.accept(at);
                        at.connection.into_iter().for_each(|number| self.push_note(number, &line));
                    }
                }
            }
            _ => {}
        }
    }

    /// Keeps the honest answer until the client takes up its stream again.
    fn keep_for_return(&mut self, task: &Task) {
        let Some(line) = self.honest_answer(&task.cause, task.at) else { return };
        if let Some(talk) = task.at.connection.and_then(|number| self.talks.get_mut(&number)) {
            talk.returns.push(line);
        }
    }

    fn path(&mut self) -> Option<String> {
        self.http().map(|http| http.setup.path.clone())
    }

    fn answer_status(&mut self, no: ExchangeNo, status: u16) {
        if status == 404 {
            return self.refuse(no, &Refusal::UNKNOWN_SESSION);
        }
        let line = wire::error_line(&Value::Null, wire::INVALID_REQUEST, "Refused by the script", None);
        let mut headers = vec![JSON];
        if status == 405 {
            headers.push(("allow", "POST"));
        }
        self.respond(no, status, &headers, line);
    }

    /// Sends something beside messages on the stream of this request, which begins with it, or of its session.
    fn send_event(&mut self, task: &Task, bytes: &[u8]) {
        if let (Cause::Request { .. }, Some(no), false) = (&task.cause, task.at.exchange, self.is_sse()) {
            self.begin_stream(no);
        }
        for no in self.streams_at(task.at) {
            self.push(Effect::StreamPart { exchange: no, bytes: bytes.to_vec() });
        }
    }

    /// Gives the honest answer as an event with two lines of data: JSON takes the line end between them for white space.
    fn answer_in_lines(&mut self, task: &Task) {
        let Some(no) = task.at.exchange else { return };
        let Some(line) = self.honest_answer(&task.cause, task.at) else { return };
        self.note_answer(task.at);
        self.begin_stream(no);
        let (brace, rest) = line.split_at(1);
        let bytes = [b"event: message\ndata: ", brace, b"\ndata: ", rest, b"\n\n"].concat();
        self.stream_event(no, task.at, &line, bytes);
        self.end_stream(no);
    }

    /// The stream of this exchange, where it is one; otherwise those of its session.
    fn streams_at(&self, at: At) -> Vec<ExchangeNo> {
        let Face::Http(http) = &self.face else { return Vec::new() };
        let own = at.exchange.filter(|no| http.exchanges.get(no).is_some_and(|exchange| exchange.streams));
        let numbers = self.numbers_at(at);
        let of_sessions = || numbers.iter().filter_map(|number| self.talks.get(number)).flat_map(|talk| &talk.streams);
        own.map_or_else(|| of_sessions().copied().collect(), |no| vec![no])
    }

    /// Ends the socket of an exchange in the middle.
    fn cut(&mut self, no: ExchangeNo, effect: Effect) {
        let how = if effect == Effect::Reset(no) { WireEnd::Broken } else { WireEnd::ByServer };
        let Some(exchange) = self.take_exchange(no, WireEnd::Broken) else { return };
        if let Some(http) = self.http() {
            http.sockets.insert(exchange.socket, Some(how));
        }
        self.close_with(Some(exchange), WireEnd::ByServer);
        self.push(effect);
    }
}

/// Something on a stream of events that is no message.
fn event(action: &Action) -> Vec<u8> {
    match action {
        Action::EventId(id) => format!("id: {id}\ndata:\n\n").into_bytes(),
        Action::Retry(ms) => format!("retry: {ms}\n\n").into_bytes(),
        Action::Comments(times) => ": still here\n\n".repeat(*times as usize).into_bytes(),
        Action::OtherEvent(kind) => format!("event: {kind}\ndata: {{\"is\":\"no message\"}}\n\n").into_bytes(),
        _ => Vec::new(),
    }
}
