//! The state of one conversation over HTTP.
//!
//! rmcp hands over messages one by one. Each becomes a future of its own, and [`Carrier::run`] polls all of them. A future
//! returns its result as an event, and only this file acts on events.
//!
//! When the server answers 404 to a session id, the first such answer begins a renewal: `initialize` and `initialized`
//! once more. Requests that were refused meanwhile, and those that come meanwhile, wait for it and are sent then, each at
//! most twice. Requests that the old session still owes an answer get a short grace.

use std::collections::HashMap;
use std::future::pending;
use std::pin::Pin;
use std::sync::Arc;

use futures_util::future::{AbortHandle, Abortable, BoxFuture, FutureExt};
use futures_util::stream::{FuturesUnordered, StreamExt};
use hyper::body::Bytes;
use rmcp::RoleClient;
use rmcp::model::{
    ClientNotification, ClientRequest, ErrorCode, ErrorData, JsonRpcError, JsonRpcMessage, RequestId,
    ServerNotification, ServerResult, ToolListChangedNotification,
};
use rmcp::service::TxJsonRpcMessage;
use tokio::time::{sleep, timeout};

use super::super::options::Revision;
use super::super::process::Ending;
use super::super::wire::WireNotes;
use super::epoch::Epoch;
use super::error::HttpError;
use super::exchange::Exchange;
use super::post::{Broken, Message, Talk};
use super::posted::{Done, Mail, Outgoing, Posted, settle};
use super::site::{Purpose, Site, session_id_header};
use super::socket::{Flight, Payload};
use super::stream::{StreamOver, listen};

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
    /// The epoch it was sent in.
    epoch: u32,
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
        epoch: u32,
        done: Done,
        outcome: Result<(), HttpError>,
    },
    Announced {
        id: RequestId,
        epoch: u32,
        done: Done,
        outcome: Result<(), HttpError>,
    },
    Renewed(Result<Arc<Epoch>, HttpError>),
    GraceOver,
    Nothing,
}

/// One conversation over HTTP. Dropping it closes every socket.
pub(in super::super) struct Carrier {
    site: Arc<Site>,
    notes: Arc<WireNotes>,
    mail: Mail,
    state: State,
    epoch: Arc<Epoch>,
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
    /// Whether the server has forgotten the session of this epoch.
    forgotten: bool,
    /// Whether a GET that was never answered with a stream has led to a renewal already.
    stream_expired_unopened: bool,
}

