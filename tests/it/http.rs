//! Plans over HTTP: the driver starts the servers, and ends them.

use std::path::PathBuf;
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
    let scenario = rig.scenario(scenario);
    let ran = rig.run(&[&[scenario.as_str(), "--loader", &loader, "--transport", "http"], more].concat());
    rig.assert_nothing_left(Duration::from_secs(6));
    ran
}

/// The events of this kind in the only plan.
fn events(rig: &Rig, ran: &Ran, kind: &str) -> Vec<Value> {
    rig.events(&ran.id()).into_iter().filter(|event| event["kind"] == kind).collect()
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
    assert_eq!(events(&rig, &ran, "session.closed")[0]["how"], "by-client");
    assert_eq!(events(&rig, &ran, "mock.listening").len(), 1);
    for kind in ["process.left", "process.orphan", "link.closed"] {
        let servers: Vec<_> = events(&rig, &ran, kind).into_iter().filter(|event| event["peer"] != "adapter").collect();
        assert!(servers.is_empty(), "{servers:?}");
    }
    // Nothing was open any more, so nobody waited for the grace.
    let grace = |kind| events(&rig, &ran, kind)[0]["at_us"].as_u64().unwrap();
    assert!(grace("grace.expired") - grace("grace.began") < 1_000_000);
}

#[test]
fn a_session_that_is_left_open_is_waited_for_until_the_grace_ends() {
    let rig = Rig::new();
    let ran = run(&rig, &WITH.replace("SCRIPT", "polite"), "leaks", &["--limit", "grace=700ms"]);
    let grace = |kind| events(&rig, &ran, kind)[0]["at_us"].as_u64().unwrap();
    assert!(grace("grace.expired") - grace("grace.began") >= 700_000);
    assert!(events(&rig, &ran, "session.closed").is_empty());
}

#[test]
fn a_server_is_killed_and_another_is_added() {
    let rig = Rig::new();
    let ran = run(&rig, DIES, "", &[]);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    assert_eq!(events(&rig, &ran, "link.closed")[0]["peer"]["mock"]["server"], "search");
    assert!(events(&rig, &ran, "step.skipped").is_empty());
    let rig = Rig::new();
    let ran = run(&rig, ADDS, "", &[]);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    let listening = events(&rig, &ran, "mock.listening");
    let first_load = &events(&rig, &ran, "operation.completed")[0];
    assert!(listening[1]["seq"].as_u64() > first_load["seq"].as_u64(), "it is started when it is first configured");
}

#[test]
fn every_script_for_http_passes_its_preflight_and_delivers_its_faults() {
    for script in ["delete-refused", "delete-mute", "dead-on-arrival"] {
        let rig = Rig::new();
        let ran = run(&rig, &WITH.replace("SCRIPT", script), "", &["--limit", "cleanup=1s", "--limit", "grace=200ms"]);
        let report = ran.report();
        assert_ne!(report["plans"][0]["verdict"], "inconclusive", "{script}: {}", ran.stdout);
        assert!(!events(&rig, &ran, "fault.delivered").is_empty(), "{script}");
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
        let scenario = rig.scenario(&WITH.replace("SCRIPT", script));
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
    let scenario = rig.scenario(&WITH.replace("SCRIPT", "delete-refused"));
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

/// Its adapter has tasks alone: what is about threads or loops is not run, and does not pass.
#[test]
fn a_scenario_in_contexts_that_are_not_offered_is_not_applicable() {
    for (scenario, kind) in [("hop-close", "thread"), ("hop-runtime", "loop")] {
        let rig = Rig::new();
        let ran = run(&rig, scenario, "", &[]);
        let plan = &ran.report()["plans"][0];
        assert_eq!(plan["verdict"], "not-applicable", "{}", ran.stdout);
        let why = events(&rig, &ran, "plan.not-applicable")[0]["because"].to_string();
        assert!(why.contains(&format!("contexts of kind `{kind}`")), "{why}");
        assert!(events(&rig, &ran, "operation.invoked").is_empty());
    }
}
