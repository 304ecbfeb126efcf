//! Shipped scenarios and suites.

use include_dir::{Dir, include_dir};
use serde::Deserialize;

use crate::plan::{InputError, Scenario, Transport};

static SCENARIOS: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/fixtures/scenarios");
static SUITES: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/fixtures/suites");

/// A named list of scenarios.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suite {
    /// Name on the command line.
    pub name: String,
    /// Its purpose, in one sentence.
    pub about: String,
    /// Its scenarios, in order.
    pub scenarios: Vec<SuiteScenario>,
}

impl Suite {
    /// Names of its scenarios, in order.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        self.scenarios.iter().map(|scenario| scenario.name.as_str()).collect()
    }

    /// One line for each scenario, such as `load-call-close (once over stdio and http)`.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let line = |scenario: &SuiteScenario| match scenario.once_over.as_slice() {
            [] => scenario.name.clone(),
            over => {
                let over: Vec<_> = over.iter().map(|transport| transport.as_str()).collect();
                format!("{} (once over {})", scenario.name, over.join(" and "))
            }
        };
        self.scenarios.iter().map(line).collect()
    }
}

/// A scenario of a suite, and which of its plans belong to the suite.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SuiteScenario {
    /// Name of the scenario.
    pub name: String,
    /// The transports over which it runs in a single plan each, with the shutdown behaviour of the scenario; empty: every variant
    /// that applies.
    pub once_over: Vec<Transport>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SuiteFile {
    about: String,
    scenarios: Vec<EntryFile>,
}

/// `"NAME"`, or `{ scenario = "NAME", once-over = ["http"] }`.
#[derive(Deserialize)]
#[serde(untagged)]
enum EntryFile {
    Whole(String),
    Once(OnceFile),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct OnceFile {
    scenario: String,
    once_over: Vec<Transport>,
}

impl From<EntryFile> for SuiteScenario {
    fn from(entry: EntryFile) -> Self {
        match entry {
            EntryFile::Whole(name) => Self { name, once_over: Vec::new() },
            EntryFile::Once(OnceFile { scenario, once_over }) => Self { name: scenario, once_over },
        }
    }
}

/// Names of the shipped scenarios, in alphabetical order.
pub fn scenario_names() -> impl Iterator<Item = &'static str> {
    texts(&SCENARIOS).into_iter().map(|(name, _, _)| name)
}

/// Names of the shipped suites, in alphabetical order.
pub fn suite_names() -> impl Iterator<Item = &'static str> {
    texts(&SUITES).into_iter().map(|(name, _, _)| name)
}

/// Every shipped scenario, by name.
///
/// # Errors
/// When a shipped file is malformed: a defect of this build, which a test finds.
pub fn shipped_scenarios() -> Result<Vec<Scenario>, InputError> {
    texts(&SCENARIOS).into_iter().map(|(name, file, text)| Scenario::from_toml(name, &file, text)).collect()
}

/// The shipped scenario of that name.
///
/// # Errors
/// When the shipped file is malformed.
pub fn shipped_scenario(name: &str) -> Result<Option<Scenario>, InputError> {
    let found = texts(&SCENARIOS).into_iter().find(|(known, _, _)| *known == name);
    found.map(|(name, file, text)| Scenario::from_toml(name, &file, text)).transpose()
}

/// Every shipped suite, by name.
///
/// # Errors
/// When a shipped file is malformed.
pub fn shipped_suites() -> Result<Vec<Suite>, InputError> {
    texts(&SUITES).into_iter().map(read_suite).collect()
}

fn read_suite((name, file, text): (&str, String, &str)) -> Result<Suite, InputError> {
    let parsed: SuiteFile = toml::from_str(text).map_err(|error| InputError::toml(&file, text, &error))?;
    let scenarios = parsed.scenarios.into_iter().map(SuiteScenario::from).collect();
    Ok(Suite { name: name.to_owned(), about: parsed.about, scenarios })
}

/// The shipped suite of that name.
///
/// # Errors
/// When a shipped file is malformed.
pub fn suite(name: &str) -> Result<Option<Suite>, InputError> {
    texts(&SUITES).into_iter().find(|(known, _, _)| *known == name).map(read_suite).transpose()
}

/// Name, shown file name and text of every TOML file of a folder, by name.
pub(super) fn texts(folder: &'static Dir<'static>) -> Vec<(&'static str, String, &'static str)> {
    let mut found: Vec<_> = folder
        .files()
        .filter(|file| file.path().extension().is_some_and(|extension| extension == "toml"))
        .filter_map(|file| {
            let name = file.path().file_stem()?.to_str()?;
            Some((name, format!("{name}.toml"), file.contents_utf8()?))
        })
        .collect();
    found.sort_by_key(|(name, _, _)| *name);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_matrix_has_at_most_eight_plans_a_loader() {
        let matrix = suite("matrix").unwrap().unwrap();
        let plans: Vec<_> = matrix.scenarios.iter().map(|scenario| scenario.once_over.len()).collect();
        assert!(plans.iter().all(|n| *n > 0), "a scenario that is not once over something has many plans: {plans:?}");
        assert!(plans.iter().sum::<usize>() <= 8, "{plans:?}");
    }

    #[test]
    fn every_scenario_of_a_suite_is_shipped_and_runs_where_the_suite_says() {
        for suite in shipped_suites().unwrap() {
            for SuiteScenario { name, once_over } in &suite.scenarios {
                let scenario = shipped_scenario(name).unwrap();
                let scenario = scenario.unwrap_or_else(|| panic!("suite {}: no scenario {name}", suite.name));
                assert!(
                    once_over.iter().all(|transport| scenario.runs_over(*transport)),
                    "suite {}: {name}",
                    suite.name
                );
            }
        }
    }
}
