//! Scenarios that a user names: by name, suite or file.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use crate::catalogue::{SuiteScenario, scenario_names, shipped_scenario, suite, suite_names};
use crate::plan::{Scenario, Transport, did_you_mean, read_text};
use crate::run::select::names::{is_file_name, same_name};
use crate::run::{RunError, Temperaments, Variants};

/// A scenario with its origin.
#[derive(Debug, Clone)]
pub struct Chosen {
    pub scenario: Scenario,
    /// The file and its text. `None` for a shipped scenario.
    pub(super) file: Option<(PathBuf, String)>,
    /// The transports over which a suite runs it, with one plan each. Empty means every variant that applies.
    pub(super) once_over: Vec<Transport>,
}

impl Chosen {
    /// A shipped scenario, in every variant.
    pub(super) fn shipped(name: &str) -> Result<Self, RunError> {
        let scenario = shipped_scenario(name)?;
        let scenario = scenario.ok_or_else(|| unknown_scenario("scenario ", name, "a shipped one"))?;
        Ok(Self { scenario, file: None, once_over: Vec::new() })
    }

    /// A scenario of a suite, in the variants that belong to it.
    fn of_suite(entry: &SuiteScenario) -> Result<Self, RunError> {
        Ok(Self { once_over: entry.once_over.clone(), ..Self::shipped(&entry.name)? })
    }

    /// A scenario that was made here. Its plans record its text, as those of a file do.
    pub(crate) fn made(scenario: Scenario, comment: &str) -> Self {
        let (path, text) = (PathBuf::from(format!("{}.toml", scenario.name)), scenario.to_toml(comment));
        Self { scenario, file: Some((path, text)), once_over: Vec::new() }
    }

    /// Its name in an error: the file, or the scenario.
    pub(crate) fn shown(&self) -> String {
        self.file.as_ref().map_or_else(|| self.scenario.name.clone(), |(path, _)| path.display().to_string())
    }

    /// Joins another choice of the same scenario. The variants of both run.
    fn join(&mut self, other: &Self) {
        if self.once_over.is_empty() || other.once_over.is_empty() {
            self.once_over.clear();
            return;
        }
        for transport in &other.once_over {
            if !self.once_over.contains(transport) {
                self.once_over.push(*transport);
            }
        }
    }

    /// The variants of a run, limited to those of this choice.
    pub(super) fn narrowed<'a>(&self, variants: &'a Variants) -> Cow<'a, Variants> {
        if self.once_over.is_empty() {
            return Cow::Borrowed(variants);
        }
        let mut narrowed = variants.clone();
        let is_chosen = |transport: &Transport| self.once_over.contains(transport);
        narrowed.usual = self.once_over.clone();
        narrowed.transports.retain(is_chosen);
        // If no selected transport is left, nothing runs. The usual transports must not take their place.
        if narrowed.transports.is_empty() && !variants.transports.is_empty() {
            narrowed.usual.clear();
        }
        if variants.temperaments == Temperaments::Usual {
            narrowed.temperaments = Temperaments::AsWritten;
        }
        Cow::Owned(narrowed)
    }
}

/// Scenarios by name, suite or file, each once, in order.
pub fn scenarios(names: &[String]) -> Result<Vec<Chosen>, RunError> {
    let mut found: Vec<Chosen> = Vec::new();
    for name in names {
        let more = if let Some(suite) = suite(name)? {
            suite.scenarios.iter().map(Chosen::of_suite).collect::<Result<_, RunError>>()?
        } else if shipped_scenario(name)?.is_some() {
            vec![Chosen::shipped(name)?]
        } else if is_file_name(name) {
            vec![scenario_file(Path::new(name))?]
        } else {
            let expected = "a scenario, a suite or a scenario file that ends in .toml (see `mcp-lifecheck list scenarios` and `mcp-lifecheck list suites`)";
            return Err(unknown_scenario("", name, expected));
        };
        for chosen in more {
            let origin = |one: &Chosen| one.file.as_ref().map(|(path, _)| path.clone());
            match found.iter_mut().find(|other| other.scenario.name == chosen.scenario.name) {
                None => found.push(chosen),
                Some(other) if origin(other) == origin(&chosen) => other.join(&chosen),
                Some(other) => {
                    return Err(same_name("scenario", &chosen.scenario.name, origin(other), origin(&chosen)));
                }
            }
        }
    }
    Ok(found)
}

fn unknown_scenario(kind: &str, name: &str, expected: &str) -> RunError {
    let near = did_you_mean(name, scenario_names().chain(suite_names()));
    RunError::usage(format!("found {kind}{name:?}, expected {expected}{near}"))
}

/// A scenario file with its text.
pub fn scenario_file(path: &Path) -> Result<Chosen, RunError> {
    let text = read_text(path)?;
    let shown = path.display().to_string();
    // The parser refuses the replacement characters of a name that is not UTF-8.
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    let scenario = Scenario::from_toml(&name, &shown, &text)?;
    let path = path.canonicalize().map_err(RunError::system(shown))?;
    Ok(Chosen { scenario, file: Some((path, text)), once_over: Vec::new() })
}
