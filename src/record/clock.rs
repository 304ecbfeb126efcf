//! The one clock of a plan.

use std::cell::Cell;
use std::marker::PhantomData;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tokio::time::Instant;

thread_local! {
    /// When the virtual clock of this thread began; `None` where the system's clock counts.
    static VIRTUAL: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// CLOCK_MONOTONIC in microseconds. Every process of this machine shares this clock.
///
/// On a thread with a [`VirtualClock`], the microseconds since that clock began.
#[must_use]
pub fn monotonic_us() -> u64 {
    if let Some(began) = VIRTUAL.get() {
        return u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
    }
    let now = clock_gettime(ClockId::Monotonic);
    // Monotonic time is never negative, and no machine runs for 2^64 microseconds.
    (now.tv_sec.unsigned_abs()) * 1_000_000 + now.tv_nsec.unsigned_abs() / 1_000
}

/// While it exists, the time of this thread's runtime is the time of everything that this thread records.
///
/// A paused runtime has virtual time: it passes only while every task waits.
pub struct VirtualClock {
    /// It belongs to its thread.
    _here: PhantomData<*const ()>,
}

impl VirtualClock {
    /// Begins at zero. Call it inside the runtime whose time counts.
    #[must_use]
    pub fn begin() -> Self {
        VIRTUAL.set(Some(Instant::now()));
        Self { _here: PhantomData }
    }

    /// Waits until no other task of this thread can go on: virtual time does not pass before, and then passes at once.
    pub async fn others_wait() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

impl Drop for VirtualClock {
    fn drop(&mut self) {
        VIRTUAL.set(None);
    }
}
