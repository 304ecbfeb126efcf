//! The check that ends the link during an operation.

use std::io;

use serde_json::json;

use crate::history::LINK_LOST_CODE;
use crate::life::RunEnvironment;
use crate::selftest::bench::{Bench, FILES, HELD};
use crate::selftest::first::welcome;
use crate::selftest::input::{SelfTestInput, SelfTestTransport};
use crate::selftest::limits::LINK_END;
use crate::selftest::notes::Notes;
use crate::selftest::session::{call_of, main_task};

/// Starts the adapter again, and ends its link while a call hangs.
pub(super) async fn end_of_link(
    input: &SelfTestInput,
    over: SelfTestTransport,
    environment: &RunEnvironment,
    mut notes: Notes,
) -> io::Result<Notes> {
    if !notes.is_ok("load") {
        return Ok(notes);
    }
    let bench = Bench::open(input, over, environment).await?;
    let mut first = Notes::new(over.transport, &[]);
    let found = match welcome(&bench, &mut first).await {
        None => Err("not tested, because a second session could not be opened".to_owned()),
        Some((mut link, _)) => {
            let config = bench.config(&[FILES, HELD]);
            let load = link.send("load", json!({ "in": main_task("a"), "config": config }));
            let loaded = link.completion(load, bench.limits().connect).await;
            let from = bench.recorder.n_events();
            link.send("call", call_of(HELD));
            let limit = bench.limits().in_flight;
            let hangs = loaded.is_some() && bench.has_come(from, HELD, "tools/call", limit).await;
            // Even if no call hangs, the end of the link must end the process.
            let when = if hangs { "while a call was in flight" } else { "while no operation ran" };
            link.cut().await;
            is_gone(&bench, when).await
        }
    };
    notes.judge("link-end", found);
    bench.close(None).await;
    Ok(notes)
}

async fn is_gone(bench: &Bench<'_>, when: &str) -> Result<(), String> {
    match bench.supervised.loader_end(LINK_END.default).await {
        Some(end) if end.code == Some(LINK_LOST_CODE) => Ok(()),
        Some(_) => {
            let how = bench.ending().unwrap_or_default();
            Err(format!("the link ended {when}, and {how}, expected {LINK_LOST_CODE}"))
        }
        None => {
            let ms = LINK_END.default.as_millis();
            Err(format!("the link ended {when}, and its process still ran after {ms} ms (limit {})", LINK_END.name))
        }
    }
}
