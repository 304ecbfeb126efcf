//! Whether the plans that are to run at once fit into the descriptors that this process may open.

use rustix::process::{Resource, getrlimit};

use crate::run::{RunError, Selected};

/// Descriptors of this process beside those of its plans: its streams, its runtime, its reports.
const OWN: u64 = 64;
/// Descriptors of a plan: its listener, the pipes and the handle of its supervisor, its history, the link of its loader, and
/// what is opened for a moment.
const OF_A_PLAN: u64 = 12;
/// Descriptors of a server: the link of its mock, that of the one it replaces, and one that dials.
const OF_A_SERVER: u64 = 3;

/// Says whether so many plans fit in at once; to be asked when the limit was raised as far as it can be.
///
/// A loader keeps the limit its users have: what it does when it meets that is a finding, not an error.
///
/// # Errors
/// `Usage` when they do not: what was found, what is needed, and how many would fit.
pub fn fit(selected: &[Selected], jobs: usize) -> Result<(), RunError> {
    let Some(limit) = getrlimit(Resource::Nofile).current else { return Ok(()) };
    let n_servers = selected.iter().map(|one| one.scripts.len()).max().unwrap_or(0);
    let n_plans = jobs.min(selected.len());
    match excess(limit, n_plans as u64, n_servers as u64) {
        None => Ok(()),
        Some(message) => Err(RunError::usage(message)),
    }
}

/// What is to be said where they do not fit.
fn excess(limit: u64, n_plans: u64, n_servers: u64) -> Option<String> {
    let of_each = OF_A_PLAN + OF_A_SERVER * n_servers;
    let needed = OWN + of_each * n_plans;
    if needed <= limit {
        return None;
    }
    let found = format!(
        "found a limit of {limit} open descriptors, expected at least {needed} for {n_plans} plans at once with up to {n_servers} \
         servers each"
    );
    Some(match limit.saturating_sub(OWN) / of_each {
        0 => format!("{found}: raise the limit (ulimit -n)"),
        n_fitting => format!("{found}: raise the limit (ulimit -n), or run fewer at once (--jobs {n_fitting})"),
    })
}

#[cfg(test)]
mod tests {
    use super::{OF_A_PLAN, OF_A_SERVER, OWN, excess};

    #[test]
    fn what_fits_is_allowed_and_what_does_not_is_told_how_to() {
        // Ten plans of two servers each.
        let needed = OWN + 10 * (OF_A_PLAN + 2 * OF_A_SERVER);
        assert_eq!(excess(needed, 10, 2), None);
        let told = excess(needed - 1, 10, 2).unwrap();
        assert!(
            told.contains(&format!("expected at least {needed} for 10 plans at once with up to 2 servers each")),
            "{told}"
        );
        assert!(told.ends_with("(--jobs 9)"), "{told}");
        assert!(excess(OWN, 1, 1).unwrap().ends_with("raise the limit (ulimit -n)"));
    }
}
