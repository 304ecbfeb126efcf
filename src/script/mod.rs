//! Scripts: the behaviour of a mock server, as data.
//!
//! Start at [`Script`]: it is read from TOML or from a link. The parser refuses every script that cannot do what it
//! says, and names the place of the defect. The [`server`](crate::server) module runs scripts.
//!
//! Deliberately absent: any state and any behaviour.

mod action;
mod defect;
pub mod family;
mod fault;
mod features;
mod fits;
mod generation;
mod methods;
mod phase;
mod rule;
mod shipped;
mod signal;
mod source;
#[cfg(test)]
mod tests;
mod tool;
mod trigger;
mod validation;
mod value;

pub use action::Action;
pub use defect::Defect;
pub use family::Family;
pub use fault::{FAULTS, FaultInfo, fault_info};
pub use features::Features;
pub use fits::{Misfit, framing_of, framing_of_plan};
pub use generation::Generation;
pub use methods::{DISCOVER, EVERY, LISTEN, LOG_MESSAGE};
pub use phase::Phase;
pub use rule::Rule;
pub use shipped::{shipped, shipped_names, shipped_text};
pub use signal::Signal;
pub use source::Script;
#[cfg(feature = "schemas")]
pub use source::script_schema;
pub use tool::{ToolAnswer, ToolKind};
pub use trigger::{Trigger, When};
pub use value::{Bytes, Death, ErrorAnswer, Grandchild, Many, OwnMessage, Span};
