//! Sessions over HTTP: their loss, their renewal and their end.

use std::time::Duration;

use serde_json::json;

use super::client::{Client, MODERN, On};
use super::{POLITE, Script, Specimen, row_over_http};

/// Forgets its first session when it hears of changed roots there.
const FORGETFUL: Script = Script::Written(
    r#"about = "Forgets its first session when it hears of changed roots there."
[[rule]]
on = { notification = "notifications/roots/list_changed", connection = 1 }
do = ["expire-session"]
"#,
);
/// Forgets its first session in a call.
const FORGETFUL_IN_CALL: Script = Script::Written(
    r#"about = "Forgets its first session in its first call."
[[rule]]
on = { request = "tools/call", nth = 1, connection = 1 }
do = ["expire-session"]
"#,
);

/// Knows the session of no call.
const LOSING: Script = Script::Written(
    r#"about = "Knows the session of no call."
[[rule]]
on = { request = "tools/call" }
do = [{ status = 404 }]
"#,
);

const ROOTS_CHANGED: &str = "notifications/roots/list_changed";

const LOST: (&[&str], &str) = (&["VG-20"], "stale-session-unused");
const DELETED: (&[&str], &str) = (&["VG-20"], "deleted-session-silent");
const ENDED: (&[&str], &str) = (&["LC-SESS-07"], "session-ended");

pub(super) const SPECIMENS: &[Specimen] = &[
    row_over_http(
        ("lost-session-in-a-notice", "Sends a notice under the id of a session that it has replaced."),
        ("2025-11-25", FORGETFUL),
        LOST,
        lost_in_notice,
    ),
    row_over_http(
        (
            "lost-session-unread",
            "Calls on and on, each time over a new socket, and never reads that its session is lost.",
        ),
        ("2025-11-25", LOSING),
        LOST,
        lost_unread,
    ),
    Specimen {
        breaks: &["LC-SESS-05"],
        ..row_over_http(
            (
                "lost-session-called-again",
                "Goes on calling under the id that was answered with 404, and never initializes.",
            ),
            ("2025-06-18", FORGETFUL),
            LOST,
            lost_called,
        )
    },
    Specimen {
        breaks: &["LC-SESS-05"],
        ..row_over_http(
            ("lost-in-a-call-called-again", "Calls again under the id of a session that was lost in its call."),
            ("2025-11-25", FORGETFUL_IN_CALL),
            LOST,
            lost_in_call,
        )
    },
    Specimen {
        breaks: &["LC-SESS-06"],
        ..row_over_http(
            ("lost-session-streamed", "Opens a new session, and asks for a stream of the old one."),
            ("2025-03-26", FORGETFUL),
            LOST,
            lost_streamed,
        )
    },
    row_over_http(
        (
            "lost-session-never-renewed",
            "Falls back to a session, loses it in a call, and goes on without one and without initialize.",
        ),
        ("2025-11-25", FORGETFUL_IN_CALL),
        (&["LC-INIT-01"], "handshake-order"),
        lost_after_fallback,
    ),
    row_over_http(
        ("call-after-delete", "Calls on a session that it has deleted."),
        ("2025-11-25", POLITE),
        DELETED,
        call_after_delete,
    ),
    row_over_http(
        ("stream-after-delete", "Asks for a stream of a session that it has deleted."),
        ("2025-06-18", POLITE),
        DELETED,
        stream_after_delete,
    ),
    Specimen {
        breaks: &["LC-SESS-07"],
        ..row_over_http(("delete-twice", "Deletes its session twice."), ("2025-03-26", POLITE), DELETED, delete_twice)
    },
    row_over_http(("no-delete", "Leaves its session behind."), ("2025-11-25", POLITE), ENDED, no_delete),
    row_over_http(
        ("no-delete-of-the-first", "Deletes the newest of its sessions and no other."),
        ("2025-06-18", POLITE),
        ENDED,
        no_delete_of_first,
    ),
];

