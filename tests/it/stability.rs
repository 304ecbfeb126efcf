//! The same plan gives the same verdict and the same normalised history, quiet and beside two busy loops.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mcp_vigil::history::{normal_text, read_history};

use crate::rig::Rig;

/// How often each Rust loader is run here; `MCP_VIGIL_REPEATS` asks for more, and for stubborn servers with every loader.
fn n_repeats() -> usize {
    wanted_repeats().unwrap_or(2)
}

/// How often `MCP_VIGIL_REPEATS` asks for each plan.
pub fn wanted_repeats() -> Option<usize> {
    std::env::var("MCP_VIGIL_REPEATS").ok().and_then(|text| text.parse().ok())
}

/// The arguments for one loader. A loader that leaves stubborn servers to rmcp waits six seconds for each of them.
fn arguments(loader: &str) -> Vec<&str> {
    let mut arguments = vec!["core", "--transport", "stdio", "--loader", loader];
    if loader != "reference" && wanted_repeats().is_none() {
        arguments.push("--polite-only");
    }
    arguments
}

#[test]
fn rust_loaders_repeat_their_histories() {
    for loader in ["reference", "rust-closed-early"] {
        repeats_itself(loader, n_repeats());
    }
}

#[test]
fn rust_loaders_repeat_their_histories_beside_two_busy_loops() {
    let busy = Busy::start(2);
    for loader in ["reference", "rust-closed-early"] {
        repeats_itself(loader, n_repeats());
    }
    drop(busy);
}

fn repeats_itself(loader: &str, n_repeats: usize) {
    let mut first: BTreeMap<String, (String, String)> = BTreeMap::new();
    for repeat in 1..=n_repeats {
        let rig = Rig::new();
        let ran = rig.run(&arguments(loader));
        for plan in ran.report()["plans"].as_array().unwrap() {
            let id = plan["id"].as_str().unwrap().to_owned();
            let path = rig.out().join(&id).join("history.jsonl");
            let history = read_history(&id, &fs::read_to_string(path).unwrap()).unwrap();
            let now = (verdicts(plan), normal_text(&history));
            let before = first.entry(id.clone()).or_insert_with(|| now.clone());
            assert_eq!(before.0, now.0, "verdicts of {id}, repeat {repeat} of {n_repeats}");
            assert_eq!(before.1, now.1, "history of {id}, repeat {repeat} of {n_repeats}");
        }
    }
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
