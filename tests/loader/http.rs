//! What the loader promises over streamable HTTP while everything is well, and at the end.

use std::sync::Arc;
use std::time::Instant;

use mcp_lifecheck::loader::scopes::Scopes;
use mcp_lifecheck_specimens::reference::{
    CallError, Ending, Freshness, HttpError, Options, RequestError, SessionError, ToolsLoader,
};
use serde_json::{Value, json};

use crate::support::*;
use crate::web::*;

#[test]
fn load_call_cleanup_over_http_leaves_nothing() {
    bounded(|| async {
        let web = Web::conforming();
        let log = ScopeLog::default();
        let scopes = Scopes::reported_to(Box::new(log.clone()));
        let loader = loaded_from(&web, Options { scopes, ..options() }).await;
        echo(&loader, "a").await;
        web.seen("GET", 1).await;
        let closed = loader.cleanup().await.unwrap();
        assert_eq!(closed.endings["a"], Ending::SessionDeleted);
        web.all_closed().await;
        let labels = web.labels();
        assert_eq!(labels[..2], ["initialize", "notifications/initialized"]);
        assert_eq!(labels.last().unwrap(), "DELETE");
        let mut between = labels[2..labels.len() - 1].to_vec();
        between.sort();
        assert_eq!(between, ["GET", "tools/call", "tools/list"]);
        let scopes = log.lines().clone();
        assert!(scopes[0].starts_with("enter 1 session a in Some"), "{scopes:?}");
        assert_eq!(scopes[1], scopes[0].replace("enter 1 session a", "leave 1 Explicit"));
        assert_eq!(loader.cleanup().await.unwrap(), closed);
        loader.load(&web.config()).await.unwrap();
        echo(&loader, "a").await;
        loader.cleanup().await.unwrap();
        assert_eq!(web.count("DELETE"), 2);
    });
}

#[test]
fn every_request_after_initialize_carries_session_and_revision() {
    bounded(|| async {
        let web = Web::conforming();
        let loader = loaded_from(&web, options()).await;
        echo(&loader, "a").await;
        web.seen("GET", 1).await;
        loader.cleanup().await.unwrap();
        for hit in web.hits() {
            let expected = match hit.label.as_str() {
                "initialize" => (None, None),
                _ => (Some("session-1"), Some("2025-11-25")),
            };
            assert_eq!((hit.header("mcp-session-id"), hit.header("mcp-protocol-version")), expected, "{hit:?}");
            assert_eq!(hit.header("x-key"), Some("k"), "{hit:?}");
            assert_eq!(hit.header("host").unwrap(), web.address.to_string(), "{hit:?}");
            let accepts = match hit.verb.as_str() {
                "POST" => Some("application/json, text/event-stream"),
                "GET" => Some("text/event-stream"),
                _ => None,
            };
            assert_eq!(hit.header("accept"), accepts, "{hit:?}");
        }
    });
}

#[test]
fn nothing_is_sent_before_initialized_is_accepted() {
    bounded(|| async {
        let web = Web::new(|hit, _| match hit.label.as_str() {
            "initialize" | "notifications/initialized" => Act::Hold,
            _ => Act::Conforming,
        });
        let loader = Arc::new(ToolsLoader::new(options()));
        let (other, config) = (Arc::clone(&loader), web.config());
        let load = tokio::spawn(async move { other.load(&config).await.unwrap() });
        let line = web.held("initialize").await;
        assert_eq!(web.labels(), ["initialize"]);
        line.json(&welcome(&web.hits()[0]));
        let line = web.held("notifications/initialized").await;
        assert_eq!(web.labels(), ["initialize", "notifications/initialized"]);
        line.status(202);
        assert!(load.await.unwrap().errors.is_empty());
        loader.cleanup().await.unwrap();
    });
}

#[test]
fn a_server_without_sessions_gets_no_session_id_and_no_delete() {
    bounded(|| async {
        let web = Web::new(|hit, _| match hit.label.as_str() {
            "initialize" => Act::Raw(json_response(&welcome(hit), "")),
            _ => Act::Conforming,
        });
        let loader = loaded_from(&web, options()).await;
        echo(&loader, "a").await;
        assert_eq!(loader.cleanup().await.unwrap().endings["a"], Ending::NoSession);
        assert!(web.hits().iter().all(|hit| hit.header("mcp-session-id").is_none()));
        assert_eq!(web.count("DELETE"), 0);
        web.all_closed().await;
    });
}

