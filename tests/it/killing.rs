//! Whatever is killed, nothing is left: neither process nor temporary file.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::rig::{Rig, await_point, files};

/// Two plans at once, polite and stubborn servers, every turn of the suite: the run that is killed.
const RUN: [&str; 3] = ["core", "--jobs", "2"];
/// How long anything may outlive what was killed.
const LIMIT: Duration = Duration::from_secs(6);

#[test]
fn a_run_that_is_interrupted_leaves_nothing() {
    for moment in 0..10 {
        kill_at(moment, Signal::INT);
    }
}

#[test]
fn a_run_that_is_terminated_leaves_nothing() {
    for moment in 0..10 {
        kill_at(moment, Signal::TERM);
    }
}

#[test]
fn a_run_that_is_killed_leaves_nothing() {
    for moment in 0..10 {
        kill_at(moment, Signal::KILL);
    }
}

#[test]
fn a_killed_supervisor_makes_its_plan_inconclusive_and_leaves_nothing() {
    kill_helper("__supervise");
}

#[test]
fn a_killed_plan_process_is_a_finding_and_leaves_nothing() {
    let ran = kill_helper("__plan");
    // A loader whose process vanishes is a finding about the loader: nobody asked it to end.
    assert!(ran.invariants("fail").contains(&"operation-completes".to_owned()), "{}", ran.stdout);
}

/// Lines of all histories of a run so far: its progress, by which a moment is chosen.
fn progress(out: &Path) -> usize {
    let histories = files(out).into_iter().filter(|path| path.ends_with("history.jsonl"));
    histories.map(|path| fs::read_to_string(path).unwrap_or_default().lines().count()).sum()
}

fn kill_at(moment: usize, signal: Signal) {
    let rig = Rig::new();
    let mut command = rig.run_command(&RUN);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    // From the first event to well into the run: about a thousand events in all.
    await_progress(&rig, &mut child, 1 + moment * 70);
    send(&child, signal);
    let deadline = Instant::now() + LIMIT;
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        assert!(Instant::now() < deadline, "the run outlived signal {signal:?} at moment {moment}");
        std::thread::sleep(Duration::from_millis(5));
    };
    if signal != Signal::KILL {
        let report = fs::read_to_string(rig.out().join("run.json")).unwrap();
        let told = "an interrupted run without a failure is inconclusive";
        assert_eq!(status.code(), Some(3), "{told}: moment {moment}: {report}");
        let report: serde_json::Value = serde_json::from_str(&report).unwrap();
        assert_eq!(report["interrupted"], true);
    }
    rig.assert_nothing_left(deadline.saturating_duration_since(Instant::now()));
}

fn await_progress(rig: &Rig, child: &mut Child, n_lines: usize) {
    await_point(child, Duration::from_secs(60), &format!("{n_lines} events"), || progress(&rig.out()) >= n_lines);
}

fn send(child: &Child, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}

/// Kills the helper process of this kind in the middle of a plan, and lets the run end.
fn kill_helper(kind: &str) -> crate::rig::Ran {
    let rig = Rig::new();
    // The idle window of a second is where the helper is killed.
    let scenario = rig.file(
        "long.toml",
        "about = \"Stays loaded for a while.\"\nservers = [{ name = \"files\", script = \"stubborn\" }]\n\
         [[step]]\ndo = \"load\"\n[[step]]\ndo = \"wait\"\nfor = \"3s\"\n[[step]]\ndo = \"close\"\n",
    );
    let mut command = rig.run_command(&[scenario.to_str().unwrap(), "--transport", "stdio"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let is_idle = |path: &PathBuf| fs::read_to_string(path).unwrap_or_default().contains("idle.began");
    await_point(&mut child, Duration::from_secs(30), "its idle window", || files(&rig.out()).iter().any(is_idle));
    let victims = pids_of(&rig, kind);
    assert_eq!(victims.len(), 1, "one plan has one {kind}");
    kill_process(Pid::from_raw(victims[0]).unwrap(), Signal::KILL).unwrap();
    let ran = crate::rig::finish(child, Duration::from_secs(30));
    rig.assert_nothing_left(LIMIT);
    let report = ran.report();
    let expected = if kind == "__plan" { "fail" } else { "inconclusive" };
    assert_eq!(report["plans"][0]["verdict"], expected, "{}", ran.stdout);
    ran
}

fn pids_of(rig: &Rig, kind: &str) -> Vec<i32> {
    let mine = fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| {
        let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
        let arguments = fs::read(entry.path().join("cmdline")).ok()?;
        let is_kind = arguments.split(|byte| *byte == 0).nth(1) == Some(kind.as_bytes());
        let environment = fs::read(entry.path().join("environ")).ok()?;
        let mark = rig.out().parent().unwrap().display().to_string();
        let is_mine = environment.windows(mark.len()).any(|window| window == mark.as_bytes());
        (is_kind && is_mine).then_some(pid)
    });
    mine.collect()
}
