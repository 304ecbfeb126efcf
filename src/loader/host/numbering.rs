//! Numbers threads, runtimes and tasks in order of appearance.
//!
//! The system reuses its ids; this module never reuses a number.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use tokio::runtime::{Handle, RuntimeFlavor};

use crate::history::Context;

/// Numbers threads, runtimes and tasks. One for the whole process.
#[derive(Default)]
pub(super) struct Numbering {
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    n_threads: u32,
    runtimes: HashMap<tokio::runtime::Id, u32>,
    tasks: HashMap<tokio::task::Id, u32>,
    /// The thread that represents all workers of a work-stealing runtime.
    workers: HashMap<u32, u32>,
}

thread_local! {
    static THREAD: Cell<Option<u32>> = const { Cell::new(None) };
}

impl Numbering {
    /// The context of the caller.
    pub(super) fn here(&self) -> Context {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = &mut *seen;
        let thread = THREAD.with(|thread| {
            thread.get().unwrap_or_else(|| {
                seen.n_threads += 1;
                thread.set(Some(seen.n_threads));
                seen.n_threads
            })
        });
        let handle = Handle::try_current().ok();
        let runtime = handle.as_ref().map(|handle| next(&mut seen.runtimes, handle.id()));
        let task = tokio::task::try_id().map(|id| next(&mut seen.tasks, id));
        let steals = handle.is_some_and(|handle| handle.runtime_flavor() == RuntimeFlavor::MultiThread);
        match (task, runtime) {
            // A task of a work-stealing runtime continues on any free worker, so all workers count as one thread.
            (Some(_), Some(number)) if steals => {
                let thread = *seen.workers.entry(number).or_insert(thread);
                Context { thread, runtime, task }
            }
            _ => Context { thread, runtime, task },
        }
    }
}

fn next<K: std::hash::Hash + Eq>(numbers: &mut HashMap<K, u32>, key: K) -> u32 {
    let n_numbers = u32::try_from(numbers.len()).unwrap_or(u32::MAX);
    *numbers.entry(key).or_insert(n_numbers + 1)
}
