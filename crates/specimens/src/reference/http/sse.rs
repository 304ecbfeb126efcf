//! The state of one conversation over HTTP with server-sent events, the transport of revision 2024-11-05.
//!
//! A GET opens the stream, which is the conversation: its first event names the address for messages, it brings every
//! message of the server, and it ends with the session. As in `driver`, nothing is spawned: [`SseCarrier::run`] polls
//! everything that is in flight. A stream that ended is not opened again, because its session has ended with it.
//!
//! Source: revision 2024-11-05, basic/transports, HTTP with SSE.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use futures_util::future::{AbortHandle, Abortable, BoxFuture, FutureExt};
use futures_util::stream::{FuturesUnordered, StreamExt};
use hyper::StatusCode;
use hyper::body::Bytes;
use rmcp::RoleClient;
use rmcp::model::{ClientNotification, JsonRpcMessage, RequestId};
use rmcp::service::TxJsonRpcMessage;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::super::process::Ending;
use super::super::wire::WireNotes;
use super::endpoint::Endpoint;
use super::error::HttpError;
use super::events::Events;
use super::exchange::{Carries, Exchange};
use super::mcp_session::McpSession;
use super::post::{Message, bad_status, messages};
use super::posted::{Done, Mail, Outgoing, Posted, settle};
use super::socket::{Flight, Payload};
use super::target::{Purpose, Target};
use super::turns::{is_gone, within};

/// One conversation over HTTP with server-sent events. Dropping it closes every socket.
pub(in super::super) struct SseCarrier {
    target: Arc<Target>,
    notes: Arc<WireNotes>,
    mail: Mail,
    state: State,
    was_open: bool,
    in_flight: FuturesUnordered<BoxFuture<'static, Event>>,
    /// Requests that were not answered yet, by id.
    asked: HashMap<String, Asked>,
}

enum State {
    /// The stream has not said where to post.
    Opening(BoxFuture<'static, Result<Stream, HttpError>>),
    Open(Box<Stream>),
    Over,
}

/// The stream of the server.
struct Stream {
    exchange: Exchange,
    events: Events,
    heard: VecDeque<Message>,
    endpoint: Arc<Endpoint>,
}

/// A request that was sent.
struct Asked {
    /// Until its POST was accepted.
    done: Option<Done>,
    flight: Arc<Flight>,
    abort: AbortHandle,
}

type Accepted = Result<Exchange, HttpError>;

enum Event {
    Asked(String, Accepted),
    Told(Done, Accepted),
    /// A cancellation; none where its request was answered meanwhile.
    Announced(String, Done, Result<Option<Exchange>, HttpError>),
    Nothing,
}

impl SseCarrier {
    /// A conversation that has not begun.
    pub(super) fn new(target: Target, notes: Arc<WireNotes>) -> (Self, Posted) {
        let (mail, posted) = Posted::new();
        let target = Arc::new(target);
        let state = State::Opening(Box::pin(Stream::open(Arc::clone(&target))));
        let (in_flight, asked) = (FuturesUnordered::new(), HashMap::new());
        (Self { target, notes, mail, state, was_open: false, in_flight, asked }, posted)
    }

    /// Carries messages until the conversation is lost or rmcp has dropped it. Safe to cancel.
    pub(super) async fn run(&mut self) {
        loop {
            match &mut self.state {
                State::Over => return,
                State::Opening(opening) => match opening.await {
                    Ok(stream) => {
                        self.was_open = true;
                        self.state = State::Open(Box::new(stream));
                    }
                    Err(error) => self.lose(Arc::new(error)),
                },
                State::Open(stream) => tokio::select! {
                    biased;
                    heard = stream.next(&self.mail.inbox) => match heard {
                        Ok(message) => self.deliver(message),
                        Err(ended) => self.lose(Arc::new(ended)),
                    },
                    outgoing = self.mail.outbox.recv() => match outgoing {
                        Some(outgoing) => {
                            let endpoint = Arc::clone(&stream.endpoint);
                            self.begin(outgoing, endpoint);
                        }
                        None => return,
                    },
                    Some(event) = self.in_flight.next(), if !self.in_flight.is_empty() => self.take(event),
                },
            }
        }
    }

    /// Cuts whatever is in flight, the stream with it: that is how a session ends here.
    ///
    /// Source: revision 2024-11-05, basic/lifecycle, Shutdown, HTTP.
    pub(super) fn shut_down(mut self) -> Ending {
        self.let_go();
        if self.was_open { Ending::StreamClosed } else { Ending::NoSession }
    }

