//! Runs one program under test, from its start to its recorded end. The code calls this a life.
//!
//! Start at [`record_life`]: it opens a [`Stage`], lets a [`Subject`] live on it, and returns the history. The subjects are
//! the loaders of [`drive`](crate::drive), the same as tasks of this thread ([`simulate`](crate::simulate)), and the applications and conformance clients of [`host`](crate::host). Nothing here judges.

mod delay;
mod environment;
mod fence;
mod http_server;
mod leftovers;
mod mocks;
mod output;
mod preflight;
mod servers;
mod stage;
mod subject;
mod wire;

/// Most bytes of a subject's stdout or stderr that are kept.
pub(crate) const OUTPUT_BYTES_MAX: u64 = 8 << 20;
/// Most processes below one supervisor.
pub(crate) const PROCESSES_MAX: usize = 256;

pub use environment::RunEnvironment;
pub(crate) use fence::catch_up;
pub use http_server::ServerError;
pub(crate) use leftovers::{await_vanishing, identify};
pub(crate) use mocks::{MockCommand, MockLink, mock_setup, wrapped};
pub(crate) use output::{create_outputs, read_head, uncaught};
pub use preflight::{Preflight, Probe, preflight};
pub use servers::Servers;
pub(crate) use stage::ms;
pub use stage::{Setup, Stage};
pub use subject::{Led, LifeError, Lived, Subject, record_life, record_near_life};
pub(crate) use wire::{After, await_quiet_wire};
