//! Makes the lives of sweeps: runs each scenario once as it is, and reads its positions from that history.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use crate::explore::ground::Palette;
use crate::explore::life::{LifeSettings, plans_of};
use crate::explore::lives::{Listed, Source};
use crate::explore::sweep::{SweepEvent, counted, lives};
use crate::history::{History, HistoryReader};
use crate::life::Preflight;
use crate::plan::{InputError, Scenario, ShutdownBehaviour};
use crate::run::select::{Chosen, Target};
use crate::run::{Pool, RunError};

/// Lives that run as they are before the next ones, whose histories are in memory together.
const AT_ONCE: usize = 32;

/// The sweeps that a user asked for.
pub struct Sweep<'a> {
    /// The scenarios.
    pub scenarios: &'a [Chosen],
    /// The events, each for every position.
    pub events: &'a [SweepEvent],
    /// How many events a life has: 1 or 2.
    pub depth: u32,
    /// What all plans have in common.
    pub settings: &'a LifeSettings,
}

impl Sweep<'_> {
    /// The lives of every sweep, behind the scenario as it is. `palettes` has that of each loader.
    ///
    /// # Errors
    /// When a scenario runs on no ground of any loader.
    pub async fn listed(&self, pool: &Pool<'_>, targets: &[Target], palettes: &[Palette]) -> Result<Source, RunError> {
        let (mut all, mut positions) = (Vec::new(), BTreeMap::new());
        let mut probed = Preflight::new();
        for (target, (described, palette)) in targets.iter().zip(palettes).enumerate() {
            for chosen in self.scenarios {
                for life in grounded(&chosen.scenario, palette) {
                    let listed = |life| Listed { target, life, origin: chosen.scenario.name.clone() };
                    let one = std::slice::from_ref(&life);
                    let first = self.varied(pool, one, described, &mut probed).await?;
                    let Some(first) = first else { continue };
                    for (sweep, n_lives) in counted(&first, &life.name, self.events) {
                        positions
                            .insert(format!("{sweep} over {} with {}", life.transports[0], described.name), n_lives);
                    }
                    let mut second = Vec::new();
                    if self.depth > 1 {
                        for some in first.chunks(AT_ONCE) {
                            second.extend(self.varied(pool, some, described, &mut probed).await?.unwrap_or_default());
                        }
                    }
                    all.extend(std::iter::once(life).chain(first).chain(second).map(listed));
                }
            }
        }
        if all.is_empty() {
            let names: Vec<&str> = self.scenarios.iter().map(|chosen| chosen.scenario.name.as_str()).collect();
            return Err(RunError::usage(format!(
                "found no transport and revision for scenario {}, expected one in which it runs with the loader",
                names.join(", ")
            )));
        }
        Ok(Source::Listed { lives: all, positions })
    }

    /// Runs some lives as they are. Returns those with an event at each position of each; `None` where none runs with this loader.
    async fn varied(
        &self,
        pool: &Pool<'_>,
        some: &[Scenario],
        target: &Target,
        probed: &mut Preflight,
    ) -> Result<Option<Vec<Scenario>>, RunError> {
        let (mut selected, mut of_plans) = (Vec::new(), Vec::new());
        for life in some {
            let plans = plans_of(life, target, self.settings, 1)?;
            of_plans.extend(plans.iter().map(|_| life));
            selected.extend(plans);
        }
        let finished = pool.run_after(&selected, probed).await;
        let mut varied = None;
        for (life, one) in of_plans.into_iter().zip(finished).filter(|(_, one)| !one.verdicts.is_empty()) {
            let path = pool.folder.path().join(&one.row.id).join("history.jsonl");
            varied.get_or_insert_with(Vec::new).extend(lives(life, &read(&path)?, self.events));
        }
        Ok(varied)
    }
}

fn read(path: &Path) -> Result<History, RunError> {
    let shown = path.display().to_string();
    let file = File::open(path).map_err(RunError::system(shown.clone()))?;
    let reader = HistoryReader::of_history(&shown, BufReader::new(file))?;
    let header = reader.header().clone();
    let events = reader.collect::<Result<Vec<_>, InputError>>()?;
    History::from_events(header, events).map_err(|error| InputError::whole(&shown, error.to_string()).into())
}

/// A scenario on each ground on which it runs.
fn grounded(scenario: &Scenario, palette: &Palette) -> Vec<Scenario> {
    let grounds = palette.grounds.iter().filter(|ground| {
        scenario.runs_over(ground.transport) && scenario.revision(ground.transport, Some(ground.revision)).is_some()
    });
    let life = |transport, revision| {
        let mut life = Scenario { transports: vec![transport], revisions: vec![revision], ..scenario.clone() };
        for server in &mut life.servers {
            let behaviour = server.shutdown_behaviour(transport, ShutdownBehaviour::Polite);
            server.shutdown_behaviour = transport.has_children().then_some(behaviour);
        }
        life
    };
    grounds.map(|ground| life(ground.transport, ground.revision)).collect()
}
