//! Tests of a crate that verifies its own loader.

use mcp_lifecheck::loader_factory;
use mcp_lifecheck::testing::{
    Baseline, BaselineEntry, BoxFuture, Called, Failure, Loaded, Loader, NotVerified, Options, Registered, RunVerdict,
    Temperaments, Transport, verify, verify_with,
};
use mcp_lifecheck_specimens::reference::{self, ToolsLoader};
use serde_json::Value;
use verify_a_rust_loader::{Ending, PipeLoader};

static INPUT_ONLY: &Registered = loader_factory!("input-only", |setup| PipeLoader::new(setup, Ending::InputOnly));

fn stubborn_server() -> Options {
    Options { scenarios: vec!["stubborn-server".to_owned()], ..Options::default() }
}

/// Fails every operation.
struct Refusing;

impl Refusing {
    fn refuse<T: Send + 'static>() -> BoxFuture<'static, Result<T, Failure>> {
        Box::pin(async { Err(Failure { kind: "Refused".to_owned(), message: "not today".to_owned() }) })
    }
}

impl Loader for Refusing {
    fn load<'a>(&'a self, _: &'a Value) -> BoxFuture<'a, Result<Loaded, Failure>> {
        Self::refuse()
    }

    fn list(&self) -> BoxFuture<'_, Result<Loaded, Failure>> {
        Self::refuse()
    }

    fn call<'a>(&'a self, _: &'a str, _: &'a str, _: Value) -> BoxFuture<'a, Result<Called, Failure>> {
        Self::refuse()
    }

    fn close(&self) -> BoxFuture<'_, Result<(), Failure>> {
        Self::refuse()
    }
}

#[test]
fn a_correct_loader_is_verified() {
    verify(loader_factory!("pipes", |setup| PipeLoader::new(setup, Ending::Ladder)));
}

#[test]
fn a_loader_that_only_closes_the_input_of_its_servers_is_found() {
    let Err(NotVerified::Violations { report, text }) = verify_with(INPUT_ONLY, &stubborn_server()) else {
        panic!("the mistake was not found");
    };
    let found = report.plans.iter().flat_map(|plan| &plan.findings).any(|one| one.invariant == "nothing-survives");
    assert!(found, "{text}");
    for part in
        ["FAIL nothing-survives", "claim:", "because:", "repeat:  MCP_LIFECHECK_PLAN=stubborn-server.input-only."]
    {
        assert!(text.contains(part), "no {part:?} in\n{text}");
    }
    let me =
        "cargo test -p verify-a-rust-loader a_loader_that_only_closes_the_input_of_its_servers_is_found -- --exact";
    assert!(text.contains(me), "no {me:?} in\n{text}");
}

#[test]
#[should_panic(expected = "FAIL load-succeeds")]
fn verify_itself_fails_the_test() {
    verify(loader_factory!("refusing", |_| Refusing));
}

#[test]
fn polite_servers_hide_the_mistake() {
    let options = Options {
        scenarios: vec!["load-call-close".to_owned(), "hop-close".to_owned()],
        temperaments: Temperaments::PoliteOnly,
        ..Options::default()
    };
    let loader = loader_factory!("input-only-polite", |setup| PipeLoader::new(setup, Ending::InputOnly));
    let report = verify_with(loader, &options).unwrap();
    assert_eq!(report.plans.len(), 2);
    assert!(report.plans.iter().all(|plan| plan.verdict == RunVerdict::Pass), "{:#?}", report.plans);
}

#[test]
fn a_baseline_accepts_known_findings() {
    let entry =
        BaselineEntry { scenario: "stubborn-server".to_owned(), invariant: None, transport: None, server: None };
    let options = Options { baseline: Baseline { entries: vec![entry] }, ..stubborn_server() };
    verify_with(loader_factory!("input-only-known", |setup| PipeLoader::new(setup, Ending::InputOnly)), &options)
        .unwrap();
}

#[test]
fn a_loader_reaches_servers_in_memory_through_its_setup() {
    let options = Options {
        scenarios: vec!["load-call-close".to_owned()],
        transports: vec![Transport::Memory],
        ..Options::default()
    };
    let in_memory = loader_factory!("in-memory", |setup| {
        let revision = reference::Revision::ALL.into_iter().find(|known| known.as_str() == setup.revision.as_str());
        ToolsLoader::new(reference::Options {
            revision: revision.expect("a plan is for a revision that the loader speaks"),
            scopes: setup.scopes,
            connector: Some(setup.memory),
            ..reference::Options::default()
        })
    });
    let report = verify_with(in_memory, &options).unwrap();
    assert!(report.plans.iter().all(|plan| plan.verdict == RunVerdict::Pass), "{:#?}", report.plans);
    // A loader that can only start processes finds no command in the configuration, and does not pass.
    let pipes = loader_factory!("pipes-alone", |setup| PipeLoader::new(setup, Ending::Ladder));
    assert!(matches!(verify_with(pipes, &options), Err(NotVerified::Violations { .. })));
}

mod one {
    use super::*;

    pub static TWIN: &Registered = loader_factory!("twin", |setup| PipeLoader::new(setup, Ending::Ladder));
}

mod other {
    use super::*;

    pub static TWIN: &Registered = loader_factory!("twin", |setup| PipeLoader::new(setup, Ending::InputOnly));
}

#[test]
fn two_loaders_of_one_name_are_refused() {
    for twin in [one::TWIN, other::TWIN] {
        let error = verify_with(twin, &Options::default()).unwrap_err();
        assert!(error.to_string().contains("found a loader named \"twin\" that is not the only one"), "{error}");
    }
}
