//! Sweeps: one event at every position of a scenario's life.
//!
//! The life is run once as it is. Its positions are the messages that its servers received, before and after their answers, and the
//! boundaries between its steps. Each position gives a life of its own, in which a gate or the server itself forces the order.

use std::collections::BTreeMap;
use std::fmt;

use toml::{Table, Value};

use crate::explore::positions::{Boundary, Moment, Received, boundaries, received};
use crate::history::History;
use crate::plan::{Invoked, OwnScript, Place, PlaceKind, Scenario, ServerSpec, Step, StepDo, Until, WaitFor};
use crate::script::shipped_text;

/// The gate at which a mock holds a message for a sweep.
const GATE: &str = "sweep";
/// How long a pause is: longer than any step of a quick machine, and shorter than any bound of a loader.
const PAUSE: &str = "400ms";
/// The context of an event that another part of the program causes.
const OTHER: &str = "sweep";

/// An event that a sweep puts at every position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SweepEvent {
    /// The caller cancels the operation that is in flight.
    Cancel,
    /// Another context calls cleanup.
    Close,
    /// The server dies.
    Die,
    /// The context of the operation ends.
    Drop,
    /// The server is silent for a moment.
    Pause,
}

impl SweepEvent {
    /// Every event.
    pub const ALL: [Self; 5] = [Self::Cancel, Self::Close, Self::Die, Self::Drop, Self::Pause];

    /// Its name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Cancel => "cancel",
            Self::Close => "close",
            Self::Die => "die",
            Self::Drop => "drop",
            Self::Pause => "pause",
        }
    }
}

impl fmt::Display for SweepEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The life of a scenario with an event at each position of `history`, which is the history of that life.
pub(super) fn lives(life: &Scenario, history: &History, events: &[SweepEvent]) -> Vec<Scenario> {
    let mut found = Vec::new();
    for event in events {
        let before = found.len();
        for one in received(history) {
            for moment in [Moment::Before, Moment::After] {
                found.extend(at_message(life, *event, &one, moment));
            }
        }
        for boundary in boundaries(life) {
            found.extend(at_boundary(life, *event, &boundary));
        }
        for (number, one) in found[before..].iter_mut().enumerate() {
            one.name = format!("{}-{event}-{}", life.name, number + 1);
        }
    }
    found
}

/// The life with an event while a server has a message, or once it has answered it. `None` where the event cannot happen there.
fn at_message(life: &Scenario, event: SweepEvent, at: &Received, moment: Moment) -> Option<Scenario> {
    let answered = matches!(moment, Moment::After);
    // Only a request has an answer.
    if answered && !at.is_request {
        return None;
    }
    let actions = match (event, answered) {
        (SweepEvent::Die, true) => vec![Value::from("answer"), die()],
        (SweepEvent::Die, false) => vec![die()],
        (SweepEvent::Pause, false) if at.is_request => vec![one("delay", PAUSE.into())],
        (SweepEvent::Cancel | SweepEvent::Close | SweepEvent::Drop, false) if at.is_request => {
            vec![one("hold", GATE.into())]
        }
        (SweepEvent::Cancel | SweepEvent::Close | SweepEvent::Drop | SweepEvent::Pause, _) => return None,
    };
    let mut swept = with_rule(life, at, actions)?;
    match event {
        SweepEvent::Die | SweepEvent::Pause => {}
        SweepEvent::Cancel | SweepEvent::Close | SweepEvent::Drop => interrupt(&mut swept, event, at)?,
    }
    let when = if answered { "after its answer to" } else { "at" };
    swept.about = format!("{}: {} {when} {at}.", life.name, sentence(event, &at.server));
    Some(swept)
}

fn sentence(event: SweepEvent, server: &str) -> String {
    match event {
        SweepEvent::Cancel => "the caller cancels".to_owned(),
        SweepEvent::Close => "another task calls cleanup".to_owned(),
        SweepEvent::Die => format!("server {server} dies"),
        SweepEvent::Drop => "the context of the operation ends".to_owned(),
        SweepEvent::Pause => format!("server {server} is silent for {PAUSE}"),
    }
}

fn one(key: &str, value: Value) -> Value {
    Table::from_iter([(key.to_owned(), value)]).into()
}

fn die() -> Value {
    one("die", one("signal", "KILL".into()))
}

