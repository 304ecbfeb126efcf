//! How a conversation is opened with servers of either generation: mock servers as processes.

use std::time::Instant;

use mcp_lifecheck_specimens::reference::{
    Bounds, CommandLine, Config, Endpoint, Opening, Options, SessionError, ToolsLoader,
};
use serde_json::Value;

use crate::support::*;

/// What a loader of this opening makes of a server with this script, and what it said to it, by method.
struct Opened {
    error: Option<SessionError>,
    text: String,
    methods: Vec<String>,
}

fn opening(opening: Opening) -> Options {
    Options { opening, ..options() }
}

async fn open(options: Options, script: &str) -> Opened {
    let world = World::new();
    let (file, journal) = (world.path("script.toml"), world.path("journal.jsonl"));
    std::fs::write(&file, format!("about = \"x\"\n{script}")).unwrap();
    let words = ["stdio", "--script", file.to_str().unwrap(), "--journal", journal.to_str().unwrap()];
    let line = CommandLine {
        program: env!("CARGO_BIN_EXE_mcp-mock").to_owned(),
        args: words.map(str::to_owned).into(),
        ..CommandLine::default()
    };
    let config: Config = [("files".to_owned(), Endpoint::Command(line))].into_iter().collect();
    let loader = ToolsLoader::new(options);
    let mut report = loader.load(&config).await.unwrap();
    let error = report.errors.swap_remove("files");
    if error.is_none() {
        let answer = loader.call("files", "read", Value::Null).await.unwrap();
        assert!(text(&answer).starts_with("read"));
    }
    loader.cleanup().await.unwrap();
    let journal = std::fs::read_to_string(&journal).unwrap();
    let events = journal.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let received = events.filter(|event| event["kind"] == "wire.received");
    let methods = received.map(|event| event["message"]["method"].as_str().unwrap().to_owned()).collect();
    let text = error.as_ref().map(|error| chain(&**error)).unwrap_or_default();
    Opened { error: error.map(|error| std::sync::Arc::try_unwrap(error).unwrap()), text, methods }
}

/// An error and its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[test]
fn a_client_that_opens_with_initialize_is_told_which_revisions_a_stateless_server_speaks() {
    bounded(|| async {
        let opened = open(opening(Opening::Initialize), "era = \"modern\"\n").await;
        assert_eq!(opened.methods, ["initialize"]);
        assert!(opened.text.contains("2026-07-28"), "{}", opened.text);
    });
}

#[test]
fn who_only_discovers_does_not_initialize_a_server_that_does_not_know_it() {
    bounded(|| async {
        let opened = open(opening(Opening::Discover), "era = \"legacy\"\n").await;
        assert_eq!(opened.methods, ["server/discover"]);
        assert!(matches!(opened.error, Some(SessionError::Handshake { .. })), "{:?}", opened.error);
        let opened = open(opening(Opening::Discover), "era = \"modern\"\n").await;
        assert_eq!(opened.methods, ["server/discover", "tools/list", "tools/call"]);
        assert!(opened.error.is_none(), "{:?}", opened.error);
    });
}

#[test]
fn who_can_do_both_finds_out_within_its_bound() {
    bounded(|| async {
        let bounds = Bounds { probe: ms(300), ..Bounds::default() };
        let both = || Options { bounds: bounds.clone(), ..opening(Opening::Auto) };
        let legacy = ["server/discover", "initialize", "notifications/initialized", "tools/list", "tools/call"];
        let mute = "era = \"legacy\"\n[[rule]]\non = { request = \"server/discover\" }\ndo = [\"drop\"]\n";
        let begun = Instant::now();
        assert_eq!(open(both(), mute).await.methods, legacy);
        assert!(begun.elapsed() >= ms(300) && begun.elapsed() < ms(5000), "{:?}", begun.elapsed());
        assert_eq!(open(both(), "era = \"dual\"\n").await.methods, ["server/discover", "tools/list", "tools/call"]);
    });
}

#[test]
fn input_that_was_never_offered_is_not_given() {
    bounded(|| async {
        let script = "era = \"modern\"\n[[rule]]\non = { request = \"tools/call\" }\ndo = [{ answer-result = { resultType = \
                      \"input_required\", inputRequests = { r = { method = \"roots/list\" } } } }]\n";
        let world = World::new();
        let file = world.path("script.toml");
        std::fs::write(&file, format!("about = \"x\"\n{script}")).unwrap();
        let line = CommandLine {
            program: env!("CARGO_BIN_EXE_mcp-mock").to_owned(),
            args: ["stdio", "--script", file.to_str().unwrap()].map(str::to_owned).into(),
            ..CommandLine::default()
        };
        let config: Config = [("files".to_owned(), Endpoint::Command(line))].into_iter().collect();
        let loader = ToolsLoader::new(opening(Opening::Auto));
        loader.load(&config).await.unwrap();
        let error = loader.call("files", "read", Value::Null).await.unwrap_err();
        assert!(chain(&error).contains("what the client does not offer"), "{}", chain(&error));
        loader.cleanup().await.unwrap();
    });
}