impl Carrier {
    /// A conversation that has not begun.
    pub(in super::super) fn new(site: Site, notes: Arc<WireNotes>) -> (Self, Posted) {
        let (mail, posted) = Posted::new();
        let carrier = Self {
            site: Arc::new(site),
            notes,
            mail,
            state: State::Opening,
            epoch: Arc::new(Epoch::new(1)),
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

    /// Carries messages until the conversation is lost or rmcp has let go of it. Safe to cancel.
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
        if self.epoch.session_id().is_none() || self.forgotten {
            return Ending::NoSession;
        }
        match timeout(self.site.bounds.delete, delete(&self.site, &self.epoch)).await {
            Ok(Ok(status)) if status.is_success() => Ending::SessionDeleted,
            Ok(Ok(_) | Err(_)) | Err(_) => Ending::SessionLeft,
        }
    }

    fn talk(&self) -> Talk {
        Talk { site: Arc::clone(&self.site), epoch: Arc::clone(&self.epoch), inbox: self.mail.inbox.clone() }
    }

    fn begin(&mut self, Outgoing { message, done }: Outgoing) {
        let body = Bytes::from(serde_json::to_vec(&message).expect("every key in a message is a string"));
        match message {
            JsonRpcMessage::Request(request) => match request.request {
                ClientRequest::DiscoverRequest(_) => self.probe(request.id, body, done),
                initialize @ ClientRequest::InitializeRequest(_) => {
                    self.handshake.0 = Some(initialize);
                    self.give_up_probes();
                    self.in_flight.push(Box::pin(initialize_first(self.talk(), request.id, body, done)));
                }
                _ => self.ask_in_turn(Ask { id: request.id, body, done, refused: Refused::Never }),
            },
            JsonRpcMessage::Notification(notification) => match notification.notification {
                ClientNotification::InitializedNotification(_) => {
                    self.handshake.1 = body.clone();
                    let talk = self.talk();
                    let told = async move { Event::Initialized(done, talk.tell(body).await) };
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
        let (talk, flight) = (self.talk(), Flight::new());
        let (abort, registration) = AbortHandle::new_pair();
        self.probes.push(abort);
        let asked = async move {
            match answer(&talk, &id, body, &flight).await {
                Err(error) if says_nothing_of_eras(&error) => {
                    Event::Answered(talk.deliver(refusal(id, &error)).await.map(|()| None))
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
        let (talk, id, body) = (self.talk(), ask.id.clone(), ask.body.clone());
        let flight = Flight::new();
        let (abort, registration) = AbortHandle::new_pair();
        let epoch = self.epoch.number;
        self.open.insert(id.clone(), Open { ask, epoch, flight: Arc::clone(&flight), abort });
        let asked = async move {
            let outcome = answer(&talk, &id, body, &flight).await;
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
            Some(open) if is_current && open.epoch == self.epoch.number && !open.flight.is_answered() => {
                let (talk, flight, limit) = (self.talk(), Arc::clone(&open.flight), self.site.bounds.announce);
                let epoch = open.epoch;
                self.in_flight.push(Box::pin(async move {
                    let announced = within(limit, announce(&talk, &flight, body)).await;
                    Event::Announced { id, epoch, done, outcome: announced }
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

    /// POSTs what has no answer. What belongs to a session that is forgotten has nobody to go to.
    fn tell(&mut self, body: Bytes, done: Done) {
        if self.state == State::Renewing {
            settle(done, Err(HttpError::SessionExpired));
            return;
        }
        let (talk, limit, epoch) = (self.talk(), self.site.bounds.announce, self.epoch.number);
        self.in_flight.push(Box::pin(async move {
            let outcome = within(limit, talk.tell(body)).await;
            Event::Told { epoch, done, outcome }
        }));
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Answered(Ok(rest)) => self.linger(rest),
            Event::Answered(Err(error)) => self.lose(Arc::new(error)),
            Event::Initialized(done, Ok(())) => {
                self.state = State::Open;
                self.stream = Some(Box::pin(listen(self.talk())));
                settle(done, Ok(()));
            }
            Event::Initialized(_, Err(error)) => self.lose(Arc::new(error)),
            Event::Asked(id, outcome) => self.asked(&id, outcome),
            Event::Told { epoch, done, outcome } => {
                self.note_expiry(epoch, &outcome);
                settle(done, outcome);
            }
            Event::Announced { id, epoch, done, outcome } => {
                self.note_expiry(epoch, &outcome);
                self.abort(&id, HttpError::Cancelled);
                settle(done, outcome);
            }
            Event::Renewed(Ok(epoch)) => self.renewed(epoch),
            Event::Renewed(Err(error)) => self.lose(Arc::new(HttpError::NotRenewed(Arc::new(error)))),
            Event::GraceOver => self.end_stragglers(),
            Event::Nothing => {}
        }
    }

    fn asked(&mut self, id: &RequestId, outcome: Result<Option<Exchange>, HttpError>) {
        let Some(Open { ask, epoch, .. }) = self.open.remove(id) else { return };
        match outcome {
            Ok(rest) => {
                if epoch == self.epoch.number {
                    self.epoch.prove();
                }
                settle(ask.done, Ok(()));
                self.linger(rest);
            }
            Err(HttpError::SessionExpired) => self.refused(ask, epoch),
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
    fn refused(&mut self, ask: Ask, epoch: u32) {
        let expired = Err(HttpError::SessionExpired);
        if ask.refused == Refused::Once {
            self.note_expiry(epoch, &expired);
            settle(ask.done, expired);
            return;
        }
        self.note_expiry(epoch, &expired);
        self.ask_in_turn(Ask { refused: Refused::Once, ..ask });
    }

    /// The first refusal of a session begins its renewal; those after it find that it has begun.
    fn note_expiry(&mut self, epoch: u32, outcome: &Result<(), HttpError>) {
        let is_first = self.state == State::Open && epoch == self.epoch.number;
        if !is_first || !matches!(outcome, Err(HttpError::SessionExpired)) {
            return;
        }
        self.forgotten = true;
        if self.epoch.is_unproven_renewal() {
            // It forgets each session at once: another one would fare no better.
            self.lose(Arc::new(HttpError::SessionExpired));
            return;
        }
        let (Some(initialize), initialized) = self.handshake.clone() else { return };
        self.state = State::Renewing;
        self.stream = None;
        let talk = Talk { epoch: Arc::new(Epoch::new(epoch + 1)), ..self.talk() };
        self.in_flight.push(Box::pin(renew(talk, initialize, initialized).map(Event::Renewed)));
    }

    fn renewed(&mut self, epoch: Arc<Epoch>) {
        self.state = State::Open;
        self.epoch = epoch;
        self.forgotten = false;
        self.stream = Some(Box::pin(listen(self.talk())));
        for ask in std::mem::take(&mut self.waiting) {
            self.ask(ask);
        }
        // What was listed in the old session may not hold in the new one.
        let talk = self.talk();
        self.in_flight.push(Box::pin(async move {
            // An error means that rmcp has let go.
            let _ = talk.deliver(tools_changed()).await;
            Event::Nothing
        }));
        let grace = self.site.bounds.expired_grace;
        self.in_flight.push(Box::pin(sleep(grace).map(|()| Event::GraceOver)));
    }

    /// Requests that a forgotten session has neither refused nor answered: nobody knows what became of them.
    fn end_stragglers(&mut self) {
        let current = self.epoch.number;
        let old = self.open.values().filter(|open| open.epoch < current);
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
                    self.note_expiry(self.epoch.number, &Err(HttpError::SessionExpired));
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
            let limit = self.site.bounds.last_words;
            self.in_flight.push(Box::pin(timeout(limit, rest.until_end()).map(|_| Event::Nothing)));
        }
    }

    /// Ends the conversation with this reason. The first reason stands.
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

pub(super) async fn within<T>(
    bound: std::time::Duration,
    work: impl Future<Output = Result<T, HttpError>>,
) -> Result<T, HttpError> {
    timeout(bound, work).await.unwrap_or(Err(HttpError::TimedOut { bound }))
}

/// Whether nobody listens at the server's address.
pub(super) fn is_gone(error: &HttpError) -> bool {
    matches!(error, HttpError::Connect { source, .. } if source.kind() == std::io::ErrorKind::ConnectionRefused)
}

/// The first `initialize`. rmcp waits for it to be accepted, and only then reads, so both are told apart.
async fn initialize_first(talk: Talk, id: RequestId, body: Bytes, done: Done) -> Event {
    let answered = async {
        let exchange = talk.post(body, &Flight::new()).await?;
        talk.epoch.note_session_id(exchange.header(&session_id_header()));
        settle(done, Ok(()));
        let answer = talk.read_answer(exchange, &id, Broken::Resumed).await?;
        talk.epoch.note_revision(revision(&answer.message));
        talk.deliver(answer.message).await?;
        Ok(answer.rest)
    };
    Event::Answered(answered.await)
}

/// One request, until its answer is handed to rmcp.
async fn answer(talk: &Talk, id: &RequestId, body: Bytes, flight: &Arc<Flight>) -> Result<Option<Exchange>, HttpError> {
    let answer = talk.ask(id, body, flight).await?;
    // Before it is handed on, so that nobody cancels what was answered.
    flight.mark_answered();
    talk.deliver(answer.message).await?;
    Ok(answer.rest)
}

/// Waits until the request has left, then announces its cancellation, unless it was answered meanwhile.
async fn announce(talk: &Talk, flight: &Flight, body: Bytes) -> Result<(), HttpError> {
    flight.sent().await;
    if flight.is_answered() { Ok(()) } else { talk.tell(body).await }
}

/// `initialize` and `initialized` once more, within [`Bounds::connect`]. rmcp does not learn of it.
async fn renew(talk: Talk, initialize: ClientRequest, initialized: Bytes) -> Result<Arc<Epoch>, HttpError> {
    let renewed = async {
        // A text, so that it differs from all ids of rmcp, which are numbers.
        let id = RequestId::String(format!("initialize-{}", talk.epoch.number).into());
        let message = TxJsonRpcMessage::<RoleClient>::request(initialize, id.clone());
        let body = Bytes::from(serde_json::to_vec(&message).expect("every key in a message is a string"));
        let exchange = talk.post(body, &Flight::new()).await?;
        talk.epoch.note_session_id(exchange.header(&session_id_header()));
        let answer = talk.read_answer(exchange, &id, Broken::Resumed).await?;
        talk.epoch.note_revision(Some(revision(&answer.message).ok_or_else(|| bad_renewal(&answer.message))?));
        talk.tell(initialized).await?;
        Ok(Arc::clone(&talk.epoch))
    };
    within(talk.site.bounds.connect, renewed).await
}

/// Whether a refusal is of no modern form, so that a server of the legacy era may have given it.
///
/// Source: revision 2026-07-28, basic/transports/streamable-http, Backward Compatibility.
fn says_nothing_of_eras(error: &HttpError) -> bool {
    matches!(error, HttpError::Status { found: 400..500, .. })
        && !matches!(error, HttpError::Status { found: 401 | 403, .. })
}

/// A refusal as an answer, which is what rmcp looks at.
fn refusal(id: RequestId, error: &HttpError) -> Message {
    let error = ErrorData::new(ErrorCode::METHOD_NOT_FOUND, error.to_string(), None);
    JsonRpcMessage::Error(JsonRpcError::new(Some(id), error))
}

fn revision(answer: &Message) -> Option<Revision> {
    match answer {
        JsonRpcMessage::Response(response) => match &response.result {
            ServerResult::InitializeResult(answer) => Revision::from_wire(answer.protocol_version.as_str()),
            _ => None,
        },
        _ => None,
    }
}

fn bad_renewal(answer: &Message) -> HttpError {
    let found = match answer {
        JsonRpcMessage::Error(error) => format!("error {}: {}", error.error.code.0, error.error.message),
        JsonRpcMessage::Response(response) => match &response.result {
            ServerResult::InitializeResult(answer) => format!("revision {:?}", answer.protocol_version.as_str()),
            _ => "another result".to_owned(),
        },
        _ => "no answer".to_owned(),
    };
    HttpError::BadRenewal { found }
}

fn tools_changed() -> Message {
    let changed = ServerNotification::ToolListChangedNotification(ToolListChangedNotification::default());
    JsonRpcMessage::notification(changed)
}

async fn delete(site: &Site, epoch: &Epoch) -> Result<hyper::StatusCode, HttpError> {
    let exchange = Exchange::begin(site, site.request(epoch, &Purpose::Delete, Payload::none())?).await?;
    Ok(exchange.status())
}
