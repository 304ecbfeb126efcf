//! Streams that end behind the id of an event before the answer: how a client comes back, and when it stops.

use std::thread::sleep;
use std::time::Duration;

use super::client::{Client, On};
use super::{Script, Specimen, row_over_http};

/// Cuts the stream of the first call behind an event with an id, and asks for a pause.
const CUT: Script = Script::Written(
    r#"about = "Keeps the answer to its first call for the stream with which the client comes back after 200 ms."
[[rule]]
on = { request = "tools/call", nth = 1 }
do = [{ event-id = "7" }, { retry = 200 }, "answer-on-return", "end-stream"]
"#,
);
/// The same behind two events with ids.
const CUT_BEHIND_TWO: Script = Script::Written(
    r#"about = "Keeps the answer to its first call for the stream with which the client comes back behind two events."
[[rule]]
on = { request = "tools/call", nth = 1 }
do = [{ event-id = "6" }, { event-id = "7" }, "answer-on-return", "end-stream"]
"#,
);
/// The same, with a ping behind the second.
const PINGING: Script = Script::Written(
    r#"about = "Pings behind the second of two events, and keeps the answer to its first call for the stream that comes back."
[[rule]]
on = { request = "tools/call", nth = 1 }
do = [{ event-id = "6" }, { event-id = "7" }, { ask = "ping" }, "answer-on-return"]
"#,
);
/// Answers the first call on a stream whose first event has an id.
const NUMBERED: Script = Script::Shipped("call-with-event-id");

/// Longer than the pause that the server asks for.
const PAUSE: Duration = Duration::from_millis(400);
/// Longer than a client that polls may take.
const LONG: Duration = Duration::from_millis(1_500);

const ASKED_LATER: (&[&str], &str) = (&["LC-RES-03"], "cut-stream-resumed");
const ASKED_BEHIND: (&[&str], &str) = (&["LC-RES-01"], "cut-stream-resumed");
const ASKED_BY_NAME: (&[&str], &str) = (&["LC-RES-08"], "cut-stream-resumed");
const BY_GET: (&[&str], &str) = (&["LC-RES-08"], "resumed-by-get");
const GET_ALONE: (&[&str], &str) = (&["LC-RES-01"], "resumed-by-get");
const LAST: (&[&str], &str) = (&["LC-RES-01"], "resumed-from-last-event");
const STOPPED: (&[&str], &str) = (&["LC-RES-07"], "resume-stops");
const SLOWED: (&[&str], &str) = (&["VG-19"], "resume-stops");

pub(super) const SPECIMENS: &[Specimen] = &[
    row_over_http(
        ("cut-stream-forgotten", "Never comes back for the answer behind an event, and goes on."),
        ("2025-11-25", CUT),
        ASKED_LATER,
        forgotten,
    ),
    row_over_http(
        ("cut-stream-called-again", "Makes its call again in place of resuming the stream."),
        ("2025-06-18", CUT),
        ASKED_BEHIND,
        called_again,
    ),
    row_over_http(
        ("cut-stream-asked-for-without-event", "Comes back with a GET that names no event."),
        ("2025-11-25", CUT),
        ASKED_BY_NAME,
        unnamed,
    ),
    row_over_http(
        ("resumed-by-post", "Posts its call again with the id of the last event."),
        ("2025-11-25", CUT),
        BY_GET,
        by_post,
    ),
    row_over_http(
        ("event-id-in-each-request", "Names the last event of a stream in its next POST."),
        ("2025-03-26", NUMBERED),
        GET_ALONE,
        in_each_request,
    ),
    row_over_http(
        ("resumed-from-the-first-event", "Resumes behind the first event of a stream, and not behind the last."),
        ("2025-11-25", CUT_BEHIND_TWO),
        LAST,
        from_first,
    ),
    row_over_http(
        (
            "resumed-from-the-first-event-on-its-socket",
            "Resumes behind the first event, on the socket of the whole stream.",
        ),
        ("2025-11-25", CUT_BEHIND_TWO),
        LAST,
        from_first_on_its_socket,
    ),
    row_over_http(
        ("resumed-from-before-a-ping", "Resumes behind an event that came before a ping, which it has answered."),
        ("2025-06-18", PINGING),
        LAST,
        from_before_a_ping,
    ),
    row_over_http(
        (
            "resumed-from-before-a-ping-beside-a-stream",
            "Resumes behind an event that came before a ping, which it has answered, and listens on a second stream.",
        ),
        ("2025-11-25", PINGING),
        LAST,
        beside_a_stream,
    ),
    row_over_http(
        ("resumed-after-the-cancellation", "Goes on resuming the stream of a call that it has cancelled."),
        ("2025-11-25", CUT),
        STOPPED,
        after_cancel,
    ),
    row_over_http(
        ("resumed-after-the-answer", "Goes on resuming the stream of a call whose answer it has."),
        ("2025-06-18", CUT),
        SLOWED,
        after_answer,
    ),
];

