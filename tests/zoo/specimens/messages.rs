//! Messages: their ids, their form, and how they are framed.

use serde_json::{Value, json};

use super::client::{Client, MODERN, On, proper};
use super::{Life, POLITE, Script, Specimen, http, stdio};

/// Asks for roots in a call, so that the client has something to respond to.
const ROOTS: Script = Script::Shipped("roots-asked-in-call");
/// The same over HTTP, where the request needs a stream.
const ROOTS_STREAM: Script = Script::Written(
    r#"about = "Asks for roots on the stream of its first call."
[[rule]]
on = { request = "tools/call", nth = 1 }
do = ["sse", { ask = "roots/list" }, "answer"]
"#,
);
/// Answers the first call late.
const SLOW: Script = Script::Written(
    r#"about = "Answers its first call late."
[[rule]]
on = { request = "tools/call", nth = 1 }
do = [{ delay = "250ms" }]
"#,
);
/// Answers the first call late, on a stream that begins at once.
const SLOW_STREAM: Script = Script::Written(
    r#"about = "Answers its first call late, on a stream that begins at once."
[[rule]]
on = { request = "tools/call", nth = 1 }
do = ["sse", { delay = "250ms" }]
"#,
);

const fn stdio_row(
    name: &'static str,
    about: &'static str,
    (breaks, caught_by): (&'static [&'static str], &'static str),
    life: fn(&mut Client, bool),
) -> Specimen {
    Specimen { name, about, breaks, caught_by, stage: stdio("2025-11-25", POLITE), life: Life::Wire(life) }
}

const ID: (&[&str], &str) = (&["LC-MSG-03"], "request-id-unique");
const REUSED: (&[&str], &str) = (&["LC-MSG-04"], "request-id-unique");
const STILL_OPEN: (&[&str], &str) = (&["LC-MSG-05"], "request-id-unique");
const FORM: (&[&str], &str) = (&["LC-MSG-01"], "messages-well-formed");
const RESPONSE: (&[&str], &str) = (&["LC-MSG-06"], "messages-well-formed");
const NOTICE: (&[&str], &str) = (&["LC-MSG-08"], "messages-well-formed");
const BATCH: (&[&str], &str) = (&["LC-MSG-10"], "one-message-at-a-time");
const BODY: (&[&str], &str) = (&["LC-MSG-01"], "posts-are-messages");

