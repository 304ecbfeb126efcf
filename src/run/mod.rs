//! A whole run: select plans, run them a few at once, judge each, and compare the results with a baseline.
//!
//! The command line and [`testing`](crate::testing) share this module. Start at [`RunProcess`], which boots the process, then read
//! [`select`] and `pool`. Nothing here prints: callers pass functions that receive progress and notices.

mod admission;
mod boot;
mod checkout;
mod client;
pub mod descriptors;
mod error;
mod folder;
mod host;
mod judge;
mod node;
mod outcome;
mod plan;
mod pool;
mod reason;
mod repeat;
mod report;
pub mod select;
mod self_test;
mod signals;
mod simulated;
mod spare;
pub mod tasks;
mod variants;
mod warm;

pub use admission::Jobs;
pub use boot::{Ownership, RunProcess};
pub use checkout::Checkout;
pub use client::{ClientOutcome, ClientPlan, ClientResult, ClientRun, read_expected};
pub use error::RunError;
pub use folder::RunFolder;
pub use host::{HostRun, Hosted, page_driver, read_host_baseline};
pub use judge::JudgedHistory;
pub use node::{node_launch, own_modules_launch};
pub(crate) use outcome::check_invariant;
pub use outcome::{Accepted, RunOutcome, known_baseline, read_baseline};
pub use plan::Finished;
pub use pool::{Keeps, Pool};
pub use reason::ExitReason;
pub use repeat::{Repeat, shell_word};
pub use report::{Written, report_of, write_reports};
pub use select::{Chosen, Launch, Selected, Target};
pub use self_test::self_test_input;
pub use signals::{interrupting_signals, survive_file_limit};
pub use variants::{Temperaments, Variants};
