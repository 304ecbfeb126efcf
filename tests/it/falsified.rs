//! A rule that has never failed proves nothing: every invariant of loaders is broken by a loader or by a raw client of the zoo.
//!
//! Every invariant has histories that violate it as well. A history shows that the rule fails on these events, and not that a loader
//! can cause them.
//!
//! In the same way every requirement that some rule judges is broken by a specimen of the zoo, whose finding names it. The zoo itself shows
//! that it does, and that the twin of the specimen gets no finding.

use std::collections::BTreeSet;
use std::fs;

use mcp_lifecheck::check::{INVARIANTS, covered_by, requirements};

use crate::rig::{files, root};
use crate::{mutations, mutations_http, mutations_sse, provoked, stateless};

#[path = "../zoo/specimens/mod.rs"]
#[expect(dead_code, reason = "only its tables are read here; `cargo test --test zoo` lets the specimens live")]
mod zoo;

/// Requirements that a rule judges and no specimen of the zoo breaks, each with the reason. The list may only shrink.
const WITHOUT_SPECIMEN: &[(&str, &str)] = &[
    (
        "LC-ERA-14",
        "a plan of an older revision has no server without sessions, and in one of 2026-07-28 a loader must open it",
    ),
    ("LC-S2C-05", "a close that never ends is told by two rules, and a specimen breaks one"),
    ("LC-MRTR-08", "the mutation of its script closes everything, and not only what ties the repeat to a connection"),
];

/// The invariants that a mutation must break.
fn by_mutations() -> impl Iterator<Item = &'static str> {
    let anywhere = mutations::CAUGHT_BY.iter().filter_map(|(_, invariant)| *invariant);
    let over_http = mutations_http::CAUGHT_BY.iter().chain(mutations_sse::CAUGHT_BY).map(|(_, invariant)| *invariant);
    let stateless = stateless::BROKEN.iter().map(|row| row.3);
    let odd = provoked::ROWS.iter().chain(provoked::ERA_ROWS).map(|row| row.3);
    anywhere.chain(over_http).chain(stateless).chain(odd)
}

/// The names in every list `must-fail` of a description.
fn must_fail(value: &toml::Value, found: &mut BTreeSet<String>) {
    let toml::Value::Table(table) = value else { return };
    for (key, value) in table {
        match value {
            toml::Value::Array(names) if key == "must-fail" => {
                found.extend(names.iter().filter_map(toml::Value::as_str).map(str::to_owned));
            }
            other => must_fail(other, found),
        }
    }
}

/// The invariants that a shipped broken loader must break.
fn by_loaders() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for path in files(&root().join("fixtures/loaders")) {
        if path.extension().is_some_and(|extension| extension == "toml") {
            must_fail(&toml::Value::Table(fs::read_to_string(&path).unwrap().parse().unwrap()), &mut found);
        }
    }
    found
}

#[test]
fn every_invariant_is_broken_by_a_loader_or_a_raw_client() {
    let mut broken = by_loaders();
    broken.extend(by_mutations().map(str::to_owned));
    broken.extend(zoo::broken_invariants().map(str::to_owned));
    let unbroken: Vec<&str> = INVARIANTS.iter().map(|one| one.id).filter(|id| !broken.contains(*id)).collect();
    assert!(unbroken.is_empty(), "no mutation and no specimen breaks {unbroken:#?}; add one, see CONTRIBUTING.md");
}

#[test]
fn every_requirement_that_is_judged_is_broken_by_a_specimen() {
    let rows = requirements().unwrap();
    let judged: BTreeSet<&str> =
        rows.iter().filter(|row| !covered_by(row).is_empty()).map(|row| row.id.as_str()).collect();
    let broken: BTreeSet<&str> = zoo::broken_requirements().collect();
    let unbroken: BTreeSet<&str> = judged.difference(&broken).copied().collect();
    let listed: BTreeSet<&str> = WITHOUT_SPECIMEN.iter().map(|(id, _)| *id).collect();
    let missing: Vec<_> = unbroken.difference(&listed).collect();
    assert!(missing.is_empty(), "no specimen of the zoo breaks {missing:#?}; add one, see CONTRIBUTING.md");
    let stale: Vec<_> = listed.difference(&unbroken).collect();
    assert!(stale.is_empty(), "a specimen breaks {stale:?} now: take them out of WITHOUT_SPECIMEN");
}
