//! A host without an SDK, that is right, or wrong in the one way its second argument names.
//!
//! It reads the configuration that its first argument names, starts each server, lists its tools, and then does what it is told on its
//! stdin: `call` calls a tool of every server. The end of stdin is its own.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

struct Server {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    n_asked: u64,
}

impl Server {
    fn start(entry: &Value, mode: &str) -> Self {
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let args = entry["args"].as_array().expect("arguments").iter().map(text);
        let env: BTreeMap<String, String> =
            entry["env"].as_object().expect("an environment").iter().map(|(k, v)| (k.clone(), text(v))).collect();
        let mut command = Command::new(text(&entry["command"]));
        command.args(args).envs(env).stdin(Stdio::piped()).stdout(Stdio::piped());
        if mode == "leaves-server" {
            command.process_group(0);
        }
        let mut child = command.spawn().expect("the server starts");
        let stdin = child.stdin.take().expect("a pipe");
        let stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut server = Self { child, stdin, stdout, n_asked: 0 };
        if mode == "noisy" {
            server.write("this is not a message");
        }
        let client = json!({ "name": "raw-host", "version": "1" });
        server.ask("initialize", json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client }));
        server.write(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }).to_string());
        if mode != "lists-nothing" {
            server.ask("tools/list", json!({}));
        }
        server
    }

    fn write(&mut self, line: &str) {
        // A server that is gone says so where its answer is missing.
        let _ = self.stdin.write_all(format!("{line}\n").as_bytes()).and_then(|()| self.stdin.flush());
    }

    fn ask(&mut self, method: &str, params: Value) {
        self.n_asked += 1;
        self.write(&json!({ "jsonrpc": "2.0", "id": self.n_asked, "method": method, "params": params }).to_string());
        let mut line = String::new();
        while self.stdout.read_line(&mut line).is_ok_and(|n| n > 0) {
            let answer: Value = serde_json::from_str(&line).unwrap_or_default();
            if answer["id"] == self.n_asked {
                break;
            }
            line.clear();
        }
    }

    fn close(self) {
        let Self { mut child, stdin, .. } = self;
        drop(stdin);
        let _ = child.wait();
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().expect("a configuration");
    let mode = arguments.next().unwrap_or_default();
    match mode.as_str() {
        "exits-at-once" => return,
        "never-connects" => {
            std::io::stdin().lines().for_each(drop);
            return;
        }
        "floods" => loop {
            if std::io::stdout().write_all(&[b'x'; 1 << 16]).is_err() {
                return;
            }
        },
        _ => {}
    }
    let text = std::fs::read_to_string(path).expect("the configuration can be read");
    let config: Value = serde_json::from_str(&text).expect("the configuration is JSON");
    let entries = config["mcpServers"].as_object().expect("servers").clone();
    let mut servers: Vec<Server> = entries.values().map(|entry| Server::start(entry, &mode)).collect();
    match mode.as_str() {
        "tells-an-error" => eprintln!("Traceback (most recent call last):\n  File \"a\"\nRuntimeError: no"),
        "leaves-child" => drop(Command::new("sleep").arg("600").process_group(0).spawn()),
        _ => {}
    }
    for line in std::io::stdin().lines().map_while(Result::ok) {
        match (line.as_str(), mode.as_str()) {
            ("call", "deaf") => {}
            ("call", "reopens") => {
                servers.drain(..).for_each(Server::close);
                servers.extend(entries.values().map(|entry| Server::start(entry, &mode)));
            }
            ("call", _) => servers.iter_mut().for_each(|server| {
                server.ask("tools/call", json!({ "name": "read", "arguments": {} }));
            }),
            ("leave", _) => std::process::exit(7),
            _ => {}
        }
    }
    match mode.as_str() {
        "waits" | "hangs" => loop {
            std::thread::park();
        },
        "other-status" => std::process::exit(3),
        "aborts" => std::process::abort(),
        "leaves-server" => std::process::exit(0),
        _ => servers.into_iter().for_each(Server::close),
    }
}
