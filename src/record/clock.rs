//! The one clock of a plan.

use rustix::time::{ClockId, clock_gettime};

/// CLOCK_MONOTONIC in microseconds. Every process of this machine shares this clock.
#[must_use]
pub fn monotonic_us() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    // Monotonic time is never negative, and no machine runs for 2^64 microseconds.
    (now.tv_sec.unsigned_abs()) * 1_000_000 + now.tv_nsec.unsigned_abs() / 1_000
}