/// The life in which the server of a message has a rule for it, ahead of those of its script.
fn with_rule(life: &Scenario, at: &Received, actions: Vec<Value>) -> Option<Scenario> {
    let mut swept = life.clone();
    let server = swept.servers.iter_mut().find(|server| server.name == at.server)?;
    let mut script = table_of(life, server)?;
    let mut on = Table::new();
    on.insert(if at.is_request { "request" } else { "notification" }.to_owned(), at.method.as_str().into());
    on.insert("nth".to_owned(), i64::from(at.nth).into());
    if let Some(connection) = at.connection {
        on.insert("connection".to_owned(), i64::from(connection).into());
    }
    let rule = Table::from_iter([
        ("on".to_owned(), on.into()),
        ("do".to_owned(), actions.into()),
        // What came before may differ by then, such as which of two calls was first.
        ("optional".to_owned(), true.into()),
    ]);
    match script.entry("rule").or_insert_with(|| Value::Array(Vec::new())) {
        Value::Array(rules) => rules.insert(0, rule.into()),
        _ => return None,
    }
    let name = format!("{}-swept", at.server);
    swept.scripts.retain(|own| own.name() != name);
    server.script.clone_from(&name);
    swept.scripts.retain(|own| life_uses(&swept.servers, own.name()));
    swept.scripts.push(OwnScript::new(&name, script));
    Some(swept)
}

fn life_uses(servers: &[ServerSpec], script: &str) -> bool {
    servers.iter().any(|server| server.script == script)
}

fn table_of(life: &Scenario, server: &ServerSpec) -> Option<Table> {
    match life.scripts.iter().find(|own| own.name() == server.script) {
        Some(own) => Some(own.table().clone()),
        None => shipped_text(&server.script)?.parse().ok(),
    }
}

/// Lets a step run on at the gate, puts the event behind it, and opens the gate.
fn interrupt(life: &mut Scenario, event: SweepEvent, at: &Received) -> Option<()> {
    let index = at.step?;
    let step = life.steps.get_mut(index)?;
    let mut held = step.clone();
    let name = {
        let invoked = held.action.invoked_mut().filter(|invoked| invoked.again == 0)?;
        invoked.until = Until::Invoked;
        invoked.name.get_or_insert_with(|| GATE.to_owned()).clone()
    };
    let other = Place { kind: PlaceKind::Task, name: OTHER.to_owned() };
    if event == SweepEvent::Drop && held.place == Place::main() {
        // The main task is that of the program itself.
        held.place = other.clone();
    }
    let place = held.place.clone();
    let reloads = matches!(held.action, StepDo::Load(_) | StepDo::Rerun(_) | StepDo::Reload { .. });
    let again = (reloads && event != SweepEvent::Close).then(|| (StepDo::Rerun(Invoked::default()), Place::main()));
    let middle = match event {
        SweepEvent::Cancel => (StepDo::Cancel { operation: name }, Place::main()),
        SweepEvent::Close => (StepDo::Close(Invoked::default()), other),
        SweepEvent::Drop => (StepDo::DropContext, place.clone()),
        SweepEvent::Die | SweepEvent::Pause => return None,
    };
    let waits = (StepDo::Wait(WaitFor::Gate(GATE.to_owned())), Place::main());
    let opens = (StepDo::OpenGate { gate: GATE.to_owned() }, Place::main());
    let behind = [waits, middle, opens].into_iter().chain(again);
    let behind = behind.map(|(action, place)| Step { action, place, line: 0 });
    let mut rest = life.steps.split_off(index + 1);
    life.steps[index] = held;
    life.steps.extend(behind);
    if event == SweepEvent::Drop {
        // What would run in the context that has ended runs in the main one.
        rest.iter_mut().filter(|step| step.place == place).for_each(|step| step.place = Place::main());
    }
    life.steps.append(&mut rest);
    Some(())
}

/// The life with an event between two steps.
fn at_boundary(life: &Scenario, event: SweepEvent, at: &Boundary) -> Vec<Scenario> {
    let other = Place { kind: PlaceKind::Task, name: OTHER.to_owned() };
    let inserted: Vec<(StepDo, Place)> = match event {
        SweepEvent::Die => {
            at.servers.iter().map(|server| (StepDo::KillServer { server: server.clone() }, Place::main())).collect()
        }
        SweepEvent::Close => vec![(StepDo::Close(Invoked::default()), other)],
        SweepEvent::Drop => at.places.iter().map(|place| (StepDo::DropContext, place.clone())).collect(),
        // Nothing is in flight there.
        SweepEvent::Cancel | SweepEvent::Pause => Vec::new(),
    };
    let lives = inserted.into_iter().map(|(action, place)| {
        let mut swept = life.clone();
        swept.about = format!("{}: {action_name} after step {}.", life.name, at.after, action_name = action.name());
        if action == StepDo::DropContext {
            let later = swept.steps.iter_mut().skip(at.after).filter(|step| step.place == place);
            later.for_each(|step| step.place = Place::main());
        }
        swept.steps.insert(at.after, Step { action, place, line: 0 });
        swept
    });
    lives.collect()
}

/// Number of lives of each event.
pub(super) fn counted(lives: &[Scenario], life: &str, events: &[SweepEvent]) -> BTreeMap<String, usize> {
    let of = |event: &SweepEvent| {
        let name = format!("{life}-{event}-");
        (format!("{event} {life}"), lives.iter().filter(|one| one.name.starts_with(&name)).count())
    };
    events.iter().map(of).collect()
}
