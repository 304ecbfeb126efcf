//! The state of one conversation over HTTP.
//!
//! rmcp hands over messages one by one. Each becomes a future of its own, and [`Driver::run`] polls all of them. A future
//! returns its result as an event, and only this file acts on events.
//!
//! When the server answers 404 to a session id, the first such answer begins a renewal: `initialize` and `initialized`
//! once more. Requests that the server refused meanwhile, and requests that arrive meanwhile, wait for the renewal and
//! are sent after it, each at most twice. Requests of the old session that have no answer yet get a short grace.

use std::collections::HashMap;
use std::future::pending;
use std::pin::Pin;
use std::sync::Arc;

use futures_util::future::{AbortHandle, Abortable, BoxFuture, FutureExt};
use futures_util::stream::{FuturesUnordered, StreamExt};
use hyper::body::Bytes;
use rmcp::model::{ClientNotification, ClientRequest, JsonRpcMessage, RequestId};
use tokio::time::{sleep, timeout};

use super::super::process::Ending;
use super::super::wire::WireNotes;
use super::error::HttpError;
use super::exchange::Exchange;
use super::mcp_session::McpSession;
use super::post::SessionClient;
use super::posted::{Done, Mail, Outgoing, Posted, settle};
use super::socket::Flight;
use super::stream::{StreamOver, listen};
use super::target::Target;
use super::turns::{
    announce, answer, delete, initialize_first, is_gone, refusal, renew, says_nothing_of_eras, tools_changed, within,
};

/// A request that waits for its answer, or for its turn.
struct Ask {
    id: RequestId,
    body: Bytes,
    done: Done,
    /// Whether a session has refused it before.
    refused: Refused,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refused {
    Never,
    Once,
}

/// A request that was sent.
struct Open {
    ask: Ask,
    /// The session it was sent in.
    session: u32,
    flight: Arc<Flight>,
    abort: AbortHandle,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before `initialized` was accepted.
    Opening,
    Open,
    Renewing,
    Over,
}

enum Event {
    /// `initialize` was answered.
    Answered(Result<Option<Exchange>, HttpError>),
    Initialized(Done, Result<(), HttpError>),
    Asked(RequestId, Result<Option<Exchange>, HttpError>),
    Told {
        session: u32,
        done: Done,
        outcome: Result<(), HttpError>,
    },
    Announced {
        id: RequestId,
        session: u32,
        done: Done,
        outcome: Result<(), HttpError>,
    },
    Renewed(Result<Arc<McpSession>, HttpError>),
    GraceOver,
    Nothing,
}

/// One conversation over HTTP. Dropping it closes every socket.
pub(in super::super) struct Driver {
    target: Arc<Target>,
    notes: Arc<WireNotes>,
    mail: Mail,
    state: State,
    session: Arc<McpSession>,
    /// `initialize` and `initialized`, kept for a renewal.
    handshake: (Option<ClientRequest>, Bytes),
    in_flight: FuturesUnordered<BoxFuture<'static, Event>>,
    /// Questions about the era that were not settled otherwise.
    probes: Vec<AbortHandle>,
    /// Requests that were sent, by id.
    open: HashMap<RequestId, Open>,
    /// Requests that wait for a renewal, in the order they were sent.
    waiting: Vec<Ask>,
    stream: Option<BoxFuture<'static, StreamOver>>,
    /// Whether the server has forgotten the session of this session.
    forgotten: bool,
    /// Whether a GET that was never answered with a stream has led to a renewal already.
    stream_expired_unopened: bool,
}

impl Driver {
    /// A conversation that has not begun.
    pub(in super::super) fn new(target: Target, notes: Arc<WireNotes>) -> (Self, Posted) {
        let (mail, posted) = Posted::new();
        let carrier = Self {
            target: Arc::new(target),
            notes,
            mail,
            state: State::Opening,
            session: Arc::new(McpSession::new(1)),
            handshake: (None, Bytes::new()),
            in_flight: FuturesUnordered::new(),
            probes: Vec::new(),
            open: HashMap::new(),
            waiting: Vec::new(),
            stream: None,
            forgotten: false,
            stream_expired_unopened: false,
        };
        (carrier, posted)
    }

