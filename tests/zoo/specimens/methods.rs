//! Methods: which a client may send, by its revision and by what both sides declared.

use serde_json::{Value, json};

use super::client::{Client, MODERN};
use super::{Life, POLITE, Script, Specimen, http, sse, stdio};

/// Reads out resources, and takes no subscriptions.
const READ_ONLY: Script = Script::Written(
    r#"about = "Offers resources without subscriptions."
[[rule]]
on = { request = "initialize" }
do = [{ alter-result = { capabilities = { tools = {}, resources = {} } } }]
"#,
);
/// Serves tasks, and does not list them.
const UNLISTED: Script = Script::Written(
    r#"about = "Serves tasks and does not list them."
tasks = true
[[rule]]
on = { request = "initialize" }
do = [{ alter-result = { capabilities = { tools = {}, tasks = { requests = { tools = { call = {} } } } } } }]
"#,
);
const TOOLLESS: Script = Script::Shipped("initialize-without-tools");

const UNOFFERED: (&[&str], &str) = (&["LC-INIT-11"], "capabilities-respected");
const fn unknown(row: &'static [&'static str]) -> (&'static [&'static str], &'static str) {
    (row, "methods-known")
}

const fn row(
    name: &'static str,
    about: &'static str,
    (breaks, caught_by): (&'static [&'static str], &'static str),
    life: fn(&mut Client, bool),
) -> Specimen {
    Specimen { name, about, breaks, caught_by, stage: stdio("2025-11-25", POLITE), life: Life::Wire(life) }
}

pub(super) const SPECIMENS: &[Specimen] = &[
    row("prompts-unoffered", "Lists prompts of a server that offers none.", UNOFFERED, prompts),
    Specimen {
        stage: sse("2024-11-05", POLITE),
        ..row("resources-unoffered", "Reads a resource of a server that offers none.", UNOFFERED, resources)
    },
    Specimen {
        stage: http("2025-06-18", READ_ONLY),
        ..row(
            "subscription-unoffered",
            "Subscribes to a resource of a server without subscriptions.",
            UNOFFERED,
            subscription,
        )
    },
    Specimen {
        stage: http("2025-06-18", POLITE),
        ..row("completion-unoffered", "Asks for a completion that the server does not offer.", UNOFFERED, completion)
    },
    Specimen {
        stage: stdio("2025-03-26", TOOLLESS),
        ..row("tools-unoffered", "Lists the tools of a server that offers none.", UNOFFERED, tools)
    },
    Specimen {
        stage: stdio("2025-11-25", UNLISTED),
        ..row("task-list-unoffered", "Lists the tasks of a server that does not list them.", UNOFFERED, task_list)
    },
    Specimen {
        breaks: &["LC-LOG-01"],
        ..row("log-level-unoffered", "Sets the log level of a server without a log.", UNOFFERED, log_level)
    },
    Specimen {
        breaks: &["LC-LOG-01"],
        stage: http("2025-03-26", POLITE),
        ..row("log-level-posted", "Posts a log level to a server without a log.", UNOFFERED, log_level)
    },
    Specimen {
        breaks: &["LC-TASK-01"],
        ..row("task-unoffered", "Calls a tool as a task on a server without tasks.", UNOFFERED, task_call)
    },
    Specimen {
        breaks: &["LC-TASK-01"],
        stage: http("2025-11-25", POLITE),
        ..row("task-posted-unoffered", "Posts a call as a task to a server without tasks.", UNOFFERED, task_call)
    },
    Specimen {
        stage: stdio("2025-06-18", POLITE),
        ..row(
            "task-of-a-later-revision",
            "Gets a task under a revision without tasks.",
            unknown(&["LC-INIT-10"]),
            task_get,
        )
    },
    Specimen {
        stage: http("2025-11-25", POLITE),
        ..row(
            "discover-in-a-session",
            "Discovers a server of which it has a session.",
            unknown(&["LC-INIT-10"]),
            discover,
        )
    },
    row("method-of-its-own", "Sends a method that it never declared.", unknown(&["LC-INIT-11"]), own_method),
    row("shutdown-request", "Asks its server to shut down, as in another protocol.", unknown(&["LC-STD-13"]), shutdown),
    Specimen {
        stage: stdio("2024-11-05", POLITE),
        ..row("exit-notice", "Notifies its server of its exit, as in another protocol.", unknown(&["LC-STD-13"]), exit)
    },
    Specimen {
        stage: stdio(MODERN, POLITE),
        ..row("ping-without-handshake", "Pings a server without a handshake.", unknown(&["LC-PING-05"]), ping)
    },
    Specimen {
        stage: http(MODERN, POLITE),
        ..row("ping-posted-without-handshake", "Posts a ping without a handshake.", unknown(&["LC-PING-05"]), ping)
    },
    row(
        "tools-changed-by-the-client",
        "Says that the tools have changed, which its server says.",
        unknown(&["LC-SUB-01"]),
        tools_changed,
    ),
    Specimen {
        stage: http("2025-03-26", POLITE),
        ..row("roots-asked-by-the-client", "Asks its server for roots.", unknown(&["LC-MSG-01"]), roots_asked)
    },
    Specimen {
        stage: stdio(MODERN, POLITE),
        ..row(
            "log-level-without-handshake",
            "Sets a log level, which only sessions have.",
            unknown(&["LC-ERA-16"]),
            log_level,
        )
    },
    Specimen {
        stage: http(MODERN, POLITE),
        ..row(
            "subscribe-without-handshake",
            "Subscribes to a resource as in a session.",
            unknown(&["LC-ERA-16"]),
            subscription,
        )
    },
    Specimen {
        stage: stdio(MODERN, POLITE),
        ..row(
            "task-without-extension",
            "Gets a task without the extension for tasks.",
            unknown(&["LC-ERA-17"]),
            task_get,
        )
    },
    Specimen {
        stage: stdio(MODERN, POLITE),
        ..row(
            "task-update-without-extension",
            "Updates a task without the extension for tasks.",
            unknown(&["LC-ERA-17"]),
            task_update,
        )
    },
];

