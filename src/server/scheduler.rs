//! Tasks that wait: for a gate, a timer, another answer or the client.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;

use serde_json::Value;

use crate::script::Span;
use crate::server::cause::Place;
use crate::server::effect::TimerId;
use crate::server::task::{Task, Wait};

/// Most tasks held at once; beyond, nothing is held and the evidence counts as truncated.
const HELD_MAX: usize = 1_024;
/// Most bytes of held messages, except for the last one; beyond, nothing is held either.
const HELD_BYTES_MAX: usize = 64 << 20;

/// The tasks that wait, and the gates and timers that they wait for.
#[derive(Debug, Default)]
pub(super) struct Scheduler {
    held: Vec<(Wait, Task)>,
    open_gates: BTreeSet<String>,
    n_timers: u64,
    /// Timers that trigger rules.
    clocks: BTreeMap<TimerId, Span>,
}

impl Scheduler {
    pub(super) fn new_timer(&mut self) -> TimerId {
        let timer = TimerId(self.n_timers);
        self.n_timers += 1;
        timer
    }

    /// A timer that triggers the rules for this time.
    pub(super) fn start_clock(&mut self, time: Span) -> TimerId {
        let timer = self.new_timer();
        self.clocks.insert(timer, time);
        timer
    }

    /// The time whose rules this timer triggers, if it is such a timer. Each triggers once.
    pub(super) fn take_clock(&mut self, timer: TimerId) -> Option<Span> {
        self.clocks.remove(&timer)
    }

    /// Opens a gate, and returns whether it was closed before.
    pub(super) fn open_gate(&mut self, gate: &str) -> bool {
        self.open_gates.insert(gate.to_owned())
    }

    pub(super) fn is_open(&self, gate: &str) -> bool {
        self.open_gates.contains(gate)
    }

    pub(super) fn hold(&mut self, wait: Wait, task: Task) {
        self.held.push((wait, task));
    }

    /// Removes the tasks that wait for this, in the order in which they were held.
    pub(super) fn take_ready(&mut self, wait: &Wait) -> Vec<Task> {
        let all = mem::take(&mut self.held).into_iter();
        let (ready, held): (Vec<_>, Vec<_>) = all.partition(|(for_what, _)| for_what == wait);
        self.held = held;
        ready.into_iter().map(|(_, task)| task).collect()
    }

    /// Settles the held requests that a client cancels, and returns their places.
    pub(super) fn cancel(&mut self, connection: Option<u64>, request: &Value) -> Vec<Place> {
        let held = self.held.iter_mut().map(|(_, task)| task);
        let cancelled = held.filter(|task| task.may_be_cancelled(connection, request));
        let settle = |task: &mut Task| {
            task.settled = true;
            task.place
        };
        cancelled.map(settle).collect()
    }

    /// Why it cannot hold more, if it cannot. `n_other_bytes` are kept elsewhere and count as well.
    pub(super) fn why_full(&self, n_other_bytes: usize) -> Option<String> {
        if self.held.len() >= HELD_MAX {
            return Some(format!("{HELD_MAX} actions are held already"));
        }
        let n_bytes = self.held.iter().map(|(_, task)| task.weight).sum::<usize>() + n_other_bytes;
        (n_bytes >= HELD_BYTES_MAX).then(|| format!("{n_bytes} bytes of messages are held already"))
    }

    /// Drops all tasks.
    pub(super) fn clear(&mut self) {
        self.held.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use serde_json::{Value, json};

    use super::*;
    use crate::server::cause::Cause;

    fn call(id: u64) -> Task {
        let cause = Cause::Request { id: json!(id), method: "tools/call".to_owned(), params: Value::Null };
        Task::new(cause, Place::on(1), VecDeque::new())
    }

    #[test]
    fn tasks_become_ready_in_the_order_in_which_they_were_held() {
        let mut scheduler = Scheduler::default();
        let gate = |name: &str| Wait::Gate(name.to_owned());
        for (id, wait) in [(1, gate("a")), (2, gate("b")), (3, gate("a"))] {
            scheduler.hold(wait, call(id));
        }
        let ids = |tasks: Vec<Task>| tasks.into_iter().map(|task| task.cause).collect::<Vec<_>>();
        assert_eq!(ids(scheduler.take_ready(&gate("a"))), ids(vec![call(1), call(3)]));
        assert_eq!(ids(scheduler.take_ready(&gate("a"))), []);
        assert_eq!(ids(scheduler.take_ready(&gate("b"))), ids(vec![call(2)]));
    }

    #[test]
    fn a_cancelled_request_is_settled_on_its_own_connection_alone() {
        let mut scheduler = Scheduler::default();
        scheduler.hold(Wait::Answer(1), call(7));
        assert_eq!(scheduler.cancel(Some(2), &json!(7)), []);
        assert_eq!(scheduler.cancel(Some(1), &json!(7)), [Place::on(1)]);
        assert!(scheduler.take_ready(&Wait::Answer(1))[0].settled);
    }

    #[test]
    fn a_clock_triggers_once() {
        let mut scheduler = Scheduler::default();
        let time = Span(std::time::Duration::from_millis(5));
        let timer = scheduler.start_clock(time);
        assert_eq!((scheduler.take_clock(timer), scheduler.take_clock(timer)), (Some(time), None));
        assert_ne!(scheduler.new_timer(), timer);
    }

    #[test]
    fn what_is_held_is_bounded_in_number_and_in_bytes() {
        let mut scheduler = Scheduler::default();
        assert_eq!(scheduler.why_full(0), None);
        assert!(scheduler.why_full(HELD_BYTES_MAX).is_some());
        (0..HELD_MAX).for_each(|_| scheduler.hold(Wait::Work(1), call(1)));
        assert!(scheduler.why_full(0).is_some());
    }
}
