//! Mistakes that few clients make: each breaks a requirement that no other family breaks.

use std::thread::sleep;
use std::time::Duration;

use serde_json::json;

use super::client::{Client, MODERN, On, proper};
use super::{POLITE, Script, Specimen, http, row, sse, started, stdio};

/// Takes its first call as a task that goes on.
const WORKING: Script = Script::Shipped("task-held");
/// Ends the stream of its first call without an answer.
const ENDING: Script = Script::Shipped("call-stream-ends");
/// Cuts the stream of its first call behind the id of an event.
const CUT: Script = Script::Shipped("call-cut-after-event-id");
/// Has tasks as an extension.
const EXTENDED: Script = Script::Written(
    r#"about = "Says of any task that it is working."
[[rule]]
on = { request = "tasks/get" }
do = [{ answer-result = { resultType = "complete", taskId = "task-1", status = "working" } }]
"#,
);
/// Asks for roots on the stream of the session.
const ASKING: Script = Script::Written(
    r#"about = "Asks for roots on the stream of the session."
[[rule]]
on = { get = true }
do = [{ ask = "roots/list" }]
"#,
);

pub(super) const SPECIMENS: &[Specimen] = &[
    row(
        ("message-over-lines", "Writes a message as several lines."),
        stdio("2025-11-25", POLITE),
        (&["LC-STD-01"], "stdin-carries-messages-only"),
        over_lines,
    ),
    row(
        ("latin-in-a-pipe", "Writes a message in Latin-1 into the pipe."),
        stdio("2025-06-18", POLITE),
        (&["LC-MSG-02"], "stdin-carries-messages-only"),
        latin_in_pipe,
    ),
    row(
        ("latin-in-a-post", "Posts a message in Latin-1."),
        http("2025-11-25", POLITE),
        (&["LC-MSG-02"], "posts-are-messages"),
        latin_in_post,
    ),
    row(
        ("initialize-after-an-unknown-method", "Takes an unknown method for a server with a handshake."),
        http(MODERN, Script::Shipped("dual")),
        (&["LC-META-14"], "modern-era-kept"),
        initialize_after_unknown,
    ),
    row(
        ("lost-call-under-its-id", "Makes a call again under its id after its stream has ended."),
        http(MODERN, ENDING),
        (&["LC-HTTP-18"], "request-id-unique"),
        lost_under_its_id,
    ),
    row(
        ("lost-call-resumed", "Resumes the stream of a call without sessions, before any answer."),
        http(MODERN, CUT),
        (&["LC-HTTP-18"], "modern-without-session"),
        lost_resumed,
    ),
    row(
        ("task-not-named", "Asks for a task and leaves its id out of the header."),
        http(MODERN, EXTENDED),
        (&["LC-TASK-13"], "modern-metadata-sent"),
        task_not_named,
    ),
    row(
        ("token-of-a-task-again", "Gives a call the progress token of a task that goes on."),
        stdio("2025-11-25", WORKING),
        (&["LC-PROG-04"], "progress-tokens-valid"),
        token_of_task,
    ),
    row(
        ("stream-unread-for-requests", "Answers no request that comes on the stream of its session."),
        http("2025-11-25", ASKING),
        (&["LC-S2C-04"], "server-requests-answered"),
        stream_unread,
    ),
    row(
        ("session-for-a-token", "Says its token once, and takes its session for a proof from then on."),
        http("2025-11-25", POLITE),
        (&["LC-SESS-11"], "token-sent"),
        session_for_token,
    ),
    row(
        ("posted-to-the-stream", "Posts to the address of its stream, whatever address the stream names."),
        sse("2024-11-05", POLITE),
        (&["LC-SSE-01"], "posted-to-endpoint"),
        posted_to_stream,
    ),
    row(
        ("log-without-a-bound", "Logs until it is ended."),
        started("2025-11-25", "tools_call"),
        (&["VG-17"], "output-bounded"),
        log_without_bound,
    ),
];

fn over_lines(client: &mut Client, is_broken: bool) {
    client.open();
    let call = client.call_message(1);
    if is_broken {
        let text = serde_json::to_string_pretty(&call).unwrap();
        client.pipes().write(format!("{text}\n").as_bytes());
    } else {
        client.exchange(&call);
    }
    client.call(2);
    client.list();
}

