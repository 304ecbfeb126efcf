//! `explore`: lives that are drawn or swept, the findings in them, and their smallest lives.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::rig::{Ran, Rig, await_point, finish};

/// A loader with a defect that each life shows, without servers that make it wait.
const BROKEN: [&str; 7] =
    ["--loader", "rust-run-per-step", "--transport=stdio", "--script", "polite", "--polite-only", "--seed=4"];

/// A scenario in which the forgetful loader is not shown to be wrong, while a sweep of cancellations shows it.
const SHORT: &str = r#"
about = "A load, a call and cleanup."
servers = [{ name = "files", script = "polite" }]
[[step]]
do = "load"
[[step]]
do = "call"
server = "files"
[[step]]
do = "close"
"#;
/// A loader that never announces a cancellation. Nothing in it races with what follows the cancellation.
const FORGETFUL: &str = "name = \"reference-but-cancel-lost\"\nlane = \"rust\"\n";
const SWEEP: [&str; 4] = ["--sweep", "cancel", "--transport=stdio", "--polite-only"];

/// The forgetful loader and a scenario, each as a file.
fn forgetful(rig: &Rig) -> (String, String) {
    (rig.file("forgetful.toml", FORGETFUL).display().to_string(), rig.scenario(SHORT))
}

fn command(rig: &Rig, arguments: &[&str]) -> Command {
    let mut command = rig.command(&["explore", "--format", "json", "--jobs", "4", "--out"]);
    command.arg(rig.out()).args(arguments);
    command
}

fn explore(rig: &Rig, arguments: &[&str]) -> Ran {
    let ran = rig.finish(command(rig, arguments));
    rig.assert_nothing_left(Duration::from_secs(6));
    ran
}

fn findings(report: &Value) -> Vec<&Value> {
    report["findings"].as_array().unwrap().iter().collect()
}

/// The names of the folders in which plans were recorded.
fn recorded(rig: &Rig) -> BTreeSet<String> {
    let folders = fs::read_dir(rig.out()).unwrap().map(|entry| entry.unwrap());
    let folders = folders.filter(|entry| entry.path().join("history.jsonl").exists());
    folders.map(|entry| entry.file_name().into_string().unwrap()).collect()
}

fn counts(report: &Value) -> (u64, u64, u64) {
    let count = |name: &str| report["counts"][name].as_u64().unwrap();
    (count("plans"), count("pass"), count("fail"))
}

#[test]
fn a_defect_is_found_with_its_smallest_life_which_repeats_it() {
    let rig = Rig::new();
    let ran = explore(&rig, &[&BROKEN[..], &["--cases", "2"]].concat());
    assert_eq!(ran.code, 1, "{}{}", ran.stdout, ran.stderr);
    let report = ran.report();
    let found = findings(&report);
    let left = found.iter().find(|one| one["invariant"] == "scope-exit-explicit");
    let left = left.unwrap_or_else(|| panic!("{report:#}"));
    // A load is enough: its runtime ends with it, and leaves the session to a finaliser.
    assert_eq!((&left["steps"], &left["again"], &left["repeats"]), (&1.into(), &5.into(), &5.into()), "{left:#}");
    assert!(left["steps_before"].as_u64() > Some(1), "{left:#}");
    let file = rig.out().join(left["file"].as_str().unwrap());
    let text = fs::read_to_string(&file).unwrap();
    assert!(
        text.starts_with(&format!("# {} of rust-run-per-step: 5 of 5", left["signature"].as_str().unwrap())),
        "{text}"
    );
    assert!(text.ends_with("[[step]]\ndo = \"load\"\n"), "{text}");
    // Both the file and the folder of the plan repeat the finding.
    let folder = left["repeat"].as_str().unwrap().strip_prefix("mcp-lifecheck replay ").unwrap().to_owned();
    for (what, loader) in [(file, &["--loader", "rust-run-per-step"][..]), (PathBuf::from(folder), &[])] {
        let again = rig.temporary().with_file_name("again");
        let mut replay = rig.command(&["replay", "--format", "json", "--out"]);
        replay.arg(again).arg(what).args(loader);
        let again = rig.finish(replay);
        assert_eq!(again.code, 1, "{}{}", again.stdout, again.stderr);
        assert!(again.stdout.contains(left["signature"].as_str().unwrap()), "{}", again.stdout);
    }
}

