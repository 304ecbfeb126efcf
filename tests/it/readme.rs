//! What is known of rmcp 3.9, used plainly as its README shows (loader `rust-rmcp-readme`), is found, each with a witness.

use serde_json::Value;

use crate::lanes::unavailable;
use crate::rig::Rig;

const STDOUT_ENDS: &str = r#"
about = "The server closes its stdout with a call in flight, and lives on."
servers = [{ name = "files", script = "stdout-closed-in-call" }]
[[step]]
do = "load"
[[step]]
do = "call"
server = "files"
[[step]]
do = "close"
"#;

/// rmcp asks for a stream again after 1 s each time, and six times in a row show that it always will.
const STREAMS_END: &str = r#"
about = "Every stream that the server opens ends at once."
servers = [{ name = "files", script = "get-closed-at-once" }]
[[step]]
do = "load"
[[step]]
do = "call"
server = "files"
[[step]]
do = "wait"
for = "7s"
[[step]]
do = "close"
"#;

/// rmcp asks 1 s after the stream has ended, and 2 s after it was told that there is no such session.
const STREAM_IS_TOLD: &str = r#"
about = "The server forgets the session, and only the stream of it asks again."
servers = [{ name = "files", script = "session-expires-idle" }]
[[step]]
do = "load"
[[step]]
do = "call"
server = "files"
[[step]]
do = "open-gate"
gate = "expire"
[[step]]
do = "wait"
for = "5s"
[[step]]
do = "close"
"#;

/// What was found in the one plan over this transport with such a server; `None` where this build cannot run it.
fn found(scenario: &str, transport: &str, server: &str) -> Option<Vec<Value>> {
    if transport == "http" && !cfg!(feature = "rmcp-reqwest") {
        unavailable("rust-rmcp-readme over http", "built without the feature rmcp-reqwest");
        return None;
    }
    let rig = Rig::new();
    let ran =
        rig.run(&[&rig.scenario(scenario), "--loader", "rust-rmcp-readme", "--transport", transport, "--stubborn-too"]);
    let plan = ran.plans().into_iter().find(|plan| plan["server"] == server);
    let plan = plan.unwrap_or_else(|| panic!("{}{}", ran.stdout, ran.stderr));
    Some(plan["findings"].as_array().unwrap().clone())
}

/// Takes the finding with this signature, which has this verdict and a witness.
fn finding<'a>(found: &'a [Value], signature: &str, verdict: &str) -> &'a Value {
    let is_it = |finding: &&Value| finding["signature"] == signature && finding["verdict"] == verdict;
    let finding = found.iter().find(is_it).unwrap_or_else(|| panic!("no {verdict} of {signature} in {found:#?}"));
    assert!(!finding["witness"].as_array().unwrap().is_empty(), "{finding}");
    finding
}

#[test]
fn a_call_whose_server_ends_its_output_fails_only_after_the_whole_ladder() {
    let found = found(STDOUT_ENDS, "stdio", "stubborn").unwrap();
    let late = finding(&found, "failure-prompt-after-server-death/late", "warn");
    // Two rungs of 3 s each, before SIGKILL.
    let because = late["because"].as_str().unwrap();
    let ms = because.split(" ms later").next().and_then(|text| text.rsplit(' ').next()?.parse::<u64>().ok());
    assert!(ms.is_some_and(|ms| ms >= 6000), "{because}");
}

#[test]
fn a_stream_that_ends_in_order_is_opened_again_without_limit() {
    let Some(found) = found(STREAMS_END, "http", "polite") else { return };
    finding(&found, "stream-reopened-slowly/steady", "fail");
}

#[test]
fn a_stream_that_is_answered_404_is_asked_for_again_and_no_session_is_opened() {
    let Some(found) = found(STREAM_IS_TOLD, "http", "polite") else { return };
    let used = finding(&found, "stale-session-unused/used", "fail");
    assert!(used["because"].as_str().unwrap().starts_with("GET "), "{used}");
}

#[test]
fn a_runtime_that_is_dropped_leaves_a_stubborn_child_behind() {
    let found = found("loading-runtime-ends", "stdio", "stubborn").unwrap();
    let left = found.iter().find(|finding| finding["invariant"] == "nothing-survives");
    let left = left.unwrap_or_else(|| panic!("{found:#?}"));
    assert_eq!(left["verdict"], "fail");
    assert!(left["because"].as_str().unwrap().contains("server:files"), "{left}");
    assert!(!left["witness"].as_array().unwrap().is_empty(), "{left}");
}
