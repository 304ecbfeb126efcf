//! Exit codes are a contract, and bad input says where it is bad.

use crate::rig::{Ran, Rig};

fn check(history: &str) -> Ran {
    let rig = Rig::new();
    let file = rig.file("history.jsonl", history);
    rig.finish(rig.command(&["check", file.to_str().unwrap()]))
}

/// A whole history of the reference loader.
fn recorded() -> String {
    let rig = Rig::new();
    let ran = rig.run(&["load-call-close", "--polite-only"]);
    assert_eq!(ran.code, 0, "{}", ran.stdout);
    let id = ran.report()["plans"][0]["id"].as_str().unwrap().to_owned();
    rig.history_text(&id)
}

#[test]
fn a_conforming_loader_is_zero_and_its_history_is_judged_the_same_later() {
    let ran = check(&recorded());
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
}

#[test]
fn a_violation_is_one() {
    let rig = Rig::new();
    let ran = rig.run(&["load-call-close", "--loader", "rust-closed-early"]);
    assert_eq!(ran.code, 1, "{}", ran.stdout);
}

#[test]
fn a_loader_that_cannot_be_run_is_three() {
    let rig = Rig::new();
    let mut command = rig.run_command(&["load-call-close", "--loader", "python-owner-task@mcp-1.30"]);
    command.env("MCP_LIFECHECK_CACHE", rig.out().join("empty-cache")).env("MCP_LIFECHECK_OFFLINE", "1");
    let ran = rig.finish(command);
    assert_eq!(ran.code, 3, "{}", ran.stdout);
    assert_eq!(ran.report()["plans"][0]["verdict"], "unavailable");
}

#[test]
fn usage_errors_are_two() {
    let rig = Rig::new();
    for arguments in [
        &["run", "no-such-scenario"][..],
        &["run", "--loader", "no-such-loader"],
        &["run", "--loader", "python-owner-task@no-such-stack"],
        &["run", "--limit", "no-such-limit=1s"],
        &["run", "--limit", "operation=soon"],
        &["run", "--revision", "1999-01-01"],
        &["run", "--no-such-flag"],
        &["run", "--loader", "python-mcp", "--python", "no-such-file"],
        &["run", "--loader", "python-mcp", "--with"],
        &["run", "--loader", "python-mcp", "--with=--pre"],
        &["run", "--loader", "python-mcp", "--with", "./no-such-folder"],
        &["run", "--loader", "python-mcp", "-e", "src"],
        &["run", "--loader", "python-mcp", "--python", "/bin/sh", "--with", "mcp"],
        &["run", "--loader", "python-mcp", "--node-modules", "src"],
        &["run", "--loader", "reference", "--python", "/bin/sh"],
        &["run", "--loader", "examples/no-such.toml", "--with", "mcp"],
        &["no-such-command"],
        &["list", "nothing"],
        &["explain", "no-such-id"],
        &["check"],
        &["check", "no-such-file"],
        &["check", "/"],
        &["host", "--transport", "sse", "--", "true"],
        &["replay", "no-such-file"],
        &["explore", "--loader", "no-such-loader"],
        &["explore", "--script", "no-such-script"],
        &["explore", "--scenario", "no-such-scenario"],
        &["explore", "--scenario", "load-call-close", "--sweep", "no-such-event"],
        &["explore", "--scenario", "stream-breaks", "--transport", "stdio"],
        &["explore", "--sweep", "die"],
        &["explore", "--depth", "3", "--scenario", "load-call-close"],
        &["explore", "--shard", "3/2"],
        &["explore", "--known", "no-such-file"],
        &["explore", "--cases", "0"],
    ] {
        let ran = rig.finish(rig.command(arguments));
        assert_eq!(ran.code, 2, "{arguments:?}: {}{}", ran.stdout, ran.stderr);
        assert!(!ran.stderr.is_empty(), "{arguments:?} says nothing");
        assert!(!ran.stderr.contains("panicked"), "{arguments:?}: {}", ran.stderr);
    }
}

