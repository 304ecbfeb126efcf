//! Parts of the loaders, each by itself: the events of a stream, the delays between attempts, the address for messages, the headers
//! of a request, and the end of a request of a broken loader.

use std::future::{pending, ready};
use std::time::Duration;

use hyper::header::HeaderMap;
use mcp_lifecheck_specimens::parts::{Backoff, Events, PostTarget, RequestMetadata, or_end};
use mcp_lifecheck_specimens::reference::{Bounds, HttpError};
use rmcp::service::{ServiceError, serve_directly};
use tokio::time::timeout;

fn events(chunks: &[&[u8]]) -> (Vec<String>, Events) {
    let mut events = Events::new(64);
    for chunk in chunks {
        events.feed(chunk).unwrap();
    }
    let found = std::iter::from_fn(|| events.next_message()).collect();
    (found, events)
}

#[test]
fn every_line_end_and_every_split_gives_the_same_events() {
    let texts = ["id: 7\ndata: a\ndata: b\n\n: ping\n\ndata:c\n\n", "id: 7\rdata: a\rdata: b\r\r: ping\r\rdata:c\r\r"];
    for text in texts.iter().map(|text| (*text).to_owned()).chain([texts[0].replace('\n', "\r\n")]) {
        for at in 0..=text.len() {
            let (first, second) = text.as_bytes().split_at(at);
            let (found, events) = events(&[first, second]);
            assert_eq!(found, ["a\nb", "c"], "split at {at} of {text:?}");
            assert_eq!(events.last_id(), Some("7"));
        }
    }
}

#[test]
fn only_messages_with_data_are_messages() {
    let (found, events) =
        events(&["\u{feff}data: x\n\nid: 1\ndata:\n\nevent: other\ndata: y\n\ndata: cut off".as_bytes()]);
    assert_eq!(found, ["x"]);
    assert_eq!(events.last_id(), Some("1"));
}

#[test]
fn the_first_endpoint_stands_and_is_no_message() {
    let (found, events) = events(&[b"event: endpoint\r\ndata: /a\r\n\r\nevent: endpoint\ndata: /b\n\ndata: x\n\n"]);
    assert_eq!((events.endpoint(), found.as_slice()), (Some("/a"), &["x".to_owned()][..]));
}

#[test]
fn an_empty_id_takes_the_last_one_back_and_retry_is_digits() {
    let (_, mut events) = events(&[b"id: 1\n\nretry: 500\nid:\nretry: -1\nretry: 2s\n\n"]);
    assert_eq!((events.last_id(), events.retry()), (None, Some(Duration::from_millis(500))));
    events.feed(b"retry: 99999999999999999999999\n\n").unwrap();
    assert_eq!(events.retry(), Some(Duration::from_millis(u64::MAX)));
}

#[test]
fn what_was_unfinished_is_gone_with_its_connection() {
    let (_, mut events) = events(&[b"id: 1\ndata: half"]);
    events.restart();
    events.feed(b"data: whole\n\n").unwrap();
    assert_eq!((events.next_message().as_deref(), events.last_id()), (Some("whole"), Some("1")));
}

#[test]
fn an_event_that_does_not_end_is_refused() {
    let mut events = Events::new(64);
    assert!(matches!(events.feed(&[b'x'; 65]), Err(HttpError::TooLarge { bytes_max: 64 })));
    let mut events = Events::new(64);
    assert!(events.feed("data: 1234567890\n".repeat(9).as_bytes()).is_err());
}

fn bounds() -> Bounds {
    Bounds {
        stream_retry_min: Duration::from_millis(500),
        stream_retry_max: Duration::from_secs(3),
        n_stream_retries_max: 5,
        ..Bounds::default()
    }
}

fn delays(retry: Option<Duration>) -> Vec<u128> {
    let mut backoff = Backoff::new(&bounds());
    std::iter::from_fn(|| backoff.next(retry)).map(|delay| delay.as_millis()).collect()
}

#[test]
fn delays_grow_to_their_bound_and_end() {
    assert_eq!(delays(None), [500, 1000, 2000, 3000, 3000]);
}

#[test]
fn a_server_can_ask_for_more_patience_and_not_for_less() {
    assert_eq!(delays(Some(Duration::ZERO)), [500, 1000, 2000, 3000, 3000]);
    assert_eq!(delays(Some(Duration::from_millis(1500))), [1500, 1500, 2000, 3000, 3000]);
    assert_eq!(delays(Some(Duration::from_secs(60))), [60_000; 5]);
}

