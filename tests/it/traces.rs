//! `check` without the harness: journals, traces, and their agreement with `run`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use mcp_lifecheck::catalogue::shipped_loader;
use mcp_lifecheck::history::{EventKind, History, Origin, Source, event_to_line};
use mcp_lifecheck::loader::registered::is_built;
use mcp_lifecheck::plan::Transport;
use serde_json::{Value, json};

use crate::lanes::core_of_rust;
use crate::rig::{Ran, Rig};

/// Verdicts of every rule, by file or folder.
fn check(rig: &Rig, arguments: &[&str]) -> (Ran, Vec<Value>) {
    let ran = rig.finish(rig.command(&[&["check", "--format", "json"], arguments].concat()));
    let reports =
        serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {}{}", ran.stdout, ran.stderr));
    (ran, reports)
}

fn verdicts(report: &Value) -> BTreeMap<String, String> {
    serde_json::from_value(report["verdicts"].clone()).unwrap()
}

/// Loaders whose runs of suite `core` are judged again, and the exit code of each run.
const LIVED: [(&str, i32); 3] = [("reference", 0), ("rust-closed-early", 1), ("rust-run-per-step", 1)];

#[test]
fn check_gives_each_plan_the_verdicts_that_run_gave() {
    let (mut rigs, mut folders) = (Vec::new(), Vec::new());
    for (loader, code) in LIVED {
        let loader = shipped_loader(loader).unwrap().unwrap();
        let is_there = |transport: &&Transport| loader.lacking(**transport, is_built).is_none();
        for transport in loader.transports.iter().filter(is_there) {
            let (rig, ran) = core_of_rust(&loader.name, transport.as_str());
            assert_eq!(ran.code, code, "{} over {transport}: {}", loader.name, ran.stderr);
            let folder = |plan: &Value| rig.out().join(plan["id"].as_str().unwrap()).display().to_string();
            folders.extend(ran.plans().iter().map(folder));
            rigs.push(rig);
        }
    }
    assert!(folders.len() > 30, "{}", folders.len());
    let (checked, reports) = check(&rigs[0], &folders.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(checked.code, 1, "{}", checked.stderr);
    let without_repeat = |report: &Value| {
        let mut report = report.clone();
        report["findings"].as_array_mut().unwrap().iter_mut().for_each(|finding| finding["repeat"] = Value::Null);
        report
    };
    for (folder, again) in folders.iter().zip(&reports) {
        let text = fs::read_to_string(Path::new(folder).join("verdict.json")).unwrap();
        let first: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(without_repeat(&first), without_repeat(again), "{folder}");
        assert!(verdicts(&first).len() > 80, "{folder}");
    }
}

/// The events that a mock alone would have recorded, as its journal.
fn journal_of(history: &History) -> String {
    let mut header = history.header().clone();
    header.origin = Origin::Mock;
    let mut text = format!("{}\n", serde_json::to_string(&header).unwrap());
    let is_of_mock = |source: &Source, kind: &EventKind| {
        matches!(source, Source::Mock { .. }) || matches!(kind, EventKind::PlanEnded {})
    };
    let events = history.events().iter().filter(|event| is_of_mock(&event.source, &event.kind));
    for (index, event) in events.enumerate() {
        let mut event = event.clone();
        (event.seq.0, event.source) = match event.kind {
            EventKind::PlanEnded {} => (index as u64 + 1, Source::Recorder),
            _ => (index as u64 + 1, event.source),
        };
        text.push_str(&format!("{}\n", event_to_line(&event)));
    }
    text
}

/// What a proxy between the client and its servers would have recorded.
fn trace_of(history: &History) -> String {
    let mut text = String::new();
    for event in history.events() {
        let (direction, connection, message) = match &event.kind {
            EventKind::WireReceived { connection, message } => ("client-to-server", connection, message),
            EventKind::WireSent { connection, message } => ("server-to-client", connection, message),
            _ => continue,
        };
        let line = json!({
            "time_ms": event.at_us as f64 / 1e3,
            "direction": direction,
            "server": event.source.server(),
            "connection": connection,
            "transport": history.header().transport,
            "message": message,
        });
        text.push_str(&format!("{line}\n"));
    }
    text
}

#[test]
fn a_trace_of_the_messages_in_a_journal_gives_the_verdicts_of_the_journal() {
    let rig = Rig::new();
    let ran = rig.run(&[
        "load-call-close",
        "rerun-hop",
        "cancel-in-flight",
        "remove-first",
        "--loader",
        "reference",
        "--loader",
        "rust-run-per-step",
        "--transport",
        "stdio",
        "--transport",
        "http",
        "--polite-only",
    ]);
    let mut shown: BTreeMap<String, usize> = BTreeMap::new();
    for plan in ran.plans() {
        let id = plan["id"].as_str().unwrap();
        if plan["verdict"] == "not-applicable" || plan["verdict"] == "unavailable" {
            continue;
        }
        let history = rig.history(id);
        let journal = rig.file("journal.jsonl", &journal_of(&history));
        let trace = rig.file("trace.jsonl", &trace_of(&history));
        let (_, reports) = check(&rig, &[journal.to_str().unwrap(), trace.to_str().unwrap()]);
        let [of_journal, of_trace] = [verdicts(&reports[0]), verdicts(&reports[1])];
        let of_run: Value =
            serde_json::from_str(&fs::read_to_string(rig.out().join(id).join("verdict.json")).unwrap()).unwrap();
        let of_run = verdicts(&of_run);
        for (rule, verdict) in &of_trace {
            if verdict != "not-observable" {
                assert_eq!(Some(verdict), of_journal.get(rule), "{id}: {rule}");
                *shown.entry(rule.clone()).or_default() += usize::from(verdict == "pass");
            }
        }
        for (rule, verdict) in of_journal.iter().filter(|(_, verdict)| *verdict != "not-observable") {
            assert_eq!(Some(verdict), of_run.get(rule), "{id}: {rule}");
        }
        for hidden in ["load-succeeds", "nothing-survives", "scope-exit-explicit", "closed-stays-silent"] {
            assert_eq!([&of_journal[hidden], &of_trace[hidden]], ["not-observable"; 2], "{id}: {hidden}");
        }
    }
    for rule in ["handshake-order", "initialize-complete", "request-id-unique", "messages-well-formed", "methods-known"]
    {
        assert!(shown.get(rule).is_some_and(|n| *n > 0), "no trace shows {rule}: {shown:?}");
    }
}

const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"c","version":"1"}}}"#;
const ANSWER: &str = r#"{"jsonrpc":"2.0","id":0,"result":{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"s","version":"1"}}}"#;
const INITIALIZED: &str = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;

