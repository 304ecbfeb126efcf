//! Every shipped script, the scenario that uses it, and a broken loader that fails there because of it.
//!
//! A scenario often has many odd servers. This test narrows it to one odd server and the conforming ones, and runs it three times:
//! the reference loader passes; the broken loader breaks the invariant; with a conforming server in the place of the odd one, the
//! broken loader keeps the invariant. So the script makes the difference.
//!
//! All rows take minutes, most of it waiting. `cargo test` tries one row in ten. It tries all if every lane is required, or with
//! `MCP_LIFECHECK_ALL_SCRIPTS=1`; and the rows of some scripts alone with `MCP_LIFECHECK_SCRIPTS=NAME,NAME`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::Mutex;

use mcp_lifecheck::check::INVARIANTS;
use mcp_lifecheck::plan::{Scenario, Transport};
use mcp_lifecheck::script::{shipped, shipped_names};
use mcp_lifecheck_specimens::mutation::{PREFIX, mutation};
use serde_json::Value;

use crate::rig::{Ran, Rig, few_at_once, root};
use crate::stability::is_thorough;

/// Script, scenario, mutation of the reference loader, the invariant that breaks, and the transport over which it shows.
pub const ROWS: &[Row] = &[
    ("session-expires-in-call", "session-lost-in-call", "first-session-for-ever", "lost-session-renewed-once", "http"),
    ("sse-answers", "answers-as-events", "json-alone", "load-succeeds", "http"),
    ("initialize-as-event", "odd-handshakes", "json-alone", "load-succeeds", "http"),
    ("call-accepted", "odd-bodies", "one-fails-all", "call-after-load-succeeds", "http"),
    ("call-empty-body", "odd-bodies", "one-fails-all", "call-after-load-succeeds", "http"),
    ("call-html", "odd-bodies", "one-fails-all", "call-after-load-succeeds", "http"),
    ("call-on-wrong-stream", "odd-bodies", "streamless", "call-after-load-succeeds", "http"),
    ("call-cut-after-event-id", "odd-events", "one-fails-all", "call-after-load-succeeds", "http"),
    ("call-stream-ends", "odd-events", "one-fails-all", "call-after-load-succeeds", "http"),
    ("initialize-500", "odd-handshakes", "one-fails-all", "load-succeeds", "http"),
    ("initialized-refused", "odd-handshakes", "one-fails-all", "load-succeeds", "http"),
    ("call-half-closed", "odd-sockets", "one-fails-all", "call-after-load-succeeds", "http"),
    ("call-length-too-long", "odd-sockets", "one-fails-all", "call-after-load-succeeds", "http"),
    ("call-length-too-short", "odd-sockets", "one-fails-all", "call-after-load-succeeds", "http"),
    ("call-no-http", "odd-silences", "one-fails-all", "call-after-load-succeeds", "http"),
    ("call-reset", "odd-silences", "one-fails-all", "call-after-load-succeeds", "http"),
    ("call-stalled-body", "odd-silences", "one-fails-all", "call-after-load-succeeds", "http"),
    ("call-stalled-head", "odd-silences", "one-fails-all", "call-after-load-succeeds", "http"),
    ("call-truncated", "odd-sockets", "one-fails-all", "call-after-load-succeeds", "http"),
    ("call-400-empty", "odd-statuses", "one-fails-all", "call-after-load-succeeds", "http"),
    ("call-403", "odd-statuses", "one-fails-all", "call-after-load-succeeds", "http"),
    ("call-500", "odd-statuses", "one-fails-all", "call-after-load-succeeds", "http"),
    ("call-redirect-loop", "sent-elsewhere", "one-fails-all", "call-after-load-succeeds", "http"),
    ("call-redirected", "sent-elsewhere", "one-fails-all", "call-after-load-succeeds", "http"),
    ("call-too-many", "sent-elsewhere", "one-fails-all", "call-after-load-succeeds", "http"),
    ("call-unauthorized", "odd-statuses", "one-fails-all", "call-after-load-succeeds", "http"),
    ("get-retry-zero", "odd-streams", "stream-at-once", "stream-reopened-slowly", "http"),
    ("get-closed-at-once", "stream-ends-at-once", "stream-at-once", "stream-reopened-slowly", "http"),
    ("get-refused", "stream-refused", "stream-insisted", "refused-stream-accepted", "http"),
    ("get-refused-later", "stream-refused-later", "stream-insisted-on", "refused-stream-accepted", "http"),
    ("call-trickles", "odd-bodies", "strict", "call-after-load-succeeds", "http"),
    ("call-commented", "odd-events", "strict", "call-after-load-succeeds", "http"),
    ("call-data-lines", "odd-events", "strict", "call-after-load-succeeds", "http"),
    ("call-other-event", "odd-events", "strict", "call-after-load-succeeds", "http"),
    ("call-with-event-id", "odd-events", "strict", "call-after-load-succeeds", "http"),
    ("session-expires-idle", "session-lost-idle", "strict", "lost-session-renewed-once", "http"),
    ("initialized-accepted-with-body", "odd-handshakes", "accepted-empty", "load-succeeds", "http"),
    ("same-session-again", "session-given-again", "dead-ids-remembered", "call-after-load-succeeds", "http"),
    ("get-commented", "odd-streams", "stream-needed", "call-after-load-succeeds", "http"),
    ("get-dropped", "stream-breaks", "stream-needed", "call-after-load-succeeds", "http"),
    ("get-stalled", "odd-streams", "stream-needed", "operation-completes", "http"),
    ("get-unauthorized", "odd-streams", "stream-needed", "call-after-load-succeeds", "http"),
    ("call-then-closed", "odd-sockets", "socket-kept", "call-after-load-succeeds", "http"),
    ("delete-refused", "end-refused", "delete-insisted", "cleanup-repeatable", "http"),
    ("delete-mute", "end-unanswered", "unbounded", "cleanup-repeatable", "http"),
    ("hold-call", "cancel-in-flight", "cancel-lost", "cancel-announced", "stdio"),
    ("call-answered-late", "late-answer", "cancel-lost", "cancel-announced", "stdio"),
    ("hold-initialize", "close-during-connect", "close-queued", "cleanup-repeatable", "stdio"),
    ("grandchild-apart", "grandchildren", "group-spared", "nothing-survives", "stdio"),
    ("orphans-its-child", "child-left-by-term", "group-spared", "nothing-survives", "stdio"),
    ("grandchild-with-pipes", "grandchildren", "group-spared", "nothing-survives", "stdio"),
    ("call-cancelled-by-server", "cancelled-by-server", "one-fails-all", "call-after-load-succeeds", "stdio"),
    ("call-progress-forever", "cancelled-by-server", "one-fails-all", "call-after-load-succeeds", "stdio"),
    ("dead-on-arrival", "dead-and-mute", "one-fails-all", "load-succeeds", "stdio"),
    ("mute-initialize", "dead-and-mute", "one-fails-all", "load-succeeds", "stdio"),
    ("die-at-gate", "dies-at-gate", "one-fails-all", "call-after-load-succeeds", "stdio"),
    ("die-after-initialize", "dies-in-handshake", "one-fails-all", "load-succeeds", "stdio"),
    ("hold-first-call", "held-call", "one-fails-all", "call-after-load-succeeds", "stdio"),
    ("endless-line-in-call", "endless-lines", "one-fails-all", "call-after-load-succeeds", "stdio"),
    ("half-line-then-noise", "endless-lines", "one-fails-all", "call-after-load-succeeds", "stdio"),
    ("call-null-id", "odd-ids", "one-fails-all", "call-after-load-succeeds", "stdio"),
    ("call-unknown-id", "odd-ids", "one-fails-all", "call-after-load-succeeds", "stdio"),
    ("call-bad-utf8", "odd-lines", "one-fails-all", "call-after-load-succeeds", "stdio"),
    ("call-broken-json", "odd-framing", "one-fails-all", "call-after-load-succeeds", "stdio"),
    ("call-glued", "odd-framing", "one-fails-all", "call-after-load-succeeds", "stdio"),
    ("call-half-line", "odd-framing", "one-fails-all", "call-after-load-succeeds", "stdio"),
    ("call-length-header", "odd-framing", "one-fails-all", "call-after-load-succeeds", "stdio"),
    ("call-pretty", "odd-framing", "one-fails-all", "call-after-load-succeeds", "stdio"),
    ("call-error", "odd-results", "one-fails-all", "call-after-load-succeeds", "stdio"),
    ("call-in-batch", "odd-results", "one-fails-all", "call-after-load-succeeds", "stdio"),
    ("call-mute", "odd-messages", "one-fails-all", "call-after-load-succeeds", "stdio"),
    ("call-no-jsonrpc", "odd-messages", "one-fails-all", "call-after-load-succeeds", "stdio"),
    ("call-no-result", "odd-messages", "one-fails-all", "call-after-load-succeeds", "stdio"),
    ("call-odd-error", "odd-messages", "one-fails-all", "call-after-load-succeeds", "stdio"),
    ("call-odd-result", "odd-results", "one-fails-all", "call-after-load-succeeds", "stdio"),
    ("call-result-and-error", "odd-messages", "one-fails-all", "call-after-load-succeeds", "stdio"),
    ("initialize-bare", "odd-openings", "one-fails-all", "load-succeeds", "stdio"),
    ("initialize-error", "odd-openings", "one-fails-all", "load-succeeds", "stdio"),
    ("initialize-unknown-version", "odd-openings", "one-fails-all", "load-succeeds", "stdio"),
    ("list-error", "odd-lists", "one-fails-all", "load-succeeds", "stdio"),
    ("list-mute", "odd-lists", "one-fails-all", "load-succeeds", "stdio"),
    ("list-null-id", "odd-lists", "one-fails-all", "load-succeeds", "stdio"),
    ("list-odd-result", "odd-lists", "one-fails-all", "load-succeeds", "stdio"),
    ("close-stdin-in-call", "odd-processes", "one-fails-all", "call-after-load-succeeds", "stdio"),
    ("exit-on-call", "odd-processes", "one-fails-all", "call-after-load-succeeds", "stdio"),
    ("freeze-in-call", "odd-processes", "one-fails-all", "call-after-load-succeeds", "stdio"),
    ("stdout-closed-in-call", "odd-processes", "one-fails-all", "call-after-load-succeeds", "stdio"),
    ("stop-in-call", "odd-processes", "one-fails-all", "call-after-load-succeeds", "stdio"),
    ("call-deep", "odd-sizes", "one-fails-all", "call-after-load-succeeds", "stdio"),
    ("call-padded", "odd-sizes", "one-fails-all", "call-after-load-succeeds", "stdio"),
    ("exit-on-list", "odd-starts", "one-fails-all", "load-succeeds", "stdio"),
    ("exit-when-initialized", "odd-starts", "one-fails-all", "load-succeeds", "stdio"),
    ("freeze-at-start", "odd-starts", "one-fails-all", "load-succeeds", "stdio"),
    ("die-in-call", "server-dies-in-call", "one-fails-all", "call-after-load-succeeds", "stdio"),
    ("slow-to-end", "cancel-during-close", "patient", "cleanup-repeatable", "stdio"),
    ("stderr-flood-in-call", "noise", "stderr-unread", "call-after-load-succeeds", "stdio"),
    ("call-reordered", "answers-in-any-order", "strict", "call-after-load-succeeds", "stdio"),
    ("call-carriage-return", "odd-lines", "strict", "call-after-load-succeeds", "stdio"),
    ("list-changed-before-initialize", "odd-lists", "strict", "load-succeeds", "stdio"),
    ("elicitation-completed-unknown", "server-asks-more", "strict", "call-after-load-succeeds", "stdio"),
    ("elicitation-asked-in-call", "server-asks-more", "strict", "call-after-load-succeeds", "stdio"),
    ("ping-before-initialized", "server-asks", "strict", "load-succeeds", "stdio"),
    ("ping-in-call", "server-asks", "strict", "call-after-load-succeeds", "stdio"),
    ("ping-twice-in-call", "server-asks-more", "strict", "call-after-load-succeeds", "stdio"),
    ("ping-when-initialized", "server-asks-more", "strict", "load-succeeds", "stdio"),
    ("roots-asked-in-call", "server-asks", "strict", "call-after-load-succeeds", "stdio"),
    ("sampling-asked-in-call", "server-asks-more", "strict", "call-after-load-succeeds", "stdio"),
    ("tasks-served", "tasks", "task-asked", "call-after-load-succeeds", "http"),
    ("task-held", "task-left-open", "task-asked", "call-after-load-succeeds", "http"),
    ("task-unasked", "tasks", "one-fails-all", "call-after-load-succeeds", "stdio"),
    ("log-flood-in-call", "server-logs", "strict", "call-after-load-succeeds", "stdio"),
    ("logs-before-initialized", "server-logs", "strict", "load-succeeds", "stdio"),
    ("logs-in-call", "server-logs", "strict", "call-after-load-succeeds", "stdio"),
    ("call-with-progress", "unasked", "strict", "call-after-load-succeeds", "stdio"),
    ("list-changed-flood", "unasked", "strict", "call-after-load-succeeds", "stdio"),
    ("stray-answer-in-call", "unasked", "strict", "call-after-load-succeeds", "stdio"),
    ("bytes-in-call", "noise", "stuck", "operation-completes", "stdio"),
    ("noise-at-start", "noise", "stuck", "operation-completes", "stdio"),
    ("noise-flood-in-call", "noise", "stuck", "operation-completes", "stdio"),
    ("noise-in-call", "noise", "stuck", "operation-completes", "stdio"),
    ("call-converted-id", "odd-ids", "stuck", "operation-completes", "stdio"),
    ("call-float-id", "odd-ids", "stuck", "operation-completes", "stdio"),
    ("call-after-blank-lines", "odd-lines", "stuck", "operation-completes", "stdio"),
    ("call-byte-order-mark", "odd-lines", "stuck", "operation-completes", "stdio"),
    ("call-extra-member", "odd-results", "stuck", "operation-completes", "stdio"),
    ("initialize-twice", "odd-openings", "stuck", "operation-completes", "stdio"),
    ("call-answered-twice", "unasked", "stuck", "operation-completes", "stdio"),
    ("stray-error-in-call", "unasked", "stuck", "operation-completes", "stdio"),
    ("initialize-without-tools", "odd-openings", "tools-assumed", "capabilities-respected", "stdio"),
    ("call-split", "odd-lines", "strict", "call-after-load-succeeds", "stdio"),
    ("call-without-content", "odd-results", "content-assumed", "operation-completes", "stdio"),
    ("roots-asked-and-held", "close-while-asked", "handlers-awaited", "cleanup-repeatable", "stdio"),
    ("stubborn", "stubborn-server", "patient", "cleanup-repeatable", "stdio"),
    ("tools-that-change", "tools-change", "changes-unheard", "changed-tools-listed-again", "stdio"),
    ("hold-first-initialize", "cancel-during-connect", "unbounded", "operation-completes", "stdio"),
];

