//! The helper for Node by itself, at a home that is played by hand.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::node::home::{Home, TOKEN, has_node, program};

/// A loader whose calls do what the name of their tool says.
const LOADER: &str = r#"
import { spawnSync } from "node:child_process";
import lifecheck from "mcp-lifecheck-adapter";

class Client {
  async connect() {
    this.connectedNs = process.hrtime.bigint();
  }
  async close() {}
}
lifecheck.observe(Client);

const tools = {
  env: () => spawnSync("env", { encoding: "utf8" }).stdout + Object.keys(process.env).join("\n"),
  connected: (loader) => String(loader.client.connectedNs / 1000n),
  hang: (_, signal) => new Promise((_, no) => signal.addEventListener("abort", () => no(signal.reason))),
  deaf: () => new Promise(() => setInterval(() => {}, 60_000)),
  spin: function spinning() {
    for (;;);
  },
  throw: () => {
    throw new TypeError("not today");
  },
  reject: () => void Promise.reject(new Error("nobody cares")),
  listen: () => void process.on("unhandledRejection", () => {}),
  crash: () => void setImmediate(() => { throw new RangeError("out of it"); }),
  handle: () => void setInterval(() => {}, 60_000),
};

class Loader {
  async load() {
    this.client = new Client();
    await this.client.connect();
    return { files: Object.keys(tools) };
  }
  async call(server, tool, args, extra) {
    return tools[tool](this, tool === "hang" ? extra.signal : undefined) ?? { text: "no", isError: true };
  }
  async close() {
    await this.client?.close();
  }
}
await lifecheck.serve(Loader, { adapter: "test", version: "1" });
"#;

struct Started {
    home: Home,
    _folder: tempfile::TempDir,
}

fn start() -> Option<Started> {
    if !has_node() {
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    let home = Home::welcoming(program(folder.path(), "loader.mjs", LOADER));
    Some(Started { home, _folder: folder })
}

fn call(id: u32, tool: &str, task: &str) -> Value {
    let place = json!({ "thread": "main", "loop": "main", "task": task });
    json!({ "id": id, "do": "call", "in": place, "server": "files", "tool": tool, "arguments": {} })
}

fn monotonic_us() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    u64::try_from(now.tv_sec).unwrap() * 1_000_000 + u64::try_from(now.tv_nsec).unwrap() / 1_000
}

#[test]
fn a_life_is_told_in_order_and_nothing_is_inherited() {
    let Some(Started { mut home, _folder }) = start() else { return };
    let hello = home.hello.clone();
    assert_eq!((&hello["hello"], &hello["token"], &hello["contexts"]), (&json!(1), &json!(TOKEN), &json!(["task"])));
    assert_eq!((&hello["adapter"], &hello["version"]), (&json!("test"), &json!("1")));
    assert!(hello["language"].as_str().unwrap().starts_with("node "), "{hello}");
    assert_eq!(hello["operations"], json!(["load", "call", "close", "reload", "cancel", "probe", "drop-context"]));
    assert_eq!(hello["observes"], json!(["scopes", "uncaught-exception", "unhandled-rejection"]));

    // The scope is entered, and home lets the loader wait.
    home.send(&json!({ "id": 1, "do": "load", "config": { "mcpServers": {} } }));
    let started = home.event();
    assert_eq!(started["context"], json!({ "thread": 1, "loop": 1, "task": 1 }));
    let entered = home.line().unwrap();
    let scope = json!({ "event": "scope.enter", "scope": "s1", "name": "Client", "form": "context-manager" });
    scope.as_object().unwrap().iter().for_each(|(name, value)| assert_eq!(&entered[name], value));
    // Long enough for a loader that does not wait to be seen: it would connect within a millisecond.
    std::thread::sleep(Duration::from_millis(100));
    let acknowledged_us = monotonic_us();
    home.acknowledge(&entered);
    let loaded = home.event();
    assert_eq!(loaded["ok"]["tools"][0], json!({ "server": "files", "name": "env" }));
    let connected = home.ask(&call(2, "connected", "a")).pop().unwrap();
    let connected_us: u64 = connected["ok"]["text"].as_str().unwrap().parse().unwrap();
    assert!(connected_us >= acknowledged_us, "the loader went on at {connected_us}, before {acknowledged_us}");

    let environment = home.ask(&call(3, "env", "a")).pop().unwrap();
    assert!(environment["ok"]["text"].as_str().unwrap().contains("PATH"), "{environment}");
    for name in ["MCP_LIFECHECK_LINK", "MCP_LIFECHECK_TOKEN"] {
        assert!(!environment.to_string().contains(name), "{environment}");
    }
    let failed = home.ask(&call(4, "throw", "b"));
    assert_eq!(failed[0]["context"]["task"], json!(3), "main, a and b");
    assert_eq!(failed[1]["failed"], json!({ "type": "TypeError", "message": "not today" }));
    let unknown = home.ask(&json!({ "id": 5, "do": "collect" })).pop().unwrap();
    assert_eq!(unknown["failed"]["type"], "UnsupportedOperation");
    assert_eq!(home.ask(&json!({ "id": 6, "do": "probe" })).pop().unwrap()["ok"], json!({}));
    let closed = home.ask(&json!({ "id": 7, "do": "close" }));
    assert_eq!((&closed[1]["event"], &closed[1]["how"]), (&json!("scope.exit"), &json!("explicit")));
    let numbers: Vec<_> = closed.iter().map(|event| event["n"].as_u64().unwrap()).collect();
    assert!(numbers.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{numbers:?}");
    home.ask(&json!({ "id": 8, "do": "exit" }));
    let ran = home.end();
    assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (0, "", ""));
}

