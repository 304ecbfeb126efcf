//! Decides which plans may start warm: in a fork of a process that has imported the loader's modules already.
//!
//! A warm start saves the CPU time of the imports and must change nothing else. So only a Pass of a warm plan counts.
//! With any other verdict, the plan runs again in a new process, and only that result counts.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::drive::LoaderLaunch;
use crate::plan::Lane;
use crate::report::RunVerdict;
use crate::run::plan::Finished;
use crate::run::select::{Launch, Selected};
use crate::supervise::StartKind;

/// The helper that can be a template.
const HELPER: &str = "mcp_lifecheck_adapter";
/// Plans for each template. With fewer, another template costs about as much as it saves.
const PLANS_PER_TEMPLATE: usize = 6;
/// Results other than Pass after which a loader's plans start fresh, if they outnumber the passes. Each costs a second run.
const NOT_PASSED_MAX: usize = 2;

/// The loaders of a run that may start warm.
pub(super) struct WarmStarts {
    loaders: BTreeMap<String, Loader>,
}

#[derive(Default)]
struct Loader {
    n_plans: usize,
    n_passed: usize,
    n_not_passed: usize,
    /// Why its template cannot be forked.
    refused: Option<String>,
}

impl WarmStarts {
    /// For a run of which `n_at_once` plans always run at once.
    pub(super) fn new(selected: &[Selected], is_allowed: bool, n_at_once: usize) -> Self {
        let mut loaders: BTreeMap<String, Loader> = BTreeMap::new();
        let mut runs: BTreeMap<&str, bool> = BTreeMap::new();
        for one in selected.iter().filter(|one| is_allowed && one.misfit.is_none()) {
            if *runs.entry(&one.target.name).or_insert_with(|| runs_helper(one)) {
                loaders.entry(one.target.name.clone()).or_default().n_plans += 1;
            }
        }
        // If all plans start at once, each would have a template of its own.
        loaders.retain(|_, loader| loader.n_plans > n_at_once);
        Self { loaders }
    }

    /// Whether a plan may start warm now.
    pub(super) fn may_start_warm(&self, selected: &Selected) -> bool {
        selected.misfit.is_none() && self.loaders.get(&selected.target.name).is_some_and(Loader::goes_on)
    }

    /// Most plans at once while `next` is the next one, where `floor` plans always run. Each has a template.
    pub(super) fn most_at_once(&self, next: &Selected, floor: usize) -> usize {
        match self.loaders.get(&next.target.name).filter(|loader| loader.goes_on()) {
            Some(loader) => floor.max(loader.n_plans / PLANS_PER_TEMPLATE),
            None => usize::MAX,
        }
    }

    /// Takes the result of a plan that could start warm. Returns whether the plan must run again with a new process.
    pub(super) fn must_run_again(&mut self, selected: &Selected, finished: &Finished) -> bool {
        let Some(loader) = self.loaders.get_mut(&selected.target.name) else { return false };
        let is_warm = match &finished.start {
            Some(StartKind::Warm) | None => true,
            Some(StartKind::Fresh) => false,
            Some(StartKind::Refused { because }) => {
                loader.refused.get_or_insert_with(|| because.clone());
                false
            }
        };
        let has_passed = finished.row.verdict == RunVerdict::Pass;
        if is_warm {
            let n = if has_passed { &mut loader.n_passed } else { &mut loader.n_not_passed };
            *n += 1;
        }
        is_warm && !has_passed
    }

    /// The loaders whose templates could not be forked, and why.
    pub(super) fn refused(&self) -> impl Iterator<Item = (&str, &str)> {
        self.loaders.iter().filter_map(|(name, loader)| Some((name.as_str(), loader.refused.as_deref()?)))
    }
}

impl Loader {
    /// Whether warm starts work and pay.
    fn goes_on(&self) -> bool {
        let is_useless = self.n_not_passed >= NOT_PASSED_MAX && self.n_not_passed > self.n_passed;
        self.refused.is_none() && !is_useless
    }
}

/// Whether the program of a Python loader uses the helper: one of its files names it.
fn runs_helper(selected: &Selected) -> bool {
    match (selected.target.descriptor.lane, &selected.target.launch) {
        (Lane::Python, Ok(Launch::Program(launch))) => names_helper(launch),
        (Lane::Python | Lane::Rust | Lane::Node | Lane::Command, Ok(_) | Err(_)) => false,
    }
}

fn names_helper(LoaderLaunch { command, directory, .. }: &LoaderLaunch) -> bool {
    let directory = directory.as_deref().unwrap_or(Path::new(""));
    let mut files = command.iter().skip(1).map(|argument| directory.join(argument)).filter(|path| path.is_file());
    files.any(|path| fs::read_to_string(path).is_ok_and(|text| text.contains(HELPER)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loader_starts_warm_while_more_of_its_plans_pass_than_not() {
        let loader = |n_passed, n_not_passed| Loader { n_plans: 20, n_passed, n_not_passed, refused: None };
        for (passed, not_passed, goes_on) in
            [(0, 0, true), (0, 1, true), (0, 2, false), (1, 2, false), (2, 2, true), (9, 3, true)]
        {
            assert_eq!(loader(passed, not_passed).goes_on(), goes_on, "{passed} {not_passed}");
        }
        assert!(!Loader { refused: Some("no".to_owned()), ..loader(9, 0) }.goes_on());
    }

    #[test]
    fn a_program_uses_the_helper_if_one_of_its_files_names_it() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("with.py"), format!("import {HELPER} as lifecheck\n")).unwrap();
        fs::write(folder.path().join("without.py"), "import socket\n").unwrap();
        let launch = |file: &str| LoaderLaunch {
            command: ["python3", "-u", file].map(str::to_owned).into(),
            directory: Some(folder.path().to_path_buf()),
            env: BTreeMap::new(),
        };
        assert!(names_helper(&launch("with.py")));
        assert!(!names_helper(&launch("without.py")) && !names_helper(&launch("missing.py")));
    }
}