#[test]
fn a_broken_scenario_says_where() {
    let head = "about = \"x\"\nservers = [{ name = \"files\", script = \"polite\" }]\n";
    for (text, position, expected) in [
        ("about = ", ":1:", "expected"),
        ("about = \"x\"\nservers = []\n[[step]]\ndo = \"load\"\n", ": ", "expected at least one"),
        (&format!("{head}[[step]]\ndo = \"fly\"\n"), ":4:6: unknown variant `fly`", "expected one of `load`, `call`"),
        (&format!("{head}[[step]]\ndo = \"call\"\n"), ":3:1: in step `call`", "missing field `server`"),
        (&format!("{head}[[step]]\ndo = \"call\"\nserver = \"other\"\n"), ":3", "expected one that `servers` declares"),
        (&format!("{head}[[step]]\ndo = \"load\"\nin = \"place:x\"\n"), ":5:6:", "expected task:NAME"),
        (&format!("{head}[[step]]\ndo = \"load\"\nspeed = 3\n"), ":5:", "unknown field"),
        (
            &format!("{head}[[step]]\ndo = \"load\"\nserver = \"files\"\n"),
            ":5:1: in step `load`",
            "unknown field `server`",
        ),
        (&format!("{head}[[step]]\ndo = \"cancel\"\noperation = \"c1\"\n"), ":3", "earlier step"),
        (&format!("{head}revisions = [\"1999-01-01\"]\n"), ":3:", "expected 2024-11-05"),
        (&format!("{head}[[step]]\ndo = \"load\"\nrepeat = 0\n"), ":5:10:", "found repeat = 0, expected 1 to 1000"),
        (&format!("{head}[[step]]\ndo = \"load\"\nrepeat = 1001\n"), ":5:10:", "expected 1 to 1000"),
        (&format!("{head}[[step]]\ndo = \"load\"\nrepeat = -1\n"), ":5:", "expected u32"),
        (&format!("{head}[[step]]\ndo = \"load\"\nrepeat = 2\nas = \"l1\"\n"), ":3:", "found `as` next to `repeat`"),
        (&format!("{head}[[step]]\ndo = \"load\"\nrepeat = 2\nuntil = \"invoked\"\n"), ":3:", "found `until` next to"),
        (&format!("{head}[[step]]\ndo = \"close\"\nrepeat = 2\n"), ":5:1: in step `close`", "unknown field `repeat`"),
        (
            &format!("{head}[[step]]\ndo = \"load\"\nchange = [\"files\"]\n"),
            ":5:1: in step `load`",
            "unknown field `change`",
        ),
        (&format!("{head}[[step]]\ndo = \"reload\"\nchange = [\"x\"]\n"), ":3", "expected one that `servers` declares"),
        (&format!("{head}[[step]]\ndo = \"load\"\nuntil = \"later\"\n"), ":5:", "`completed`, `in-flight`, `invoked`"),
        (
            &format!("{head}[[step]]\ndo = \"exit\"\nuntil = \"invoked\"\n"),
            ":5:1: in step `exit`",
            "unknown field `until`",
        ),
        (
            &format!("{head}transports = []\n[[step]]\ndo = \"load\"\n"),
            ":3:",
            "found no transport, expected at least one",
        ),
        (&format!("{head}transports = [\"smoke\"]\n"), ":3:", "`memory`, `stdio`, `http`, `sse`"),
        (
            "about = \"x\"\nservers = [{ name = \"files\", script = \"nice\" }]\n[[step]]\ndo = \"load\"\n",
            "",
            "expected a shipped one",
        ),
        (
            &format!("{head}[script.polite]\nabout = \"x\"\n[[step]]\ndo = \"load\"\n"),
            ":3:1: found script \"polite\"",
            "expected a name that no shipped script has",
        ),
        (
            &format!("{head}[script.own]\nabout = \"x\"\n[[step]]\ndo = \"load\"\n"),
            ":3:1: found script \"own\"",
            "expected one that a server of the scenario has",
        ),
        (
            "about = \"x\"\nservers = [{ name = \"files\", script = \"own\" }]\n[script.own]\nabout = \"x\"\n\
             [[script.own.rule]]\non = { start = true }\ndo = [\"dorp\"]\n[[step]]\ndo = \"load\"\n",
            ":7:7:",
            "expected one of",
        ),
    ] {
        let rig = Rig::new();
        let file = rig.file("scenario.toml", text);
        let ran = rig.finish(rig.command(&["run", file.to_str().unwrap()]));
        assert_eq!(ran.code, 2, "{text:?}: {}{}", ran.stdout, ran.stderr);
        assert!(
            ran.stderr.contains(&format!("scenario.toml{position}")) || position.is_empty(),
            "{text:?}: {}",
            ran.stderr
        );
        assert!(ran.stderr.contains(expected), "{text:?}: expected {expected:?} in {}", ran.stderr);
    }
}

