//! Settings of one plan's endpoint.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value};

/// Secrets, timeouts and welcomes of one plan's endpoint.
#[derive(Clone)]
pub struct EndpointOptions {
    /// Secret that the adapter must present.
    pub adapter_token: String,
    /// Secret that mocks must present. The loader can read it in its configuration.
    pub mock_token: String,
    /// From an accepted connection to its hello.
    pub hello_limit: Duration,
    /// The welcome for each mock, by server name.
    pub mocks: BTreeMap<String, MockSetup>,
}

/// The content of a mock's welcome, apart from the name of its connection.
#[derive(Clone, Debug)]
pub struct MockSetup {
    /// Script, shutdown behaviour, revision and limits, as fields of the welcome.
    pub welcome: Map<String, Value>,
}
