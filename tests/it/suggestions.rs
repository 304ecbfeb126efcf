//! A name that does not exist and is nearly one that does: exit code 2, and the message suggests the other name.

use crate::rig::Rig;

/// A scenario whose servers and steps are given.
fn scenario(servers: &str, steps: &str) -> String {
    format!("about = \"x\"\nservers = [{servers}]\n{steps}")
}

const FILES: &str = "{ name = \"files\", script = \"polite\" }";
const LOAD: &str = "[[step]]\ndo = \"load\"\n";

fn assert_suggests(kind: &str, rig: &Rig, arguments: &[&str], name: &str) {
    let ran = rig.finish(rig.command(arguments));
    assert_eq!(ran.code, 2, "{kind}: {arguments:?}: {}{}", ran.stdout, ran.stderr);
    // For values from a fixed list clap writes the suggestion, in its own words.
    let expected = [format!("; did you mean \"{name}\"?"), format!("similar value exists: '{name}'")];
    let is_suggested = expected.iter().any(|text| ran.stderr.contains(text));
    assert!(is_suggested, "{kind}: {arguments:?} suggests no {name}: {}", ran.stderr);
}

#[test]
fn a_slip_in_an_argument_is_answered_with_the_name_that_was_meant() {
    let rig = Rig::new();
    for (kind, arguments, name) in [
        ("scenario", &["run", "lod-call-close"][..], "load-call-close"),
        ("suite", &["run", "standrad"], "standard"),
        ("loader", &["run", "--loader", "refrence"], "reference"),
        ("loader with a stack", &["run", "--loader", "python-onwer-task@mcp-1.30"], "python-owner-task"),
        ("stack", &["run", "--loader", "python-owner-task@mcp-1.3"], "mcp-1.13"),
        ("second loader", &["run", "--against", "rust-closed-erly"], "rust-closed-early"),
        ("limit", &["run", "--limit", "opration=1s"], "operation"),
        ("limit of a host", &["host", "--limit", "host-tool=1s", "--", "true"], "host-tools"),
        ("revision", &["run", "--revision", "2025-11-26"], "2025-11-25"),
        ("revision", &["run", "--revision", "drafft"], "draft"),
        ("transport", &["run", "--transport", "sdtio"], "stdio"),
        ("tier", &["run", "--tier", "foregn"], "foreign"),
        ("format", &["run", "--format", "jsn"], "json"),
        ("format of a host", &["host", "--format", "check", "--", "true"], "checks"),
        ("config shape", &["host", "--config-shape", "cluade", "--", "true"], "claude"),
        ("script of a host", &["host", "--servers", "a=polit", "--", "true"], "polite"),
        ("plan of a host", &["host", "--plan", "defualt", "--", "true"], "default"),
        ("server in a command", &["host", "--servers", "files=polite", "--", "true", "{url:fils}"], "files"),
        ("client scenario", &["client", "--command", "true", "--scenario", "tool_call"], "tools_call"),
        ("client suite", &["client", "--command", "true", "--suite", "lifecicle"], "lifecycle"),
        ("list", &["list", "scenarioes"], "scenarios"),
        ("explained invariant", &["explain", "nothing-survive"], "nothing-survives"),
        ("first words of an invariant", &["explain", "call-after-load"], "call-after-load-succeeds"),
        ("explained fault", &["explain", "redirct-loop"], "redirect-loop"),
        ("explained requirement", &["explain", "LC-CAN01"], "LC-CAN-01"),
        ("explained promise", &["explain", "closes-server"], "closes-servers"),
        ("explained limit", &["explain", "opration"], "operation"),
        ("explained script", &["explain", "stuborn"], "stubborn"),
        ("explained word", &["explain", "temprament"], "temperament"),
        ("adapter", &["doctor", "--adapter", "python-onwer-task"], "python-owner-task"),
    ] {
        assert_suggests(kind, &rig, arguments, name);
    }
}

#[test]
fn a_slip_in_a_scenario_is_answered_with_the_name_that_was_meant() {
    let rig = Rig::new();
    for (kind, text, name) in [
        ("key", format!("abuot = \"x\"\n{}", scenario(FILES, LOAD)), "about"),
        ("steps", scenario(FILES, "[[steps]]\ndo = \"load\"\n"), "step"),
        ("key of a server", scenario("{ name = \"files\", scrpt = \"polite\" }", LOAD), "script"),
        ("script", scenario("{ name = \"files\", script = \"pollite\" }", LOAD), "polite"),
        ("step", scenario(FILES, "[[step]]\ndo = \"laod\"\n"), "load"),
        ("key of a step", scenario(FILES, "[[step]]\ndo = \"load\"\nuntill = \"invoked\"\n"), "until"),
        ("until", scenario(FILES, "[[step]]\ndo = \"load\"\nuntil = \"in-fligth\"\n"), "in-flight"),
        ("context", scenario(FILES, "[[step]]\ndo = \"load\"\nin = \"taks:a\"\n"), "task"),
        ("signal", scenario(FILES, "[[step]]\ndo = \"signal\"\nsignal = \"TREM\"\n"), "TERM"),
        ("server", scenario(FILES, "[[step]]\ndo = \"call\"\nserver = \"file\"\n"), "files"),
        (
            "operation",
            scenario(FILES, "[[step]]\ndo = \"load\"\nas = \"l11\"\n[[step]]\ndo = \"cancel\"\noperation = \"l1\"\n"),
            "l11",
        ),
        ("transport", format!("transports = [\"htp\"]\n{}", scenario(FILES, LOAD)), "http"),
        ("session", format!("sessions = [\"persistant\"]\n{}", scenario(FILES, LOAD)), "persistent"),
        ("revision", format!("revisions = [\"2025-06-28\"]\n{}", scenario(FILES, LOAD)), "2025-06-18"),
        (
            "shutdown behaviour",
            scenario("{ name = \"files\", script = \"polite\", temperament = \"stuborn\" }", LOAD),
            "stubborn",
        ),
    ] {
        let file = rig.file("scenario.toml", &text);
        assert_suggests(kind, &rig, &["run", file.to_str().unwrap()], name);
    }
}

