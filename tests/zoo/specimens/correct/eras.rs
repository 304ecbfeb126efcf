//! Both generations: probing, falling back, choosing, and using both at once.

use serde_json::json;

use super::super::client::{Answer, Client, MODERN};
use super::super::{Correct, POLITE, Script, http, stdio};
use super::row;

const LEGACY: Script = Script::Shipped("legacy-only");
const DUAL: Script = Script::Shipped("dual");
const REFUSING: Script = Script::Shipped("discover-unsupported-once");
const MORE: Script = Script::Shipped("discover-more-versions");
const BACK: Script = Script::Shipped("input-required-repeatedly");
const NAMING: Script = Script::Shipped("modern-names-session");

pub(super) const SPECIMENS: &[Correct] = &[
    row("falls-back", "Discovers a server, is refused, and opens a session.", http(MODERN, LEGACY), falls_back),
    row(
        "falls-back-in-a-pipe",
        "Discovers a server over pipes, is refused, and opens a session.",
        stdio(MODERN, LEGACY),
        falls_back,
    ),
    row(
        "falls-back-from-a-list",
        "Lists without a handshake, is refused, and opens a session.",
        http(MODERN, LEGACY),
        falls_back_from_list,
    ),
    row("two-probe", "Two clients of one server probe it once each.", http(MODERN, LEGACY), two_probe),
    row("remembers-the-generation", "Probes a server once for three sessions.", http(MODERN, LEGACY), remembers),
    row("both-at-once", "Uses a server with a session and without one at once.", http(MODERN, DUAL), both_at_once),
    row(
        "chooses-a-named-revision",
        "Repeats its question under a revision that the refusal named.",
        http(MODERN, REFUSING),
        chooses,
    ),
    row(
        "chooses-in-a-pipe",
        "Repeats its question over pipes under a revision that the refusal named.",
        stdio(MODERN, REFUSING),
        chooses,
    ),
    row("stays-with-its-revision", "Knows one of several revisions that a server names.", http(MODERN, MORE), stays),
    row("never-discovers", "Calls without a question first.", stdio(MODERN, POLITE), never_discovers),
    row("answers-each-round", "Repeats a call with each state, under a new id.", http(MODERN, BACK), answers_rounds),
    row(
        "gives-up-a-round",
        "Does not repeat a call that was sent back, and makes another.",
        stdio(MODERN, BACK),
        gives_up,
    ),
    row("two-names", "Two clients with two names use the same ids on one server.", http(MODERN, POLITE), two_names),
    row("keeps-its-name", "Never says who it is.", http(MODERN, POLITE), keeps_name),
    row(
        "ignores-a-named-session",
        "Ignores the id of a session in an answer without a handshake.",
        http(MODERN, NAMING),
        stays,
    ),
];

fn fall_back(client: &mut Client) {
    client.revision = "2025-11-25".to_owned();
    client.open();
    client.list();
    client.call(1);
}

fn falls_back(client: &mut Client) {
    client.request("server/discover", json!({}));
    fall_back(client);
}

fn falls_back_from_list(client: &mut Client) {
    client.list();
    fall_back(client);
}

fn two_probe(client: &mut Client) {
    let mut other = client.another();
    falls_back(client);
    falls_back(&mut other);
    other.end();
}

fn remembers(client: &mut Client) {
    falls_back(client);
    for n in 2..=3 {
        client.http().delete();
        (client.http().session, client.http().agreed) = (None, None);
        client.open();
        client.call(n);
    }
}

fn both_at_once(client: &mut Client) {
    let mut session = client.another();
    session.revision = "2025-11-25".to_owned();
    session.name = "session".to_owned();
    session.open();
    for n in 1..=2 {
        client.call(n);
        session.call(n);
    }
    session.end();
}

fn chooses(client: &mut Client) {
    client.request("server/discover", json!({}));
    client.request("server/discover", json!({}));
    client.list();
    client.call(1);
}

fn stays(client: &mut Client) {
    client.request("server/discover", json!({}));
    client.list();
    client.call(1);
}

fn never_discovers(client: &mut Client) {
    client.call(1);
    client.call(2);
}

fn is_sent_back(answer: &Answer) -> bool {
    answer.message["result"]["resultType"] == "input_required"
}

fn answers_rounds(client: &mut Client) {
    let mut answer = client.call(1);
    while is_sent_back(&answer) {
        let mut call = client.call_message(1);
        call["params"]["requestState"] = answer.message["result"]["requestState"].clone();
        call["params"]["inputResponses"] = json!({});
        answer = client.exchange(&call);
    }
}

fn gives_up(client: &mut Client) {
    client.call(1);
    client.call(2);
}

fn two_names(client: &mut Client) {
    let mut other = client.another();
    other.name = "other".to_owned();
    for n in 1..=3 {
        let (one, second) = (client.call_message(n), other.call_message(n));
        let pending = (client.begin(&one), other.begin(&second));
        client.finish(pending.0);
        other.finish(pending.1);
    }
    other.end();
}

fn keeps_name(client: &mut Client) {
    for n in 1..=2 {
        let mut call = client.call_message(n);
        call["params"]["_meta"].as_object_mut().unwrap().remove("io.modelcontextprotocol/clientInfo");
        client.exchange(&call);
    }
}
