//! A host whose contexts are tasks of one thread: the program of a simulated plan.

use std::collections::BTreeMap;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::loader::host::command::PlaceNames;
use crate::loader::host::contexts::work;
use crate::loader::host::operate::{Job, Operator, Taken};
use crate::loader::host::process::{EXIT_CLEANUP_LIMIT, LoaderFactory};
use crate::loader::host::reporting::{PanicsHere, Reporter};
use crate::loader::scopes::Scopes;
use crate::record::{AdapterHello, Dice, NearAdapter};

/// Most turns of other tasks before an operation begins.
const TURNS_MAX: u64 = 4;

/// Hosts one loader in the tasks of the runtime that polls it.
pub struct TaskHost {
    adapter: NearAdapter,
    dice: Dice,
}

impl TaskHost {
    /// What such a host offers, for the link to the recorder.
    #[must_use]
    pub fn hello(loader: &str) -> AdapterHello {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        AdapterHello {
            hello: 1,
            adapter: loader.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            language: "rust".to_owned(),
            pid: None,
            contexts: names(&["task"]),
            operations: names(&[
                "load",
                "call",
                "list",
                "cancel",
                "reload",
                "close",
                "collect",
                "probe",
                "drop-context",
            ]),
            observes: names(&["scopes", "panic"]),
            unobservable: Vec::new(),
            provokes: Vec::new(),
        }
    }

    /// A host that reports over `adapter`. How soon it begins an operation follows from `seed`.
    #[must_use]
    pub fn new(adapter: NearAdapter, seed: u64) -> Self {
        Self { adapter, dice: Dice::new(seed, "host") }
    }

    /// Reports the panics of this thread until the guard is dropped. Nothing prints them.
    #[must_use]
    pub fn report_panics_here(&self) -> PanicsHere {
        Reporter::new(Box::new(self.adapter.clone())).report_panics_here()
    }

    /// Hosts a loader until the driver requests the exit, and runs the cleanup that a program has for its end.
    pub async fn host(mut self, factory: &dyn LoaderFactory) {
        let reporter = Reporter::new(Box::new(self.adapter.clone()));
        reporter.number_this_thread();
        let loader = factory.fresh(Scopes::reported_to(Box::new(reporter.clone())));
        let operator = Operator::new(loader, reporter);
        let Some(mut commands) = self.adapter.take_commands() else { return };
        let mut contexts = TaskContexts::default();
        while let Some(command) = commands.recv().await {
            match operator.take(command) {
                Taken::Done => {}
                Taken::Run(place, job) => contexts.run(&place, self.later(job)),
                Taken::End(command) => {
                    contexts.end(&command.place).await;
                    operator.context_ended(&command);
                }
                Taken::Exit => break,
            }
        }
        let loader = operator.loader();
        // The wire shows whether the cleanup succeeded.
        drop(timeout(EXIT_CLEANUP_LIMIT, loader.close()).await);
        contexts.end_all().await;
    }

    /// A job that lets some other tasks go first.
    fn later(&mut self, job: Job) -> Job {
        let n_turns = self.dice.below(TURNS_MAX);
        Box::pin(async move {
            for _ in 0..n_turns {
                tokio::task::yield_now().await;
            }
            job.await;
        })
    }
}

/// The contexts, each a task.
#[derive(Default)]
struct TaskContexts {
    places: BTreeMap<PlaceNames, (mpsc::UnboundedSender<Job>, JoinHandle<()>)>,
}

impl TaskContexts {
    /// Runs a job in a context, after the context's earlier jobs.
    fn run(&mut self, names: &PlaceNames, job: Job) {
        let (jobs, _) = self.places.entry(names.clone()).or_insert_with(|| {
            let (jobs, queue) = mpsc::unbounded_channel();
            (jobs, tokio::spawn(work(queue)))
        });
        // A context whose task has panicked accepts no job. The operation then lacks a completion, and the checker judges that.
        let _ = jobs.send(job);
    }

    /// Aborts the task of a context.
    async fn end(&mut self, names: &PlaceNames) {
        if let Some((_, task)) = self.places.remove(names) {
            task.abort();
            // It was aborted or had ended before. Both are fine.
            let _ = task.await;
        }
    }

    async fn end_all(&mut self) {
        while let Some(names) = self.places.keys().next().cloned() {
            self.end(&names).await;
        }
    }
}
