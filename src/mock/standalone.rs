//! A standalone mock: its journal and its setup, without a recorder.

use crate::mock::arguments::{MockError, StandaloneArgs};
use crate::mock::journal::{FileJournal, Journal, NoJournal};
use crate::mock::own_process::complain;
use crate::plan::Transport;
use crate::server::{Endpoint, Setup};

/// The journal of a standalone mock.
pub(super) fn journal_alone(args: &StandaloneArgs, transport: Transport) -> Result<Box<dyn Journal>, MockError> {
    let Some(path) = &args.journal else { return Ok(Box::new(NoJournal)) };
    let journal =
        FileJournal::create(path, args.script.name(), args.revision, transport).map_err(MockError::Journal)?;
    if journal.path() != path {
        complain(&format!("{} is there already; the journal is {}", path.display(), journal.path().display()));
    }
    Ok(Box::new(journal))
}

/// The setup of a standalone mock.
pub(super) fn setup_alone(args: &StandaloneArgs, endpoint: Endpoint) -> Setup {
    Setup { pid: Some(std::process::id()), ..Setup::alone(args.script.clone(), args.revision, endpoint) }
}
