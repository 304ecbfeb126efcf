//! Programs that the harness starts and watches: what only their end and their output show.

use std::thread::sleep;
use std::time::Duration;

use serde_json::{Value, json};

use super::client::{Client, MODERN, On};
use super::{Specimen, Stage, row, started};

/// A client that comes back to a stream waits at least for the 500 ms that the stream names as `retry`.
const WAITING_TIME: Duration = Duration::from_millis(600);

const CALLS: Stage = started("2025-11-25", "tools_call");
const OPENS: Stage = started("2025-11-25", "initialize");
const CUT_OFF: Stage = started("2025-11-25", "sse-retry");
const ASKED: Stage = started("2025-11-25", "elicitation-sep1034-client-defaults");
const STATELESS: Stage = started(MODERN, "request-metadata");

pub(super) const SPECIMENS: &[Specimen] = &[
    row(
        ("session-never-initialized", "Opens a session and never says that it is initialized."),
        OPENS,
        (&["LC-INIT-03"], "session-initialized"),
        never_initialized,
    ),
    row(
        ("second-session-unused", "Opens a second session and never uses it."),
        CALLS,
        (&["VG-18"], "sessions-used"),
        second_unused,
    ),
    row(
        ("numbers-as-texts", "Passes the numbers of its call as texts."),
        CALLS,
        (&["VG-04"], "exchange-complete"),
        numbers_as_texts,
    ),
    row(("stream-left-at-exit", "Exits with an open stream."), CALLS, (&["LC-HTTP-12"], "streams-closed"), stream_left),
    row(
        ("subscription-left-at-exit", "Exits with an open subscription."),
        STATELESS,
        (&["LC-SUB-08"], "streams-closed"),
        subscription_left,
    ),
    row(
        ("first-session-unused", "Opens a session, drops it for a second one, and uses that."),
        CALLS,
        (&["VG-03"], "sessions-used"),
        first_unused,
    ),
    row(
        ("one-of-two-streams-left", "Closes one of its two streams and exits with the other."),
        CALLS,
        (&["VG-06"], "streams-closed"),
        one_stream_left,
    ),
    row(
        ("call-after-an-early-delete", "Deletes its session before the last of its calls."),
        CALLS,
        (&["LC-SESS-07"], "silent-after-end"),
        early_delete,
    ),
    row(("answer-left-unread", "Exits before it has read an answer."), CALLS, (&["VG-06"], "answers-read"), unread),
    row(
        ("call-after-its-delete", "Calls on a session whose end was answered."),
        CALLS,
        (&["VG-20"], "silent-after-end"),
        call_after_delete,
    ),
    row(
        ("call-made-twice", "Makes its call again when the stream ends, besides resuming it."),
        CUT_OFF,
        (&["VG-16"], "call-made-once"),
        made_twice,
    ),
    row(
        ("back-without-the-event", "Comes back for its answer without the id of the event, and leaves without it."),
        CUT_OFF,
        (&["VG-04"], "exchange-complete"),
        back_without_event,
    ),
    row(
        ("defaults-left-out", "Accepts a request for input and leaves out the defaults."),
        ASKED,
        (&["LC-INIT-12"], "defaults-applied"),
        defaults_left_out,
    ),
    row(
        ("call-never-made", "Lists the tools and never makes its call."),
        CALLS,
        (&["VG-04"], "exchange-complete"),
        never_made,
    ),
    row(("exit-code-7", "Does its task and exits with a code."), CALLS, (&["VG-14"], "exits-with-success"), exit_code),
    row(("aborted", "Does its task and aborts."), CALLS, (&["VG-11"], "ended-by-no-signal"), aborted),
    row(
        ("error-told-on-stderr", "Does its task and tells of an exception that it dropped."),
        CALLS,
        (&["VG-07"], "stderr-without-errors"),
        error_on_stderr,
    ),
];

/// The call that the task asks for.
fn add(client: &mut Client) -> Value {
    client.message("tools/call", json!({ "name": "add_numbers", "arguments": { "a": 5, "b": 3 } }))
}

fn task(client: &mut Client) {
    client.open();
    client.list();
    let call = add(client);
    client.exchange(&call);
}

fn never_initialized(client: &mut Client, is_broken: bool) {
    client.initialize();
    if !is_broken {
        client.initialized();
    }
}

fn numbers_as_texts(client: &mut Client, is_broken: bool) {
    client.open();
    client.list();
    let mut call = add(client);
    if is_broken {
        call["params"]["arguments"] = json!({ "a": "1", "b": "2" });
    }
    client.exchange(&call);
}

