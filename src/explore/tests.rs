//! Tests of lives that do not run.

use std::collections::BTreeSet;

use crate::explore::ground::{Narrowing, Optional, Palette};
use crate::explore::life::{LifeSettings, plans_of};
use crate::explore::lives::{Listed, Lives, Shard, Source};
use crate::explore::shrink::smaller;
use crate::explore::strategy::draw;
use crate::explore::sweep::{SweepEvent, lives};
use crate::history::{Event, EventKind, Header, History, Message, OpId, Seq, Source as From};
use crate::plan::{Descriptor, Limits, Place, Scenario, Step, StepDo, Transport};
use crate::run::select::Target;

fn target(promises: &str) -> Target {
    let text = format!(
        "name = \"l\"\nlane = \"python\"\ncommand = [\"x\"]\ntransports = [\"memory\", \"stdio\", \"http\"]\n[promises]\n{promises}"
    );
    let descriptor = Descriptor::from_toml("l.toml", &text).unwrap();
    let launch = Err("it is not started".to_owned());
    Target { name: "l".to_owned(), descriptor, stack: None, file: None, checkout: Vec::new(), launch }
}

fn settings() -> LifeSettings {
    LifeSettings { seed: 7, limits: Limits::default(), tier: None }
}

fn is_valid(life: &Scenario, target: &Target) -> bool {
    plans_of(life, target, &settings(), 1).is_ok_and(|plans| plans.len() == 1 && plans[0].misfit.is_none())
}

#[test]
fn every_drawn_life_is_valid_and_its_file_is_the_whole_of_it() {
    for promises in ["", "contexts = [\"task\"]"] {
        let target = target(promises);
        let palette = Palette::of(&target, &Narrowing::default()).unwrap();
        let (mut steps, mut scripts, mut grounds) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for case in 0..400 {
            let life = draw(&palette, 7, case);
            assert!(is_valid(&life, &target), "{}", life.to_toml(""));
            assert_eq!(Scenario::from_toml(&life.name, "x", &life.to_toml("")).map(without_lines).as_ref(), Ok(&life));
            assert_eq!(draw(&palette, 7, case), life);
            assert_ne!(draw(&palette, 8, case).steps, Vec::new());
            steps.extend(life.steps.iter().map(|step| step.action.name()));
            scripts.extend(life.servers.iter().map(|server| server.script.clone()));
            grounds.extend(life.transports);
        }
        let all =
            "call cancel close collect drop-context exit kill-server list load open-gate reload rerun signal wait";
        assert_eq!(steps.into_iter().collect::<Vec<_>>().join(" "), all);
        assert!(scripts.len() >= 80, "{scripts:?}");
        assert_eq!(grounds.len(), 3);
    }
}

fn without_lines(mut life: Scenario) -> Scenario {
    life.steps.iter_mut().for_each(|step| step.line = 0);
    life
}

#[test]
fn two_seeds_draw_different_lives() {
    let palette = Palette::of(&target(""), &Narrowing::default()).unwrap();
    let steps = |seed| (0..20).map(|case| draw(&palette, seed, case).steps).collect::<Vec<_>>();
    assert_ne!(steps(1), steps(2));
}

#[test]
fn a_user_narrows_the_lives_and_a_loader_that_lacks_a_step_has_none() {
    let target = target("contexts = [\"task\"]");
    let scripts = vec!["polite".to_owned(), "hold-call".to_owned()];
    let narrowing = Narrowing { transports: vec![Transport::Http], scripts, is_polite: true, ..Narrowing::default() };
    let mut palette = Palette::of(&target, &narrowing).unwrap();
    palette.offered = [Optional::List].into();
    for case in 0..200 {
        let life = draw(&palette, 0, case);
        assert_eq!(life.transports, [Transport::Http]);
        assert!(life.servers.iter().all(|server| ["polite", "hold-call"].contains(&server.script.as_str())));
        for step in &life.steps {
            assert!(!["cancel", "reload", "drop-context"].contains(&step.action.name()), "{step}");
            assert!(step.place.to_string().starts_with("task:"), "{step}");
        }
    }
    for (transports, script) in [(vec![Transport::Sse], "polite"), (Vec::new(), "polit")] {
        let narrowing = Narrowing { transports, scripts: vec![script.to_owned()], ..Narrowing::default() };
        let refused = Palette::of(&target, &narrowing).unwrap_err().to_string();
        assert!(refused.starts_with("found "), "{refused}");
    }
}

