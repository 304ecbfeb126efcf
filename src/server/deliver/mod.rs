//! Delivery of actions: one file per family, each with a match that names every member of the family.
//!
//! A new action does not compile until the file of its family delivers it.

mod answer;
mod endless;
mod event;
mod line;
mod malformed;
mod message;
mod pause;
mod process;
mod raw;
mod response;
mod session;

use crate::script::Action;
use crate::script::family::{Family, Silence};
use crate::server::clients::Clients;
use crate::server::scheduler::Scheduler;
use crate::server::task::{Next, Task};

/// Performs one action, and returns how its task continues.
pub(super) fn deliver(action: &Action, task: &mut Task, clients: &mut Clients, scheduler: &mut Scheduler) -> Next {
    match action.family() {
        Family::Pause(pause) => return pause::deliver(pause, task.place, clients, scheduler),
        Family::Endless(endless) => return endless::deliver(endless, task, clients, scheduler),
        Family::Process(change) => return process::deliver(change, task, clients, scheduler),
        Family::Answer(answer) => return answer::deliver(answer, task, clients),
        Family::MalformedMessage(defect) => malformed::deliver_message(defect, task, clients),
        Family::LongMessage(defect) => malformed::deliver_long(defect, task, clients),
        Family::MalformedLine(defect) => malformed::deliver_line(defect, task, clients),
        Family::MalformedEvent(event) => event::deliver_malformed(event, task, clients),
        Family::Message(message) => message::deliver(message, task, clients),
        Family::Line(line) => line::deliver(line, clients),
        Family::Response(response) => response::deliver(response, task, clients),
        Family::Session(session) => session::deliver(session, task, clients),
        Family::Event(event) => event::deliver(event, task, clients),
        Family::Raw(raw) => raw::deliver(raw, task, clients),
        // A request without an answer is settled by that alone.
        Family::Silence(Silence::Drop) => {}
    }
    Next::Continue
}
