//! Contexts: the tasks, threads and runtimes in which a loader's operations run.
//!
//! The first command that names a context creates it, and it lasts until `drop-context`. An operation runs in that very
//! task or thread, never in a new task. A context switch that the scenario does not contain would change the test.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::thread::JoinHandle;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;

use crate::loader::host::command::{Flavour, PlaceNames};
use crate::loader::host::operate::Job;

/// Number of threads that drive the main runtime.
const MAIN_WORKERS: usize = 2;

/// Every context of one plan process.
pub(super) struct Contexts {
    main: Runtime,
    places: BTreeMap<PlaceNames, Place>,
}

enum Place {
    /// A task of the main runtime, or of a runtime of its own.
    Task { jobs: mpsc::UnboundedSender<Job>, task: tokio::task::JoinHandle<()>, runtime: Option<Runtime> },
    /// A thread that drives its own runtime, only while a job runs.
    Thread { jobs: std::sync::mpsc::Sender<Job>, thread: JoinHandle<()> },
}

impl Contexts {
    /// Creates the main runtime, without contexts.
    pub(super) fn new() -> io::Result<Self> {
        let main = Builder::new_multi_thread().worker_threads(MAIN_WORKERS).enable_all().build()?;
        Ok(Self { main, places: BTreeMap::new() })
    }

    /// Runs a job in a context, after the context's earlier jobs.
    pub(super) fn run(&mut self, names: &PlaceNames, job: Job) -> io::Result<()> {
        if !self.places.contains_key(names) {
            let place = self.make(names)?;
            self.places.insert(names.clone(), place);
        }
        // A context whose task has panicked accepts no job. The operation then lacks a completion, and the checker
        // judges that.
        match self.places.get(names) {
            Some(Place::Task { jobs, .. }) => drop(jobs.send(job)),
            Some(Place::Thread { jobs, .. }) => drop(jobs.send(job)),
            None => {}
        }
        Ok(())
    }

    /// Ends a context: aborts its task, ends its thread or drops its runtime.
    pub(super) fn end(&mut self, names: &PlaceNames) {
        match self.places.remove(names) {
            Some(Place::Task { jobs, task, runtime }) => {
                drop(jobs);
                task.abort();
                match runtime {
                    Some(runtime) => drop(runtime),
                    // The task was aborted or had ended before. Both are fine.
                    None => drop(self.main.block_on(task)),
                }
            }
            Some(Place::Thread { jobs, thread }) => {
                drop(jobs);
                // The panic hook has already reported a panic.
                drop(thread.join());
            }
            None => {}
        }
    }

    /// Runs a future on the main runtime from the main thread.
    pub(super) fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.main.block_on(future)
    }

    fn make(&self, names: &PlaceNames) -> io::Result<Place> {
        if names.flavour == Flavour::CurrentThread || names.thread != "main" {
            return thread(names);
        }
        let (jobs, queue) = mpsc::unbounded_channel();
        if names.runtime == "main" {
            return Ok(Place::Task { jobs, task: self.main.spawn(work(queue)), runtime: None });
        }
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let task = runtime.spawn(work(queue));
        Ok(Place::Task { jobs, task, runtime: Some(runtime) })
    }
}

pub(super) async fn work(mut queue: mpsc::UnboundedReceiver<Job>) {
    while let Some(job) = queue.recv().await {
        job.await;
    }
}

fn thread(names: &PlaceNames) -> io::Result<Place> {
    let (jobs, queue) = std::sync::mpsc::channel::<Job>();
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let thread = std::thread::Builder::new().name(names.thread.clone()).spawn(move || {
        while let Ok(job) = queue.recv() {
            runtime.block_on(job);
        }
    })?;
    Ok(Place::Thread { jobs, thread })
}
