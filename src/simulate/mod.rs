//! The simulated tier: loader, servers, driver and recorder are tasks of one thread, in virtual time.
//!
//! Start at [`live`], which gives each life a thread and a paused runtime of its own. `life` is the subject that lives there, and
//! `connector` leads its loader to its servers. Everything that happens follows from the plan and its seed, as far as the loader and the
//! build allow; [`ReplayStrength`] says how far.
//!
//! Deliberately absent: processes, threads, signals, sockets and files. A step that needs one is not applicable.

mod connector;
pub mod entropy;
mod life;
mod strength;
mod thread;

pub use life::{SimulatedLife, without_secrets};
pub use strength::ReplayStrength;
pub use thread::{SimulateError, live, live_here};
