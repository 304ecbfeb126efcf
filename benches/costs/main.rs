//! What things cost in CPU time, each beside the bare thing measured in the same run.
//!
//! `cargo bench --bench costs` measures everything, `-- checker`, `-- mock` or `-- plan` one part. Criterion keeps the
//! samples; at the end the bounds are held against all that was measured, and a broken one leads to exit code 1.

mod checker;
mod clock;
mod home;
mod ledger;
mod life;
mod mock;
mod plan;

use std::process::ExitCode;

use crate::ledger::Ledger;

fn main() -> ExitCode {
    let ledger = Ledger::default();
    checker::measure(&ledger);
    mock::measure(&ledger);
    plan::measure(&ledger);
    let is_kept = [checker::bounds(&ledger), mock::bounds(&ledger), plan::bounds(&ledger)];
    if is_kept.into_iter().all(|kept| kept) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
