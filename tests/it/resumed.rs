//! A campaign that was killed goes on where it was, with the same command.

use std::fs;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use crate::rig::{Ran, Rig, await_point};

/// Lives of one batch. At most these are lost.
const BATCH: u64 = 32;

fn explore(rig: &Rig, arguments: &[&str]) -> std::process::Command {
    let mut command = rig.command(&["explore", "--format", "json", "--jobs", "4", "--transport", "memory", "--out"]);
    command.arg(rig.out()).args(["--script", "polite", "--polite-only"]).args(arguments);
    command
}

fn state(rig: &Rig) -> PathBuf {
    rig.out().join("explore-state.json")
}

/// Starts a campaign without an end, and kills it when its first batch is on file.
fn killed(rig: &Rig) {
    let mut command = explore(rig, &["--time", "10m"]);
    let mut running = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let state = state(rig);
    await_point(&mut running, Duration::from_secs(60), "the first batch", || state.exists());
    running.kill().unwrap();
    running.wait().unwrap();
    rig.assert_nothing_left(Duration::from_secs(10));
}

fn count(ran: &Ran, key: &str) -> u64 {
    ran.report()["counts"][key].as_u64().unwrap()
}

#[test]
fn a_killed_campaign_goes_on_and_loses_at_most_one_batch() {
    let rig = Rig::new();
    killed(&rig);
    let kept = fs::read_to_string(state(&rig)).unwrap();
    // The history of a life that is not run again.
    let first = rig.out().join("case-0-0.reference.memory.2025-11-25.polite");
    fs::remove_dir_all(&first).unwrap();
    let n_before: u64 = serde_json::from_str::<serde_json::Value>(&kept).unwrap()["counts"]["plans"].as_u64().unwrap();
    assert_eq!(n_before % BATCH, 0);
    let n_all = n_before + 8;
    let ran = rig.finish(explore(&rig, &["--cases", &n_all.to_string()]));
    assert!(ran.code < 2, "{}{}", ran.stdout, ran.stderr);
    let said = format!("goes on after {n_before} lives of an earlier run; --restart starts anew");
    assert!(ran.stderr.contains(&said), "{}", ran.stderr);
    assert_eq!((count(&ran, "plans"), ran.report()["resumed"].as_u64()), (n_all, Some(n_before)));
    assert!(!first.exists(), "a life of the earlier run ran again");
    assert!(rig.out().join(format!("case-0-{n_before}.reference.memory.2025-11-25.polite")).exists());
    // A campaign that is over has no state, and the same command begins anew.
    assert!(!state(&rig).exists());
    let anew = rig.finish(explore(&rig, &["--cases", "1"]));
    assert_eq!((count(&anew, "plans"), anew.report().get("resumed")), (1, None));

    // With another seed, with a damaged state, or on request, it begins anew as well.
    for (more, text, said) in [
        (
            &["--seed", "1"][..],
            kept.as_str(),
            "of another campaign: found the seed \"0\", expected \"1\"; the campaign starts anew",
        ),
        (&[], &kept[..50], "explore-state.json:1:50: found text that is not JSON"),
        (&["--restart"], &kept, ""),
    ] {
        fs::write(state(&rig), text).unwrap();
        let anew = rig.finish(explore(&rig, &[&["--cases", "1"], more].concat()));
        assert_eq!((count(&anew, "plans"), anew.report().get("resumed")), (1, None), "{more:?}: {}", anew.stderr);
        assert!(anew.stderr.contains(said) && anew.stderr.is_empty() == said.is_empty(), "{more:?}: {}", anew.stderr);
        assert!(!state(&rig).exists());
    }
}
