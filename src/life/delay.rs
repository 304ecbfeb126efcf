//! How late the machine wakes this process.

use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use crate::history::{EventKind, Source};
use crate::record::Recorder;

/// Time between two measurements.
const DELAY_TICK: Duration = Duration::from_millis(25);
/// A delay is recorded when it exceeds the longest one so far by more than this, in microseconds.
const DELAY_STEP_US: u64 = 20_000;

/// Measures, until it is dropped, how late this process is woken. The bounds of a plan are timers of this process.
pub(super) struct DelaySampler {
    task: JoinHandle<()>,
}

impl DelaySampler {
    /// Measures from now on, into this history.
    pub(super) fn start(recorder: Recorder) -> Self {
        let task = tokio::spawn(async move {
            let mut worst_us = 0;
            loop {
                let due = Instant::now() + DELAY_TICK;
                tokio::time::sleep(DELAY_TICK).await;
                let delay_us = u64::try_from(due.elapsed().as_micros()).unwrap_or(u64::MAX);
                if delay_us > worst_us + DELAY_STEP_US {
                    worst_us = delay_us;
                    recorder.note(Source::Driver, EventKind::SchedulingDelayed { delay_us });
                }
            }
        });
        Self { task }
    }
}

impl Drop for DelaySampler {
    fn drop(&mut self) {
        self.task.abort();
    }
}
