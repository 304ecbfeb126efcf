//! When the processes of a tree are worth counting.
//!
//! Reading the process table is by far the dearest look at a tree, and not for the reader alone: the kernel has to clear
//! away what it made up for each process and each thread that was looked at when that ends, and whoever waits for a
//! process meanwhile spins. How many tasks the whole machine has costs next to nothing, and a tree can not outgrow its limit
//! at once without that number leaping.

/// Looks from one count to the next, however quiet the machine is: a second.
const LOOKS_PER_COUNT: u32 = 40;

/// Follows how many tasks the machine has from one look to the next.
#[derive(Debug)]
pub(super) struct Headcount {
    leap: usize,
    n_tasks: usize,
    n_looks: u32,
}

impl Headcount {
    /// For a tree that may have so many processes, on a machine that has so many tasks now.
    pub(super) fn new(processes_max: usize, n_tasks: usize) -> Self {
        // Others may end while the tree grows, hence the half.
        Self { leap: processes_max / 2, n_tasks, n_looks: 0 }
    }

    /// Whether the tree may have leapt over its limit since the last look, or has not been counted for long.
    pub(super) fn is_due(&mut self, n_tasks: usize) -> bool {
        let grown = n_tasks.saturating_sub(std::mem::replace(&mut self.n_tasks, n_tasks));
        self.n_looks += 1;
        let is_due = grown > self.leap || self.n_looks >= LOOKS_PER_COUNT;
        if is_due {
            self.n_looks = 0;
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quiet_machine_is_counted_now_and_then() {
        let mut headcount = Headcount::new(256, 1_000);
        let n_counts = (0..LOOKS_PER_COUNT * 3).filter(|_| headcount.is_due(1_000)).count();
        assert_eq!(n_counts, 3);
    }

    #[test]
    fn a_leap_is_counted_at_once_and_slow_growth_is_not() {
        let mut headcount = Headcount::new(256, 1_000);
        assert!(!headcount.is_due(1_128));
        assert!(!headcount.is_due(1_256));
        assert!(headcount.is_due(1_385));
        assert!(!headcount.is_due(900));
        assert!(headcount.is_due(1_029));
    }
}
