//! A request to a host over HTTP: whole, over a connection of its own.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Most bytes of an answer that are read.
const ANSWER_BYTES_MAX: usize = 1 << 20;
/// Most characters of a body that are told.
const BODY_CHARS_MAX: usize = 200;

/// What is asked.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub method: String,
    pub url: String,
    pub body: Option<String>,
}

/// What was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answered {
    pub status: u16,
    /// The first of its body.
    pub body: String,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum RequestError {
    #[error("{url} can not be asked: {source}")]
    Io { url: String, source: io::Error },
    #[error("{url} gave no whole answer within {} ms", limit.as_millis())]
    Overdue { url: String, limit: Duration },
    #[error("{url} answered with something that is no HTTP: {head:?}")]
    NoHttp { url: String, head: String },
}

/// Asks once; the answer is over when its connection is, which is asked for.
pub(super) async fn ask(asked: &Asked, limit: Duration) -> Result<Answered, RequestError> {
    let url = || asked.url.clone();
    let exchange = tokio::time::timeout(limit, exchange(asked)).await;
    let bytes = exchange
        .map_err(|_| RequestError::Overdue { url: url(), limit })?
        .map_err(|source| RequestError::Io { url: url(), source })?;
    let text = String::from_utf8_lossy(&bytes);
    read(&text).ok_or_else(|| RequestError::NoHttp { url: url(), head: text.chars().take(BODY_CHARS_MAX).collect() })
}

async fn exchange(asked: &Asked) -> io::Result<Vec<u8>> {
    let no_url = || io::Error::new(io::ErrorKind::InvalidInput, "found no URL that begins with http://");
    let rest = asked.url.strip_prefix("http://").ok_or_else(no_url)?;
    let (host, path) = rest.find(['/', '?']).map_or((rest, ""), |at| rest.split_at(at));
    let slash = if path.starts_with('/') { "" } else { "/" };
    let address = if host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok()) {
        host.to_owned()
    } else {
        format!("{host}:80")
    };
    let body = asked.body.as_deref().unwrap_or_default();
    let kind = if serde_json::from_str::<serde_json::Value>(body).is_ok() { "application/json" } else { "text/plain" };
    let request = format!(
        "{} {slash}{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nAccept: */*\r\nContent-Type: {kind}\r\n\
         Content-Length: {}\r\n\r\n{body}",
        asked.method,
        body.len()
    );
    let mut socket = TcpStream::connect(address).await?;
    socket.write_all(request.as_bytes()).await?;
    let mut bytes = Vec::new();
    while bytes.len() < ANSWER_BYTES_MAX && !is_whole(&bytes) {
        match socket.read_buf(&mut bytes).await {
            Ok(0) => break,
            Ok(_) => {}
            // A host that ends while it answers has answered so far.
            Err(error) if bytes.is_empty() => return Err(error),
            Err(_) => break,
        }
    }
    Ok(bytes)
}

/// Whether an answer is whole although its connection is open: some keep it whatever they are asked.
fn is_whole(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let head = head.to_ascii_lowercase();
    let field = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    match (field("content-length:").map(str::parse::<usize>), field("transfer-encoding:")) {
        (Some(Ok(length)), _) => body.len() >= length,
        (_, Some("chunked")) => body.ends_with("0\r\n\r\n"),
        _ => false,
    }
}

fn read(text: &str) -> Option<Answered> {
    let status = text.strip_prefix("HTTP/1.")?.split_whitespace().nth(1)?.parse().ok()?;
    let body = text.split_once("\r\n\r\n").map(|(_, body)| body).unwrap_or_default();
    Some(Answered { status, body: body.trim().chars().take(BODY_CHARS_MAX).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_whole_when_all_that_it_announced_is_there() {
        for (text, whole) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", true),
            ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok", false),
            ("HTTP/1.1 204 No\r\ncontent-length: 0\r\n\r\n", true),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", true),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", false),
            ("HTTP/1.1 200 OK\r\n\r\nok", false),
            ("HTTP/1.1 200 OK", false),
        ] {
            assert_eq!(is_whole(text.as_bytes()), whole, "{text:?}");
        }
    }

    #[test]
    fn an_answer_is_a_status_and_a_body_and_anything_else_is_none() {
        let answered = |status, body: &str| Some(Answered { status, body: body.to_owned() });
        assert_eq!(read("HTTP/1.1 200 OK\r\nA: b\r\n\r\nyes\n"), answered(200, "yes"));
        assert_eq!(read("HTTP/1.0 404\r\n\r\n"), answered(404, ""));
        for other in ["", "HTTP/1.1", "HTTP/1.1 OK\r\n\r\n", "SSH-2.0-x", "HTTP/2 200\r\n\r\n"] {
            assert_eq!(read(other), None, "{other:?}");
        }
    }
}
