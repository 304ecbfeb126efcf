//! Generations: what a client has learnt of its server, and what it does with that.

use std::thread::sleep;
use std::time::Duration;

use serde_json::json;

use super::client::{Client, MODERN};
use super::{POLITE, Script, Specimen, http, row, stdio};

const DUAL: Script = Script::Shipped("dual");
const LEGACY: Script = Script::Shipped("legacy-only");
/// Never answers a question about its generation.
const MUTE: Script = Script::Shipped("discover-mute");
/// Refuses the question with a code of its own.
const OWN_CODE: Script = Script::Shipped("discover-error-own-code");
/// Refuses the question with status 400.
const BAD_REQUEST: Script = Script::Shipped("discover-status-400");
/// Has a second page of tools, whose cursor shows what its client has read.
const PAGES: Script = Script::Written(
    r#"about = "Has a second page of tools in the revision that it speaks."
[[rule]]
on = { request = "tools/list", nth = 2 }
do = [{ answer-result = { tools = [], nextCursor = "page-2", ttlMs = 0, cacheScope = "private" } }]
[[rule]]
on = { request = "tools/list", nth = 3 }
do = [{ answer-result = { tools = [], ttlMs = 0, cacheScope = "private" } }]
"#,
);
const REFUSING: Script = Script::Shipped("discover-unsupported-once");

const SHOWN: (&[&str], &str) = (&["LC-ERA-04"], "modern-era-kept");
const REFUSED: (&[&str], &str) = (&["LC-ERA-05"], "modern-era-kept");
const DROPPED: (&[&str], &str) = (&["LC-ERA-12"], "refused-version-dropped");
const KEPT: (&[&str], &str) = (&["LC-ERA-09"], "older-era-kept");
const OF_SESSION: (&[&str], &str) = (&["LC-ERA-16"], "older-era-kept");
const TURNED: (&[&str], &str) = (&["LC-ERA-06"], "refused-generation-left");
const ANY_CODE: (&[&str], &str) = (&["LC-ERA-07"], "refused-generation-left");
const ANY_STATUS: (&[&str], &str) = (&["LC-ERA-09"], "refused-generation-left");
const REMEMBERED: (&[&str], &str) = (&["LC-ERA-10"], "era-remembered");

pub(super) const SPECIMENS: &[Specimen] = &[
    row(
        ("initialize-after-discover", "Discovers a server and still initializes it."),
        http(MODERN, DUAL),
        SHOWN,
        initialize_after_discover,
    ),
    row(
        ("initialize-after-discover-in-a-pipe", "Discovers a server over pipes and still initializes it."),
        stdio(MODERN, POLITE),
        SHOWN,
        initialize_after_discover,
    ),
    row(
        ("initialize-after-a-refused-revision", "Takes the refusal of a revision for a server with a handshake."),
        stdio(MODERN, REFUSING),
        REFUSED,
        initialize_after_refusal,
    ),
    row(
        ("initialize-after-a-refused-post", "Takes the refusal of a posted revision for a server with a handshake."),
        http(MODERN, REFUSING),
        REFUSED,
        initialize_after_refusal,
    ),
    Specimen {
        breaks: &["LC-ERA-05"],
        ..row(
            ("refused-revision-again", "Sends a refused revision again, though the server named others."),
            http(MODERN, POLITE),
            DROPPED,
            refused_again,
        )
    },
    row(
        ("revision-of-no-list", "Turns from a refused revision to one that the server did not name."),
        http(MODERN, POLITE),
        DROPPED,
        revision_of_no_list,
    ),
    row(
        ("refused-revision-for-ever", "Turns back to a refused revision, and sends it in a loop."),
        stdio(MODERN, PAGES),
        DROPPED,
        refused_for_ever,
    ),
    row(
        ("probe-for-each-session", "Asks for the generation of a server again before each session."),
        http(MODERN, LEGACY),
        REMEMBERED,
        probe_for_each_session,
    ),
    row(
        ("probe-by-a-list", "Probes a known server with a list before each session."),
        http(MODERN, LEGACY),
        REMEMBERED,
        probe_by_list,
    ),
    row(
        ("metadata-in-a-session", "Initializes a server with sessions, and sends requests without a handshake."),
        stdio(MODERN, LEGACY),
        KEPT,
        metadata_in_session,
    ),
    row(
        ("metadata-at-both", "Initializes a server of both generations, and calls it as if it had not."),
        stdio(MODERN, DUAL),
        OF_SESSION,
        metadata_in_session,
    ),
    row(
        ("probe-without-end", "Asks for the generation of a silent server over and over."),
        stdio(MODERN, MUTE),
        TURNED,
        probe_without_end,
    ),
    row(
        ("unknown-code-ignored", "Goes on without a handshake after a refusal with a code that it does not know."),
        stdio(MODERN, OWN_CODE),
        ANY_CODE,
        refusal_ignored,
    ),
    row(
        ("status-400-ignored", "Goes on without a handshake after the status 400."),
        http(MODERN, BAD_REQUEST),
        ANY_STATUS,
        refusal_ignored,
    ),
];

