//! Contexts: the tasks, threads and runtimes in which a loader's operations run.
//!
//! A context is made when it is first named and kept until it is dropped. An operation runs in that very task or
//! thread, never in a fresh task: a hop that the scenario did not ask for would change what is being tested.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::thread::JoinHandle;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;

use crate::loader::host::command::{Flavour, PlaceNames};

/// One piece of work for a context.
pub(super) type Job = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Threads that drive the main runtime.
const MAIN_WORKERS: usize = 2;

/// Every context of one plan process.
pub(super) struct Contexts {
    main: Runtime,
    places: BTreeMap<PlaceNames, Place>,
}

enum Place {
    /// A task of the main runtime, or of a runtime of its own.
    Task { jobs: mpsc::UnboundedSender<Job>, task: tokio::task::JoinHandle<()>, runtime: Option<Runtime> },
    /// A thread that drives a runtime of its own while a job runs, and only then.
    Thread { jobs: std::sync::mpsc::Sender<Job>, thread: JoinHandle<()> },
}

impl Contexts {
    /// The main runtime, without any context yet.
    pub(super) fn new() -> io::Result<Self> {
        let main = Builder::new_multi_thread().worker_threads(MAIN_WORKERS).enable_all().build()?;
        Ok(Self { main, places: BTreeMap::new() })
    }

    /// Runs a job in a context, after the jobs that were given to it before.
    pub(super) fn run(&mut self, names: &PlaceNames, job: Job) -> io::Result<()> {
        if !self.places.contains_key(names) {
            let place = self.make(names)?;
            self.places.insert(names.clone(), place);
        }
        // A context whose task has panicked takes no job; its completion is missing then, which is what is judged.
        match self.places.get(names) {
            Some(Place::Task { jobs, .. }) => drop(jobs.send(job)),
            Some(Place::Thread { jobs, .. }) => drop(jobs.send(job)),
            None => {}
        }
        Ok(())
    }

    /// Ends a context: aborts its task, ends its thread, drops its runtime.
    pub(super) fn end(&mut self, names: &PlaceNames) {
        match self.places.remove(names) {
            Some(Place::Task { jobs, task, runtime }) => {
                drop(jobs);
                task.abort();
                match runtime {
                    Some(runtime) => drop(runtime),
                    // The result is that it was aborted, or that it had ended.
                    None => drop(self.main.block_on(task)),
                }
            }
            Some(Place::Thread { jobs, thread }) => {
                drop(jobs);
                // A panic was reported by the hook.
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

async fn work(mut queue: mpsc::UnboundedReceiver<Job>) {
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