    /// Carries messages until the conversation is lost or rmcp has dropped it. Safe to cancel.
    pub(in super::super) async fn run(&mut self) {
        while self.state != State::Over {
            tokio::select! {
                biased;
                outgoing = self.mail.outbox.recv() => match outgoing {
                    Some(outgoing) => self.begin(outgoing),
                    None => return,
                },
                Some(event) = self.in_flight.next(), if !self.in_flight.is_empty() => self.take(event),
                over = until_over(&mut self.stream) => {
                    self.stream = None;
                    self.stream_over(over);
                }
            }
        }
    }

    /// Cuts whatever is in flight, then ends the session at the server, within [`Bounds::delete`](super::super::Bounds::delete).
    pub(in super::super) async fn shut_down(mut self) -> Ending {
        self.let_go();
        if self.session.session_id().is_none() || self.forgotten {
            return Ending::NoSession;
        }
        match timeout(self.target.bounds.delete, delete(&self.target, &self.session)).await {
            Ok(Ok(status)) if status.is_success() => Ending::SessionDeleted,
            Ok(Ok(_) | Err(_)) | Err(_) => Ending::SessionLeft,
        }
    }

    fn client(&self) -> SessionClient {
        SessionClient {
            target: Arc::clone(&self.target),
            session: Arc::clone(&self.session),
            inbox: self.mail.inbox.clone(),
        }
    }

    fn begin(&mut self, Outgoing { message, done }: Outgoing) {
        let body = Bytes::from(serde_json::to_vec(&message).expect("every key in a message is a string"));
        match message {
            JsonRpcMessage::Request(request) => match request.request {
                ClientRequest::DiscoverRequest(_) => self.probe(request.id, body, done),
                initialize @ ClientRequest::InitializeRequest(_) => {
                    self.handshake.0 = Some(initialize);
                    self.give_up_probes();
                    self.in_flight
                        .push(Box::pin(initialize_first(self.client(), request.id, body, done).map(Event::Answered)));
                }
                _ => self.ask_in_turn(Ask { id: request.id, body, done, refused: Refused::Never }),
            },
            JsonRpcMessage::Notification(notification) => match notification.notification {
                ClientNotification::InitializedNotification(_) => {
                    self.handshake.1 = body.clone();
                    let client = self.client();
                    let told = async move { Event::Initialized(done, client.tell(body).await) };
                    self.in_flight.push(Box::pin(told));
                }
                ClientNotification::CancelledNotification(cancelled) => match cancelled.params.request_id {
                    Some(id) => self.cancel(id, body, done),
                    None => self.tell(body, done),
                },
                _ => self.tell(body, done),
            },
            JsonRpcMessage::Response(_) | JsonRpcMessage::Error(_) => self.tell(body, done),
        }
    }

    /// Asks which era the server is of. rmcp waits for the question to be accepted, and only then reads.
    fn probe(&mut self, id: RequestId, body: Bytes, done: Done) {
        settle(done, Ok(()));
        let (client, flight) = (self.client(), Flight::new());
        let (abort, registration) = AbortHandle::new_pair();
        self.probes.push(abort);
        let asked = async move {
            match answer(&client, &id, body, &flight).await {
                Err(error) if says_nothing_of_eras(&error) => {
                    Event::Answered(client.deliver(refusal(id, &error)).await.map(|()| None))
                }
                outcome => Event::Answered(outcome),
            }
        };
        self.in_flight.push(Box::pin(Abortable::new(asked, registration).map(|event| event.unwrap_or(Event::Nothing))));
    }

    /// Closes the sockets of questions that are taken for answered.
    fn give_up_probes(&mut self) {
        self.probes.drain(..).for_each(|probe| probe.abort());
    }

    /// Whether there is no session, because none was ever to be opened.
    fn is_modern(&self) -> bool {
        self.handshake.0.is_none()
    }

    fn ask_in_turn(&mut self, ask: Ask) {
        match self.state {
            State::Opening | State::Open => self.ask(ask),
            State::Renewing => self.waiting.push(ask),
            State::Over => {}
        }
    }

