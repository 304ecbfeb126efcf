//! How a conversation over HTTP is opened with servers of either generation, and what only the stateless one has: a raw server.

use mcp_lifecheck_specimens::reference::{Ending, HttpError, Opening, Options, SessionError, ToolsLoader};
use serde_json::{Value, json};

use crate::support::*;
use crate::web::{Act, Hit, Web, json_response, result, said};

fn both() -> Options {
    Options { opening: Opening::Auto, ..impatient() }
}

fn refused(status: u16, kind: &str, body: &str) -> Act {
    let length = body.len();
    Act::Raw(format!("HTTP/1.1 {status} X\r\n{kind}Content-Length: {length}\r\n\r\n{body}"))
}

/// What a server of the stateless generation answers.
fn stateless(hit: &Hit) -> Act {
    let answer = match hit.label.as_str() {
        "server/discover" => {
            json!({ "resultType": "complete", "supportedVersions": ["2026-07-28"], "capabilities": { "tools": {} }, "ttlMs": 0,
                    "cacheScope": "private" })
        }
        "tools/list" => {
            let tools = json!([{ "name": "echo", "inputSchema": { "type": "object" } }]);
            json!({ "resultType": "complete", "tools": tools, "ttlMs": 0, "cacheScope": "private" })
        }
        _ => {
            let mut answer = said("hello");
            answer["resultType"] = json!("complete");
            answer
        }
    };
    Act::Raw(json_response(&result(&hit.body["id"], &answer), ""))
}

#[test]
fn a_refusal_without_a_message_is_followed_by_initialize_and_nothing_of_the_stateless_generation() {
    bounded(|| async {
        let html = "Content-Type: text/html\r\n";
        for (status, kind, body) in
            [(400, "", ""), (400, html, "<p>Bad</p>"), (404, "", ""), (405, "", ""), (422, html, "<p>What</p>")]
        {
            let web = Web::new(move |hit, _| match hit.label.as_str() {
                "server/discover" => refused(status, kind, body),
                _ => Act::Conforming,
            });
            let loader = ToolsLoader::new(both());
            let report = loader.load(&web.config()).await.unwrap();
            assert!(report.errors.is_empty(), "{status} {body:?}: {:?}", report.errors);
            echo(&loader, "a").await;
            loader.cleanup().await.unwrap();
            let hits = web.hits();
            assert_eq!([hits[0].label.as_str(), hits[1].label.as_str()], ["server/discover", "initialize"]);
            for hit in &hits[1..] {
                assert_eq!(hit.header("mcp-method"), None, "{hit:?}");
                assert_eq!(hit.body["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"], Value::Null);
            }
            web.all_closed().await;
        }
    });
}

#[test]
fn a_client_that_is_not_let_in_does_not_try_the_other_generation() {
    bounded(|| async {
        for status in [401, 403] {
            let web = Web::new(move |_, _| refused(status, "", ""));
            let loader = ToolsLoader::new(both());
            let report = loader.load(&web.config()).await.unwrap();
            let SessionError::Http { source } = &*report.errors["a"] else { panic!("{:?}", report.errors) };
            assert!(matches!(**source, HttpError::Status { found, .. } if found == status), "{source:?}");
            assert_eq!(web.labels(), ["server/discover"]);
            loader.cleanup().await.unwrap();
        }
    });
}

#[test]
fn every_post_shows_what_it_is_and_there_is_nothing_but_posts() {
    bounded(|| async {
        let web = Web::new(|hit, _| stateless(hit));
        let loader = ToolsLoader::new(both());
        assert!(loader.load(&web.config()).await.unwrap().errors.is_empty());
        echo(&loader, "a").await;
        assert_eq!(loader.cleanup().await.unwrap().endings["a"], Ending::NoSession);
        assert_eq!(web.labels(), ["server/discover", "tools/list", "tools/call"]);
        for hit in web.hits() {
            assert_eq!(hit.header("mcp-protocol-version"), Some("2026-07-28"), "{hit:?}");
            assert_eq!(hit.header("mcp-method"), Some(hit.label.as_str()), "{hit:?}");
            let name = if hit.label == "tools/call" { Some("echo") } else { None };
            assert_eq!(hit.header("mcp-name"), name, "{hit:?}");
        }
        web.all_closed().await;
    });
}

#[test]
fn a_stream_that_breaks_off_is_not_resumed() {
    bounded(|| async {
        let web = Web::new(|hit, _| if hit.label == "tools/call" { Act::Hold } else { stateless(hit) });
        let loader = std::sync::Arc::new(ToolsLoader::new(both()));
        loader.load(&web.config()).await.unwrap();
        let other = std::sync::Arc::clone(&loader);
        let call = tokio::spawn(async move { other.call("a", "echo", json!({ "text": "hello" })).await });
        let mut line = web.held("tools/call").await;
        line.events();
        line.event("id: 1\ndata:");
        line.cut();
        assert!(call.await.unwrap().is_err());
        loader.cleanup().await.unwrap();
        assert_eq!(web.labels(), ["server/discover", "tools/list", "tools/call"]);
        web.all_closed().await;
    });
}

#[test]
fn a_call_that_is_cancelled_closes_its_stream_and_says_nothing_else() {
    bounded(|| async {
        let web = Web::new(|hit, _| if hit.label == "tools/call" { Act::Hold } else { stateless(hit) });
        let loader = std::sync::Arc::new(ToolsLoader::new(both()));
        loader.load(&web.config()).await.unwrap();
        let other = std::sync::Arc::clone(&loader);
        let call = tokio::spawn(async move { other.call("a", "echo", Value::Null).await });
        let line = web.held("tools/call").await;
        call.abort();
        web.all_closed().await;
        drop(line);
        loader.cleanup().await.unwrap();
        assert_eq!(web.labels(), ["server/discover", "tools/list", "tools/call"]);
    });
}
