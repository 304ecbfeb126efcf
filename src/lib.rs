//! mcp-lifecheck: a test harness and lifecycle verifier for programs that use MCP servers.
//!
//! Data flows one way: plan → driver → loader ↔ mock servers → recorder → history → check → verdict → report. Each
//! module uses only modules below it; `tests/it/layers.rs` lists which. From the bottom up:
//!
//! - [`plan`]: scenarios, loader descriptions, promises and limits, as plain data.
//! - [`history`]: events and histories, with their file formats, as plain data.
//! - [`check`]: invariants, and the engine that judges a history. Pure.
//! - [`script`]: the behaviour of a mock server. Pure.
//! - [`record`]: the recorder, and both ends of the links to it.
//! - [`mock`]: I/O drivers that run scripts on real bytes.
//! - [`supervise`]: supervisors, which end every process of a plan.
//! - [`loader`]: the interface of Rust loaders, and the process that hosts one.
//! - [`drive`]: runs a plan against a loader.
//! - [`host`]: starts a program with mock servers and observes it, without sending operations.
//! - [`selftest`]: checks that an adapter follows the adapter protocol.
//! - [`catalogue`], [`stack`]: the embedded files, and the package stacks of Python and Node loaders.
//! - [`report`]: renders verdicts.
//! - [`run`]: whole runs: selects plans, runs them and compares the verdicts with a baseline.
//! - [`reentry`]: lets the executable run as one of its own helper processes.
//! - [`testing`]: the interface for other crates, for use in `cargo test`.
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
