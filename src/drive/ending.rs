//! The end of a plan: the exit of the loader's process, the grace after it, and force if the process stays.

use serde_json::{Map, Value};
use tokio::time::Instant;

use crate::drive::adapter::Adapter;
use crate::drive::context::Context;
use crate::drive::operations::Operations;
use crate::drive::program::take_system_stacks;
use crate::history::{Channel, EventKind, LINK_LOST_CODE, Source};
use crate::life::{After, OUTPUT_BYTES_MAX, await_quiet_wire, await_vanishing, identify, read_head, uncaught};
use crate::plan::Framing;
use crate::record::Completion;
use crate::supervise::ProcessFacts;

/// Ends a plan and abandons its running operations.
pub(super) struct Ending<'d, 'a> {
    pub context: Context<'a>,
    pub operations: &'d mut Operations<'a>,
    /// Whether the adapter offers all that the scenario needs. Otherwise no fault was due.
    pub is_applicable: bool,
}

impl Ending<'_, '_> {
    /// The program ends by itself, or by the signal of a step.
    pub(super) async fn in_order(&mut self, exiting: bool) {
        if !exiting {
            self.context.note(EventKind::ExitRequested {});
            // Its completion is the end of the process.
            drop(self.operations.adapter.command("exit", Map::new()));
        }
        let limit = self.context.limits().exit;
        let end = tokio::select! {
            end = self.context.program.end(limit) => end,
            () = self.context.stage.environment.interruption() => return self.interrupted(),
        };
        if end.is_none() {
            if !self.context.program.is_broken() {
                let because = format!("the loader's process lived on for {} ms", limit.as_millis());
                self.context.stage.note_exit_limit(because);
            }
            return self.by_force("the program did not end").await;
        }
        self.context.stage.endpoint.adapter_gone(self.context.limits().settle).await;
        self.operations.abandon("the program ended");
        grace_after_exit(self.context).await;
        self.last_notes();
    }

    /// A limit was hit: the driver takes stacks first, then kills the tree. Nothing after that is the loader's fault.
    pub(super) async fn by_force(&mut self, because: &str) {
        if !self.context.program.is_lost() {
            take_stacks(self.context, &mut self.operations.adapter).await;
        }
        self.after_hang(because);
    }

    /// The plan is over, but a call still hangs: the driver kills the tree.
    pub(super) fn after_hang(&mut self, because: &str) {
        self.operations.abandon(because);
        self.context.stage.note_kill();
        self.last_notes();
    }

    /// The loader's process ended without a request, or the experiment broke.
    pub(super) async fn lost(&mut self) {
        let Context { stage, program, .. } = self.context;
        if stage.environment.is_interrupted() {
            return self.interrupted();
        }
        if program.end(self.context.limits().settle).await.is_none() && !program.is_broken() {
            stage.note_failed("the adapter's link ended while its process lives");
        }
        if program.end_now().is_some_and(|end| end.code == Some(LINK_LOST_CODE)) {
            stage.note_failed("the loader's adapter ended because it lost its link");
        }
        self.operations.abandon("the loader's process was lost");
        if program.end_now().is_some() && !program.is_broken() {
            grace_after_exit(self.context).await;
        }
        self.last_notes();
    }

    fn interrupted(&mut self) {
        self.context.stage.note_failed("the run was interrupted");
        self.operations.abandon("the run was interrupted");
        self.context.stage.note_kill();
    }

    /// Records the uncaught errors on the loader's stderr and the faults that did not happen.
    fn last_notes(&self) {
        let stage = self.context.stage;
        let bytes = stage.stderr.as_ref().map(|stderr| read_head(stderr, OUTPUT_BYTES_MAX)).unwrap_or_default();
        for text in uncaught(&String::from_utf8_lossy(&bytes)) {
            stage.note_system(EventKind::ErrorReported { channel: Channel::Stderr, text, code: Vec::new() });
        }
        if self.is_applicable {
            stage.note_undelivered(&self.context.input.scripts);
        }
    }
}

/// Records the stacks of the loader's process.
pub(super) async fn take_stacks(context: Context<'_>, adapter: &mut Adapter) {
    let reply = adapter.command("stacks", Map::new());
    if let Ok(Ok(Completion::Ok(reply))) = tokio::time::timeout(context.limits().stacks, reply).await {
        let text = reply.get("text").and_then(Value::as_str).unwrap_or_default().to_owned();
        // The lines where operations wait are for readers, and not every adapter can report them.
        let operations = reply.get("operations").cloned().map(serde_json::from_value).and_then(Result::ok);
        let (of, operations) = ("loader".to_owned(), operations.unwrap_or_default());
        context.stage.recorder.note(Source::Loader, EventKind::StacksTaken { of, text, operations });
    }
    take_system_stacks(context).await;
}

/// After a close, servers have the grace to end. Then the driver records those that are left.
pub(super) async fn grace_after_close(context: Context<'_>) {
    let stage = context.stage;
    stage.note(EventKind::GraceBegan { after: "close".to_owned() });
    let role = |process: &ProcessFacts| identify(&stage.endpoint, process).1;
    let matters = |process: &ProcessFacts| process.is_zombie() || role(process).starts_with("server:");
    for process in left_after(context, After::Close, matters).await {
        let (id, role) = identify(&stage.endpoint, &process);
        stage.note_system(if process.is_zombie() {
            EventKind::ProcessZombie { process: id, role }
        } else {
            EventKind::ProcessLeft { process: id, role }
        });
    }
    stage.note(EventKind::GraceExpired { after: "close".to_owned() });
}

/// After the exit, everything below the loader has the grace to end. Then the driver records the orphans.
async fn grace_after_exit(context: Context<'_>) {
    let stage = context.stage;
    stage.note(EventKind::GraceBegan { after: "exit".to_owned() });
    let left = left_after(context, After::Exit, |process| !process.is_zombie()).await;
    for process in left.iter().filter(|process| !process.is_zombie()) {
        let (id, role) = identify(&stage.endpoint, process);
        let (pid, command) = (Some(process.pid), Some(process.command.clone()));
        stage.note_system(EventKind::ProcessOrphan { process: id, role, pid, command });
    }
    stage.note(EventKind::GraceExpired { after: "exit".to_owned() });
}

/// Waits at most for the grace until no mock is linked, or no socket open over HTTP, and no process matters. Returns the rest.
async fn left_after(context: Context<'_>, after: After, matters: impl Fn(&ProcessFacts) -> bool) -> Vec<ProcessFacts> {
    let Context { input, stage, program } = context;
    let deadline = Instant::now() + context.limits().grace;
    match input.framing() {
        Framing::Http | Framing::Sse => await_quiet_wire(&stage.recorder, || program.is_lost(), after, deadline).await,
        Framing::Lines => {
            stage.endpoint.no_mock_left(context.limits().grace).await;
        }
    }
    match program.supervised() {
        Some(supervised) => await_vanishing(supervised, deadline, || false, matters).await,
        None => Vec::new(),
    }
}