#[test]
fn a_broken_loader_description_says_where() {
    for (text, expected) in [
        ("name = \"x\"\n", "missing field `lane`"),
        ("name = \"x\"\nlane = \"cobol\"\n", ":2:"),
        ("name = \"x\"\nlane = \"command\"\n", "expected the command"),
        ("name = \"x\"\nlane = \"command\"\ncommand = [\"x\"]\n[promises]\nsession = \"eternal\"\n", "eternal"),
        (
            "name = \"x\"\nlane = \"command\"\ncommand = [\"x\"]\n[promises]\ncall-bound = \"soon\"\n",
            "expected a duration",
        ),
    ] {
        let rig = Rig::new();
        let file = rig.file("loader.toml", text);
        let ran = rig.finish(rig.command(&["run", "--loader", file.to_str().unwrap()]));
        assert_eq!(ran.code, 2, "{text:?}: {}{}", ran.stdout, ran.stderr);
        assert!(ran.stderr.contains("loader.toml") && ran.stderr.contains(expected), "{text:?}: {}", ran.stderr);
    }
}

#[test]
fn a_broken_history_says_where() {
    let whole = recorded();
    let lines: Vec<&str> = whole.lines().collect();
    let cut = &whole[..whole.len() - 5];
    let mut reordered = lines.clone();
    reordered.swap(4, 5);
    let mut gap = lines.clone();
    gap.remove(3);
    for (text, expected) in [
        (String::new(), "empty file"),
        ("{}\n".to_owned(), ":1: found no `schema`"),
        ("{\"schema\":9}\n".to_owned(), ":1: found schema 9, expected 1"),
        ("not json\n".to_owned(), ":1:"),
        (cut.to_owned(), &format!(":{}", lines.len())),
        (reordered.join("\n") + "\n", ":5: found event #5, expected #4"),
        (gap.join("\n") + "\n", ":4: found event #4, expected #3"),
        (whole.replacen("\"kind\":\"step.began\"", "\"kind\":\"step.flew\"", 1), "step.flew"),
        (whole.replacen("\"source\":\"driver\"", "\"source\":\"nobody\"", 1), "expected driver"),
    ] {
        let ran = check(&text);
        assert_eq!(ran.code, 2, "{expected}: {}{}", ran.stdout, ran.stderr);
        assert!(ran.stderr.contains(expected), "expected {expected:?} in {}", ran.stderr);
    }
}

#[test]
fn a_history_that_lacks_its_end_is_judged_and_inconclusive() {
    let whole = recorded();
    let n_lines = whole.lines().count();
    let text: String = whole.lines().take(n_lines / 2).map(|line| format!("{line}\n")).collect();
    let ran = check(&text);
    assert_eq!(ran.code, 3, "{}{}", ran.stdout, ran.stderr);
}

