//! The self-test of an adapter. It starts the adapter as a run does, and checks each rule of `adapters/PROTOCOL.md`.
//!
//! Start at [`self_test`]. Unlike a run, it can delay a welcome or an acknowledgement, and it can end the link. Its
//! mocks report to their own recorder endpoint, so it compares the adapter's statements with what the servers received.
//!
//! This module does not judge the loader; runs do that.

mod bench;
mod checks;
mod contexts;
mod errors;
mod first;
mod input;
mod life;
mod limits;
mod link;
mod lost;
mod notes;
mod other;
mod session;

use std::io;

use crate::life::RunEnvironment;

#[cfg(feature = "schemas")]
pub use crate::record::adapter_schema;
pub use checks::{CHECKS, Check};
pub use input::{SelfTestInput, SelfTestTransport};
pub use limits::{SELF_TEST_LIMITS, SelfTestLimit};
pub use notes::{Row, State};

/// Tests an adapter, and returns one row for each check, in order.
///
/// # Errors
/// When the test cannot be set up or finished. This says nothing about the adapter.
pub async fn self_test(input: &SelfTestInput, environment: &RunEnvironment) -> io::Result<Vec<Row>> {
    tokio::select! {
        rows = sessions(input, environment) => rows,
        // Dropping the sessions ends every process below them.
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