pub(super) const SPECIMENS: &[Specimen] = &[
    stdio_row("id-null", "Sends a request with the id null.", ID, id_null),
    Specimen {
        stage: stdio("2024-11-05", POLITE),
        ..stdio_row("id-fraction", "Sends a request whose id is a fraction.", ID, id_fraction)
    },
    Specimen {
        stage: stdio(MODERN, POLITE),
        ..stdio_row("id-object", "Sends a request whose id is an object.", ID, id_object)
    },
    Specimen {
        stage: http("2025-06-18", POLITE),
        ..stdio_row("id-of-a-boolean", "Posts a request whose id is true.", ID, id_boolean)
    },
    Specimen {
        stage: http("2025-06-18", POLITE),
        ..stdio_row("id-again", "Uses the id of an answered request once more.", REUSED, id_again)
    },
    Specimen {
        stage: http("2025-03-26", POLITE),
        ..stdio_row(
            "counter-for-each-task",
            "Counts ids from 1 in each of two tasks on one session.",
            REUSED,
            two_counters,
        )
    },
    stdio_row("id-of-a-text-again", "Uses the same text as id of two requests.", REUSED, text_again),
    Specimen {
        stage: stdio(MODERN, SLOW),
        ..stdio_row("id-of-an-open-call", "Uses the id of a call that is not answered.", STILL_OPEN, id_of_open_call)
    },
    Specimen {
        stage: http(MODERN, Script::Shipped("call-accepted")),
        ..stdio_row(
            "id-of-an-open-post",
            "Posts a list under the id of a call that is not answered.",
            STILL_OPEN,
            id_of_open_post,
        )
    },
    Specimen {
        stage: stdio(MODERN, POLITE),
        ..stdio_row("id-of-a-subscription", "Uses the id of its open subscription.", STILL_OPEN, id_of_subscription)
    },
    stdio_row("version-missing", "Leaves jsonrpc out of a request.", FORM, version_missing),
    Specimen {
        stage: http("2025-06-18", POLITE),
        ..stdio_row("version-1", "Writes jsonrpc 1.0 into a request.", FORM, version_1)
    },
    Specimen {
        stage: stdio(MODERN, POLITE),
        ..stdio_row("version-a-number", "Writes jsonrpc as a number.", FORM, version_number)
    },
    Specimen {
        stage: http("2025-06-18", POLITE),
        ..stdio_row("member-twice", "Writes jsonrpc twice into one request.", FORM, member_twice)
    },
    stdio_row("params-a-list", "Sends a list as parameters.", FORM, params_list),
    stdio_row("params-null", "Sends null as parameters.", FORM, params_null),
    stdio_row("request-without-an-id", "Sends a request without an id.", FORM, request_without_id),
    Specimen {
        stage: http("2025-11-25", POLITE),
        ..stdio_row("request-and-outcome", "Sends a request that is a response as well.", FORM, request_and_outcome)
    },
    stdio_row("method-a-number", "Sends a request whose method is a number.", FORM, method_number),
    Specimen {
        stage: stdio("2025-11-25", ROOTS),
        ..stdio_row("error-a-text", "Refuses a request of its server with a text as error.", FORM, error_text)
    },
    Specimen {
        stage: http("2025-06-18", ROOTS_STREAM),
        ..stdio_row("error-without-a-code", "Refuses a request of its server without a code.", FORM, error_without_code)
    },
    Specimen {
        stage: stdio("2025-11-25", ROOTS),
        ..stdio_row("result-and-error", "Responds with a result and an error.", RESPONSE, result_and_error)
    },
    Specimen {
        stage: http("2025-11-25", ROOTS_STREAM),
        ..stdio_row("result-and-null-error", "Responds with a result and with null as error.", RESPONSE, null_error)
    },
    Specimen {
        stage: stdio("2025-03-26", ROOTS),
        ..stdio_row("neither-result-nor-error", "Responds with neither a result nor an error.", RESPONSE, no_outcome)
    },
    stdio_row("notice-with-an-id", "Gives its notice of changed roots an id.", NOTICE, notice_with_id),
    Specimen {
        stage: http("2025-11-25", SLOW_STREAM),
        ..stdio_row("cancellation-with-an-id", "Gives its cancellation an id.", NOTICE, cancellation_with_id)
    },
    Specimen {
        breaks: &["LC-INIT-03"],
        ..stdio_row(
            "initialized-as-a-request",
            "Sends notifications/initialized with an id.",
            NOTICE,
            initialized_with_id,
        )
    },
    Specimen {
        stage: http("2025-06-18", POLITE),
        ..stdio_row("batch-posted", "Posts a batch in the revision that took batches away.", BATCH, batch)
    },
    stdio_row("batch-as-a-line", "Writes a batch into the pipe.", BATCH, batch),
    Specimen {
        stage: http(MODERN, POLITE),
        ..stdio_row("batch-without-handshake", "Posts a batch in the generation without a handshake.", BATCH, batch)
    },
    Specimen {
        breaks: &["LC-INIT-16"],
        stage: http("2025-03-26", POLITE),
        ..stdio_row("initialize-in-a-batch", "Sends initialize in a batch.", BATCH, initialize_in_batch)
    },
    Specimen {
        breaks: &["LC-STD-02"],
        caught_by: "stdin-carries-messages-only",
        ..stdio_row("text-on-stdin", "Writes a line of its log into the pipe.", FORM, text_on_stdin)
    },
    Specimen {
        breaks: &["LC-STD-02"],
        caught_by: "stdin-carries-messages-only",
        stage: stdio(MODERN, POLITE),
        ..stdio_row("header-on-stdin", "Writes a header with the length before a message.", FORM, header_on_stdin)
    },
    Specimen {
        caught_by: "stdin-carries-messages-only",
        ..stdio_row(
            "half-a-message",
            "Breaks off a message in the middle, and goes on in a new line.",
            FORM,
            half_message,
        )
    },
    Specimen {
        stage: http("2025-06-18", POLITE),
        ..stdio_row("body-no-json", "Posts a form instead of JSON.", BODY, body_no_json)
    },
    Specimen {
        stage: http(MODERN, POLITE),
        ..stdio_row("body-a-text", "Posts a text that is JSON and no message.", BODY, body_text)
    },
    Specimen {
        breaks: &["LC-HTTP-01"],
        stage: http("2025-11-25", POLITE),
        ..stdio_row("two-messages-in-a-post", "Posts two messages, one behind the other.", BODY, two_in_a_post)
    },
];