/// The same rows for the stateless generation of the protocol.
pub const ERA_ROWS: &[Row] = &[
    ("legacy-only", "eras-side-by-side", "never-falls-back", "load-succeeds", "stdio"),
    ("era-changes", "era-changes", "never-falls-back", "load-succeeds", "stdio"),
    ("dual", "eras-side-by-side", "initializes-as-well", "modern-era-kept", "stdio"),
    ("modern-only", "eras-side-by-side", "never-discovers", "load-succeeds", "stdio"),
    ("discover-error-parse", "discover-refused", "never-falls-back", "load-succeeds", "stdio"),
    ("discover-error-invalid-request", "discover-refused", "never-falls-back", "load-succeeds", "stdio"),
    ("discover-error-invalid-params", "discover-refused", "never-falls-back", "load-succeeds", "stdio"),
    ("discover-error-internal", "discover-refused", "never-falls-back", "load-succeeds", "stdio"),
    ("discover-error-uninitialized", "discover-refused", "never-falls-back", "load-succeeds", "stdio"),
    ("discover-error-draft-code", "discover-refused", "never-falls-back", "load-succeeds", "stdio"),
    ("discover-error-own-code", "discover-refused", "never-falls-back", "load-succeeds", "stdio"),
    ("discover-error-without-id", "discover-refused", "never-falls-back", "load-succeeds", "stdio"),
    ("discover-mute", "discover-mute", "never-falls-back", "load-succeeds", "stdio"),
    ("discover-late", "discover-late", "never-falls-back", "load-succeeds", "stdio"),
    ("discover-status-400", "discover-refused-by-status", "never-falls-back", "load-succeeds", "http"),
    ("discover-status-404", "discover-refused-by-status", "never-falls-back", "load-succeeds", "http"),
    ("discover-status-405", "discover-refused-by-status", "never-falls-back", "load-succeeds", "http"),
    ("discover-more-versions", "discover-versions", "first-revision-alone", "load-succeeds", "stdio"),
    ("discover-unsupported-once", "discover-versions", "refusal-for-legacy", "load-succeeds", "stdio"),
    ("discover-unknown-versions", "discover-versions", "one-fails-all", "load-succeeds", "stdio"),
    ("input-required-for-ever", "input-required", "one-fails-all", "call-after-load-succeeds", "stdio"),
    ("input-required-once", "input-required", "sent-back-for-answer", "answer-reaches-its-caller", "stdio"),
    ("input-required-repeatedly", "input-required", "first-state-kept", "sent-back-call-keeps-state", "stdio"),
    ("modern-names-session", "remnants", "session-believed", "modern-without-session", "http"),
    ("listen-heard", "subscription-heard", "strict", "call-after-load-succeeds", "stdio"),
    ("listen-mute", "subscription-mute", "acknowledgement-awaited", "call-after-load-succeeds", "stdio"),
    ("listen-answered", "subscription-ends", "subscription-for-all", "call-after-load-succeeds", "stdio"),
    ("listen-cut", "subscription-cut", "subscription-for-all", "call-after-load-succeeds", "http"),
    ("listen-grants-less", "subscription-granted-less", "filter-for-all", "call-after-load-succeeds", "stdio"),
    ("listen-torn-down", "subscription-torn-down", "torn-down-for-all", "call-after-load-succeeds", "stdio"),
    ("call-untyped", "untyped-answers", "type-needed", "load-succeeds", "stdio"),
    ("pages-fresh", "pages", "first-page-kept", "load-succeeds", "stdio"),
    ("input-required-then-dies", "input-required", "one-fails-all", "call-after-load-succeeds", "stdio"),
];
const MODERN_REVISION: &str = "2026-07-28";

