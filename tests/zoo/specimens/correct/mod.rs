//! Clients that break no rule, each of another design.

mod eras;
mod instances;
mod plain;
mod refused;
mod requests;
mod sessions;
mod slow;
mod streams;
mod subscribers;

use super::{Correct, Stage, client};

const fn row(name: &'static str, about: &'static str, stage: Stage, life: fn(&mut client::Client)) -> Correct {
    Correct { name, about, stage, life }
}

pub(super) const SPECIMENS: &[&[Correct]] = &[
    plain::SPECIMENS,
    sessions::SPECIMENS,
    streams::SPECIMENS,
    requests::SPECIMENS,
    eras::SPECIMENS,
    subscribers::SPECIMENS,
    instances::SPECIMENS,
    refused::SPECIMENS,
    slow::SPECIMENS,
];
