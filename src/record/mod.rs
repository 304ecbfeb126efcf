//! The recorder: it alone assigns sequence numbers, and sources report to it over links.
//!
//! Start at [`Recorder`], which keeps one history. Then read [`RecorderEndpoint`], to which the mocks and the adapter
//! of one plan connect. In a simulated plan they are tasks of the recorder's own thread, and have [`NearLinks`] to it.

mod adapter_link;
mod book;
mod build;
mod capability;
mod clock;
mod dial;
mod dice;
mod endpoint;
mod follow;
mod hello;
mod lines;
mod near;
mod options;
#[cfg(feature = "schemas")]
mod protocol;
mod recorder;
mod redact;
mod secret;
#[cfg(feature = "schemas")]
mod server_file;

pub use adapter_link::{AdapterHello, AdapterLink, Completion};
pub use book::MockFacts;
pub use build::build_id;
pub use capability::{Capability, ContextKindName};
pub use clock::{VirtualClock, monotonic_us};
pub use dial::*;
pub use dice::Dice;
pub(crate) use endpoint::ADAPTER_WELCOME;
pub use endpoint::RecorderEndpoint;
pub use follow::{Line, LineContent, LineError};
pub use near::{NearAdapter, NearLinks, NearMock};
pub use options::{EndpointOptions, MockSetup};
#[cfg(feature = "schemas")]
pub use protocol::adapter_schema;
pub use recorder::{Recorder, redacted};
pub use secret::secret;

/// The variable with which a mock starts a process of its own: the pid of the mock.
pub(crate) const CHILD_OF: &str = "MCP_LIFECHECK_CHILD_OF";
