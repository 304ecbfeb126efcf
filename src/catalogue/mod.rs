//! The shipped data: scenarios, suites, loader descriptions, the glossary, and the files that foreign loaders need.
//!
//! Everything is embedded, so that an installed executable works from an empty directory. This module also writes
//! extracted files and reports atomically.

mod atomic_write;
mod cache;
mod glossary;
mod loaders;
mod scenarios;

pub use atomic_write::write_whole;
pub use cache::{CacheError, cache_folder, extract_node, extract_node_helper, extract_python};
pub use glossary::{Term, glossary};
pub use loaders::{LoaderName, shipped_baseline, shipped_loader, shipped_loaders};
pub use scenarios::{
    Suite, SuiteScenario, scenario_names, shipped_scenario, shipped_scenarios, shipped_suites, suite, suite_names,
};