/// Makes a call whose stream ends behind an event; gives the id of the last event.
fn call_cut(client: &mut Client) -> String {
    client.open();
    let answer = client.call(1);
    answer.events.iter().rev().find_map(|event| event.id.clone()).unwrap()
}

/// Comes back for the answer, which ends the stream.
fn come_back(client: &mut Client, last: &str) {
    sleep(PAUSE);
    client.http().listen(Some(last)).event();
}

fn forgotten(client: &mut Client, is_broken: bool) {
    let last = call_cut(client);
    if !is_broken {
        come_back(client, &last);
    }
    sleep(LONG);
    client.list();
    client.call(2);
}

fn called_again(client: &mut Client, is_broken: bool) {
    let last = call_cut(client);
    if is_broken {
        sleep(PAUSE);
    } else {
        come_back(client, &last);
    }
    client.call(1);
}

fn unnamed(client: &mut Client, is_broken: bool) {
    let last = call_cut(client);
    sleep(PAUSE);
    let stream = client.http().listen((!is_broken).then_some(&last));
    client.list();
    drop(stream);
}

fn by_post(client: &mut Client, is_broken: bool) {
    let last = call_cut(client);
    if is_broken {
        sleep(PAUSE);
        let call = client.call_message(1);
        let mut fields = client.http().fields_of(&call);
        fields.set("Last-Event-ID", &last);
        client.exchange_with(&fields, &call);
    } else {
        come_back(client, &last);
    }
    client.list();
}

fn in_each_request(client: &mut Client, is_broken: bool) {
    let last = call_cut(client);
    let list = client.message("tools/list", serde_json::json!({}));
    let mut fields = client.http().fields_of(&list);
    if is_broken {
        fields.set("Last-Event-ID", &last);
    }
    client.exchange_with(&fields, &list);
}

/// The list on the socket of the first stream shows that the client had read it to its end.
fn from_first(client: &mut Client, is_broken: bool) {
    let last = call_cut(client);
    come_back(client, if is_broken { "6" } else { &last });
    client.list();
}

/// The resumption itself shows that the client had read the stream.
fn from_first_on_its_socket(client: &mut Client, is_broken: bool) {
    let last = call_cut(client);
    sleep(PAUSE);
    let http = client.http();
    let (mut socket, path) = (http.take(On::Main), http.path.clone());
    let fields = http.fields_of_get(Some(if is_broken { "6" } else { &last }));
    socket.send("GET", &path, &fields, None);
    socket.head();
    socket.event();
}

fn from_before_a_ping(client: &mut Client, is_broken: bool) {
    client.open();
    drop_behind_a_ping(client, is_broken);
}

fn beside_a_stream(client: &mut Client, is_broken: bool) {
    client.open();
    let stream = client.http().listen(None);
    drop_behind_a_ping(client, is_broken);
    drop(stream);
}

/// Drops the stream of a call when it has answered the ping.
fn drop_behind_a_ping(client: &mut Client, is_broken: bool) {
    let call = client.call_message(1);
    let mut pending = client.begin(&call);
    pending.head();
    let ping = loop {
        let event = pending.event().unwrap();
        if let Some(message) = event.message() {
            break message;
        }
    };
    client.send_aside(&serde_json::json!({ "jsonrpc": "2.0", "id": ping["id"], "result": {} }));
    pending.abandon();
    sleep(PAUSE);
    client.http().listen(Some(if is_broken { "6" } else { "7" })).event();
}

/// Asks for the stream some times more, each time on a socket of its own.
fn resume(client: &mut Client, last: &str, n_times: usize) {
    for _ in 0..n_times {
        sleep(Duration::from_millis(500));
        client.http().listen(Some(last));
    }
}

fn after_cancel(client: &mut Client, is_broken: bool) {
    let last = call_cut(client);
    client.cancel(&serde_json::json!(client.last_id));
    resume(client, &last, if is_broken { 3 } else { 1 });
    client.list();
}

fn after_answer(client: &mut Client, is_broken: bool) {
    let last = call_cut(client);
    come_back(client, &last);
    resume(client, &last, if is_broken { 5 } else { 0 });
    client.list();
}