#[test]
fn known_findings_are_counted_and_not_told_again() {
    let rig = Rig::new();
    let (loader, scenario) = forgetful(&rig);
    let swept =
        |more: &[&str]| explore(&rig, &[&["--scenario", &scenario, "--loader", &loader][..], &SWEEP, more].concat());
    let first = swept(&[]);
    let told = findings(&first.report()).iter().map(|one| one["signature"].clone()).collect::<Vec<_>>();
    assert_eq!(told, ["cancel-announced/not-announced"]);
    let earlier = rig.file("known.json", &first.stdout);
    let baseline = rig.file("known.yaml", "client:\n  - load-call-close:cancel-announced\n");
    let of_scenario = rig.file("all.yaml", "client:\n  - scenario\n");
    for known in [earlier, baseline, of_scenario] {
        let again = swept(&["--known", known.to_str().unwrap()]);
        assert_eq!(again.code, 0, "{}: {}{}", known.display(), again.stdout, again.stderr);
        let report = again.report();
        assert!(findings(&report).is_empty(), "{report:#}");
        assert_eq!(report["known"]["cancel-announced/not-announced"], 1, "{report:#}");
        assert_eq!(counts(&report), counts(&first.report()));
    }
    // What a baseline says of another invariant leaves the findings as they are.
    let other = rig.file("other.yaml", "client:\n  - scenario:nothing-survives\n");
    assert_eq!(swept(&["--known", other.to_str().unwrap()]).code, 1);
}

#[test]
fn a_sweep_has_every_position_and_the_reference_loader_lives_through_each() {
    let rig = Rig::new();
    let arguments = ["--scenario", "load-call-close", "--sweep", "cancel,close,drop", "--transport", "memory"];
    let ran = explore(&rig, &arguments);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    let report = ran.report();
    let positions =
        |event: &str| report["positions"][format!("{event} load-call-close over memory with reference")].as_u64();
    let found = (positions("cancel"), positions("close"), positions("drop"));
    // Two servers have three requests each; and six steps follow one another.
    assert_eq!(found, (Some(6), Some(12), Some(6)), "{report:#}");
    assert_eq!(counts(&report), (25, 25, 0), "{report:#}");
    // `--out` keeps the history of every life.
    assert_eq!(recorded(&rig).len(), 25);
    let cancelled = recorded(&rig).into_iter().find(|name| name.starts_with("load-call-close-cancel-1.")).unwrap();
    let events = rig.events(&cancelled);
    let of = |kind: &str| events.iter().position(|event| event["kind"] == kind).unwrap_or_else(|| panic!("no {kind}"));
    // The gate forces the order: the message has arrived, the cancellation comes, and only then does the server answer.
    assert!(of("wire.received") < of("gate.reached") && of("gate.reached") < of("cancel.requested"));
    let opened = events.iter().position(|event| event["kind"] == "gate.opened").unwrap();
    assert!(of("cancel.delivered") < opened, "{events:#?}");
}

#[test]
fn a_sweep_finds_what_the_scenario_alone_does_not() {
    let rig = Rig::new();
    let (loader, scenario) = forgetful(&rig);
    let alone = rig.run(&[&scenario, "--polite-only", "--loader", &loader, "--transport", "stdio"]);
    assert_eq!(alone.code, 0, "{}", alone.stdout);
    let ran = explore(&rig, &[&["--scenario", &scenario, "--loader", &loader][..], &SWEEP].concat());
    assert_eq!(ran.code, 1, "{}{}", ran.stdout, ran.stderr);
    let report = ran.report();
    // A call that is cancelled while the server has it. The steps before the cancellation are all needed.
    let [found] = findings(&report)[..] else { panic!("{report:#}") };
    assert_eq!(
        (&found["signature"], &found["steps"]),
        (&"cancel-announced/not-announced".into(), &4.into()),
        "{found:#}"
    );
    assert_eq!(counts(&report), (4, 3, 1), "{report:#}");
}

#[test]
fn two_shards_have_all_lives_of_a_seed_and_none_twice() {
    let rig = Rig::new();
    let run = |shard: &str| {
        let _ = fs::remove_dir_all(rig.out());
        let arguments =
            ["--transport", "memory", "--script", "polite", "--cases", "6", "--seed", "9", "--shard", shard];
        let ran = explore(&rig, &arguments);
        assert!(ran.code < 2, "{}{}", ran.stdout, ran.stderr);
        assert_eq!(ran.report()["shard"], shard);
        recorded(&rig)
    };
    let is_life = |name: &String| name.starts_with("case-9-");
    let [whole, one, two] =
        ["1/1", "1/2", "2/2"].map(|shard| run(shard).into_iter().filter(is_life).collect::<BTreeSet<_>>());
    assert_eq!((whole.len(), one.len(), two.len()), (6, 3, 3));
    assert_eq!(one.union(&two).cloned().collect::<BTreeSet<_>>(), whole);
}

