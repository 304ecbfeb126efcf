//! The state machine of a mock server: inputs in, ordered effects out.
//!
//! Start at [`Machine`], the coordinator. Each part below it owns its state: connections, framings, held tasks, rules. Pure: no
//! tokio, no clock, no files. An I/O driver in [`mock`](crate::mock) moves the bytes: it performs the effects in order, and waits
//! for the acknowledgement of each [`Effect::Journal`] before it continues.
//!
//! Deliberately absent: any judgement.

mod arrival;
mod batch;
mod cause;
mod clients;
mod conforming;
mod connection;
mod connections;
mod default;
mod deliver;
mod effect;
mod http;
mod http_io;
mod impact;
mod input;
mod kept_answers;
mod lines;
mod machine;
mod notifications;
mod outbox;
mod readable;
mod repeated;
mod rpc;
mod rules;
mod scheduler;
mod setup;
mod state;
mod subscriptions;
mod task;
#[cfg(test)]
mod tests;
mod wire;
mod work;

pub use effect::{After, Effect, End, TimerId};
pub use http_io::{Body, ExchangeNo, HttpSetup, HttpStyle, Request, Response, SocketNo};
pub use input::Input;
pub use machine::{LIFE_OVER_CODE, Machine};
pub use setup::{Endpoint, Setup};
pub use wire::BODY_BYTES_MAX;