    fn ask(&mut self, ask: Ask) {
        let (client, id, body) = (self.client(), ask.id.clone(), ask.body.clone());
        let flight = Flight::new();
        let (abort, registration) = AbortHandle::new_pair();
        let session = self.session.number;
        self.open.insert(id.clone(), Open { ask, session, flight: Arc::clone(&flight), abort });
        let asked = async move {
            let outcome = answer(&client, &id, body, &flight).await;
            Event::Asked(id, outcome)
        };
        // The aborting caller has already completed all requests.
        self.in_flight.push(Box::pin(Abortable::new(asked, registration).map(|event| event.unwrap_or(Event::Nothing))));
    }

    /// Announces a cancellation, if its request is open and the server knows of it. In the modern era the end of its socket
    /// says it.
    fn cancel(&mut self, id: RequestId, body: Bytes, done: Done) {
        if self.is_modern() {
            self.abort(&id, HttpError::Cancelled);
            settle(done, Ok(()));
            return;
        }
        let is_current = self.state != State::Renewing;
        match self.open.get(&id) {
            Some(open) if is_current && open.session == self.session.number && !open.flight.is_answered() => {
                let (client, flight, limit) = (self.client(), Arc::clone(&open.flight), self.target.bounds.announce);
                let session = open.session;
                self.in_flight.push(Box::pin(async move {
                    let announced = within(limit, announce(&client, &flight, body)).await;
                    Event::Announced { id, session, done, outcome: announced }
                }));
            }
            found => {
                // A session that is forgotten has no requests, and one that was answered is not open.
                if found.is_none_or(|open| !open.flight.is_answered()) {
                    self.abort(&id, HttpError::Cancelled);
                }
                settle(done, Ok(()));
            }
        }
    }

    /// POSTs a message that has no answer. A message of a forgotten session is dropped, because no server would take
    /// it.
    fn tell(&mut self, body: Bytes, done: Done) {
        if self.state == State::Renewing {
            settle(done, Err(HttpError::SessionExpired));
            return;
        }
        let (client, limit, session) = (self.client(), self.target.bounds.announce, self.session.number);
        self.in_flight.push(Box::pin(async move {
            let outcome = within(limit, client.tell(body)).await;
            Event::Told { session, done, outcome }
        }));
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Answered(Ok(rest)) => self.linger(rest),
            Event::Answered(Err(error)) => self.lose(Arc::new(error)),
            Event::Initialized(done, Ok(())) => {
                self.state = State::Open;
                self.stream = Some(Box::pin(listen(self.client())));
                settle(done, Ok(()));
            }
            Event::Initialized(_, Err(error)) => self.lose(Arc::new(error)),
            Event::Asked(id, outcome) => self.asked(&id, outcome),
            Event::Told { session, done, outcome } => {
                self.note_expiry(session, &outcome);
                settle(done, outcome);
            }
            Event::Announced { id, session, done, outcome } => {
                self.note_expiry(session, &outcome);
                self.abort(&id, HttpError::Cancelled);
                settle(done, outcome);
            }
            Event::Renewed(Ok(session)) => self.renewed(session),
            Event::Renewed(Err(error)) => self.lose(Arc::new(HttpError::NotRenewed(Arc::new(error)))),
            Event::GraceOver => self.end_stragglers(),
            Event::Nothing => {}
        }
    }

    fn asked(&mut self, id: &RequestId, outcome: Result<Option<Exchange>, HttpError>) {
        let Some(Open { ask, session, .. }) = self.open.remove(id) else { return };
        match outcome {
            Ok(rest) => {
                if session == self.session.number {
                    self.session.prove();
                }
                settle(ask.done, Ok(()));
                self.linger(rest);
            }
            Err(HttpError::SessionExpired) => self.refused(ask, session),
            Err(error) => {
                let error = Arc::new(error);
                let _ = ask.done.send(Err(Arc::clone(&error)));
                if is_gone(&error) {
                    self.lose(error);
                }
            }
        }
    }