#[test]
fn a_delete_that_is_refused_is_accepted() {
    bounded(|| async {
        let web = Web::new(|hit, _| match hit.label.as_str() {
            "DELETE" => Act::Raw("HTTP/1.1 405 No\r\nContent-Length: 0\r\n\r\n".to_owned()),
            _ => Act::Conforming,
        });
        let loader = loaded_from(&web, options()).await;
        assert_eq!(loader.cleanup().await.unwrap().endings["a"], Ending::SessionLeft);
        assert_eq!(web.count("DELETE"), 1);
        web.all_closed().await;
    });
}

#[test]
fn a_delete_that_is_never_answered_does_not_hold_cleanup_beyond_its_bound() {
    bounded(|| async {
        let web = Web::new(|hit, _| if hit.label == "DELETE" { Act::Hold } else { Act::Conforming });
        let mut impatient = options();
        impatient.bounds.delete = ms(200);
        let loader = loaded_from(&web, impatient).await;
        let begun = Instant::now();
        assert_eq!(loader.cleanup().await.unwrap().endings["a"], Ending::SessionLeft);
        // The bound, and less than the default of 2 s: what is measured is this bound.
        assert!((ms(200)..ms(1500)).contains(&begun.elapsed()), "{:?}", begun.elapsed());
        web.all_closed().await;
    });
}

#[test]
fn dropping_the_loader_ends_its_session_too() {
    bounded(|| async {
        let web = Web::conforming();
        let loader = loaded_from(&web, options()).await;
        tokio::task::spawn_blocking(move || drop(loader)).await.unwrap();
        assert_eq!(web.count("DELETE"), 1);
        web.all_closed().await;
    });
}

#[test]
fn a_runtime_that_ends_takes_every_socket_with_it() {
    bounded(|| async {
        let web = Web::new(|hit, _| if hit.label == "tools/call" { Act::Hold } else { Act::Conforming });
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let loader = Arc::new(ToolsLoader::on(runtime.handle().clone(), options()));
        loader.load(&web.config()).await.unwrap();
        let other = Arc::clone(&loader);
        let call = tokio::spawn(async move { other.call("a", "echo", Value::Null).await });
        web.seen("tools/call", 1).await;
        tokio::task::spawn_blocking(move || drop(runtime)).await.unwrap();
        assert!(matches!(call.await.unwrap(), Err(CallError::Unavailable { .. })));
        web.all_closed().await;
    });
}

#[test]
fn changed_tools_are_listed_again_wherever_it_is_announced() {
    bounded(|| async {
        let web = Web::new(|hit, _| if hit.label == "tools/call" { Act::Hold } else { Act::Conforming });
        let loader = loaded_from(&web, options()).await;
        let names = || loader.tools()[0].tools.iter().map(|tool| tool.name.to_string()).collect::<Vec<_>>();
        let is_fresh = || loader.tools()[0].freshness == Freshness::Current;
        let mut stream = web.stream().await;
        web.set_tools(&["echo", "new"]);
        stream.event(CHANGED);
        until("listed again", || names() == ["echo", "new"] && is_fresh()).await;

        let other = Arc::clone(&loader);
        let call = tokio::spawn(async move { other.call("a", "echo", Value::Null).await });
        let mut line = web.held("tools/call").await;
        web.set_tools(&["echo"]);
        line.events();
        line.event(CHANGED);
        until("listed again", || names() == ["echo"] && is_fresh()).await;
        let id = web.hits().iter().find(|hit| hit.label == "tools/call").unwrap().body["id"].clone();
        line.event(&format!("data: {}", result(&id, &said("late"))));
        assert_eq!(text(&call.await.unwrap().unwrap()), "late");
        line.end();
        loader.cleanup().await.unwrap();
    });
}

