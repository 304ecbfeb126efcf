//! `merge`: the results of a campaign that ran in several parts.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::rig::{Ran, Rig};

/// A report of one part, without a run.
fn report(shard: &str, findings: &[Value]) -> Value {
    json!({
        "schema": 1, "tool": "mcp-lifecheck 0.1.0", "loaders": ["reference"], "seed": 3, "shard": shard,
        "counts": { "plans": 5, "pass": 4, "fail": 0, "warn": 0, "vacuous": 0, "not_applicable": 0, "inconclusive": 1, "unavailable": 0 },
        "cpu_ms": 10, "wall_ms": 20, "interrupted": false, "findings": findings,
        "opened": { "load-succeeds": 4 }, "scripts": { "polite": 5 },
    })
}

fn finding(file: &str, steps: u32, lives: u32) -> Value {
    json!({
        "signature": "call-sent-once/sent-twice", "invariant": "call-sent-once", "verdict": "fail", "loader": "reference",
        "because": "it was", "requirement": [], "first": "case-3-0", "lives": lives, "steps_before": 9, "steps": steps,
        "tries": 2, "again": 5, "repeats": 5, "file": file, "repeat": "mcp-lifecheck replay /elsewhere/plan",
    })
}

/// The results folder of a part, with its found files.
fn part(rig: &Rig, name: &str, report: &Value) -> PathBuf {
    let folder = rig.home().join(name);
    fs::create_dir_all(folder.join("found")).unwrap();
    fs::write(folder.join("explore.json"), report.to_string()).unwrap();
    for row in report["findings"].as_array().unwrap() {
        let file = folder.join(row["file"].as_str().unwrap());
        fs::write(file, format!("# {} steps\n", row["steps"])).unwrap();
    }
    folder
}

fn merge(rig: &Rig, folders: &[&Path], more: &[&str]) -> Ran {
    let mut command = rig.command(&["merge", "--out"]);
    command.arg(rig.out()).args(folders).args(more);
    rig.finish(command)
}

