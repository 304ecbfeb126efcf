//! Mutations of HTTP requests, and of the bounds that only HTTP has.

use std::time::Duration;

use hyper::body::Bytes;
use hyper::header::{ACCEPT, HeaderName, HeaderValue};
use hyper::{Method, Request};
use serde_json::{Value, json};

use crate::reference::{Bounds, Fate, Options, Seen, TamperHttp};

pub(super) const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");
const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
/// The pause of a client that does not back off. It is too long for a storm of requests. The rule lets equal pauses differ by a quarter,
/// and a quarter of this one is more than a busy machine adds.
const STEADY: Duration = Duration::from_secs(1);

/// Replaces each request by the requests that a function returns.
struct Sends<F>(F);

impl<F: FnMut(Request<Bytes>) -> Vec<Request<Bytes>> + Send> TamperHttp for Sends<F> {
    fn request(&mut self, request: Request<Bytes>) -> Vec<Request<Bytes>> {
        (self.0)(request)
    }
}

fn sends(change: impl FnMut(Request<Bytes>) -> Vec<Request<Bytes>> + Send + 'static) -> Box<dyn TamperHttp> {
    Box::new(Sends(change))
}

/// Changes each request in place.
fn each(mut change: impl FnMut(&mut Request<Bytes>) + Send + 'static) -> Box<dyn TamperHttp> {
    sends(move |mut request| {
        change(&mut request);
        vec![request]
    })
}

fn message(request: &Request<Bytes>) -> Value {
    serde_json::from_slice(request.body()).unwrap_or_default()
}

pub(super) fn is_of(request: &Request<Bytes>, method: &str) -> bool {
    message(request)["method"] == method
}

/// The request without its session.
fn outside(request: &Request<Bytes>) -> Request<Bytes> {
    let mut request = request.clone();
    request.headers_mut().remove(SESSION_ID);
    request.headers_mut().remove(PROTOCOL_VERSION);
    request
}

/// Names the first session in place of any later one, in the requests that `is_meant` selects.
fn names_the_first(is_meant: fn(&Request<Bytes>) -> bool) -> Box<dyn TamperHttp> {
    let mut first: Option<HeaderValue> = None;
    each(move |request| {
        let Some(named) = request.headers().get(SESSION_ID) else { return };
        let first = first.get_or_insert_with(|| named.clone());
        if is_meant(request) {
            request.headers_mut().insert(SESSION_ID, first.clone());
        }
    })
}

pub(super) fn task_asked() -> Box<dyn TamperHttp> {
    each(|request| {
        let mut message = message(request);
        if message["method"] == "tools/call" {
            message["params"]["task"] = json!({ "ttl": 60_000 });
            *request.body_mut() = Bytes::from(message.to_string());
        }
    })
}

pub(super) fn delete_lost() -> Box<dyn TamperHttp> {
    sends(|request| if request.method() == Method::DELETE { Vec::new() } else { vec![request] })
}

pub(super) fn delete_of_the_first() -> Box<dyn TamperHttp> {
    names_the_first(|request| request.method() == Method::DELETE)
}

/// Opens no session after the first. What waits for another one waits until its bound.
pub(super) fn renewal_lost() -> Box<dyn TamperHttp> {
    let mut is_open = false;
    sends(move |request| {
        let is_again = is_of(&request, "initialize") && std::mem::replace(&mut is_open, true);
        if is_again { Vec::new() } else { vec![request] }
    })
}

pub(super) fn first_session_for_ever() -> Box<dyn TamperHttp> {
    names_the_first(|_| true)
}

/// Requests the stream of the first session after a renewal.
///
/// It holds the other requests of the new session until the server refuses the stream. Otherwise a call races that refusal. A client that
/// reads the answer to the call first may close before it renews its session once more, and then it breaks no rule.
#[derive(Default)]
struct StreamOfTheFirst {
    first: Option<HeaderValue>,
    misnamed: Misnamed,
}

/// The request for a stream that names the wrong session.
#[derive(Default, PartialEq, Eq)]
enum Misnamed {
    #[default]
    NotSent,
    Sent,
    Answered,
}

impl TamperHttp for StreamOfTheFirst {
    fn holds(&mut self, request: &Request<Bytes>) -> bool {
        let named = request.headers().get(SESSION_ID);
        let is_of_renewal = named.is_some() && self.first.is_some() && named != self.first.as_ref();
        let is_request = !message(request)["id"].is_null();
        is_of_renewal && is_request && self.misnamed != Misnamed::Answered
    }

    fn request(&mut self, mut request: Request<Bytes>) -> Vec<Request<Bytes>> {
        if let Some(named) = request.headers().get(SESSION_ID).cloned() {
            let first = self.first.get_or_insert_with(|| named.clone()).clone();
            if request.method() == Method::GET && named != first {
                request.headers_mut().insert(SESSION_ID, first);
                self.misnamed = Misnamed::Sent;
            }
        }
        vec![request]
    }

