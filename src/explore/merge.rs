//! Joins the reports of a campaign that ran in several parts.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Component, Path, PathBuf};

use serde::Deserialize;

use crate::catalogue::write_whole;
use crate::explore::lives::Shard;
use crate::explore::report::{ExploreReport, FoundRow};
use crate::plan::{InputError, read_text};
use crate::report::Counts;
use crate::run::{ExitReason, RunError, shell_word};

/// The file of a report.
const REPORT: &str = "explore.json";
/// The folder of the smallest lives.
const FOUND: &str = "found";
/// Most folders of one merge.
const PARTS_MAX: usize = 10_000;
/// Most missing shards that are named.
const NAMED_MAX: usize = 8;

/// A campaign whose parts were joined.
#[derive(Debug)]
pub struct Merged {
    /// The report on all parts.
    pub report: ExploreReport,
    /// The shards without a report.
    pub missing: Vec<Shard>,
    /// Found files that could not be copied, each with the reason.
    pub unwritten: Vec<String>,
}

/// One part of a campaign.
struct Part {
    folder: PathBuf,
    report: ExploreReport,
    shards: Vec<Shard>,
}

impl Part {
    fn read(folder: &Path) -> Result<Self, InputError> {
        let file = folder.join(REPORT);
        let shown = file.display().to_string();
        if !file.exists() {
            let kind = match folder.join("run.json").exists() {
                true => "the results of `run`",
                false => "no explore.json",
            };
            let message = format!("found {kind}, expected a results folder of `explore`");
            return Err(InputError::whole(&folder.display().to_string(), message));
        }
        let text = read_text(&file)?;
        let mut parser = serde_json::Deserializer::from_str(&text);
        let report = ExploreReport::deserialize(&mut parser);
        let report = report.map_err(|error| InputError::json(&shown, 1, &error))?;
        if report.schema != 1 {
            let message = format!("found a report of shape {}, expected shape 1", report.schema);
            return Err(InputError::whole(&shown, message));
        }
        let shards = report.shard.split(',').map(str::parse).collect::<Result<Vec<Shard>, String>>();
        let shards = shards.map_err(|message| InputError::whole(&shown, format!("shard: {message}")))?;
        if shards.windows(2).any(|pair| pair[0].of() != pair[1].of()) {
            let message = format!("found shards {}, expected shards of one number of parts", report.shard);
            return Err(InputError::whole(&shown, message));
        }
        Ok(Self { folder: folder.to_path_buf(), report, shards })
    }

    fn n_shards(&self) -> u64 {
        self.shards[0].of()
    }

    /// What makes this part one of another campaign than the first part.
    fn misfit(&self, first: &Self) -> Option<(&'static str, String, String)> {
        let (own, expected) = (&self.report, &first.report);
        let selection = |report: &ExploreReport| {
            let pairs: Vec<String> = report.selection.iter().map(|(name, value)| format!("{name} {value}")).collect();
            if pairs.is_empty() { "nothing".to_owned() } else { pairs.join(", ") }
        };
        let shown = |name, found: String, expected: String| (found != expected).then_some((name, found, expected));
        shown("the program", own.tool.clone(), expected.tool.clone())
            .or_else(|| shown("the loaders", own.loaders.join(", "), expected.loaders.join(", ")))
            .or_else(|| shown("the seed", own.seed.to_string(), expected.seed.to_string()))
            .or_else(|| shown("what the lives were made of", selection(own), selection(expected)))
            .or_else(|| shown("the number of parts", self.n_shards().to_string(), first.n_shards().to_string()))
    }
}

