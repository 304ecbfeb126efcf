//! A request to a host over HTTP: whole, over a connection of its own.

use std::time::Duration;

use crate::http_client::{self, Request, send};

/// Most bytes of an answer that are read.
const ANSWER_BYTES_MAX: usize = 1 << 20;
/// Most characters of a body that are reported.
const BODY_CHARS_MAX: usize = 200;

/// A request that a plan makes.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub method: String,
    pub url: String,
    pub body: Option<String>,
}

/// The host's answer to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answered {
    pub status: u16,
    /// Its first characters, at most [`BODY_CHARS_MAX`].
    pub body: String,
}

/// Why a request got no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum RequestError {
    #[error("{url} cannot be requested: {source}")]
    Unreachable { url: String, source: http_client::RequestError },
    #[error("{url} gave no whole answer within {} ms", limit.as_millis())]
    Overdue { url: String, limit: Duration },
    #[error("{url} answered with bytes that are not HTTP: {source}")]
    NoHttp { url: String, source: http_client::RequestError },
}

/// Makes a request and reads the whole answer, at most for `limit`.
pub(super) async fn ask(asked: &Asked, limit: Duration) -> Result<Answered, RequestError> {
    let url = || asked.url.clone();
    let answered = tokio::time::timeout(limit, exchange(asked)).await;
    answered.map_err(|_| RequestError::Overdue { url: url(), limit })?.map_err(|source| match source.is_no_http() {
        true => RequestError::NoHttp { url: url(), source },
        false => RequestError::Unreachable { url: url(), source },
    })
}

async fn exchange(asked: &Asked) -> Result<Answered, http_client::RequestError> {
    let body = asked.body.as_deref().unwrap_or_default();
    let kind = if serde_json::from_str::<serde_json::Value>(body).is_ok() { "application/json" } else { "text/plain" };
    let request =
        Request { method: &asked.method, url: &asked.url, fields: &[("Accept", "*/*")], body: Some((kind, body)) };
    let response = send(request).await?;
    let status = response.status;
    let body = response.text(ANSWER_BYTES_MAX).await;
    Ok(Answered { status, body: body.trim().chars().take(BODY_CHARS_MAX).collect() })
}
