//! Starts a finished application with a configuration, takes it through a plan, and ends it as its user ends it.
//!
//! Start at [`ApplicationLife::lead`]. Nothing here judges. If a step waits longer than its limit, the driver records
//! that and ends the application.

mod life;
mod observation;
mod page;
mod request;
mod step_end;
mod steps;

pub(super) use life::ApplicationLife;
