//! From arguments to plans: a user names scenarios and loaders, loaders become targets, and each pair of them becomes plans.

mod chosen;
mod launch;
mod names;
mod nothing;
mod plans;
mod recorded;
mod scripts;
mod target;
mod targets;

pub use chosen::{Chosen, scenario_file, scenarios};
pub use launch::find_program;
pub(super) use launch::program;
pub use nothing::why_nothing;
pub use plans::{Selected, plans};
pub use recorded::recorded_plan;
pub use target::{Launch, Notify, Target};
pub use targets::{Versus, available_targets, targets, versus};