    /// A request was answered 404, so the server did not process it.
    fn refused(&mut self, ask: Ask, session: u32) {
        let expired = Err(HttpError::SessionExpired);
        if ask.refused == Refused::Once {
            self.note_expiry(session, &expired);
            settle(ask.done, expired);
            return;
        }
        self.note_expiry(session, &expired);
        self.ask_in_turn(Ask { refused: Refused::Once, ..ask });
    }

    /// The first refusal of a session begins its renewal; those after it find that it has begun.
    fn note_expiry(&mut self, session: u32, outcome: &Result<(), HttpError>) {
        let is_first = self.state == State::Open && session == self.session.number;
        if !is_first || !matches!(outcome, Err(HttpError::SessionExpired)) {
            return;
        }
        self.forgotten = true;
        if self.session.is_unproven_renewal() {
            // It forgets each session at once: another one would fare no better.
            self.lose(Arc::new(HttpError::SessionExpired));
            return;
        }
        let (Some(initialize), initialized) = self.handshake.clone() else { return };
        self.state = State::Renewing;
        self.stream = None;
        let client = SessionClient { session: Arc::new(McpSession::new(session + 1)), ..self.client() };
        self.in_flight.push(Box::pin(renew(client, initialize, initialized).map(Event::Renewed)));
    }

    fn renewed(&mut self, session: Arc<McpSession>) {
        self.state = State::Open;
        self.session = session;
        self.forgotten = false;
        self.stream = Some(Box::pin(listen(self.client())));
        for ask in std::mem::take(&mut self.waiting) {
            self.ask(ask);
        }
        // What was listed in the old session may not hold in the new one.
        let client = self.client();
        self.in_flight.push(Box::pin(async move {
            // An error means that rmcp has dropped the conversation.
            let _ = client.deliver(tools_changed()).await;
            Event::Nothing
        }));
        let grace = self.target.bounds.expired_grace;
        self.in_flight.push(Box::pin(sleep(grace).map(|()| Event::GraceOver)));
    }

    /// Requests that a forgotten session has neither refused nor answered: their outcome is unknown.
    fn end_stragglers(&mut self) {
        let current = self.session.number;
        let old = self.open.values().filter(|open| open.session < current);
        for id in old.map(|open| open.ask.id.clone()).collect::<Vec<_>>() {
            self.abort(&id, HttpError::SessionExpired);
        }
    }

    fn stream_over(&mut self, over: StreamOver) {
        match over {
            StreamOver::Refused => {}
            StreamOver::Expired { was_open } => {
                // A server without such a stream may say 404 where it should say 405. It does so every time.
                let again = !was_open && std::mem::replace(&mut self.stream_expired_unopened, true);
                if !again {
                    self.note_expiry(self.session.number, &Err(HttpError::SessionExpired));
                }
            }
            StreamOver::GivenUp(error) if is_gone(&error) => self.lose(Arc::new(error)),
            StreamOver::GivenUp(_) => {}
        }
    }

    /// Gives a request up, wherever it is.
    fn abort(&mut self, id: &RequestId, because: HttpError) {
        self.waiting.retain(|ask| ask.id != *id);
        if let Some(Open { ask, abort, .. }) = self.open.remove(id) {
            abort.abort();
            settle(ask.done, Err(because));
        }
    }

    /// Lets the server end a stream that has nothing more to say.
    fn linger(&mut self, rest: Option<Exchange>) {
        if let Some(rest) = rest {
            let limit = self.target.bounds.last_words;
            self.in_flight.push(Box::pin(timeout(limit, rest.until_end()).map(|_| Event::Nothing)));
        }
    }

    /// Ends the conversation with this reason. The first reason counts.
    fn lose(&mut self, because: Arc<HttpError>) {
        self.notes.lose(because);
        self.state = State::Over;
        self.let_go();
    }

    /// Closes every socket. Every waiter of this conversation gets its end.
    fn let_go(&mut self) {
        self.in_flight = FuturesUnordered::new();
        self.stream = None;
        self.open.clear();
        self.waiting.clear();
        self.mail.let_go();
    }
}

async fn until_over(stream: &mut Option<Pin<Box<dyn Future<Output = StreamOver> + Send>>>) -> StreamOver {
    match stream {
        Some(stream) => stream.await,
        None => pending().await,
    }
}
