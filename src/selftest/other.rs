//! A short session over each further transport.

use std::io;

use crate::life::RunEnvironment;
use crate::selftest::bench::{Bench, FILES};
use crate::selftest::first::welcome;
use crate::selftest::input::{SelfTestInput, SelfTestTransport};
use crate::selftest::notes::Notes;
use crate::selftest::session::{Session, call_of};

/// Ids of the checks of a short session.
const ABOUT: &[&str] = &["load", "call", "close", "exit"];

/// Loads, calls, closes and exits.
pub(super) async fn other_transport(
    input: &SelfTestInput,
    over: SelfTestTransport,
    environment: &RunEnvironment,
) -> io::Result<Notes> {
    let bench = Bench::open(input, over, environment).await?;
    let mut notes = Notes::new(over.transport, ABOUT);
    let link = match welcome(&bench, &mut notes).await {
        None => None,
        Some((link, hello)) => {
            let mut session = Session { bench: &bench, link, hello, notes: &mut notes };
            // The notes already hold the reason of an early end.
            let _ = short_life(&mut session).await;
            session.note_faulty_lines();
            Some(session.link)
        }
    };
    bench.close(link).await;
    Ok(notes)
}

async fn short_life(session: &mut Session<'_>) -> Option<()> {
    session.load(&[FILES]).await?;
    let from = session.bench.recorder.n_events();
    let id = session.link.send("call", call_of(FILES));
    session.called(id, from).await?;
    session.close().await?;
    session.exit().await
}