/// The smallest life that shows something, as a campaign finds it.
fn smallest(mut life: Scenario, shows: impl Fn(&Scenario) -> bool) -> Scenario {
    while let Some(next) = smaller(&life).into_iter().find(|candidate| shows(candidate)) {
        life = next;
    }
    life
}

#[test]
fn a_life_becomes_as_small_as_what_it_shows() {
    let target = target("");
    let palette = Palette::of(&target, &Narrowing::default()).unwrap();
    let has = |life: &Scenario, name: &str| life.steps.iter().any(|step| step.action.name() == name);
    let mut n_found = BTreeSet::new();
    for case in 0..100 {
        let life = draw(&palette, 3, case);
        // A cancellation needs the operation that it cancels; an opened gate a script that has it.
        for (name, n_steps) in [("cancel", 2), ("call", 1), ("kill-server", 1), ("drop-context", 1)] {
            let shows = |life: &Scenario| has(life, name) && is_valid(life, &target);
            if !shows(&life) {
                continue;
            }
            let small = smallest(life.clone(), shows);
            let text = small.to_toml("");
            assert_eq!((small.steps.len(), small.servers.len()), (n_steps, 1), "{text}");
            assert_eq!(small.servers[0].script, "polite", "{text}");
            assert!(name == "drop-context" || small.steps.iter().all(|step| step.place == Place::main()), "{text}");
            n_found.insert(name);
        }
    }
    assert_eq!(n_found.len(), 4, "{n_found:?}");
}

#[test]
fn shards_share_the_lives_and_none_is_in_two() {
    let palette = Palette::of(&target(""), &Narrowing::default()).unwrap();
    let names = |shard: &str, n_max| {
        let source = Source::Drawn { palettes: vec![palette.clone()], seed: 4 };
        let lives = Lives::new(source, shard.parse().unwrap(), Some(n_max));
        let (mut next, mut names) = (lives.first(), Vec::new());
        while let [_, ..] =
            lives.batch(&mut next, 3).iter().map(|(_, life)| names.push(life.name.clone())).collect::<Vec<_>>()[..]
        {
        }
        assert_eq!(lives.n_lives(), Some(names.len() as u64));
        names
    };
    let whole: BTreeSet<String> = names("1/1", 20).into_iter().collect();
    let shards: Vec<String> = ["1/3", "2/3", "3/3"].iter().flat_map(|shard| names(shard, 20)).collect();
    assert_eq!((whole.len(), shards.len()), (20, 20));
    assert_eq!(shards.into_iter().collect::<BTreeSet<_>>(), whole);
    for wrong in ["", "0/2", "3/2", "1/0", "one/2", "1"] {
        assert!(wrong.parse::<Shard>().is_err(), "{wrong}");
    }
}

const LIFE: &str = r#"
about = "A load, a call and cleanup."
transports = ["stdio"]
revisions = ["2025-11-25"]
servers = [{ name = "files", script = "hold-call", temperament = "polite" }]
[[step]]
do = "load"
[[step]]
do = "call"
server = "files"
as = "c1"
until = "in-flight"
in = "task:a"
[[step]]
do = "open-gate"
gate = "before-answer"
[[step]]
do = "close"
"#;

