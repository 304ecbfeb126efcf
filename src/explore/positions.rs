//! The positions of a life: the messages that its servers received, and the boundaries between its steps.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::history::{EventKind, History, OpId};
use crate::plan::{Place, Scenario, StepDo};

/// Whether an event comes before a server answers, or after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    Before,
    After,
}

/// A message that a server received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Received {
    pub server: String,
    pub method: String,
    pub is_request: bool,
    /// Which of these messages it was on its connection, from 1.
    pub nth: u32,
    /// Which connection of its server it was, from 1; `None` where the server has no handshake.
    pub connection: Option<u32>,
    /// Position of the step whose operation was in flight.
    pub step: Option<usize>,
}

impl fmt::Display for Received {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.method)?;
        if self.nth > 1 {
            write!(f, " number {}", self.nth)?;
        }
        match self.connection {
            Some(number) if number > 1 => write!(f, " of connection {number} to {}", self.server),
            Some(_) | None => write!(f, " to {}", self.server),
        }
    }
}

/// Every message that a server received before the program was asked to end, once each.
pub(super) fn received(history: &History) -> Vec<Received> {
    let mut found: Vec<Received> = Vec::new();
    let mut counts: BTreeMap<(String, String, String), u32> = BTreeMap::new();
    // The connections of each server that began with a handshake, in order.
    let mut opened: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut step = None;
    let mut running: Vec<(OpId, Option<usize>)> = Vec::new();
    for event in history.events() {
        match &event.kind {
            EventKind::StepBegan { step: number, .. } => step = Some(*number as usize - 1),
            EventKind::OperationInvoked { operation, .. } => running.push((*operation, step)),
            EventKind::OperationCompleted { operation, .. } => running.retain(|(one, _)| one != operation),
            EventKind::ExitRequested {} => break,
            EventKind::WireReceived { connection, message } => {
                let (Some(server), Some(method)) = (event.source.server(), message.method()) else { continue };
                let (server, connection) = (server.to_owned(), format!("{} {connection}", event.source.to_name()));
                if message.is_request("initialize") {
                    let known = opened.entry(server.clone()).or_default();
                    if !known.contains(&connection) {
                        known.push(connection.clone());
                    }
                }
                let number = opened.get(&server).and_then(|all| all.iter().position(|one| *one == connection));
                let nth = counts.entry((server.clone(), connection, method.to_owned())).or_default();
                *nth += 1;
                let one = Received {
                    server,
                    method: method.to_owned(),
                    is_request: message.is_any_request(),
                    nth: *nth,
                    connection: number.and_then(|number| u32::try_from(number + 1).ok()),
                    step: running.last().and_then(|(_, step)| *step),
                };
                if !found.contains(&one) {
                    found.push(one);
                }
            }
            _ => {}
        }
    }
    found
}

/// The end of a step, with what may be struck there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Boundary {
    /// Number of steps before it.
    pub after: usize,
    /// The servers that are configured.
    pub servers: Vec<String>,
    /// The contexts that steps have used, without the main one.
    pub places: Vec<Place>,
}

/// The boundaries of a life: behind each step but those that end the program.
pub(super) fn boundaries(life: &Scenario) -> Vec<Boundary> {
    let mut servers: BTreeSet<String> =
        life.servers.iter().filter(|server| server.initially).map(|server| server.name.clone()).collect();
    let mut places: BTreeSet<Place> = BTreeSet::new();
    let mut found = Vec::new();
    for (index, step) in life.steps.iter().enumerate() {
        match &step.action {
            StepDo::Exit | StepDo::Signal { .. } => break,
            StepDo::Reload { remove, add, .. } => {
                servers.extend(add.iter().cloned());
                servers.retain(|name| !remove.contains(name));
            }
            StepDo::DropContext => {
                places.remove(&step.place);
            }
            StepDo::Load(_)
            | StepDo::Rerun(_)
            | StepDo::List(_)
            | StepDo::Call { .. }
            | StepDo::Close(_)
            | StepDo::Collect
            | StepDo::Cancel { .. }
            | StepDo::OpenGate { .. }
            | StepDo::KillServer { .. }
            | StepDo::Wait(_) => {}
        }
        if step.place != Place::main() && step.action != StepDo::DropContext {
            places.insert(step.place.clone());
        }
        found.push(Boundary {
            after: index + 1,
            servers: servers.iter().cloned().collect(),
            places: places.iter().cloned().collect(),
        });
    }
    found
}
