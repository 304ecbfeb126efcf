//! One message to the server, and the response to it.

use std::sync::Arc;

use hyper::StatusCode;
use hyper::body::Bytes;
use rmcp::RoleClient;
use rmcp::model::{JsonRpcMessage, RequestId};
use rmcp::service::RxJsonRpcMessage;
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::error::HttpError;
use super::events::Events;
use super::exchange::{Carries, Exchange};
use super::mcp_session::McpSession;
use super::request_metadata::RequestMetadata;
use super::socket::{Flight, Payload};
use super::stream::{self, Backoff};
use super::target::{Purpose, Target};

/// A message from the server.
pub(super) type Message = RxJsonRpcMessage<RoleClient>;

/// Bytes of a body that is not a message, kept for the error.
const HEAD_BYTES: usize = 120;

/// What an exchange needs to know of its conversation. Cheap to clone.
#[derive(Clone)]
pub(super) struct SessionClient {
    pub(super) target: Arc<Target>,
    pub(super) session: Arc<McpSession>,
    pub(super) inbox: mpsc::Sender<Message>,
}

/// The answer to a request.
pub(super) struct Answer {
    pub(super) message: Message,
    /// A stream that the server has not ended yet.
    pub(super) rest: Option<Exchange>,
}

/// The handling of a stream that breaks off before the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Broken {
    /// It is opened again with GET.
    Resumed,
    /// It is lost: the modern era has no GET.
    Lost,
}

impl SessionClient {
    /// POSTs a message and waits for the head of the response.
    ///
    /// # Errors
    /// [`HttpError::SessionExpired`] for 404 to a session id: the server did not process the message.
    pub(super) async fn post(&self, body: Bytes, flight: &Arc<Flight>) -> Result<Exchange, HttpError> {
        let metadata = RequestMetadata::of(&body);
        let purpose = Purpose::Post { metadata: metadata.as_ref() };
        let request = self.target.request(&self.session, &purpose, Payload::of(body, flight))?;
        let exchange = Exchange::begin(&self.target, request).await?;
        expired(&exchange, &self.session)?;
        Ok(exchange)
    }

    /// POSTs a message that has no answer.
    pub(super) async fn tell(&self, body: Bytes) -> Result<(), HttpError> {
        let exchange = self.post(body, &Flight::new()).await?;
        if exchange.status().is_success() { Ok(()) } else { Err(bad_status(&exchange, "202")) }
    }

    /// POSTs a request and reads its answer.
    pub(super) async fn ask(&self, id: &RequestId, body: Bytes, flight: &Arc<Flight>) -> Result<Answer, HttpError> {
        let broken = if RequestMetadata::of(&body).is_some() { Broken::Lost } else { Broken::Resumed };
        let exchange = self.post(body, flight).await?;
        self.read_answer(exchange, id, broken).await
    }

    /// Reads the response of a POST up to the answer. Other messages in it are delivered.
    pub(super) async fn read_answer(
        &self,
        mut exchange: Exchange,
        id: &RequestId,
        broken: Broken,
    ) -> Result<Answer, HttpError> {
        let bytes_max = self.target.bounds.message_bytes_max;
        match (exchange.status(), exchange.carries()) {
            (status, Carries::Json) if status.is_success() => {
                let body = exchange.whole(bytes_max).await?;
                let answer = self.sort(messages(&body)?, id).await?;
                answer.map(|message| Answer { message, rest: None }).ok_or(HttpError::NoAnswer)
            }
            (status, Carries::Events) if status.is_success() => self.read_events(exchange, id, broken).await,
            (StatusCode::ACCEPTED | StatusCode::NO_CONTENT, _) => Err(bad_status(&exchange, "200 with an answer")),
            (status, Carries::Other(found)) if status.is_success() => {
                Err(HttpError::ContentType { found, expected: "application/json or text/event-stream" })
            }
            // A refusal may explain itself. Its id is null where the server had not read ours.
            (_, Carries::Json) => {
                let refused = bad_status(&exchange, "200");
                let body = exchange.whole(bytes_max).await.ok();
                match body.and_then(|body| serde_json::from_slice::<Message>(&body).ok()) {
                    Some(JsonRpcMessage::Error(mut error)) if error.id.as_ref().is_none_or(|found| is(found, id)) => {
                        error.id = Some(id.clone());
                        Ok(Answer { message: JsonRpcMessage::Error(error), rest: None })
                    }
                    _ => Err(refused),
                }
            }
            _ => Err(bad_status(&exchange, "200")),
        }
    }

