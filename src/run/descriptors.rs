//! Whether enough file descriptors and processes are available for the plans that run at once.

use rustix::process::{Resource, getrlimit};

use crate::run::tasks::n_fitting_plans;
use crate::run::{Jobs, RunError, Selected};

/// Descriptors of this process without its plans: its streams, its runtime, its reports.
const OWN: u64 = 64;
/// Descriptors of a plan: its listener, the pipes and the handle of its supervisor, its history, the link of its loader, and
/// files that are open for a moment.
const OF_A_PLAN: u64 = 12;
/// Descriptors of a server: the link of its mock, that of the mock it replaces, and one that connects.
const OF_A_SERVER: u64 = 3;

/// How many plans may run at once: `requested`, or the usual number as far as it fits, also into `by_tasks`, the number that
/// [`n_fitting_plans`](crate::run::tasks::n_fitting_plans) gave. Call it after
/// [`RunProcess::boot`](crate::run::RunProcess::boot), which raises the limit.
///
/// Loaders keep the original limit. A loader that meets it produces a finding, not an error.
///
/// # Errors
/// `Usage` when the plans do not fit, with the needed limit and the number of plans that would fit.
pub fn fitting_jobs(selected: &[Selected], requested: Option<usize>, by_tasks: usize) -> Result<Jobs, RunError> {
    let jobs = match requested.map_or_else(Jobs::usual, Jobs::Fixed) {
        Jobs::Fixed(n_plans) => Jobs::Fixed(n_plans),
        Jobs::AsRoomAllows(n_max) => Jobs::AsRoomAllows(n_max.min(by_tasks)),
    };
    let Some(limit) = getrlimit(Resource::Nofile).current else { return Ok(jobs) };
    let n_servers = selected.iter().map(|one| one.scripts.len()).max().unwrap_or(0) as u64;
    let n_fitting = usize::try_from(n_fitting(limit, n_servers)).unwrap_or(usize::MAX);
    let jobs = match jobs {
        Jobs::Fixed(_) => jobs,
        Jobs::AsRoomAllows(n_max) => Jobs::AsRoomAllows(n_max.min(n_fitting)),
    };
    match excess(limit, jobs.max().min(selected.len()) as u64, n_servers) {
        None => Ok(jobs),
        Some(message) => Err(RunError::usage(message)),
    }
}

/// How many plans at once fit into the limit of processes, where `requested` or the usual number is asked for.
///
/// # Errors
/// `Usage` when `requested` does not fit, with the number of plans that would.
pub fn n_plans_by_tasks(selected: &[Selected], requested: Option<usize>) -> Result<usize, RunError> {
    let n_wanted = requested.map_or_else(Jobs::usual, Jobs::Fixed).max().min(selected.len());
    let n_servers = selected.iter().map(|one| one.scripts.len()).max().unwrap_or(0);
    let n_fitting = n_fitting_plans(n_wanted, n_servers)?;
    match requested {
        Some(_) if n_fitting < n_wanted => Err(RunError::usage(format!(
            "found room for the processes of {n_fitting} plans at once, expected it for {n_wanted}: raise the limit (ulimit -u, or \
             pids.max of the control group), or run fewer at once (--jobs {n_fitting})"
        ))),
        Some(_) | None => Ok(n_fitting),
    }
}

/// Descriptors of a plan with this many servers.
fn of_each(n_servers: u64) -> u64 {
    OF_A_PLAN + OF_A_SERVER * n_servers
}

/// How many plans fit into a limit.
fn n_fitting(limit: u64, n_servers: u64) -> u64 {
    limit.saturating_sub(OWN) / of_each(n_servers)
}

/// The message if they do not fit.
fn excess(limit: u64, n_plans: u64, n_servers: u64) -> Option<String> {
    let needed = OWN + of_each(n_servers) * n_plans;
    if needed <= limit {
        return None;
    }
    let found = format!(
        "found a limit of {limit} open descriptors, expected at least {needed} for {n_plans} plans at once with up to {n_servers} \
         servers each"
    );
    Some(match n_fitting(limit, n_servers) {
        0 => format!("{found}: raise the limit (ulimit -n)"),
        n_fitting => format!("{found}: raise the limit (ulimit -n), or run fewer at once (--jobs {n_fitting})"),
    })
}

#[cfg(test)]
mod tests {
    use super::{OF_A_PLAN, OF_A_SERVER, OWN, excess};

    #[test]
    fn plans_that_fit_are_allowed_and_others_learn_how_to_fit() {
        // Ten plans of two servers each.
        let needed = OWN + 10 * (OF_A_PLAN + 2 * OF_A_SERVER);
        assert_eq!(excess(needed, 10, 2), None);
        let message = excess(needed - 1, 10, 2).unwrap();
        assert!(
            message.contains(&format!("expected at least {needed} for 10 plans at once with up to 2 servers each")),
            "{message}"
        );
        assert!(message.ends_with("(--jobs 9)"), "{message}");
        assert!(excess(OWN, 1, 1).unwrap().ends_with("raise the limit (ulimit -n)"));
    }
}
