//! A campaign: runs lives, and makes the life of each new finding as small as it can.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::catalogue::write_whole;
use crate::check::Verdict;
use crate::explore::checkpoint::{Checkpoint, NotResumed, Resumed};
use crate::explore::found::{Found, Fresh, Key};
use crate::explore::known::Known;
use crate::explore::life::{LifeSettings, plans_of};
use crate::explore::lives::Lives;
use crate::explore::report::{ExploreReport, FoundRow};
use crate::explore::shrink::smaller;
use crate::life::Preflight;
use crate::plan::Scenario;
use crate::report::{Counts, FindingRow};
use crate::run::select::{Selected, Target};
use crate::run::{Finished, Pool};

/// Lives between two looks at what they found.
const BATCH: usize = 32;
/// Smaller lives that run at once.
const TRIES_AT_ONCE: usize = 8;
/// Most smaller lives for one finding.
const TRIES_MAX: usize = 240;
/// Time after which no further smaller lives of a finding start.
const SHRINKING_MAX: Duration = Duration::from_secs(60);
/// How often the smallest life runs again, each time in a new process.
const REPEATS: u32 = 5;
/// The folder of the smallest lives, in the results folder.
const FOUND: &str = "found";

/// Bounds and manners of a campaign.
#[derive(Debug, Clone)]
pub struct CampaignSettings {
    /// What its plans have in common.
    pub lives: LifeSettings,
    /// No new batch begins after this time; `None`: no bound.
    pub time: Option<Duration>,
    /// No new batch begins, and no life is made smaller, after this many findings; `None`: no bound.
    pub findings_max: Option<usize>,
    /// Whether a warning is a finding.
    pub is_strict: bool,
    /// Whether the folder of every life stays. Otherwise only those with a finding do.
    pub keeps_all: bool,
}

/// Runs lives.
pub struct Campaign<'a> {
    /// Runs their plans.
    pub pool: &'a Pool<'a>,
    /// Runs the plans of smaller lives, in new processes.
    pub alone: &'a Pool<'a>,
    /// The loaders; a life names one by its position.
    pub targets: &'a [Target],
    /// The lives, and their order.
    pub lives: &'a Lives,
    /// The findings that are not told.
    pub known: &'a Known,
    /// Bounds and manners.
    pub settings: &'a CampaignSettings,
    /// Where the campaign is is written here; `None`: nowhere.
    pub checkpoint: Option<&'a Checkpoint>,
    /// Called after each batch.
    pub on_progress: &'a dyn Fn(&Progress<'_>),
}

/// How far a campaign is.
pub struct Progress<'a> {
    /// Lives so far.
    pub n_lives: usize,
    /// Findings so far.
    pub n_found: usize,
    /// The finding whose life is being made smaller.
    pub shrinks: Option<&'a str>,
}

/// A campaign that is over.
pub struct Explored {
    /// Its report.
    pub report: ExploreReport,
    /// Its findings.
    pub found: Vec<Found>,
    /// Signatures of findings beyond the largest number of findings.
    pub untold: BTreeSet<String>,
    /// Why lives did not run or have no verdict, each reason once, with their number.
    pub reasons: BTreeMap<String, usize>,
}

/// What a campaign has so far.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) probed: Preflight,
    pub(super) counts: Counts,
    pub(super) cpu_ms: u64,
    pub(super) lives_with: BTreeMap<Key, usize>,
    pub(super) known: BTreeMap<String, usize>,
    pub(super) opened: BTreeMap<String, usize>,
    pub(super) scripts: BTreeMap<String, usize>,
    pub(super) reasons: BTreeMap<String, usize>,
    pub(super) found: Vec<(Key, Found)>,
    pub(super) untold: BTreeSet<String>,
    /// The smallest lives so far, each with the position of its loader.
    pub(super) smallest: Vec<(usize, Scenario)>,
}