    fn see(&mut self, method: &Method, seen: Seen<'_>) -> Fate {
        match seen {
            Seen::Head(_) | Seen::Over if method == Method::GET && self.misnamed == Misnamed::Sent => {
                self.misnamed = Misnamed::Answered;
            }
            Seen::Head(_) | Seen::Piece(_) | Seen::Over => {}
        }
        Fate::Taken
    }
}

pub(super) fn stream_of_the_first() -> Box<dyn TamperHttp> {
    Box::new(StreamOfTheFirst::default())
}

/// Finds the calls that the loader sends again. It sends a call again only if the server refused it.
#[derive(Default)]
struct Resent {
    ids: Vec<Value>,
}

impl Resent {
    fn is_again(&mut self, request: &Request<Bytes>) -> bool {
        if !is_of(request, "tools/call") {
            return false;
        }
        let id = message(request)["id"].clone();
        let is_again = self.ids.contains(&id);
        self.ids.push(id);
        is_again
    }
}

pub(super) fn racers_initialize() -> Box<dyn TamperHttp> {
    let (mut opening, mut resent) = (None, Resent::default());
    sends(move |request| {
        if is_of(&request, "initialize") {
            opening = Some(outside(&request));
        }
        let is_again = resent.is_again(&request);
        opening.clone().filter(|_| is_again).into_iter().chain([request]).collect()
    })
}

pub(super) fn resent_twice() -> Box<dyn TamperHttp> {
    let mut resent = Resent::default();
    sends(move |request| if resent.is_again(&request) { vec![request.clone(), request] } else { vec![request] })
}

pub(super) fn stream_insisted() -> Box<dyn TamperHttp> {
    stream_requested(2)
}

pub(super) fn stream_insisted_on() -> Box<dyn TamperHttp> {
    stream_requested(4)
}

/// Requests each stream so many times.
fn stream_requested(n_times: usize) -> Box<dyn TamperHttp> {
    sends(move |request| {
        let n_times = if request.method() == Method::GET { n_times } else { 1 };
        vec![request; n_times]
    })
}

pub(super) fn streamless() -> Box<dyn TamperHttp> {
    sends(|request| if request.method() == Method::GET { Vec::new() } else { vec![request] })
}

pub(super) fn version_lost() -> Box<dyn TamperHttp> {
    each(|request| {
        request.headers_mut().remove(PROTOCOL_VERSION);
    })
}

pub(super) fn notifications_without_session() -> Box<dyn TamperHttp> {
    each(|request| {
        if is_of(request, "notifications/cancelled") {
            request.headers_mut().remove(SESSION_ID);
        }
    })
}

pub(super) fn one_kind_accepted() -> Box<dyn TamperHttp> {
    each(|request| {
        if request.method() == Method::POST {
            request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
        }
    })
}

pub(super) fn open_after_delete() -> Box<dyn TamperHttp> {
    let mut opening = None;
    sends(move |request| {
        if is_of(&request, "initialize") {
            opening = Some(outside(&request));
        }
        let more = opening.clone().filter(|_| request.method() == Method::DELETE);
        std::iter::once(request).chain(more).collect()
    })
}

/// Leaves out the query of the address, in the POST requests that `is_meant` selects.
fn without_query(is_meant: fn(&Request<Bytes>) -> bool) -> Box<dyn TamperHttp> {
    each(move |request| {
        if request.method() == Method::POST && is_meant(request) {
            *request.uri_mut() = request.uri().path().parse().expect("a path is a target");
        }
    })
}

pub(super) fn posted_without_query() -> Box<dyn TamperHttp> {
    without_query(|_| true)
}

pub(super) fn cancelled_without_query() -> Box<dyn TamperHttp> {
    without_query(|request| is_of(request, "notifications/cancelled"))
}

fn with_stream_retries(options: Options, delay: Duration) -> Options {
    let bounds =
        Bounds { stream_retry_min: delay, stream_retry_max: delay, n_stream_retries_max: u32::MAX, ..options.bounds };
    Options { bounds, ..options }
}

pub(super) fn stream_at_once(options: Options) -> Options {
    with_stream_retries(options, Duration::ZERO)
}

pub(super) fn stream_steadily(options: Options) -> Options {
    with_stream_retries(options, STEADY)
}

pub(super) fn calls_in_batches() -> Box<dyn TamperHttp> {
    each(|request| {
        if is_of(request, "tools/call") {
            *request.body_mut() = Value::Array(vec![message(request)]).to_string().into();
        }
    })
}

pub(super) fn name_lost() -> Box<dyn TamperHttp> {
    each(|request| {
        request.headers_mut().remove("mcp-name");
    })
}
