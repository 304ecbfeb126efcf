//! The load guard: a bound that passed while the machine kept the harness waiting is doubtful, and tried once more.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use mcp_lifecheck::history::EventKind;
use rustix::process::{Pid, Signal, kill_process};

use crate::rig::{Rig, finish};
use crate::stability::Busy;

/// A load that is never answered: overdue after the limit below, whatever the machine does.
const MUTE: &str = "about = \"Never loads.\"\nservers = [{ name = \"files\", script = \"mute-initialize\" }]\n[[step]]\ndo = \"load\"\n";
/// A loader without a bound of its own, so that the driver's bound is the one that passes.
const LOADER: &str = "name = \"reference-but-unbounded\"\nlane = \"rust\"\n";
/// A fifth of it, 800 ms, is longer than a busy machine keeps a process waiting.
const BOUND: &str = "connect=4s";
/// More than a fifth of the bound.
const STALL: Duration = Duration::from_millis(1_200);

#[test]
fn a_bound_that_passed_while_nothing_kept_the_harness_waiting_is_a_failure_at_once() {
    let (code, verdict, n_supervisors) = run_stalled(0);
    assert_eq!((code, verdict.as_str(), n_supervisors), (1, "fail", 1));
}

#[test]
fn a_bound_that_passed_on_a_stalled_machine_is_tried_once_more_and_then_counts() {
    let (code, verdict, n_supervisors) = run_stalled(1);
    assert_eq!((code, verdict.as_str(), n_supervisors), (1, "fail", 2));
}

#[test]
fn a_machine_that_stalls_each_time_leaves_the_plan_inconclusive_after_the_second() {
    let (code, verdict, n_supervisors) = run_stalled(usize::MAX);
    assert_eq!((code, verdict.as_str(), n_supervisors), (3, "inconclusive", 2));
}

#[test]
fn the_end_of_a_loader_says_for_how_long_it_waited_for_a_processor() {
    if !Path::new("/proc/self/schedstat").exists() {
        return eprintln!("LEFT OUT: the wait for a processor; this kernel does not count it");
    }
    let _busy = Busy::start(4);
    let rig = Rig::new();
    let ran = rig.run(&["load-call-close", "--polite-only", "--transport", "stdio"]);
    let history = rig.history(ran.plans()[0]["id"].as_str().unwrap());
    let ended = history.events().iter().find_map(|event| match &event.kind {
        EventKind::ProcessExited { role, waited_us, .. } if role == "loader" => Some((event.at_us, *waited_us)),
        _ => None,
    });
    let (at_us, waited_us) = ended.unwrap();
    assert!(waited_us.is_some_and(|waited_us| 0 < waited_us && waited_us < at_us), "{waited_us:?} of {at_us}");
}

/// Runs the plan and stops the first `n_stalls` of its supervisors for a while; exit code, verdict, supervisors seen.
fn run_stalled(n_stalls: usize) -> (i32, String, usize) {
    let rig = Rig::new();
    let (scenario, loader) = (rig.file("mute.toml", MUTE), rig.file("unbounded.toml", LOADER));
    let mut command =
        rig.run_command(&["--polite-only", "--transport", "stdio", "--jobs", "1", "--limit", BOUND, "--loader"]);
    command.arg(loader).arg(scenario);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut seen = BTreeSet::new();
    let deadline = Instant::now() + Duration::from_secs(60);
    while child.try_wait().unwrap().is_none() {
        assert!(Instant::now() < deadline, "the run did not end");
        for supervisor in supervisors(&child) {
            if seen.insert(supervisor.as_raw_nonzero()) && seen.len() <= n_stalls {
                stall(&rig, supervisor);
            }
        }
        // Processes of another program can only be looked for.
        std::thread::sleep(Duration::from_millis(5));
    }
    let ran = finish(child, Duration::from_secs(1));
    let report = ran.report();
    rig.assert_nothing_left(Duration::from_secs(6));
    (ran.code, report["plans"][0]["verdict"].as_str().unwrap().to_owned(), seen.len())
}

/// Stops a supervisor for a while, once its loader has been asked to load.
fn stall(rig: &Rig, supervisor: Pid) {
    let deadline = Instant::now() + Duration::from_secs(20);
    let is_loading = || {
        let histories = crate::rig::files(&rig.out()).into_iter().filter(|path| path.ends_with("history.jsonl"));
        histories.map(|path| fs::read_to_string(path).unwrap_or_default()).any(|text| text.contains("wire.received"))
    };
    while !is_loading() {
        assert!(Instant::now() < deadline, "the loader was never asked to load");
        std::thread::sleep(Duration::from_millis(5));
    }
    kill_process(supervisor, Signal::STOP).unwrap();
    // The stall itself is what is tested.
    std::thread::sleep(STALL);
    kill_process(supervisor, Signal::CONT).unwrap();
}

/// The supervisors that run below a child of ours.
fn supervisors(child: &Child) -> Vec<Pid> {
    let tasks = fs::read_dir(format!("/proc/{}/task", child.id())).into_iter().flatten().flatten();
    let lists = tasks.map(|task| fs::read_to_string(task.path().join("children")).unwrap_or_default());
    let pids: Vec<i32> =
        lists.flat_map(|list| list.split(' ').filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>()).collect();
    let is_supervisor = |pid: &i32| {
        let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        command.windows(11).any(|word| word == b"__supervise")
    };
    pids.into_iter().filter(is_supervisor).filter_map(Pid::from_raw).collect()
}