#[test]
fn a_ping_of_the_server_is_answered_with_a_post() {
    bounded(|| async {
        let web = Web::conforming();
        let loader = loaded_from(&web, options()).await;
        web.stream().await.event(r#"data: {"jsonrpc":"2.0","id":"p1","method":"ping"}"#);
        web.seen("answer", 1).await;
        let hits = web.hits();
        let answer = hits.iter().find(|hit| hit.label == "answer").unwrap();
        assert_eq!(answer.body, result(&json!("p1"), &json!({})));
        assert_eq!(answer.header("mcp-session-id"), Some("session-1"));
        loader.cleanup().await.unwrap();
    });
}

#[test]
fn a_call_that_waits_does_not_hold_the_next_one() {
    bounded(|| async {
        let web = Web::new(|hit, n| if hit.label == "tools/call" && n == 0 { Act::Hold } else { Act::Conforming });
        let loader = loaded_from(&web, options()).await;
        let other = Arc::clone(&loader);
        let slow = tokio::spawn(async move { other.call("a", "echo", Value::Null).await });
        let line = web.held("tools/call").await;
        echo(&loader, "a").await;
        let id = web.hits().iter().find(|hit| hit.label == "tools/call").unwrap().body["id"].clone();
        line.json(&result(&id, &said("slow")));
        assert_eq!(text(&slow.await.unwrap().unwrap()), "slow");
        loader.cleanup().await.unwrap();
    });
}

#[test]
fn exactly_the_open_requests_are_cancelled_after_they_were_sent() {
    bounded(|| async {
        let web = Web::new(|hit, n| if hit.label == "tools/call" && n > 0 { Act::Hold } else { Act::Conforming });
        let mut impatient = options();
        impatient.bounds.call = ms(300);
        let loader = loaded_from(&web, impatient).await;
        echo(&loader, "a").await;
        // By a caller who goes away, by the bound, and by a close.
        let other = Arc::clone(&loader);
        let call = tokio::spawn(async move { other.call("a", "echo", Value::Null).await });
        let first = web.held("tools/call").await;
        call.abort();
        web.seen("notifications/cancelled", 1).await;
        let error = loader.call("a", "echo", Value::Null).await.unwrap_err();
        assert!(matches!(error, CallError::Request { source: RequestError::TimedOut { .. }, .. }), "{error:?}");
        web.seen("notifications/cancelled", 2).await;
        let other = Arc::clone(&loader);
        let call = tokio::spawn(async move { other.call("a", "echo", Value::Null).await });
        web.seen("tools/call", 4).await;
        assert_eq!(loader.cleanup().await.unwrap().endings["a"], Ending::SessionDeleted);
        assert!(matches!(call.await.unwrap(), Err(CallError::Closed)));
        web.seen("notifications/cancelled", 3).await;
        let hits = web.hits();
        let position = |label: &str, nth: usize| {
            hits.iter().enumerate().filter(|(_, hit)| hit.label == label).nth(nth).map(|(at, _)| at).unwrap()
        };
        for nth in 0..3 {
            let (call, cancelled) = (position("tools/call", nth + 1), position("notifications/cancelled", nth));
            assert!(call < cancelled);
            assert_eq!(hits[cancelled].body["params"]["requestId"], hits[call].body["id"]);
        }
        assert!(position("notifications/cancelled", 2) < position("DELETE", 0));
        drop(first);
        web.all_closed().await;
    });
}

#[test]
fn a_cancelled_request_keeps_no_socket() {
    bounded(|| async {
        let web = Web::new(|hit, _| match hit.label.as_str() {
            "tools/call" => Act::Hold,
            "GET" => Act::Raw("HTTP/1.1 405 No\r\nContent-Length: 0\r\n\r\n".to_owned()),
            _ => Act::Conforming,
        });
        let loader = loaded_from(&web, options()).await;
        let other = Arc::clone(&loader);
        let call = tokio::spawn(async move { other.call("a", "echo", Value::Null).await });
        let _line = web.held("tools/call").await;
        call.abort();
        web.all_closed().await;
        loader.cleanup().await.unwrap();
    });
}

#[test]
fn an_unusable_address_says_why() {
    bounded(|| async {
        for (server, expected) in [
            (json!({"url": "https://127.0.0.1:1/mcp"}), "https is not supported by this build"),
            (json!({"url": "ftp://127.0.0.1/mcp"}), "has another scheme"),
            (json!({"url": "/mcp"}), "has no scheme"),
            (json!({"url": "http://u:p@127.0.0.1/mcp"}), "has a user name in it"),
            (json!({"url": "http://exa mple/"}), "is no address"),
            (json!({"url": "http://127.0.0.1:1/", "headers": {"b d": "x"}}), "header \"b d\""),
            (json!({"url": "https://127.0.0.1:1/sse", "type": "sse"}), "https is not supported by this build"),
        ] {
            let loader = ToolsLoader::new(options());
            let config = json!({"mcpServers": {"x": server}});
            let config = mcp_lifecheck_specimens::reference::Config::from_value(&config).unwrap();
            let report = loader.load(&config).await.unwrap();
            let told = match &*report.errors["x"] {
                SessionError::Http { source } => source.to_string(),
                other => other.to_string(),
            };
            assert!(told.contains(expected), "{told}");
            assert_eq!(loader.cleanup().await.unwrap().endings["x"], Ending::NeverStarted);
        }
    });
}

#[test]
fn a_server_that_insists_on_an_unknown_revision_is_refused_and_its_session_ended() {
    bounded(|| async {
        let web = Web::new(|hit, _| match hit.label.as_str() {
            "initialize" => {
                let mut answer = welcome(hit);
                answer["result"]["protocolVersion"] = json!("2999-01-01");
                Act::Raw(json_response(&answer, "Mcp-Session-Id: s\r\n"))
            }
            "DELETE" => Act::Raw("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_owned()),
            _ => Act::Conforming,
        });
        let loader = ToolsLoader::new(options());
        let report = loader.load(&web.config()).await.unwrap();
        assert!(matches!(*report.errors["a"], SessionError::UnsupportedRevision { .. }), "{:?}", report.errors);
        loader.cleanup().await.unwrap();
        assert_eq!(web.labels(), ["initialize", "DELETE"]);
    });
}

#[test]
fn a_refusal_in_json_rpc_is_told_whatever_its_status() {
    bounded(|| async {
        let web = Web::new(|hit, _| match hit.label.as_str() {
            "tools/call" => {
                let refusal = json!({"jsonrpc": "2.0", "id": null, "error": {"code": -32602, "message": "no such"}});
                Act::Raw(json_response(&refusal, "").replace("200 OK", "400 Bad"))
            }
            _ => Act::Conforming,
        });
        let loader = loaded_from(&web, options()).await;
        let error = loader.call("a", "echo", Value::Null).await.unwrap_err();
        let CallError::Request { source: RequestError::Refused(refusal), .. } = error else { panic!("{error:?}") };
        assert_eq!(refusal.message, "no such");
        loader.cleanup().await.unwrap();
    });
}

#[test]
fn a_batch_of_messages_is_taken_apart() {
    bounded(|| async {
        let web = Web::new(|hit, _| match hit.label.as_str() {
            "tools/call" => {
                let changed = json!({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"});
                Act::Raw(json_response(&json!([changed, result(&hit.body["id"], &said("batched"))]), ""))
            }
            _ => Act::Conforming,
        });
        let loader = loaded_from(&web, options()).await;
        assert_eq!(text(&loader.call("a", "echo", Value::Null).await.unwrap()), "batched");
        web.seen("tools/list", 2).await;
        loader.cleanup().await.unwrap();
    });
}

#[test]
fn a_server_over_http_is_loaded_through_the_interface_of_all_loaders() {
    bounded(|| async {
        let web = Web::conforming();
        let loader = ToolsLoader::new(options());
        let target: &dyn mcp_lifecheck::loader::target::Loader = &loader;
        let config = json!({"mcpServers": {"a": {"url": web.url(), "type": "http"}}});
        let loaded = target.load(&config).await.unwrap();
        assert_eq!(loaded.tools, [("a".to_owned(), "echo".to_owned())]);
        assert_eq!(target.call("a", "echo", json!({"text": "hello"})).await.unwrap().text, "hello");
        target.close().await.unwrap();
        assert_eq!(target.call("a", "echo", Value::Null).await.unwrap_err().kind, "CallError::Closed");
    });
}

/// The HTTP error of a call.
pub fn http_error(error: &CallError) -> Arc<HttpError> {
    match error {
        CallError::Request { source: RequestError::Http(error), .. } => Arc::clone(error),
        CallError::Unavailable { because, .. } => match &**because {
            SessionError::Http { source } => Arc::clone(source),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}