/// A trace with only what each line must have.
fn plain(messages: &[(&str, &str)]) -> String {
    messages
        .iter()
        .map(|(direction, message)| format!("{{\"direction\":\"{direction}\",\"message\":{message}}}\n"))
        .collect()
}

#[test]
fn a_plain_trace_passes_fails_or_is_inconclusive() {
    let call = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    let unknown = r#"{"jsonrpc":"2.0","id":2,"method":"tools/remove"}"#;
    let good = plain(&[("c2s", INITIALIZE), ("s2c", ANSWER), ("c2s", INITIALIZED), ("c2s", call)]);
    // Over HTTP, requests on two sockets have no order.
    let early = plain(&[("c2s", INITIALIZE), ("s2c", ANSWER), ("c2s", call), ("c2s", INITIALIZED)]);
    let early_over_lines = early.replacen('{', "{\"transport\":\"stdio\",", 1);
    let no_revision = plain(&[("c2s", &INITIALIZE.replace("\"protocolVersion\":\"2025-11-25\",", ""))]);
    let strange = plain(&[("c2s", INITIALIZE), ("s2c", ANSWER), ("c2s", INITIALIZED), ("c2s", unknown)]);
    let middle = plain(&[("c2s", call), ("c2s", r#"{"jsonrpc":"2.0","id":9,"result":{}}"#)]);
    for (text, code, rule, verdict) in [
        (good.as_str(), 0, "handshake-order", "pass"),
        (&early, 0, "handshake-order", "not-observable"),
        (&early_over_lines, 1, "handshake-order", "fail"),
        (&no_revision, 1, "initialize-complete", "fail"),
        (&strange, 0, "methods-known", "warn"),
        // What came before is not on record.
        (&middle, 0, "handshake-order", "not-observable"),
        (&middle, 0, "responses-match-requests", "not-observable"),
        (&middle, 0, "messages-well-formed", "pass"),
        (&good[..good.len() - 20], 3, "handshake-order", "pass"),
    ] {
        let rig = Rig::new();
        let file = rig.file("trace.jsonl", text);
        let (ran, reports) = check(&rig, &[file.to_str().unwrap(), "--from", "trace"]);
        assert_eq!(verdicts(&reports[0])[rule], verdict, "{rule}: {text}");
        assert_eq!(ran.code, code, "{text}{}", ran.stdout);
        // Without the flag, the first line says what it is.
        assert_eq!(check(&rig, &[file.to_str().unwrap()]).1, reports);
    }
}

#[test]
fn a_trace_says_what_it_cannot_show() {
    let rig = Rig::new();
    let file = rig.file("trace.jsonl", &plain(&[("c2s", INITIALIZE), ("s2c", ANSWER), ("c2s", INITIALIZED)]));
    let ran = rig.finish(rig.command(&["check", file.to_str().unwrap()]));
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    for expected in [
        "trace.jsonl: pass\n",
        " not observable in a trace\n",
        "  not observable: a trace does not show the operations of a loader:\n    ",
        "  not observable: a trace does not show HTTP exchanges, and they matter unless `transport` is stdio:\n    ",
    ] {
        assert!(ran.stdout.contains(expected), "expected {expected:?} in {}", ran.stdout);
    }
    let is_of_ids = |line: &&str| line.starts_with("    ");
    let long: Vec<_> = ran.stdout.lines().filter(is_of_ids).filter(|line| line.len() > 110).collect();
    assert!(long.is_empty(), "{long:#?}");
}

#[test]
fn what_is_no_trace_and_no_journal_is_refused_with_its_place() {
    let rig = Rig::new();
    let good = plain(&[("c2s", INITIALIZE)]);
    let history = {
        let ran = rig.run(&["load-call-close", "--polite-only", "--transport", "stdio"]);
        rig.history_text(&ran.id())
    };
    for (from, text, expected) in [
        ("trace", String::new(), "input.jsonl: found no message, expected"),
        ("trace", format!("{good}not json\n"), "input.jsonl:2:"),
        (
            "trace",
            format!("{good}{{\"direction\":\"up\",\"message\":{{}}}}\n"),
            "input.jsonl:2:2: found direction \"up\", expected",
        ),
        ("trace", format!("{good}{good}"), "input.jsonl:2:"),
        ("trace", history.clone(), "input.jsonl:1:1: found no `direction`, expected"),
        ("journal", history, "expected events of one mock: this is not a journal"),
        ("journal", good, "input.jsonl:1: found no `schema`"),
    ] {
        let file = rig.file("input.jsonl", &text);
        let ran = rig.finish(rig.command(&["check", file.to_str().unwrap(), "--from", from]));
        assert_eq!(ran.code, 2, "{from} {expected}: {}{}", ran.stdout, ran.stderr);
        assert!(ran.stderr.contains(expected), "expected {expected:?} in {}", ran.stderr);
    }
}
