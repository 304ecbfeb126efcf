//! Scripts: what a mock server will do, and the state machine that does it.
//!
//! Start at [`Script`] (data, read from TOML or from a link) and [`Interpreter`] (inputs in, ordered effects out). Pure: no
//! tokio, no clock, no files. The bytes are moved by a carrier in `mock`, which performs the effects in order and waits
//! for the acknowledgement of each [`Effect::Journal`] before it goes on.
//!
//! Deliberately absent: any judgement. A mock takes what comes and journals it.

mod act;
mod action;
mod batch;
mod bearing;
mod carriage;
mod check;
mod defect;
mod era;
mod exchange;
mod family;
mod fault;
mod forge;
mod honest;
mod http;
mod interpreter;
mod line;
mod listen;
mod logging;
mod methods;
mod modern;
mod offer;
mod rpc;
mod server;
mod shipped;
mod signal;
mod source;
mod talk;
mod task;
mod tasks;
#[cfg(test)]
mod tests;
mod tool;
mod trigger;
mod value;
mod wire;

pub use action::Action;
pub use carriage::{Carriage, Misfit};
pub use defect::Defect;
pub use era::Era;
pub use exchange::{After, Effect, End, Input, Medium, Setup};
pub use family::Family;
pub use fault::{FAULTS, FaultInfo, fault_info};
pub use http::{Body, ExchangeNo, HttpSetup, HttpStyle, Request, Response, SocketNo};
pub use interpreter::{Interpreter, LIFE_OVER_CODE};
pub use shipped::{shipped, shipped_names, shipped_text};
pub use signal::Signal;
pub use source::{Rule, Script, script_schema};
pub use task::TimerId;
pub use tool::{ToolAnswer, ToolKind};
pub use trigger::{Phase, Trigger, When};
pub use value::{Bytes, Death, ErrorAnswer, Grandchild, Many, Span, Told};
pub use wire::BODY_BYTES_MAX;
