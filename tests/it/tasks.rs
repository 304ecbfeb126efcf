//! Loaders that promise tasks alone, and loaders that hang: what their plans do, and what they do not.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::lanes::python3;
use crate::rig::{Ran, Rig, root};

/// A description of `adapters/small.py` with one mistake, or none.
fn small(rig: &Rig, mistake: &str, promises: &str) -> String {
    // Where there is none, its name: the run says that it is missing.
    let python = python3().unwrap_or("python3");
    let program = root().join("tests/it/adapters/small.py");
    let text = format!(
        "name = \"small\"\nlane = \"python\"\ncommand = [{python:?}, {program:?}, {mistake:?}]\n[promises]\n{promises}"
    );
    rig.file("small.toml", &text).display().to_string()
}

const TASKS: &str = "contexts = [\"task\"]\n";

fn places(rig: &Rig, plan: &Value) -> BTreeSet<String> {
    let events = rig.events(plan["id"].as_str().unwrap());
    let invoked = events.iter().filter(|event| event["kind"] == "operation.invoked");
    invoked.map(|event| event["in"].as_str().unwrap().to_owned()).collect()
}

fn verdicts(ran: &Ran) -> Vec<(String, String)> {
    let text = |plan: &Value, field: &str| plan[field].as_str().unwrap().to_owned();
    ran.plans().iter().map(|plan| (text(plan, "scenario"), text(plan, "verdict"))).collect()
}

#[test]
fn a_loader_that_promises_tasks_alone_does_in_tasks_what_others_do_in_threads() {
    let rig = Rig::new();
    let loader = small(&rig, "", TASKS);
    let scenarios = [
        "hop-close",
        "rerun-hop",
        "loading-thread-ends",
        "hop-runtime",
        "load-concurrently",
        "close-concurrently",
        "answers-in-any-order",
        "odd-ids",
        "dies-while-idle",
        "loading-runtime-ends",
    ];
    let ran = rig.run(&[&scenarios[..], &["--loader", &loader]].concat());
    let expected = scenarios.map(|scenario| {
        let verdict = if scenario == "loading-runtime-ends" { "not-applicable" } else { "pass" };
        (scenario.to_owned(), verdict.to_owned())
    });
    assert_eq!(verdicts(&ran), expected, "{}", ran.stdout);
    for plan in ran.plans().iter().filter(|plan| plan["verdict"] == "pass") {
        let id = plan["id"].as_str().unwrap();
        assert!(places(&rig, plan).iter().all(|place| place.starts_with("task:")), "{id}: {:?}", places(&rig, plan));
        let file = std::fs::read_to_string(rig.out().join(id).join("plan.toml")).unwrap();
        let has_threads = !["close-concurrently", "dies-while-idle"].contains(&plan["scenario"].as_str().unwrap());
        assert!(!has_threads || file.contains("[places]"), "{file}");
    }
    // Five calls of one step are in flight at the same time.
    let plan = &ran.plans()[7];
    let invoked = places(&rig, plan);
    assert!(invoked.contains("task:main-unknown") && invoked.contains("task:main-search"), "{invoked:?}");
    // The reason stands in the row and in the verdict of the plan.
    let plan = &ran.plans()[9];
    let because = plan["because"].as_str().unwrap();
    assert!(because.contains("`loop`"), "{because}");
    let file = rig.out().join(plan["id"].as_str().unwrap()).join("verdict.json");
    let verdict: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    assert_eq!((&verdict["verdict"], &verdict["because"]), (&"not-applicable".into(), &because.into()));
    // A replay does the same again.
    let hop = rig.out().join(ran.plans()[0]["id"].as_str().unwrap());
    let again = rig.finish(rig.command(&["replay", hop.to_str().unwrap(), "--loader", &loader, "--format", "json"]));
    assert_eq!((again.code, again.plans()[0]["verdict"].as_str()), (0, Some("pass")), "{}", again.stdout);
}

#[test]
fn a_loader_that_promises_threads_runs_in_threads() {
    let rig = Rig::new();
    let ran = rig.run(&["hop-close", "odd-ids", "--loader", "reference", "--transport", "stdio", "--polite-only"]);
    assert_eq!(ran.code, 0, "{}", ran.stdout);
    let (hop, odd) = (places(&rig, &ran.plans()[0]), places(&rig, &ran.plans()[1]));
    assert!(hop.contains("thread:t1") && odd.contains("thread:main-search"), "{hop:?} {odd:?}");
}

#[test]
fn the_reason_why_plans_do_not_apply_stands_below_the_table() {
    let rig = Rig::new();
    let loader = small(&rig, "", TASKS);
    let out = rig.out();
    let arguments = ["run", "loading-runtime-ends", "--loader", &loader, "--out", out.to_str().unwrap()];
    let ran = rig.finish(rig.command(&arguments));
    let line = "not applicable: loading-runtime-ends small stdio: the scenario is about contexts of kind `loop`";
    assert!(ran.stdout.contains(line), "{}", ran.stdout);
}

#[test]
fn a_promise_that_removes_the_fault_makes_the_plan_not_applicable() {
    let rig = Rig::new();
    let loader = "name = \"reference\"\nlane = \"rust\"\ntransports = [\"http\"]\n[promises]\nsends-delete = false\n";
    let loader = rig.file("keeps.toml", loader).display().to_string();
    let ran = rig.run(&["end-refused", "end-unanswered", "--loader", &loader]);
    assert_eq!(ran.code, 0, "{}", ran.stdout);
    for plan in ran.plans() {
        assert_eq!(plan["verdict"], "not-applicable", "{plan}");
        assert!(plan["because"].as_str().unwrap().contains("sends-delete"), "{plan}");
    }
}

