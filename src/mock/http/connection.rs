//! One client's connection: its requests become inputs, and what answers them is written.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use hyper::body::Incoming;
use hyper::header::{HeaderName, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use tokio::sync::{oneshot, watch};

use crate::mock::http::body::{CutState, MockBody, Parts, read_body};
use crate::mock::http::owner::Event;
use crate::mock::http::stream::{ByteStream, Fate, Raw, Wire};
use crate::mock::http::{SOCKETS_MAX, Shared, Stage};
use crate::script::{After, ExchangeNo, Input, Request, Response, SocketNo};

/// Most bytes of a request's head, and of what is buffered for a client that does not read.
const BUFFER_BYTES_MAX: usize = 64 * 1_024;
/// Most header fields of a request.
const HEADERS_MAX: usize = 128;
/// Most characters of a header field, and of a query, that are kept.
const HEADER_CHARS_MAX: usize = 256;

/// How the owner answers a request.
pub(super) enum Reply {
    Whole(Response),
    Stream(Response, Parts),
    Raw(Raw),
    Cut,
    Reset,
}

/// An exchange whose end nobody told yet: when this is dropped, the client has given it up.
pub(super) struct Open {
    exchange: ExchangeNo,
    is_settled: bool,
    shared: Arc<Shared>,
    fate: Arc<Fate>,
}

impl Open {
    /// The end of the exchange is known.
    pub(super) fn settle(&mut self) {
        self.is_settled = true;
    }

    /// The socket is to be reset.
    pub(super) fn reset(&self) {
        self.fate.reset();
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if !self.is_settled {
            // The mock may be over.
            let _ = self.shared.events.send(Event::Input(Input::ExchangeGone(self.exchange)));
        }
    }
}

/// A socket that counts as long as it lives.
struct Counted {
    socket: SocketNo,
    fate: Arc<Fate>,
    shared: Arc<Shared>,
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.shared.n_sockets.fetch_sub(1, Ordering::Relaxed);
        // The mock may be over.
        let closed = Input::SocketClosed { socket: self.socket, how: self.fate.end() };
        let _ = self.shared.events.send(Event::Input(closed));
    }
}

/// Serves a client; one too many is turned away at once.
pub(super) fn spawn<S: ByteStream>(stream: S, shared: Arc<Shared>) {
    if shared.n_sockets.fetch_add(1, Ordering::Relaxed) >= SOCKETS_MAX {
        shared.n_sockets.fetch_sub(1, Ordering::Relaxed);
        // The mock may be over.
        let _ = shared.events.send(Event::Input(Input::SocketRefused));
        return;
    }
    let socket = SocketNo(shared.n_sockets_ever.fetch_add(1, Ordering::Relaxed) + 1);
    let _ = shared.events.send(Event::Input(Input::SocketOpened(socket)));
    let fate = Arc::new(Fate::default());
    let counted = Counted { socket, fate: Arc::clone(&fate), shared: Arc::clone(&shared) };
    tokio::spawn(async move {
        serve(Wire::new(stream, Arc::clone(&fate)), socket, &shared, &fate).await;
        drop(counted);
    });
}

async fn serve<S: ByteStream>(wire: Wire<S>, socket: SocketNo, shared: &Arc<Shared>, fate: &Arc<Fate>) {
    let service = service_fn(|request| Box::pin(exchange(request, socket, Arc::clone(shared), Arc::clone(fate))));
    let mut connection = http1::Builder::new()
        .auto_date_header(false)
        .header_read_timeout(None)
        .max_buf_size(BUFFER_BYTES_MAX)
        .max_headers(HEADERS_MAX)
        .serve_connection(wire, service);
    let mut stage = shared.stage.clone();
    let ended = tokio::select! {
        ended = poll_fn(|cx| connection.poll_without_shutdown(cx)) => ended,
        () = reached(&mut stage, Stage::Ending) => {
            Pin::new(&mut connection).graceful_shutdown();
            tokio::select! {
                ended = poll_fn(|cx| connection.poll_without_shutdown(cx)) => ended,
                () = reached(&mut stage, Stage::Over) => return,
            }
        }
    };
    let mut wire = connection.into_parts().io;
    match (ended, fate.take_raw()) {
        (Ok(()), None) => wire.shut().await,
        // How it ended is told by its fate.
        (Err(_), None) => {}
        (_, Some((raw, _open))) => tokio::select! {
            () = wire.write_raw(raw) => {}
            () = reached(&mut stage, Stage::Over) => {}
        },
    }
}

