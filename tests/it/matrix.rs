//! Several loaders in one run: side by side, one held against another, and each with what is known of it.

use std::collections::BTreeMap;

use mcp_lifecheck::catalogue::{shipped_baseline, shipped_loaders};
use mcp_lifecheck::plan::Baseline;
use serde_json::Value;

use crate::rig::{Ran, Rig};

#[test]
fn loaders_stand_side_by_side_by_scenario_and_by_invariant() {
    let rig = Rig::new();
    let loaders = ["--loader", "reference", "--loader", "rust-closed-early"];
    let ran = rig.run(&[&["matrix", "--transport", "stdio"], &loaders[..]].concat());
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    let matrix = &ran.report()["matrix"];
    let cell = |table: &str, loader: &str, of: &str| matrix[table][loader][of].clone();
    for (loader, verdict, call) in [("reference", "pass", "pass"), ("rust-closed-early", "fail", "fail")] {
        assert_eq!(cell("scenarios", loader, "hop-close"), verdict, "{matrix:#}");
        assert_eq!(cell("invariants", loader, "call-after-load-succeeds"), call, "{matrix:#}");
    }
    // In each cell is the worst of what its plans came to.
    assert_eq!(worst_in(&ran), worst_shown(&ran));
    let mut command = rig.command(&["run", "hop-close", "--polite-only", "--transport", "stdio", "--out"]);
    command.arg(rig.out()).args(loaders);
    let text = rig.finish(command).stdout;
    for line in ["  A  reference", "  B  rust-closed-early", " hop-close stdio", " CPU seconds"] {
        assert!(text.contains(line), "no line {line:?} in\n{text}");
    }
    let row = |name: &str| {
        let line = text.lines().rev().find(|line| line.trim_start().starts_with(name));
        line.unwrap_or_else(|| panic!("no row {name:?} in\n{text}")).split_whitespace().skip(1).collect::<Vec<_>>()
    };
    assert_eq!(row("call-after-load-succeeds"), ["ok", "FAIL"]);
    assert!(!text.contains("\n nothing-survives "), "no loader breaks it\n{text}");
}

fn worst_in(ran: &Ran) -> BTreeMap<(String, String), bool> {
    let mut worst = BTreeMap::new();
    for plan in ran.plans() {
        let text = |field: &str| plan[field].as_str().unwrap().to_owned();
        *worst.entry((text("loader"), text("scenario"))).or_insert(false) |= plan["verdict"] == "fail";
    }
    worst
}

fn worst_shown(ran: &Ran) -> BTreeMap<(String, String), bool> {
    let report = ran.report();
    let cells = |(loader, row): (&String, &Value)| {
        let row = row.as_object().unwrap().clone();
        row.into_iter().map(|(scenario, cell)| ((loader.clone(), scenario), cell == "fail")).collect::<Vec<_>>()
    };
    report["matrix"]["scenarios"].as_object().unwrap().iter().flat_map(cells).collect()
}

#[test]
fn of_two_loaders_one_is_judged_and_what_differs_is_told() {
    let rig = Rig::new();
    let held = |of: &str, against: &str| {
        rig.run(&["load-call-close", "--transport", "stdio", "--polite-only", "--loader", of, "--against", against])
    };
    let better = held("reference", "rust-closed-early");
    let worse = held("rust-closed-early", "reference");
    assert_eq!((better.code, worse.code), (0, 1), "{}", better.stdout);
    let ids = |ran: &Ran, side: &str| {
        let found = ran.report()["comparison"][side].as_array().unwrap().clone();
        found.iter().map(|one| one["invariant"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert!(ids(&worse, "new").contains(&"call-after-load-succeeds".to_owned()), "{}", worse.stdout);
    assert_eq!(ids(&better, "gone"), ids(&worse, "new"));
    for (ran, side) in [(&better, "new"), (&better, "same"), (&worse, "gone"), (&worse, "not_compared")] {
        assert_eq!(ran.report()["comparison"][side], Value::Array(Vec::new()), "{side}");
    }
}

#[test]
fn runs_that_cannot_be_compared_are_refused_before_anything_runs() {
    let rig = Rig::new();
    for (arguments, because) in [
        (["--loader", "reference", "--against", "rust-owner-task"], "with itself"),
        (["--loader", "reference", "--against", "no-such-loader"], "no-such-loader"),
        (["--all-available", "--polite-only", "--against", "reference"], "--against"),
    ] {
        let ran = rig.finish(rig.command(&[&["run", "load-call-close"], &arguments[..]].concat()));
        assert_eq!(ran.code, 2, "{arguments:?}: {}", ran.stderr);
        assert!(ran.stderr.contains(because), "{}", ran.stderr);
    }
}

#[test]
fn each_shipped_loader_is_accepted_for_what_is_known_of_it_and_for_nothing_else() {
    let rig = Rig::new();
    let run = |loader: &str, more: &[&str]| {
        let chosen = ["remove-first", "--polite-only", "--transport", "stdio", "--loader", loader];
        rig.run(&[&chosen[..], more].concat()).code
    };
    assert_eq!(run("rust-rmcp-readme", &[]), 1);
    assert_eq!(run("rust-rmcp-readme", &["--shipped-baselines"]), 0);
    // Findings of a loader of which nothing is known.
    assert_eq!(run("rust-closed-early", &["--shipped-baselines"]), 1);
}

#[test]
fn every_shipped_baseline_is_of_a_shipped_adapter_and_says_why() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/loaders/baselines");
    let names = |stack: Option<&String>, name: &str| stack.map_or(name.to_owned(), |stack| format!("{name}@{stack}"));
    let mut adapters = Vec::new();
    for loader in shipped_loaders().unwrap().iter().filter(|loader| loader.adapter) {
        match loader.stacks.as_slice() {
            [] => adapters.push(names(None, &loader.name)),
            stacks => adapters.extend(stacks.iter().map(|stack| names(Some(stack), &loader.name))),
        }
    }
    let mut n_read = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        assert!(adapters.contains(&name), "{name} is no shipped adapter on a stack of it");
        let (file, text) = shipped_baseline(&name).unwrap();
        let baseline = Baseline::from_text(&file, text).unwrap();
        for entry in &baseline.entries {
            assert!(mcp_lifecheck::catalogue::shipped_scenario(&entry.scenario).unwrap().is_some(), "{name}: {entry}");
            let known = entry.invariant.as_deref().and_then(mcp_lifecheck::check::invariant);
            assert!(known.is_some(), "{name}: {entry} names no invariant");
        }
        let n_reasons = text.lines().filter(|line| line.trim_start().starts_with("reason:")).count();
        assert_eq!(n_reasons, baseline.entries.len(), "{name}: each entry says why");
        n_read += 1;
    }
    assert!(n_read > 0);
}
