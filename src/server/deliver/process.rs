//! Changes and ends of the server and its process.

use crate::history::{ServerEnd, WireEnd};
use crate::script::Death;
use crate::script::family::Process;
use crate::server::cause::Cause;
use crate::server::clients::Clients;
use crate::server::effect::{Effect, End};
use crate::server::scheduler::Scheduler;
use crate::server::task::{Next, Task, Wait};

/// A line of a flood on stderr.
const STDERR_LINE: &[u8] = b"mcp-mock: this line is written again and again, as a server in trouble does.\n";

/// Changes the server or its process, or ends it.
pub(super) fn deliver(change: Process<'_>, task: &mut Task, clients: &mut Clients, scheduler: &mut Scheduler) -> Next {
    match change {
        Process::Tools(tools) => clients.state.connections.advertise(task.place, tools),
        Process::Stderr(text) => return write_stderr(format!("{text}\n").into_bytes(), clients, scheduler),
        Process::StderrFlood(n_bytes) => {
            let bytes = STDERR_LINE.iter().copied().cycle().take(*n_bytes as usize).collect();
            return write_stderr(bytes, clients, scheduler);
        }
        Process::Freeze => return Next::Freeze,
        Process::Stop => clients.state.outbox.push(Effect::Stop),
        Process::Grandchild(grandchild) => clients.state.outbox.push(Effect::Spawn(*grandchild)),
        Process::Exit(code) => {
            clients.close_all(WireEnd::ByServer);
            return Next::End(Some(ServerEnd::Script), End::Exit(*code));
        }
        Process::Die(Death::Code(code)) => return Next::End(None, End::Exit(*code)),
        Process::Die(Death::Signal(signal)) => return Next::End(None, End::Signal(*signal)),
        Process::Ignore => {
            if let Some((lines, _)) = clients.lines().filter(|_| task.cause == Cause::Eof) {
                lines.ignore_eof();
            }
            task.settled = true;
        }
    }
    Next::Continue
}

fn write_stderr(bytes: Vec<u8>, clients: &mut Clients, scheduler: &mut Scheduler) -> Next {
    let then = scheduler.new_timer();
    clients.state.outbox.push(Effect::WriteStderr { bytes, then });
    Next::Hold(Wait::Timer(then))
}
