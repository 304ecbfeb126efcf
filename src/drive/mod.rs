//! The driver: runs one plan against one loader and has every step of it recorded.
//!
//! Start at [`run_plan`]. The driver never judges and never looks at what a loader returns other than to go on.

mod ending;
mod launch;
mod operation;
mod plan_run;
mod preflight;
mod servers;
mod steps;

pub(crate) use ending::uncaught;
pub use launch::{LoaderLaunch, RunEnvironment, mock_command};
pub(crate) use plan_run::{DelaySampler, OUTPUT_BYTES_MAX, PROCESSES_MAX, create_outputs, mock_setup, read_head};
pub use plan_run::{PlanInput, PlanOutput, run_plan};
pub use preflight::{Preflight, preflight};
pub(crate) use servers::{After, Dialling, HttpServer, ServerError, await_quiet_wire};
