//! Mock servers: what carries the bytes of a [`script`](crate::script) interpreter.
//!
//! Start at [`run_linked`] (the loader's child, reporting home) and [`run_standalone`] (alone, in any client's
//! configuration). Blocking, with plain threads: a mock starts in a millisecond and can not be stalled by its client.
//!
//! Deliberately absent: any judgement, and any memory of earlier processes.

mod arguments;
mod carrier;
mod input;
mod journal;
mod output;
mod stdio;

pub use arguments::{ArgumentError, LinkedArgs, MockError, StandaloneArgs, load_script};
pub use journal::{FileJournal, Journal, JournalLost, NoJournal};
pub use stdio::{run_linked, run_standalone};

/// Exit code of a mock whose journal is lost: its link ended, or its file can not be written. Overrides every script.
pub const JOURNAL_LOST_CODE: u8 = 87;
