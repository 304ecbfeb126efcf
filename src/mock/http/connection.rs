//! One client's connection: its requests become inputs, and the mock's replies are written.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::header::{HeaderName, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use tokio::sync::{oneshot, watch};

use crate::mock::http::body::{CutState, MockBody, read_body};
use crate::mock::http::fate::{Fate, OpenExchange};
use crate::mock::http::fields::shortened;
use crate::mock::http::reply::Reply;
use crate::mock::http::shared::{HttpEvent, HttpShared, ServingPhase};
use crate::mock::http::stream::{ByteStream, Wire};
use crate::server::{After, Body, ExchangeNo, Input, Request, Response, SocketNo};

/// Most clients that are connected at once; enough for a thousand sessions with a stream and a few requests each.
const SOCKETS_MAX: usize = 8_192;
/// Most bytes of a request's head, and of what is buffered for a client that does not read.
const BUFFER_BYTES_MAX: usize = 64 * 1_024;
/// Most header fields of a request.
const HEADERS_MAX: usize = 128;

/// An open socket, counted as long as it lives.
struct Counted {
    socket: SocketNo,
    fate: Arc<Fate>,
    shared: Arc<HttpShared>,
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.shared.n_sockets.fetch_sub(1, Ordering::Relaxed);
        // The mock may be over.
        let closed = Input::SocketClosed { socket: self.socket, how: self.fate.end() };
        let _ = self.shared.events.send(HttpEvent::Input(closed));
    }
}

/// Serves a client, or refuses it at once where too many are connected.
pub(super) fn spawn<S: ByteStream>(stream: S, shared: Arc<HttpShared>) {
    if shared.n_sockets.fetch_add(1, Ordering::Relaxed) >= SOCKETS_MAX {
        shared.n_sockets.fetch_sub(1, Ordering::Relaxed);
        // The mock may be over.
        let _ = shared.events.send(HttpEvent::Input(Input::SocketRefused));
        return;
    }
    let socket = SocketNo(shared.n_sockets_ever.fetch_add(1, Ordering::Relaxed) + 1);
    let _ = shared.events.send(HttpEvent::Input(Input::SocketOpened(socket)));
    let fate = Arc::new(Fate::default());
    let counted = Counted { socket, fate: Arc::clone(&fate), shared: Arc::clone(&shared) };
    tokio::spawn(async move {
        serve(Wire::new(stream, Arc::clone(&fate)), socket, &shared, &fate).await;
        drop(counted);
    });
}

async fn serve<S: ByteStream>(wire: Wire<S>, socket: SocketNo, shared: &Arc<HttpShared>, fate: &Arc<Fate>) {
    let service = service_fn(|request| Box::pin(exchange(request, socket, Arc::clone(shared), Arc::clone(fate))));
    let mut connection = http1::Builder::new()
        .auto_date_header(false)
        .header_read_timeout(None)
        .max_buf_size(BUFFER_BYTES_MAX)
        .max_headers(HEADERS_MAX)
        .serve_connection(wire, service);
    let mut phase = shared.phase.clone();
    let ended = tokio::select! {
        ended = poll_fn(|cx| connection.poll_without_shutdown(cx)) => ended,
        () = half_for_too_long(fate, shared.request_limit) => return,
        () = reached(&mut phase, ServingPhase::Ending) => {
            Pin::new(&mut connection).graceful_shutdown();
            tokio::select! {
                ended = poll_fn(|cx| connection.poll_without_shutdown(cx)) => ended,
                () = reached(&mut phase, ServingPhase::Over) => return,
            }
        }
    };
    let mut wire = connection.into_parts().io;
    match (ended, fate.take_raw()) {
        (Ok(()), None) => wire.shut().await,
        // Its fate says how it ended.
        (Err(_), None) => {}
        (_, Some((raw, _open))) => tokio::select! {
            () = wire.write_raw(raw) => {}
            () = reached(&mut phase, ServingPhase::Over) => {}
        },
    }
}

/// Waits until a request has been incomplete for longer than its limit.
async fn half_for_too_long(fate: &Fate, limit: Duration) {
    while !fate.is_half_for(limit) {
        tokio::time::sleep(limit / 4).await;
    }
}

/// Waits until the mock has reached this phase. A dropped mock is over.
async fn reached(phase: &mut watch::Receiver<ServingPhase>, wanted: ServingPhase) {
    // It fails only if the mock is dropped.
    let _ = phase.wait_for(|phase| *phase == wanted || *phase == ServingPhase::Over).await;
}

/// A request gets no response.
#[derive(Debug, thiserror::Error)]
#[error("the script gives no response")]
struct NoResponse;

async fn exchange(
    request: hyper::Request<Incoming>,
    socket: SocketNo,
    shared: Arc<HttpShared>,
    fate: Arc<Fate>,
) -> Result<hyper::Response<MockBody>, NoResponse> {
    let exchange = ExchangeNo(shared.n_exchanges.fetch_add(1, Ordering::Relaxed) + 1);
    let is_pipelined = fate.is_pipelined();
    let (head, incoming) = request.into_parts();
    let query = head.uri.query().unwrap_or_default();
    let request = Request {
        exchange,
        socket,
        verb: head.method.as_str().to_owned(),
        path: head.uri.path().to_owned(),
        query: shortened(query),
        shown_query: shortened(&shared.digests.of_query(query)),
        headers: shared.digests.of_headers(&head.headers),
        is_pipelined,
        body: Body::Cut,
    };
    // hyper drops this future if the client leaves before its body is complete.
    let mut unread = Unread { request: Some(request), shared: &shared };
    let body = read_body(incoming, &shared).await;
    fate.request_complete();
    let Some(mut request) = unread.request.take() else { unreachable!("only its drop takes it otherwise") };
    request.body = body;
    let (reply, answer) = oneshot::channel();
    let mut open = OpenExchange::new(exchange, Arc::clone(&shared), fate);
    // The mock may be over; then no answer comes.
    let _ = shared.events.send(HttpEvent::Request(request, reply));
    let answer = answer.await;
    if let Ok(Reply::Stream(response, parts)) = answer {
        return Ok(response_of(response, |_| MockBody::Stream { parts, open, cut: CutState::No }));
    }
    if let Ok(Reply::Raw(raw)) = answer {
        // An unfinished exchange ends with its socket.
        if raw.after == After::Close {
            open.settle();
        }
        open.keep_raw(raw);
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

/// A request whose body is still to read. If it is dropped before, the mock gets it without its body.
struct Unread<'a> {
    request: Option<Request>,
    shared: &'a HttpShared,
}

impl Drop for Unread<'_> {
    fn drop(&mut self) {
        if let Some(request) = self.request.take() {
            // The mock may be over. No client waits for an answer.
            let _ = self.shared.events.send(HttpEvent::Request(request, oneshot::channel().0));
        }
    }
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
