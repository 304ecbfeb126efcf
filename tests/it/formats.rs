//! The reference of the file formats is complete and true.

use std::collections::BTreeSet;

use mcp_lifecheck::plan::Scenario;
use mcp_lifecheck::script::{Script, script_schema, shipped_names, shipped_text};

use crate::rig::{Rig, root};

const SCENARIOS: &str = include_str!("../../docs/src/reference/scenarios.md");
const SCRIPTS: &str = include_str!("../../docs/src/reference/scripts.md");

/// The block of this kind on a page.
fn example(page: &'static str, kind: &str) -> &'static str {
    let block = page.split_once(&format!("```{kind}\n")).expect("an example is there").1;
    block.split_once("```").expect("the example has an end").0
}

/// Every step there is, as the parser names them to a user who writes another one.
fn steps() -> BTreeSet<String> {
    let unknown = "about = \"x\"\nservers = [{ name = \"a\", script = \"polite\" }]\n[[step]]\ndo = \"x\"\n";
    let error = Scenario::from_toml("x", "x.toml", unknown).unwrap_err().to_string();
    let (_, names) = error.split_once("expected one of ").expect("the error names what there is");
    let steps: BTreeSet<String> = names.split('`').skip(1).step_by(2).map(str::to_owned).collect();
    assert!(steps.len() >= 14 && steps.contains("load") && steps.contains("wait"), "{error}");
    steps
}

fn names_of_steps(scenario: &Scenario) -> BTreeSet<String> {
    scenario.steps.iter().map(|step| step.action.name().to_owned()).collect()
}

#[test]
fn the_scenario_in_the_documentation_has_every_step_and_is_one() {
    let scenario = Scenario::from_toml("documented", "scenarios.md", example(SCENARIOS, "toml,scenario")).unwrap();
    assert_eq!(
        names_of_steps(&scenario),
        steps(),
        "docs/src/reference/scenarios.md shows each step in its first example"
    );
    let own: Vec<_> = scenario.scripts.iter().map(|own| Script::from_scenario(own, "scenarios.md").unwrap()).collect();
    assert_eq!(own.iter().map(|script| script.rules().len()).collect::<Vec<_>>(), [1], "the example has a script");
}

/// The steps that no shipped scenario has.
const APART: &str = r#"
about = "A garbage collection is requested while the servers are idle."
servers = [{ name = "files", script = "polite" }]
[[step]]
do = "load"
[[step]]
do = "collect"
[[step]]
do = "call"
server = "files"
[[step]]
do = "close"
"#;

#[test]
fn every_step_is_done_by_a_scenario() {
    let shipped = mcp_lifecheck::catalogue::shipped_scenarios().unwrap();
    let apart = Scenario::from_toml("apart", "apart.toml", APART).unwrap();
    let done: BTreeSet<_> = shipped.iter().chain([&apart]).flat_map(names_of_steps).collect();
    let missing: Vec<_> = steps().difference(&done).cloned().collect();
    assert!(missing.is_empty(), "no file of fixtures/scenarios has a step {missing:?}");
    let rig = Rig::new();
    let ran = rig.run(&[&rig.scenario(APART), "--loader", "reference", "--transport", "stdio", "--polite-only"]);
    assert_eq!(ran.plans()[0]["verdict"], "pass", "{}", ran.stdout);
    let events = rig.events(ran.plans()[0]["id"].as_str().unwrap());
    assert!(events.iter().any(|event| event["action"] == "collect"), "{events:#?}");
}

/// A scenario with a script of its own.
const OWN_SCRIPT: &str = r#"
about = "A server answers one call and dies in the next one. Cleanup works."
servers = [{ name = "files", script = "dies-in-second-call" }]
[script.dies-in-second-call]
about = "Answers its first call, and dies in the second one."
[[script.dies-in-second-call.rule]]
on = { request = "tools/call", nth = 2 }
do = [{ die = { signal = "KILL" } }]
[[step]]
do = "load"
[[step]]
do = "call"
server = "files"
[[step]]
do = "call"
server = "files"
[[step]]
do = "close"
"#;

#[test]
fn a_script_of_a_scenario_runs_and_runs_again_from_the_folder_of_the_plan() {
    let first = Rig::new();
    let scenario = first.scenario(OWN_SCRIPT);
    let ran = first.run(&[&scenario, "--loader", "reference", "--transport", "stdio", "--polite-only"]);
    std::fs::remove_file(scenario).unwrap();
    let again = Rig::new();
    let mut command = again.command(&["replay", "--format", "json", "--out"]);
    command.arg(again.out()).arg(first.out().join(ran.id()));
    let replayed = again.finish(command);
    for (rig, ran) in [(&first, &ran), (&again, &replayed)] {
        assert_eq!((ran.code, &ran.plans()[0]["verdict"]), (0, &"pass".into()), "{}{}", ran.stdout, ran.stderr);
        let events = rig.events(&ran.id());
        let of_kind = |kind: &'static str| events.iter().filter(move |event| event["kind"] == kind);
        let faults: Vec<_> = of_kind("fault.delivered").map(|event| event["fault"].as_str().unwrap()).collect();
        assert_eq!(faults, ["die:KILL"], "{events:#?}");
    }
    assert_eq!(ran.id(), replayed.id());
    assert_eq!(ran.invariants("pass"), replayed.invariants("pass"));
}

#[test]
fn the_script_in_the_documentation_is_one() {
    let script = Script::from_toml("documented", "scripts.md", example(SCRIPTS, "toml,script")).unwrap();
    assert_eq!((script.tools().len(), script.rules().len()), (2, 2));
}

#[test]
fn the_key_of_a_scenario_that_is_for_sessions_that_last_keeps_others_out() {
    let rig = Rig::new();
    let scenario = rig.scenario(
        "about = \"For sessions that last.\"\nsessions = [\"persistent\"]\nservers = [{ name = \"files\", script = \"polite\" }]\n\
         [[step]]\ndo = \"load\"\n",
    );
    let loader = rig.file("brief.toml", "name = \"reference\"\nlane = \"rust\"\n[promises]\nsession = \"per-call\"\n");
    let ran = rig.run(&[&scenario, "--loader", loader.to_str().unwrap(), "--transport", "stdio", "--polite-only"]);
    let plan = &ran.plans()[0];
    assert_eq!(plan["verdict"], "not-applicable", "{}", ran.stdout);
    assert!(plan["because"].as_str().unwrap().contains("per-call"), "{plan}");
    assert!(ran.stderr.contains("nothing was judged"), "{}", ran.stderr);
    let ran = rig.run(&[&scenario, "--loader", "reference", "--transport", "stdio", "--polite-only"]);
    assert_eq!(ran.plans()[0]["verdict"], "pass", "{}", ran.stdout);
}

#[test]
fn a_server_that_a_scenario_calls_stubborn_is_so_in_every_plan_and_the_others_are_not() {
    let rig = Rig::new();
    let ran = rig.run(&["interrupt", "--loader", "reference", "--transport", "stdio"]);
    let plans = ran.plans();
    let ignoring = |plan: &serde_json::Value| -> BTreeSet<String> {
        let events = rig.events(plan["id"].as_str().unwrap());
        let ignored = events.iter().filter(|event| event["fault"] == "ignore:eof");
        ignored.map(|event| event["source"].as_str().unwrap().to_owned()).collect()
    };
    let of = |server: &str| plans.iter().find(|plan| plan["server"] == server).unwrap_or_else(|| panic!("{plans:#?}"));
    assert_eq!(ignoring(of("polite")), BTreeSet::from(["mock:files#1".to_owned()]));
    assert_eq!(ignoring(of("stubborn")).len(), 2);
    // Who asks for polite servers alone does not get it.
    let ran = rig.run(&["core", "--loader", "reference", "--transport", "stdio", "--polite-only"]);
    assert!(ran.plans().iter().all(|plan| plan["scenario"] != "interrupt"), "{}", ran.stdout);
}

/// The committed schema is the one of the types; `mcp-mock schema > mock-servers/script.schema.json` writes it.
#[test]
fn the_schema_of_scripts_is_that_of_what_reads_them() {
    let root = root();
    let text = std::fs::read_to_string(root.join("mock-servers/script.schema.json")).unwrap();
    let schema: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(schema, script_schema());
    let validator = jsonschema::validator_for(&schema).unwrap();
    let as_json = |text: &str| serde_json::to_value(text.parse::<toml::Table>().unwrap()).unwrap();
    for name in shipped_names() {
        let script = as_json(shipped_text(name).unwrap());
        let wrong: Vec<_> = validator.iter_errors(&script).map(|error| error.to_string()).collect();
        assert!(wrong.is_empty(), "{name}: {wrong:?}");
    }
    for wrong in [
        "",
        "about = \"x\"\nrules = []",
        "about = \"x\"\n[[rule]]\non = { requests = \"tools/call\" }\ndo = [\"drop\"]",
        "about = \"x\"\n[[rule]]\non = { start = true }\ndo = [\"dorp\"]",
        "about = \"x\"\n[[rule]]\non = { start = true }\ndo = [{ exit = \"three\" }]",
        "about = \"x\"\n[[rule]]\non = { eof = true, phase = \"later\" }\ndo = [\"ignore\"]",
    ] {
        assert!(!validator.is_valid(&as_json(wrong)), "{wrong}");
    }
}
