//! Conforming servers: the correct answer to each request, for either protocol generation.
//!
//! Start at [`Conforming`]. [`Handshake`](handshake::Handshake) opens with `initialize`;
//! [`Stateless`](stateless::Stateless) has stateless requests.

mod handshake;
mod log;
mod server;
mod stateless;
mod tasks;
mod tools;

pub(super) use server::{Conforming, is_of_stateless_generation};
pub(super) use stateless::{
    Filter, HEADER_MISMATCH, is_error_of_generation, is_refused_revision, is_subscribed_to, names_subscription,
    notification_of, status_of, version_of,
};
pub(super) use tasks::RESULT;
pub(super) use tools::Advertised;
