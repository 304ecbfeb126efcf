//! A raw stdio MCP server for the loader's tests: `raw_mock LOG [flag...]`. It journals, then acts.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, Write};
use std::process::{Command, Stdio, exit};
use std::time::Duration;

use serde_json::{Value, json};

fn main() {
    let mut args = std::env::args().skip(1);
    let path = args.next().expect("usage: raw_mock LOG [flag...]");
    let log = OpenOptions::new().create(true).append(true).open(&path).expect("log opens");
    let mut mock = Mock { log, path, flags: args.collect(), tools: Vec::new(), deaf: false };
    mock.note(&format!("start {}", std::process::id()));
    mock.run();
}

struct Mock {
    log: File,
    path: String,
    flags: Vec<String>,
    tools: Vec<String>,
    deaf: bool,
}

impl Mock {
    fn run(&mut self) {
        if let Some(status) = self.value("exit") {
            exit(status.parse().expect("exit status"));
        }
        if self.has("linger") {
            forever();
        }
        if self.has("grandchild") {
            let me = std::env::current_exe().expect("own path");
            let mut child = Command::new(me);
            // Left alone on purpose: it outlives us.
            drop(child.args([&self.path, "linger"]).stdin(Stdio::null()).spawn().expect("grandchild starts"));
        }
        let named = self
            .value("tools")
            .unwrap_or("echo,pid,hang,die,shut-stdout,last-words,grow,storm,deaf,fail,refuse,env,slow,noise");
        self.tools = named.split(',').map(str::to_owned).collect();
        for line in std::io::stdin().lock().lines() {
            let Ok(line) = line else { break };
            let Ok(message) = serde_json::from_str::<Value>(&line) else {
                self.note("garbage");
                continue;
            };
            self.take(&message);
            if self.deaf {
                forever();
            }
        }
        self.note("eof");
        if self.has("stubborn") {
            forever();
        }
    }

    fn take(&mut self, message: &Value) {
        let method = message["method"].as_str().unwrap_or("answer");
        let id = message["id"].clone();
        match method {
            "notifications/cancelled" => self.note(&format!("cancelled {}", message["params"]["requestId"])),
            "tools/call" => self.note(&format!("call {} {id}", message["params"]["name"].as_str().unwrap_or("?"))),
            _ => self.note(&format!("got {method} {id}")),
        }
        if self.has("mute") {
            return;
        }
        match method {
            "initialize" => self.initialize(&id, message),
            "tools/list" => self.list(&id, message),
            "tools/call" => self.call(&id, &message["params"]),
            _ => {}
        }
    }

    fn initialize(&mut self, id: &Value, message: &Value) {
        if self.has("init-error") {
            return Self::send(&json!({"jsonrpc": "2.0", "id": id, "error": {"code": -32603, "message": "no"}}));
        }
        if self.has("ping-first") {
            Self::send(&json!({"jsonrpc": "2.0", "id": "p1", "method": "ping"}));
        }
        let asked = message["params"]["protocolVersion"].as_str().unwrap_or("?").to_owned();
        // A naive server would echo; this one knows the legacy revisions only.
        let answer = if asked.as_str() > "2025-11-25" { "2025-11-25".to_owned() } else { asked.clone() };
        self.note(&format!("offered {asked}"));
        let answer = self.value("version").map_or(answer, str::to_owned);
        let capabilities = if self.has("toolless") { json!({}) } else { json!({"tools": {"listChanged": true}}) };
        Self::answer(
            id,
            &json!({
                "protocolVersion": answer,
                "capabilities": capabilities,
                "serverInfo": {"name": "raw-mock", "version": "0"},
            }),
        );
    }

    fn list(&mut self, id: &Value, message: &Value) {
        if self.has("mute-list") {
            return;
        }
        let tool = |name: &str| json!({"name": name, "inputSchema": {"type": "object"}});
        let page: usize = message["params"]["cursor"].as_str().and_then(|text| text.parse().ok()).unwrap_or(0);
        if let Some(n_pages) = self.value("pages").map(|n| n.parse::<usize>().expect("pages")) {
            let next = if page + 1 < n_pages { json!((page + 1).to_string()) } else { Value::Null };
            let mut result = json!({"tools": [tool(&format!("tool-{page}"))]});
            if !next.is_null() {
                result["nextCursor"] = next;
            }
            return Self::answer(id, &result);
        }
        let tools = self.tools.iter().map(|name| tool(name)).collect::<Vec<_>>();
        Self::answer(id, &json!({"tools": tools}));
    }

    fn call(&mut self, id: &Value, params: &Value) {
        match params["name"].as_str().unwrap_or("?") {
            "echo" => Self::text(id, params["arguments"]["text"].as_str().unwrap_or("")),
            "pid" => Self::text(id, &std::process::id().to_string()),
            "env" => {
                let name = params["arguments"]["name"].as_str().expect("name");
                Self::text(id, &std::env::var(name).unwrap_or_default());
            }
            "hang" => {}
            "die" => exit(3),
            "shut-stdout" => shut_stdout(),
            "last-words" => {
                Self::text(id, "last words");
                exit(0);
            }
            "grow" => {
                self.tools.push("grown".to_owned());
                Self::changed();
                Self::text(id, "grown");
            }
            "storm" => {
                (0..200).for_each(|_| Self::changed());
                Self::text(id, "over");
            }
            "noise" => {
                print!("this is not JSON\n\n{{\"jsonrpc\":\"2.0\",\"id\":999,\"result\":{{}}}}\n");
                Self::text(id, "quiet");
            }
            "deaf" => self.deaf = true,
            "fail" => Self::answer(id, &json!({"content": [{"type": "text", "text": "it failed"}], "isError": true})),
            "refuse" => Self::send(&json!({"jsonrpc": "2.0", "id": id, "error": {"code": -32602, "message": "bad"}})),
            "slow" => {
                std::thread::sleep(Duration::from_millis(params["arguments"]["ms"].as_u64().unwrap_or(100)));
                Self::text(id, "slow");
            }
            other => Self::text(id, other),
        }
    }

    fn changed() {
        Self::send(&json!({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"}));
    }

    fn text(id: &Value, text: &str) {
        Self::answer(id, &json!({"content": [{"type": "text", "text": text}]}));
    }

    fn answer(id: &Value, result: &Value) {
        Self::send(&json!({"jsonrpc": "2.0", "id": id, "result": result}));
    }

    fn send(message: &Value) {
        let mut stdout = std::io::stdout().lock();
        let _ = writeln!(stdout, "{message}").and_then(|()| stdout.flush());
    }

    fn note(&mut self, line: &str) {
        self.log.write_all(format!("{line}\n").as_bytes()).expect("log is written");
    }

    fn has(&self, flag: &str) -> bool {
        self.flags.iter().any(|each| each == flag)
    }

    fn value(&self, flag: &str) -> Option<&str> {
        self.flags.iter().find_map(|each| each.strip_prefix(flag)?.strip_prefix('='))
    }
}

fn forever() -> ! {
    loop {
        std::thread::park();
    }
}

/// Points fd 1 elsewhere, so that the pipe loses its last writer.
fn shut_stdout() {
    rustix::stdio::dup2_stdout(File::open("/dev/null").expect("null opens")).expect("stdout is replaced");
}
