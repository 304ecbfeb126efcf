//! The lane as its users meet it: loaders that misbehave, the shipped ones, and what is told where there is no Node.

use std::path::{Path, PathBuf};
use std::time::Duration;

use mcp_lifecheck::catalogue::shipped_loaders;
use mcp_lifecheck::plan::Lane;
use mcp_lifecheck::stack::node_stack;

use crate::lanes::unavailable;
use crate::node::home::has_node;
use crate::rig::{Ran, Rig, few_at_once};

/// A loader that goes wrong where its argument says, without a server.
const WRONG: &str = r#"
const { default: lifecheck } = await import(process.env.MCP_LIFECHECK_ADAPTER);
const way = process.argv[2];
await lifecheck.serve({
  load() {
    if (way === "throw-at-load") throw new Error("not today");
    if (way === "exit-at-load") process.exit(0);
    if (way === "reject") Promise.reject(new Error("nobody cares"));
    return { files: ["read"] };
  },
  list: () => ({ files: ["read"] }),
  call() {
    const spinning = () => { for (;;); };
    if (way === "spin-at-call") spinning();
    return "read";
  },
  close() {
    if (way === "leave-handle") setInterval(() => {}, 60_000);
  },
});
"#;

/// Each way, an invariant that it must break, and what the history must have of it.
const WAYS: [(&str, &str, &str); 5] = [
    ("throw-at-load", "load-succeeds", "not today"),
    ("exit-at-load", "operation-completes", "operation.abandoned"),
    ("reject", "error-channels-silent", "nobody cares"),
    ("spin-at-call", "operation-completes", "in spinning"),
    ("leave-handle", "exit-completes", "  Timeout"),
];

#[test]
fn every_way_to_go_wrong_is_found_explained_and_leaves_nothing() {
    if !has_node() {
        return;
    }
    few_at_once(2, WAYS.into_iter(), |(way, invariant, evidence)| {
        let rig = Rig::new();
        rig.file("wrong.mjs", WRONG);
        let text = format!("name = \"wrong\"\nlane = \"node\"\ncommand = [\"{{node}}\", \"wrong.mjs\", {way:?}]\n");
        let loader = rig.file("wrong.toml", &text).display().to_string();
        let mut arguments = vec!["load-call-close", "--loader", &loader];
        let limits = ["operation=3s", "connect=3s", "cleanup=3s", "exit=3s", "grace=300ms"];
        arguments.extend(limits.iter().flat_map(|limit| ["--limit", limit]));
        let ran = rig.run(&arguments);
        rig.assert_nothing_left(Duration::from_secs(6));
        assert_eq!(ran.code, 1, "{way}: {}{}", ran.stdout, ran.stderr);
        assert!(ran.invariants("fail").contains(&invariant.to_owned()), "{way}: {}", ran.stdout);
        let history = rig.history_text(&ran.id());
        assert!(history.contains(evidence), "{way}: expected {evidence:?} in {history}");
    });
}

#[test]
fn shipped_loaders_live_a_life_over_both_transports_whatever_is_inherited() {
    if !has_node() {
        return;
    }
    let loaders = shipped_loaders().unwrap();
    let node: Vec<_> = loaders.iter().filter(|loader| loader.lane == Lane::Node).collect();
    assert_eq!(node.len(), 2, "one on each TypeScript client");
    let lanes =
        node.iter().flat_map(|loader| loader.stacks.iter().map(move |stack| format!("{}@{stack}", loader.name)));
    few_at_once(2, lanes, |name| {
        let (_, stack) = name.split_once('@').unwrap();
        match node_stack(stack).map(|stack| stack.modules()) {
            Some(Ok(_)) => lives_a_life(&name),
            Some(Err(error)) => unavailable(&name, &error.to_string()),
            None => panic!("{name}: no such stack"),
        }
    });
}

fn lives_a_life(name: &str) {
    let rig = Rig::new();
    let mut command = rig.run_command(&["load-call-close", "cancel-in-flight", "--loader", name, "--jobs", "2"]);
    // With these, no Node program could start.
    command.env("NODE_OPTIONS", "--require=/there/is/no/such/module").env("NODE_PATH", "/nowhere");
    let ran = rig.finish(command);
    rig.assert_nothing_left(Duration::from_secs(6));
    let plans = ran.plans();
    assert_eq!(plans.len(), 4, "{name}: {}{}", ran.stdout, ran.stderr);
    for plan in &plans {
        // Neither client deletes its session when it is closed, and neither is said to.
        assert_eq!(plan["findings"], serde_json::json!([]), "{name}: {}", plan);
    }
    let cancelled = format!("cancel-in-flight.{name}.stdio.2025-11-25.polite");
    let history = rig.history_text(&cancelled);
    assert!(history.contains("notifications/cancelled"), "{name}: {history}");
    assert!(history.contains("\"observes\":[\"scopes\""), "{name}: {history}");
}

#[test]
fn without_a_node_that_is_new_enough_the_lane_is_told_to_be_unavailable() {
    let rig = Rig::new();
    let empty = folder(&rig, "empty");
    let old = folder(&rig, "old");
    write_executable(&old.join("node"), "#!/bin/sh\nprintf 18.20.4 >&2\n");
    let broken = folder(&rig, "broken");
    write_executable(&broken.join("node"), "#!/bin/sh\nexit 7\n");
    for (folder, told) in [(&empty, "found none"), (&old, "found version"), (&broken, "exit status: 7")] {
        let mut command = rig.run_command(&["load-call-close", "--loader", "typescript-sdk", "--transport", "stdio"]);
        command.env("PATH", folder).env("MCP_LIFECHECK_OFFLINE", "1");
        let ran: Ran = rig.finish(command);
        let plans = ran.plans();
        assert_eq!((ran.code, &plans[0]["verdict"]), (3, &"unavailable".into()), "{}", ran.stdout);
        let because = plans[0]["because"].as_str().unwrap();
        assert!(because.contains(told) && because.contains("expected node 20 or newer"), "{because}");
    }
}

fn folder(rig: &Rig, name: &str) -> PathBuf {
    let path = rig.file(name, "");
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    path
}

fn write_executable(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}
