//! A whole run: from names to plans, plans run a few at once, each in a folder of its own, and the whole held against a
//! baseline.
//!
//! What the command line and `testing` share. Start at `select`, then `pool`. Prints nothing: what is to
//! be told meanwhile goes to whoever called.

mod checkout;
mod client;
pub mod descriptors;
mod error;
mod folder;
mod host;
mod judge;
mod judged;
mod node;
mod plan;
mod pool;
mod reason;
mod repeat;
mod report;
pub mod select;
mod self_test;
mod session;
mod signals;
mod variants;

pub use checkout::Checkout;
pub use client::{ClientJudged, ClientPlan, ClientResult, ClientRun, read_expected};
pub use error::RunError;
pub use folder::RunFolder;
pub use host::{HostRun, Hosted, page_driver, read_host_baseline};
pub use judge::JudgedHistory;
pub use judged::{Accepted, Judged, known_baseline, read_baseline};
pub use node::{node_launch, own_modules_launch};
pub use plan::Finished;
pub use pool::Pool;
pub use reason::ExitReason;
pub use repeat::{Repeat, shell_word};
pub use report::{report_of, write_reports};
pub use select::{Chosen, Launch, Selected, Target};
pub use self_test::self_test_input;
pub use session::{Process, Session};
pub use signals::interrupting_signals;
pub use variants::Temperaments;
pub use variants::{Tier, Variants};