/// Joins the reports in some results folders, and copies the found files into the folder `out`.
///
/// A finding of several parts is kept once: with the smallest life, and with the lives of all parts that showed it.
///
/// # Errors
/// When a folder has no report, two parts are of different campaigns, or two have the same shard.
pub fn merge(folders: &[PathBuf], out: &Path) -> Result<Merged, RunError> {
    if folders.len() > PARTS_MAX {
        let message = format!("found {} folders, expected at most {PARTS_MAX}", folders.len());
        return Err(RunError::usage(message));
    }
    if let Some(same) = folders.iter().find(|folder| is_same(folder, out)) {
        let message =
            format!("found {} as a part and as --out, expected another folder for the results", same.display());
        return Err(RunError::usage(message));
    }
    let parts = folders.iter().map(|folder| Part::read(folder)).collect::<Result<Vec<_>, InputError>>()?;
    let Some(first) = parts.first() else {
        return Err(RunError::usage("found no folder, expected the results of at least one part"));
    };
    let mut shards: BTreeMap<Shard, &Part> = BTreeMap::new();
    for part in &parts {
        if let Some((what, found, expected)) = part.misfit(first) {
            return Err(RunError::usage(format!(
                "{}: found {what} {found}, expected {expected} as in {}: parts of different campaigns have no sum",
                part.folder.display(),
                first.folder.display()
            )));
        }
        for shard in &part.shards {
            if let Some(other) = shards.insert(*shard, part) {
                return Err(RunError::usage(format!(
                    "found shard {shard} in {} and in {}, expected each shard once",
                    other.folder.display(),
                    part.folder.display()
                )));
            }
        }
    }
    let n_shards = first.n_shards();
    let all = (1..=n_shards).map(|index| Shard::new(index, n_shards));
    let missing: Vec<Shard> = all.filter(|shard| !shards.contains_key(shard)).collect();
    let mut report = summed(&parts);
    report.shard = match missing.as_slice() {
        [] => Shard::WHOLE.to_string(),
        _ => shards.keys().map(ToString::to_string).collect::<Vec<_>>().join(","),
    };
    let unwritten = keep(&mut report, smallest(&parts), out)?;
    Ok(Merged { report, missing, unwritten })
}

impl Merged {
    /// Why the command ends, as `explore` does. A part that is missing was not judged.
    #[must_use]
    pub fn reason(&self) -> ExitReason {
        let counts = self.report.counts;
        let n_judged = counts.pass + counts.warn + counts.fail;
        match self.report.findings.is_empty() {
            false => ExitReason::Violations,
            true if self.report.interrupted || n_judged == 0 || counts.unavailable > 0 => ExitReason::Inconclusive,
            true if !self.missing.is_empty() => ExitReason::Inconclusive,
            true => ExitReason::Conforms,
        }
    }

    /// The missing shards in a few words; `None` where there are none.
    #[must_use]
    pub fn missing_text(&self) -> Option<String> {
        let named: Vec<String> = self.missing.iter().take(NAMED_MAX).map(ToString::to_string).collect();
        let n_more = self.missing.len().saturating_sub(NAMED_MAX);
        let more = if n_more > 0 { format!(" and {n_more} more") } else { String::new() };
        (!named.is_empty()).then(|| format!("{}{more}", named.join(", ")))
    }
}

fn is_same(one: &Path, other: &Path) -> bool {
    matches!((one.canonicalize(), other.canonicalize()), (Ok(one), Ok(other)) if one == other)
}

/// The sums of all parts, without findings.
fn summed(parts: &[Part]) -> ExploreReport {
    let mut sum = parts[0].report.clone();
    sum.findings.clear();
    sum.shard_from = None;
    sum.resumed = None;
    for part in &parts[1..] {
        let report = &part.report;
        sum.counts = added(sum.counts, report.counts);
        sum.cpu_ms = sum.cpu_ms.saturating_add(report.cpu_ms);
        // The parts ran side by side.
        sum.wall_ms = sum.wall_ms.max(report.wall_ms);
        sum.interrupted |= report.interrupted;
        for (name, n_positions) in &report.positions {
            let known = sum.positions.entry(name.clone()).or_default();
            *known = (*known).max(*n_positions);
        }
        for (sums, counts) in
            [(&mut sum.known, &report.known), (&mut sum.opened, &report.opened), (&mut sum.scripts, &report.scripts)]
        {
            for (name, n_lives) in counts {
                let sum = sums.entry(name.clone()).or_default();
                *sum = sum.saturating_add(*n_lives);
            }
        }
    }
    sum
}

