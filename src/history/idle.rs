//! The bound between an idle window and a busy one. The driver samples by it, and the checker judges by it.

/// Most processor time of an idle window, in percent of one processor.
const IDLE_PERCENT_MAX: u128 = 30;

/// Processor time of a window, in percent of one processor.
#[must_use]
pub fn cpu_percent(cpu_us: u64, window_us: u64) -> u128 {
    u128::from(cpu_us) * 100 / u128::from(window_us.max(1))
}

/// Whether a window used too much processor time to count as idle.
#[must_use]
pub fn is_busy(cpu_us: u64, window_us: u64) -> bool {
    cpu_percent(cpu_us, window_us) > IDLE_PERCENT_MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thirty_percent_of_a_processor_is_idle_and_more_is_busy() {
        assert!(!is_busy(309, 1_000));
        assert!(is_busy(310, 1_000));
        assert!(!is_busy(0, 0), "an empty window divides by nothing");
    }
}
