//! What the loader promises over streamable HTTP while a server misbehaves: streams, sessions, and answers that are none.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Instant;

use mcp_lifecheck_specimens::reference::{Ending, HttpError, Options, SessionError, ToolsLoader};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::http::http_error;
use crate::support::*;
use crate::web::*;

const NOT_ALLOWED: &str = "HTTP/1.1 405 No\r\nContent-Length: 0\r\n\r\n";
const NOT_FOUND: &str = "HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n";
const EVENTS: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n";

type IsExpected = fn(&HttpError) -> bool;
type Outcome = Result<String, mcp_lifecheck_specimens::reference::CallError>;

fn call(loader: &Arc<ToolsLoader>) -> JoinHandle<Outcome> {
    let loader = Arc::clone(loader);
    tokio::spawn(async move {
        let answer = loader.call("a", "echo", json!({"text": "hello"})).await;
        answer.map(|answer| text(&answer))
    })
}

/// Three attempts, 20 ms, 40 ms and 40 ms apart.
fn eager() -> Options {
    let mut eager = options();
    eager.bounds.stream_retry_min = ms(20);
    eager.bounds.stream_retry_max = ms(40);
    eager.bounds.n_stream_retries_max = 3;
    eager
}

#[test]
fn a_refused_stream_is_not_asked_for_again() {
    for refusal in [NOT_ALLOWED, "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 0\r\n\r\n"] {
        bounded(move || async move {
            let web =
                Web::new(move |hit, _| if hit.label == "GET" { Act::Raw(refusal.to_owned()) } else { Act::Conforming });
            let loader = loaded_from(&web, eager()).await;
            web.seen("GET", 1).await;
            // As long as three more attempts would have taken.
            let begun = Instant::now();
            while begun.elapsed() < ms(120) {
                echo(&loader, "a").await;
            }
            loader.cleanup().await.unwrap();
            assert_eq!(web.count("GET"), 1);
        });
    }
}

