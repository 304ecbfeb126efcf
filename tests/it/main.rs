//! Integration tests: the executable as its users meet it. One binary, for the sake of compile times.

#![expect(clippy::unwrap_used, reason = "tests and their helpers fail by panicking")]

mod adapter_protocol;
mod answers;
mod browser;
mod checkout;
mod client;
mod contexts;
mod descriptors;
mod doctor;
mod eras;
mod exit_codes;
mod fastmcp;
mod formats;
mod helper;
mod host;
mod hostile;
mod http;
mod junit;
mod killing;
mod lanes;
mod layers;
mod load_guard;
mod matrix;
mod memory;
mod mock;
mod modern;
mod node;
mod pages;
mod preflight;
mod provoked;
mod pythons;
mod readme;
mod reentry;
mod revisions;
mod rig;
mod robust;
mod seeded;
mod seeded_http;
mod seeded_sse;
mod snapshots;
mod sse;
mod stability;
mod standard;
mod streamlit;
mod vacuity;
