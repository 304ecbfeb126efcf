//! JUnit output: parsed back, and counted against run.json.

use std::fs;

use mcp_lifecheck::report::{Detail, Format, formats, verdict_formats};
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus};
use serde_json::Value;

use crate::rig::{Ran, Rig};

/// Two loaders, one of them broken, each plan twice.
const ARGUMENTS: [&str; 11] = [
    "load-call-close",
    "hop-close",
    "--repeat",
    "2",
    "--polite-only",
    "--transport",
    "stdio",
    "--loader",
    "reference",
    "--loader",
    "rust-closed-early",
];

fn run(rig: &Rig, formats: &[&str]) -> Ran {
    let mut command = rig.command(&["run", "--out"]);
    command.arg(rig.out()).args(ARGUMENTS).args(formats);
    rig.finish(command)
}

fn run_json(rig: &Rig) -> Value {
    serde_json::from_str(&fs::read_to_string(rig.out().join("run.json")).unwrap()).unwrap()
}

#[test]
fn junit_tells_what_run_json_tells() {
    let rig = Rig::new();
    let ran = run(&rig, &["--format", "junit"]);
    assert_eq!(ran.code, 1, "{}{}", ran.stdout, ran.stderr);
    assert_eq!(ran.stdout, fs::read_to_string(rig.out().join("junit.xml")).unwrap());
    let (junit, json) = (Report::deserialize_from_str(&ran.stdout).unwrap(), run_json(&rig));
    let counts = |name: &str| usize::try_from(json["counts"][name].as_u64().unwrap()).unwrap();
    assert_eq!((junit.tests, junit.failures, junit.errors), (counts("plans"), counts("fail"), 0));
    let suites: Vec<_> = junit.test_suites.iter().map(|suite| suite.name.as_str()).collect();
    assert_eq!(suites, ["reference stdio", "rust-closed-early stdio"]);
    let cases: Vec<&TestCase> = junit.test_suites.iter().flat_map(|suite| &suite.test_cases).collect();
    for (case, plan) in cases.iter().zip(json["plans"].as_array().unwrap()) {
        same(case, plan);
    }
}

/// One case says what its plan says.
fn same(case: &TestCase, plan: &Value) {
    let text = |name: &str| plan[name].as_str().unwrap().to_owned();
    let repeat = text("id").rsplit_once('.').unwrap().1.to_owned();
    assert_eq!(case.name.as_str(), format!("{} {} {repeat}", text("scenario"), text("server")));
    assert_eq!(case.classname.as_ref().unwrap().as_str(), text("loader"));
    match &case.status {
        TestCaseStatus::Success { .. } => assert_eq!(text("verdict"), "pass"),
        TestCaseStatus::NonSuccess { kind: NonSuccessKind::Failure, message, ty, description, .. } => {
            let findings = plan["findings"].as_array().unwrap();
            let first = findings.iter().find(|finding| finding["verdict"] == "fail").unwrap();
            assert_eq!(ty.as_ref().unwrap().as_str(), first["invariant"].as_str().unwrap());
            assert_eq!(message.as_ref().unwrap().as_str(), first["because"].as_str().unwrap());
            let description = description.as_ref().unwrap().as_str();
            for part in ["claim:", "because:", first["repeat"].as_str().unwrap()] {
                assert!(description.contains(part), "no {part:?} in {description}");
            }
        }
        other => panic!("found {other:?} for {plan}"),
    }
}

#[test]
fn of_several_formats_the_first_is_printed_and_all_are_written() {
    let rig = Rig::new();
    let ran = run(&rig, &["--format", "json", "--format", "junit"]);
    assert_eq!(ran.report(), run_json(&rig));
    let junit = fs::read_to_string(rig.out().join("junit.xml")).unwrap();
    assert_eq!(Report::deserialize_from_str(&junit).unwrap().tests, 8);
    // A run that is not asked for it leaves no old one.
    run(&rig, &["--format", "json"]);
    assert!(!rig.out().join("junit.xml").exists());
}

#[test]
fn help_names_the_formats_of_the_table() {
    let rig = Rig::new();
    let names = |formats: &mut dyn Iterator<Item = &'static Format>| {
        formats.map(|format| format.name).collect::<Vec<_>>().join(", ")
    };
    for (command, names) in [
        ("run", names(&mut formats(Detail::Plans))),
        ("host", names(&mut formats(Detail::Checks))),
        ("check", names(&mut verdict_formats())),
    ] {
        let help = rig.finish(rig.command(&[command, "--help"])).stdout;
        assert!(help.contains(&format!("[possible values: {names}]")), "{help}");
    }
}
