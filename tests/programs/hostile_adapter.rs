//! An adapter that breaks the protocol, or misbehaves as a process, in the way its first argument names.
//!
//! For the harness's own tests: each way must give a bounded, explained, non-green result and leave nothing behind.

use std::env;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::process::{Command, exit};
use std::thread;
use std::time::Duration;

use rustix::process::{Signal, getpid, kill_process, setsid};
use serde_json::{Value, json};

fn main() {
    let way = env::args().nth(1).unwrap_or_default();
    match way.as_str() {
        "child-that-left" => {
            // It fails only for a process that leads its group already.
            let _ = setsid();
            for_ever();
        }
        "child" => for_ever(),
        "never-hello" => for_ever(),
        "exit-at-start" => exit(7),
        "flood-stderr-at-start" => flood(),
        "bomb" => bomb(),
        "garbage-hello" => {
            write(&mut dial(), "this is not a hello\n");
            for_ever();
        }
        "half-hello" => {
            write(&mut dial(), "{\"hello\":1,\"tok");
            for_ever();
        }
        "endless-hello" => loop {
            let mut link = dial();
            while link.write_all(&[b'x'; 65_536]).is_ok() {}
        },
        "wrong-version" => hello(&json!({ "hello": 2 })),
        "wrong-token" => hello(&json!({ "token": "guessed" })),
        "strangers" => {
            for _ in 0..200 {
                write(&mut dial(), "GET / HTTP/1.1\r\n\r\n");
            }
            for_ever();
        }
        _ => adapt(&way),
    }
}

fn for_ever() -> ! {
    loop {
        thread::sleep(Duration::from_secs(3_600));
    }
}

fn dial() -> TcpStream {
    let address = env::var("MCP_LIFECHECK_LINK").expect("started by mcp-lifecheck");
    TcpStream::connect(address).expect("home listens")
}

fn write(link: &mut TcpStream, text: &str) {
    // Home may have had enough.
    let _ = link.write_all(text.as_bytes());
}

fn hello_with(change: &Value) -> Value {
    let mut hello = json!({
        "hello": 1,
        "token": env::var("MCP_LIFECHECK_TOKEN").unwrap_or_default(),
        "adapter": "hostile",
        "contexts": ["task", "thread", "loop"],
        "operations": ["load", "call", "list", "close", "probe"],
        "observes": [],
    });
    for (name, value) in change.as_object().into_iter().flatten() {
        hello[name] = value.clone();
    }
    hello
}

fn hello(change: &Value) {
    write(&mut dial(), &format!("{}\n", hello_with(change)));
    for_ever();
}

fn flood() -> ! {
    loop {
        eprintln!("{}", "flood ".repeat(10_000));
    }
}

/// Starts processes until it is stopped; each does the same.
fn bomb() -> ! {
    let me = env::current_exe().expect("this executable has a path");
    loop {
        // A machine may refuse before the harness does.
        drop(Command::new(&me).arg("child").spawn());
    }
}

/// A proper adapter that answers every command at once, up to where its way begins.
fn adapt(way: &str) {
    let mut link = dial();
    write(&mut link, &format!("{}\n", hello_with(&json!({}))));
    let commands = BufReader::new(link.try_clone().expect("a socket can be cloned")).lines();
    if way == "exit-after-hello" {
        exit(8);
    }
    for line in commands {
        let Ok(line) = line else { exit(86) };
        let Ok(command) = serde_json::from_str::<Value>(&line) else { exit(85) };
        let Some(action) = command["do"].as_str() else { continue };
        misbehave(way, action, &mut link);
        let answer = match action {
            "load" | "list" => json!({ "tools": [{ "server": "files", "name": "read" }], "errors": {} }),
            "call" => json!({ "text": "made up" }),
            _ => json!({}),
        };
        write(&mut link, &format!("{}\n", json!({ "id": command["id"], "ok": answer })));
        if action == "exit" {
            exit(0);
        }
    }
    exit(86);
}

fn misbehave(way: &str, action: &str, link: &mut TcpStream) {
    let me = env::current_exe().expect("this executable has a path");
    match (way, action) {
        ("exit-at-load", "load") | ("exit-at-call", "call") | ("exit-at-close", "close") => exit(9),
        ("die-at-call", "call") => drop(kill_process(getpid(), Signal::KILL)),
        ("stop-at-call", "call") => drop(kill_process(getpid(), Signal::STOP)),
        ("hang-at-load", "load") | ("hang-at-call", "call") | ("hang-at-close", "close") => for_ever(),
        ("hang-at-exit", "exit") => for_ever(),
        ("deaf-at-call", "call") => {
            let all = [1, 2, 3, 10, 12, 13, 14, 15];
            drop(signal_hook::iterator::Signals::new(all));
            for_ever();
        }
        ("half-line", "call") => {
            write(link, "{\"id\":2,\"o");
            for_ever();
        }
        ("garbage-line", "call") => write(link, "no JSON at all\n"),
        ("unknown-event", "call") => write(link, "{\"event\":\"no.such.event\"}\n"),
        ("unknown-completion", "call") => write(link, "{\"id\":999,\"ok\":{}}\n"),
        ("endless-line", "call") => while link.write_all(&[b'x'; 65_536]).is_ok() {},
        ("flood-link", "call") => loop {
            let event = json!({ "event": "error.reported", "channel": "panic", "text": "flood ".repeat(1_000) });
            if writeln!(link, "{event}").is_err() {
                for_ever();
            }
        },
        ("flood-stderr", "call") => flood(),
        ("forge", "load") => {
            write(link, "{\"event\":\"signal.sent\",\"signal\":\"KILL\",\"target\":\"loader\"}\n");
        }
        ("reset", "call") => {
            // The answer to this event stays unread, so the end of this process resets the link.
            write(link, "{\"n\":1,\"event\":\"error.reported\",\"channel\":\"panic\",\"text\":\"last\"}\n");
            kill_process(getpid(), Signal::KILL).expect("a process may kill itself");
        }
        ("pipe-for-stderr", "call") => {
            let stderr = std::fs::read_link("/proc/self/fd/2").expect("stderr is a file");
            drop(std::fs::remove_file(&stderr));
            drop(Command::new("mkfifo").arg(&stderr).status());
            exit(9);
        }
        ("traceback-behind-noise", "close") => {
            eprintln!("{}", "noise ".repeat(200_000));
            eprintln!("Traceback (most recent call last):\n  File \"x\"\nValueError: no");
        }
        ("hang-up-at-call", "call") => {
            drop(link.shutdown(std::net::Shutdown::Both));
            for_ever();
        }
        ("daemonise", "load") => {
            // Not waited for, on purpose.
            drop(Command::new(me).arg("child-that-left").spawn());
        }
        _ => {}
    }
}
