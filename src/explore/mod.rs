//! Exploration: lives that nobody wrote, the findings in them, and the smallest life that still shows each finding.
//!
//! A *life* is a [`Scenario`](crate::plan::Scenario) that names one transport and one revision, so its file says all of it. Start at
//! [`Campaign`], which runs lives. They come from two places: `strategy` draws them at random, and [`Sweep`] puts an event at every
//! position of a scenario. `shrink` makes smaller ones of a life with a finding.
//!
//! Deliberately absent: any judgement. A life is judged as every other plan is.

mod build;
mod campaign;
mod checkpoint;
mod draft;
mod found;
mod ground;
mod job;
mod known;
mod life;
mod lives;
mod merge;
mod positions;
mod report;
mod shrink;
mod strategy;
mod sweep;
mod swept;
#[cfg(test)]
mod tests;

pub use campaign::{Campaign, CampaignSettings, Explored, Progress};
pub use checkpoint::{CampaignId, Checkpoint, NotResumed, Resumed};
pub use found::Found;
pub use ground::{Narrowing, Palette};
pub use job::{JobShard, SHARD_VARIABLES};
pub use known::Known;
pub use life::LifeSettings;
pub use lives::{Listed, Lives, Shard, Source};
pub use merge::{Merged, merge};
pub use report::{ExploreReport, FoundRow};
pub use sweep::SweepEvent;
pub use swept::Sweep;