#[test]
fn two_parts_become_one_campaign_with_each_finding_once() {
    let rig = Rig::new();
    let run = |shard: &str| {
        let folder = rig.home().join(shard.replace('/', "-of-"));
        let mut command =
            rig.command(&["explore", "--format", "json", "--jobs", "4", "--loader", "rust-run-per-step", "--out"]);
        command.arg(&folder).args([
            "--transport=stdio",
            "--script",
            "polite",
            "--polite-only",
            "--seed=4",
            "--cases=2",
        ]);
        command.args(["--shard", shard]);
        let ran = rig.finish(command);
        assert_eq!(ran.code, 1, "{}{}", ran.stdout, ran.stderr);
        (folder, ran.report())
    };
    let ((one, first), (two, second)) = (run("1/2"), run("2/2"));
    let ran = merge(&rig, &[&one, &two], &["--format", "json"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (1, ""), "{}", ran.stdout);
    let report = ran.report();
    let sum = |key: &str| first["counts"][key].as_u64().unwrap() + second["counts"][key].as_u64().unwrap();
    for key in ["plans", "pass", "fail"] {
        assert_eq!(report["counts"][key], sum(key), "{key}: {report:#}");
    }
    assert_eq!(report["cpu_ms"].as_u64(), Some(first["cpu_ms"].as_u64().unwrap() + second["cpu_ms"].as_u64().unwrap()));
    assert_eq!((&report["shard"], &report["seed"]), (&"1/1".into(), &4.into()));
    let rows = report["findings"].as_array().unwrap();
    let of = |report: &Value, signature: &Value| -> u64 {
        let rows = report["findings"].as_array().unwrap().iter();
        rows.filter(|row| row["signature"] == *signature).map(|row| row["lives"].as_u64().unwrap()).sum()
    };
    assert!(rows.iter().any(|row| row["invariant"] == "scope-exit-explicit"), "{report:#}");
    for row in rows {
        let signature = &row["signature"];
        assert_eq!(row["lives"].as_u64(), Some(of(&first, signature) + of(&second, signature)), "{report:#}");
        assert_eq!(rows.iter().filter(|other| other["signature"] == *signature).count(), 1, "{report:#}");
        assert!(rig.out().join(row["file"].as_str().unwrap()).is_file(), "{row:#}");
    }
    // The line that repeats the finding does so from the joined results alone.
    fs::remove_dir_all(&one).unwrap();
    fs::remove_dir_all(&two).unwrap();
    let left = rows.iter().find(|row| row["invariant"] == "scope-exit-explicit").unwrap();
    let words: Vec<&str> = left["repeat"].as_str().unwrap().split(' ').skip(1).collect();
    let mut command = rig.command(&words);
    command.args(["--format", "json", "--out"]).arg(rig.home().join("again"));
    let again = rig.finish(command);
    assert_eq!(again.code, 1, "{words:?}: {}{}", again.stdout, again.stderr);
    assert!(again.stdout.contains(left["signature"].as_str().unwrap()), "{}", again.stdout);
}

#[test]
fn the_smallest_life_of_all_parts_is_kept() {
    let rig = Rig::new();
    let one = part(&rig, "one", &report("1/3", &[finding("found/001-call-sent-once.toml", 4, 2)]));
    let two = part(&rig, "two", &report("2/3", &[finding("found/007-call-sent-once.toml", 2, 1)]));
    let three = part(&rig, "three", &report("3/3", &[]));
    let ran = merge(&rig, &[&one, &two, &three], &["--format", "json"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (1, ""));
    let merged = ran.report();
    let [row] = merged["findings"].as_array().unwrap().as_slice() else { panic!("{merged:#}") };
    assert_eq!((&row["steps"], &row["lives"]), (&2.into(), &3.into()), "{row:#}");
    assert_eq!(row["file"], "found/001-call-sent-once.toml");
    let file = rig.out().join("found/001-call-sent-once.toml");
    assert_eq!(fs::read_to_string(&file).unwrap(), "# 2 steps\n");
    let path = file.display();
    assert_eq!(row["repeat"].as_str().unwrap(), format!("mcp-lifecheck replay {path} --loader reference"));
    assert_eq!((&merged["counts"]["plans"], &merged["opened"]["load-succeeds"]), (&15.into(), &12.into()));
    let text = merge(&rig, &[&one, &two, &three], &[]).stdout;
    let told = "FAIL call-sent-once/sent-twice (reference)\n  because: it was\n  the smallest life that shows it: 2 steps, at first 9 \
                steps; 5 of 5 repeats show it, and 3 of 15 lives\n";
    assert!(text.starts_with(told), "{text}");
    assert!(text.contains("seed 3, shard 1/1, from 3 parts\n"), "{text}");
    // A later merge without the finding leaves no old file.
    let only = part(&rig, "only", &report("1/1", &[]));
    assert_eq!(merge(&rig, &[&only], &["--quiet"]).code, 0);
    assert!(!file.exists());
}

#[test]
fn a_campaign_that_lacks_a_part_does_not_pass() {
    let rig = Rig::new();
    let one = part(&rig, "one", &report("1/3", &[]));
    let three = part(&rig, "three", &report("3/3", &[]));
    let ran = merge(&rig, &[&one, &three], &[]);
    assert_eq!(ran.code, 3, "{}", ran.stdout);
    assert!(ran.stderr.contains("found no results of 2/3, expected those of every shard"), "{}", ran.stderr);
    assert!(ran.stdout.contains("shard 1/3,3/3, from 2 parts"), "{}", ran.stdout);
    // What was merged is merged with the rest.
    let so_far = rig.home().join("so-far");
    fs::rename(rig.out(), &so_far).unwrap();
    let two = part(&rig, "two", &report("2/3", &[]));
    let whole = merge(&rig, &[&so_far, &two], &["--format", "json"]);
    assert_eq!(whole.code, 0, "{}", whole.stderr);
    assert_eq!((&whole.report()["shard"], &whole.report()["counts"]["plans"]), (&"1/1".into(), &15.into()));
}

#[test]
fn parts_that_have_no_sum_are_refused() {
    let rig = Rig::new();
    let one = part(&rig, "one", &report("1/2", &[]));
    let refused = |folders: &[&Path], expected: &str| {
        let ran = merge(&rig, folders, &[]);
        assert_eq!(ran.code, 2, "{}{}", ran.stdout, ran.stderr);
        assert!(ran.stderr.contains(expected), "no {expected:?} in {}", ran.stderr);
    };
    let changed = |name: &str, key: &str, value: Value| {
        let mut other = report("2/2", &[]);
        other[key] = value;
        part(&rig, name, &other)
    };
    refused(&[&one, &one], "expected each shard once");
    refused(&[&one, &changed("seed", "seed", 4.into())], "found the seed 4, expected 3 as in ");
    refused(&[&one, &changed("loader", "loaders", json!(["other"]))], "found the loaders other, expected reference");
    refused(&[&one, &changed("tool", "tool", "mcp-lifecheck 0.0.9".into())], "found the program mcp-lifecheck 0.0.9");
    let other = changed("selection", "selection", json!({ "transport": "memory" }));
    refused(&[&one, &other], "found what the lives were made of transport memory, expected nothing");
    refused(&[&one, &changed("parts", "shard", "2/3".into())], "found the number of parts 3, expected 2");
    refused(&[&changed("nonsense", "shard", "3/2".into())], "explore.json: shard: found \"3/2\", expected I/N");
    refused(&[&changed("shape", "schema", 2.into())], "found a report of shape 2, expected shape 1");
    let outside = report("2/2", &[finding("found/../../x.toml", 2, 1)]);
    fs::create_dir_all(rig.home().join("outside")).unwrap();
    fs::write(rig.home().join("outside/explore.json"), outside.to_string()).unwrap();
    refused(&[&rig.home().join("outside")], "expected one in the folder found");
    let broken = part(&rig, "broken", &report("2/2", &[]));
    fs::write(broken.join("explore.json"), "{\"schema\": 1,\n}").unwrap();
    refused(&[&one, &broken], "explore.json:2:1: found text that is not JSON");
    fs::remove_file(broken.join("explore.json")).unwrap();
    refused(&[&one, &broken], "found no explore.json, expected a results folder of `explore`");
    fs::write(broken.join("run.json"), "{}").unwrap();
    refused(&[&one, &broken], "found the results of `run`, expected a results folder of `explore`");
    fs::create_dir_all(rig.out()).unwrap();
    refused(&[&one, &rig.out()], "as a part and as --out");
}
