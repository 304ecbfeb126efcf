//! Names on the command line.

use std::path::PathBuf;

use crate::run::RunError;

/// Refuses two scenarios, or two loaders, of one name. A plan is named by them, so only one of the two would run.
pub(super) fn same_name(what: &str, name: &str, one: Option<PathBuf>, other: Option<PathBuf>) -> RunError {
    let origin = |file: Option<PathBuf>| file.map_or("the shipped one".to_owned(), |file| file.display().to_string());
    let (one, other) = (origin(one), origin(other));
    RunError::usage(format!("found two {what}s named {name:?} ({one} and {other}), expected names that differ"))
}

/// Whether a name on the command line means a file.
pub(super) fn is_file_name(name: &str) -> bool {
    name.ends_with(".toml") || name.contains('/')
}
