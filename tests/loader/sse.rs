//! What the loader promises over HTTP with server-sent events.

use std::sync::Arc;
use std::time::Instant;

use mcp_lifecheck_specimens::reference::{
    CallError, Ending, HttpError, LoadReport, Options, RequestError, SessionError, ToolsLoader,
};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::http::http_error;
use crate::support::*;
use crate::web::*;

const ACCEPTED: &str = "HTTP/1.1 202 Accepted\r\nContent-Length: 8\r\n\r\nAccepted";
const ENDPOINT: &str = "event: endpoint\ndata: /messages?session=1";

/// A server that accepts what is posted, but for calls where a rule of its own says otherwise.
fn server(rule: impl Fn(&Hit, usize) -> Option<Act> + Send + Sync + 'static) -> Web {
    Web::new(move |hit, n| match hit.verb.as_str() {
        "POST" => rule(hit, n).unwrap_or_else(|| Act::Raw(ACCEPTED.to_owned())),
        _ => Act::Conforming,
    })
}

fn accepting() -> Web {
    server(|_, _| None)
}

fn begin(web: &Web, loader: &Arc<ToolsLoader>) -> JoinHandle<LoadReport> {
    let (loader, config) = (Arc::clone(loader), web.config_of("sse"));
    tokio::spawn(async move { loader.load(&config).await.unwrap() })
}

/// Answers the requests of this method, from the `n`-th on, on the stream.
async fn answer(web: &Web, stream: &mut Line, method: &str, n: usize) {
    web.seen(method, n).await;
    stream.event(&format!("event: message\ndata: {}", answer_to(web, method, n)));
}

fn answer_to(web: &Web, method: &str, n: usize) -> Value {
    let hit = web.hits().into_iter().filter(|hit| hit.label == method).nth(n - 1).unwrap();
    match method {
        "initialize" => welcome(&hit),
        "tools/list" => {
            let tools = json!({"tools": [{"name": "echo", "inputSchema": {"type": "object"}}]});
            result(&hit.body["id"], &tools)
        }
        _ => result(&hit.body["id"], &said("hello")),
    }
}

/// A loader that has loaded the server, and the stream of that.
async fn loaded(web: &Web, options: Options) -> (Arc<ToolsLoader>, Line) {
    let loader = Arc::new(ToolsLoader::new(options));
    let load = begin(web, &loader);
    let mut stream = web.stream().await;
    stream.event(ENDPOINT);
    answer(web, &mut stream, "initialize", 1).await;
    answer(web, &mut stream, "tools/list", 1).await;
    let report = load.await.unwrap();
    assert!(report.errors.is_empty(), "{:?}", report.errors);
    (loader, stream)
}

fn call(loader: &Arc<ToolsLoader>) -> JoinHandle<Result<String, CallError>> {
    let loader = Arc::clone(loader);
    tokio::spawn(async move { loader.call("a", "echo", Value::Null).await.map(|answer| text(&answer)) })
}

#[test]
fn load_call_cleanup_over_sse_leaves_nothing() {
    bounded(|| async {
        let web = accepting();
        let (loader, mut stream) = loaded(&web, options()).await;
        let answered = call(&loader);
        answer(&web, &mut stream, "tools/call", 1).await;
        assert_eq!(answered.await.unwrap().unwrap(), "hello");
        assert_eq!(loader.cleanup().await.unwrap().endings["a"], Ending::StreamClosed);
        web.all_closed().await;
        assert_eq!(web.labels(), ["GET", "initialize", "notifications/initialized", "tools/list", "tools/call"]);
        for hit in web.hits() {
            let (target, accept) = match hit.verb.as_str() {
                "GET" => ("/mcp", Some("text/event-stream")),
                _ => ("/messages?session=1", None),
            };
            assert_eq!((hit.target.as_str(), hit.header("accept")), (target, accept), "{hit:?}");
            assert_eq!(hit.header("x-key"), Some("k"), "{hit:?}");
            assert_eq!((hit.header("mcp-session-id"), hit.header("mcp-protocol-version")), (None, None), "{hit:?}");
        }
    });
}

