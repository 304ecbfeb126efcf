//! Pauses: what follows waits.

use crate::history::EventKind;
use crate::script::Span;
use crate::script::family::Pause;
use crate::server::cause::Place;
use crate::server::clients::Clients;
use crate::server::effect::Effect;
use crate::server::scheduler::Scheduler;
use crate::server::task::{Next, Wait};

/// Holds what follows at a place.
pub(super) fn deliver(pause: Pause<'_>, place: Place, clients: &mut Clients, scheduler: &mut Scheduler) -> Next {
    let on_connection = |wait: fn(u64) -> Wait| place.connection.map_or(Next::Continue, |no| Next::Hold(wait(no)));
    match pause {
        Pause::Hold(gate) => {
            clients.state.outbox.journal(EventKind::GateReached { gate: gate.clone() });
            if scheduler.is_open(gate) { Next::Continue } else { Next::Hold(Wait::Gate(gate.clone())) }
        }
        Pause::Delay(Span(after)) => {
            let timer = scheduler.new_timer();
            clients.state.outbox.push(Effect::SetTimer { timer, after: *after });
            Next::Hold(Wait::Timer(timer))
        }
        Pause::AwaitResponse => on_connection(Wait::Response),
        Pause::Reorder => on_connection(Wait::Answer),
    }
}
