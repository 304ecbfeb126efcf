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

pub use launch::{LoaderLaunch, RunEnvironment, mock_command};
pub use plan_run::{PlanInput, PlanOutput, run_plan};
pub use preflight::{Preflight, preflight};
