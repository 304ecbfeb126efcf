//! Plans over memory: the servers live in the plan process, behind pipes of bytes.

use std::time::Duration;

use mcp_lifecheck::history::normal_lanes;
use serde_json::Value;

use crate::lanes::core_of_rust;
use crate::rig::{Ran, Rig};

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

const KILLS: &str = r#"
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

fn run(rig: &Rig, scenario: &str) -> Ran {
    let ran = rig.run(&[&rig.scenario(scenario), "--transport", "memory"]);
    rig.assert_nothing_left(Duration::from_secs(6));
    ran
}

fn of_kind<'a>(events: &'a [Value], kind: &str) -> Vec<&'a Value> {
    events.iter().filter(|event| event["kind"] == kind).collect()
}

fn assert_all_pass(ran: &Ran) {
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    for plan in ran.report()["plans"].as_array().unwrap() {
        let expected = if plan["scenario"] == "stubborn-server" { "not-applicable" } else { "pass" };
        assert_eq!(plan["verdict"], expected, "{plan:#}");
    }
}

#[test]
fn the_reference_loader_passes_the_core_and_no_process_but_its_own_is_started() {
    let (rig, ran) = core_of_rust("reference", "memory");
    assert_all_pass(ran);
    for plan in ran.report()["plans"].as_array().unwrap() {
        if plan["verdict"] == "pass" {
            let events = rig.events(plan["id"].as_str().unwrap());
            assert_eq!(of_kind(&events, "process.started").len(), 1, "{plan}");
            assert_eq!(plan["server"], "polite");
        }
    }
}

#[test]
fn the_wire_is_the_same_as_over_stdio() {
    // Both go through one interpreter; what differs is what moves the bytes.
    let rig = Rig::new();
    let ran = rig.run(&["core", "--polite-only", "--transport", "memory", "--transport", "stdio"]);
    let report = ran.report();
    let plans = report["plans"].as_array().unwrap();
    let wire = |plan: &Value| {
        let lanes = normal_lanes(&rig.history(plan["id"].as_str().unwrap()));
        let of_wire = |(name, _): &(String, Vec<String>)| name.starts_with("mock:");
        lanes.into_iter().filter(of_wire).collect::<Vec<_>>()
    };
    let mut n_compared = 0;
    for stdio in plans.iter().filter(|plan| plan["transport"] == "stdio" && plan["verdict"] == "pass") {
        let same = |plan: &&Value| plan["scenario"] == stdio["scenario"] && plan["transport"] == "memory";
        let Some(memory) = plans.iter().find(same) else { continue };
        let (over_stdio, over_memory) = (wire(stdio), wire(memory));
        assert!(!over_stdio.is_empty(), "{stdio}");
        // How a process was ended is told in the place of its connection; a mock in memory gets no signal.
        assert_eq!(over_memory, over_stdio, "{}", stdio["scenario"]);
        n_compared += 1;
    }
    assert!(n_compared >= 8, "{n_compared} plans compared");
}

#[test]
fn what_is_for_http_is_carried_as_http() {
    let rig = Rig::new();
    let ran = run(&rig, &WITH.replace("SCRIPT", "sse-answers"));
    assert_all_pass(&ran);
    let found = rig.events(&ran.id());
    assert!(!of_kind(&found, "http.received").is_empty());
    assert_eq!(of_kind(&found, "mock.listening").len(), 1);
    let verbs: Vec<_> = of_kind(&found, "http.received").iter().map(|event| event["verb"].clone()).collect();
    assert!(verbs.contains(&"DELETE".into()), "{verbs:?}");
    // It ends as its host does, and says so before.
    assert_eq!(of_kind(&found, "mock.ending").len(), 1);
    let closed = of_kind(&found, "link.closed");
    assert!(closed.iter().all(|event| event["farewell"] == true || event["peer"] == "adapter"), "{closed:?}");
}

#[test]
fn a_mock_that_dies_ends_its_pipes_and_not_the_process() {
    let rig = Rig::new();
    let ran = run(&rig, "server-dies-in-call");
    assert_all_pass(&ran);
    let found = rig.events(&ran.id());
    let abrupt: Vec<_> =
        of_kind(&found, "link.closed").into_iter().filter(|event| event["farewell"] == false).collect();
    assert!(abrupt.iter().any(|event| event["peer"] != "adapter"), "{abrupt:?}");
    assert!(of_kind(&found, "process.exited").iter().all(|event| event["code"] == 0), "{found:#?}");
}

#[test]
fn a_server_in_memory_is_killed_by_cutting_it_off() {
    for (script, n_links) in [("polite", 1), ("sse-answers", 1)] {
        let rig = Rig::new();
        let ran = run(&rig, &KILLS.replace("polite", script));
        assert_all_pass(&ran);
        let found = rig.events(&ran.id());
        assert!(of_kind(&found, "step.skipped").is_empty(), "{found:#?}");
        let is_abrupt = |event: &&&Value| event["farewell"] == false && event.to_string().contains("search");
        assert_eq!(of_kind(&found, "link.closed").iter().filter(is_abrupt).count(), n_links, "{script}");
    }
}

#[test]
fn a_loader_that_does_not_speak_memory_is_not_run_over_it() {
    let rig = Rig::new();
    let ran = rig.run(&["load-call-close", "--loader", "rust-closed-early", "--transport", "memory"]);
    let report = ran.report();
    assert_eq!(report["plans"][0]["verdict"], "not-applicable", "{report:#}");
    assert!(report["plans"][0]["because"].as_str().unwrap().contains("does not speak memory"), "{report:#}");
}
