//! The simulated tier: it judges as the memory transport does, repeats byte for byte, and says what it does not have.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use mcp_lifecheck_specimens::mutation::PREFIX;
use serde_json::Value;

use crate::rig::{Ran, Rig};

/// Rules that judge what a process uses: there is no process to sample.
const SAMPLED: [&str; 5] = [
    "idle-without-cpu",
    "repeats-keep-descriptors",
    "repeats-keep-memory",
    "repeats-keep-servers",
    "repeats-keep-threads",
];
/// Mutations of the reference loader in which nothing races, each of which breaks another rule.
const MUTATIONS: [&str; 6] =
    ["initialized-lost", "list-twice", "ids-reused", "cancel-lost", "tools-remembered", "removed-kept"];
/// Scenarios in which these show.
const SCENARIOS: [&str; 4] = ["load-call-close", "cancel-in-flight", "server-dies-in-call", "remove-first"];
/// Lives that are replayed.
const LIVES: &str = "200";
/// A loader that keeps the thread of a call that is cancelled.
const BLOCKS: &str = "name = \"reference-but-cancel-blocks\"\nlane = \"rust\"\ntransports = [\"memory\"]\n";

/// The verdict of each rule in each plan of a run, with that of the plan.
fn verdicts(rig: &Rig, ran: &Ran) -> BTreeMap<String, BTreeMap<String, Value>> {
    let plans = ran.plans().into_iter().map(|plan| {
        let id = plan["id"].as_str().unwrap().to_owned();
        let text = fs::read_to_string(rig.out().join(&id).join("verdict.json")).unwrap();
        let report: Value = serde_json::from_str(&text).unwrap();
        let of_rules = serde_json::from_value::<BTreeMap<String, Value>>(report["verdicts"].clone());
        let mut verdicts = of_rules.unwrap_or_default();
        verdicts.insert("the plan".to_owned(), plan["verdict"].clone());
        (id, verdicts)
    });
    plans.collect()
}

/// Where the verdicts of two tiers differ, without the plans that do not apply to the simulated one.
fn differences(arguments: &[&str]) -> (usize, Vec<String>) {
    let (simulated, memory) = (Rig::new(), Rig::new());
    let in_tier = simulated.run(&[&["--tier", "simulated"], arguments].concat());
    simulated.assert_nothing_left(Duration::from_secs(6));
    let in_memory = memory.run(&[&["--transport", "memory"], arguments].concat());
    let expected = verdicts(&memory, &in_memory);
    let (mut n_compared, mut found) = (0, Vec::new());
    for (id, verdicts) in verdicts(&simulated, &in_tier) {
        if verdicts["the plan"] == "not-applicable" {
            continue;
        }
        n_compared += 1;
        for (rule, verdict) in verdicts.iter().filter(|(rule, _)| !SAMPLED.contains(&rule.as_str())) {
            if *verdict != expected[&id][rule] {
                found.push(format!("{id} {rule}: {verdict} simulated, {} in memory", expected[&id][rule]));
            }
        }
    }
    (n_compared, found)
}