const FIVE_FAULTS: &str = r#"
about = "Five servers never answer a call, one after the other. The sixth works."
servers = [
  { name = "a", script = "call-mute" },
  { name = "b", script = "call-mute" },
  { name = "c", script = "call-mute" },
  { name = "d", script = "call-mute" },
  { name = "e", script = "call-mute" },
  { name = "search", script = "polite" },
]
[[step]]
do = "load"
[[step]]
do = "call"
server = "a"
[[step]]
do = "call"
server = "b"
[[step]]
do = "call"
server = "c"
[[step]]
do = "call"
server = "d"
[[step]]
do = "call"
server = "e"
[[step]]
do = "call"
server = "a"
[[step]]
do = "call"
server = "search"
[[step]]
do = "close"
"#;

#[test]
fn a_call_that_hangs_ends_the_part_of_its_server_alone() {
    let rig = Rig::new();
    let loader = small(&rig, "waits-for-ever", TASKS);
    let scenario = rig.scenario(FIVE_FAULTS);
    let ran = rig.run(&[&scenario, "--loader", &loader, "--limit", "operation=2s"]);
    assert_eq!(ran.invariants("inconclusive"), Vec::<String>::new(), "{}", ran.stdout);
    assert!(ran.invariants("fail").contains(&"operation-completes".to_owned()), "{}", ran.stdout);
    let events = rig.events(&ran.id());
    let of = |kind: &str| events.iter().filter(|event| event["kind"] == kind).count();
    assert_eq!((of("fault.delivered"), of("fault.undelivered"), of("operation.overdue")), (5, 0, 5), "{}", ran.stdout);
    // The second call to a server that hangs is skipped, and the one to another server is made and judged.
    assert_eq!(of("step.skipped"), 1);
    let search = events.iter().find(|event| event["kind"] == "operation.invoked" && event["server"] == "search");
    let search = &search.unwrap()["operation"];
    let ended = events.iter().find(|event| event["kind"] == "operation.completed" && event["operation"] == *search);
    assert!(ended.unwrap()["outcome"]["ok"].is_object(), "{ended:?}");
    assert!(events.iter().any(|event| event["kind"] == "operation.invoked" && event["action"] == "close"));
    assert_eq!(of("stacks.taken"), 2, "of the loader and of the system, once");
    rig.assert_nothing_left(std::time::Duration::from_secs(6));
}

const MUTE_LIST: &str = r#"
about = "One server of two never answers its second request for its tools."
servers = [{ name = "files", script = "SCRIPT" }, { name = "search", script = "polite" }]
[[step]]
do = "load"
[[step]]
do = "list"
[[step]]
do = "call"
server = "files"
[[step]]
do = "call"
server = "search"
[[step]]
do = "close"
"#;

const MUTE_SECOND_LIST: &str = r#"
about = "Never answers its second request for its tools."
[[rule]]
on = { request = "tools/list", nth = 2 }
do = ["drop"]
"#;

#[test]
fn a_list_that_hangs_ends_the_part_of_the_server_that_it_waits_for() {
    let rig = Rig::new();
    let script = rig.file("mute-second-list.toml", MUTE_SECOND_LIST).display().to_string();
    let scenario = rig.scenario(&MUTE_LIST.replace("SCRIPT", &script));
    let loader = small(&rig, "lists-for-ever", TASKS);
    let ran = rig.run(&[&scenario, "--loader", &loader, "--limit", "operation=2s"]);
    assert_eq!(ran.invariants("fail"), ["operation-completes"], "{}", ran.stdout);
    assert_eq!(ran.invariants("inconclusive"), Vec::<String>::new(), "{}", ran.stdout);
    let events = rig.events(&ran.id());
    let of = |kind: &str| events.iter().filter(|event| event["kind"] == kind).count();
    assert_eq!((of("operation.overdue"), of("step.skipped")), (1, 1), "the call to the mute server is skipped");
    let called = |event: &&Value| event["kind"] == "operation.invoked" && event["action"] == "call";
    let calls: Vec<&Value> = events.iter().filter(called).collect();
    assert!(matches!(calls[..], [call] if call["server"] == "search"), "{calls:?}");
    // Its twin keeps its lists.
    let ran = rig.run(&[&scenario, "--loader", &small(&rig, "", TASKS), "--limit", "operation=2s"]);
    assert_eq!(ran.invariants("fail"), Vec::<String>::new(), "{}", ran.stdout);
}

#[test]
fn a_blocking_close_runs_beside_a_call_of_the_same_loop() {
    let rig = Rig::new();
    let loader = small(&rig, "blocking-close", TASKS);
    let ran = rig.run(&["close-in-call", "--loader", &loader]);
    let failed = ran.invariants("fail");
    assert!(failed.is_empty(), "{failed:?} {}", ran.stdout);
    assert_eq!(ran.invariants("inconclusive"), Vec::<String>::new(), "{}", ran.stdout);
}

#[test]
fn tools_that_are_handed_out_after_the_death_of_their_server_must_work() {
    let rig = Rig::new();
    let ran = rig.run(&["dies-while-idle", "--loader", &small(&rig, "stale-tools", TASKS)]);
    assert_eq!(ran.invariants("fail"), ["call-after-load-succeeds"], "{}", ran.stdout);
}

#[test]
fn a_server_that_garbled_one_answer_must_be_called_again() {
    let rig = Rig::new();
    for (mistake, expected) in [("gives-up", &["call-after-load-succeeds".to_owned()][..]), ("", &[])] {
        let ran = rig.run(&["odd-ids", "--loader", &small(&rig, mistake, TASKS)]);
        assert_eq!(ran.invariants("fail"), expected, "{mistake}: {}", ran.stdout);
    }
}
