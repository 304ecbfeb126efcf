//! What a crate without rmcp has in its tests. The loader is that of the example.

use mcp_lifecheck::loader_factory;
use mcp_lifecheck::testing::{NotVerified, Options, verify, verify_with};

use crate::pipe_loader::{Ending, PipeLoader};

#[path = "../../../examples/verify-a-rust-loader/src/lib.rs"]
mod pipe_loader;

#[test]
fn a_correct_loader_is_verified() {
    verify(loader_factory!("pipes", |setup| PipeLoader::new(setup, Ending::Ladder)));
}

#[test]
fn a_loader_that_leaves_its_servers_is_found() {
    let options = Options { scenarios: vec!["stubborn-server".to_owned()], ..Options::default() };
    let verified =
        verify_with(loader_factory!("input-only", |setup| PipeLoader::new(setup, Ending::InputOnly)), &options);
    assert!(matches!(verified, Err(NotVerified::Violations { .. })), "{verified:?}");
}