/// A life in which a request comes with something changed and gets no answer that counts.
fn changed(client: &mut Client, is_broken: bool, change: impl Fn(&mut Value)) {
    client.begin_life();
    let mut message = client.message("tools/list", json!({}));
    if is_broken {
        change(&mut message);
        client.send(&message);
    } else {
        client.exchange(&message);
    }
    client.call(1);
}

fn id_null(client: &mut Client, is_broken: bool) {
    changed(client, is_broken, |message| message["id"] = Value::Null);
}

fn id_fraction(client: &mut Client, is_broken: bool) {
    changed(client, is_broken, |message| message["id"] = json!(2.5));
}

fn id_object(client: &mut Client, is_broken: bool) {
    changed(client, is_broken, |message| message["id"] = json!({ "n": 2 }));
}

fn id_boolean(client: &mut Client, is_broken: bool) {
    changed(client, is_broken, |message| message["id"] = json!(true));
}

fn id_again(client: &mut Client, is_broken: bool) {
    client.open();
    client.list();
    if is_broken {
        client.last_id -= 1;
    }
    client.call(1);
}

fn two_counters(client: &mut Client, is_broken: bool) {
    client.open();
    let shared = client.last_id;
    client.call(1);
    client.call(2);
    if is_broken {
        client.last_id = shared;
    }
    client.call(3);
}

fn text_again(client: &mut Client, is_broken: bool) {
    client.open();
    for n in 1..=2 {
        let mut message = client.call_message(n);
        message["id"] = if is_broken { json!("call") } else { json!(format!("call {n}")) };
        client.exchange(&message);
    }
}

fn id_of_open_call(client: &mut Client, is_broken: bool) {
    let call = client.call_message(1);
    let pending = client.begin(&call);
    if is_broken {
        client.last_id -= 1;
    }
    let list = client.message("tools/list", json!({}));
    let other = client.begin(&list);
    client.finish(other);
    if !is_broken {
        client.finish(pending);
    }
}

/// Both on one socket: on two, they may come from two clients.
fn id_of_open_post(client: &mut Client, is_broken: bool) {
    client.request("server/discover", json!({}));
    let call = client.call_message(1);
    client.send(&call);
    if is_broken {
        client.last_id -= 1;
    }
    client.list();
}

fn id_of_subscription(client: &mut Client, is_broken: bool) {
    let listen = client.message("subscriptions/listen", json!({ "notifications": {} }));
    client.send(&listen);
    client.pipes().receive();
    if is_broken {
        client.last_id -= 1;
    }
    client.list();
}

fn version_missing(client: &mut Client, is_broken: bool) {
    changed(client, is_broken, |message| drop(message.as_object_mut().unwrap().remove("jsonrpc")));
}

fn version_1(client: &mut Client, is_broken: bool) {
    changed(client, is_broken, |message| message["jsonrpc"] = json!("1.0"));
}

fn version_number(client: &mut Client, is_broken: bool) {
    changed(client, is_broken, |message| message["jsonrpc"] = json!(2.0));
}

