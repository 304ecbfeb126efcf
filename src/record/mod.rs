//! The recorder: the only giver of sequence numbers, and the links over which sources report.
//!
//! Start at [`Recorder`] (one history) and [`Home`] (the listener to which mocks and adapters of one plan dial).

mod adapter_link;
mod build;
mod clock;
mod dial;
mod follow;
mod hello;
mod home;
mod protocol;
mod recorder;
mod secret;

pub use adapter_link::{AdapterHello, AdapterLink, Completion};
pub use build::build_id;
pub use clock::monotonic_us;
pub use dial::*;
pub use follow::{Line, LineError, Said};
pub use home::{Home, HomeOptions, MockFacts, MockSetup};
pub use protocol::{Capability, ContextKindName, adapter_schema};
pub use recorder::Recorder;
pub use secret::secret;
