//! Writes a scenario as a file that a person can read. What a file may leave out is left out.

use std::fmt::Display;
use std::time::Duration;

use toml::{Table, Value};

use crate::plan::scenario::since_streamable_http;
use crate::plan::step_file::DEFAULT_TOOL;
use crate::plan::{Invoked, Place, Scenario, ServerSpec, Step, StepDo, Until, WaitFor};

impl Scenario {
    /// Its file, with `comment` at the head. [`Scenario::from_toml`] reads the same scenario from it, apart from the line numbers of
    /// its steps.
    #[must_use]
    pub fn to_toml(&self, comment: &str) -> String {
        let mut text: String = comment.lines().map(|line| format!("# {line}").trim_end().to_owned() + "\n").collect();
        put(&mut text, "about", &self.about.as_str().into());
        if self.revisions != since_streamable_http() {
            put(&mut text, "revisions", &names(&self.revisions));
        }
        let narrowing = [
            ("transports", names(&self.transports)),
            ("sessions", names(&self.sessions)),
            ("contexts", names(&self.contexts)),
            ("needs", names(&self.needs.iter().map(|need| need.id()).collect::<Vec<_>>())),
        ];
        for (key, value) in narrowing.iter().filter(|(_, value)| value.as_array().is_some_and(|all| !all.is_empty())) {
            put(&mut text, key, value);
        }
        match self.servers.as_slice() {
            [one] => text.push_str(&format!("servers = [{}]\n", server(one))),
            several => {
                text.push_str("servers = [\n");
                several.iter().for_each(|one| text.push_str(&format!("  {},\n", server(one))));
                text.push_str("]\n");
            }
        }
        self.scripts.iter().for_each(|script| text.push_str(&script.to_toml()));
        for Step { action, place, line: _ } in &self.steps {
            text.push_str("[[step]]\n");
            put(&mut text, "do", &action.name().into());
            fields(action).iter().for_each(|(key, value)| put(&mut text, key, value));
            if *place != Place::main() {
                put(&mut text, "in", &place.to_string().into());
            }
        }
        text
    }
}

fn put(text: &mut String, key: &str, value: &Value) {
    text.push_str(&format!("{key} = {value}\n"));
}

fn names(values: &[impl Display]) -> Value {
    values.iter().map(|value| Value::from(value.to_string())).collect::<Vec<_>>().into()
}

/// A server as an inline table.
fn server(spec: &ServerSpec) -> Value {
    let ServerSpec { name, script, initially, wrapped, shutdown_behaviour } = spec;
    let mut table = Table::new();
    table.insert("name".to_owned(), name.as_str().into());
    table.insert("script".to_owned(), script.as_str().into());
    if !initially {
        table.insert("initially".to_owned(), false.into());
    }
    if *wrapped {
        table.insert("wrapped".to_owned(), true.into());
    }
    if let Some(behaviour) = shutdown_behaviour {
        table.insert("temperament".to_owned(), behaviour.to_string().into());
    }
    table.into()
}

/// The fields that belong to the action of a step.
fn fields(action: &StepDo) -> Vec<(&'static str, Value)> {
    let some = |key, names: &[String]| (!names.is_empty()).then(|| (key, self::names(names)));
    let mut fields: Vec<(&'static str, Value)> = match action {
        StepDo::Load(_) | StepDo::Rerun(_) | StepDo::List(_) | StepDo::Close(_) => Vec::new(),
        StepDo::Collect | StepDo::DropContext | StepDo::Exit => Vec::new(),
        StepDo::Reload { remove, add, change, .. } => {
            [some("remove", remove), some("add", add), some("change", change)].into_iter().flatten().collect()
        }
        StepDo::Call { server, tool, .. } => {
            let tool = (tool != DEFAULT_TOOL).then(|| ("tool", tool.as_str().into()));
            std::iter::once(("server", server.as_str().into())).chain(tool).collect()
        }
        StepDo::Cancel { operation } => vec![("operation", operation.as_str().into())],
        StepDo::Signal { signal } => vec![("signal", signal.as_str().into())],
        StepDo::OpenGate { gate } => vec![("gate", gate.as_str().into())],
        StepDo::KillServer { server } => vec![("server", server.as_str().into())],
        StepDo::Wait(wait) => vec![wait_field(wait)],
    };
    if let Some(Invoked { name, until, again }) = action.invoked() {
        fields.extend(name.as_ref().map(|name| ("as", name.as_str().into())));
        match until {
            Until::Completed => {}
            Until::InFlight => fields.push(("until", "in-flight".into())),
            Until::Invoked => fields.push(("until", "invoked".into())),
        }
        if *again > 0 {
            fields.push(("repeat", i64::from(*again + 1).into()));
        }
    }
    fields
}

fn wait_field(wait: &WaitFor) -> (&'static str, Value) {
    match wait {
        WaitFor::Idle(window) => ("for", duration(*window).into()),
        WaitFor::Operation(name) => ("operation", name.as_str().into()),
        WaitFor::Gate(gate) => ("gate", gate.as_str().into()),
        WaitFor::ServerEnd(server) => ("end-of", server.as_str().into()),
    }
}

