//! Revision 2026-07-28: the reference loader passes what it must, and changes of it are noticed.

use mcp_lifecheck_specimens::mutation::PREFIX;

use crate::rig::Rig;

const MODERN: [&str; 2] = ["--revision", "2026-07-28"];

fn core_passes(transport: &str, n_plans: usize) {
    let rig = Rig::new();
    let mut command = rig.run_command(&["core", "--loader", "reference", "--transport", transport]);
    command.args(MODERN);
    let ran = rig.finish(command);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    let plans = ran.plans();
    assert!(plans.iter().all(|plan| plan["verdict"] == "pass"), "{plans:#?}");
    assert_eq!(plans.len(), n_plans, "suite core has another number of plans over {transport}: say so in this file");
}

#[test]
fn suite_core_passes_over_stdio() {
    core_passes("stdio", 19);
}

#[test]
fn suite_core_passes_in_memory() {
    core_passes("memory", 9);
}

#[test]
fn suite_core_passes_over_http() {
    core_passes("http", 9);
}

/// The invariants that a mutation breaks in a scenario.
fn broken_by(mutation: &str, scenario: &str, transport: &str) -> Vec<String> {
    let rig = Rig::new();
    let text = format!("name = \"{PREFIX}{mutation}\"\nlane = \"rust\"\ntransports = [\"{transport}\"]\n");
    let loader = rig.file("mutated.toml", &text);
    let mut command = rig.run_command(&[scenario, "--transport", transport, "--polite-only"]);
    command.args(MODERN).arg("--loader").arg(loader);
    rig.finish(command).invariants("fail")
}

/// Mutation, scenario, transport, and the invariant that breaks.
pub const BROKEN: &[(&str, &str, &str, &str)] = &[
    ("metadata-lost", "load-call-close", "stdio", "modern-metadata-sent"),
    ("metadata-lost", "load-call-close", "http", "modern-metadata-sent"),
    ("name-lost", "load-call-close", "http", "modern-metadata-sent"),
    ("cancel-lost", "cancel-in-flight", "stdio", "cancel-announced"),
    ("cancel-lost", "cancel-in-flight", "http", "cancel-announced"),
    ("first-subscription-alone", "subscription-lost", "stdio", "subscription-sent-again"),
];

#[test]
fn mutations_break_what_the_stateless_generation_demands() {
    for (mutation, scenario, transport, invariant) in BROKEN {
        let broken = broken_by(mutation, scenario, transport);
        assert!(broken.iter().any(|id| id == invariant), "{mutation} over {transport}: {broken:?}");
    }
}
