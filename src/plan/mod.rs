//! Plans as plain data: scenarios, loader descriptions, promises, limits.
//!
//! Start at [`Scenario`]. Pure: no tokio, no clock, no files other than what a caller hands over as text.

mod baseline;
mod descriptor;
mod host;
mod identity;
mod input;
mod limits;
mod place;
mod promises;
mod revision;
mod scenario;
mod step;
mod step_file;
mod suggest;
mod tagged;

pub use baseline::{Baseline, BaselineEntry};
pub use descriptor::{Descriptor, Feature, Known, Lane};
pub use host::{HOST_LIMITS, HostDo, HostPlan, HostStep, PageAction, host_limit};
pub use identity::{Plan, ShutdownBehaviour, Transport};
pub use input::{InputError, TEXT_BYTES_MAX, read_text};
pub use limits::{DurationError, LIMITS, LimitInfo, Limits, parse_duration};
pub use place::{Place, PlaceKind};
pub use promises::{Bound, ContextKind, PROMISES, Promise, Promises, SessionPromise};
pub use revision::Revision;
pub use scenario::{Scenario, ServerSpec};
pub use step::{Invoked, Step, StepDo, Until, WaitFor};
pub use suggest::{did_you_mean, nearest};