/// Opens a session with `initialize`.
fn initialize(client: &mut Client) {
    client.revision = "2025-11-25".to_owned();
    client.open();
}

fn initialize_after_discover(client: &mut Client, is_broken: bool) {
    client.request("server/discover", json!({}));
    if is_broken {
        initialize(client);
    } else {
        client.list();
    }
}

fn initialize_after_refusal(client: &mut Client, is_broken: bool) {
    client.request("server/discover", json!({}));
    if is_broken {
        initialize(client);
    } else {
        client.list();
    }
}

/// Lists under a revision without a handshake.
fn list_under(client: &mut Client, revision: &str) {
    let mut list = client.message("tools/list", json!({}));
    list["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"] = json!(revision);
    client.exchange(&list);
}

fn refused_again(client: &mut Client, is_broken: bool) {
    list_under(client, "2099-01-01");
    list_under(client, if is_broken { "2099-01-01" } else { MODERN });
}

fn revision_of_no_list(client: &mut Client, is_broken: bool) {
    list_under(client, "2099-01-01");
    list_under(client, if is_broken { "2098-01-01" } else { MODERN });
}

fn refused_for_ever(client: &mut Client, is_broken: bool) {
    list_under(client, "2099-01-01");
    client.list();
    client.request("tools/list", json!({ "cursor": "page-2" }));
    for _ in 0..6 {
        list_under(client, if is_broken { "2099-01-01" } else { MODERN });
    }
}

/// Two sessions, one after the other, on one socket.
fn two_sessions(client: &mut Client, probe: impl Fn(&mut Client), is_broken: bool) {
    for n in 1..=2 {
        if n == 1 || is_broken {
            client.revision = MODERN.to_owned();
            probe(client);
        }
        initialize(client);
        client.call(n);
        client.http().delete();
        (client.http().session, client.http().agreed) = (None, None);
    }
}

fn probe_for_each_session(client: &mut Client, is_broken: bool) {
    two_sessions(client, |client| drop(client.request("server/discover", json!({}))), is_broken);
}

fn probe_by_list(client: &mut Client, is_broken: bool) {
    two_sessions(client, |client| drop(client.list()), is_broken);
}

/// Calls in a session; the broken one with the metadata of the generation without a handshake.
fn call_in_session(client: &mut Client, is_broken: bool) {
    let revision = if is_broken { MODERN } else { "2025-11-25" };
    client.revision = revision.to_owned();
    client.list();
    client.call(1);
}

fn metadata_in_session(client: &mut Client, is_broken: bool) {
    initialize(client);
    call_in_session(client, is_broken);
}

/// The twin initializes after its first question, and the broken one asks for longer than silence is an answer.
fn probe_without_end(client: &mut Client, is_broken: bool) {
    for _ in 0..if is_broken { 4 } else { 1 } {
        let probe = client.message("server/discover", json!({}));
        client.begin(&probe);
        sleep(Duration::from_millis(800));
    }
    if !is_broken {
        initialize(client);
        client.call(1);
    }
}

fn refusal_ignored(client: &mut Client, is_broken: bool) {
    client.request("server/discover", json!({}));
    if !is_broken {
        initialize(client);
    }
    client.list();
    for n in 1..=4 {
        client.call(n);
    }
}