#[test]
fn a_baseline_accepts_what_it_lists_and_is_stale_when_it_does_not_occur() {
    let rig = Rig::new();
    let arguments = ["load-call-close", "--loader", "rust-closed-early", "--polite-only", "--transport", "stdio"];
    let failed = rig.run(&arguments).invariants("fail");
    let entries: String = failed.iter().map(|id| format!("  - load-call-close:{id}\n")).collect();
    let run_with = |text: &str| {
        let file = rig.file("baseline.yaml", text);
        let mut command = rig.run_command(&arguments);
        command.arg("--baseline").arg(file);
        rig.finish(command)
    };
    let ran = run_with(&format!("client:\n{entries}"));
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    let ran = run_with(&format!("client:\n{entries}  - load-call-close:signal-ends-process\n"));
    assert_eq!(ran.code, 1, "a stale entry: {}{}", ran.stdout, ran.stderr);
    for bad in [
        "client:\n  - no-such-scenario:load-succeeds\n",
        "client:\n  - load-call-close:no-such-invariant\n",
        "client:\n  - load-call-close\n  - load-call-close:load-succeeds\n",
        "servers: []\n",
        "client: 3\n",
    ] {
        let ran = run_with(bad);
        assert_eq!(ran.code, 2, "{bad:?}: {}{}", ran.stdout, ran.stderr);
        assert!(ran.stderr.contains("baseline.yaml"), "{bad:?}: {}", ran.stderr);
    }
}

#[test]
fn a_finding_can_be_replayed_from_its_plan_folder() {
    let rig = Rig::new();
    let ran = rig.run(&["load-call-close", "--loader", "rust-closed-early", "--polite-only", "--transport", "stdio"]);
    let plan = &ran.report()["plans"][0];
    let folder = rig.out().join(plan["id"].as_str().unwrap());
    for target in [folder.clone(), folder.join("verdict.json")] {
        let again = rig.file("keep", "").with_file_name("again");
        let mut command = rig.command(&["replay", "--format", "json"]);
        command.arg(target).arg("--out").arg(again);
        let again = rig.finish(command);
        assert_eq!(again.code, 1, "{}{}", again.stdout, again.stderr);
        assert_eq!(again.invariants("fail"), ran.invariants("fail"));
    }
}

#[test]
fn a_script_is_explained_with_its_rules() {
    let rig = Rig::new();
    for (id, expected) in [
        ("hold-call", "[[rule]]\non = { request = \"tools/call\", nth = 1 }\ndo = [{ hold = \"before-answer\" }]"),
        ("polite", "No rules: it is a conforming server."),
        ("stream-breaks", "Over: http."),
    ] {
        let ran = rig.finish(rig.command(&["explain", id]));
        assert!(ran.stdout.contains(expected), "expected {expected:?} in {}", ran.stdout);
    }
}

#[test]
fn lists_of_scripts_and_scenarios_tell_their_transports() {
    let rig = Rig::new();
    for (what, id, expected) in [
        ("scenarios", "stream-breaks", &["memory", "http"][..]),
        ("scenarios", "load-call-close", &["memory", "stdio", "http", "sse"]),
        ("scenarios", "stream-lost-in-call", &["sse"]),
        ("scripts", "get-dropped", &["memory", "http", "sse"]),
        ("scripts", "sse-answers", &["memory", "http"]),
        ("scripts", "stdout-closed-in-call", &["memory", "stdio"]),
        ("scripts", "polite", &["memory", "stdio", "http", "sse"]),
    ] {
        let ran = rig.finish(rig.command(&["list", what, "--format", "json"]));
        let rows: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
        let row = rows.as_array().unwrap().iter().find(|row| row["id"] == id).unwrap();
        assert_eq!(row["transports"], serde_json::json!(expected), "{what} {id}");
    }
}

#[test]
fn lists_are_arrays_of_objects_with_id_and_about() {
    let rig = Rig::new();
    let kinds =
        ["loaders", "scenarios", "suites", "scripts", "faults", "invariants", "promises", "transports", "requirements"];
    for what in kinds {
        let ran = rig.finish(rig.command(&["list", what, "--format", "json"]));
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        let rows: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
        let rows = rows.as_array().unwrap();
        assert!(!rows.is_empty(), "{what}");
        for row in rows {
            let id = row["id"].as_str().unwrap();
            assert!(row["about"].as_str().is_some_and(|about| !about.is_empty()), "{what} {id}");
            let ran = rig.finish(rig.command(&["explain", id]));
            assert_eq!(ran.code, 0, "explain {id}: {}", ran.stderr);
        }
    }
}
