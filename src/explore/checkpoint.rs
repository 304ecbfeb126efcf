//! Where a campaign is: a file in its results folder, from which it goes on after it was killed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::catalogue::write_whole;
use crate::explore::campaign::State;
use crate::explore::found::Found;
use crate::explore::report::FoundRow;
use crate::plan::{InputError, Scenario, read_text};
use crate::report::Counts;

/// The file in the results folder.
const FILE: &str = "explore-state.json";

/// What identifies a campaign: only the same one goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CampaignId {
    /// Name and version of the program.
    pub tool: String,
    /// The loaders, with their stacks.
    pub loaders: Vec<String>,
    /// Seed of the lives.
    pub seed: u64,
    /// The part of all lives, as `I/N`.
    pub shard: String,
    /// The options that decide which lives there are and how they are judged.
    pub selection: BTreeMap<String, String>,
    /// Number of positions of each sweep.
    pub positions: BTreeMap<String, usize>,
}

impl CampaignId {
    /// What differs from another campaign, in words.
    fn difference(&self, other: &Self) -> Option<String> {
        let differs = |name: &str, own: &str, other: &str| {
            (own != other).then(|| format!("found {name} {other:?}, expected {own:?}"))
        };
        let listed = |map: &BTreeMap<String, String>| {
            map.iter().map(|(name, value)| format!("{name} {value}")).collect::<Vec<_>>().join(", ")
        };
        let positions = |map: &BTreeMap<String, usize>| {
            map.iter().map(|(name, n)| format!("{name}: {n}")).collect::<Vec<_>>().join(", ")
        };
        differs("the program", &self.tool, &other.tool)
            .or_else(|| differs("the loaders", &self.loaders.join(", "), &other.loaders.join(", ")))
            .or_else(|| differs("the seed", &self.seed.to_string(), &other.seed.to_string()))
            .or_else(|| differs("the shard", &self.shard, &other.shard))
            .or_else(|| differs("the options", &listed(&self.selection), &listed(&other.selection)))
            .or_else(|| differs("the positions", &positions(&self.positions), &positions(&other.positions)))
    }
}

/// The file of one campaign.
#[derive(Debug)]
pub struct Checkpoint {
    path: PathBuf,
    id: CampaignId,
}

