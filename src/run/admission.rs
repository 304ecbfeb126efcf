//! Decides when one more plan may start.
//!
//! A plan waits for most of its life, so many plans fit next to each other. One plan for each core may always run.
//!
//! A user who sets a number gets that many, one after another: plans that start in the same moment compete for the cores, then wait
//! at the same time and leave the cores idle, for as long as the run lasts. So each further plan starts once few tasks wait for a
//! core, or after a bound.
//!
//! Otherwise, a plan above the floor starts only while a core is idle and this process is woken on time. So when plans
//! need the processor, for example to start an interpreter, at most one plan for each core runs. The same holds for all
//! plans on a machine that other programs keep busy.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::supervise::n_runnable;

/// Most plans at once for each core, where the user sets no number.
///
/// Plans that wait all wake at some time. With more of them, the ones that wake together hold each other up for longer than a
/// loader's own bounds allow, wherever other programs need the cores as well.
const PLANS_PER_CORE_MAX: usize = 4;
/// Most plans at once, however many cores there are.
const PLANS_MAX: usize = 64;
/// Time between two looks at the machine.
const LOOK: Duration = Duration::from_millis(3);
/// A plan that started this recently counts as a busy core: its processes may not be runnable yet.
const STARTING: Duration = Duration::from_millis(10);
/// A look that comes this late shows that the machine is overloaded, or that a quota of CPU time is used up.
const LATE: Duration = Duration::from_millis(10);
/// Time without new plans above the floor after a late look.
const PAUSE: Duration = Duration::from_millis(50);
/// Runnable tasks for each core up to which the next plan of a fixed number starts at once.
const FEW: usize = 2;
/// Longest time before the next plan of a fixed number starts, however busy the machine is.
const PACE: Duration = Duration::from_millis(20);

/// How many cores this process may use.
fn n_cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// How many plans run at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Jobs {
    /// So many, however busy the machine is: the user set the number. They start one after another.
    Fixed(usize),
    /// As many as the machine has room for, at most this many.
    AsRoomAllows(usize),
}

impl Jobs {
    /// The behaviour of a run if the user sets no number.
    #[must_use]
    pub fn usual() -> Self {
        Self::AsRoomAllows((n_cores() * PLANS_PER_CORE_MAX).min(PLANS_MAX))
    }

    /// Whether other programs may keep plans from starting.
    fn depend_on_room(self) -> bool {
        match self {
            Self::Fixed(_) => false,
            Self::AsRoomAllows(_) => true,
        }
    }

    /// Most plans at once that never wait.
    #[must_use]
    pub fn max_busy(self) -> usize {
        self.max().min(n_cores())
    }

    /// Most plans at once.
    #[must_use]
    pub fn max(self) -> usize {
        match self {
            Self::Fixed(n) | Self::AsRoomAllows(n) => n.max(1),
        }
    }
}

/// Runnable tasks for each core above which a task that never waits may get less than 30 % of a core. An idle window cannot show then
/// that a loader is quiet.
const CROWD: usize = 3;
/// A crowd that lasts this long spoils a window: half the shortest one.
const CROWD_LASTS: Duration = Duration::from_millis(75);

/// Follows how busy the machine is, for one run.
pub(super) struct Admission {
    jobs: Jobs,
    n_cores: usize,
    /// When the plans of the last moments started.
    started: VecDeque<Instant>,
    /// When the last plan started.
    last_start: Option<Instant>,
    /// No plan above the floor starts before this instant.
    paused_until: Instant,
    look_due: Instant,
    /// Since when each look has met a crowd of this run's own making.
    crowded_since: Option<Instant>,
    /// How many looks met a crowd that lasted.
    n_crowded: u32,
}

/// One measurement of the machine.
#[derive(Debug, Clone, Copy)]
struct Look {
    now: Instant,
    /// How much later than planned the look came.
    late: Duration,
    /// Tasks that run or wait for a core, this process's own look excluded; `None` where the system does not say.
    n_runnable: Option<usize>,
}

impl Admission {
    /// For a run of this many plans at once.
    pub(super) fn new(jobs: Jobs) -> Self {
        Self::on_cores(jobs, n_cores(), Instant::now())
    }

    fn on_cores(jobs: Jobs, n_cores: usize, now: Instant) -> Self {
        Self {
            jobs,
            n_cores,
            started: VecDeque::new(),
            last_start: None,
            paused_until: now,
            look_due: now + LOOK,
            crowded_since: None,
            n_crowded: 0,
        }
    }