#[test]
fn a_shard_is_taken_from_the_environment_and_the_flag_comes_before_it() {
    let rig = Rig::new();
    let run = |variables: &[(&str, &str)], more: &[&str]| {
        let arguments = ["--transport", "memory", "--script", "polite", "--cases", "2", "--quiet"];
        let mut command = command(&rig, &[&arguments[..], more].concat());
        command.envs(variables.iter().copied());
        rig.finish(command)
    };
    let gitlab = [("CI_NODE_INDEX", "2"), ("CI_NODE_TOTAL", "2")];
    let part = run(&gitlab, &[]).report();
    assert_eq!(
        (&part["shard"], &part["shard_from"]),
        (&"2/2".into(), &"GitLab (CI_NODE_INDEX=2, CI_NODE_TOTAL=2)".into())
    );
    assert_eq!(part["counts"]["plans"], 1, "{part:#}");
    let whole = run(&gitlab, &["--shard", "1/1"]).report();
    assert_eq!((&whole["shard"], &whole["shard_from"]), (&"1/1".into(), &Value::Null));
    let refused = run(&gitlab[..1], &[]);
    assert_eq!(refused.code, 2, "{}", refused.stdout);
    assert!(refused.stderr.contains("found CI_NODE_INDEX without CI_NODE_TOTAL, expected both, or --shard I/N"));
}

#[test]
fn a_campaign_without_a_folder_keeps_the_lives_with_a_finding_alone() {
    let rig = Rig::new();
    let project = rig.home();
    fs::write(project.join("Cargo.toml"), "[package]\nname = \"own\"\nversion = \"0.1.0\"\n").unwrap();
    let (loader, scenario) = forgetful(&rig);
    let run = |arguments: &[&str]| {
        let mut command = rig.command(&["explore", "--jobs", "4", "--scenario", &scenario]);
        command.args(arguments).current_dir(&project);
        rig.finish(command)
    };
    let folder = project.join("target/mcp-lifecheck/explore");
    let is_plan = |path: PathBuf| path.join("plan.toml").exists();
    let n_plans = || fs::read_dir(&folder).unwrap().filter(|one| is_plan(one.as_ref().unwrap().path())).count();
    let none = run(&["--sweep", "close", "--transport", "memory"]);
    assert_eq!((none.code, n_plans()), (0, 0), "{}{}", none.stdout, none.stderr);
    assert!(none.stdout.contains("7 plans: 7 passed; seed 0, shard 1/1\n"), "{}", none.stdout);
    let some = run(&[&SWEEP[..], &["--loader", &loader]].concat());
    assert_eq!(some.code, 1, "{}{}", some.stdout, some.stderr);
    // The life that shows it, and the smallest one.
    assert_eq!(n_plans(), 2);
    for expected in [
        "FAIL cancel-announced",
        "  the smallest life of reference-but-cancel-lost that shows it: 4 steps",
        "  repeat: mcp-lifecheck replay ",
    ] {
        assert!(some.stdout.contains(expected), "{expected}: {}", some.stdout);
    }
}

#[test]
fn a_campaign_that_is_interrupted_tells_what_it_has_found_and_leaves_nothing() {
    let rig = Rig::new();
    let arguments = ["--transport", "memory", "--script", "polite", "--polite-only", "--time", "10m"];
    let mut running = command(&rig, &arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // The first batch is over when a life of the second one is recorded.
    let second = rig.out().join("case-0-32.reference.memory.2025-11-25.polite/history.jsonl");
    await_point(&mut running, Duration::from_secs(60), "the second batch", || second.exists());
    let pid = Pid::from_raw(i32::try_from(running.id()).unwrap()).unwrap();
    kill_process(pid, Signal::INT).unwrap();
    let ran = finish(running, Duration::from_secs(20));
    rig.assert_nothing_left(Duration::from_secs(6));
    let report = ran.report();
    assert_eq!(report["interrupted"], true, "{report:#}");
    assert!(counts(&report).0 >= 32, "{report:#}");
    assert_eq!(ran.code, if findings(&report).is_empty() { 3 } else { 1 }, "{report:#}");
    assert_eq!(
        serde_json::from_str::<Value>(&fs::read_to_string(rig.out().join("explore.json")).unwrap()).unwrap(),
        report
    );
}