/// Why a campaign does not go on from the file in its folder.
#[derive(Debug, thiserror::Error)]
pub enum NotResumed {
    /// The file is of another campaign.
    #[error("{}: of another campaign: {difference}", file.display())]
    OtherCampaign {
        /// The file.
        file: PathBuf,
        /// What was found, and what was expected.
        difference: String,
    },
    /// The file is damaged.
    #[error(transparent)]
    Damaged(#[from] InputError),
}

/// A campaign up to its last whole batch.
#[derive(Debug)]
pub struct Resumed {
    pub(super) state: State,
    pub(super) next: u64,
    pub(super) wall: Duration,
}

impl Resumed {
    /// Lives of the earlier run.
    #[must_use]
    pub fn n_lives(&self) -> usize {
        self.state.counts.plans
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    schema: u32,
    campaign: CampaignId,
    /// Lives of this campaign that ran; each shard counts its own.
    n_drawn: u64,
    wall_ms: u64,
    counts: Counts,
    cpu_ms: u64,
    lives_with: Vec<(usize, String, usize)>,
    known: BTreeMap<String, usize>,
    opened: BTreeMap<String, usize>,
    scripts: BTreeMap<String, usize>,
    reasons: BTreeMap<String, usize>,
    untold: BTreeSet<String>,
    found: Vec<SavedFound>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedFound {
    target: usize,
    signature: String,
    name: String,
    row: FoundRow,
    text: String,
    scenario_text: String,
}

impl Checkpoint {
    /// The file of a campaign in its results folder.
    #[must_use]
    pub fn new(folder: &Path, id: CampaignId) -> Self {
        Self { path: folder.join(FILE), id }
    }

    /// Where the campaign was when it ended early; `None` where there is no file. `first` is the number of the first life, and `step`
    /// the distance to the next one.
    ///
    /// # Errors
    /// When the file is of another campaign, or damaged.
    pub(super) fn read(&self, first: u64, step: u64) -> Result<Option<Resumed>, NotResumed> {
        if !self.path.exists() {
            return Ok(None);
        }
        let (shown, text) = (self.path.display().to_string(), read_text(&self.path)?);
        let saved: Saved = serde_json::from_str(&text).map_err(|error| InputError::json(&shown, 1, &error))?;
        if saved.schema != 1 {
            let message = format!("found a state of shape {}, expected shape 1", saved.schema);
            return Err(InputError::whole(&shown, message).into());
        }
        if let Some(difference) = self.id.difference(&saved.campaign) {
            return Err(NotResumed::OtherCampaign { file: self.path.clone(), difference });
        }
        let next = saved.n_drawn.checked_mul(step).and_then(|distance| first.checked_add(distance));
        let next = next.ok_or_else(|| {
            InputError::whole(&shown, format!("found {} lives, expected a number of lives that can run", saved.n_drawn))
        })?;
        let wall = Duration::from_millis(saved.wall_ms);
        Ok(Some(Resumed { state: saved.state(&shown)?, next, wall }))
    }

    /// Writes where the campaign is. At every moment, the file has the last state or the new one, whole.
    pub(super) fn write(&self, state: &State, n_drawn: u64, wall: Duration) -> io::Result<()> {
        let saved = Saved {
            schema: 1,
            campaign: self.id.clone(),
            n_drawn,
            wall_ms: u64::try_from(wall.as_millis()).unwrap_or(u64::MAX),
            counts: state.counts,
            cpu_ms: state.cpu_ms,
            lives_with: state.lives_with.iter().map(|((target, key), n)| (*target, key.clone(), *n)).collect(),
            known: state.known.clone(),
            opened: state.opened.clone(),
            scripts: state.scripts.clone(),
            reasons: state.reasons.clone(),
            untold: state.untold.clone(),
            found: state.found.iter().map(SavedFound::of).collect(),
        };
        let json = serde_json::to_string(&saved).expect("a state has string keys only");
        write_whole(&self.path, json.as_bytes())
    }

    /// Removes the file: a campaign that is over begins anew.
    pub(super) fn remove(&self) {
        // One that cannot be removed leads to a campaign that goes on, and says so.
        let _ = fs::remove_file(&self.path);
    }
}

impl Saved {
    fn state(self, shown: &str) -> Result<State, InputError> {
        let mut state = State {
            counts: self.counts,
            cpu_ms: self.cpu_ms,
            lives_with: self.lives_with.into_iter().map(|(target, key, n)| ((target, key), n)).collect(),
            known: self.known,
            opened: self.opened,
            scripts: self.scripts,
            reasons: self.reasons,
            untold: self.untold,
            ..State::default()
        };
        for SavedFound { target, signature, name, row, text, scenario_text } in self.found {
            if target >= self.campaign.loaders.len() {
                let message = format!("found loader {target} of a finding, expected one of the loaders");
                return Err(InputError::whole(shown, message));
            }
            let life = Scenario::from_toml(&name, shown, &scenario_text)?;
            state.smallest.push((target, life.clone()));
            state.found.push(((target, signature), Found { row, text, scenario_text, life }));
        }
        Ok(state)
    }
}

impl SavedFound {
    fn of(((target, signature), found): &((usize, String), Found)) -> Self {
        Self {
            target: *target,
            signature: signature.clone(),
            name: found.life.name.clone(),
            row: found.row.clone(),
            text: found.text.clone(),
            scenario_text: found.scenario_text.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Verdict;

    fn id() -> CampaignId {
        CampaignId {
            tool: "mcp-lifecheck 0".to_owned(),
            loaders: vec!["reference".to_owned()],
            seed: 7,
            shard: "2/3".to_owned(),
            selection: BTreeMap::new(),
            positions: BTreeMap::new(),
        }
    }

    fn found() -> Found {
        let text = "about = \"x\"\nservers = [{ name = \"files\", script = \"polite\" }]\n[[step]]\ndo = \"load\"\n";
        let row = FoundRow {
            signature: "a/b".to_owned(),
            invariant: "a".to_owned(),
            verdict: Verdict::Fail,
            loader: "reference".to_owned(),
            because: "it was".to_owned(),
            requirement: Vec::new(),
            first: "case-7-4".to_owned(),
            lives: 0,
            steps_before: 3,
            steps: 1,
            tries: 2,
            again: 5,
            repeats: 5,
            file: "found/001-a.toml".to_owned(),
            repeat: "mcp-lifecheck replay x".to_owned(),
        };
        let life = Scenario::from_toml("001-a", "x", text).unwrap();
        Found { row, text: "FAIL a\n".to_owned(), scenario_text: text.to_owned(), life }
    }

    #[test]
    fn a_state_is_read_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let checkpoint = Checkpoint::new(folder.path(), id());
        assert!(checkpoint.read(1, 3).unwrap().is_none());
        let mut state = State { cpu_ms: 5, ..State::default() };
        state.counts.plans = 32;
        state.lives_with.insert((0, "a/b".to_owned()), 4);
        state.reasons.insert("late".to_owned(), 2);
        state.found.push(((0, "a/b".to_owned()), found()));
        checkpoint.write(&state, 32, Duration::from_secs(9)).unwrap();
        let read = checkpoint.read(1, 3).unwrap().unwrap();
        // The second of three shards: lives 1, 4, 7 and so on. 32 of them ran.
        assert_eq!((read.next, read.wall, read.n_lives()), (1 + 32 * 3, Duration::from_secs(9), 32));
        assert_eq!(
            (read.state.cpu_ms, read.state.lives_with, read.state.reasons),
            (5, state.lives_with, state.reasons)
        );
        let [(key, one)] = read.state.found.as_slice() else { panic!("{:?}", read.state.found) };
        assert_eq!((key.1.as_str(), &one.life, &read.state.smallest), ("a/b", &found().life, &vec![(0, found().life)]));
        checkpoint.remove();
        assert!(checkpoint.read(1, 3).unwrap().is_none());
    }

    #[test]
    fn another_campaign_or_a_damaged_file_is_not_resumed() {
        let folder = tempfile::tempdir().unwrap();
        let checkpoint = Checkpoint::new(folder.path(), id());
        checkpoint.write(&State::default(), 32, Duration::ZERO).unwrap();
        for (other, expected) in [
            (CampaignId { seed: 8, ..id() }, "of another campaign: found the seed \"7\", expected \"8\""),
            (CampaignId { shard: "1/3".to_owned(), ..id() }, "found the shard \"2/3\", expected \"1/3\""),
            (CampaignId { loaders: vec!["other".to_owned()], ..id() }, "expected \"other\""),
            (CampaignId { selection: [("depth".to_owned(), "2".to_owned())].into(), ..id() }, "expected \"depth 2\""),
            (CampaignId { positions: [("close".to_owned(), 2)].into(), ..id() }, "expected \"close: 2\""),
        ] {
            let refused = Checkpoint::new(folder.path(), other).read(1, 3).unwrap_err().to_string();
            assert!(refused.contains(expected), "{refused}");
        }
        let file = folder.path().join(FILE);
        let text = fs::read_to_string(&file).unwrap();
        for (damaged, expected) in [
            (text[..40].to_owned(), ":1:40: found text that is not JSON"),
            (
                text.replace("\"n_drawn\":32", "\"n_drawn\":18446744073709551615"),
                "expected a number of lives that can run",
            ),
            (text.replace("\"schema\":1", "\"schema\":9"), "found a state of shape 9, expected shape 1"),
        ] {
            fs::write(&file, damaged).unwrap();
            let refused = checkpoint.read(1, 3).unwrap_err().to_string();
            assert!(refused.contains(expected), "{refused}");
        }
    }
}
