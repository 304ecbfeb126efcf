//! What a crate that pins rmcp has in its tests.

mod loader;

use mcp_lifecheck::loader_factory;
use mcp_lifecheck::testing::{NotVerified, Options, RunReport, RunVerdict, Temperaments, verify_with};
use mcp_lifecheck_specimens::registry::reference;

use crate::loader::RmcpLoader;

fn passes(report: &RunReport) {
    let not_passed: Vec<_> = report.plans.iter().filter(|plan| plan.verdict != RunVerdict::Pass).collect();
    assert!(not_passed.is_empty(), "{not_passed:#?}");
    assert!(!report.plans.is_empty(), "no plan was run");
}

#[test]
fn a_loader_on_this_rmcp_is_verified() {
    let options = Options {
        scenarios: vec!["load-call-close".to_owned()],
        temperaments: Temperaments::PoliteOnly,
        ..Options::default()
    };
    let report = verify_with(loader_factory!("plain-rmcp", |_| RmcpLoader::default()), &options).unwrap();
    passes(&report);
}

#[test]
fn a_mistake_of_that_loader_is_found() {
    // A load that adds a server opens a second session with the server that is there already.
    let options = Options { scenarios: vec!["reload-adds".to_owned()], ..Options::default() };
    let verified = verify_with(loader_factory!("forgetful-rmcp", |_| RmcpLoader::default()), &options);
    assert!(matches!(verified, Err(NotVerified::Violations { .. })), "{verified:?}");
}

#[test]
fn the_reference_loader_holds_on_this_rmcp() {
    let options = Options { scenarios: vec!["core".to_owned()], ..Options::default() };
    let report = verify_with(loader_factory!("reference-here", reference), &options).unwrap();
    passes(&report);
}