/// Waits until the mock is at least this far; a mock that is gone is over.
async fn reached(stage: &mut watch::Receiver<Stage>, wanted: Stage) {
    // It fails only when the mock is gone.
    let _ = stage.wait_for(|stage| *stage == wanted || *stage == Stage::Over).await;
}

/// Why a request is not answered.
#[derive(Debug, thiserror::Error)]
#[error("the script gives no response")]
struct NoResponse;

async fn exchange(
    request: hyper::Request<Incoming>,
    socket: SocketNo,
    shared: Arc<Shared>,
    fate: Arc<Fate>,
) -> Result<hyper::Response<MockBody>, NoResponse> {
    let exchange = ExchangeNo(shared.n_exchanges.fetch_add(1, Ordering::Relaxed) + 1);
    let (head, incoming) = request.into_parts();
    let request = Request {
        exchange,
        socket,
        verb: head.method.as_str().to_owned(),
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().chars().take(HEADER_CHARS_MAX).collect(),
        headers: known_headers(&head.headers),
        body: crate::script::Body::Cut,
    };
    // A client that goes away before its body is complete drops this future where it stands.
    let mut unread = Unread { request: Some(request), shared: &shared };
    let body = read_body(incoming, &shared).await;
    let Some(mut request) = unread.request.take() else { unreachable!("only its drop takes it otherwise") };
    request.body = body;
    let (reply, answer) = oneshot::channel();
    let mut open = Open { exchange, is_settled: false, shared: Arc::clone(&shared), fate };
    // The mock may be over; then no answer comes.
    let _ = shared.events.send(Event::Request(request, reply));
    let answer = answer.await;
    if let Ok(Reply::Stream(response, parts)) = answer {
        return Ok(response_of(response, |_| MockBody::Stream { parts, open, cut: CutState::No }));
    }
    if let Ok(Reply::Raw(raw)) = answer {
        // Where the exchange goes on, its client's leave is told when the socket is over.
        if raw.after == After::Close {
            open.settle();
        }
        Arc::clone(&open.fate).keep_raw(raw, open);
        return Err(NoResponse);
    }
    open.settle();
    match answer {
        Ok(Reply::Whole(response)) => Ok(response_of(response, MockBody::whole)),
        Ok(Reply::Reset) => {
            open.reset();
            Err(NoResponse)
        }
        Ok(Reply::Cut | Reply::Stream(..) | Reply::Raw(_)) | Err(_) => Err(NoResponse),
    }
}

/// A request whose body is not read yet: dropped then, it is told as it is.
struct Unread<'a> {
    request: Option<Request>,
    shared: &'a Shared,
}

impl Drop for Unread<'_> {
    fn drop(&mut self) {
        if let Some(request) = self.request.take() {
            // The mock may be over. Nobody waits for an answer.
            let _ = self.shared.events.send(Event::Request(request, oneshot::channel().0));
        }
    }
}

fn known_headers(headers: &hyper::HeaderMap) -> BTreeMap<String, String> {
    let known = Request::HEADERS.iter().filter_map(|name| {
        let value = headers.get(*name)?;
        let text = String::from_utf8_lossy(value.as_bytes());
        Some(((*name).to_owned(), text.chars().take(HEADER_CHARS_MAX).collect()))
    });
    known.collect()
}

fn response_of(response: Response, body: impl FnOnce(Vec<u8>) -> MockBody) -> hyper::Response<MockBody> {
    let mut answer = hyper::Response::new(body(response.body));
    let status = hyper::StatusCode::from_u16(response.status);
    *answer.status_mut() = status.expect("scripts name codes from 400 to 599, and ours are known ones");
    for (name, value) in response.headers {
        let value = HeaderValue::from_str(&value).expect("our own header values are visible ASCII");
        answer.headers_mut().insert(HeaderName::from_static(name), value);
    }
    answer
}
