//! CPU time, as the kernel accounts for it.

use std::fs;
use std::time::Duration;

use criterion::measurement::{Measurement, ValueFormatter, WallTime};
use rustix::time::{ClockId, clock_gettime};

/// Length of one tick of /proc: USER_HZ is 100 on every Linux that Rust's standard library supports.
const TICK: Duration = Duration::from_millis(10);

/// CPU time of this process so far.
pub fn own() -> Duration {
    let now = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).expect("below a second"))
}

/// CPU time of every descendant that was waited for, by its parent in turn.
///
/// The kernel adds it up in nanoseconds and shows it in ticks: exact to 20 ms, however many there were. So it is worth
/// reading around hundreds of children, never around one.
pub fn children() -> Duration {
    // cutime and cstime, fields 16 and 17 of the line, 14 and 15 behind the command.
    ticks("self", 13)
}

/// CPU time of one process by itself, be it ended and not yet waited for. Exact to 20 ms.
pub fn spent(pid: u32) -> Duration {
    // utime and stime.
    ticks(&pid.to_string(), 11)
}

/// Two neighbouring times of a process, added.
fn ticks(process: &str, n_fields_before: usize) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).expect("Linux shows the state of a process");
    let (_, fields) = stat.rsplit_once(')').expect("the command stands in parentheses");
    let ticks = fields.split_whitespace().skip(n_fields_before).take(2);
    TICK * ticks.map(|ticks| ticks.parse::<u32>().expect("a number")).sum::<u32>()
}

/// Tells criterion that its values are CPU time. The benches take it themselves, with `iter_custom`.
pub struct CpuTime(WallTime);

impl CpuTime {
    pub fn new() -> Self {
        Self(WallTime)
    }
}

impl Measurement for CpuTime {
    type Intermediate = Duration;
    type Value = Duration;

    fn start(&self) -> Duration {
        own()
    }

    fn end(&self, began: Duration) -> Duration {
        own() - began
    }

    fn add(&self, one: &Duration, other: &Duration) -> Duration {
        *one + *other
    }

    fn zero(&self) -> Duration {
        Duration::ZERO
    }

    fn to_f64(&self, value: &Duration) -> f64 {
        self.0.to_f64(value)
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        self.0.formatter()
    }
}
