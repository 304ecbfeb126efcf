//! Suite `standard` of the reference loader, run once for all tests that look at it.

use std::collections::BTreeMap;
use std::fs;
use std::sync::OnceLock;

use serde_json::Value;

use crate::lanes::core_of_rust;
use crate::rig::{Ran, Rig};
use crate::snapshots::{Lives, lives};
use crate::stability::LIMIT;

/// The suite.
pub const SUITE: &str = "standard";

/// What came of the plans of a run.
pub struct Lived {
    /// Normal forms.
    pub lives: Lives,
    /// What was said of each invariant, in any plan.
    pub verdicts: BTreeMap<String, Vec<String>>,
}

/// The plans of the suite, over every transport that is run unasked.
pub fn standard() -> &'static Lived {
    static STANDARD: OnceLock<Lived> = OnceLock::new();
    STANDARD.get_or_init(|| lived(&[SUITE]))
}

/// Runs plans, in which nothing may fail.
pub fn lived(arguments: &[&str]) -> Lived {
    let rig = Rig::new();
    let ran = rig.finish_within(rig.run_command(arguments), LIMIT);
    of_run(&rig, &ran)
}

/// Suite `core` of the reference loader over one transport, in which nothing may fail.
pub fn core_over(transport: &str) -> Lived {
    let (rig, ran) = core_of_rust("reference", transport);
    of_run(&rig, ran)
}

fn of_run(rig: &Rig, ran: &Ran) -> Lived {
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    Lived { lives: lives(rig, ran), verdicts: verdicts(rig, ran) }
}

fn verdicts(rig: &Rig, ran: &Ran) -> BTreeMap<String, Vec<String>> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for plan in ran.plans().iter().filter(|plan| plan["verdict"] != "not-applicable") {
        let path = rig.out().join(plan["id"].as_str().unwrap()).join("verdict.json");
        let verdict: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
        for (invariant, verdict) in verdict["verdicts"].as_object().unwrap() {
            found.entry(invariant.clone()).or_default().push(verdict.as_str().unwrap().to_owned());
        }
    }
    found
}
