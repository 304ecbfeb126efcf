//! A whole run: from names to plans, plans run a few at once, each in a folder of its own, and the whole held against a
//! baseline.
//!
//! What the command line and `testing` share. Start at `select`, then `pool`. Prints nothing: what is to
//! be told meanwhile goes to whoever called.

mod checkout;
mod client;
pub(crate) mod descriptors;
mod error;
mod folder;
mod host;
mod judged;
mod node;
mod plan;
mod pool;
mod reason;
mod repeat;
mod report;
pub(crate) mod select;
mod self_test;
mod variants;

pub(crate) use checkout::Checkout;
pub(crate) use client::{ClientJudged, ClientPlan, ClientResult, ClientRun, read_expected};
pub use error::RunError;
pub(crate) use folder::RunFolder;
pub(crate) use host::{HostRun, Hosted, page_driver, read_host_baseline};
pub(crate) use judged::{Accepted, Judged, known_baseline, read_baseline};
pub(crate) use node::{node_launch, own_modules_launch};
pub(crate) use plan::Finished;
pub(crate) use pool::{Pool, environment};
pub use reason::ExitReason;
pub(crate) use repeat::Repeat;
pub(crate) use report::{report_of, write_report};
pub(crate) use select::{Chosen, Launch, Selected, Target};
pub(crate) use self_test::self_test_input;
pub use variants::Temperaments;
pub(crate) use variants::{Tier, Variants};
