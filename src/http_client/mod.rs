//! One HTTP/1.1 request over a connection of its own, on hyper.
//!
//! For requests of the harness itself: to a host that a plan drives, and to a mock that is probed before a run. This
//! module has no time limits: each caller bounds the whole exchange by a named limit.

use std::io;
use std::pin::Pin;

use hyper::body::{Body, Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, CONTENT_TYPE, HOST};
use hyper::{Method, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// The port of a URL that names none.
const DEFAULT_PORT: u16 = 80;

/// A request, with the header fields that it has besides `Host`, `Connection` and `Content-Length`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Request<'a> {
    pub method: &'a str,
    /// Absolute, and begins with `http://`.
    pub url: &'a str,
    pub fields: &'a [(&'a str, &'a str)],
    /// Type and text of the body.
    pub body: Option<(&'a str, &'a str)>,
}

/// Why a request got no response.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RequestError {
    #[error("found no URL that begins with http://")]
    Url,
    #[error("{0}")]
    Connection(#[from] io::Error),
    #[error("{0}")]
    Build(#[from] hyper::http::Error),
    #[error("{0}")]
    Exchange(#[from] hyper::Error),
}

impl RequestError {
    /// Whether the server answered with bytes that are not HTTP.
    pub(crate) fn is_no_http(&self) -> bool {
        match self {
            Self::Exchange(error) => error.is_parse(),
            Self::Url | Self::Connection(_) | Self::Build(_) => false,
        }
    }
}

/// A response whose body is still to be read. Its connection closes when it is dropped.
pub(crate) struct Response {
    pub status: u16,
    body: Incoming,
    /// Moves the bytes of the connection.
    _driver: JoinSet<()>,
}

/// Sends a request and waits for the head of the response. The request asks the server to close the connection
/// afterwards.
pub(crate) async fn send(request: Request<'_>) -> Result<Response, RequestError> {
    let uri: Uri = request.url.parse().map_err(|_| RequestError::Url)?;
    let host = uri.host().filter(|_| uri.scheme_str() == Some("http")).ok_or(RequestError::Url)?;
    let socket = TcpStream::connect(format!("{host}:{}", uri.port_u16().unwrap_or(DEFAULT_PORT))).await?;
    let mut handshake = http1::Builder::new();
    handshake.title_case_headers(true);
    let (mut sender, connection) = handshake.handshake(TokioIo::new(socket)).await?;
    let mut driver = JoinSet::new();
    driver.spawn(async move {
        // An error of the connection is one of the exchange as well, which reports it.
        let _ = connection.await;
    });
    let response = sender.send_request(head_and_body(request, &uri)?).await?;
    Ok(Response { status: response.status().as_u16(), body: response.into_body(), _driver: driver })
}

fn head_and_body(request: Request<'_>, uri: &Uri) -> Result<hyper::Request<String>, hyper::http::Error> {
    let (kind, text) = request.body.unzip();
    let target = uri.path_and_query().map_or("/", |target| target.as_str());
    let mut head = hyper::Request::builder()
        .method(Method::from_bytes(request.method.as_bytes())?)
        .uri(target)
        .header(HOST, uri.authority().map_or("", |authority| authority.as_str()))
        .header(CONNECTION, "close");
    for (name, value) in request.fields.iter().copied().chain(kind.map(|kind| (CONTENT_TYPE.as_str(), kind))) {
        head = head.header(name, value);
    }
    head.body(text.unwrap_or_default().to_owned())
}

impl Response {
    /// The next bytes of the body; `None` at its end, also where the server breaks it off.
    pub(crate) async fn chunk(&mut self) -> Option<Bytes> {
        loop {
            let frame = std::future::poll_fn(|context| Pin::new(&mut self.body).poll_frame(context)).await?;
            if let Ok(data) = frame.ok()?.into_data() {
                return Some(data);
            }
        }
    }

    /// The body up to its end or to `bytes_max`, as far as the server sent it.
    pub(crate) async fn text(mut self, bytes_max: usize) -> String {
        let mut bytes = Vec::new();
        while bytes.len() < bytes_max
            && let Some(chunk) = self.chunk().await
        {
            bytes.extend_from_slice(&chunk);
        }
        bytes.truncate(bytes_max);
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// Answers one connection with these bytes and closes it; gives the status and body, and the bytes of the request.
    async fn exchange(answer: &'static str) -> (Result<(u16, String), RequestError>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"ping") {
                assert!(socket.read_buf(&mut request).await.unwrap() > 0, "the request was cut off");
            }
            socket.write_all(answer.as_bytes()).await.unwrap();
            String::from_utf8(request).unwrap()
        });
        let url = format!("http://{address}/a?b=c");
        let fields = [("Accept", "*/*")];
        let request = Request { method: "POST", url: &url, fields: &fields, body: Some(("text/plain", "ping")) };
        let answered = match send(request).await {
            Ok(response) => Ok((response.status, response.text(1_024).await)),
            Err(error) => Err(error),
        };
        (answered, server.await.unwrap().replace(&address.to_string(), "ADDRESS"))
    }

    #[tokio::test]
    async fn a_request_is_one_whole_message() {
        let (_, request) = exchange("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
        assert_eq!(
            request,
            "POST /a?b=c HTTP/1.1\r\nHost: ADDRESS\r\nConnection: close\r\nAccept: */*\r\nContent-Type: text/plain\r\n\
             Content-Length: 4\r\n\r\nping"
        );
    }

    #[tokio::test]
    async fn a_body_is_whole_or_as_much_as_came() {
        for (answer, status, body) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, "ok"),
            ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok", 200, "ok"),
            ("HTTP/1.1 204 No\r\ncontent-length: 0\r\n\r\n", 204, ""),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", 200, "ok"),
            ("HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", 500, "ok"),
            ("HTTP/1.1 200 OK\r\n\r\nok", 200, "ok"),
            ("HTTP/1.0 404\r\n\r\n", 404, ""),
        ] {
            assert_eq!(exchange(answer).await.0.unwrap(), (status, body.to_owned()), "{answer:?}");
        }
    }

    #[tokio::test]
    async fn bytes_that_are_not_http_are_no_response() {
        for (answer, is_no_http) in [
            ("", false),
            ("HTTP/1.1", false),
            ("HTTP/1.1 OK\r\n\r\n", true),
            ("SSH-2.0-x\r\n", true),
            ("HTTP/2 200\r\n\r\n", true),
        ] {
            let error = exchange(answer).await.0.unwrap_err();
            assert_eq!(error.is_no_http(), is_no_http, "{answer:?}: {error}");
        }
        for url in ["https://127.0.0.1/", "127.0.0.1", "http://", ""] {
            let error = send(Request { method: "GET", url, fields: &[], body: None }).await.err();
            assert!(matches!(error, Some(RequestError::Url)), "{url}: {error:?}");
        }
    }
}
