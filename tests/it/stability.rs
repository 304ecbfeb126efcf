//! The same plan gives the same verdict and the same normalised history, quiet and beside two busy loops.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mcp_lifecheck::catalogue::shipped_loaders;
use mcp_lifecheck::history::normal_text;
use mcp_lifecheck::plan::Lane;
use mcp_lifecheck::stack::python_stack;

use crate::lanes::unavailable;
use crate::rig::Rig;

/// Two scenarios that decide about each Python loader: they show what it is known for, or that it is not so.
const DECIDING: &[(&str, [&str; 2])] = &[
    ("python-closed-early", ["load-call-close", "rerun-hop"]),
    ("python-run-per-step", ["load-call-close", "hop-close"]),
    ("python-run-per-step-dropped", ["load-call-close", "hop-close"]),
    ("python-background-loop", ["hop-close", "load-after-close"]),
    ("python-nest", ["hop-close", "interrupt"]),
    ("python-nest-dropped", ["load-call-close", "interrupt"]),
    ("python-owner-task", ["hop-close", "load-after-close"]),
    ("python-per-call", ["hop-close", "load-after-close"]),
];
/// The one that every `cargo test` repeats, and its stack.
const BY_DEFAULT: (&str, &str) = ("python-closed-early", "mcp-1.30");
/// How long all the plans of one loader may take together: twenty times the whole suite, with stubborn servers.
pub const LIMIT: Duration = Duration::from_secs(1_200);

/// How often each plan is run; `MCP_LIFECHECK_REPEATS` asks for more, for stubborn servers with every Rust loader, and
/// for every Python loader and stack.
fn n_repeats() -> usize {
    wanted_repeats().unwrap_or(2)
}

pub fn wanted_repeats() -> Option<usize> {
    std::env::var("MCP_LIFECHECK_REPEATS").ok().and_then(|text| text.parse().ok())
}

/// Whether everything is to be tried, however long it takes: where every lane is required, as before a change is merged, or repeats are
/// asked for. A quick run leaves out what only repeats another test beside two busy loops.
pub fn is_thorough() -> bool {
    std::env::var_os("MCP_LIFECHECK_REQUIRE_LANES").is_some() || wanted_repeats().is_some()
}

/// Busy loops beside a test, where it is worth their time.
pub fn busy_beside(test: &str) -> Option<Busy> {
    if is_thorough() {
        return Some(Busy::start(2));
    }
    eprintln!("LEFT OUT: {test} beside two busy loops; MCP_LIFECHECK_REPEATS=1 tries it");
    None
}

#[test]
fn rust_loaders_repeat_their_histories() {
    rust_loaders();
}

#[test]
fn rust_loaders_repeat_their_histories_beside_two_busy_loops() {
    let Some(busy) = busy_beside("the Rust loaders") else { return };
    rust_loaders();
    drop(busy);
}

#[test]
fn python_loaders_repeat_their_verdicts() {
    python_loaders();
}

#[test]
fn python_loaders_repeat_their_verdicts_beside_two_busy_loops() {
    let Some(busy) = busy_beside("the Python loaders") else { return };
    python_loaders();
    drop(busy);
}

fn rust_loaders() {
    repeat(&["core", "--loader", "reference", "--jobs", "2"], Same::VerdictAndHistory);
    // A loader that leaves stubborn servers to rmcp waits six seconds for each of them, and does nothing meanwhile.
    let mut arguments = vec!["core", "--loader", "rust-closed-early", "--jobs", "12", "--transport", "stdio"];
    if wanted_repeats().is_none() {
        arguments.push("--polite-only");
    }
    repeat(&arguments, Same::VerdictAndHistory);
}

fn python_loaders() {
    let loaders = shipped_loaders().unwrap();
    let designs: Vec<_> = loaders.iter().filter(|loader| loader.lane == Lane::Python && !loader.adapter).collect();
    assert_eq!(designs.len(), DECIDING.len(), "two scenarios for each Python loader");
    for loader in designs {
        let of_it = |(name, _): &&(&str, [&str; 2])| *name == loader.name;
        let (_, scenarios) = DECIDING.iter().find(of_it).expect("two scenarios for each Python loader");
        for stack in &loader.stacks {
            if wanted_repeats().is_none() && (loader.name.as_str(), stack.as_str()) != BY_DEFAULT {
                continue;
            }
            let name = format!("{}@{stack}", loader.name);
            match python_stack(stack).map(|stack| stack.interpreter()) {
                Some(Ok(_)) => {
                    repeat(&[scenarios[0], scenarios[1], "--loader", &name, "--jobs", "2"], Same::Verdict);
                }
                Some(Err(error)) => unavailable(&name, &error.to_string()),
                None => panic!("{name}: no such stack"),
            }
        }
    }
}

/// The parts that must be the same each time.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Same {
    /// The verdict of the plan, and the signatures of what is wrong with it.
    Verdict,
    /// The normalised history as well.
    VerdictAndHistory,
}

/// Runs plans over stdio again and again, and holds each against its first time.
fn repeat(arguments: &[&str], same: Same) {
    let n_repeats = n_repeats().to_string();
    let rig = Rig::new();
    let arguments = [arguments, &["--transport", "stdio", "--repeat", &n_repeats]].concat();
    let ran = rig.finish_within(rig.run_command(&arguments), LIMIT);
    let plans = ran.plans();
    assert!(!plans.is_empty(), "{}", ran.stderr);
    let mut first: BTreeMap<String, (String, String)> = BTreeMap::new();
    for plan in &plans {
        let id = plan["id"].as_str().unwrap();
        let history = match same {
            Same::Verdict => String::new(),
            Same::VerdictAndHistory => normal_text(&rig.history(id)),
        };
        let now = (verdicts(plan), history);
        let what = id.rsplit_once(".r").unwrap().0.to_owned();
        let before = first.entry(what).or_insert_with(|| now.clone());
        assert_eq!(before.0, now.0, "verdicts of {id}, of {n_repeats}");
        assert_eq!(before.1, now.1, "history of {id}, of {n_repeats}");
    }
    assert_eq!(ran.report()["counts"]["inconclusive"], 0, "{arguments:?}");
    println!("{arguments:?}: {} plans, each {n_repeats} times the same", first.len());
}

/// The verdict of a plan and the signatures of its findings.
fn verdicts(plan: &serde_json::Value) -> String {
    let signatures = plan["findings"].as_array().unwrap().iter().map(|finding| finding["signature"].to_string());
    format!("{} {}", plan["verdict"], signatures.collect::<Vec<_>>().join(" "))
}

/// Threads that do nothing but take the processor.
pub struct Busy {
    stop: Arc<AtomicBool>,
}

impl Busy {
    pub fn start(n_threads: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        for _ in 0..n_threads {
            let stop = Arc::clone(&stop);
            std::thread::spawn(move || while !stop.load(Ordering::Relaxed) {});
        }
        Self { stop }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}