fn member_twice(client: &mut Client, is_broken: bool) {
    client.open();
    let call = client.call_message(1);
    let (fields, once) = (client.http().fields_of(&call), call.to_string());
    let text = if is_broken { once.replacen('{', r#"{"jsonrpc":"2.0","#, 1) } else { once };
    client.http().exchange(On::Main, "POST", &fields, Some(text.as_bytes()));
    client.call(2);
}

fn params_list(client: &mut Client, is_broken: bool) {
    changed(client, is_broken, |message| message["params"] = json!([]));
}

fn params_null(client: &mut Client, is_broken: bool) {
    changed(client, is_broken, |message| message["params"] = Value::Null);
}

fn request_without_id(client: &mut Client, is_broken: bool) {
    changed(client, is_broken, |message| drop(message.as_object_mut().unwrap().remove("id")));
}

fn request_and_outcome(client: &mut Client, is_broken: bool) {
    changed(client, is_broken, |message| message["result"] = json!({}));
}

fn method_number(client: &mut Client, is_broken: bool) {
    changed(client, is_broken, |message| message["method"] = json!(7));
}

/// A life in which a response to a request of the server has something changed.
fn responding(client: &mut Client, is_broken: bool, change: fn(&mut Value)) {
    client.capabilities = json!({ "roots": {} });
    let capabilities = client.capabilities.clone();
    client.open();
    client.serve = Some(Box::new(move |request| {
        let mut response = proper(request, &capabilities);
        if is_broken {
            change(&mut response);
        }
        vec![response]
    }));
    client.call(1);
    client.call(2);
}

fn failing(response: &mut Value, error: Value) {
    response.as_object_mut().unwrap().remove("result");
    response["error"] = error;
}

fn error_text(client: &mut Client, is_broken: bool) {
    responding(client, is_broken, |response| failing(response, json!("no")));
}

fn error_without_code(client: &mut Client, is_broken: bool) {
    responding(client, is_broken, |response| failing(response, json!({ "message": "no" })));
}

fn result_and_error(client: &mut Client, is_broken: bool) {
    responding(client, is_broken, |response| response["error"] = json!({ "code": 1, "message": "both" }));
}

fn null_error(client: &mut Client, is_broken: bool) {
    responding(client, is_broken, |response| response["error"] = Value::Null);
}

fn no_outcome(client: &mut Client, is_broken: bool) {
    responding(client, is_broken, |response| drop(response.as_object_mut().unwrap().remove("result")));
}

fn notice_with_id(client: &mut Client, is_broken: bool) {
    client.capabilities = json!({ "roots": { "listChanged": true } });
    client.open();
    let mut notice = json!({ "jsonrpc": "2.0", "method": "notifications/roots/list_changed" });
    if is_broken {
        notice["id"] = json!("n1");
    }
    client.send(&notice);
    client.list();
}

fn cancellation_with_id(client: &mut Client, is_broken: bool) {
    client.open();
    let call = client.call_message(1);
    let mut pending = client.begin(&call);
    pending.head();
    let id = pending.id().clone();
    let mut notice = json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": id } });
    if is_broken {
        notice["id"] = json!("n1");
        client.send(&notice);
        client.finish_stream(pending);
    } else {
        client.send(&notice);
        pending.abandon();
    }
    client.list();
}

fn initialized_with_id(client: &mut Client, is_broken: bool) {
    client.initialize();
    if is_broken {
        client.send(&json!({ "jsonrpc": "2.0", "id": "n1", "method": "notifications/initialized" }));
    } else {
        client.initialized();
    }
    client.list();
}

fn batch(client: &mut Client, is_broken: bool) {
    client.begin_life();
    let (one, other) = (client.call_message(1), client.call_message(2));
    if is_broken && client.is_http() {
        let fields = client.http().fields_of(&one);
        client.exchange_with(&fields, &json!([one, other]));
    } else if is_broken {
        client.send(&json!([one, other]));
    } else {
        client.exchange(&one);
        client.exchange(&other);
    }
    client.list();
}

fn initialize_in_batch(client: &mut Client, is_broken: bool) {
    if is_broken {
        let about = client.about();
        let message = client.message("initialize", about);
        client.send(&json!([message]));
    }
    client.open();
    client.list();
}

fn text_on_stdin(client: &mut Client, is_broken: bool) {
    client.open();
    if is_broken {
        client.pipes().write(b"INFO: connected\n");
    }
    client.list();
}

fn header_on_stdin(client: &mut Client, is_broken: bool) {
    let list = client.message("tools/list", json!({}));
    if is_broken {
        client.pipes().write(format!("Content-Length: {}\n", list.to_string().len()).as_bytes());
    }
    client.exchange(&list);
}

fn half_message(client: &mut Client, is_broken: bool) {
    client.open();
    if is_broken {
        client.pipes().write(b"{\"jsonrpc\":\"2.0\",\"method\":\"notifi\n");
    }
    client.call(1);
}

/// Posts a body that is not a message beside one that is.
fn posting(client: &mut Client, is_broken: bool, body: &str) {
    client.begin_life();
    if is_broken {
        let fields = client.http().fields_of(&Value::Null);
        client.http().exchange(On::Main, "POST", &fields, Some(body.as_bytes()));
    }
    client.list();
}

fn body_no_json(client: &mut Client, is_broken: bool) {
    posting(client, is_broken, "method=tools%2Flist&id=9");
}

fn body_text(client: &mut Client, is_broken: bool) {
    posting(client, is_broken, "\"tools/list\"");
}

fn two_in_a_post(client: &mut Client, is_broken: bool) {
    client.open();
    let (one, other) = (client.call_message(1), client.call_message(2));
    if is_broken {
        let fields = client.http().fields_of(&one);
        client.http().exchange(On::Main, "POST", &fields, Some(format!("{one}\n{other}").as_bytes()));
    } else {
        client.exchange(&one);
        client.exchange(&other);
    }
}