#[test]
fn nothing_is_posted_before_the_stream_says_where() {
    bounded(|| async {
        let web = accepting();
        let loader = Arc::new(ToolsLoader::new(options()));
        let load = begin(&web, &loader);
        let mut stream = web.stream().await;
        stream.event(": nothing yet");
        stream.event("id: 1\nretry: 10");
        // As long as another loader needs for a whole life.
        let other = Web::conforming();
        let beside = loaded_from(&other, options()).await;
        echo(&beside, "a").await;
        beside.cleanup().await.unwrap();
        assert_eq!(web.labels(), ["GET"]);
        stream.event(ENDPOINT);
        answer(&web, &mut stream, "initialize", 1).await;
        answer(&web, &mut stream, "tools/list", 1).await;
        assert!(load.await.unwrap().errors.is_empty());
        loader.cleanup().await.unwrap();
    });
}

#[test]
fn an_endpoint_may_be_written_in_any_way_and_the_first_one_stands() {
    for (event, expected) in [
        ("event: endpoint\r\ndata: /messages?session=1\r\n", "/messages?session=1"),
        ("event: endpoint\rdata: messages?session=1\r", "/messages?session=1"),
        ("event: endpoint\ndata: http://HOST/m?a=b&c=d\n", "/m?a=b&c=d"),
        ("event: endpoint\ndata: /one\n\nevent: endpoint\ndata: /two\n", "/one"),
    ] {
        bounded(move || async move {
            let web = accepting();
            let loader = Arc::new(ToolsLoader::new(options()));
            let load = begin(&web, &loader);
            let mut stream = web.stream().await;
            let text = event.replace("HOST", &web.address.to_string());
            // Byte by byte.
            let end = if text.ends_with("\r\n") { "\r\n" } else { &text[text.len() - 1..] };
            for byte in format!("{text}{end}").chars() {
                stream.raw(&format!("1\r\n{byte}\r\n"));
            }
            answer(&web, &mut stream, "initialize", 1).await;
            answer(&web, &mut stream, "tools/list", 1).await;
            assert!(load.await.unwrap().errors.is_empty());
            loader.cleanup().await.unwrap();
            let posted: Vec<_> = web.hits().into_iter().filter(|hit| hit.verb == "POST").collect();
            assert!(posted.iter().all(|hit| hit.target == expected), "{posted:?}");
        });
    }
}

#[test]
fn an_unusable_stream_says_why_and_nothing_is_posted() {
    type Expected = fn(&HttpError) -> bool;
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n";
    let cases: Vec<(String, Expected)> = vec![
        (format!("{head}event: endpoint\ndata: http://127.0.0.2:1/m\n\n"), |error| {
            matches!(error, HttpError::ForeignEndpoint { .. })
        }),
        (format!("{head}event: endpoint\ndata: https://HOST/m\n\n"), |error| {
            matches!(error, HttpError::ForeignEndpoint { .. })
        }),
        (format!("{head}event: endpoint\ndata: /a b\n\n"), |error| matches!(error, HttpError::BadEndpoint { .. })),
        (format!("{head}{CHANGED}\n\n"), |error| matches!(error, HttpError::NoEndpoint)),
        (head.to_owned(), |error| matches!(error, HttpError::NoEndpoint)),
        ("HTTP/1.1 405 No\r\nContent-Length: 0\r\n\r\n".to_owned(), |error| {
            matches!(error, HttpError::Status { found: 405, .. })
        }),
        ("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 0\r\n\r\n".to_owned(), |error| {
            matches!(error, HttpError::ContentType { .. })
        }),
        (String::new(), |error| matches!(error, HttpError::BrokeOff(_))),
    ];
    for (response, is_expected) in cases {
        bounded(move || async move {
            let shown = response.clone();
            let web =
                Web::new(move |hit, _| Act::Raw(response.replace("HOST", hit.header("host").unwrap_or_default())));
            let loader = Arc::new(ToolsLoader::new(options()));
            let report = begin(&web, &loader).await.unwrap();
            match &*report.errors["a"] {
                SessionError::Http { source } => assert!(is_expected(source), "{shown:?}: {source:?}"),
                other => panic!("{shown:?}: {other:?}"),
            }
            assert_eq!(loader.cleanup().await.unwrap().endings["a"], Ending::NoSession);
            assert_eq!(web.labels(), ["GET"]);
            web.all_closed().await;
        });
    }
}

