//! The bound between an idle window and a busy one. The driver and the checker both use it.

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

/// Windows that a driver takes at least of a program that stays busy.
const WINDOWS_MIN: u32 = 4;
/// Time after which a driver takes no more windows than these.
const SETTLING_US: u64 = 3_000_000;

/// The windows of a program that nothing is asked of, until it is quiet or has had time to become so.
///
/// A runtime may compile code in the background once, after that code has run. That takes so much processor time, and not so many
/// windows: on a machine that is busy with other work, a window has little of it. A loop without end is busy in every window.
#[derive(Debug, Default)]
pub struct Settling {
    n_windows: u32,
    taken_us: u64,
    cpu_us: u64,
}

impl Settling {
    /// Takes one more window. Returns whether it is the last one, which counts.
    pub fn is_over(&mut self, is_quiet: bool, cpu_us: u64, window_us: u64) -> bool {
        self.n_windows += 1;
        self.taken_us = self.taken_us.saturating_add(window_us);
        let had_before = self.cpu_us;
        self.cpu_us = self.cpu_us.saturating_add(cpu_us);
        // One processor, for all windows but the last, and less what such a loop may lack of it on a machine of its own.
        let needed_us = u64::from(WINDOWS_MIN - 1).saturating_mul(window_us) * 8 / 10;
        let has_had_time = had_before >= needed_us || self.taken_us >= SETTLING_US;
        is_quiet || (self.n_windows >= WINDOWS_MIN && has_had_time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW_US: u64 = 150_000;

    /// The number of windows of a program that uses so much of a processor in each, and is quiet from one of them on.
    fn n_windows(percent: u64, quiet_from: u32) -> u32 {
        let mut settling = Settling::default();
        (1..).find(|n| settling.is_over(*n >= quiet_from, WINDOW_US * percent / 100, WINDOW_US)).unwrap()
    }

    #[test]
    fn a_loop_without_end_is_over_after_four_windows_with_a_processor_of_its_own() {
        assert_eq!(n_windows(100, u32::MAX), 4);
    }

    #[test]
    fn a_program_that_gets_little_of_a_processor_has_more_windows_to_become_quiet() {
        // 20 % of five windows are one window of a processor: 2.4 windows are needed.
        assert_eq!(n_windows(20, 6), 6);
        assert_eq!(n_windows(20, u32::MAX), 13);
        assert_eq!(n_windows(5, u32::MAX), 20, "3 s are 20 windows of 150 ms");
        assert_eq!(n_windows(0, 1), 1);
    }

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
