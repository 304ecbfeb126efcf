//! Shipped scenarios and suites.

use include_dir::{Dir, include_dir};
use serde::Deserialize;

use crate::plan::{InputError, Scenario};

static SCENARIOS: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/fixtures/scenarios");
static SUITES: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/fixtures/suites");

/// A named list of scenarios.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suite {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub about: String,
    /// Names of its scenarios, in order.
    pub scenarios: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SuiteFile {
    about: String,
    scenarios: Vec<String>,
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
    let read = |(name, file, text): (&str, String, &str)| {
        let parsed: SuiteFile = toml::from_str(text).map_err(|error| InputError::toml(&file, text, &error))?;
        Ok(Suite { name: name.to_owned(), about: parsed.about, scenarios: parsed.scenarios })
    };
    texts(&SUITES).into_iter().map(read).collect()
}

/// The shipped suite of that name.
///
/// # Errors
/// When a shipped file is malformed.
pub fn suite(name: &str) -> Result<Option<Suite>, InputError> {
    Ok(shipped_suites()?.into_iter().find(|suite| suite.name == name))
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
