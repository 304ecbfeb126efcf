//! Warm starts: the loader's process of a launch is a fork of the supervisor's template.
//!
//! A supervisor owns at most one template. The template belongs to no tree: nothing counts, measures, reports or kills it
//! with a plan. It ends with its supervisor.

use std::fs::File;
use std::time::Duration;

use tokio_stream::StreamExt;

use crate::supervise::os;
use crate::supervise::protocol::{LaunchSpec, ProcessFacts, Request, RequestKind};
use crate::supervise::session::{Session, Turn};
use crate::supervise::template::{Forked, Template, TemplateError};
use crate::supervise::tree::{reap_child, sweep};

/// Maximum time for ending a template and what its imports have left.
const END_LIMIT: Duration = Duration::from_secs(2);

/// The result of using a template for one launch.
pub(super) enum Prepared {
    /// The launch wants a new process.
    Fresh,
    /// A fork waits for the launch.
    Warm(Forked),
    /// The launch gets a new process, because its template cannot be forked.
    Refused(TemplateError),
    /// The launch has no process: the reporting process ended it, or is gone.
    Stopped(Turn),
}

impl Session {
    /// Forks a process for a launch that may start warm. Starts the template first, where there is none.
    ///
    /// The end of the launch and of the lifeline interrupt this. A template that cannot be forked ends here.
    pub(super) async fn prepare(&mut self, spec: &LaunchSpec, files: &[File; 2]) -> Prepared {
        let Some(warm) = &spec.warm else { return Prepared::Fresh };
        let limit = Duration::from_millis(warm.ready_ms);
        let key = spec.template_key();
        if self.template.as_ref().is_some_and(|template| template.key() != key) {
            self.end_template().await;
        }
        let Self { template, requests, signals, .. } = self;
        let prepared = tokio::select! {
            forked = fork(template, key, limit, spec, files) => forked.map_or_else(Prepared::Refused, Prepared::Warm),
            line = requests.next() => Prepared::Stopped(match line {
                Some(Ok(line)) => turn_of(&line),
                Some(Err(_)) | None => Turn::End,
            }),
            _ = signals.term.recv() => Prepared::Stopped(Turn::End),
        };
        match prepared {
            Prepared::Warm(_) | Prepared::Fresh => {}
            Prepared::Refused(_) | Prepared::Stopped(_) => self.end_template().await,
        }
        prepared
    }

    /// Ends the template, with everything that its imports have left. The supervisor must have no tree.
    pub(super) async fn end_template(&mut self) {
        if self.template.take().is_some() {
            let before = os::children_cpu_ms();
            sweep(END_LIMIT, |_| true).await;
            self.cpu_ms += os::children_cpu_ms().saturating_sub(before);
        }
    }

    /// Reaps the template if it has ended. Its CPU time is not the tree's. The next launch finds that it is gone.
    pub(super) fn reap_template(&mut self) {
        let Some(pid) = self.template_pid() else { return };
        let before = os::children_cpu_ms();
        if reap_child(pid).is_some() {
            self.cpu_ms += os::children_cpu_ms().saturating_sub(before);
        }
    }

    /// The pid of the template, unless it was reaped.
    pub(super) fn template_pid(&self) -> Option<u32> {
        let template = self.template.as_ref()?;
        os::facts(template.pid()).filter(|process| template.is(process)).map(|process| process.pid)
    }

    /// Every process below this one except the template.
    pub(super) fn tree(&self) -> Vec<ProcessFacts> {
        let mut tree = os::descendants(std::process::id());
        tree.retain(|process| !self.is_template(process));
        tree
    }

    /// Whether a process is the template.
    pub(super) fn is_template(&self, process: &ProcessFacts) -> bool {
        self.template.as_ref().is_some_and(|template| template.is(process))
    }
}

async fn fork(
    template: &mut Option<Template>,
    key: String,
    limit: Duration,
    spec: &LaunchSpec,
    files: &[File; 2],
) -> Result<Forked, TemplateError> {
    let template = match template {
        Some(template) => template,
        None => template.insert(Template::start(spec, key)?),
    };
    template.ready(limit).await?;
    template.fork(spec, files).await
}

/// The meaning of a request while a launch is prepared. The only valid request is its end.
fn turn_of(line: &str) -> Turn {
    match serde_json::from_str(line) {
        Ok(Request { kind: RequestKind::End, .. }) => Turn::EndTree,
        Ok(_) | Err(_) => Turn::End,
    }
}
