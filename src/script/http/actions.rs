//! The actions that only HTTP has.

use crate::history::WireEnd;
use crate::script::http::ExchangeNo;
use crate::script::http::admit::Refusal;
use crate::script::interpreter::{Face, Interpreter};
use crate::script::task::{At, Task};
use crate::script::{Action, Carriage, Effect, wire};

impl Interpreter {
    /// Whether an action can still be carried out.
    pub(in crate::script) fn can_over_http(&self, action: &Action, at: At) -> bool {
        let Face::Http(http) = &self.face else { return false };
        let exchange = at.exchange.and_then(|no| http.exchanges.get(&no));
        let mut talks = self.numbers_at(at).into_iter().filter_map(|number| self.talks.get(&number));
        match action {
            Action::Status(_) | Action::ContentType(_) | Action::Sse => {
                exchange.is_some_and(|exchange| !exchange.streams)
            }
            Action::AnswerAnyway if self.is_sse() => self.has_stream(at),
            Action::Reset | Action::AnswerAnyway => exchange.is_some(),
            Action::ExpireSession => talks.any(|talk| talk.session.is_some()),
            Action::EndStream | Action::CutStream => {
                exchange.is_some_and(|exchange| exchange.streams) || talks.any(|talk| !talk.streams.is_empty())
            }
            lines if lines.needs() == Some(Carriage::Lines) => false,
            _ => true,
        }
    }

    /// Does an action that only HTTP has.
    pub(in crate::script) fn http_action(&mut self, action: Action, task: &mut Task) {
        let at = task.at;
        match action {
            Action::Status(status) => self.answer_status(at, status),
            Action::ContentType(kind) => {
                let answer = self.honest_answer(&task.cause, at);
                if let (Some(no), Some(line)) = (at.exchange, answer) {
                    self.answer_typed(no, at, line, &kind);
                }
            }
            Action::Sse => at.exchange.into_iter().for_each(|no| self.begin_stream(no)),
            Action::ExpireSession => {
                for number in self.numbers_at(at) {
                    self.close_talk(number, WireEnd::ByServer, None);
                }
                task.settled = true;
            }
            Action::EndStream => self.streams_at(at).into_iter().for_each(|no| self.end_stream(no)),
            Action::CutStream => self.streams_at(at).into_iter().for_each(|no| self.cut(no, Effect::Cut(no))),
            Action::Reset => at.exchange.into_iter().for_each(|no| self.cut(no, Effect::Reset(no))),
            _ => {}
        }
    }

    fn answer_status(&mut self, at: At, status: u16) {
        let Some(no) = at.exchange else { return };
        if status == 404 {
            return self.refuse(no, &Refusal::UNKNOWN_SESSION);
        }
        let line = wire::error_line(&serde_json::Value::Null, wire::INVALID_REQUEST, "Refused by the script");
        let mut headers = vec![("content-type", "application/json")];
        if status == 405 {
            headers.push(("allow", "POST"));
        }
        self.respond(no, status, &headers, line);
    }

    /// The stream of this exchange, where it is one; otherwise those of its session.
    fn streams_at(&self, at: At) -> Vec<ExchangeNo> {
        let Face::Http(http) = &self.face else { return Vec::new() };
        let own = at.exchange.filter(|no| http.exchanges.get(no).is_some_and(|exchange| exchange.streams));
        let talk = at.connection.and_then(|number| self.talks.get(&number));
        own.map_or_else(|| talk.map(|talk| talk.streams.clone()).unwrap_or_default(), |no| vec![no])
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
