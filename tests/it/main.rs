//! Integration tests: the executable as its users meet it. One binary, for the sake of compile times.

#![expect(clippy::unwrap_used, reason = "tests and their helpers fail by panicking")]

mod answers;
mod browser;
mod client;
mod contexts;
mod descriptors;
mod eras;
mod exit_codes;
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
mod memory;
mod mock;
mod modern;
mod pages;
mod preflight;
mod provoked;
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
