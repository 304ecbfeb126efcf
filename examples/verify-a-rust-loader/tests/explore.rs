//! Tests of a crate that looks for mistakes in lives that nobody wrote.

use std::fs;
use std::path::Path;

use mcp_lifecheck::loader_factory;
use mcp_lifecheck::testing::{ExploreOptions, NotExplored, Registered, explore_with};
use verify_a_rust_loader::{Ending, PipeLoader};

static PIPES: &Registered = loader_factory!("explored-pipes", |setup| PipeLoader::new(setup, Ending::Ladder));
static INPUT_ONLY: &Registered =
    loader_factory!("explored-input-only", |setup| PipeLoader::new(setup, Ending::InputOnly));

/// Lives with servers that answer as they should. Some of them ignore the end of their input.
fn with_good_answers() -> ExploreOptions {
    ExploreOptions {
        cases: 8,
        // Without it, each run draws other lives. Here, every run shows the same.
        seed: Some(7),
        scripts: vec!["polite".to_owned(), "stubborn".to_owned()],
        ..ExploreOptions::default()
    }
}

#[test]
fn a_correct_loader_is_explored() {
    let explored = explore_with(PIPES, &with_good_answers()).unwrap();
    // The file of a life that once showed a mistake: the signals went to the shell that had started the server, and not to the server.
    assert_eq!(explored.regressions.len(), 1);
}

#[test]
fn a_loader_that_only_closes_the_input_of_its_servers_is_found() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("explored-input-only");
    let _ = fs::remove_dir_all(&folder);
    let options = ExploreOptions { regressions: Some(folder.clone()), ..with_good_answers() };
    let Err(NotExplored::Found { report, text, .. }) = explore_with(INPUT_ONLY, &options) else {
        panic!("the mistake was not found");
    };
    let found = &report.findings[0];
    assert_eq!(found.invariant, "nothing-survives", "{text}");
    // The message has the smallest life, and a file has it as well. The next run begins with it.
    assert!(found.steps <= 2, "{text}");
    assert!(text.contains("[[step]]\ndo = \"load\"\n"), "{text}");
    let again = explore_with(INPUT_ONLY, &options);
    assert!(matches!(again, Err(NotExplored::Regression { .. })), "{again:?}");
}
