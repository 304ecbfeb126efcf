//! Sessions and their streams, from the first to the last.

use crate::history::{EventKind, SessionId, WireEnd};
use crate::script::http::admit::Refusal;
use crate::script::http::{Exchange, ExchangeNo};
use crate::script::interpreter::Interpreter;
use crate::script::task::At;

impl Interpreter {
    /// Gives the connection that this exchange begins its session.
    pub(super) fn hand_out_session(&mut self, no: ExchangeNo) -> Option<SessionId> {
        let http = self.http()?;
        let exchange = http.exchanges.get(&no).filter(|exchange| exchange.opens)?;
        let number = exchange.connection?;
        let fresh = SessionId(format!("{}-{number}", http.setup.session_prefix));
        let last = http.last_session.clone();
        let talk = self.talks.get_mut(&number)?;
        let session = last.filter(|_| talk.repeats_session).unwrap_or(fresh);
        if talk.session.is_some() {
            return None;
        }
        talk.session = Some(session.clone());
        let connection = talk.id.clone();
        if let Some(http) = self.http() {
            http.sessions.insert(session.clone(), number);
            http.last_session = Some(session.clone());
        }
        self.journal(EventKind::SessionOpened { connection, session: session.clone() });
        Some(session)
    }

    /// Takes an exchange that is over off the books.
    pub(super) fn take_exchange(&mut self, no: ExchangeNo, how: WireEnd) -> Option<Exchange> {
        let exchange = self.http()?.exchanges.remove(&no)?;
        if let Some(talk) = exchange.connection.and_then(|number| self.talks.get_mut(&number)) {
            talk.streams.retain(|stream| *stream != no);
            talk.subscriptions.end_with(no);
        }
        self.journal(EventKind::HttpEnded { exchange: no.id(), how });
        Some(exchange)
    }

    /// A connection is over with the exchange that was to open it, where its opening came to nothing; over HTTP with
    /// server-sent events in any case: that exchange is its stream.
    pub(super) fn close_with(&mut self, done: Option<Exchange>, how: WireEnd) {
        let Some(number) = done.filter(|exchange| exchange.opens).and_then(|exchange| exchange.connection) else {
            return;
        };
        if self.is_sse() || self.talks.get(&number).is_some_and(|talk| talk.session.is_none()) {
            self.close_talk(number, how, None);
        }
    }

    /// The stream of a session is open: what waited for it is sent.
    pub(in crate::script) fn open_stream(&mut self, at: At) {
        let (Some(no), Some(number)) = (at.exchange, at.connection) else { return };
        let is_awaited = self.http().is_some_and(|http| http.is_open(no));
        if !is_awaited || !self.talks.contains_key(&number) {
            return;
        }
        self.begin_stream(no);
        let Some(talk) = self.talks.get_mut(&number) else { return };
        talk.streams.push(no);
        for line in talk.take_notes() {
            self.stream_message(no, at, &line);
        }
        self.give_returned(no, at);
    }

    /// A client has come back to take up a stream that ended: it is given what was kept for it, and the stream ends.
    fn give_returned(&mut self, no: ExchangeNo, at: At) {
        let resumes = self.http().and_then(|http| http.exchanges.get(&no)).is_some_and(|exchange| exchange.resumes);
        let talk = at.connection.and_then(|number| self.talks.get_mut(&number)).filter(|_| resumes);
        let lines = talk.map(|talk| std::mem::take(&mut talk.returns)).unwrap_or_default();
        for line in &lines {
            self.stream_message(no, at, line);
        }
        if !lines.is_empty() {
            self.end_stream(no);
        }
    }

    /// Sends a message that is no answer on the newest stream of a connection, or keeps it until there is one.
    pub(in crate::script) fn push_note(&mut self, number: u64, line: &[u8]) {
        let Some(talk) = self.talks.get_mut(&number) else { return };
        if let Some(no) = talk.streams.last().copied() {
            self.stream_message(no, At { connection: Some(number), exchange: Some(no), seat: None }, line);
        } else if !talk.keep(line.to_vec()) {
            let because = "too many wait for the stream of a session".to_owned();
            self.journal(EventKind::EvidenceTruncated { what: "notifications".to_owned(), because });
        }
    }

    /// A client asked for the end of its session.
    pub(in crate::script) fn delete_session(&mut self, at: At) {
        let (Some(no), Some(number)) = (at.exchange, at.connection) else { return };
        self.close_talk(number, WireEnd::ByClient, Some(no));
        self.respond(no, 204, &[], Vec::new());
    }

    /// A connection is over: its session is unknown from now on, its streams end, and what waits for an answer, except this
    /// exchange, is told so.
    pub(super) fn close_talk(&mut self, number: u64, how: WireEnd, except: Option<ExchangeNo>) {
        let Some(talk) = self.talks.remove(&number) else { return };
        if let Some(session) = talk.session {
            if let Some(http) = self.http() {
                http.sessions.remove(&session);
            }
            self.journal(EventKind::SessionClosed { connection: talk.id.clone(), session, how });
        }
        self.journal(EventKind::ConnectionClosed { connection: talk.id, how });
        let Some(http) = self.http() else { return };
        let is_of_it = |(_, exchange): &(&ExchangeNo, &Exchange)| exchange.connection == Some(number);
        let open: Vec<_> = http.exchanges.iter().filter(is_of_it).map(|(no, one)| (*no, one.streams)).collect();
        for (no, streams) in open.into_iter().filter(|(no, _)| Some(*no) != except) {
            if streams { self.end_stream(no) } else { self.refuse(no, &Refusal::UNKNOWN_SESSION) }
        }
    }

    /// Every connection is over, because the mock is.
    pub(in crate::script) fn close_talks(&mut self, how: WireEnd) {
        for number in self.talks.keys().copied().collect::<Vec<_>>() {
            let Some(talk) = self.talks.remove(&number) else { continue };
            if let Some(session) = talk.session {
                self.journal(EventKind::SessionClosed { connection: talk.id.clone(), session, how });
            }
            self.journal(EventKind::ConnectionClosed { connection: talk.id, how });
        }
    }
}