#[test]
fn the_reference_loader_gets_the_verdicts_of_the_memory_transport() {
    let (n_compared, found) = differences(&["standard"]);
    assert!(n_compared >= 30, "{n_compared} plans were compared");
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn broken_loaders_get_the_verdicts_of_the_memory_transport() {
    let rig = Rig::new();
    let files = MUTATIONS.map(|name| {
        let text = format!("name = \"{PREFIX}{name}\"\nlane = \"rust\"\ntransports = [\"memory\"]\n");
        rig.file(&format!("{name}.toml"), &text).display().to_string()
    });
    let loaders = files.iter().flat_map(|file| ["--loader", file.as_str()]);
    let arguments: Vec<&str> = SCENARIOS.into_iter().chain(loaders).collect();
    let (n_compared, found) = differences(&arguments);
    assert_eq!(n_compared, MUTATIONS.len() * SCENARIOS.len());
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn a_life_repeats_byte_for_byte() {
    let histories = || {
        let rig = Rig::new();
        let mut command =
            rig.command(&["explore", "--tier", "simulated", "--cases", LIVES, "--seed", "7", "--quiet", "--out"]);
        command.arg(rig.out());
        rig.finish(command);
        let folders = fs::read_dir(rig.out()).unwrap().map(|entry| entry.unwrap().path());
        let lives = folders.filter_map(|folder| {
            let name = folder.file_name().unwrap().to_string_lossy().into_owned();
            Some((name.starts_with("case-").then_some(name)?, fs::read(folder.join("history.jsonl")).ok()?))
        });
        lives.collect::<BTreeMap<_, _>>()
    };
    let (first, second) = (histories(), histories());
    assert!(first.len() >= 190, "{} lives have a history", first.len());
    assert_eq!(first.keys().collect::<Vec<_>>(), second.keys().collect::<Vec<_>>());
    let other: Vec<_> =
        first.iter().filter(|(name, history)| second[*name] != **history).map(|(name, _)| name).collect();
    // Without the cfg, the runtime chooses at random between two things that are ready at once. Few lives have such a moment.
    let n_allowed = if cfg!(tokio_unstable) { 0 } else { first.len() / 20 };
    assert!(other.len() <= n_allowed, "{other:?} are not the same again");
}

#[test]
fn a_sweep_varies_a_simulated_life() {
    let rig = Rig::new();
    let file =
        rig.file("loader.toml", "name = \"reference-but-cancel-lost\"\nlane = \"rust\"\ntransports = [\"memory\"]\n");
    let mut command =
        rig.command(&["explore", "--tier", "simulated", "--scenario", "load-call-close", "--sweep", "cancel"]);
    command.args(["--format", "json", "--loader"]).arg(file);
    let ran = rig.finish(command);
    rig.assert_nothing_left(Duration::from_secs(6));
    let findings = ran.report()["findings"].clone();
    let announced = findings.as_array().unwrap().iter().find(|finding| finding["invariant"] == "cancel-announced");
    let announced = announced.unwrap_or_else(|| panic!("{}{}", ran.stdout, ran.stderr));
    assert_eq!(announced["again"], announced["repeats"], "{announced:#}");
    assert_eq!(ran.code, 1);
}

#[test]
fn what_the_tier_does_not_have_is_told() {
    let rig = Rig::new();
    let ran = rig.run(&["interrupt", "loading-runtime-ends", "--tier", "simulated"]);
    let reasons: Vec<_> = ran.plans().iter().map(|plan| plan["because"].as_str().unwrap().to_owned()).collect();
    assert_eq!(
        reasons,
        [
            "the scenario needs a signal, which needs a process, and a simulated program is tasks of one thread",
            "the scenario is about contexts of kind `loop`, and the simulated tier has tasks alone",
        ]
    );
    let ran = rig.run(&["load-call-close", "--tier", "simulated", "--transport", "http"]);
    assert_eq!(ran.plans()[0]["because"], "the simulated tier has transport memory alone");
}

#[test]
fn a_loader_that_blocks_its_thread_is_left_to_the_real_tier() {
    let rig = Rig::new();
    let file = rig.file("blocks.toml", BLOCKS).display().to_string();
    let ran = rig.run(&["cancel-in-flight", "--tier", "simulated", "--loader", &file]);
    let because = ran.plans()[0]["because"].as_str().unwrap().to_owned();
    assert!(because.starts_with("the loader blocked its thread for "), "{because}");
    assert_eq!(ran.plans()[0]["verdict"], "inconclusive");
}

#[test]
fn a_simulated_plan_is_replayed_in_its_tier() {
    let rig = Rig::new();
    let ran = rig.run(&["load-call-close", "--tier", "simulated"]);
    let folder = rig.out().join(ran.id());
    let first = fs::read(folder.join("history.jsonl")).unwrap();
    assert!(fs::read_to_string(folder.join("plan.toml")).unwrap().contains("tier = \"simulated\""));
    let again = Rig::new();
    let mut command = again.command(&["replay", "--out"]);
    command.arg(again.out()).arg(&folder);
    assert_eq!(again.finish(command).code, 0);
    assert_eq!(fs::read(again.out().join(ran.id()).join("history.jsonl")).unwrap(), first);
}
