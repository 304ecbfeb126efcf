//! The recorder: the only giver of sequence numbers, and the links over which sources report.
//!
//! Start at [`Recorder`] (one history) and [`Home`] (the listener to which mocks and adapters of one plan dial).

mod adapter_link;
mod build;
mod clock;
mod dial;
mod endpoint;
mod follow;
mod hello;
mod protocol;
mod recorder;
mod secret;

pub use adapter_link::{AdapterHello, AdapterLink, Completion};
pub use build::build_id;
pub use clock::monotonic_us;
pub use dial::*;
pub use endpoint::{EndpointOptions, MockFacts, MockSetup, RecorderEndpoint};
pub use follow::{Line, LineError, Said};
pub use protocol::{Capability, ContextKindName, adapter_schema};
pub use recorder::Recorder;
pub use secret::secret;
