//! A finished application: started with a configuration, put through a plan, and ended as its user ends it.
//!
//! Start at [`ApplicationLife::lead`]. Nothing here judges. A step that waits in vain is recorded, and the driver ends the application.

mod life;
mod observation;
mod page;
mod request;
mod step_end;
mod steps;

pub(super) use life::ApplicationLife;