/// Scripts without a broken loader, and why.
const WITHOUT: [(&str, &str); 1] = [("polite", "all others are compared with it")];
/// The script that is named like a shutdown behaviour.
const STUBBORN: &str = "stubborn";
/// `cargo test` tries one row of this many.
const EVERY: usize = 10;

#[test]
fn every_script_has_its_row() {
    let listed: BTreeSet<&str> = shipped_names().into_iter().collect();
    let rows = || ROWS.iter().chain(ERA_ROWS).copied();
    let named: Vec<&str> = rows().map(|row| row.0).chain(WITHOUT.iter().map(|row| row.0)).collect();
    assert_eq!(named.len(), named.iter().collect::<BTreeSet<_>>().len(), "a script twice");
    let named: BTreeSet<_> = named.into_iter().collect();
    let (missing, unknown): (Vec<_>, Vec<_>) =
        (listed.difference(&named).collect(), named.difference(&listed).collect());
    assert!(missing.is_empty() && unknown.is_empty(), "ROWS: no row for {missing:?}, no script for {unknown:?}");
    assert!(ROWS.len() >= 80, "{}", ROWS.len());
    let in_suites: String = ["standard", "answers", "core", "eras"].map(|name| fixture("suites", name)).concat();
    for (script, scenario, name, invariant, transport) in rows() {
        let found = scenario_named(scenario);
        assert!(found.servers.iter().any(|server| server.script == script), "{scenario} has no {script}");
        assert!(in_suites.contains(&format!("\"{scenario}\"")), "{scenario} is in no suite");
        assert!(mutation(name).is_some(), "{name}");
        assert!(INVARIANTS.iter().any(|one| one.id == invariant), "{invariant}");
        let over = Transport::named(transport).unwrap();
        assert!(found.runs_over(over), "{scenario} over {transport}");
    }
}