    /// Reads a stream up to the answer. A stream that ends before is resumed if its events had ids and it may be.
    async fn read_events(&self, mut exchange: Exchange, id: &RequestId, broken: Broken) -> Result<Answer, HttpError> {
        let mut events = Events::new(self.target.bounds.message_bytes_max);
        let mut backoff = Backoff::new(&self.target.bounds);
        loop {
            let ended = match self.read_until_answer(&mut exchange, &mut events, id).await {
                Ok(Some(message)) => return Ok(Answer { message, rest: Some(exchange) }),
                Ok(None) => HttpError::NoAnswer,
                Err(HttpError::BrokeOff(error)) => HttpError::BrokeOff(error),
                Err(error) => return Err(error),
            };
            drop(exchange);
            let Some(last_id) = events.last_id().filter(|_| broken == Broken::Resumed) else { return Err(ended) };
            let Some(delay) = backoff.next(events.retry()) else { return Err(ended) };
            sleep(delay).await;
            exchange = match stream::open(self, Some(last_id)).await {
                Ok(exchange) => exchange,
                // Not the refusal of the request itself, which may well have been processed.
                Err(HttpError::SessionExpired) => return Err(ended),
                Err(error) => return Err(error),
            };
            events.restart();
        }
    }

    /// The answer, or None at the end of the stream.
    async fn read_until_answer(
        &self,
        exchange: &mut Exchange,
        events: &mut Events,
        id: &RequestId,
    ) -> Result<Option<Message>, HttpError> {
        while let Some(bytes) = exchange.chunk().await? {
            events.feed(&bytes)?;
            while let Some(data) = events.next_message() {
                if let Some(answer) = self.sort(messages(data.as_bytes())?, id).await? {
                    return Ok(Some(answer));
                }
            }
        }
        Ok(None)
    }

    /// Delivers all messages but the answer.
    async fn sort(&self, messages: Vec<Message>, id: &RequestId) -> Result<Option<Message>, HttpError> {
        let mut answer = None;
        for message in messages {
            let is_answer = match &message {
                JsonRpcMessage::Response(response) => is(&response.id, id),
                JsonRpcMessage::Error(error) => error.id.as_ref().is_some_and(|found| is(found, id)),
                JsonRpcMessage::Request(_) | JsonRpcMessage::Notification(_) => false,
            };
            if is_answer && answer.is_none() {
                answer = Some(message);
            } else {
                self.deliver(message).await?;
            }
        }
        Ok(answer)
    }

    /// Hands a message to rmcp.
    pub(super) async fn deliver(&self, message: Message) -> Result<(), HttpError> {
        self.inbox.send(message).await.map_err(|_| HttpError::Closed)
    }
}

/// The messages in a body or an event: one, or, in revision 2025-03-26, a batch.
pub(super) fn messages(bytes: &[u8]) -> Result<Vec<Message>, HttpError> {
    let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
    let parsed = match first {
        Some(b'[') => serde_json::from_slice(bytes),
        _ => serde_json::from_slice(bytes).map(|message| vec![message]),
    };
    parsed.map_err(|source| {
        let head = String::from_utf8_lossy(&bytes[..bytes.len().min(HEAD_BYTES)]).into_owned();
        HttpError::NotAMessage { head, source }
    })
}

/// Servers are forgiven for sending a number as a string, as rmcp forgives them.
fn is(found: &RequestId, expected: &RequestId) -> bool {
    found == expected || found.to_string() == expected.to_string()
}

pub(super) fn expired(exchange: &Exchange, session: &McpSession) -> Result<(), HttpError> {
    let expired = exchange.status() == StatusCode::NOT_FOUND && session.session_id().is_some();
    if expired { Err(HttpError::SessionExpired) } else { Ok(()) }
}

pub(super) fn bad_status(exchange: &Exchange, expected: &'static str) -> HttpError {
    HttpError::Status { found: exchange.status().as_u16(), expected }
}
