//! The broken loaders over HTTP, on rmcp's own transport where the feature `rmcp-reqwest` is on.

use std::sync::Arc;

use mcp_lifecheck::loader::scopes::Scopes;
use mcp_lifecheck::loader::target::Loader;
use mcp_lifecheck_specimens::broken::RmcpReadme;
use serde_json::{Value, json};

use crate::support::*;
use crate::web::*;

fn config(web: &Web) -> Value {
    json!({"mcpServers": {"a": {"url": web.url(), "type": "http"}}})
}

#[cfg(not(feature = "rmcp-reqwest"))]
#[test]
fn a_build_without_the_feature_says_what_a_server_over_http_needs() {
    use mcp_lifecheck_specimens::broken::{ClosedEarly, DropOutsideRuntime, RunPerStep, RuntimeNotDriven};
    bounded(|| async {
        let scopes = Scopes::silent;
        let loaders: [Arc<dyn Loader>; 5] = [
            Arc::new(ClosedEarly::new(scopes())),
            Arc::new(RunPerStep::new(scopes())),
            Arc::new(RuntimeNotDriven::new(scopes())),
            Arc::new(RmcpReadme::new(scopes())),
            Arc::new(DropOutsideRuntime::new(scopes())),
        ];
        let web = Web::conforming();
        for loader in loaders {
            let loaded = loader.load(&config(&web)).await.unwrap();
            assert!(loaded.errors["a"].contains("feature `rmcp-reqwest`"), "{loaded:?}");
            // Not closed: this is not about how they end, and one of them panics.
            std::mem::forget(loader);
        }
        assert_eq!(web.labels(), Vec::<String>::new());
    });
}

#[cfg(feature = "rmcp-reqwest")]
mod with_the_feature {
    use super::*;

    const NOT_FOUND: &str = "HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n";
    const ENDED: &str =
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";

    async fn loaded(web: &Web) -> Arc<RmcpReadme> {
        let loader = Arc::new(RmcpReadme::new(Scopes::silent()));
        let found = loader.load(&config(web)).await.unwrap();
        assert!(found.errors.is_empty(), "{found:?}");
        let called = loader.call("a", "echo", json!({"text": "hello"})).await.unwrap();
        assert_eq!(called.text, "hello");
        loader
    }

    #[test]
    fn the_readme_loader_works_over_http() {
        bounded(|| async {
            let web = Web::conforming();
            let loader = loaded(&web).await;
            loader.close().await.unwrap();
            assert_eq!(web.labels().last().unwrap(), "DELETE");
            web.all_closed().await;
        });
    }

    #[test]
    fn the_readme_loader_opens_an_ended_stream_again_without_growing_delays() {
        bounded(|| async {
            let web = Web::new(|hit, _| if hit.label == "GET" { Act::Raw(ENDED.to_owned()) } else { Act::Conforming });
            let loader = loaded(&web).await;
            web.seen("GET", 6).await;
            let at: Vec<_> = web.hits().into_iter().filter(|hit| hit.label == "GET").map(|hit| hit.at).collect();
            // Twice as long each time, the sixth would have come 16 s after the fifth.
            assert!(at[5] - at[4] < ms(4000), "{:?}", at[5] - at[4]);
            loader.close().await.unwrap();
        });
    }

    #[test]
    fn the_readme_loader_asks_again_for_a_stream_that_is_answered_404_and_keeps_its_session() {
        bounded(|| async {
            let web = Web::new(|hit, n| match hit.label.as_str() {
                "GET" if n == 0 => Act::Raw(ENDED.to_owned()),
                "GET" => Act::Raw(NOT_FOUND.to_owned()),
                _ => Act::Conforming,
            });
            let loader = loaded(&web).await;
            web.seen("GET", 4).await;
            assert_eq!(web.count("initialize"), 1);
            loader.close().await.unwrap();
        });
    }
}
