//! One HTTP exchange on a connection of its own, driven by its reader.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Context;

use hyper::body::{Body, Bytes, Incoming};
use hyper::client::conn::http1::{Connection, handshake};
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{Request, StatusCode, http};

use super::error::HttpError;
use super::hooked::Passage;
use super::socket::{Payload, Socket};
use super::target::Target;

/// An exchange whose response has begun. Dropping it closes its socket.
pub(super) struct Exchange {
    line: Line,
    head: http::response::Parts,
    body: Pin<Box<Incoming>>,
    passage: Passage,
}

/// What a response claims to carry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Carries {
    Json,
    Events,
    /// Something else, or nothing.
    Other(String),
}

/// The connection under an exchange. It moves only while somebody polls it.
struct Line(Option<Pin<Box<Connection<Socket, Payload>>>>);

impl Line {
    fn poll(&mut self, context: &mut Context<'_>) {
        if let Some(connection) = &mut self.0
            && connection.as_mut().poll(context).is_ready()
        {
            // Its error, if there is one, reaches the request or the body as well.
            self.0 = None;
        }
    }

    /// Polls `future`, and the connection before it.
    async fn beside<T>(&mut self, future: impl Future<Output = T>) -> T {
        let mut future = pin!(future);
        poll_fn(|context| {
            self.poll(context);
            future.as_mut().poll(context)
        })
        .await
    }
}

impl Exchange {
    /// Sends a request and waits for the head of the response.
    pub(super) async fn begin(target: &Target, request: Request<Payload>) -> Result<Self, HttpError> {
        let mut requests = target.requests.passed(request, Payload::bytes, Payload::with).await;
        let last = requests.pop().ok_or(HttpError::Cancelled)?;
        for request in requests {
            Self::exchange(target, request).await?;
        }
        Self::exchange(target, last).await
    }

    async fn exchange(target: &Target, request: Request<Payload>) -> Result<Self, HttpError> {
        let mut passage = target.requests.passage(request.method());
        let socket = Socket::new(passage.socket(target.connect()).await?, request.body().flight());
        let (mut sender, connection) = handshake(socket).await.map_err(HttpError::BrokeOff)?;
        let mut line = Line(Some(Box::pin(connection)));
        let response = line.beside(sender.send_request(request)).await.map_err(HttpError::BrokeOff)?;
        let (head, body) = response.into_parts();
        if passage.takes(&head) {
            Ok(Self { line, head, body: Box::pin(body), passage })
        } else {
            Err(HttpError::Cancelled)
        }
    }

    pub(super) fn status(&self) -> StatusCode {
        self.head.status
    }

    pub(super) fn header(&self, name: &HeaderName) -> Option<&HeaderValue> {
        self.head.headers.get(name)
    }

    pub(super) fn carries(&self) -> Carries {
        let found = self.header(&CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let essence = found.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match essence.as_str() {
            "application/json" => Carries::Json,
            "text/event-stream" => Carries::Events,
            _ => Carries::Other(found.to_owned()),
        }
    }

    /// The next piece of the body; None at its proper end.
    pub(super) async fn chunk(&mut self) -> Result<Option<Bytes>, HttpError> {
        let Self { line, body, passage, .. } = self;
        loop {
            let frame = line.beside(poll_fn(|context| body.as_mut().poll_frame(context))).await;
            match frame.transpose().map_err(HttpError::BrokeOff)?.map(hyper::body::Frame::into_data) {
                None => return Ok(None),
                Some(Ok(bytes)) => return Ok(passage.read(bytes)),
                // Trailers.
                Some(Err(_)) => {}
            }
        }
    }

    /// The whole body.
    pub(super) async fn whole(&mut self, bytes_max: usize) -> Result<Vec<u8>, HttpError> {
        let mut whole = Vec::new();
        while let Some(bytes) = self.chunk().await? {
            if whole.len() + bytes.len() > bytes_max {
                return Err(HttpError::TooLarge { bytes_max });
            }
            whole.extend_from_slice(&bytes);
        }
        Ok(whole)
    }

    /// Reads on until the body ends, so that the server may end it.
    pub(super) async fn until_end(mut self) {
        while let Ok(Some(_)) = self.chunk().await {}
    }
}