#[test]
fn a_stream_that_says_nothing_is_given_up_within_its_bound() {
    bounded(|| async {
        let web = accepting();
        let mut impatient = options();
        impatient.bounds.connect = ms(200);
        let loader = Arc::new(ToolsLoader::new(impatient));
        let begun = Instant::now();
        let report = begin(&web, &loader).await.unwrap();
        assert!(matches!(*report.errors["a"], SessionError::ConnectTimedOut { .. }), "{:?}", report.errors);
        // Far less than the default of 10 s: what is measured is this bound.
        assert!((ms(200)..ms(3000)).contains(&begun.elapsed()), "{:?}", begun.elapsed());
        web.all_closed().await;
        loader.cleanup().await.unwrap();
    });
}

#[test]
fn the_end_of_the_stream_fails_what_is_in_flight_at_once() {
    type End = fn(Line);
    for end in [Line::end as End, Line::cut] {
        bounded(move || async move {
            let web = accepting();
            let (loader, mut stream) = loaded(&web, options()).await;
            let (answered, lost) = (call(&loader), call(&loader));
            web.seen("tools/call", 2).await;
            // One is answered just before the end.
            let id = web.hits().into_iter().filter(|hit| hit.label == "tools/call").nth(1).unwrap().body["id"].clone();
            stream.event(&format!("data: {}", result(&id, &said("just in time"))));
            let begun = Instant::now();
            end(stream);
            let ends = [answered.await.unwrap(), lost.await.unwrap()];
            // Far less than the 10 s of a call.
            assert!(begun.elapsed() < ms(3000), "{:?}", begun.elapsed());
            assert_eq!(
                ends.iter().filter(|end| matches!(end, Ok(text) if text == "just in time")).count(),
                1,
                "{ends:?}"
            );
            let error = ends.into_iter().find_map(Result::err).unwrap();
            let error = http_error(&error);
            assert!(matches!(*error, HttpError::StreamEnded | HttpError::BrokeOff(_)), "{error:?}");
            web.all_closed().await;
            let error = loader.call("a", "echo", Value::Null).await.unwrap_err();
            assert!(matches!(error, CallError::Unavailable { .. }), "{error:?}");
            assert_eq!(web.count("GET"), 1, "a stream that ended is not opened again unasked");
            assert_eq!(loader.cleanup().await.unwrap().endings["a"], Ending::StreamClosed);
        });
    }
}

#[test]
fn open_requests_are_cancelled_after_they_were_sent_and_before_the_stream_is_closed() {
    bounded(|| async {
        let web = accepting();
        let mut impatient = options();
        impatient.bounds.call = ms(300);
        let (loader, _stream) = loaded(&web, impatient).await;
        let given_up = call(&loader);
        web.seen("tools/call", 1).await;
        given_up.abort();
        web.seen("notifications/cancelled", 1).await;
        let error = loader.call("a", "echo", Value::Null).await.unwrap_err();
        assert!(matches!(error, CallError::Request { source: RequestError::TimedOut { .. }, .. }), "{error:?}");
        web.seen("notifications/cancelled", 2).await;
        let closed = call(&loader);
        web.seen("tools/call", 3).await;
        assert_eq!(loader.cleanup().await.unwrap().endings["a"], Ending::StreamClosed);
        assert!(matches!(closed.await.unwrap(), Err(CallError::Closed)));
        web.all_closed().await;
        let of = |label: &str| -> Vec<Value> {
            let field = if label == "tools/call" { "/id" } else { "/params/requestId" };
            let hits = web.hits().into_iter().filter(|hit| hit.label == label);
            hits.map(|hit| hit.body.pointer(field).unwrap().clone()).collect()
        };
        assert_eq!(of("tools/call"), of("notifications/cancelled"));
        assert_eq!(of("tools/call").len(), 3);
    });
}