#[test]
fn a_slip_in_another_file_is_answered_with_the_name_that_was_meant() {
    let loader = |more: &str| format!("name = \"x\"\nlane = \"rust\"\n{more}");
    let script = |rule: &str| format!("about = \"x\"\n[[rule]]\n{rule}\n");
    let plan = |step: &str| format!("about = \"x\"\nservers = {{ files = \"polite\" }}\n[[step]]\n{step}\n");
    let rig = Rig::new();
    for (kind, option, name, text, meant) in [
        ("lane", "--loader", "l.toml", "name = \"x\"\nlane = \"pyhton\"\n".to_owned(), "python"),
        ("key of a loader", "--loader", "l.toml", loader("transport = [\"stdio\"]\n"), "transports"),
        ("promise", "--loader", "l.toml", loader("[promises]\nreconects = true\n"), "reconnects"),
        ("value of a promise", "--loader", "l.toml", loader("[promises]\nsession = \"lasy\"\n"), "lazy"),
        ("known", "--loader", "l.toml", loader("[known]\nmust-fial = []\n"), "must-fail"),
        ("trigger", "--servers", "s.toml", script("on = { reqest = \"ping\" }\ndo = [\"drop\"]"), "request"),
        ("fault", "--servers", "s.toml", script("on = { request = \"ping\" }\ndo = [\"dorp\"]"), "drop"),
        ("step of a plan", "--plan", "p.toml", plan("do = \"tool\""), "tools"),
        ("key of a plan's step", "--plan", "p.toml", plan("do = \"tools\"\nat-last = 1"), "at-least"),
        ("server of a plan", "--plan", "p.toml", plan("do = \"tools\"\nof = \"flies\""), "files"),
        ("signal to a host", "--plan", "p.toml", plan("do = \"signal\"\nsignal = \"USR3\""), "USR1"),
        ("placeholder", "--config-template", "t.json", "{\"a\": {prt}}".to_owned(), "port"),
        ("baseline's scenario", "--baseline", "b.yaml", "client:\n  - load-cal-close\n".to_owned(), "load-call-close"),
        (
            "baseline's invariant",
            "--baseline",
            "b.yaml",
            "client:\n  - load-call-close:load-suceeds\n".to_owned(),
            "load-succeeds",
        ),
        ("baseline's key", "--baseline", "b.yaml", "cleint: []\n".to_owned(), "client"),
        ("expected failure", "--expected-failures", "e.yaml", "client:\n  - initialise\n".to_owned(), "initialize"),
    ] {
        let file = rig.file(name, &text).display().to_string();
        let arguments: &[&str] = match option {
            "--loader" => &["run", option, &file],
            "--baseline" => &["run", "load-call-close", "--polite-only", option, &file],
            "--expected-failures" => &["client", "--command", "true", option, &file],
            "--servers" => &["host", option, &format!("files={file}"), "--", "true"],
            _ => &["host", option, &file, "--", "true"],
        };
        assert_suggests(kind, &rig, arguments, meant);
    }
}

#[test]
fn a_name_that_is_near_nothing_is_answered_without_a_suggestion() {
    let rig = Rig::new();
    for arguments in [&["run", "no-such-scenario"][..], &["run", "--loader", "no-such-loader"], &["explain", "zzzzzz"]]
    {
        let ran = rig.finish(rig.command(arguments));
        assert_eq!(ran.code, 2, "{arguments:?}");
        assert!(!ran.stderr.contains("did you mean"), "{arguments:?}: {}", ran.stderr);
    }
}

#[test]
fn the_words_of_the_glossary_are_explained() {
    let rig = Rig::new();
    for (word, expected) in [
        ("temperament", "word shutdown behaviour"),
        ("shutdown-behaviour", "word shutdown behaviour"),
        ("orphan reaper", "word orphan reaper"),
        ("lane", "A way to run loaders"),
        ("polite", "script polite"),
    ] {
        let ran = rig.finish(rig.command(&["explain", word]));
        assert_eq!(ran.code, 0, "{word}: {}", ran.stderr);
        assert!(ran.stdout.contains(expected), "{word}: {}", ran.stdout);
    }
}