#[test]
fn lines_of_the_loader_are_told_to_a_recorder_that_takes_them() {
    if !has_node() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut home = Home::taking_code(program(folder.path(), "loader.mjs", LOADER));
    let line_of = |text: &str| 1 + LOADER.lines().position(|line| line.contains(text)).unwrap();
    let line = |text: &str, within: &str| json!({ "file": "loader.mjs", "line": line_of(text), "in": within });
    let entered = home.ask(&json!({ "id": 1, "do": "load", "config": { "mcpServers": {} } })).remove(1);
    assert_eq!(entered["code"], json!([line("await this.client.connect()", "load")]));
    let failed = home.ask(&call(2, "throw", "a")).pop().unwrap();
    let thrown = json!([line("throw new TypeError", "throw"), line("return tools[tool]", "call")]);
    assert_eq!(failed["failed"]["code"], thrown);
    let rejected = home.ask(&call(3, "reject", "a"));
    let reported = rejected.iter().find(|event| event["event"] == "error.reported");
    let reported = reported.cloned().unwrap_or_else(|| home.event());
    assert_eq!(reported["code"][0], line("Promise.reject", "reject"), "{reported}");
}

#[test]
fn a_call_is_cancelled_by_its_signal_and_one_that_listens_to_none_is_not() {
    let Some(Started { mut home, _folder }) = start() else { return };
    home.send(&call(1, "hang", "a"));
    home.event();
    let stacks = home.ask(&json!({ "id": 2, "do": "stacks" })).pop().unwrap();
    assert!(stacks["ok"]["text"].as_str().unwrap().contains("call (operation 1)"), "{stacks}");
    // Another task is not kept waiting; the next command of this one is.
    home.ask(&json!({ "id": 3, "do": "probe", "in": { "task": "b" } }));
    home.send(&json!({ "id": 4, "do": "probe", "in": { "task": "a" } }));
    home.send(&json!({ "id": 5, "do": "cancel", "operation": 1 }));
    // The cancellation is answered and delivered in either order.
    let mut left = vec![1, 4, 5];
    let events = home.until(|event| {
        left.retain(|id| event["id"] != *id);
        left.is_empty()
    });
    let of = |id: u32| events.iter().position(|event| event["id"] == id).unwrap();
    assert_eq!(events[of(5)]["ok"], json!({ "delivered": true }));
    assert_eq!(events[of(1)]["cancelled"], json!(true));
    assert!(of(1) < of(4));
    home.send(&call(6, "deaf", "a"));
    home.event();
    let cancelled = home.ask(&json!({ "id": 7, "do": "cancel", "operation": 6 })).pop().unwrap();
    assert_eq!(cancelled["ok"], json!({ "delivered": false }));
}