    /// Hands a message to rmcp.
    fn deliver(&mut self, message: Message) {
        let answered = match &message {
            JsonRpcMessage::Response(response) => Some(&response.id),
            JsonRpcMessage::Error(error) => error.id.as_ref(),
            JsonRpcMessage::Request(_) | JsonRpcMessage::Notification(_) => None,
        };
        if let Some(id) = answered.map(RequestId::to_string)
            && let Some(asked) = self.asked.get(&id)
        {
            // Before it is handed on, so that nobody cancels what was answered.
            asked.flight.mark_answered();
            if asked.done.is_none() {
                self.asked.remove(&id);
            }
        }
        // There is room: no other code sends, and this code has waited for it. If rmcp has dropped the conversation,
        // the answer has no receiver.
        let _ = self.mail.inbox.try_send(message);
    }

    fn begin(&mut self, Outgoing { message, done }: Outgoing, endpoint: Arc<Endpoint>) {
        let body = body_of(&message);
        match message {
            JsonRpcMessage::Request(request) => self.ask(request.id.to_string(), body, done, endpoint),
            JsonRpcMessage::Notification(notification) => match notification.notification {
                ClientNotification::CancelledNotification(cancelled) => match cancelled.params.request_id {
                    Some(id) => self.cancel(id.to_string(), body, done, endpoint),
                    None => self.tell(body, done, endpoint),
                },
                _ => self.tell(body, done, endpoint),
            },
            JsonRpcMessage::Response(_) | JsonRpcMessage::Error(_) => self.tell(body, done, endpoint),
        }
    }

    fn ask(&mut self, id: String, body: Bytes, done: Done, endpoint: Arc<Endpoint>) {
        let (target, flight) = (Arc::clone(&self.target), Flight::new());
        let (abort, registration) = AbortHandle::new_pair();
        self.asked.insert(id.clone(), Asked { done: Some(done), flight: Arc::clone(&flight), abort });
        let posted = async move {
            let limit = target.bounds.call;
            Event::Asked(id, within(limit, post(&target, &endpoint, body, &flight)).await)
        };
        // The aborting caller has already completed all requests.
        let posted = Abortable::new(posted, registration).map(|event| event.unwrap_or(Event::Nothing));
        self.in_flight.push(Box::pin(posted));
    }

    fn tell(&mut self, body: Bytes, done: Done, endpoint: Arc<Endpoint>) {
        let target = Arc::clone(&self.target);
        self.in_flight.push(Box::pin(async move {
            let limit = target.bounds.announce;
            Event::Told(done, within(limit, post(&target, &endpoint, body, &Flight::new())).await)
        }));
    }

    /// Announces a cancellation, once its request has left, unless that was answered meanwhile.
    fn cancel(&mut self, id: String, body: Bytes, done: Done, endpoint: Arc<Endpoint>) {
        let Some(asked) = self.asked.get(&id).filter(|asked| !asked.flight.is_answered()) else {
            return settle(done, Ok(()));
        };
        let (target, flight) = (Arc::clone(&self.target), Arc::clone(&asked.flight));
        self.in_flight.push(Box::pin(async move {
            let announced = async {
                flight.sent().await;
                if flight.is_answered() {
                    return Ok(None);
                }
                post(&target, &endpoint, body, &Flight::new()).await.map(Some)
            };
            let outcome = within(target.bounds.announce, announced).await;
            Event::Announced(id, done, outcome)
        }));
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Asked(id, accepted) => self.accepted(&id, accepted),
            Event::Told(done, accepted) => self.told(done, accepted.map(Some)),
            Event::Announced(id, done, outcome) => {
                if let Some(Asked { done: Some(waiting), abort, .. }) = self.asked.remove(&id) {
                    abort.abort();
                    settle(waiting, Err(HttpError::Cancelled));
                }
                self.told(done, outcome);
            }
            Event::Nothing => {}
        }
    }

    /// A POST of a request is over.
    fn accepted(&mut self, id: &str, accepted: Accepted) {
        let Some(asked) = self.asked.get_mut(id) else { return };
        let Some(done) = asked.done.take() else { return };
        let is_answered = asked.flight.is_answered();
        if is_answered || accepted.is_err() {
            self.asked.remove(id);
        }
        // What was answered was accepted, whatever became of its POST.
        match accepted {
            Err(_) if is_answered => settle(done, Ok(())),
            accepted => self.told(done, accepted.map(Some)),
        }
    }

