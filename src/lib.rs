//! mcp-lifecheck: a test harness and lifecycle verifier for programs that use MCP servers.
//!
//! Data flows one way: plan → driver → loader ↔ mock servers → recorder → history → check → verdict → report. Layers point
//! down; `tests/layers.rs` lists who may use whom. From the bottom up:
//!
//! - [`plan`]: scenarios, loader descriptions, promises, limits: plain data.
//! - [`history`]: events, and histories in their written forms: plain data.
//! - [`check`]: invariants and the engine that judges a history: pure.
//! - [`script`]: what a mock server will do: pure.
//! - [`record`]: the recorder, and both ends of the links to it.
//! - [`mock`]: carriers that run scripts against real bytes.
//! - [`supervise`]: supervisors, and the end of every process.
//! - [`loader`]: loaders in Rust, the reference among them, and the process that hosts one.
//! - [`drive`]: runs a plan against a loader.
//! - [`host`]: starts a program against mocks, watches it, and asks nothing of it.
//! - [`selftest`]: holds an adapter against its protocol.
//! - [`catalogue`], [`stack`]: what is shipped, and the package stacks of foreign loaders.
//! - [`report`]: renders what was judged.
//! - [`run`]: whole runs: selecting plans, running them a few at once, holding them against a baseline.
//! - [`reentry`]: the executable as its own helper processes.
//! - [`testing`]: what another crate uses in `cargo test`.
//! - [`cli`]: the command line.

pub mod catalogue;
pub mod check;
pub mod cli;
pub mod drive;
pub mod history;
pub mod host;
pub mod loader;
pub mod mock;
pub mod plan;
pub mod record;
pub mod reentry;
pub mod report;
pub mod run;
pub mod script;
pub mod selftest;
pub mod stack;
pub mod supervise;
pub mod testing;