#[test]
fn what_nobody_handles_is_told_and_ends_the_program_as_it_would_by_itself() {
    let ends: [(&[&str], &str, &str, i32); 3] = [
        (&["reject"], "unhandled-rejection", "nobody cares", 1),
        (&["listen", "reject"], "unhandled-rejection", "nobody cares", 0),
        (&["crash"], "uncaught-exception", "out of it", 1),
    ];
    for (tools, channel, text, code) in ends {
        let Some(Started { mut home, _folder }) = start() else { return };
        for (id, tool) in (1..).zip(tools) {
            home.send(&call(id, tool, "a"));
        }
        let reported = home.until(|event| event["event"] == "error.reported").pop().unwrap();
        assert_eq!(reported["channel"], channel);
        assert!(reported["text"].as_str().unwrap().contains(text), "{reported}");
        if code == 0 {
            home.ask(&json!({ "id": 9, "do": "exit" }));
        } else {
            // Once for each error, also where the one becomes the other.
            while let Some(event) = home.line() {
                assert_ne!(event["event"], "error.reported", "{event}");
                home.acknowledge(&event);
            }
        }
        assert_eq!(home.end().code, code, "{tools:?}");
    }
}

#[test]
fn stacks_are_sent_and_a_lost_link_ends_the_process_while_the_loader_computes() {
    let Some(Started { mut home, _folder }) = start() else { return };
    home.send(&call(1, "spin", "a"));
    home.event();
    let stacks = home.ask(&json!({ "id": 2, "do": "stacks" })).pop().unwrap();
    let text = stacks["ok"]["text"].as_str().unwrap();
    assert!(
        text.starts_with("main thread: computing") && text.contains("loader.mjs:") && text.contains("spinning"),
        "{text}"
    );
    let cancelled = home.ask(&json!({ "id": 3, "do": "cancel", "operation": 1 })).pop().unwrap();
    assert_eq!(cancelled["ok"], json!({ "delivered": false }));
    let hung_up = Instant::now();
    home.hang_up();
    assert_eq!(home.end().code, 86);
    assert!(hung_up.elapsed() < Duration::from_secs(5), "{:?}", hung_up.elapsed());
}

#[test]
fn a_lost_link_ends_the_program_when_it_is_idle_and_when_it_waits_to_be_acknowledged() {
    for command in [None, Some(call(1, "hang", "a"))] {
        let Some(Started { mut home, _folder }) = start() else { return };
        if let Some(command) = command {
            home.send(&command);
            home.line();
        }
        home.hang_up();
        assert_eq!(home.end().code, 86);
    }
}

#[test]
fn a_refused_hello_ends_the_program_and_without_a_link_there_is_nothing_to_serve() {
    if !has_node() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let refused = Home::of(program(folder.path(), "loader.mjs", LOADER), &json!({ "refused": "no" }));
    assert_eq!(refused.end().code, 86);
    let alone = program(folder.path(), "alone.mjs", LOADER).output().unwrap();
    assert_eq!(alone.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&alone.stderr).contains("nothing to serve"));
}

#[test]
fn a_handle_that_is_left_keeps_the_program_alive_and_is_named() {
    let Some(Started { mut home, _folder }) = start() else { return };
    home.ask(&call(1, "handle", "a"));
    home.ask(&json!({ "id": 2, "do": "exit" }));
    let stacks = home.ask(&json!({ "id": 3, "do": "stacks" })).pop().unwrap();
    let text = stacks["ok"]["text"].as_str().unwrap();
    let (_, alive) = text.split_once("what keeps the event loop alive:\n").unwrap();
    assert!(alive.contains("  Timeout") && !alive.contains("Worker") && !alive.contains("MessagePort"), "{text}");
    home.hang_up();
    assert_eq!(home.end().code, 86);
}
