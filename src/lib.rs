//! mcp-lifecheck: a test harness and lifecycle verifier for programs that use MCP servers.
//!
//! Data flows one way: plan → driver → loader ↔ mock servers → recorder → history → check → verdict → report. Each
//! module uses only modules below it; `tests/it/layers.rs` lists which. From the bottom up:
//!
//! - [`plan`]: scenarios, loader descriptions, promises and limits, as plain data.
//! - [`process_table`]: the running processes, and their parents.
//! - `http_client`: one HTTP/1.1 request over its own connection.
//! - [`foreign`]: text of other programs: escapes control characters and redacts secrets.
//! - [`history`]: events and histories, with their file formats, as plain data.
//! - [`check`]: invariants, and the engine that judges a history. Pure.
//! - [`script`]: the behaviour of a mock server, as plain data.
//! - [`server`]: the state machine of a mock server. Pure.
//! - [`record`]: the recorder, and both ends of the links to it.
//! - [`mock`]: I/O drivers that perform the effects of a [`server`] on real bytes.
//! - [`supervise`]: supervisors, which end every process of a plan.
//! - [`loader`]: the interface of Rust loaders, and the process that hosts one.
//! - [`life`]: one run of a program under test, from its start to its recorded end.
//! - [`drive`]: the loader as the subject of a plan.
//! - [`host`]: the finished application or conformance client as the subject of a plan.
//! - [`selftest`]: checks that an adapter follows the adapter protocol.
//! - [`catalogue`], [`stack`]: the embedded files, and the package stacks of Python and Node loaders.
//! - [`report`]: renders verdicts.
//! - [`run`]: whole runs: selects plans, runs them and compares the verdicts with a baseline.
//! - [`explore`]: lives that nobody wrote, and the smallest life for each finding in them.
//! - [`reentry`]: lets the executable run as one of its own helper processes.
//! - [`testing`]: the interface for other crates, for use in `cargo test`.
//!
//! Two features are off by default, because they need large crates and only the commands use them: `junit`, the report
//! format, and `schemas`, the JSON schemas of scripts and of the adapter protocol.

pub mod check;
pub mod history;
mod http_client;
pub mod plan;
pub mod report;
pub mod testing;

// Public for the crates `mcp-lifecheck-cli` and `mcp-lifecheck-specimens`. No other crate may rely on these modules.
#[doc(hidden)]
pub mod catalogue;
#[doc(hidden)]
pub mod drive;
#[doc(hidden)]
pub mod explore;
#[doc(hidden)]
pub mod foreign;
#[doc(hidden)]
pub mod host;
#[doc(hidden)]
pub mod life;
#[doc(hidden)]
pub mod loader;
#[doc(hidden)]
pub mod mock;
#[doc(hidden)]
pub mod process_table;
#[doc(hidden)]
pub mod record;
#[doc(hidden)]
pub mod reentry;
#[doc(hidden)]
pub mod run;
#[doc(hidden)]
pub mod script;
#[doc(hidden)]
pub mod selftest;
#[doc(hidden)]
pub mod server;
#[doc(hidden)]
pub mod simulate;
#[doc(hidden)]
pub mod stack;
#[doc(hidden)]
pub mod supervise;