impl Campaign<'_> {
    /// Runs the lives to their end, to the bound of time or to an interruption.
    pub async fn run(&self) -> Explored {
        self.run_from(None).await
    }

    /// Where the campaign was when it ended early; `None` where it did not run before.
    ///
    /// # Errors
    /// When the file is of another campaign, or damaged.
    pub fn resumed(&self) -> Result<Option<Resumed>, NotResumed> {
        self.checkpoint.map_or(Ok(None), |checkpoint| checkpoint.read(self.lives.first(), self.lives.shard().of()))
    }

    /// Like [`run`](Self::run), behind the lives of an earlier run of the same campaign.
    pub async fn run_from(&self, resumed: Option<Resumed>) -> Explored {
        let began = Instant::now();
        let n_resumed = resumed.as_ref().map(Resumed::n_lives);
        let first = Resumed { state: State::default(), next: self.lives.first(), wall: Duration::ZERO };
        let Resumed { mut state, mut next, wall } = resumed.unwrap_or(first);
        loop {
            let is_over =
                self.settings.time.is_some_and(|time| wall + began.elapsed() >= time) || self.has_enough(&state);
            let batch = if is_over || self.is_interrupted() { Vec::new() } else { self.lives.batch(&mut next, BATCH) };
            if batch.is_empty() {
                break;
            }
            let fresh = self.live(&batch, &mut state).await;
            self.tell(&state, None);
            for one in fresh {
                if self.has_enough(&state) {
                    state.untold.insert(one.finding.signature);
                    continue;
                }
                self.tell(&state, Some(&one.finding.signature));
                let key = (one.target, one.finding.signature.clone());
                let found = self.shrunk(one, &mut state).await;
                state.found.push((key, found));
            }
            self.keep(&mut state, next, wall + began.elapsed());
        }
        if let Some(checkpoint) = self.checkpoint.filter(|_| !self.is_interrupted()) {
            checkpoint.remove();
        }
        let mut explored = self.report(state, wall + began.elapsed());
        explored.report.resumed = n_resumed;
        explored
    }

    /// Writes where the campaign is. A batch that was interrupted is not whole, and runs again.
    fn keep(&self, state: &mut State, next: u64, wall: Duration) {
        let Some(checkpoint) = self.checkpoint.filter(|_| !self.is_interrupted()) else { return };
        let n_drawn = (next - self.lives.first()) / self.lives.shard().of();
        if let Err(error) = checkpoint.write(state, n_drawn, wall) {
            *state.reasons.entry(format!("the state of the campaign cannot be written: {error}")).or_default() += 1;
        }
    }

    fn has_enough(&self, state: &State) -> bool {
        self.settings.findings_max.is_some_and(|n_max| state.found.len() >= n_max)
    }

    fn is_interrupted(&self) -> bool {
        self.pool.environment.is_interrupted()
    }

    fn tell(&self, state: &State, shrinks: Option<&str>) {
        (self.on_progress)(&Progress { n_lives: state.counts.plans, n_found: state.found.len(), shrinks });
    }

    /// Runs a batch of lives. Returns the findings that are new.
    async fn live(&self, batch: &[(usize, Scenario)], state: &mut State) -> Vec<Fresh> {
        let mut selected: Vec<Selected> = Vec::new();
        let mut origins = Vec::new();
        for (target, life) in batch {
            match plans_of(life, &self.targets[*target], &self.settings.lives, 1) {
                Ok(plans) => {
                    origins.extend(plans.iter().map(|_| (*target, life)));
                    selected.extend(plans);
                }
                Err(error) => *state.reasons.entry(error.to_string()).or_default() += 1,
            }
        }
        let finished = self.pool.run_after(&selected, &mut state.probed).await;
        let mut fresh: Vec<Fresh> = Vec::new();
        for ((target, life), one) in origins.into_iter().zip(&finished) {
            state.count(one, life);
            let mut is_kept = self.settings.keeps_all;
            for finding in one.row.findings.iter().filter(|finding| self.counts(finding)) {
                if self.known.has(&one.row, finding, self.lives.origin(life)) {
                    *state.known.entry(finding.signature.clone()).or_default() += 1;
                    continue;
                }
                is_kept = true;
                let key = (target, finding.signature.clone());
                let n_lives = state.lives_with.entry(key).or_default();
                *n_lives += 1;
                if *n_lives == 1 {
                    fresh.push(Fresh { target, life: life.clone(), finding: finding.clone() });
                }
            }
            if !is_kept {
                self.forget(&one.row.id);
            }
        }
        fresh
    }

    /// Whether a finding is one of the loader.
    fn counts(&self, finding: &FindingRow) -> bool {
        match finding.verdict {
            Verdict::Fail => true,
            Verdict::Warn => self.settings.is_strict,
            Verdict::Pass
            | Verdict::Vacuous
            | Verdict::NotObservable
            | Verdict::NotApplicable
            | Verdict::Inconclusive => false,
        }
    }

    /// Removes the folder of a plan. One that cannot be removed is left for the user.
    fn forget(&self, id: &str) {
        let _ = fs::remove_dir_all(self.pool.folder.path().join(id));
    }

    /// Makes a life smaller as long as it shows the finding, then runs it several times more.
    async fn shrunk(&self, fresh: Fresh, state: &mut State) -> Found {
        let Fresh { target, life: first, mut finding } = fresh;
        let number = state.found.len() + 1;
        let (mut smallest, mut n_tries) = (first.clone(), 0);
        let mut tried: BTreeSet<String> = BTreeSet::new();
        let recorded = finding.clone();
        let name = format!("{number:03}-{}", finding.invariant);
        smallest.name.clone_from(&name);
        let mut again = self.repeated(target, &smallest, &mut finding, state).await;
        // One defect often shows in several ways, so the smallest lives of other findings may show this one as well.
        let others =
            state.smallest.iter().filter(|(other, life)| *other == target && life.steps.len() < first.steps.len());
        let mut candidates: Vec<Scenario> = others.map(|(_, life)| life.clone()).collect();
        let began = Instant::now();
        while again > 0 && began.elapsed() < SHRINKING_MAX {
            candidates.extend(smaller(&smallest));
            candidates.retain(|life| tried.insert(content(life)));
            let some = std::mem::take(&mut candidates);
            let next = self.first_with(target, &finding.signature, some, &mut n_tries, number, state);
            let Some((life, shown)) = next.await else { break };
            (smallest, finding) = (life, shown);
        }
        if again > 0 && n_tries > 0 {
            smallest.name.clone_from(&name);
            again = self.repeated(target, &smallest, &mut finding, state).await;
        }
        if again == 0 {
            // What is not seen again cannot be made smaller. The recorded life shows it.
            (smallest, finding) = (Scenario { name, ..first.clone() }, recorded);
        }
        state.smallest.push((target, smallest.clone()));
        smallest.about = format!("{}.", finding.because.trim_end_matches('.'));
        let file = format!("{FOUND}/{}.toml", smallest.name);
        let row = FoundRow {
            signature: finding.signature.clone(),
            invariant: finding.invariant.clone(),
            verdict: finding.verdict,
            loader: self.targets[target].name.clone(),
            because: finding.because.clone(),
            requirement: finding.requirement.clone(),
            first: first.name.clone(),
            lives: 0,
            steps_before: first.steps.len(),
            steps: smallest.steps.len(),
            tries: n_tries,
            again,
            repeats: REPEATS,
            file: file.clone(),
            repeat: finding.repeat.clone(),
        };
        let comment = format!(
            "{} of {}: {} of {REPEATS} repeats show it. Found in life {} (seed {}).",
            row.signature, row.loader, row.again, row.first, self.settings.lives.seed
        );
        let scenario_text = smallest.to_toml(&comment);
        if let Err(error) = self.write(&file, &scenario_text) {
            *state.reasons.entry(format!("{file} cannot be written: {error}")).or_default() += 1;
        }
        Found { row, text: finding.text, scenario_text, life: smallest }
    }

    fn write(&self, file: &str, text: &str) -> std::io::Result<()> {
        let path = self.pool.folder.path().join(file);
        fs::create_dir_all(path.parent().unwrap_or(Path::new("")))?;
        write_whole(&path, text.as_bytes())
    }

    /// The first of some lives that shows a finding.
    async fn first_with(
        &self,
        target: usize,
        signature: &str,
        mut candidates: Vec<Scenario>,
        n_tries: &mut usize,
        number: usize,
        state: &mut State,
    ) -> Option<(Scenario, FindingRow)> {
        candidates.truncate(TRIES_MAX.saturating_sub(*n_tries));
        for some in candidates.chunks(TRIES_AT_ONCE) {
            if self.is_interrupted() {
                return None;
            }
            let mut lives = Vec::new();
            let mut selected = Vec::new();
            for (index, life) in some.iter().enumerate() {
                let life = Scenario { name: format!("smaller-{number}-{index}"), ..life.clone() };
                // A smaller life may be one that no file could describe.
                if let Ok(plans) = plans_of(&life, &self.targets[target], &self.settings.lives, 1) {
                    lives.extend(plans.iter().map(|_| &some[index]));
                    selected.extend(plans);
                }
            }
            *n_tries += selected.len();
            // The scripts of its own have new content in each life.
            let finished = self.alone.run_after(&selected, &mut state.probed.clone()).await;
            let mut shown = None;
            for (life, one) in lives.into_iter().zip(&finished) {
                state.cpu_ms += one.row.cpu_ms.unwrap_or(0);
                self.forget(&one.row.id);
                let finding = one.row.findings.iter().find(|finding| finding.signature == signature);
                if let (None, Some(finding)) = (&shown, finding) {
                    shown = Some((life.clone(), finding.clone()));
                }
            }
            if shown.is_some() {
                return shown;
            }
        }
        None
    }

    /// Runs a life several times, each in a new process. Returns how often it shows the finding, which becomes that of the first of
    /// these plans.
    async fn repeated(&self, target: usize, life: &Scenario, finding: &mut FindingRow, state: &mut State) -> u32 {
        let selected = plans_of(life, &self.targets[target], &self.settings.lives, REPEATS).unwrap_or_default();
        let finished = self.alone.run_after(&selected, &mut state.probed.clone()).await;
        let mut again = 0;
        for one in &finished {
            state.cpu_ms += one.row.cpu_ms.unwrap_or(0);
            match one.row.findings.iter().find(|shown| shown.signature == finding.signature) {
                Some(shown) if again == 0 => {
                    again = 1;
                    *finding = shown.clone();
                }
                Some(_) => {
                    again += 1;
                    self.forget(&one.row.id);
                }
                None => self.forget(&one.row.id),
            }
        }
        again
    }

    fn report(&self, state: State, wall: Duration) -> Explored {
        let mut found = Vec::new();
        for (key, mut one) in state.found {
            one.row.lives = state.lives_with.get(&key).copied().unwrap_or(0);
            found.push(one);
        }
        let report = ExploreReport {
            schema: 1,
            tool: format!("mcp-lifecheck {}", env!("CARGO_PKG_VERSION")),
            loaders: self.targets.iter().map(|target| target.name.clone()).collect(),
            seed: self.settings.lives.seed,
            selection: BTreeMap::new(),
            resumed: None,
            shard: self.lives.shard().to_string(),
            shard_from: None,
            positions: self.lives.positions(),
            counts: state.counts,
            cpu_ms: state.cpu_ms,
            wall_ms: u64::try_from(wall.as_millis()).unwrap_or(u64::MAX),
            interrupted: self.is_interrupted(),
            findings: found.iter().map(|one| one.row.clone()).collect(),
            known: state.known,
            opened: state.opened,
            scripts: state.scripts,
        };
        Explored { report, found, untold: state.untold, reasons: state.reasons }
    }
}

/// What a life does, without its name and its purpose.
fn content(life: &Scenario) -> String {
    Scenario { about: String::new(), ..life.clone() }.to_toml("")
}

impl State {
    fn count(&mut self, one: &Finished, life: &Scenario) {
        self.counts.add(one.row.verdict);
        self.cpu_ms += one.row.cpu_ms.unwrap_or(0);
        let because = one.row.because.iter().cloned();
        let failed = one.row.findings.iter().filter(|finding| finding.verdict == Verdict::Inconclusive);
        for because in because.chain(failed.map(|finding| finding.because.clone())) {
            *self.reasons.entry(because).or_default() += 1;
        }
        for (id, verdict) in &one.verdicts {
            match verdict {
                Verdict::Pass | Verdict::Fail | Verdict::Warn => *self.opened.entry((*id).to_owned()).or_default() += 1,
                Verdict::Vacuous | Verdict::NotObservable | Verdict::NotApplicable | Verdict::Inconclusive => {}
            }
        }
        let scripts: BTreeSet<&str> = life.servers.iter().map(|server| server.script.as_str()).collect();
        for script in scripts {
            *self.scripts.entry(script.to_owned()).or_default() += 1;
        }
    }
}
