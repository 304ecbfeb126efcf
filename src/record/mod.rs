//! The recorder: it alone assigns sequence numbers, and sources report to it over links.
//!
//! Start at [`Recorder`], which keeps one history. Then read [`RecorderEndpoint`], to which the mocks and the adapter
//! of one plan connect.

mod adapter_link;
mod build;
mod clock;
mod dial;
mod endpoint;
mod follow;
mod hello;
mod lines;
mod options;
mod protocol;
mod recorder;
mod redact;
mod secret;
mod server_file;

pub use adapter_link::{AdapterHello, AdapterLink, Completion};
pub use build::build_id;
pub use clock::monotonic_us;
pub use dial::*;
pub(crate) use endpoint::ADAPTER_WELCOME;
pub use endpoint::{MockFacts, RecorderEndpoint};
pub use follow::{Line, LineContent, LineError};
pub use options::{EndpointOptions, MockSetup};
pub use protocol::{Capability, ContextKindName, adapter_schema};
pub use recorder::Recorder;
pub use secret::secret;
