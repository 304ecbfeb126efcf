//! Plans over HTTP: the driver starts the servers, and ends them.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::rig::{Ran, Rig};

const DIES: &str = r#"
about = "One of two servers is killed and the other goes on."
servers = [{ name = "files", script = "polite" }, { name = "search", script = "polite" }]
[[step]]
do = "load"
[[step]]
do = "kill-server"
server = "search"
[[step]]
do = "wait"
end-of = "search"
[[step]]
do = "call"
server = "files"
[[step]]
do = "close"
"#;

const ADDS: &str = r#"
about = "A server is added by a reload, and started then."
servers = [{ name = "files", script = "polite" }, { name = "late", script = "polite", initially = false }]
[[step]]
do = "load"
[[step]]
do = "reload"
add = ["late"]
[[step]]
do = "call"
server = "late"
[[step]]
do = "close"
"#;

const WITH: &str = r#"
about = "A life with one server."
servers = [{ name = "files", script = "SCRIPT" }]
[[step]]
do = "load"
[[step]]
do = "call"
server = "files"
[[step]]
do = "close"
"#;

/// A loader description; the example is built by `cargo test` beside this test.
fn loader(rig: &Rig, way: &str, rest: &str) -> PathBuf {
    let here = std::env::current_exe().unwrap();
    let path = here.parent().unwrap().parent().unwrap().join("examples").join("http_adapter");
    assert!(path.is_file(), "{} is missing: run the whole `cargo test`", path.display());
    let command = format!("[{:?}, \"{way}\"]", path.display().to_string());
    rig.file("by-hand.toml", &format!("name = \"by-hand\"\nlane = \"command\"\ncommand = {command}\n{rest}"))
}

const BOTH: &str = "transports = [\"stdio\", \"http\"]\n";

fn run(rig: &Rig, scenario: &str, way: &str, more: &[&str]) -> Ran {
    let loader = loader(rig, way, BOTH).display().to_string();
    let scenario = rig.file("scenario.toml", scenario).display().to_string();
    let ran = rig.run(&[&[scenario.as_str(), "--loader", &loader, "--transport", "http"], more].concat());
    rig.assert_nothing_left(Duration::from_secs(6));
    ran
}

fn events(rig: &Rig, kind: &str) -> Vec<Value> {
    let path = history(&rig.out());
    let text = fs::read_to_string(path).unwrap();
    let events = text.lines().skip(1).map(|line| serde_json::from_str::<Value>(line).unwrap());
    events.filter(|event| event["kind"] == kind).collect()
}

fn history(out: &Path) -> PathBuf {
    crate::rig::files(out).into_iter().find(|path| path.ends_with("history.jsonl")).unwrap()
}

#[test]
fn a_loader_lives_with_servers_that_the_driver_started() {
    let rig = Rig::new();
    let ran = run(&rig, &WITH.replace("SCRIPT", "polite"), "", &[]);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    let plan = &ran.report()["plans"][0];
    assert_eq!(
        (&plan["verdict"], &plan["transport"], &plan["server"]),
        (&"pass".into(), &"http".into(), &"polite".into())
    );
    assert_eq!(events(&rig, "session.closed")[0]["how"], "by-client");
    assert_eq!(events(&rig, "mock.listening").len(), 1);
    for kind in ["process.left", "process.orphan", "link.closed"] {
        let servers: Vec<_> = events(&rig, kind).into_iter().filter(|event| event["peer"] != "adapter").collect();
        assert!(servers.is_empty(), "{servers:?}");
    }
    // Nothing was open any more, so nobody waited for the grace.
    let grace = |kind| events(&rig, kind)[0]["at_us"].as_u64().unwrap();
    assert!(grace("grace.expired") - grace("grace.began") < 1_000_000);
}

#[test]
fn a_session_that_is_left_open_is_waited_for_until_the_grace_ends() {
    let rig = Rig::new();
    run(&rig, &WITH.replace("SCRIPT", "polite"), "leaks", &["--limit", "grace=700ms"]);
    let grace = |kind| events(&rig, kind)[0]["at_us"].as_u64().unwrap();
    assert!(grace("grace.expired") - grace("grace.began") >= 700_000);
    assert!(events(&rig, "session.closed").is_empty());
}

#[test]
fn a_server_is_killed_and_another_is_added() {
    let rig = Rig::new();
    let ran = run(&rig, DIES, "", &[]);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    assert_eq!(events(&rig, "link.closed")[0]["peer"]["mock"]["server"], "search");
    assert!(events(&rig, "step.skipped").is_empty());
    let rig = Rig::new();
    let ran = run(&rig, ADDS, "", &[]);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    let listening = events(&rig, "mock.listening");
    let first_load = &events(&rig, "operation.completed")[0];
    assert!(listening[1]["seq"].as_u64() > first_load["seq"].as_u64(), "it is started when it is first configured");
}

#[test]
fn every_script_for_http_passes_its_preflight_and_delivers_its_faults() {
    for script in ["delete-refused", "delete-mute", "dead-on-arrival"] {
        let rig = Rig::new();
        let ran = run(&rig, &WITH.replace("SCRIPT", script), "", &["--limit", "cleanup=1s", "--limit", "grace=200ms"]);
        let report = ran.report();
        assert_ne!(report["plans"][0]["verdict"], "inconclusive", "{script}: {}", ran.stdout);
        assert!(!events(&rig, "fault.delivered").is_empty(), "{script}");
    }
}

#[test]
fn what_does_not_fit_a_transport_does_not_apply_to_it() {
    let cases = [
        ("http", "stdout-closed-in-call", "needs lines over pipes: rule 1 has close-stdout"),
        ("stdio", "delete-refused", "needs HTTP: rule 1 has delete"),
    ];
    for (transport, script, because) in cases {
        let rig = Rig::new();
        let loader = loader(&rig, "", BOTH).display().to_string();
        let scenario = rig.file("scenario.toml", &WITH.replace("SCRIPT", script)).display().to_string();
        let ran = rig.run(&[&scenario, "--loader", &loader, "--transport", transport]);
        let plan = &ran.report()["plans"][0];
        assert_eq!(plan["verdict"], "not-applicable", "{}", ran.stdout);
        assert!(plan["because"].as_str().unwrap().contains(because), "{plan}");
        assert_eq!(ran.code, 0);
    }
}

#[test]
fn by_default_every_transport_is_run_that_applies() {
    let rig = Rig::new();
    let loader = loader(&rig, "", BOTH).display().to_string();
    let scenario = rig.file("scenario.toml", &WITH.replace("SCRIPT", "delete-refused")).display().to_string();
    let transports = |ran: &Ran| {
        let report = ran.report();
        report["plans"].as_array().unwrap().iter().map(|plan| plan["transport"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(transports(&rig.run(&[&scenario, "--loader", &loader])), ["http"]);
    let polite = rig.file("polite.toml", &WITH.replace("SCRIPT", "polite")).display().to_string();
    let ran = rig.run(&[&polite, "--loader", &loader, "--stubborn-too"]);
    assert_eq!(transports(&ran), ["stdio", "stdio", "http"], "only children are doubled with stubborn ones");
    let stdio = rig.file("stdio.toml", "name = \"reference\"\nlane = \"rust\"\ntransports = [\"stdio\"]\n");
    let ran = rig.run(&[&polite, "--loader", stdio.to_str().unwrap(), "--transport", "http"]);
    assert_eq!(ran.report()["plans"][0]["because"], "loader reference does not speak http");
    assert_eq!(ran.code, 0);
}
