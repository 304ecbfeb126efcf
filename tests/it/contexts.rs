//! Contexts: runtimes of every kind, driven and not, kept and dropped.

use crate::rig::Rig;

const HOPS: &str = r#"
about = "Load in a runtime of its own, call from another, drop the first, call again from a thread."
servers = [{ name = "files", script = "polite" }]
[[step]]
do = "load"
in = "current-thread-runtime:r1"
[[step]]
do = "call"
server = "files"
in = "runtime:r2"
[[step]]
do = "drop-context"
in = "current-thread-runtime:r1"
[[step]]
do = "call"
server = "files"
in = "thread:t1"
[[step]]
do = "close"
in = "task:a"
"#;

#[test]
fn the_reference_loader_does_not_care_which_runtime_calls_or_ends() {
    let rig = Rig::new();
    let scenario = rig.file("hops.toml", HOPS);
    let ran = rig.run(&[scenario.to_str().unwrap(), "--polite-only"]);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
}

#[test]
fn a_session_on_a_runtime_that_nobody_drives_hangs_the_call_from_elsewhere() {
    let rig = Rig::new();
    let scenario = rig.file("hops.toml", HOPS);
    // rmcp as its README shows it: the session lives on the runtime that loaded, which is alive and not driven here.
    let loader = rig.file("loader.toml", "name = \"rust-rmcp-readme\"\nlane = \"rust\"\n");
    let arguments = ["--polite-only", "--limit", "operation=1s", "--loader", loader.to_str().unwrap()];
    let ran = rig.run(&[&[scenario.to_str().unwrap()], &arguments[..]].concat());
    assert_eq!(ran.code, 1, "{}{}", ran.stdout, ran.stderr);
    let failed = ran.invariants("fail");
    for id in ["operation-completes", "call-after-load-succeeds"] {
        assert!(failed.contains(&id.to_owned()), "{failed:?}");
    }
    rig.assert_nothing_left(std::time::Duration::from_secs(6));
}
