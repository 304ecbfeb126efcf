//! A limit of open descriptors that is too low for what is asked for is told before anything runs; what fits in it runs.

use std::process::Command;

use crate::rig::{LIFECHECK, Ran, Rig};

/// A run in a process with this hard limit of open descriptors.
fn run_limited(soft: u32, hard: u32, arguments: &[&str]) -> Ran {
    let rig = Rig::new();
    let run = rig.run_command(arguments);
    let mut command = Command::new("sh");
    let limits = format!("ulimit -Sn {soft} && ulimit -Hn {hard} && exec \"$0\" \"$@\"");
    command.args(["-c", &limits, LIFECHECK]).args(run.get_args());
    command.envs(run.get_envs().filter_map(|(name, value)| Some((name, value?))));
    rig.finish(command)
}

#[test]
fn more_plans_at_once_than_descriptors_are_refused_with_advice() {
    let ran = run_limited(256, 256, &["load-call-close", "--polite-only", "--repeat", "100", "--jobs", "100"]);
    assert_eq!(ran.code, 2, "{}{}", ran.stdout, ran.stderr);
    let told = "found a limit of 256 open descriptors, expected at least ";
    assert!(ran.stderr.contains(told) && ran.stderr.contains("--jobs "), "{}", ran.stderr);
}

#[test]
fn what_is_advised_runs_under_the_same_limit() {
    let asked = ["load-call-close", "--polite-only", "--transport", "stdio", "--repeat", "30", "--jobs"];
    let refused = run_limited(256, 256, &[&asked[..], &["30"]].concat());
    let (_, advised) = refused.stderr.split_once("--jobs ").unwrap_or_else(|| panic!("{}", refused.stderr));
    let jobs: String = advised.chars().take_while(char::is_ascii_digit).collect();
    assert!(jobs.parse::<u32>().unwrap() >= 5, "{jobs}");
    let ran = run_limited(256, 256, &[&asked[..], &[&jobs]].concat());
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
}

#[test]
fn a_low_soft_limit_is_raised_as_far_as_the_hard_one() {
    let ran = run_limited(64, 4_096, &["load-call-close", "--polite-only", "--transport", "stdio", "--jobs", "2"]);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
}
