//! Messages without end.

use crate::script::Span;
use crate::script::family::Endless;
use crate::server::clients::Clients;
use crate::server::deliver::message::report_progress;
use crate::server::effect::Effect;
use crate::server::scheduler::Scheduler;
use crate::server::task::{Next, Task};

/// Sends the next message, and repeats the action after its pause.
pub(super) fn deliver(endless: Endless<'_>, task: &mut Task, clients: &mut Clients, scheduler: &mut Scheduler) -> Next {
    match endless {
        Endless::ProgressForever(Span(after)) => {
            task.n_reports += 1;
            report_progress(task, task.n_reports, clients);
            let timer = scheduler.new_timer();
            clients.state.outbox.push(Effect::SetTimer { timer, after: *after });
            Next::Repeat(timer)
        }
    }
}