    /// How many plans come to run at once, however busy the machine is.
    pub(super) fn n_certain(&self) -> usize {
        match self.jobs {
            Jobs::Fixed(_) => self.jobs.max(),
            Jobs::AsRoomAllows(_) => self.floor_room(0),
        }
    }

    /// How many plans may start at once while `n_running` run, whatever the machine does.
    pub(super) fn floor_room(&self, n_running: usize) -> usize {
        self.jobs.max().min(self.n_cores).saturating_sub(n_running)
    }

    /// Whether looks are of use: a plan may start, or a crowd may form.
    pub(super) fn wants_look(&self, n_running: usize, n_waiting: usize) -> bool {
        let may_start = n_waiting > 0 && n_running < self.jobs.max();
        may_start || (self.jobs.depend_on_room() && n_running > self.n_cores)
    }

    /// How many looks met a lasting crowd so far. A plan that saw the number rise had too many neighbours for a measurement of CPU time.
    pub(super) fn n_crowded(&self) -> u32 {
        self.n_crowded
    }

    /// Waits until the next look is due, then says how many plans may start while `n_running` run.
    ///
    /// Cancel safe: a wait that is dropped is taken up by the next one.
    pub(super) async fn room(&mut self, n_running: usize) -> usize {
        tokio::time::sleep_until(self.look_due.into()).await;
        let now = Instant::now();
        let look = Look { now, late: now.saturating_duration_since(self.look_due), n_runnable: n_runnable() };
        self.look_due = now + LOOK;
        self.room_at(look, n_running)
    }

    fn room_at(&mut self, look: Look, n_running: usize) -> usize {
        if look.late >= LATE {
            self.paused_until = look.now + PAUSE;
        }
        self.started.retain(|started| look.now.saturating_duration_since(*started) < STARTING);
        let n_startable = if self.jobs.depend_on_room() {
            self.watch_crowd(look, n_running);
            let is_paused = look.now < self.paused_until;
            look.n_runnable.filter(|_| !is_paused).map_or(0, |n_runnable| self.n_below(self.n_cores, n_runnable))
        } else {
            let is_due = self.last_start.is_none_or(|last| look.now.saturating_duration_since(last) >= PACE);
            let n_below = look.n_runnable.map_or(0, |n_runnable| self.n_below(FEW * self.n_cores, n_runnable));
            n_below.max(usize::from(is_due))
        };
        n_startable.min(self.jobs.max().saturating_sub(n_running)).max(self.floor_room(n_running))
    }

    /// How many more tasks may be runnable, where each plan that has just started counts for one.
    fn n_below(&self, most: usize, n_runnable: usize) -> usize {
        most.saturating_sub(n_runnable.max(self.started.len()))
    }

    fn watch_crowd(&mut self, look: Look, n_running: usize) {
        let is_crowd = look.n_runnable.is_some_and(|n_runnable| n_runnable > CROWD * self.n_cores);
        if !is_crowd || n_running <= self.n_cores {
            self.crowded_since = None;
            return;
        }
        let since = *self.crowded_since.get_or_insert(look.now);
        if look.now.saturating_duration_since(since) >= CROWD_LASTS {
            self.n_crowded += 1;
        }
    }