/// A life in which one more request is sent.
fn asking(client: &mut Client, is_broken: bool, method: &str, params: Value) {
    client.begin_life();
    if is_broken {
        client.request(method, params);
    }
    client.request("tools/list", json!({}));
}

fn prompts(client: &mut Client, is_broken: bool) {
    asking(client, is_broken, "prompts/list", json!({}));
}

fn resources(client: &mut Client, is_broken: bool) {
    asking(client, is_broken, "resources/read", json!({ "uri": "file:///a" }));
}

fn subscription(client: &mut Client, is_broken: bool) {
    asking(client, is_broken, "resources/subscribe", json!({ "uri": "file:///a" }));
}

fn completion(client: &mut Client, is_broken: bool) {
    let params = json!({ "ref": { "type": "ref/prompt", "name": "p" }, "argument": { "name": "a", "value": "v" } });
    asking(client, is_broken, "completion/complete", params);
}

fn tools(client: &mut Client, is_broken: bool) {
    client.open();
    if is_broken {
        client.list();
    }
    client.request("ping", json!({}));
}

fn task_list(client: &mut Client, is_broken: bool) {
    asking(client, is_broken, "tasks/list", json!({}));
}

fn log_level(client: &mut Client, is_broken: bool) {
    asking(client, is_broken, "logging/setLevel", json!({ "level": "info" }));
}

fn task_call(client: &mut Client, is_broken: bool) {
    client.open();
    let mut message = client.call_message(1);
    if is_broken {
        message["params"]["task"] = json!({ "ttl": 1000 });
    }
    client.exchange(&message);
}

fn task_get(client: &mut Client, is_broken: bool) {
    asking(client, is_broken, "tasks/get", json!({ "taskId": "task-1" }));
}

fn task_update(client: &mut Client, is_broken: bool) {
    asking(client, is_broken, "tasks/update", json!({ "taskId": "task-1", "inputResponses": {} }));
}

fn discover(client: &mut Client, is_broken: bool) {
    asking(client, is_broken, "server/discover", json!({}));
}

/// Both lives send the method; the twin has declared it.
fn own_method(client: &mut Client, is_broken: bool) {
    if !is_broken {
        client.capabilities = json!({ "experimental": { "search": { "version": 1 } } });
    }
    client.open();
    client.request("search/find", json!({ "text": "a" }));
}

fn shutdown(client: &mut Client, is_broken: bool) {
    client.open();
    client.list();
    if is_broken {
        client.request("shutdown", json!({}));
    }
}

fn exit(client: &mut Client, is_broken: bool) {
    client.open();
    client.list();
    if is_broken {
        client.send(&json!({ "jsonrpc": "2.0", "method": "exit" }));
    }
}

fn ping(client: &mut Client, is_broken: bool) {
    asking(client, is_broken, "ping", json!({}));
}

fn tools_changed(client: &mut Client, is_broken: bool) {
    client.open();
    if is_broken {
        client.notify("notifications/tools/list_changed", json!({}));
    }
    client.list();
}

fn roots_asked(client: &mut Client, is_broken: bool) {
    asking(client, is_broken, "roots/list", json!({}));
}
