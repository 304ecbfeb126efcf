//! Integration tests: the executable as its users meet it. One binary, for the sake of compile times.
//!
//! Tests start in the order of their names. A long test that starts last leaves a core idle, so the name of a module with long tests
//! does not come last in the alphabet.

#![expect(clippy::unwrap_used, reason = "tests and their helpers fail by panicking")]

mod adapter_protocol;
mod adversity;
mod answers;
mod browser;
mod campaigns;
mod checkout;
mod client;
mod code_lines;
mod contexts;
mod descriptors;
mod docs;
mod doctor;
mod drawn_lives;
mod eras;
mod exit_codes;
mod explore;
mod falsified;
mod fastmcp;
mod forks;
mod formats;
mod helper;
mod host;
mod hostile;
mod http;
mod huge;
mod junit;
mod killing;
mod lanes;
mod layers;
#[path = "../../crates/cli/src/letters.rs"]
mod letters;
mod limits;
#[path = "../../crates/cli/src/lines.rs"]
mod lines;
mod load_guard;
mod matrix;
mod memory;
mod merging;
mod mock;
mod mutations;
mod mutations_http;
mod mutations_sse;
mod node;
mod once;
mod pages;
mod preflight;
mod prose;
mod provoked;
mod pythons;
mod readme;
mod reentry;
mod requirements;
mod resumed;
mod revisions;
mod rig;
mod robust;
mod simulate;
mod snapshots;
mod sse;
mod stability;
mod standard;
mod stateless;
mod streamlit;
mod suggestions;
mod tasks;
mod traces;
mod vacuity;
