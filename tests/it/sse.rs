//! Plans over HTTP with server-sent events: on request, with any revision that has a handshake.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;

use crate::lanes::core_of_rust;
use crate::rig::{Ran, Rig};

const WITH: &str = r#"
about = "A life with one server that misbehaves, and one that does not."
servers = [{ name = "files", script = "SCRIPT" }, { name = "search", script = "polite" }]
[[step]]
do = "load"
[[step]]
do = "call"
server = "search"
[[step]]
do = "close"
"#;

/// What is demanded of session ids, which this transport does not have in its headers.
const OF_SESSIONS: [&str; 10] = [
    "session-id-sent",
    "stale-session-unused",
    "lost-session-renewed-once",
    "lost-session-calls-end",
    "session-deleted",
    "deleted-session-silent",
    "protocol-version-sent",
    "accept-offers-both",
    "stream-reopened-slowly",
    "refused-stream-accepted",
];

fn run(rig: &Rig, arguments: &[&str]) -> Ran {
    let ran = rig.run(&[arguments, &["--transport", "sse"]].concat());
    rig.assert_nothing_left(Duration::from_secs(6));
    ran
}

/// Every verdict of a plan.
fn verdicts(rig: &Rig, plan: &Value) -> Value {
    let path = rig.out().join(plan["id"].as_str().unwrap()).join("verdict.json");
    let verdict: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    verdict["verdicts"].clone()
}

#[test]
fn the_reference_loader_passes_the_core_whichever_revision_is_asked_for() {
    let older = Rig::new();
    let of_older = run(&older, &["core", "--revision", "2024-11-05"]);
    let (newest, of_newest) = core_of_rust("reference", "sse");
    for (rig, ran, revision) in [(&newest, of_newest, "2025-11-25"), (&older, &of_older, "2024-11-05")] {
        assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
        let plans = ran.plans();
        assert!(plans.len() > 5, "{plans:#?}");
        for plan in plans {
            assert_eq!(
                (&plan["verdict"], &plan["transport"], &plan["revision"], &plan["server"]),
                (&"pass".into(), &"sse".into(), &revision.into(), &"polite".into()),
                "{plan:#}"
            );
            let verdicts = verdicts(rig, &plan);
            for id in OF_SESSIONS {
                assert_eq!(verdicts[id], "not-applicable", "{id} in {plan:#}");
            }
            let agreed =
                rig.history_text(plan["id"].as_str().unwrap()).contains(&format!("\"protocolVersion\":\"{revision}\""));
            assert!(agreed, "{plan:#}");
        }
    }
}

#[test]
fn nothing_is_run_over_sse_unasked() {
    let rig = Rig::new();
    let ran = rig.run(&["load-call-close", "--polite-only"]);
    let transports: BTreeSet<_> =
        ran.plans().iter().map(|plan| plan["transport"].as_str().unwrap().to_owned()).collect();
    assert_eq!(transports, ["http", "memory", "stdio"].map(str::to_owned).into());
    let rig = Rig::new();
    let ran = rig.run(&["stream-lost-in-call"]);
    assert_eq!(ran.code, 3);
    assert!(ran.stderr.contains("no chosen scenario is for transport memory or stdio or http"), "{}", ran.stderr);
    let rig = Rig::new();
    let ran = rig.run(&["load-call-close", "--revision", "2024-11-05", "--transport", "http"]);
    assert_eq!(ran.code, 3, "{}{}", ran.stdout, ran.stderr);
}

#[test]
fn a_stream_that_is_lost_in_a_call_is_told_at_once() {
    let rig = Rig::new();
    let ran = run(&rig, &["stream-lost-in-call"]);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    let verdicts = verdicts(&rig, &ran.plans()[0]);
    for id in ["failure-prompt-after-server-death", "posted-to-endpoint", "stream-closed", "call-sent-once"] {
        assert_eq!(verdicts[id], "pass", "{id}: {verdicts:#}");
    }
}

#[test]
fn a_script_that_needs_another_transport_is_not_applicable() {
    for (script, expected) in [
        ("delete-mute", "needs streamable HTTP: rule 1 has delete"),
        ("sse-answers", "needs streamable HTTP: rule 1 has sse"),
        ("call-html", "needs streamable HTTP: rule 1 has content-type"),
        ("call-split", "needs lines over pipes: rule 1 has split"),
    ] {
        let rig = Rig::new();
        let scenario = rig.scenario(&WITH.replace("SCRIPT", script));
        let ran = run(&rig, &[&scenario]);
        let plan = &ran.plans()[0];
        assert_eq!(plan["verdict"], "not-applicable", "{script}: {plan:#}");
        assert!(plan["because"].as_str().unwrap().contains(expected), "{script}: {plan:#}");
    }
}

#[test]
fn a_server_without_a_usable_stream_fails_alone() {
    for script in ["get-refused", "get-closed-at-once"] {
        let rig = Rig::new();
        let scenario = rig.scenario(&WITH.replace("SCRIPT", script));
        let ran = run(&rig, &[&scenario]);
        assert_eq!(ran.code, 0, "{script}: {}{}", ran.stdout, ran.stderr);
        let events = rig.events(&ran.id());
        let loaded = events.iter().find(|event| event["kind"] == "operation.completed").unwrap();
        let outcome = &loaded["outcome"]["ok"];
        assert!(outcome["errors"]["files"].is_string(), "{script}: {loaded}");
        assert_eq!(outcome["tools"][0]["server"], "search", "{script}: {loaded}");
        let fault = events.iter().find(|event| event["kind"] == "fault.delivered").unwrap();
        assert_eq!(fault["impairs"], "connection", "{script}: {fault}");
    }
}

#[test]
fn a_plan_over_sse_is_run_again_as_it_was() {
    let rig = Rig::new();
    let ran = run(&rig, &["load-call-close", "--revision", "2024-11-05"]);
    let again = rig.file("keep", "").with_file_name("again");
    let mut command = rig.command(&["replay", "--format", "json"]);
    command.arg(rig.out().join(ran.id())).arg("--out").arg(again);
    let again = rig.finish(command);
    assert_eq!((again.code, again.id()), (0, ran.id()), "{}{}", again.stdout, again.stderr);
    assert_eq!((&ran.plans()[0]["verdict"], &again.plans()[0]["verdict"]), (&"pass".into(), &"pass".into()));
}
