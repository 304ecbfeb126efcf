//! Whether this user may start enough processes and threads for the plans that run at once.
//!
//! If a plan reached the limit of the system, mocks, supervisors and the runtime of this process would end, and a rule
//! could blame the loader for that. So this module tests the limit before a run, by starting as many threads: for the
//! kernel, a thread counts as much as a process.

use std::fs;
use std::path::Path;
use std::thread::{self, available_parallelism};

use rustix::process::{Resource, getrlimit};

use crate::run::RunError;

/// Processes and threads of this process without its plans: its runtime has one for each core, and a few for files.
const OWN: usize = 16;
/// Those of a plan without its servers: its supervisor, and its loader with a runtime.
const OF_A_PLAN: usize = 14;
/// Those of a server, with one that starts it and one that replaces it.
const OF_A_SERVER: usize = 4;
/// A limit that exceeds the need by more than this is not tested.
const PLENTY: u64 = 8_192;
/// Memory of a thread that does nothing.
const STACK_BYTES: usize = 16 << 10;

/// How many plans at once fit, at most `n_plans` of them, each with up to `n_servers` servers.
///
/// Call it before [`RunProcess::boot`](crate::run::RunProcess::boot), whose runtime needs threads.
///
/// # Errors
/// `Usage` when not one plan fits.
pub fn n_fitting_plans(n_plans: usize, n_servers: usize) -> Result<usize, RunError> {
    let own = OWN + available_parallelism().map_or(1, std::num::NonZero::get);
    let of_each = OF_A_PLAN + OF_A_SERVER * n_servers;
    let n_plans = n_plans.max(1);
    let needed = own + of_each * n_plans;
    if lowest_limit().is_none_or(|limit| limit > PLENTY + needed as u64) {
        return Ok(n_plans);
    }
    let room = room(needed);
    match room.saturating_sub(own) / of_each {
        0 => Err(RunError::usage(format!(
            "found room for {room} more processes and threads, expected at least {} for one plan with up to {n_servers} servers: \
             raise the limit (ulimit -u, or pids.max of the control group)",
            own + of_each
        ))),
        n_fitting => Ok(n_fitting.min(n_plans)),
    }
}

/// How many more threads this process may have now, at most `n_wanted`.
fn room(n_wanted: usize) -> usize {
    let mut threads = Vec::with_capacity(n_wanted);
    for _ in 0..n_wanted {
        match thread::Builder::new().stack_size(STACK_BYTES).spawn(thread::park) {
            Ok(started) => threads.push(started),
            Err(_) => break,
        }
    }
    let n_started = threads.len();
    for started in threads {
        started.thread().unpark();
        // Nothing in it can panic.
        let _ = started.join();
    }
    n_started
}

/// The lowest known limit of processes: of the user, or of a control group of this process. None if there is none.
fn lowest_limit() -> Option<u64> {
    let of_user = getrlimit(Resource::Nproc).current;
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let of_groups = groups.lines().filter_map(|line| {
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        let root = Path::new("/sys/fs/cgroup").join(controllers);
        let group = root.join(path.trim_start_matches('/'));
        let limits = group
            .ancestors()
            .take_while(|folder| folder.starts_with(&root))
            .filter_map(|folder| fs::read_to_string(folder.join("pids.max")).ok()?.trim().parse::<u64>().ok());
        limits.min()
    });
    of_groups.chain(of_user).min()
}

#[cfg(test)]
mod tests {
    use super::{n_fitting_plans, room};

    #[test]
    fn room_is_found_by_trying_and_given_back() {
        assert_eq!(room(40), 40);
        assert_eq!(room(0), 0);
        assert_eq!(n_fitting_plans(2, 1).unwrap(), 2);
    }
}
