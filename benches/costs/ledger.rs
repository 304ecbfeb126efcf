//! All measurements, added up by name. The bounds are compared with these sums.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

/// CPU time and how many things it was spent on, by name.
#[derive(Default)]
pub struct Ledger {
    entries: RefCell<BTreeMap<&'static str, (Duration, u64)>>,
}

impl Ledger {
    pub fn add(&self, name: &'static str, cpu: Duration, n_things: u64) -> Duration {
        let mut entries = self.entries.borrow_mut();
        let entry = entries.entry(name).or_default();
        *entry = (entry.0 + cpu, entry.1 + n_things);
        cpu
    }

    /// Mean cost of one thing; nothing where it was not measured in this run.
    pub fn mean(&self, name: &'static str) -> Option<Duration> {
        let (cpu, n_things) = self.entries.borrow().get(name).copied()?;
        Some(Duration::from_secs_f64(cpu.as_secs_f64() / n_things as f64))
    }
}

/// Whether this part, or one inside or around it, is asked for: without a filter, all are.
pub fn is_wanted(part: &str) -> bool {
    let filters: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    filters.is_empty() || filters.iter().any(|filter| filter.starts_with(part) || part.starts_with(filter))
}

/// Tells a figure and its bound; whether it is kept.
pub fn at_most(what: &str, found: f64, bound: f64, unit: &str) -> bool {
    told(what, found, bound, unit, "at most", found <= bound)
}

/// Tells a figure and its bound; whether it is kept.
pub fn at_least(what: &str, found: f64, bound: f64, unit: &str) -> bool {
    told(what, found, bound, unit, "at least", found >= bound)
}

fn told(what: &str, found: f64, bound: f64, unit: &str, relation: &str, is_kept: bool) -> bool {
    let word = if is_kept { "kept" } else { "BROKEN" };
    println!("{word:<7} {what}: {found:.3} {unit}, {relation} {bound:.3}");
    is_kept
}
