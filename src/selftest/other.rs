//! A short session over each further transport.

use std::io;

use crate::life::RunEnvironment;
use crate::selftest::bench::{Bench, FILES};
use crate::selftest::first::welcome;
use crate::selftest::input::{SelfTestInput, SelfTestTransport};
use crate::selftest::life::{Session, call_of};
use crate::selftest::notes::Notes;

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
            let _ = session.short_life().await;
            session.note_faulty_lines();
            Some(session.link)
        }
    };
    bench.close(link).await;
    Ok(notes)
}

impl Session<'_> {
    async fn short_life(&mut self) -> Option<()> {
        self.load(&[FILES]).await?;
        let from = self.bench.recorder.n_events();
        let id = self.link.send("call", call_of(FILES));
        self.called(id, from).await?;
        self.close().await?;
        self.exit().await
    }
}
