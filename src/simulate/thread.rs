//! One thread and one paused runtime for each life, and a bound in real time.

use std::any::Any;
use std::io;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicIsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;

use crate::life::{Lived, RunEnvironment, record_near_life};
use crate::record::VirtualClock;
use crate::simulate::entropy::Seeded;
use crate::simulate::life::SimulatedLife;

/// How long a life may take in real time. Most take milliseconds, and virtual time costs none.
const REAL_LIMIT: Duration = Duration::from_secs(20);
/// Most threads that lives keep for ever. Each may occupy a core.
const STUCK_MAX: isize = 4;

/// Time that a thread may be blocked, in page faults for example.
const BLOCKED_MAX: Duration = Duration::from_millis(100);
/// CPU time of a thread, and time for which it waited for a core, in nanoseconds.
const SCHEDULED: &str = "/proc/thread-self/schedstat";

/// Lives that still keep their threads after their bound in real time. Below zero for a moment where one ends right at its bound.
static N_STUCK: AtomicIsize = AtomicIsize::new(0);

/// Why a life has no history.
#[derive(Debug, thiserror::Error)]
pub enum SimulateError {
    /// The system refused a thread or a runtime.
    #[error("the simulated plan cannot be set up: {0}")]
    Setup(#[from] io::Error),
    /// The loader blocks its thread, or computes for ever.
    #[error(
        "the loader kept its thread for {} s, and virtual time passes only while every task waits; the real tier can judge it",
        REAL_LIMIT.as_secs()
    )]
    Stuck,
    /// The loader blocked its thread.
    #[error("the loader blocked its thread for {} ms, in which virtual time stood still; the real tier can judge it", time.as_millis())]
    Blocked {
        /// For how long.
        time: Duration,
    },
    /// Too many lives before were stuck.
    #[error("{STUCK_MAX} simulated plans before kept their threads for ever")]
    TooManyStuck,
}

/// Lets a simulated life live on a thread of its own.
///
/// # Errors
/// When it has no history, because its loader blocks the thread.
///
/// # Panics
/// When our own part of the life panics. The panics of a loader are recorded.
pub async fn live(life: SimulatedLife, environment: &RunEnvironment) -> Result<Lived, SimulateError> {
    if N_STUCK.load(Ordering::Relaxed) >= STUCK_MAX {
        return Err(SimulateError::TooManyStuck);
    }
    let environment = environment.clone();
    within(REAL_LIMIT, move || live_here(&life, &environment)).await?
}

/// Does some work on a thread of its own, and leaves that thread to itself after a limit.
async fn within<T: Send + 'static>(
    limit: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, SimulateError> {
    let (done, result) = oneshot::channel();
    thread::Builder::new().name("life".to_owned()).spawn(move || {
        let result = std::panic::catch_unwind(AssertUnwindSafe(work));
        if let Err(_late) = done.send(result) {
            // It came after its limit, so its thread is free again.
            N_STUCK.fetch_sub(1, Ordering::Relaxed);
        }
    })?;
    let result = match tokio::time::timeout(limit, result).await {
        Ok(result) => result,
        Err(_) => {
            N_STUCK.fetch_add(1, Ordering::Relaxed);
            return Err(SimulateError::Stuck);
        }
    };
    match result {
        Ok(Ok(result)) => Ok(result),
        Ok(Err(panic)) => panic!("a simulated life panicked: {}", text_of(&*panic)),
        Err(_) => unreachable!("the thread of a life sends before it ends"),
    }
}

/// Lets a simulated life live on this thread, which is new, without a bound in real time.
///
/// # Errors
/// When the system refuses a runtime, or the loader blocked the thread.
pub fn live_here(life: &SimulatedLife, environment: &RunEnvironment) -> Result<Lived, SimulateError> {
    let (began, cpu) = (Instant::now(), thread_cpu());
    let _seeded = Seeded::begin(life.input.plan.seed);
    let runtime = runtime(life.input.plan.seed)?;
    let mut lived = runtime.block_on(async {
        let _clock = VirtualClock::begin();
        record_near_life(life, environment).await
    });
    drop(runtime);
    lived.cpu = Some(thread_cpu().saturating_sub(cpu));
    match blocked_since(began) {
        Some(time) => Err(SimulateError::Blocked { time }),
        None => Ok(lived),
    }
}

/// How long this thread, which began then, was blocked, if that is long. A thread that waits for a core is not blocked.
fn blocked_since(began: Instant) -> Option<Duration> {
    let wall = began.elapsed();
    if wall <= BLOCKED_MAX {
        return None;
    }
    let blocked = wall.saturating_sub(scheduled()?);
    (blocked > BLOCKED_MAX).then_some(blocked)
}

/// For how long this thread has run or waited for a core, as far as the system tells.
fn scheduled() -> Option<Duration> {
    let text = std::fs::read_to_string(SCHEDULED).ok()?;
    let mut nanos = text.split_whitespace().map(str::parse::<u64>);
    Some(Duration::from_nanos(nanos.next()?.ok()? + nanos.next()?.ok()?))
}

/// A paused runtime. Where the build allows it, its choices follow from the seed.
fn runtime(seed: u64) -> io::Result<Runtime> {
    let mut builder = Builder::new_current_thread();
    builder.enable_time().start_paused(true);
    #[cfg(tokio_unstable)]
    builder.rng_seed(tokio::runtime::RngSeed::from_bytes(&seed.to_le_bytes()));
    #[cfg(not(tokio_unstable))]
    let _ = seed;
    builder.build()
}

/// CPU time of this thread.
fn thread_cpu() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    let nanos = u32::try_from(now.tv_nsec).unwrap_or(0);
    Duration::new(now.tv_sec.unsigned_abs(), nanos)
}

fn text_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic without a text".to_owned())
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn a_life_that_keeps_its_thread_is_left_behind_until_it_ends() {
        let (release, held) = mpsc::channel::<()>();
        let (ended, end) = mpsc::channel();
        let stuck = within(Duration::from_millis(20), move || {
            held.recv().unwrap();
            ended.send(()).unwrap();
        });
        assert!(matches!(stuck.await, Err(SimulateError::Stuck)));
        assert_eq!(N_STUCK.load(Ordering::Relaxed), 1);
        assert_eq!(within(Duration::from_secs(20), || 7).await.unwrap(), 7);
        release.send(()).unwrap();
        end.recv().unwrap();
        // The thread counts itself free right after that.
        while N_STUCK.load(Ordering::Relaxed) > 0 {
            tokio::task::yield_now().await;
        }
    }
}
