//! Every fault of `list faults`: a raw client sees exactly what its row promises, and its delivery is on record.
//!
//! Two tables, one over lines and one over HTTP. A fault that is in none of them, or in one and not in the list, fails the last
//! test.

mod http;
mod lines;

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;

use crate::mock::home::Home;
use crate::rig::LIFECHECK;

/// The result of every call of these tests.
const RESULT: &str = r#"{"content":[{"text":"read {\"path\":\"/a\"}","type":"text"}],"isError":false}"#;
/// A notification that some faults send.
const CHANGED: &str = r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#;
const PING: &str = r#"{"jsonrpc":"2.0","id":0,"method":"ping"}"#;

/// The conforming answer to a call.
fn conforming(id: u32) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{RESULT}}}"#)
}

/// A progress report of call 3.
fn progress(done: u32) -> String {
    format!(r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progress":{done},"progressToken":3}}}}"#)
}

/// Whether this fault was delivered, by its id.
fn assert_delivered(home: &Home, fault: &str, case: &str) {
    home.wait_for("fault.delivered");
    let journal = home.journal();
    let is_it = |event: &String| {
        let name = event.strip_prefix("fault.delivered ");
        name.is_some_and(|name| name.split(':').next() == Some(fault))
    };
    assert!(journal.iter().any(is_it), "{case}: {journal:#?}");
}

/// A script of one rule.
fn script(on: &str, actions: &str) -> mcp_lifecheck::script::Script {
    let text = format!("about = \"x\"\n[[rule]]\non = {on}\ndo = {actions}\n");
    mcp_lifecheck::script::Script::from_toml("s", "s.toml", &text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

#[test]
fn every_fault_has_a_case_and_every_case_is_a_fault() {
    let output = Command::new(LIFECHECK).args(["list", "faults", "--format", "json"]).output().unwrap();
    let listed: Value = serde_json::from_slice(&output.stdout).unwrap();
    let listed: BTreeSet<String> =
        listed.as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect();
    let tested: BTreeSet<String> = lines::faults().chain(http::faults()).map(str::to_owned).collect();
    assert_eq!(listed, tested);
    assert!(listed.len() >= 70, "{}", listed.len());
}