fn second_unused(client: &mut Client, is_broken: bool) {
    let mut second = client.another();
    second.open();
    if !is_broken {
        second.list();
    }
    task(client);
    second.end();
}

fn first_unused(client: &mut Client, is_broken: bool) {
    client.open();
    if !is_broken {
        client.list();
    }
    let mut second = client.another();
    task(&mut second);
    second.end();
}

/// The system closes the second stream of the broken life.
fn one_stream_left(client: &mut Client, is_broken: bool) {
    client.open();
    let (first, second) = (client.http().listen(None), client.http().listen(None));
    client.list();
    let call = add(client);
    client.exchange(&call);
    drop(first);
    if is_broken {
        std::mem::forget(second);
        client.leave_open();
    }
}

/// The twin lists once more before it ends.
fn early_delete(client: &mut Client, is_broken: bool) {
    task(client);
    let session = client.http().session.clone();
    if is_broken {
        client.http().delete();
    }
    client.list();
    client.http().session = session.filter(|_| !is_broken);
}

/// The system closes the stream of the broken life.
fn stream_left(client: &mut Client, is_broken: bool) {
    client.open();
    let stream = client.http().listen(None);
    client.list();
    let call = add(client);
    client.exchange(&call);
    if is_broken {
        std::mem::forget(stream);
        client.leave_open();
    }
}

fn subscription_left(client: &mut Client, is_broken: bool) {
    let listen = client.message("subscriptions/listen", json!({ "notifications": {} }));
    let mut pending = client.begin(&listen);
    pending.head();
    client.list();
    client.list();
    if is_broken {
        std::mem::forget(pending);
        client.leave_open();
    }
}

/// One byte of the answer shows that the rest is there.
fn unread(client: &mut Client, is_broken: bool) {
    task(client);
    let list = client.message("tools/list", json!({}));
    let pending = client.begin(&list);
    if is_broken {
        pending.await_first_byte();
        pending.abandon();
    } else {
        client.finish(pending);
    }
}

fn call_after_delete(client: &mut Client, is_broken: bool) {
    task(client);
    if is_broken {
        let list = client.message("tools/list", json!({}));
        let fields = client.http().fields_of(&list);
        client.http().delete();
        client.http().exchange(On::Main, "POST", &fields, Some(list.to_string().as_bytes()));
        client.http().session = None;
    }
}

fn made_twice(client: &mut Client, is_broken: bool) {
    client.open();
    let cut_off = client.request("tools/call", json!({ "name": "test_reconnection", "arguments": {} }));
    let id = cut_off.events.iter().find_map(|event| event.id.clone()).unwrap();
    if is_broken {
        client.request("tools/call", json!({ "name": "test_reconnection", "arguments": {} }));
    }
    sleep(WAITING_TIME);
    client.http().listen(Some(&id)).rest();
}

fn back_without_event(client: &mut Client, is_broken: bool) {
    client.open();
    let cut_off = client.request("tools/call", json!({ "name": "test_reconnection", "arguments": {} }));
    let id = cut_off.events.iter().find_map(|event| event.id.clone()).unwrap();
    sleep(WAITING_TIME);
    let mut stream = client.http().listen((!is_broken).then_some(&id));
    if !is_broken {
        stream.event();
    }
}

fn defaults_left_out(client: &mut Client, is_broken: bool) {
    client.capabilities = json!({ "elicitation": {} });
    client.serve = Some(Box::new(move |request| {
        let content = if is_broken { json!({ "name": "John Doe" }) } else { defaults_of(request) };
        vec![super::client::result(request, json!({ "action": "accept", "content": content }))]
    }));
    client.open();
    client.list();
    client.request("tools/call", json!({ "name": "test_client_elicitation_defaults", "arguments": {} }));
}

/// The default of each field that has one.
fn defaults_of(request: &Value) -> Value {
    let properties = request["params"]["requestedSchema"]["properties"].as_object();
    let defaults = properties
        .into_iter()
        .flatten()
        .filter_map(|(name, schema)| Some((name.clone(), schema.get("default")?.clone())));
    Value::Object(defaults.collect())
}

fn never_made(client: &mut Client, is_broken: bool) {
    if is_broken {
        client.open();
        client.list();
    } else {
        task(client);
    }
}

fn exit_code(client: &mut Client, is_broken: bool) {
    task(client);
    client.end();
    if is_broken {
        std::process::exit(7);
    }
}

fn aborted(client: &mut Client, is_broken: bool) {
    task(client);
    client.end();
    if is_broken {
        std::process::abort();
    }
}

fn error_on_stderr(client: &mut Client, is_broken: bool) {
    task(client);
    if is_broken {
        eprintln!("Traceback (most recent call last):\nRuntimeError: never awaited");
    }
}