    fn told(&mut self, done: Done, outcome: Result<Option<Exchange>, HttpError>) {
        match outcome {
            Ok(rest) => {
                settle(done, Ok(()));
                self.linger(rest);
            }
            Err(error) => {
                let error = Arc::new(error);
                // If rmcp has dropped the conversation, the answer has no receiver.
                let _ = done.send(Err(Arc::clone(&error)));
                if is_gone(&error) || matches!(*error, HttpError::SessionExpired) {
                    self.lose(error);
                }
            }
        }
    }

    /// Lets the server end its response.
    fn linger(&mut self, rest: Option<Exchange>) {
        if let Some(rest) = rest {
            let limit = self.target.bounds.last_words;
            self.in_flight.push(Box::pin(timeout(limit, rest.until_end()).map(|_| Event::Nothing)));
        }
    }

    /// Ends the conversation with this reason. The first reason counts.
    fn lose(&mut self, because: Arc<HttpError>) {
        self.notes.lose(because);
        self.let_go();
    }

    /// Closes every socket. Every waiter of this conversation gets its end.
    fn let_go(&mut self) {
        self.state = State::Over;
        self.in_flight = FuturesUnordered::new();
        self.asked.clear();
        self.mail.let_go();
    }
}

impl Stream {
    /// Opens the stream and reads where to post.
    async fn open(target: Arc<Target>) -> Result<Self, HttpError> {
        let request = target.request(&no_session(), &Purpose::Listen { last_event_id: None }, Payload::none())?;
        let mut exchange = Exchange::begin(&target, request).await?;
        let expected = "text/event-stream";
        match exchange.carries() {
            _ if !exchange.status().is_success() => return Err(bad_status(&exchange, "200")),
            Carries::Events => {}
            Carries::Json => return Err(HttpError::ContentType { found: "application/json".to_owned(), expected }),
            Carries::Other(found) => return Err(HttpError::ContentType { found, expected }),
        }
        let mut events = Events::new(target.bounds.message_bytes_max);
        loop {
            let bytes = exchange.chunk().await?.ok_or(HttpError::NoEndpoint)?;
            events.feed(&bytes)?;
            if let Some(found) = events.endpoint() {
                let endpoint = Arc::new(target.endpoint(found)?);
                return Ok(Self { exchange, events, heard: VecDeque::new(), endpoint });
            }
            if events.next_message().is_some() {
                return Err(HttpError::NoEndpoint);
            }
        }
    }

    /// The next message, once there is room for it. Safe to cancel.
    ///
    /// # Errors
    /// How the stream ended.
    async fn next(&mut self, inbox: &mpsc::Sender<Message>) -> Result<Message, HttpError> {
        drop(inbox.reserve().await.map_err(|_| HttpError::Closed)?);
        loop {
            while let Some(data) = self.events.next_message() {
                // An event that is not a message answers no request.
                self.heard.extend(messages(data.as_bytes()).unwrap_or_default());
            }
            if let Some(message) = self.heard.pop_front() {
                return Ok(message);
            }
            let bytes = self.exchange.chunk().await?.ok_or(HttpError::StreamEnded)?;
            self.events.feed(&bytes)?;
        }
    }
}

/// POSTs a message; its response has begun when it was accepted.
///
/// # Errors
/// [`HttpError::SessionExpired`] for 404: the server does not know the stream.
async fn post(target: &Target, endpoint: &Endpoint, body: Bytes, flight: &Arc<Flight>) -> Accepted {
    let request = target.request(&no_session(), &Purpose::PostTo(endpoint), Payload::of(body, flight))?;
    let exchange = Exchange::begin(target, request).await?;
    match exchange.status() {
        status if status.is_success() => Ok(exchange),
        StatusCode::NOT_FOUND => Err(HttpError::SessionExpired),
        _ => Err(bad_status(&exchange, "202")),
    }
}

/// The headers of a request name no session and no revision: this transport knows neither.
fn no_session() -> McpSession {
    McpSession::new(1)
}

fn body_of(message: &TxJsonRpcMessage<RoleClient>) -> Bytes {
    Bytes::from(serde_json::to_vec(message).expect("every key in a message is a string"))
}
