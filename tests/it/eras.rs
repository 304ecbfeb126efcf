//! Suite `eras`: what the reference loader says to servers of either generation, and what comes of it.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::rig::Rig;

const TRANSPORTS: [&str; 3] = ["stdio", "memory", "http"];
const FALLBACK: [&str; 4] = ["server/discover", "initialize", "notifications/initialized", "tools/list"];

/// One plan of the reference loader that passed.
struct Life {
    events: Vec<Value>,
}

impl Life {
    fn of(scenario: &str, transport: &str) -> Self {
        let rig = Rig::new();
        let arguments = [scenario, "--loader", "reference", "--transport", transport, "--revision", "2026-07-28"];
        let mut command = rig.run_command(&arguments);
        command.arg("--polite-only");
        let ran = rig.finish(command);
        assert_eq!(ran.code, 0, "{scenario} over {transport}: {}{}", ran.stdout, ran.stderr);
        Self { events: rig.events(&ran.id()) }
    }

    /// What a server received, by method; `source` is its name and its start.
    fn heard(&self, source: &str) -> Vec<&str> {
        let of_it = self.of_kind("wire.received").filter(|event| event["source"] == format!("mock:{source}"));
        of_it.map(|event| event["message"]["method"].as_str().unwrap()).collect()
    }

    /// Whether each call succeeded, by server, in order.
    fn calls(&self) -> BTreeMap<&str, Vec<bool>> {
        let mut calls: BTreeMap<&str, Vec<bool>> = BTreeMap::new();
        for invoked in self.of_kind("operation.invoked").filter(|event| event["action"] == "call") {
            let mut completed = self.of_kind("operation.completed");
            let completed = completed.find(|event| event["operation"] == invoked["operation"]).unwrap();
            let server = invoked["server"].as_str().unwrap();
            calls.entry(server).or_default().push(completed["outcome"]["ok"].is_object());
        }
        calls
    }

    /// The parameters of each call that a server received.
    fn calls_of(&self, source: &str) -> Vec<&Value> {
        let of_it = self.of_kind("wire.received").filter(|event| event["source"] == format!("mock:{source}"));
        of_it.map(|event| &event["message"]).filter(|message| message["method"] == "tools/call").collect()
    }

    fn of_kind(&self, kind: &'static str) -> impl Iterator<Item = &Value> {
        self.events.iter().filter(move |event| event["kind"] == kind)
    }
}

fn all(calls: &BTreeMap<&str, Vec<bool>>) -> bool {
    calls.values().flatten().all(|succeeded| *succeeded)
}

#[test]
fn each_server_is_spoken_to_as_its_generation_says() {
    for transport in TRANSPORTS {
        let life = Life::of("eras-side-by-side", transport);
        let calls = ["tools/call", "tools/call"];
        assert_eq!(life.heard("legacy#1"), [&FALLBACK[..], &calls].concat(), "{transport}");
        for modern in ["modern#1", "dual#1"] {
            assert_eq!(
                life.heard(modern),
                ["server/discover", "tools/list", "tools/call", "tools/call"],
                "{transport}"
            );
        }
        assert!(all(&life.calls()), "{transport}: {:?}", life.calls());
    }
}

#[test]
fn whatever_the_code_of_a_refusal_it_is_followed_by_initialize() {
    for transport in TRANSPORTS {
        let life = Life::of("discover-refused", transport);
        for name in [
            "parse",
            "invalid-request",
            "invalid-params",
            "internal",
            "uninitialized",
            "draft-code",
            "own-code",
            "without-id",
        ] {
            assert!(life.heard(&format!("{name}#1")).starts_with(&FALLBACK), "{name} over {transport}");
        }
        assert!(all(&life.calls()), "{transport}: {:?}", life.calls());
    }
}

#[test]
fn whatever_the_status_of_a_refusal_it_is_followed_by_initialize() {
    for transport in ["memory", "http"] {
        let life = Life::of("discover-refused-by-status", transport);
        for name in ["400", "404", "405"] {
            assert!(life.heard(&format!("{name}#1")).starts_with(&FALLBACK), "{name} over {transport}");
        }
        assert!(all(&life.calls()), "{transport}: {:?}", life.calls());
    }
}

#[test]
fn silence_is_followed_by_initialize_and_a_late_answer_harms_nothing() {
    for transport in TRANSPORTS {
        let life = Life::of("discover-mute", transport);
        assert!(life.heard("mute#1").starts_with(&FALLBACK), "{transport}: {:?}", life.heard("mute#1"));
        assert!(all(&life.calls()), "{transport}: {:?}", life.calls());
        let life = Life::of("discover-late", transport);
        assert_eq!(life.heard("late#1"), [&FALLBACK[..], &["tools/call"]].concat(), "{transport}");
        assert!(all(&life.calls()), "{transport}: {:?}", life.calls());
    }
}

