//! Plans as plain data: scenarios, loader descriptions, promises, limits.
//!
//! Start at [`Scenario`]. Pure: no tokio, no clock, no files other than what a caller hands over as text.

mod baseline;
mod descriptor;
mod framing;
mod host;
mod identity;
mod input;
mod limits;
mod own_script;
mod place;
mod promises;
mod revision;
mod scenario;
mod scenario_text;
mod step;
mod step_file;
mod suggest;
mod tagged;
mod transport;

pub use baseline::{Baseline, BaselineEntry};
pub use descriptor::{Descriptor, Feature, Known, Lane};
pub use framing::Framing;
pub use host::{HOST_LIMITS, HostDo, HostPlan, HostStep, PageAction, host_limit};
pub use identity::{Plan, ShutdownBehaviour, Tier};
pub use input::{InputError, TEXT_BYTES_MAX, open_text, read_text};
pub use limits::{DurationError, LIMITS, LimitInfo, Limits, parse_duration};
pub use own_script::OwnScript;
pub use place::{Place, PlaceKind};
pub use promises::{Bound, ContextKind, PROMISES, Promise, Promises, SessionPromise};
pub use revision::Revision;
pub use scenario::{Scenario, ServerSpec};
pub use step::{Invoked, Step, StepDo, Until, WaitFor};
pub use suggest::{did_you_mean, nearest};
pub use transport::{ServerHome, Transport};