/// A history of that life: the load sends two messages, the call one.
fn history() -> History {
    let received = |body: serde_json::Value| EventKind::WireReceived {
        connection: crate::history::ConnectionId("c1".into()),
        message: Message::new(body),
    };
    let invoked = |number| EventKind::OperationInvoked {
        operation: OpId(number),
        action: crate::history::Action::Load,
        place: None,
        server: None,
        tool: None,
        servers: Default::default(),
        changed: Default::default(),
    };
    let request = |id: u32, method: &str| received(serde_json::json!({"jsonrpc": "2.0", "id": id, "method": method}));
    let began = |step| EventKind::StepBegan { step, about: String::new() };
    let mock = From::Mock { server: "files".to_owned(), incarnation: 1 };
    let kinds = [
        (From::Driver, began(1)),
        (From::Driver, invoked(1)),
        (mock.clone(), request(0, "initialize")),
        (mock.clone(), received(serde_json::json!({"jsonrpc": "2.0", "method": "notifications/initialized"}))),
        (
            From::Loader,
            EventKind::OperationCompleted { operation: OpId(1), outcome: serde_json::from_str("{\"ok\":{}}").unwrap() },
        ),
        (From::Driver, began(2)),
        (From::Driver, invoked(2)),
        (mock.clone(), request(1, "tools/call")),
        (From::Driver, EventKind::ExitRequested {}),
        (mock, request(2, "tools/list")),
    ];
    let event = |(seq, (source, kind))| Event { seq: Seq(seq), at_us: seq, source, kind };
    History::from_events(Header::new("test"), (1..).zip(kinds).map(event).collect()).unwrap()
}

#[test]
fn a_sweep_has_a_life_for_each_position() {
    let target = target("");
    let life = Scenario::from_toml("short", "x", LIFE).map(without_lines).unwrap();
    let swept = |event| lives(&life, &history(), &[event]);
    // Each of two requests, before its answer and after it; a notification; and behind each of four steps.
    for (event, n_lives) in [
        (SweepEvent::Die, 2 * 2 + 1 + 4),
        (SweepEvent::Close, 2 + 4),
        (SweepEvent::Cancel, 2),
        // The call runs in a task of its own, so three boundaries follow it.
        (SweepEvent::Drop, 2 + 3),
        (SweepEvent::Pause, 2),
    ] {
        let lives = swept(event);
        assert_eq!(lives.len(), n_lives, "{event}");
        let names: BTreeSet<&str> = lives.iter().map(|life| life.name.as_str()).collect();
        assert_eq!(names.len(), n_lives, "{names:?}");
        for one in &lives {
            assert!(is_valid(one, &target), "{}", one.to_toml(""));
            assert_ne!((&one.steps, &one.scripts), (&life.steps, &life.scripts), "{}", one.about);
        }
    }
    let cancelled = &swept(SweepEvent::Cancel)[1];
    assert_eq!(cancelled.about, "short: the caller cancels at tools/call to files.");
    let steps: Vec<String> = cancelled.steps.iter().map(Step::to_string).collect();
    let expected = [
        "load in task:main",
        "call files.read as c1 until invoked in task:a",
        "wait for gate sweep in task:main",
        "cancel c1 in task:main",
        "open-gate sweep in task:main",
        "open-gate before-answer in task:main",
        "close in task:main",
    ];
    assert_eq!(steps, expected);
    let text = cancelled.to_toml("");
    assert!(text.contains("on = { request = \"tools/call\", nth = 1, connection = 1 }"), "{text}");
    // The rules of its script are still there.
    assert!(text.contains("hold = \"before-answer\""), "{text}");
    assert!(matches!(swept(SweepEvent::Close)[0].steps[2].action, StepDo::Close(_)));
}

#[test]
fn a_life_of_a_list_knows_its_scenario() {
    let life = Scenario::from_toml("short", "x", LIFE).unwrap();
    let listed = Listed { target: 0, life: life.clone(), origin: "long".to_owned() };
    let source = Source::Listed { lives: vec![listed], positions: [("die long".to_owned(), 1)].into() };
    let lives = Lives::new(source, Shard::WHOLE, None);
    assert_eq!((lives.origin(&life), lives.n_lives()), (Some("long"), Some(1)));
    assert_eq!(lives.batch(&mut lives.first(), 9).len(), 1);
}
