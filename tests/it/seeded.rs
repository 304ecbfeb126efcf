//! Seeded changes of the reference loader: each shows in a snapshot of a life, and mostly in an invariant as well.
//!
//! A change that shows in no snapshot would mean that the snapshots miss a part of a life.

use std::collections::{BTreeMap, BTreeSet};

use mcp_vigil::loader::mutant::{MUTANTS, Mutant, Over, PREFIX};
use serde_json::Value;

use crate::rig::Rig;
use crate::snapshots::life;

/// Plans of one loader, by scenario.
type Plans = BTreeMap<String, Value>;

/// Where a change may show: every turn of a life that one of them is about, and no more, for the sake of time.
const SCENARIOS: [&str; 6] =
    ["load-call-close", "rerun-hop", "cancel-in-flight", "server-dies-in-call", "load-after-close", "remove-first"];
/// How many there have to be.
const N_CHANGES_MIN: usize = 20;

#[test]
fn every_seeded_change_shows_in_a_snapshot() {
    assert!(anywhere().count() >= N_CHANGES_MIN, "{} changes", anywhere().count());
    let rig = Rig::new();
    let plans = run_all(&rig);
    let reference = &plans["reference"];
    let mut table = String::new();
    for mutant in anywhere() {
        let changed = &plans[&format!("{PREFIX}{}", mutant.name)];
        let differs = changed.iter().filter(|(scenario, plan)| life(&rig, plan) != life(&rig, &reference[*scenario]));
        let differs: Vec<_> = differs.map(|(scenario, _)| scenario.as_str()).collect();
        assert!(!differs.is_empty(), "{} ({}) shows in no snapshot", mutant.name, mutant.about);
        table.push_str(&format!("{}: {}\n  shows in: {}\n", mutant.name, mutant.about, differs.join(", ")));
        for verdict in ["fail", "warn"] {
            let found = found(changed, verdict);
            if !found.is_empty() {
                table.push_str(&format!("  {verdict}: {}\n", found.into_iter().collect::<Vec<_>>().join(", ")));
            }
        }
    }
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!("seeded", table));
}

/// Those that can be seen over stdio.
fn anywhere() -> impl Iterator<Item = &'static Mutant> {
    MUTANTS.iter().filter(|mutant| mutant.shows_over == Over::Any)
}

/// The reference loader and every changed one, in one run.
fn run_all(rig: &Rig) -> BTreeMap<String, Plans> {
    let described = anywhere().map(|mutant| {
        let text = format!("name = \"{PREFIX}{}\"\nlane = \"rust\"\n", mutant.name);
        rig.file(&format!("{}.toml", mutant.name), &text).display().to_string()
    });
    let files: Vec<_> = described.collect();
    let mut command = rig.run_command(&["--polite-only", "--transport", "stdio", "--limit", "grace=500ms"]);
    command.args(SCENARIOS).args(["--loader", "reference"]);
    command.args(files.iter().flat_map(|file| ["--loader", file.as_str()]));
    let ran = rig.finish(command);
    let mut plans: BTreeMap<String, Plans> = BTreeMap::new();
    for plan in ran.report()["plans"].as_array().unwrap() {
        let name = |field: &str| plan[field].as_str().unwrap().to_owned();
        plans.entry(name("loader")).or_default().insert(name("scenario"), plan.clone());
    }
    plans
}

/// Ids of the invariants that came out with this verdict in any plan.
fn found(plans: &Plans, verdict: &str) -> BTreeSet<String> {
    let findings = plans.values().flat_map(|plan| plan["findings"].as_array().unwrap());
    let findings = findings.filter(|finding| finding["verdict"] == verdict);
    findings.map(|finding| finding["invariant"].as_str().unwrap().to_owned()).collect()
}
