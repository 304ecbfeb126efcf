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
//! - [`life`]: one life of a program under test, from its start to its recorded end.
//! - [`drive`]: a loader as the subject of a plan.
//! - [`host`]: a finished application, or a conformance client, as the subject of a plan.
//! - [`selftest`]: holds an adapter against its protocol.
//! - [`catalogue`], [`stack`]: what is shipped, and the package stacks of foreign loaders.
//! - [`report`]: renders what was judged.
//! - [`run`]: whole runs: selecting plans, running them a few at once, holding them against a baseline.
//! - [`reentry`]: the executable as its own helper processes.
//! - [`testing`]: what another crate uses in `cargo test`.

pub mod check;
pub mod history;
pub mod plan;
pub mod report;
pub mod testing;

// Public for the command and for the loaders that ship with it, which are crates of their own. No other crate may rely on these.
#[doc(hidden)]
pub mod catalogue;
#[doc(hidden)]
pub mod drive;
#[doc(hidden)]
pub mod host;
#[doc(hidden)]
pub mod life;
#[doc(hidden)]
pub mod loader;
#[doc(hidden)]
pub mod mock;
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
pub mod stack;
#[doc(hidden)]
pub mod supervise;
