//! The lives of a campaign, in order.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crate::explore::ground::Palette;
use crate::explore::strategy::draw;
use crate::plan::Scenario;

/// Most parts of a campaign.
const SHARDS_MAX: u64 = 1_000_000;

/// Which part of all lives a campaign has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shard {
    /// From 1 to `of`.
    index: u64,
    of: u64,
}

impl Shard {
    /// All lives.
    pub const WHOLE: Self = Self { index: 1, of: 1 };

    /// The part `index` of `of`.
    pub(super) fn new(index: u64, of: u64) -> Self {
        Self { index, of }
    }

    /// Number of parts.
    pub(super) fn of(self) -> u64 {
        self.of
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.of)
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str| text.parse::<u64>().ok();
        let parts = text.split_once('/').and_then(|(index, of)| Some((number(index)?, number(of)?)));
        match parts {
            Some((index, of)) if (1..=of.min(SHARDS_MAX)).contains(&index) && of <= SHARDS_MAX => {
                Ok(Self { index, of })
            }
            Some(_) | None => {
                Err(format!("found {text:?}, expected I/N, with I from 1 to N, and N at most {SHARDS_MAX}"))
            }
        }
    }
}

/// Where the lives of a campaign come from.
pub enum Source {
    /// Drawn at random for each loader in turn.
    Drawn {
        /// What the lives of each loader may be made of.
        palettes: Vec<Palette>,
        /// Seed of all draws.
        seed: u64,
    },
    /// Listed: the positions of sweeps, each with the position of its loader.
    Listed {
        /// The lives.
        lives: Vec<Listed>,
        /// Number of positions of each sweep, by its name.
        positions: BTreeMap<String, usize>,
    },
}

/// One life of a list.
pub struct Listed {
    /// Position of its loader among those of the campaign.
    pub target: usize,
    /// The life.
    pub life: Scenario,
    /// The scenario from which it was made.
    pub origin: String,
}

/// The lives of a campaign.
pub struct Lives {
    source: Source,
    shard: Shard,
    /// Most lives in all shards; `None`: all.
    n_max: Option<u64>,
}

impl Lives {
    /// The part `shard` of the lives of a source, which are at most `n_max` in all shards.
    #[must_use]
    pub fn new(source: Source, shard: Shard, n_max: Option<u64>) -> Self {
        Self { source, shard, n_max }
    }

    /// Number of the first life.
    pub(super) fn first(&self) -> u64 {
        self.shard.index - 1
    }

    pub(super) fn shard(&self) -> Shard {
        self.shard
    }

    /// The next lives, at most so many, each with the position of its loader. `next` is the number of the next life.
    pub(super) fn batch(&self, next: &mut u64, n_max: usize) -> Vec<(usize, Scenario)> {
        let mut lives = Vec::new();
        while lives.len() < n_max {
            let Some(life) = self.life(*next) else { break };
            lives.push(life);
            *next += self.shard.of;
        }
        lives
    }

    /// The life with this number, and the position of its loader; `None` beyond the last one.
    #[must_use]
    pub fn life(&self, case: u64) -> Option<(usize, Scenario)> {
        if self.n_max.is_some_and(|n_max| case >= n_max) {
            return None;
        }
        match &self.source {
            Source::Drawn { palettes, seed } => {
                let target = usize::try_from(case % palettes.len() as u64).unwrap_or(0);
                Some((target, draw(&palettes[target], *seed, case)))
            }
            Source::Listed { lives, .. } => {
                let Listed { target, life, .. } = lives.get(usize::try_from(case).ok()?)?;
                Some((*target, life.clone()))
            }
        }
    }

    /// The scenario from which a life was made.
    pub(super) fn origin(&self, life: &Scenario) -> Option<&str> {
        match &self.source {
            Source::Drawn { .. } => None,
            Source::Listed { lives, .. } => {
                lives.iter().find(|one| one.life.name == life.name).map(|one| one.origin.as_str())
            }
        }
    }

    /// Number of positions of each sweep.
    #[must_use]
    pub fn positions(&self) -> BTreeMap<String, usize> {
        match &self.source {
            Source::Drawn { .. } => BTreeMap::new(),
            Source::Listed { positions, .. } => positions.clone(),
        }
    }

    /// Number of lives of this part; `None` where there is no bound.
    #[must_use]
    pub fn n_lives(&self) -> Option<u64> {
        let listed = match &self.source {
            Source::Drawn { .. } => None,
            Source::Listed { lives, .. } => Some(lives.len() as u64),
        };
        let all = listed.into_iter().chain(self.n_max).min()?;
        Some(all.saturating_sub(self.first()).div_ceil(self.shard.of))
    }
}