#[test]
fn a_stream_that_ends_is_opened_again_ever_later_and_not_for_ever() {
    let clean = format!("{EVENTS}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
    let dropped = format!("{EVENTS}Transfer-Encoding: chunked\r\n\r\n");
    let storm = format!("{EVENTS}Content-Length: 10\r\n\r\nretry: 0\n\n");
    let busy = "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n".to_owned();
    for end in [clean, dropped, storm, busy, String::new()] {
        bounded(move || async move {
            let web = Web::new(move |hit, _| if hit.label == "GET" { Act::Raw(end.clone()) } else { Act::Conforming });
            let loader = loaded_from(&web, eager()).await;
            web.seen("GET", 4).await;
            // As long as the longest delay, twice.
            let begun = Instant::now();
            while begun.elapsed() < ms(80) {
                echo(&loader, "a").await;
            }
            loader.cleanup().await.unwrap();
            let at: Vec<_> = web.hits().into_iter().filter(|hit| hit.label == "GET").map(|hit| hit.at).collect();
            assert_eq!(at.len(), 4);
            // The server notes a request a moment after it was sent, hence 5 ms less.
            for (pair, least) in at.windows(2).zip([15, 35, 35]) {
                assert!(pair[1] - pair[0] >= ms(least), "{:?} < {least} ms", pair[1] - pair[0]);
            }
            web.all_closed().await;
        });
    }
}

#[test]
fn retry_is_honoured_and_an_event_id_sent_only_if_one_was_given() {
    bounded(|| async {
        let web = Web::conforming();
        let loader = loaded_from(&web, eager()).await;
        let mut stream = web.stream().await;
        stream.event(CHANGED);
        stream.end();
        let mut stream = web.stream().await;
        let ended = Instant::now();
        stream.event(&format!("id: e7\nretry: 150\n{CHANGED}"));
        stream.end();
        let _third = web.stream().await;
        assert!(ended.elapsed() >= ms(150), "{:?}", ended.elapsed());
        let hits: Vec<_> = web.hits().into_iter().filter(|hit| hit.label == "GET").collect();
        let ids: Vec<_> = hits.iter().map(|hit| hit.header("last-event-id")).collect();
        assert_eq!(ids, [None, None, Some("e7")]);
        loader.cleanup().await.unwrap();
    });
}

#[test]
fn a_stream_is_never_opened_after_the_close() {
    bounded(|| async {
        let web = Web::conforming();
        let mut patient = eager();
        patient.bounds.stream_retry_min = ms(100);
        patient.bounds.stream_retry_max = ms(100);
        let loader = loaded_from(&web, patient).await;
        web.stream().await.end();
        loader.cleanup().await.unwrap();
        web.all_closed().await;
        // Longer than the delay that was running.
        tokio::time::sleep(ms(150)).await;
        assert_eq!(web.count("GET"), 1);
        assert_eq!(web.labels().last().unwrap(), "DELETE");
    });
}

#[test]
fn a_session_that_expired_while_idle_is_renewed_and_the_call_sent_again() {
    bounded(|| async {
        let web = Web::conforming();
        let loader = loaded_from(&web, options()).await;
        web.seen("GET", 1).await;
        web.forget();
        assert_eq!(call(&loader).await.unwrap().unwrap(), "hello");
        let hits = web.hits();
        let calls: Vec<_> = hits.iter().filter(|hit| hit.label == "tools/call").collect();
        let sessions: Vec<_> = calls.iter().map(|hit| hit.header("mcp-session-id").unwrap()).collect();
        assert_eq!(sessions, ["session-1", "session-2"]);
        let opened: Vec<_> = hits.iter().filter(|hit| hit.label == "initialize").collect();
        assert_eq!((opened.len(), opened[1].header("mcp-session-id")), (2, None));
        assert_ne!(opened[0].body["id"], opened[1].body["id"]);
        assert_eq!(web.count("notifications/initialized"), 2);
        // The tools of a new session may be others, and it has a stream of its own.
        web.seen("tools/list", 2).await;
        web.seen("GET", 2).await;
        assert_eq!(loader.cleanup().await.unwrap().endings["a"], Ending::SessionDeleted);
        assert_eq!(web.hits().last().unwrap().header("mcp-session-id"), Some("session-2"));
        web.all_closed().await;
    });
}

#[test]
fn a_session_is_renewed_once_however_many_calls_race() {
    bounded(|| async {
        let web = Web::new(|hit, n| if hit.label == "tools/call" && n < 5 { Act::Hold } else { Act::Conforming });
        let loader = loaded_from(&web, options()).await;
        let calls: Vec<_> = (0..5).map(|_| call(&loader)).collect();
        web.seen("tools/call", 5).await;
        web.forget();
        for _ in 0..5 {
            web.held("tools/call").await.status(404);
        }
        for call in calls {
            assert_eq!(call.await.unwrap().unwrap(), "hello");
        }
        assert_eq!((web.count("initialize"), web.count("tools/call")), (2, 10));
        loader.cleanup().await.unwrap();
    });
}

#[test]
fn calls_wait_for_a_renewal_and_one_refused_late_uses_it() {
    bounded(|| async {
        let web = Web::new(|hit, n| match hit.label.as_str() {
            "tools/call" if n < 2 => Act::Hold,
            "initialize" if n == 1 => Act::Hold,
            _ => Act::Conforming,
        });
        let loader = loaded_from(&web, options()).await;
        let calls = [call(&loader), call(&loader)];
        web.seen("tools/call", 2).await;
        web.forget();
        web.held("tools/call").await.status(404);
        let mut line = web.held("initialize").await;
        let third = call(&loader);
        let hits = web.hits();
        let opened = hits.iter().rfind(|hit| hit.label == "initialize").unwrap();
        assert_eq!(web.count("tools/call"), 2, "nothing is sent to a session that is forgotten");
        line.raw(&json_response(&welcome(opened), "Mcp-Session-Id: session-2\r\n"));
        web.adopt("session-2");
        line.cut();
        assert_eq!(third.await.unwrap().unwrap(), "hello");
        web.held("tools/call").await.status(404);
        for call in calls {
            assert_eq!(call.await.unwrap().unwrap(), "hello");
        }
        assert_eq!(web.count("initialize"), 2);
        loader.cleanup().await.unwrap();
    });
}

#[test]
fn a_call_that_a_forgotten_session_owes_an_answer_fails_promptly() {
    bounded(|| async {
        let web = Web::new(|hit, n| if hit.label == "tools/call" && n == 0 { Act::Hold } else { Act::Conforming });
        let mut eager = options();
        eager.bounds.expired_grace = ms(100);
        let loader = loaded_from(&web, eager).await;
        let stuck = call(&loader);
        let mut line = web.held("tools/call").await;
        line.events();
        web.forget();
        let begun = Instant::now();
        assert_eq!(call(&loader).await.unwrap().unwrap(), "hello");
        let error = stuck.await.unwrap().unwrap_err();
        assert!(matches!(*http_error(&error), HttpError::SessionExpired), "{error:?}");
        // The grace, and far less than the bound on calls, which is 10 s.
        assert!((ms(100)..ms(5000)).contains(&begun.elapsed()), "{:?}", begun.elapsed());
        assert_eq!(web.count("notifications/cancelled"), 0, "the new session knows no such request");
        loader.cleanup().await.unwrap();
    });
}

#[test]
fn a_stream_that_is_answered_404_renews_the_session() {
    bounded(|| async {
        let web = Web::conforming();
        let loader = loaded_from(&web, eager()).await;
        let stream = web.stream().await;
        web.forget();
        stream.end();
        web.seen("initialize", 2).await;
        web.seen("GET", 3).await;
        echo(&loader, "a").await;
        loader.cleanup().await.unwrap();
        assert_eq!((web.count("initialize"), web.count("GET")), (2, 3));
    });
}

#[test]
fn a_server_that_says_404_for_405_costs_one_renewal() {
    bounded(|| async {
        let web = Web::new(|hit, _| if hit.label == "GET" { Act::Raw(NOT_FOUND.to_owned()) } else { Act::Conforming });
        let loader = loaded_from(&web, eager()).await;
        web.seen("GET", 2).await;
        for _ in 0..20 {
            echo(&loader, "a").await;
        }
        loader.cleanup().await.unwrap();
        assert_eq!((web.count("initialize"), web.count("GET")), (2, 2));
    });
}

#[test]
fn a_server_that_forgets_every_session_at_once_is_given_up() {
    bounded(|| async {
        let web = Web::new(|hit, n| match hit.label.as_str() {
            "tools/call" => Act::Raw(NOT_FOUND.to_owned()),
            "tools/list" if n > 0 => Act::Raw(NOT_FOUND.to_owned()),
            "GET" => Act::Raw(NOT_ALLOWED.to_owned()),
            _ => Act::Conforming,
        });
        let loader = loaded_from(&web, eager()).await;
        let error = call(&loader).await.unwrap().unwrap_err();
        assert!(matches!(*http_error(&error), HttpError::SessionExpired), "{error:?}");
        until("it is given up", || loader.tools().is_empty()).await;
        assert_eq!(web.count("initialize"), 2);
        // The session is forgotten: nothing is said to it any more.
        assert_eq!(loader.cleanup().await.unwrap().endings["a"], Ending::NoSession);
        web.all_closed().await;
    });
}

#[test]
fn a_renewal_that_fails_ends_the_session_and_the_next_load_tries_again() {
    bounded(|| async {
        let busy = "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n";
        let web = Web::new(move |hit, n| match hit.label.as_str() {
            "initialize" if n == 1 => Act::Raw(busy.to_owned()),
            _ => Act::Conforming,
        });
        let loader = loaded_from(&web, options()).await;
        web.forget();
        let error = call(&loader).await.unwrap().unwrap_err();
        assert!(matches!(*http_error(&error), HttpError::NotRenewed(_)), "{error:?}");
        assert_eq!(loader.load(&web.config()).await.unwrap().connected, ["a"]);
        echo(&loader, "a").await;
        loader.cleanup().await.unwrap();
        assert_eq!(web.count("initialize"), 3);
    });
}

#[test]
fn a_call_whose_response_is_cut_fails_promptly_and_alone() {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{\"jsonrpc\"";
    let chunked = format!("{EVENTS}Transfer-Encoding: chunked\r\n\r\n");
    let cuts: [(String, IsExpected); 5] = [
        (String::new(), |error| matches!(error, HttpError::BrokeOff(_))),
        ("HTTP/1.1 200 OK\r\nContent-".to_owned(), |error| matches!(error, HttpError::BrokeOff(_))),
        (head.to_owned(), |error| matches!(error, HttpError::BrokeOff(_))),
        (chunked.clone(), |error| matches!(error, HttpError::BrokeOff(_))),
        (format!("{chunked}0\r\n\r\n"), |error| matches!(error, HttpError::NoAnswer)),
    ];
    for (cut, is_expected) in cuts {
        one_bad_answer(cut, is_expected);
    }
}

#[test]
fn an_answer_that_is_none_is_an_error_of_its_call_alone() {
    let json = |body: &str| {
        format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len())
    };
    let event = "data: garbage\n\n";
    let answers: [(String, IsExpected); 7] = [
        (json("<html>"), |error| matches!(error, HttpError::NotAMessage { .. })),
        (json("{}"), |error| matches!(error, HttpError::NotAMessage { .. })),
        (json(r#"{"jsonrpc":"2.0","id":999,"result":{}}"#), |error| matches!(error, HttpError::NoAnswer)),
        (json("x").replace("json", "xml"), |error| matches!(error, HttpError::ContentType { .. })),
        (json("x").replace("200", "500"), |error| matches!(error, HttpError::Status { found: 500, .. })),
        ("HTTP/1.1 202 OK\r\nContent-Length: 0\r\n\r\n".to_owned(), |error| {
            matches!(error, HttpError::Status { found: 202, .. })
        }),
        (format!("{EVENTS}Content-Length: {}\r\n\r\n{event}", event.len()), |error| {
            matches!(error, HttpError::NotAMessage { .. })
        }),
    ];
    for (answer, is_expected) in answers {
        one_bad_answer(answer, is_expected);
    }
    one_bad_answer("this is not HTTP\r\n\r\n".to_owned(), |error| matches!(error, HttpError::BrokeOff(_)));
}

fn one_bad_answer(answer: String, is_expected: IsExpected) {
    bounded(move || async move {
        let told = answer.clone();
        let web = Web::new(move |hit, n| match hit.label.as_str() {
            "tools/call" if n == 0 => Act::Raw(answer.clone()),
            _ => Act::Conforming,
        });
        let loader = loaded_from(&web, options()).await;
        let begun = Instant::now();
        let error = call(&loader).await.unwrap().unwrap_err();
        assert!(is_expected(&http_error(&error)), "{told:?} gave {error:?}");
        // Far less than the bound on calls, which is 10 s.
        assert!(begun.elapsed() < ms(5000), "{:?}", begun.elapsed());
        echo(&loader, "a").await;
        assert_eq!(web.count("initialize"), 1);
        loader.cleanup().await.unwrap();
        web.all_closed().await;
    });
}

#[test]
fn a_stream_that_carried_an_event_id_is_resumed() {
    bounded(|| async {
        let web = Web::new(|hit, n| match hit.label.as_str() {
            "tools/call" => Act::Hold,
            "GET" if n == 0 => Act::Raw(NOT_ALLOWED.to_owned()),
            "GET" => Act::Hold,
            _ => Act::Conforming,
        });
        let loader = loaded_from(&web, eager()).await;
        web.seen("GET", 1).await;
        let call = call(&loader);
        let mut line = web.held("tools/call").await;
        line.events();
        line.event("id: e1\nretry: 30\ndata:");
        line.end();
        let mut line = web.held("GET").await;
        assert_eq!(web.hits().last().unwrap().header("last-event-id"), Some("e1"));
        let id = web.hits().iter().find(|hit| hit.label == "tools/call").unwrap().body["id"].clone();
        line.events();
        line.event(&format!("data: {}", result(&id, &said("resumed"))));
        assert_eq!(call.await.unwrap().unwrap(), "resumed");
        line.end();
        loader.cleanup().await.unwrap();
        web.all_closed().await;
    });
}

#[test]
fn a_stream_that_cannot_be_resumed_fails_its_call() {
    bounded(|| async {
        let web = Web::new(|hit, _| match hit.label.as_str() {
            "tools/call" => Act::Hold,
            "GET" => Act::Raw(NOT_ALLOWED.to_owned()),
            _ => Act::Conforming,
        });
        let loader = loaded_from(&web, eager()).await;
        let call = call(&loader);
        let mut line = web.held("tools/call").await;
        line.events();
        line.event("id: e1\ndata:");
        line.cut();
        let error = call.await.unwrap().unwrap_err();
        assert!(matches!(*http_error(&error), HttpError::Status { found: 405, .. }), "{error:?}");
        loader.cleanup().await.unwrap();
    });
}

#[test]
fn a_server_that_is_not_there_is_reported_and_retried_by_the_next_load() {
    bounded(|| async {
        let web = Web::conforming();
        let loader = loaded_from(&web, options()).await;
        echo(&loader, "a").await;
        web.die();
        until("the port is closed", || std::net::TcpStream::connect(web.address).is_err()).await;
        let error = call(&loader).await.unwrap().unwrap_err();
        assert!(matches!(*http_error(&error), HttpError::Connect { .. }), "{error:?}");
        until("it offers no tools", || loader.tools().is_empty()).await;
        let report = loader.load(&web.config()).await.unwrap();
        let SessionError::Http { source } = &*report.errors["a"] else { panic!("{report:?}") };
        assert!(matches!(**source, HttpError::Connect { .. }), "{source:?}");
        assert_eq!(loader.cleanup().await.unwrap().endings["a"], Ending::NoSession);
    });
}

#[test]
fn a_bad_answer_to_initialize_is_an_error_of_its_server() {
    let answers = [
        "",
        "garbage\r\n\r\n",
        NOT_FOUND,
        "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 202 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 1\r\n\r\nx",
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 0\r\n\r\n",
    ];
    for answer in answers {
        bounded(move || async move {
            let web = Web::new(move |_, _| Act::Raw(answer.to_owned()));
            let loader = ToolsLoader::new(options());
            let report = loader.load(&web.config()).await.unwrap();
            assert!(matches!(*report.errors["a"], SessionError::Http { .. }), "{answer:?}: {report:?}");
            loader.cleanup().await.unwrap();
            assert_eq!(web.labels(), ["initialize"]);
            web.all_closed().await;
        });
    }
}

#[test]
fn a_server_that_resets_is_an_error_of_its_server() {
    bounded(|| async {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let resetting = std::thread::spawn(move || {
            let (socket, _) = listener.accept().unwrap();
            // Closed with bytes unread, a socket is reset.
            socket.peek(&mut [0]).unwrap();
        });
        let config = json!({"mcpServers": {"a": {"url": format!("http://{address}/")}}});
        let config = mcp_lifecheck_specimens::reference::Config::from_value(&config).unwrap();
        let loader = ToolsLoader::new(options());
        let report = loader.load(&config).await.unwrap();
        let SessionError::Http { source } = &*report.errors["a"] else { panic!("{report:?}") };
        assert!(matches!(**source, HttpError::BrokeOff(_)), "{source:?}");
        resetting.join().unwrap();
        loader.cleanup().await.unwrap();
    });
}

#[test]
fn a_mute_server_is_given_up_within_the_bounds_and_keeps_no_socket() {
    for mute in ["initialize", "notifications/initialized", "tools/list"] {
        bounded(move || async move {
            let web = Web::new(move |hit, _| if hit.label == mute { Act::Hold } else { Act::Conforming });
            let mut impatient = options();
            impatient.bounds.connect = ms(200);
            let loader = ToolsLoader::new(impatient);
            let begun = Instant::now();
            let report = loader.load(&web.config()).await.unwrap();
            assert!((ms(150)..ms(3000)).contains(&begun.elapsed()), "{mute}: {:?}", begun.elapsed());
            assert_eq!(report.errors.len(), 1, "{report:?}");
            // A session that was opened is ended, though the load failed.
            let ending = if mute == "initialize" { Ending::NoSession } else { Ending::SessionDeleted };
            until("it has ended", || web.n_open() == 0).await;
            assert_eq!(loader.cleanup().await.unwrap().endings["a"], ending, "{mute}");
        });
    }
}

#[test]
fn a_cleanup_ends_a_load_that_waits_for_a_mute_server() {
    bounded(|| async {
        let web = Web::new(|_, _| Act::Hold);
        let loader = Arc::new(ToolsLoader::new(options()));
        let (other, config) = (Arc::clone(&loader), web.config());
        let load = tokio::spawn(async move { other.load(&config).await });
        web.seen("initialize", 1).await;
        let begun = Instant::now();
        loader.cleanup().await.unwrap();
        // The bound on connecting is 10 s.
        assert!(begun.elapsed() < ms(3000), "{:?}", begun.elapsed());
        assert!(load.await.unwrap().is_err());
        web.all_closed().await;
        assert!(loader.call("a", "echo", Value::Null).await.is_err());
    });
}