fn added(one: Counts, other: Counts) -> Counts {
    Counts {
        plans: one.plans.saturating_add(other.plans),
        pass: one.pass.saturating_add(other.pass),
        fail: one.fail.saturating_add(other.fail),
        warn: one.warn.saturating_add(other.warn),
        vacuous: one.vacuous.saturating_add(other.vacuous),
        not_applicable: one.not_applicable.saturating_add(other.not_applicable),
        inconclusive: one.inconclusive.saturating_add(other.inconclusive),
        unavailable: one.unavailable.saturating_add(other.unavailable),
    }
}

/// Each finding once, with its smallest life and the folder that has it. Of lives with as many steps, the one that repeats best.
fn smallest(parts: &[Part]) -> Vec<(FoundRow, &Path)> {
    let mut found: Vec<(FoundRow, &Path)> = Vec::new();
    for part in parts {
        for row in &part.report.findings {
            let is_same =
                |(known, _): &&mut (FoundRow, &Path)| known.signature == row.signature && known.loader == row.loader;
            match found.iter_mut().find(is_same) {
                None => found.push((row.clone(), &part.folder)),
                Some((known, folder)) => {
                    let n_lives = known.lives.saturating_add(row.lives);
                    let order = |row: &FoundRow| (row.again == 0, row.steps, std::cmp::Reverse(row.again));
                    if order(row) < order(known) {
                        (*known, *folder) = (row.clone(), &part.folder);
                    }
                    known.lives = n_lives;
                }
            }
        }
    }
    found
}

/// Copies the files of the findings, numbered anew. Returns why some were not copied.
fn keep(report: &mut ExploreReport, found: Vec<(FoundRow, &Path)>, out: &Path) -> Result<Vec<String>, RunError> {
    remove_old(out);
    let mut unwritten = Vec::new();
    for (index, (mut row, folder)) in found.into_iter().enumerate() {
        let shown = folder.join(REPORT).display().to_string();
        let Some(name) = name_in_found(&row.file) else {
            let message = format!("found file {:?} of a finding, expected one in the folder found", row.file);
            return Err(InputError::whole(&shown, message).into());
        };
        let tail = name.trim_start_matches(|c: char| c.is_ascii_digit()).trim_start_matches('-');
        let file = format!("{FOUND}/{:03}-{tail}", index + 1);
        let copied = read_text(&folder.join(&row.file)).map_err(|error| error.to_string()).and_then(|text| {
            let path = out.join(&file);
            let made = fs::create_dir_all(out.join(FOUND)).and_then(|()| write_whole(&path, text.as_bytes()));
            made.map_err(|error| format!("{}: {error}", path.display()))
        });
        unwritten.extend(copied.err());
        // The folder of the plan is on the machine that ran it. The file and the options are enough.
        let options = row
            .repeat
            .find(" --")
            .map_or_else(|| format!(" --loader {}", shell_word(&row.loader)), |start| row.repeat[start..].to_owned());
        let path = out.join(&file).display().to_string();
        row.repeat = format!("mcp-lifecheck replay {}{options}", shell_word(&path));
        row.file = file;
        report.findings.push(row);
    }
    Ok(unwritten)
}

/// Removes the found files of an earlier merge or campaign in the same folder: those that its report names, and no other.
fn remove_old(out: &Path) {
    let Ok(text) = read_text(&out.join(REPORT)) else { return };
    let Ok(old) = serde_json::from_str::<ExploreReport>(&text) else { return };
    for row in old.findings {
        if name_in_found(&row.file).is_some() {
            // One that is gone, or cannot be removed, is no part of the new report.
            let _ = fs::remove_file(out.join(&row.file));
        }
    }
}

/// The name of a file that is directly in the folder of the smallest lives.
fn name_in_found(file: &str) -> Option<&str> {
    let name = file.strip_prefix(FOUND)?.strip_prefix('/')?;
    let mut parts = Path::new(name).components();
    let is_one = matches!((parts.next(), parts.next()), (Some(Component::Normal(only)), None) if only == name);
    is_one.then_some(name)
}
