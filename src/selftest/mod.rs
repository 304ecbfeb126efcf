//! The self-test of an adapter: it is started as a run would start it, and held against `adapters/PROTOCOL.md` rule by rule.
//!
//! Start at [`self_test`]. It differs from a run in what it can do to an adapter: hold a welcome or an acknowledgement back, and let go
//! of the link. The mocks dial a home of their own, so that what an adapter says is compared with what its servers saw.
//! Deliberately absent: any judgement of the loader itself; that is what runs are for.

mod bench;
mod checks;
mod contexts;
mod errors;
mod first;
mod life;
mod limits;
mod link;
mod lost;
mod notes;
mod other;

use std::io;
use std::path::PathBuf;

use crate::drive::{LoaderLaunch, RunEnvironment};
use crate::plan::{Limits, Transport};

pub use crate::record::adapter_schema;
pub use checks::{CHECKS, Check};
pub use limits::{SELF_TEST_LIMITS, SelfTestLimit};
pub use notes::{Row, State};

/// What is tested.
#[derive(Debug, Clone)]
pub struct SelfTestInput {
    /// How the adapter is started.
    pub launch: LoaderLaunch,
    /// The transports over which its loader reaches servers: the first is tested in full.
    pub transports: Vec<SelfTestTransport>,
    /// Limits in force.
    pub limits: Limits,
    /// A folder for what it writes; absolute, exists.
    pub directory: PathBuf,
}

/// A transport, and what is promised over it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SelfTestTransport {
    /// Which.
    pub transport: Transport,
    /// Whether cleanup ends the servers.
    pub closes_servers: bool,
}

/// Tests an adapter; gives a row for each check, in order.
///
/// # Errors
/// When the test itself can not be set up or go on: then nothing is said of the adapter.
pub async fn self_test(input: &SelfTestInput, environment: &RunEnvironment) -> io::Result<Vec<Row>> {
    tokio::select! {
        rows = sessions(input, environment) => rows,
        // What is dropped ends everything below it.
        () = environment.interruption() => Err(io::Error::new(io::ErrorKind::Interrupted, "the test was interrupted")),
    }
}

async fn sessions(input: &SelfTestInput, environment: &RunEnvironment) -> io::Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (index, over) in input.transports.iter().enumerate() {
        let notes = match index {
            0 => {
                let notes = life::whole_life(input, *over, environment).await?;
                lost::end_of_link(input, *over, environment, notes).await?
            }
            _ => other::other_transport(input, *over, environment).await?,
        };
        rows.extend(notes.into_rows());
    }
    Ok(rows)
}