/// Opens a session and loses it, as a call tells.
fn lose(client: &mut Client) -> Option<String> {
    client.capabilities = json!({ "roots": { "listChanged": true } });
    client.open();
    client.call(1);
    let lost = client.http().session.clone();
    client.notify(ROOTS_CHANGED, json!({}));
    client.call(2);
    lost
}

fn renew(client: &mut Client) {
    (client.http().session, client.http().agreed) = (None, None);
    client.open();
}

/// Does something under the id of the lost session.
fn under(client: &mut Client, lost: Option<String>, act: impl FnOnce(&mut Client)) {
    let newest = std::mem::replace(&mut client.http().session, lost);
    act(client);
    client.http().session = newest;
}

/// A pause after which nothing of the client can be under way: only so much later a journal shows that it knew of the loss.
fn think() {
    std::thread::sleep(Duration::from_millis(800));
}

fn lost_in_notice(client: &mut Client, is_broken: bool) {
    let lost = lose(client);
    renew(client);
    let session = if is_broken { lost } else { client.http().session.clone() };
    under(client, session, |client| {
        client.notify(ROOTS_CHANGED, json!({}));
    });
    client.call(3);
}

/// The twin reads the first answer, and ends. The pauses are what the client does: a timer calls, and no code reads.
fn lost_unread(client: &mut Client, is_broken: bool) {
    client.open();
    let mut calls = Vec::new();
    for n in 1..=if is_broken { 8 } else { 1 } {
        let call = client.call_message(n);
        calls.push(client.begin(&call));
        if is_broken {
            std::thread::sleep(Duration::from_millis(900));
        }
    }
    calls.into_iter().for_each(|call| drop(client.finish(call)));
    client.vanish();
}

fn lost_called(client: &mut Client, is_broken: bool) {
    lose(client);
    if is_broken {
        think();
    } else {
        renew(client);
    }
    client.call(3);
    if is_broken {
        client.http().session = None;
    }
}

fn lost_in_call(client: &mut Client, is_broken: bool) {
    client.open();
    client.call(1);
    if is_broken {
        think();
    } else {
        renew(client);
    }
    client.call(2);
    if is_broken {
        client.http().session = None;
    }
}

fn lost_after_fallback(client: &mut Client, is_broken: bool) {
    client.revision = MODERN.to_owned();
    client.request("server/discover", json!({}));
    client.revision = "2025-11-25".to_owned();
    client.open();
    client.call(1);
    if is_broken {
        client.http().session = None;
    } else {
        renew(client);
    }
    client.call(2);
}

fn lost_streamed(client: &mut Client, is_broken: bool) {
    let lost = lose(client);
    renew(client);
    client.call(3);
    think();
    let session = if is_broken { lost } else { client.http().session.clone() };
    under(client, session, |client| {
        let fields = client.http().fields_of_get(None);
        let path = client.http().path.clone();
        let mut socket = client.http().take(On::Main);
        socket.send("GET", &path, &fields, None);
        socket.head();
    });
}

fn call_after_delete(client: &mut Client, is_broken: bool) {
    client.open();
    client.call(1);
    if is_broken {
        client.http().delete();
        client.call(2);
        client.http().session = None;
    }
}

fn stream_after_delete(client: &mut Client, is_broken: bool) {
    client.open();
    client.call(1);
    if is_broken {
        client.http().delete();
        let fields = client.http().fields_of_get(None);
        client.http().exchange(On::Main, "GET", &fields, None);
        client.http().session = None;
    }
}

/// The second DELETE is that of the end.
fn delete_twice(client: &mut Client, is_broken: bool) {
    client.open();
    client.call(1);
    if is_broken {
        client.http().delete();
    }
}

fn no_delete(client: &mut Client, is_broken: bool) {
    client.open();
    client.call(1);
    if is_broken {
        client.vanish();
    }
}

fn no_delete_of_first(client: &mut Client, is_broken: bool) {
    client.open();
    client.call(1);
    let mut newest = client.another();
    newest.open();
    newest.call(2);
    newest.end();
    if is_broken {
        client.vanish();
    }
}