#[test]
fn a_refusal_of_the_stateless_generation_is_never_followed_by_initialize() {
    for transport in TRANSPORTS {
        let life = Life::of("discover-versions", transport);
        let twice = ["server/discover", "server/discover"];
        assert_eq!(life.heard("unsupported#1"), [&twice[..], &["tools/list", "tools/call"]].concat(), "{transport}");
        assert_eq!(life.heard("more#1"), ["server/discover", "tools/list", "tools/call"], "{transport}");
        assert!(life.heard("unknown#1").iter().all(|method| *method == "server/discover"), "{transport}");
        assert!(all(&life.calls()), "{transport}: {:?}", life.calls());
    }
}

#[test]
fn a_server_that_is_started_again_is_asked_again() {
    for transport in ["stdio", "memory"] {
        let life = Life::of("era-changes", transport);
        assert_eq!(life.heard("files#1"), [&FALLBACK[..], &["tools/call"]].concat(), "{transport}");
        assert_eq!(life.heard("files#2"), ["server/discover", "tools/list", "tools/call"], "{transport}");
        assert!(all(&life.calls()), "{transport}: {:?}", life.calls());
    }
}

#[test]
fn a_call_that_is_sent_back_is_made_again_with_its_state_and_not_for_ever() {
    for transport in TRANSPORTS {
        let life = Life::of("input-required", transport);
        let calls = life.calls();
        let succeeded = |server: &str| calls[server].clone();
        assert_eq!([succeeded("once"), succeeded("repeatedly"), succeeded("search")], [[true], [true], [true]]);
        assert_eq!(succeeded("for-ever"), [false], "{transport}");
        let made = life.calls_of("repeatedly#1");
        let states: Vec<_> = made.iter().map(|call| call["params"]["requestState"].as_str()).collect();
        assert_eq!(states, [None, Some("state 1"), Some("state 2"), Some("state 3")], "{transport}");
        let ids: std::collections::BTreeSet<_> = made.iter().map(|call| call["id"].as_u64()).collect();
        assert_eq!(ids.len(), made.len(), "{transport}: each under an id of its own");
        assert!(life.calls_of("for-ever#1").len() <= 10, "{transport}");
    }
}

#[test]
fn changes_are_heard_on_a_subscription_which_is_asked_for_again_and_ended() {
    for (scenario, transports) in
        [("subscription-heard", &TRANSPORTS[..]), ("subscription-ends", &TRANSPORTS), ("subscription-cut", &["http"])]
    {
        for transport in transports {
            let life = Life::of(scenario, transport);
            let heard = life.heard("files#1");
            let n_of = |method: &str| heard.iter().filter(|found| **found == method).count();
            let n_subscriptions = if scenario == "subscription-heard" { 1 } else { 2 };
            assert_eq!(n_of("subscriptions/listen"), n_subscriptions, "{scenario} over {transport}: {heard:?}");
            assert!(n_of("tools/list") >= 2, "{scenario} over {transport}: {heard:?}");
            let is_ended = match *transport {
                "http" => life.of_kind("http.ended").any(|event| event["how"] == "by-client"),
                _ => heard.last() == Some(&"notifications/cancelled"),
            };
            assert!(is_ended, "{scenario} over {transport}: {heard:?}");
            assert!(all(&life.calls()), "{scenario} over {transport}: {:?}", life.calls());
        }
    }
}

#[test]
fn a_subscription_that_is_never_acknowledged_holds_nothing() {
    for transport in TRANSPORTS {
        let life = Life::of("subscription-mute", transport);
        let n_asked = life.heard("files#1").iter().filter(|method| **method == "subscriptions/listen").count();
        assert_eq!(n_asked, 1, "{transport}: {:?}", life.heard("files#1"));
        assert!(all(&life.calls()), "{transport}: {:?}", life.calls());
    }
}

#[test]
fn what_only_sessions_have_is_not_looked_at() {
    for transport in ["memory", "http"] {
        let life = Life::of("remnants", transport);
        assert!(life.of_kind("fault.delivered").any(|event| event["fault"] == "name-session:request"), "{transport}");
        assert!(life.of_kind("http.received").all(|event| event["verb"] == "POST"), "{transport}");
        assert!(life.of_kind("http.received").all(|event| event["session"].is_null()), "{transport}");
        let mut calls = life.calls();
        assert_eq!(calls.remove("cut"), Some(vec![false, true]), "{transport}");
        assert!(all(&calls), "{transport}: {calls:?}");
    }
}
