//! `list requirements` and `explain` know every row of the table.

use std::collections::BTreeSet;

use mcp_lifecheck::check::requirements;
use mcp_lifecheck::script::shipped_names;
use serde_json::Value;

use crate::rig::Rig;

fn listed(what: &str) -> Vec<Value> {
    let rig = Rig::new();
    let ran = rig.finish(rig.command(&["list", what, "--format", "json"]));
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    serde_json::from_str(&ran.stdout).unwrap()
}

#[test]
fn each_script_that_puts_a_requirement_to_the_test_is_shipped() {
    let known: BTreeSet<&str> = shipped_names().into_iter().collect();
    for row in requirements().unwrap() {
        for script in row.judged.iter().flat_map(|judged| &judged.scripts) {
            assert!(known.contains(script.as_str()), "{} names the script {script}, which is not shipped", row.id);
        }
    }
}

#[test]
fn each_fault_that_puts_a_requirement_to_the_test_exists() {
    let faults = listed("faults");
    let known: BTreeSet<&str> = faults.iter().map(|row| row["id"].as_str().unwrap()).collect();
    for row in requirements().unwrap() {
        for fault in row.judged.iter().flat_map(|judged| &judged.faults) {
            assert!(known.contains(fault.as_str()), "{} names the fault {fault}, which no script can have", row.id);
        }
    }
}

#[test]
fn each_row_says_what_covers_it_or_why_nothing_does() {
    let invariants: BTreeSet<String> =
        listed("invariants").iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect();
    let rows = listed("requirements");
    assert_eq!(rows.len(), requirements().unwrap().len());
    for row in &rows {
        let id = row["id"].as_str().unwrap();
        let covering: Vec<&str> = row["covered_by"].as_array().unwrap().iter().map(|id| id.as_str().unwrap()).collect();
        assert!(covering.iter().all(|rule| invariants.contains(*rule)), "{id}: {covering:?}");
        assert!(row["breakable"] == Value::Bool(true) || row["breakable"].as_str().is_some_and(|why| why.len() > 20));
        assert!(row["deferred"].is_null() || covering.is_empty(), "{id} is covered and deferred");
        // Where something covers it, the row says in which revisions, over which transports, and for which programs.
        let covered = &row["covered"];
        for field in ["revisions", "transports", "subjects"] {
            assert_eq!(covered[field].as_array().unwrap().is_empty(), covering.is_empty(), "{id}: {field}");
        }
    }
}

#[test]
fn each_invariant_says_which_programs_it_judges() {
    let rows = listed("invariants");
    let ids: BTreeSet<&str> = rows.iter().map(|row| row["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), rows.len(), "an id is there twice");
    for row in &rows {
        let subjects = row["subjects"].as_array().unwrap();
        let known = ["loader", "application", "client"];
        assert!(!subjects.is_empty() && subjects.iter().all(|one| known.contains(&one.as_str().unwrap())), "{row}");
    }
}

#[test]
fn explain_has_a_page_for_each_row() {
    let rig = Rig::new();
    // One that is judged, one that no client can break, one of our own.
    for (id, expected) in [
        ("LC-MSG-03", "Judged by:\n  request-id-unique"),
        ("LC-STD-11", "No client can break it: it binds the server alone"),
        ("VG-01", "Judged by:\n  scope-exits-in-entering-task"),
    ] {
        let ran = rig.finish(rig.command(&["explain", id]));
        assert!(ran.code == 0 && ran.stdout.contains(expected), "{id}: {}{}", ran.stdout, ran.stderr);
    }
}