#[test]
fn a_broken_loader_fails_because_of_the_script() {
    let wants_all = std::env::var_os("MCP_LIFECHECK_ALL_SCRIPTS").is_some() || is_thorough();
    let all = ROWS.iter().map(|row| (row, None)).chain(ERA_ROWS.iter().map(|row| (row, Some(MODERN_REVISION))));
    let named = std::env::var("MCP_LIFECHECK_SCRIPTS").unwrap_or_default();
    let named: BTreeSet<&str> = named.split(',').filter(|name| !name.is_empty()).collect();
    let is_wanted = |index: usize, row: &Row| match named.is_empty() {
        true => wants_all || index.is_multiple_of(EVERY),
        false => named.contains(row.0),
    };
    let rows: Vec<_> = all.enumerate().filter(|(index, (row, _))| is_wanted(*index, row)).map(|(_, row)| row).collect();
    let n_named = named.len();
    assert!(
        n_named == 0 || rows.len() == n_named,
        "MCP_LIFECHECK_SCRIPTS names {n_named} scripts, {} have rows",
        rows.len()
    );
    let lives: BTreeSet<_> = rows.iter().map(|(row, revision)| (row.2, row.4, *revision)).collect();
    let wrong = Mutex::new(String::new());
    few_at_once(2, lives.into_iter(), |life| {
        let is_of_it = |(row, revision): &&(&Row, Option<&str>)| (row.2, row.4, *revision) == life;
        let of_it: Vec<_> = rows.iter().filter(is_of_it).map(|(row, _)| *row).collect();
        let found = lived(life, &of_it);
        wrong.lock().unwrap().push_str(&found);
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{wrong}");
    println!("{} of {} scripts", rows.len(), ROWS.len() + ERA_ROWS.len());
}

/// The text of a shipped file.
fn fixture(folder: &str, name: &str) -> String {
    let path = root().join("fixtures").join(folder).join(format!("{name}.toml"));
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn scenario_named(name: &str) -> Scenario {
    Scenario::from_toml(name, name, &fixture("scenarios", name)).unwrap()
}

/// Script, scenario, mutation of the reference loader, the invariant that breaks, and the transport over which it shows.
pub type Row = (&'static str, &'static str, &'static str, &'static str, &'static str);

/// Runs the scenarios of some rows with one broken loader over one transport. Returns the differences from what the rows say.
fn lived((mutation, transport, revision): (&str, &str, Option<&str>), rows: &[&Row]) -> String {
    let rig = Rig::new();
    let text = format!(
        "name = \"{PREFIX}{mutation}\"\nlane = \"rust\"\ntransports = [\"{transport}\"]\n[promises]\nsession = \"persistent\"\ncloses-children = true\n"
    );
    let broken = rig.file(&format!("{mutation}.toml"), &text).display().to_string();
    let mut files = Vec::new();
    for (script, scenario, ..) in rows {
        let scenario = scenario_named(scenario);
        files.push(rig.file(&format!("{script}-odd.toml"), &narrowed(&scenario, script, script)));
        if can_be_conforming(&scenario, script) {
            let conforming = conforming(script, revision);
            files.push(rig.file(&format!("{script}-conforming.toml"), &narrowed(&scenario, script, conforming)));
        }
    }
    let limits = ["--limit", "grace=500ms", "--limit", "cleanup=8s"];
    let mut command = rig.run_command(&["--transport", transport, "--jobs", "8"]);
    if rows.iter().all(|row| row.0 != STUBBORN) {
        command.arg("--polite-only");
    }
    command.args(revision.iter().flat_map(|revision| ["--revision", revision]));
    command.args(limits).args(&files).args(["--loader", "reference", "--loader", &broken]);
    let ran = rig.finish(command);
    let verdicts = verdicts(&ran);
    let mut wrong = String::new();
    for (script, _, _, invariant, _) in rows {
        let at = |kind: &str, loader: &str| {
            let server = if (*script, kind) == (STUBBORN, "odd") { STUBBORN } else { "polite" };
            verdicts.get(&[&format!("{script}-{kind}"), loader, server].map(str::to_owned)).cloned()
        };
        let found = at("odd", "reference");
        if found.as_ref().is_none_or(|found| !found.is_empty()) {
            wrong.push_str(&format!("{script}: the reference loader: {found:?}\n{}", ran.stderr));
        }
        let loader = format!("{PREFIX}{mutation}");
        let found = at("odd", &loader);
        if !found.as_ref().is_some_and(|found| found.contains(*invariant)) {
            wrong.push_str(&format!("{script}: {loader} must break {invariant}, found {found:?}\n"));
        }
        if at("conforming", &loader).is_some_and(|found| found.contains(*invariant)) {
            wrong.push_str(&format!("{script}: {loader} breaks {invariant} without it too\n"));
        }
    }
    wrong
}

/// The invariants with a finding, by scenario, loader and shutdown behaviour.
fn verdicts(ran: &Ran) -> BTreeMap<[String; 3], BTreeSet<String>> {
    let plan = |plan: &Value| {
        let text = |name: &str| plan[name].as_str().unwrap().to_owned();
        let findings = plan["findings"].as_array().unwrap().iter();
        let found = findings.map(|finding| finding["invariant"].as_str().unwrap().to_owned()).collect();
        ([text("scenario"), text("loader"), text("server")], found)
    };
    ran.plans().iter().map(plan).collect()
}

/// The conforming server in the place of the odd one. In the stateless generation it is one that any client can open; in the place of that
/// one, it is a server of the handshake generation.
fn conforming(script: &str, revision: Option<&str>) -> &'static str {
    match (script, revision) {
        (_, None) => "polite",
        ("dual", Some(_)) => "legacy-only",
        (_, Some(_)) => "dual",
    }
}

/// A conforming server has no gate that a scenario could wait for, and no tool but the first.
fn can_be_conforming(scenario: &Scenario, script: &str) -> bool {
    let text = fixture("scenarios", &scenario.name);
    shipped(script).unwrap().gates().is_empty() && !text.contains("\ngate = ")
}

/// A shipped scenario with one odd server and the conforming ones; the odd one runs another script.
fn narrowed(scenario: &Scenario, odd: &str, script: &str) -> String {
    let text = fixture("scenarios", &scenario.name);
    let mut table: toml::Table = text.parse().unwrap();
    let mut kept = BTreeSet::new();
    let servers = table["servers"].as_array_mut().unwrap();
    // Where a scenario tells the generations apart, its conforming servers belong to one of them. `modern-only` equals `dual` here.
    let is_kept = |script: &str| {
        script == odd || script == "polite" || odd != "dual" && ["dual", "modern-only"].contains(&script)
    };
    servers.retain(|server| is_kept(server["script"].as_str().unwrap()));
    for server in servers {
        kept.insert(server["name"].as_str().unwrap().to_owned());
        if server["script"].as_str() == Some(odd) {
            server.as_table_mut().unwrap().insert("script".to_owned(), script.into());
        }
    }
    let mut named = BTreeSet::new();
    table["step"].as_array_mut().unwrap().retain(|step| {
        let text = |key: &str| step.get(key).and_then(toml::Value::as_str);
        let is_there = |server: &str| server == "*" || kept.contains(server);
        let stays = text("server").is_none_or(is_there)
            && text("end-of").is_none_or(is_there)
            && text("operation").is_none_or(|operation| named.contains(operation));
        if stays {
            named.extend(text("as").map(str::to_owned));
        }
        stays
    });
    table.to_string()
}
