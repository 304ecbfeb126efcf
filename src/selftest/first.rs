//! The beginning of a session: the adapter connects, sends its hello and waits for the welcome.

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_stream::StreamExt;

use crate::record::{ADAPTER_WELCOME, AdapterHello, Capability, ContextKindName};
use crate::selftest::bench::Bench;
use crate::selftest::limits::HELD_BACK;
use crate::selftest::link::{AdapterEnd, Lines, split};
use crate::selftest::notes::Notes;

/// Everything that an adapter may observe: scopes, and the error channels by name.
const WITNESSES: [&str; 7] = [
    "scopes",
    "loop-exception-handler",
    "unraisable-hook",
    "thread-exception-hook",
    "uncaught-exception",
    "unhandled-rejection",
    "panic",
];

/// Accepts the adapter's link and hello; `None` if the session cannot continue.
pub(super) async fn welcome(bench: &Bench<'_>, notes: &mut Notes) -> Option<(AdapterEnd, AdapterHello)> {
    let stream = accept(bench, notes).await?;
    let (mut lines, mut write) = split(stream);
    let line = hello_line(bench, &mut lines, notes).await?;
    let read = read_hello(bench, &line, notes).await;
    let Some(hello) = read else {
        let refused = json!({ "refused": "see the report of the self-test" });
        // The adapter may have closed the link already.
        let _ = write.write_all(format!("{refused}\n").as_bytes()).await;
        return None;
    };
    match tokio::time::timeout(HELD_BACK.default, lines.next()).await {
        Err(_) => notes.ok("waits-for-welcome"),
        Ok(Some(Ok(line))) => {
            notes.fail("waits-for-welcome", format!("found {:?} before the welcome", head(&line)));
            return None;
        }
        Ok(Some(Err(_)) | None) => {
            let how = bench.ending().unwrap_or_else(|| "its process lives".to_owned());
            notes.fail("waits-for-welcome", format!("it ended the link before the welcome; {how}"));
            return None;
        }
    }
    // If the adapter has closed the link by now, the next command notices.
    let _ = write.write_all(format!("{ADAPTER_WELCOME}\n").as_bytes()).await;
    Some((AdapterEnd::follow(lines, write), hello))
}

async fn accept(bench: &Bench<'_>, notes: &mut Notes) -> Option<TcpStream> {
    let limit = bench.limits().start;
    let because = tokio::select! {
        biased;
        accepted = bench.listener.accept() => match accepted {
            Ok((stream, _)) => {
                notes.ok("dials-home");
                return Some(stream);
            }
            Err(error) => format!("cannot accept the link: {error}"),
        },
        () = bench.supervised.broken_or_ended() => {
            bench.ending().unwrap_or_else(|| "it reached a limit on its processes or its output".to_owned())
        }
        () = tokio::time::sleep(limit) => format!("the adapter did not connect within {} ms (limit start)", limit.as_millis()),
    };
    let output = bench.last_error().or_else(|| bench.output()).map(|line| format!("; {line}")).unwrap_or_default();
    notes.fail("dials-home", format!("{because}{output}"));
    None
}

async fn hello_line(bench: &Bench<'_>, lines: &mut Lines, notes: &mut Notes) -> Option<String> {
    let limit = bench.limits().hello;
    let because = match tokio::time::timeout(limit, lines.next()).await {
        Ok(Some(Ok(line))) => {
            notes.ok("hello-in-time");
            return Some(line);
        }
        Ok(Some(Err(error))) => format!("cannot read a line: {error}"),
        Ok(None) => "the adapter ended the link without a hello".to_owned(),
        Err(_) => format!("no whole line arrived within {} ms after the connection (limit hello)", limit.as_millis()),
    };
    notes.fail("hello-in-time", because);
    None
}

/// Reads the hello under the rules of the recorder; `None` if the recorder would refuse it.
async fn read_hello(bench: &Bench<'_>, line: &str, notes: &mut Notes) -> Option<AdapterHello> {
    let value: Value = serde_json::from_str(line).unwrap_or_default();
    if !value.is_object() {
        notes.fail("hello-fields", format!("found {:?}, expected a JSON object", head(line)));
        return None;
    }
    let version = value.get("hello");
    match version.and_then(Value::as_u64) {
        Some(1) => notes.ok("hello-version"),
        _ => {
            let found = version.map_or("none".to_owned(), Value::to_string);
            notes.fail("hello-version", format!("found version {found}, expected 1"));
            return None;
        }
    }
    if value.get("token").and_then(Value::as_str) != Some(&bench.token) {
        notes.fail("hello-token", "found no token or a wrong one, expected the value of MCP_LIFECHECK_TOKEN");
        return None;
    }
    notes.ok("hello-token");
    let hello = match serde_json::from_value::<AdapterHello>(value) {
        Ok(hello) => hello,
        Err(error) => {
            notes.fail("hello-fields", format!("the hello cannot be read: {error}"));
            return None;
        }
    };
    let pids = bench.supervised.descendants().await.unwrap_or_default();
    let is_there = |pid: u32| pids.iter().any(|process| process.pid == pid);
    notes.judge(
        "hello-fields",
        names_are_known(&hello).and_then(|()| match hello.pid {
            Some(pid) if !is_there(pid) => Err(format!("found pid {pid}, which is not a process of this adapter")),
            Some(_) | None => Ok(()),
        }),
    );
    Some(hello)
}

fn names_are_known(hello: &AdapterHello) -> Result<(), String> {
    let known = |is_known: bool, what: &str, name: &str| match is_known {
        true => Ok(()),
        false => Err(format!("found {what} {name:?}, expected one of the protocol's")),
    };
    for name in &hello.operations {
        known(serde_json::from_value::<Capability>(name.as_str().into()).is_ok(), "operation", name)?;
    }
    for name in &hello.contexts {
        known(serde_json::from_value::<ContextKindName>(name.as_str().into()).is_ok(), "context", name)?;
    }
    for name in hello.observes.iter().chain(&hello.provokes) {
        known(WITNESSES.contains(&name.as_str()), "witness", name)?;
    }
    for needed in ["load", "call", "close"] {
        if !hello.operations.iter().any(|name| name == needed) {
            return Err(format!("found no operation {needed:?}, expected at least load, call and close"));
        }
    }
    Ok(())
}

fn head(line: &str) -> String {
    line.chars().take(120).collect()
}
