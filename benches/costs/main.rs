//! The CPU time of each part, next to the CPU time of a minimal counterpart in the same run.
//!
//! `cargo bench --bench costs` measures everything, `-- checker`, `-- mock`, `-- http`, `-- crowd`,
//! `-- five-hundred`, `-- plan` or `-- simulated` one part. Criterion keeps the samples. At the end the bench compares all measurements
//! with the bounds, and a broken bound leads to exit code 1.

mod checker;
mod clock;
mod crowd;
mod five_hundred;
mod home;
mod http;
mod ledger;
mod life;
mod mock;
mod plan;
mod simulated;

use std::process::ExitCode;

use crate::ledger::Ledger;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() == Some(http::ECHO) {
        return http::echo(&arguments.next().expect("the answers of a session"));
    }
    let ledger = Ledger::default();
    let crowds = crowd::Crowds::default();
    let rounds = five_hundred::Rounds::default();
    checker::measure(&ledger);
    mock::measure(&ledger);
    http::measure(&ledger);
    crowd::measure(&crowds);
    five_hundred::measure(&rounds);
    plan::measure(&ledger);
    simulated::measure(&ledger);
    let is_kept = [
        checker::bounds(&ledger),
        mock::bounds(&ledger),
        http::bounds(&ledger),
        crowd::bounds(&crowds),
        five_hundred::bounds(&rounds),
        plan::bounds(&ledger),
        simulated::bounds(&ledger),
    ];
    if is_kept.into_iter().all(|kept| kept) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
