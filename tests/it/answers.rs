//! Suite `answers`: what servers say that they should not, or when they like.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::rig::Rig;
use crate::stability::is_thorough;

#[test]
fn the_reference_loader_copes_with_whatever_servers_say() {
    let rig = Rig::new();
    // Calls that are never answered end by the loader's own bound: these plans wait. Over every transport where every lane is required.
    let over: &[&str] = if is_thorough() { &[] } else { &["--transport", "stdio"] };
    let ran = rig.run(&[&["answers", "--polite-only", "--jobs", "6"], over].concat());
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    let plans = ran.plans();
    assert!(plans.len() >= 22, "{} plans", plans.len());
    assert!(plans.iter().all(|plan| plan["verdict"] == "pass"), "{plans:#?}");
}

#[test]
fn a_call_that_is_answered_under_a_strange_id_ends_by_its_bound() {
    let rig = Rig::new();
    let ran = rig.run(&["odd-ids", "--transport", "stdio", "--polite-only"]);
    let events = rig.events(&ran.id());
    let of_kind = |kind: &'static str| events.iter().filter(move |event| event["kind"] == kind);
    let server_of = |operation: &Value| {
        let invoked = of_kind("operation.invoked").find(|event| event["operation"] == *operation).unwrap();
        invoked["server"].as_str().unwrap().to_owned()
    };
    let failed: BTreeMap<_, _> = of_kind("operation.completed")
        .filter_map(|event| Some((event, event["outcome"]["failed"]["type"].as_str()?)))
        .map(|(event, failure)| (server_of(&event["operation"]), failure))
        .collect();
    // rmcp takes a number for the string that it is written as; to JSON-RPC, they are two ids.
    let timed_out = "CallError::TimedOut";
    assert_eq!(failed, BTreeMap::from([("unknown".to_owned(), timed_out), ("null".to_owned(), timed_out)]));
}
