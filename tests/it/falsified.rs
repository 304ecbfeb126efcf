//! A rule that has never failed proves nothing: every invariant of loaders is broken by a loader or by a raw client of the zoo, but for
//! a list that may only shrink.
//!
//! Every invariant has histories that violate it as well. A history shows that the rule fails on these events, and not that a loader
//! can cause them.

use std::collections::BTreeSet;
use std::fs;

use mcp_lifecheck::check::INVARIANTS;

use crate::rig::{files, root};
use crate::{mutations, mutations_http, mutations_sse, provoked, stateless};

#[path = "../zoo/specimens/mod.rs"]
#[expect(dead_code, reason = "only its tables are read here; `cargo test --test zoo` lets the specimens live")]
mod zoo;

/// Invariants that no mutation, no shipped broken loader and no specimen of the zoo must break. Some of them are broken by a program of a
/// test.
const BY_HISTORIES_ALONE: &[&str] = &[
    "idle-without-cpu",
    "exit-completes",
    "children-reaped",
    "failure-prompt-after-server-death",
    "call-arrives-as-made",
    "cancel-has-a-reason",
    "cancel-prompt",
    "tools-match-offer",
    "failure-reported",
    "changed-server-replaced",
    "server-not-respawned",
    "closed-stays-closed",
    "closed-stays-silent",
    "call-after-cleanup-fails",
    "repeated-cleanup-quiet",
    "exit-opens-nothing",
    "exit-prompt-after-cleanup",
    "term-before-kill",
    "repeats-keep-descriptors",
    "repeats-keep-threads",
    "repeats-keep-memory",
    "repeats-keep-servers",
    "lost-session-calls-end",
    "modern-cancel-sent",
    "modern-subscription-closed",
    "result-type-known",
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
    let unbroken: BTreeSet<&str> = INVARIANTS.iter().map(|one| one.id).filter(|id| !broken.contains(*id)).collect();
    let listed: BTreeSet<&str> = BY_HISTORIES_ALONE.iter().copied().collect();
    let missing: Vec<_> = unbroken.difference(&listed).collect();
    assert!(missing.is_empty(), "no mutation and no specimen breaks {missing:#?}; add one, see CONTRIBUTING.md");
    let stale: Vec<_> = listed.difference(&unbroken).collect();
    assert!(stale.is_empty(), "a loader or a specimen breaks {stale:?} now: take them out of BY_HISTORIES_ALONE");
}
