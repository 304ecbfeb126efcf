//! The bound between an idle window and a busy one. The driver samples by it, and the checker judges by it.

/// Most processor time of an idle window, in percent of one processor.
const IDLE_PERCENT_MAX: u128 = 30;

/// Longest time, in percent of a window, for which an idle thread is ready to run: each time that it wakes, it waits for its turn.
const RUNNABLE_PERCENT_MAX: u128 = 80;

/// A thread that wakes often and does nothing uses less than this, in percent of one processor.
const SPIN_PERCENT_MIN: u128 = 3;

/// Processor time of a window, in percent of one processor.
#[must_use]
pub fn cpu_percent(cpu_us: u64, window_us: u64) -> u128 {
    u128::from(cpu_us) * 100 / u128::from(window_us.max(1))
}

/// Whether a window used too much processor time to count as idle.
///
/// On a machine that is busy with other work, a loop without end gets little of a processor. Then it shows by a thread that is ready
/// to run nearly all the time: `runnable_us` is the time for which the busiest thread ran, or waited for a processor.
#[must_use]
pub fn is_busy(cpu_us: u64, runnable_us: u64, window_us: u64) -> bool {
    let percent = cpu_percent(cpu_us, window_us);
    let is_spinning = cpu_percent(runnable_us, window_us) > RUNNABLE_PERCENT_MAX && percent > SPIN_PERCENT_MIN;
    percent > IDLE_PERCENT_MAX || is_spinning
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thirty_percent_of_a_processor_is_idle_and_more_is_busy() {
        assert!(!is_busy(309, 309, 1_000));
        assert!(is_busy(310, 310, 1_000));
        assert!(!is_busy(0, 0, 0), "an empty window divides by nothing");
    }

    #[test]
    fn a_loop_that_gets_little_of_a_processor_is_busy_and_a_thread_that_only_wakes_often_is_not() {
        assert!(is_busy(150, 990, 1_000));
        assert!(!is_busy(150, 700, 1_000));
        assert!(!is_busy(20, 990, 1_000));
    }
}