#[test]
fn a_post_that_is_refused_fails_its_call_and_no_other() {
    bounded(|| async {
        let busy = "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n";
        let web = server(move |hit, n| (hit.label == "tools/call" && n == 0).then(|| Act::Raw(busy.to_owned())));
        let (loader, mut stream) = loaded(&web, options()).await;
        let error = call(&loader).await.unwrap().unwrap_err();
        assert!(matches!(*http_error(&error), HttpError::Status { found: 503, .. }), "{error:?}");
        let next = call(&loader);
        answer(&web, &mut stream, "tools/call", 2).await;
        assert_eq!(next.await.unwrap().unwrap(), "hello");
        loader.cleanup().await.unwrap();
    });
}

#[test]
fn a_session_that_the_server_does_not_know_is_lost() {
    bounded(|| async {
        let gone = "HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n";
        let web = server(move |hit, _| (hit.label == "tools/call").then(|| Act::Raw(gone.to_owned())));
        let (loader, _stream) = loaded(&web, options()).await;
        let error = call(&loader).await.unwrap().unwrap_err();
        assert!(matches!(*http_error(&error), HttpError::SessionExpired), "{error:?}");
        web.all_closed().await;
        loader.cleanup().await.unwrap();
    });
}

#[test]
fn an_answer_counts_although_its_post_is_not_answered() {
    bounded(|| async {
        let web = server(|hit, _| (hit.label == "tools/call").then_some(Act::Hold));
        let (loader, mut stream) = loaded(&web, options()).await;
        let answered = call(&loader);
        answer(&web, &mut stream, "tools/call", 1).await;
        assert_eq!(answered.await.unwrap().unwrap(), "hello");
        let begun = Instant::now();
        loader.cleanup().await.unwrap();
        // Far less than the 10 s that a POST may take.
        assert!(begun.elapsed() < ms(3000), "{:?}", begun.elapsed());
        web.all_closed().await;
        assert_eq!(web.count("notifications/cancelled"), 0);
    });
}

#[test]
fn a_post_may_be_accepted_with_any_success_and_the_server_may_ask() {
    bounded(|| async {
        let web = server(|hit, _| {
            let ok = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok";
            let none = "HTTP/1.1 204 No Content\r\n\r\n";
            Some(Act::Raw(if hit.label == "initialize" { ok } else { none }.to_owned()))
        });
        let (loader, mut stream) = loaded(&web, options()).await;
        stream.event(r#"data: {"jsonrpc":"2.0","id":"p1","method":"ping"}"#);
        web.seen("answer", 1).await;
        let hits = web.hits();
        let answer = hits.iter().find(|hit| hit.label == "answer").unwrap();
        assert_eq!((&answer.body, answer.target.as_str()), (&result(&json!("p1"), &json!({})), "/messages?session=1"));
        loader.cleanup().await.unwrap();
    });
}

#[test]
fn a_runtime_that_ends_takes_the_stream_with_it() {
    bounded(|| async {
        let web = accepting();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let loader = Arc::new(ToolsLoader::on(runtime.handle().clone(), options()));
        let load = begin(&web, &loader);
        let mut stream = web.stream().await;
        stream.event(ENDPOINT);
        answer(&web, &mut stream, "initialize", 1).await;
        answer(&web, &mut stream, "tools/list", 1).await;
        assert!(load.await.unwrap().errors.is_empty());
        let lost = call(&loader);
        web.seen("tools/call", 1).await;
        tokio::task::spawn_blocking(move || drop(runtime)).await.unwrap();
        assert!(matches!(lost.await.unwrap(), Err(CallError::Unavailable { .. })));
        web.all_closed().await;
    });
}

#[test]
fn dropping_the_loader_closes_the_stream() {
    bounded(|| async {
        let web = accepting();
        let (loader, _stream) = loaded(&web, options()).await;
        tokio::task::spawn_blocking(move || drop(loader)).await.unwrap();
        web.all_closed().await;
    });
}
