//! Subscriptions: requests that stay open, and what is sent to those who made them.
//!
//! Source: revision 2026-07-28, basic/patterns/subscriptions and basic/patterns/cancellation.

use serde_json::Value;

use crate::script::ExchangeNo;
use crate::script::interpreter::{Face, Interpreter};
use crate::script::logging::MESSAGE;
use crate::script::modern::{self, Filter, LISTEN};
use crate::script::server::Server;
use crate::script::task::{At, Cause};
use crate::script::wire;

/// Most subscriptions of one connection; those beyond are ended at once.
const SUBSCRIPTIONS_MAX: usize = 1_024;

/// The subscriptions of one connection.
#[derive(Debug, Default)]
pub(super) struct Subscriptions {
    open: Vec<Subscription>,
    /// Ids of those that their client ended, until it asks under such an id again.
    cancelled: Vec<Value>,
}

#[derive(Debug)]
struct Subscription {
    id: Value,
    /// The stream it is sent on, over HTTP.
    exchange: Option<ExchangeNo>,
    filter: Filter,
}

impl Subscriptions {
    /// A client asks under this id, whatever it did with it before.
    pub(super) fn ask(&mut self, id: &Value) {
        self.cancelled.retain(|one| one != id);
    }

    /// The client ends the one with this id.
    pub(super) fn cancel(&mut self, id: &Value) {
        if self.end(id) {
            self.cancelled.push(id.clone());
        }
    }

    /// Ends the one on this stream.
    pub(super) fn end_with(&mut self, exchange: ExchangeNo) {
        self.open.retain(|one| one.exchange != Some(exchange));
    }

    /// Ends the one with this id; whether there was one.
    fn end(&mut self, id: &Value) -> bool {
        let n_before = self.open.len();
        self.open.retain(|one| one.id != *id);
        self.open.len() < n_before
    }

    fn has_room(&self) -> bool {
        self.open.len() + self.cancelled.len() < SUBSCRIPTIONS_MAX
    }
}

impl Interpreter {
    /// Does what an honest server does about a request to listen; whether this was one.
    ///
    /// The first time it is acknowledged and stays open. A script that settles it once more ends it in order.
    pub(super) fn settle_listen(&mut self, cause: &Cause, at: At) -> bool {
        let Cause::Request { id, method, params } = cause else { return false };
        let Some(talk) = at.connection.filter(|_| method == LISTEN).and_then(|number| self.talks.get_mut(&number))
        else {
            return false;
        };
        if talk.subscriptions.end(id) {
            return false;
        }
        if talk.subscriptions.cancelled.contains(id) {
            return true;
        }
        match talk.server.grants(params).filter(|_| talk.subscriptions.has_room()) {
            Some(filter) if self.is_awaited(at) => self.subscribe(at, id, filter),
            Some(_) => {}
            None => return false,
        }
        true
    }

    fn subscribe(&mut self, at: At, id: &Value, filter: Filter) {
        self.send_apart(at, filter.acknowledgement(id));
        let exchange = at.exchange;
        let Some(talk) = at.connection.and_then(|number| self.talks.get_mut(&number)) else { return };
        talk.streams.extend(exchange);
        talk.subscriptions.open.push(Subscription { id: id.clone(), exchange, filter });
    }

    /// Sends a notification; what is subscribed to goes to those alone who asked for it.
    pub(super) fn send_notification(&mut self, at: At, method: &str, params: Option<&Value>) {
        for number in self.numbers_at(at) {
            let server = self.talks.get(&number).map(|talk| &talk.server);
            if method == MESSAGE && server.is_some_and(|server| !server.tells_log(params)) {
                continue;
            }
            if server.is_some_and(Server::is_modern) && modern::is_subscribed_to(method) {
                self.send_to_listeners(number, method, params);
            } else {
                self.notify(At { connection: Some(number), ..at }, &wire::notification_line(method, params));
            }
        }
    }

    fn send_to_listeners(&mut self, number: u64, method: &str, params: Option<&Value>) {
        let Some(talk) = self.talks.get(&number) else { return };
        let asked = talk.subscriptions.open.iter().filter(|one| one.filter.lets_through(method));
        let lines: Vec<_> = asked.map(|one| (one.exchange, modern::notification_of(&one.id, method, params))).collect();
        for (exchange, line) in lines {
            self.send_apart(At { connection: Some(number), exchange, seat: None }, line);
        }
    }

    /// Sends a message on the stream of its own exchange, which goes on.
    fn send_apart(&mut self, at: At, line: Vec<u8>) {
        match (&self.face, at.exchange) {
            (Face::Line(_), _) => self.send_line(line),
            (Face::Http(_), Some(no)) => {
                self.begin_stream(no);
                self.stream_message(no, at, &line);
            }
            (Face::Http(_), None) => {}
        }
    }
}
