//! The life of the reference loader, as snapshots to review: one for each plan of suite `standard` over the transports
//! that it speaks.
//!
//! A change of the reference loader, of a mock or of the harness that changes a life shows here. `INSTA_UPDATE=no`, as in
//! `.ci/run`, refuses to write; accept a change with `cargo insta accept`, or by running with `INSTA_UPDATE=always`.

use std::collections::BTreeMap;
use std::fs;

use mcp_lifecheck::history::normal_text;
use serde_json::Value;

use crate::rig::{Ran, Rig, root};
use crate::stability::{busy_beside, wanted_repeats};
use crate::standard::{SUITE, lived, standard};

/// A life without a snapshot: over HTTP nobody starts the server that was killed, and whether the loader has seen its stream end
/// before it is called is chance: the call fails as unavailable or as broken off. The life over stdio has one.
const LEFT_OUT: [&str; 1] = ["dies-while-idle.http"];

/// A life in which a stream that ended is asked for again half a second later: how often depends on how long the life takes. It is
/// written as if that were once; invariant stream-reopened-slowly is about the rest.
const ASKS_AGAIN: &str = "stream-ends-at-once.http";

/// The normal forms of each plan's repeats, by scenario and shutdown behaviour; over another transport than stdio, where servers
/// are always polite, by scenario and transport.
pub type Lives = BTreeMap<String, Vec<String>>;

/// How the plans of a run were lived.
pub fn lives(rig: &Rig, ran: &Ran) -> Lives {
    let mut lives = Lives::new();
    // What a scenario is not for is not run, and has no life.
    let is_lived = |plan: &&Value| plan["verdict"] != "not-applicable";
    for plan in ran.plans().iter().filter(is_lived) {
        let transport = plan["transport"].as_str().unwrap();
        let variant = if transport == "stdio" { plan["server"].as_str().unwrap() } else { transport };
        let name = format!("{}.{variant}", plan["scenario"].as_str().unwrap());
        if !LEFT_OUT.contains(&name.as_str()) {
            let life = life(rig, plan);
            let life = if name == ASKS_AGAIN { asked_once(&life) } else { life };
            lives.entry(name).or_default().push(life);
        }
    }
    lives
}

/// A life in which each stream that is like the one before, and the fault that ended it, is left out.
fn asked_once(life: &str) -> String {
    let (mut sections, mut n_left_out) = (Vec::<String>::new(), 0);
    for section in life.split_inclusive('\n').fold(Vec::<String>::new(), into_sections) {
        let (head, body) = section.split_once('\n').unwrap_or((&section, ""));
        let is_like_last = sections.last().and_then(|last| last.split_once('\n')).is_some_and(|(_, last)| last == body);
        if is_like_last && body.contains("verb=\"GET\"") {
            n_left_out += 1;
            continue;
        }
        let number = head.strip_prefix("[socket of ").and_then(|rest| rest.strip_suffix(']')?.rsplit_once(' '));
        sections.push(match number.and_then(|(of, number)| Some((of, number.parse::<usize>().ok()?))) {
            Some((of, number)) => format!("[socket of {of} {}]\n{body}", number - n_left_out),
            None => section,
        });
    }
    let mut lines: Vec<_> = sections.iter().flat_map(|section| section.split_inclusive('\n')).collect();
    lines.dedup_by(|line, last| line == last && line.contains("fault.delivered"));
    lines.concat()
}

/// Puts a line to the section it belongs to: each begins with a line in brackets.
fn into_sections(mut sections: Vec<String>, line: &str) -> Vec<String> {
    match sections.last_mut() {
        Some(last) if !line.starts_with('[') => last.push_str(line),
        _ => sections.push(line.to_owned()),
    }
    sections
}

#[test]
fn a_stream_that_was_asked_for_again_is_written_once_and_nothing_else_is() {
    let post = |number| format!("[socket of mock:s#1 {number}]\n  http.received verb=\"POST\"\n");
    let get = |number, status| format!("[socket of mock:s#1 {number}]\n  http.received verb=\"GET\"\n  {status}\n");
    let fault = "[mock:s#1]\n  fault.delivered fault=\"x\"\n";
    let again = "  fault.delivered fault=\"x\"\n";
    let once = [fault.to_owned(), post(1), post(2), get(3, 200), post(4)].concat();
    assert_eq!(asked_once(&once), once);
    let thrice = [fault, again, again, &post(1), &post(2), &get(3, 200), &get(4, 200), &get(5, 200), &post(6)].concat();
    assert_eq!(asked_once(&thrice), once);
    let otherwise = [fault.to_owned(), post(1), get(2, 200), get(3, 405)].concat();
    assert_eq!(asked_once(&otherwise), otherwise);
}

/// The normal form of one plan of a run.
pub fn life(rig: &Rig, plan: &Value) -> String {
    normal_text(&rig.history(plan["id"].as_str().unwrap()))
}

#[test]
fn the_reference_loader_lives_as_it_was_reviewed() {
    match wanted_repeats() {
        None => as_reviewed(&standard().lives),
        Some(_) => as_reviewed(&repeated()),
    }
}

#[test]
fn the_reference_loader_lives_as_it_was_reviewed_beside_two_busy_loops() {
    let Some(busy) = busy_beside("the lives of the reference loader") else { return };
    as_reviewed(&repeated());
    drop(busy);
}

fn repeated() -> Lives {
    let repeat = wanted_repeats().unwrap_or(1).to_string();
    lived(&[SUITE, "--transport", "stdio", "--transport", "http", "--repeat", &repeat]).lives
}

fn as_reviewed(lives: &Lives) {
    // What a mock in memory says is held against the one over stdio, in `memory`.
    let lives: BTreeMap<_, _> = lives.iter().filter(|(name, _)| !name.ends_with(".memory")).collect();
    let differing: Vec<_> = lives.iter().filter_map(|(name, repeats)| difference(name, repeats)).collect();
    assert!(differing.is_empty(), "lives that differ from repeat to repeat:\n{}", differing.join("\n"));
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_snapshot_path("snapshots/lives");
    settings.set_omit_expression(true);
    settings.bind(|| {
        for (name, repeats) in &lives {
            insta::allow_duplicates! {
                for life in repeats.iter() {
                    insta::assert_snapshot!(name.as_str(), life);
                }
            }
        }
    });
    let folder = root().join("tests/it/snapshots/lives");
    for file in fs::read_dir(folder).unwrap().flatten() {
        let file = file.file_name().into_string().unwrap();
        let known = file.strip_suffix(".snap").is_none_or(|name| lives.contains_key(&name.to_owned()));
        assert!(known, "found snapshot {file}, expected one of a plan of suite {SUITE}");
    }
}

/// Where a life first differs from the first repeat.
fn difference(name: &str, repeats: &[String]) -> Option<String> {
    let first = repeats.first()?;
    let n_different = repeats.iter().filter(|life| *life != first).count();
    let other = repeats.iter().find(|life| *life != first)?;
    let (one, two) = first.lines().zip(other.lines()).find(|(one, two)| one != two).unwrap_or_default();
    Some(format!("{name}, {n_different} of {}:\n  {one}\n  {two}", repeats.len()))
}