fn duration(window: Duration) -> String {
    format!("{}ms", window.as_millis())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::plan::{PlaceKind, Revision, ShutdownBehaviour, Transport};

    /// What its file says: lines of a file are no part of a life.
    fn without_lines(mut scenario: Scenario) -> Scenario {
        scenario.steps.iter_mut().for_each(|step| step.line = 0);
        scenario
    }

    fn read(text: &str) -> Scenario {
        without_lines(Scenario::from_toml("x", "x.toml", text).unwrap_or_else(|error| panic!("{error}\n{text}")))
    }

    #[test]
    fn a_person_can_read_it() {
        let text = r#"about = 'Say "no".'
transports = ["stdio"]
needs = ["sends-delete"]
servers = [
  { name = "files", script = "own" },
  { name = "search", script = "polite", initially = false, wrapped = true, temperament = "stubborn" },
]
[script.own]
about = "Holds a call, and then dies."
[[script.own.rule]]
on = { request = "tools/call", nth = 2 }
do = [{ hold = "call" }, { die = { signal = "KILL" } }]
[[step]]
do = "load"
[[step]]
do = "call"
server = "files"
as = "c1"
until = "in-flight"
in = "thread:t1"
[[step]]
do = "wait"
for = "150ms"
[[step]]
do = "reload"
remove = ["files"]
add = ["search"]
[[step]]
do = "close"
"#;
        assert_eq!(read(text).to_toml(""), text);
        assert_eq!(read(text).to_toml("Two\n\nlines"), format!("# Two\n#\n# lines\n{text}"));
    }

    /// Scenarios with every kind of step and of field.
    fn scenario() -> impl Strategy<Value = Scenario> {
        let action = prop_oneof![
            (0u32..3).prop_map(|again| StepDo::Rerun(Invoked { again, ..Invoked::default() })),
            prop_oneof![Just(Until::Invoked), Just(Until::InFlight), Just(Until::Completed)]
                .prop_map(|until| StepDo::List(Invoked { until, ..Invoked::default() })),
            "[ -~]{0,5}".prop_map(|tool| StepDo::Call {
                server: "files".to_owned(),
                tool,
                invoked: Invoked::default()
            }),
            Just(StepDo::Close(Invoked::default())),
            Just(StepDo::Collect),
            Just(StepDo::DropContext),
            Just(StepDo::Exit),
            prop_oneof![Just("INT"), Just("TERM"), Just("HUP"), Just("KILL")]
                .prop_map(|signal| StepDo::Signal { signal: signal.to_owned() }),
            "[ -~é]{1,5}".prop_map(|gate| StepDo::OpenGate { gate }),
            "[ -~é]{1,5}".prop_map(|gate| StepDo::Wait(WaitFor::Gate(gate))),
            Just(StepDo::KillServer { server: "files".to_owned() }),
            (0u64..60_000).prop_map(|ms| StepDo::Wait(WaitFor::Idle(Duration::from_millis(ms)))),
            Just(StepDo::Wait(WaitFor::ServerEnd("files".to_owned()))),
            Just(StepDo::Wait(WaitFor::Operation("l0".to_owned()))),
            Just(StepDo::Cancel { operation: "l0".to_owned() }),
        ];
        let place = prop_oneof![
            Just(Place::main()),
            "[a-z]{1,3}".prop_map(|name| Place { kind: PlaceKind::CurrentThreadRuntime, name })
        ];
        let step = (action, place).prop_map(|(action, place)| Step { action, place, line: 0 });
        let behaviour =
            prop_oneof![Just(None), Just(Some(ShutdownBehaviour::Stubborn)), Just(Some(ShutdownBehaviour::Polite))];
        let server = (any::<bool>(), any::<bool>(), behaviour, "[ -~é]{1,8}");
        let revisions = prop_oneof![Just(vec![Revision::R20241105]), Just(since_streamable_http())];
        (proptest::collection::vec(step, 0..6), server, revisions, "[ -~é]{0,9}").prop_map(
            |(steps, (initially, wrapped, shutdown_behaviour, script), revisions, about)| {
                let files = ServerSpec { name: "files".to_owned(), script, initially, wrapped, shutdown_behaviour };
                let named = Invoked { name: Some("l0".to_owned()), ..Invoked::default() };
                let first = Step { action: StepDo::Load(named), place: Place::main(), line: 0 };
                Scenario {
                    name: "x".to_owned(),
                    about,
                    revisions,
                    transports: vec![Transport::Http],
                    sessions: vec![crate::plan::SessionPromise::Lazy],
                    contexts: vec![crate::plan::ContextKind::Loop],
                    needs: Vec::new(),
                    servers: vec![files.clone(), ServerSpec { name: "search".to_owned(), ..files }],
                    scripts: Vec::new(),
                    steps: std::iter::once(first).chain(steps).collect(),
                }
            },
        )
    }

    proptest! {
        #[test]
        fn a_scenario_is_read_back_as_it_was_written(scenario in scenario()) {
            prop_assert_eq!(read(&scenario.to_toml("seed 7")), scenario);
        }
    }
}
