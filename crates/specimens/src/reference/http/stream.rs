//! The stream for the server's own messages, and how often the client opens it again.
//!
//! Source: revision 2025-11-25, basic/transports, Listening for Messages from the Server: a server may refuse with 405
//! and may end the stream at any time; the client waits for as long as `retry` says.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::super::options::Bounds;
use super::error::HttpError;
use super::events::Events;
use super::exchange::{Carries, Exchange};
use super::post::{SessionClient, bad_status, expired, messages};
use super::socket::Payload;
use super::target::Purpose;

/// Why the stream ended for good.
pub(super) enum StreamOver {
    /// The server offers none. It is not asked again.
    Refused,
    /// The server does not know the session; `was_open` says whether it ever had this stream.
    Expired { was_open: bool },
    /// It ended too often; this is how it ended last.
    GivenUp(HttpError),
}

/// How long to wait before the next of a row of attempts: twice as long each time, without jitter, until they are
/// too many.
pub struct Backoff {
    n_tried: u32,
    shortest: Duration,
    longest: Duration,
    n_max: u32,
}

impl Backoff {
    /// A row with the delays of these bounds.
    pub fn new(bounds: &Bounds) -> Self {
        Self {
            n_tried: 0,
            shortest: bounds.stream_retry_min,
            longest: bounds.stream_retry_max,
            n_max: bounds.n_stream_retries_max,
        }
    }

    /// Whether there was an attempt.
    pub fn has_begun(&self) -> bool {
        self.n_tried > 0
    }

    /// Begins the row anew.
    pub fn reset(&mut self) {
        self.n_tried = 0;
    }

    /// The next delay, at least as long as the server asks for; None when there were enough attempts.
    pub fn next(&mut self, retry: Option<Duration>) -> Option<Duration> {
        if self.n_tried >= self.n_max {
            return None;
        }
        let factor = 2_u32.saturating_pow(self.n_tried);
        self.n_tried += 1;
        Some(self.shortest.saturating_mul(factor).min(self.longest).max(retry.unwrap_or_default()))
    }
}

/// Opens a stream with GET.
pub(super) async fn open(client: &SessionClient, last_event_id: Option<&str>) -> Result<Exchange, HttpError> {
    let request = client.target.request(&client.session, &Purpose::Listen { last_event_id }, Payload::none())?;
    let exchange = Exchange::begin(&client.target, request).await?;
    expired(&exchange, &client.session)?;
    match exchange.carries() {
        _ if !exchange.status().is_success() => Err(bad_status(&exchange, "200 or 405")),
        Carries::Events => Ok(exchange),
        Carries::Json => {
            Err(HttpError::ContentType { found: "application/json".to_owned(), expected: "text/event-stream" })
        }
        Carries::Other(found) => Err(HttpError::ContentType { found, expected: "text/event-stream" }),
    }
}

/// Delivers what the server says unasked, for as long as it may.
pub(super) async fn listen(client: SessionClient) -> StreamOver {
    let mut events = Events::new(client.target.bounds.message_bytes_max);
    let mut backoff = Backoff::new(&client.target.bounds);
    let mut was_open = false;
    loop {
        let ended = match open(&client, events.last_id()).await {
            Err(HttpError::SessionExpired) => return StreamOver::Expired { was_open },
            Err(error) if is_final(&error) => return StreamOver::Refused,
            Err(error) => error,
            Ok(exchange) => {
                was_open = true;
                let opened = Instant::now();
                let (n_heard, ended) = hear(&client, exchange, &mut events).await;
                let asked_to_return = n_heard > 0 && events.retry().is_some();
                if asked_to_return || opened.elapsed() >= client.target.bounds.stream_retry_max {
                    backoff.reset();
                }
                ended
            }
        };
        let Some(delay) = backoff.next(events.retry()) else { return StreamOver::GivenUp(ended) };
        sleep(delay).await;
    }
}

/// Whether asking again would be answered the same.
fn is_final(error: &HttpError) -> bool {
    match error {
        HttpError::Status { found, .. } => (400..500).contains(found) && !matches!(found, 408 | 425 | 429),
        HttpError::ContentType { .. } | HttpError::BadHeader { .. } => true,
        _ => false,
    }
}

/// Delivers the messages of one stream; says how many, and how it ended.
async fn hear(client: &SessionClient, mut exchange: Exchange, events: &mut Events) -> (usize, HttpError) {
    events.restart();
    let mut n_heard = 0;
    loop {
        match exchange.chunk().await.and_then(|bytes| bytes.ok_or(HttpError::NoAnswer)) {
            Err(ended) => return (n_heard, ended),
            Ok(bytes) => {
                if let Err(error) = events.feed(&bytes) {
                    return (n_heard, error);
                }
            }
        }
        while let Some(data) = events.next_message() {
            // An event that is not a message answers no request.
            for message in messages(data.as_bytes()).unwrap_or_default() {
                if client.deliver(message).await.is_err() {
                    return (n_heard, HttpError::Closed);
                }
                n_heard += 1;
            }
        }
    }
}