/// A call with a letter in Latin-1, or in UTF-8.
fn accented(client: &mut Client, is_broken: bool) -> Vec<u8> {
    let call = client.message("tools/call", json!({ "name": "read", "arguments": { "path": "caf#" } }));
    let letter: &[u8] = if is_broken { &[0xe9] } else { "é".as_bytes() };
    call.to_string().bytes().flat_map(|byte| if byte == b'#' { letter.to_vec() } else { vec![byte] }).collect()
}

fn latin_in_pipe(client: &mut Client, is_broken: bool) {
    client.open();
    let mut line = accented(client, is_broken);
    line.push(b'\n');
    client.pipes().write(&line);
    client.call(2);
    client.list();
}

fn latin_in_post(client: &mut Client, is_broken: bool) {
    client.open();
    let fields = client.call_message(1);
    let fields = client.http().fields_of(&fields);
    let body = accented(client, is_broken);
    client.http().exchange(On::Main, "POST", &fields, Some(&body));
    client.call(2);
}

fn initialize_after_unknown(client: &mut Client, is_broken: bool) {
    client.request("prompts/list", json!({}));
    if is_broken {
        client.revision = "2025-11-25".to_owned();
        client.open();
    } else {
        client.list();
    }
}

fn lost_resumed(client: &mut Client, is_broken: bool) {
    let call = client.call_message(1);
    client.exchange(&call);
    // The server has closed its socket.
    client.http().close();
    if is_broken {
        let mut fields = client.http().fields_of_get(Some("7"));
        fields.set("MCP-Protocol-Version", MODERN);
        client.http().exchange(On::Main, "GET", &fields, None);
    }
    client.call(2);
}

fn lost_under_its_id(client: &mut Client, is_broken: bool) {
    client.request("server/discover", json!({}));
    let call = client.call_message(1);
    client.exchange(&call);
    if is_broken {
        client.exchange(&call);
    } else {
        client.call(1);
    }
}

fn task_not_named(client: &mut Client, is_broken: bool) {
    client.capabilities = json!({ "extensions": { "io.modelcontextprotocol/tasks": {} } });
    client.request("server/discover", json!({}));
    let ask = client.message("tasks/get", json!({ "taskId": "task-1" }));
    let mut fields = client.http().fields_of(&ask);
    if !is_broken {
        fields.set("Mcp-Name", "task-1");
    }
    client.exchange_with(&fields, &ask);
}

/// Both calls report progress; the first one is a task.
fn token_of_task(client: &mut Client, is_broken: bool) {
    client.open();
    let mut call = client.call_message(1);
    call["params"]["task"] = json!({ "ttl": 60_000 });
    call["params"]["_meta"] = json!({ "progressToken": "first" });
    let task = client.exchange(&call).message["result"]["task"]["taskId"].clone();
    let mut call = client.call_message(2);
    call["params"]["_meta"] = json!({ "progressToken": if is_broken { "first" } else { "second" } });
    client.exchange(&call);
    client.request("tasks/cancel", json!({ "taskId": task }));
}

fn stream_unread(client: &mut Client, is_broken: bool) {
    client.open();
    let mut stream = client.http().listen(None);
    let asked = std::iter::from_fn(|| stream.event()).find_map(|event| event.message()).unwrap();
    if !is_broken {
        client.send_aside(&proper(&asked, &json!({})));
    }
    for _ in 0..6 {
        sleep(Duration::from_millis(400));
        client.list();
    }
}

fn session_for_token(client: &mut Client, is_broken: bool) {
    let token = vec![("Authorization".to_owned(), "Bearer secret".to_owned())];
    client.http().more.clone_from(&token);
    client.initialize();
    client.initialized();
    client.list();
    if is_broken {
        client.http().more.clear();
    }
    client.call(1);
    client.call(2);
    client.http().more = token;
}

fn posted_to_stream(client: &mut Client, is_broken: bool) {
    client.open();
    if is_broken {
        let call = client.call_message(1);
        let path = client.http().path.clone();
        client.events().post_to(&path, &call);
    }
    client.call(2);
}

/// Does its task; the broken life then writes more than any program may.
fn log_without_bound(client: &mut Client, is_broken: bool) {
    client.open();
    client.list();
    client.request("tools/call", json!({ "name": "add_numbers", "arguments": { "a": 5, "b": 3 } }));
    client.end();
    let line = "working ".repeat(1_000);
    if is_broken {
        loop {
            eprintln!("{line}");
        }
    }
}