    /// A plan starts now.
    pub(super) fn starts(&mut self) {
        let now = Instant::now();
        self.last_start = Some(now);
        self.started.push_back(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two cores, at most eight plans.
    fn admission(now: Instant) -> Admission {
        Admission::on_cores(Jobs::AsRoomAllows(8), 2, now)
    }

    fn look(now: Instant, n_runnable: usize) -> Look {
        Look { now, late: Duration::ZERO, n_runnable: Some(n_runnable) }
    }

    #[test]
    fn a_plan_for_each_core_runs_on_the_busiest_machine() {
        let now = Instant::now();
        let mut admission = admission(now);
        assert_eq!(admission.room_at(look(now, 100), 0), 2);
        assert_eq!(admission.room_at(look(now, 100), 1), 1);
        assert_eq!(admission.room_at(look(now, 100), 2), 0);
        assert_eq!(admission.room_at(Look { n_runnable: None, ..look(now, 0) }, 2), 0);
    }

    #[test]
    fn a_plan_more_starts_for_each_idle_core_up_to_the_bound() {
        let now = Instant::now();
        let mut admission = admission(now);
        assert_eq!(admission.room_at(look(now, 0), 2), 2);
        assert_eq!(admission.room_at(look(now, 1), 2), 1);
        assert_eq!(admission.room_at(look(now, 2), 2), 0);
        assert_eq!(admission.room_at(look(now, 0), 7), 1);
        assert_eq!(admission.room_at(look(now, 0), 8), 0);
    }

    #[test]
    fn a_plan_that_has_just_started_takes_a_core() {
        let now = Instant::now();
        let mut admission = admission(now);
        admission.starts();
        assert_eq!(admission.room_at(look(now, 0), 3), 1);
        admission.starts();
        assert_eq!(admission.room_at(look(now, 0), 4), 0);
        assert_eq!(admission.room_at(look(Instant::now() + STARTING, 0), 4), 2);
    }

    #[test]
    fn a_late_look_keeps_new_plans_back_for_a_while() {
        let now = Instant::now();
        let mut admission = admission(now);
        assert_eq!(admission.room_at(Look { late: LATE, ..look(now, 0) }, 2), 0);
        assert_eq!(admission.room_at(look(now + PAUSE / 2, 0), 2), 0);
        assert_eq!(admission.room_at(look(now + PAUSE / 2, 0), 1), 1);
        assert_eq!(admission.room_at(look(now + PAUSE, 0), 2), 2);
    }

    #[test]
    fn a_number_of_the_user_holds_on_the_busiest_machine() {
        let now = Instant::now();
        let mut admission = Admission::on_cores(Jobs::Fixed(48), 2, now);
        assert_eq!(admission.n_certain(), 48);
        assert_eq!(admission.room_at(look(now, 100), 0), 2);
        admission.starts();
        // On a busy machine one at a time, and each within a bound.
        let later = Instant::now();
        assert_eq!(admission.room_at(look(later, 100), 20), 0);
        assert_eq!(admission.room_at(look(later + PACE, 100), 20), 1);
        assert_eq!(admission.room_at(look(later + PACE, 100), 47), 1);
        assert_eq!(admission.room_at(look(later + PACE, 100), 48), 0);
        assert_eq!(admission.room_at(Look { n_runnable: None, ..look(later + PACE, 0) }, 20), 1);
        assert!(admission.wants_look(47, 500) && !admission.wants_look(48, 500) && !admission.wants_look(47, 0));
    }

    #[test]
    fn plans_of_a_fixed_number_start_while_few_tasks_wait_for_a_core() {
        let now = Instant::now();
        let mut admission = Admission::on_cores(Jobs::Fixed(48), 2, now);
        assert_eq!(admission.room_at(look(now, 0), 20), FEW * 2);
        assert_eq!(admission.room_at(look(now, 0), 47), 1);
        admission.starts();
        admission.starts();
        assert_eq!(admission.room_at(look(now, 0), 20), FEW * 2 - 2);
        assert_eq!(admission.room_at(look(now, 3), 20), 1);
        assert_eq!(admission.room_at(look(now, 4), 20), 0);
    }

    #[test]
    fn one_job_is_one_plan() {
        let now = Instant::now();
        let mut admission = Admission::on_cores(Jobs::AsRoomAllows(1), 2, now);
        assert_eq!(admission.room_at(look(now, 0), 0), 1);
        assert_eq!(admission.room_at(look(now, 0), 1), 0);
        assert!(!admission.wants_look(1, 5));
    }

    #[test]
    fn only_a_lasting_crowd_of_its_own_plans_counts() {
        let now = Instant::now();
        let crowd = |admission: &mut Admission, n_runnable: usize, n_running: usize| {
            admission.room_at(look(now, n_runnable), n_running);
            admission.room_at(look(now + CROWD_LASTS, n_runnable), n_running);
            admission.n_crowded()
        };
        let mut admission = admission(now);
        assert_eq!(crowd(&mut admission, 100, 2), 0);
        assert_eq!(crowd(&mut admission, CROWD * 2, 3), 0);
        assert_eq!(crowd(&mut admission, CROWD * 2 + 1, 3), 1);
        admission.room_at(look(now, 0), 3);
        admission.room_at(look(now, 100), 3);
        assert_eq!(admission.n_crowded(), 1);
    }
}
