//! What is shipped: scenarios, suites, loader descriptions and the files that foreign loaders need.
//!
//! Everything is embedded, so that an installed executable works from an empty directory.

mod cache;
mod loaders;
mod scenarios;

pub use cache::{CacheError, cache_folder, extract_python};
pub use loaders::{LoaderName, shipped_loader, shipped_loaders};
pub use scenarios::{Suite, shipped_scenario, shipped_scenarios, shipped_suites, suite};
