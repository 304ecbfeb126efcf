//! Every revision with sessions and streamable HTTP is lived in, not the newest alone.

use serde_json::Value;

use crate::rig::Rig;

const OLDER: [&str; 2] = ["2025-03-26", "2025-06-18"];

#[test]
fn the_reference_loader_passes_the_core_in_every_older_revision_over_every_transport() {
    for revision in OLDER {
        let rig = Rig::new();
        let ran = rig.run(&["core", "--polite-only", "--revision", revision, "--jobs", "4"]);
        assert_eq!(ran.code, 0, "{revision}: {}{}", ran.stdout, ran.stderr);
        let lived: Vec<Value> = ran.plans().into_iter().filter(|plan| plan["verdict"] == "pass").collect();
        for transport in ["stdio", "http", "memory"] {
            let plan =
                lived.iter().find(|plan| plan["transport"] == transport && plan["scenario"] == "load-call-close");
            let plan = plan.unwrap_or_else(|| panic!("{revision} over {transport}: {lived:#?}"));
            assert_eq!(plan["revision"], revision);
            assert_eq!(agreed(&rig.events(plan["id"].as_str().unwrap())), [revision], "over {transport}");
        }
    }
}

/// The revisions that servers answered `initialize` with, each once.
fn agreed(events: &[Value]) -> Vec<&str> {
    let answers = events.iter().filter(|event| event["kind"] == "wire.sent");
    let mut agreed: Vec<_> =
        answers.filter_map(|event| event["message"]["result"]["protocolVersion"].as_str()).collect();
    agreed.dedup();
    agreed
}