#[test]
fn a_reset_begins_the_row_anew() {
    let mut backoff = Backoff::new(&bounds());
    while backoff.next(None).is_some() {}
    backoff.reset();
    assert_eq!(backoff.next(None), Some(Duration::from_millis(500)));
}

fn resolved(found: &str) -> Result<String, HttpError> {
    PostTarget::resolve("host:8000", "/a/sse?x=1", found).map(|target| target.as_str().to_owned())
}

#[test]
fn relative_and_absolute_endpoints_are_resolved() {
    for (found, expected) in [
        ("/messages?session=1", "/messages?session=1"),
        ("/messages/?session_id=1", "/messages/?session_id=1"),
        ("messages", "/a/messages"),
        ("./messages?x=../y", "/a/messages?x=../y"),
        ("../messages", "/messages"),
        ("../../../messages", "/messages"),
        ("..", "/"),
        ("?session=1", "/a/sse?session=1"),
        ("", "/a/sse"),
        ("//host:8000/m", "/m"),
        ("http://host:8000/m?s=1", "/m?s=1"),
        ("HTTP://HOST:8000/m", "/m"),
        ("http://host:8000", "/"),
        (" /messages#part ", "/messages"),
        ("/m?url=http://elsewhere/", "/m?url=http://elsewhere/"),
    ] {
        assert_eq!(resolved(found).unwrap(), expected, "{found}");
    }
    let of_port_80 = PostTarget::resolve("host", "/sse", "http://host:80/m").unwrap();
    assert_eq!(of_port_80.as_str(), "/m");
}

#[test]
fn another_origin_is_refused() {
    for found in [
        "http://host/m",
        "http://host:8001/m",
        "https://host:8000/m",
        "//elsewhere:8000/m",
        "http://elsewhere:8000/m",
        "http://host:8000@elsewhere/m",
        "http://user@host:8000/m",
        "ftp://host:8000/m",
        "file:///etc/passwd",
    ] {
        let error = resolved(found).unwrap_err();
        assert!(matches!(error, HttpError::ForeignEndpoint { .. } | HttpError::BadEndpoint { .. }), "{found}: {error}");
    }
    assert!(matches!(resolved("//elsewhere/m"), Err(HttpError::ForeignEndpoint { .. })));
}

#[test]
fn what_is_no_target_is_refused() {
    for found in ["/a b", "/a\u{7f}", "http://", "http:///m"] {
        let error = resolved(found).unwrap_err();
        assert!(matches!(error, HttpError::BadEndpoint { .. } | HttpError::ForeignEndpoint { .. }), "{found}: {error}");
    }
}

/// The header fields that show a body: the version, the method and the name.
fn shown(body: &str) -> Option<[Option<String>; 3]> {
    let mut headers = HeaderMap::new();
    RequestMetadata::of(body.as_bytes())?.show(&mut headers).unwrap();
    let value = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    Some(["mcp-protocol-version", "mcp-method", "mcp-name"].map(value))
}

#[test]
fn a_request_is_shown_where_it_says_of_which_revision_it_is() {
    let meta = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}"#;
    let fields = |method: &str, name: Option<&str>| {
        Some([Some("2026-07-28"), Some(method), name].map(|field| field.map(str::to_owned)))
    };
    let call = format!(r#"{{"id":1,"method":"tools/call","params":{{"name":"read",{meta}}}}}"#);
    assert_eq!(shown(&call), fields("tools/call", Some("read")));
    let list = format!(r#"{{"id":1,"method":"tools/list","params":{{{meta}}}}}"#);
    assert_eq!(shown(&list), fields("tools/list", None));
    assert_eq!(shown(r#"{"id":1,"method":"tools/call","params":{"name":"read","_meta":{}}}"#), None);
    assert_eq!(shown(r#"{"method":"notifications/initialized"}"#), None);
}

#[tokio::test]
async fn a_request_that_stays_in_the_queue_ends_with_its_session() {
    let (client, _server) = tokio::io::duplex(64);
    let service = serve_directly((), client, None);
    let peer = service.peer().clone();
    let waiting = tokio::spawn({
        let peer = peer.clone();
        async move { or_end::<()>(&peer, pending()).await }
    });
    service.cancel().await.expect("the session's task ends");
    let ended = timeout(Duration::from_secs(10), waiting).await.expect("the call ends").expect("without a panic");
    assert!(matches!(ended, Err(ServiceError::TransportClosed)), "{ended:?}");
    // An answer that has come counts, also when the session has ended since.
    assert!(matches!(or_end(&peer, ready(Ok(1))).await, Ok(1)));
}
