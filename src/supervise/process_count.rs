//! Decides when a supervisor counts the processes of its tree.
//!
//! Reading the process table is the most expensive check, and not only for the reader. The kernel caches /proc entries
//! for each process and thread. Freeing them when a process exits makes a concurrent wait() spin.
//!
//! The number of tasks on the whole machine costs almost nothing to read. A tree cannot exceed its limit suddenly
//! without a jump in that number.

/// Checks between two counts on a quiet machine. At 25 ms per check, this is one second.
const CHECKS_PER_COUNT: u32 = 40;

/// Compares the machine's number of tasks between checks.
#[derive(Debug)]
pub(super) struct ProcessCount {
    jump: usize,
    n_tasks: usize,
    n_checks: u32,
}

impl ProcessCount {
    /// For a tree with this limit, on a machine that has `n_tasks` now.
    pub(super) fn new(processes_max: usize, n_tasks: usize) -> Self {
        // Half the limit, because other processes may end while the tree grows.
        Self { jump: processes_max / 2, n_tasks, n_checks: 0 }
    }

    /// Whether to count now: the number of tasks jumped, or the last count is a second old.
    pub(super) fn is_due(&mut self, n_tasks: usize) -> bool {
        let grown = n_tasks.saturating_sub(std::mem::replace(&mut self.n_tasks, n_tasks));
        self.n_checks += 1;
        let is_due = grown > self.jump || self.n_checks >= CHECKS_PER_COUNT;
        if is_due {
            self.n_checks = 0;
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quiet_machine_is_counted_now_and_then() {
        let mut process_count = ProcessCount::new(256, 1_000);
        let n_counts = (0..CHECKS_PER_COUNT * 3).filter(|_| process_count.is_due(1_000)).count();
        assert_eq!(n_counts, 3);
    }

    #[test]
    fn a_leap_is_counted_at_once_and_slow_growth_is_not() {
        let mut process_count = ProcessCount::new(256, 1_000);
        assert!(!process_count.is_due(1_128));
        assert!(!process_count.is_due(1_256));
        assert!(process_count.is_due(1_385));
        assert!(!process_count.is_due(900));
        assert!(process_count.is_due(1_029));
    }
}
