//! A small MCP client over stdio: it starts a server, calls one tool, and ends the server.

use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// How long a server may take to exit after its input ended.
const GRACE: Duration = Duration::from_millis(500);

/// Starts the server, calls its tool `read` with a path, and returns the text of the answer.
///
/// # Errors
/// When the server cannot be started, or exits before it answers.
pub fn read(command: &Path, args: &[String], path: &str) -> io::Result<String> {
    let mut server = Command::new(command).args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let text = converse(&mut server, path);
    end(server)?;
    text
}

fn converse(server: &mut Child, path: &str) -> io::Result<String> {
    let mut input = server.stdin.take().expect("stdin is a pipe");
    let mut output = BufReader::new(server.stdout.take().expect("stdout is a pipe"));
    let client = json!({
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "example", "version": "0.1.0" },
    });
    request(&mut input, &mut output, 1, "initialize", &client)?;
    writeln!(input, "{}", json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }))?;
    let call = json!({ "name": "read", "arguments": { "path": path } });
    let answer = request(&mut input, &mut output, 2, "tools/call", &call)?;
    Ok(answer["content"][0]["text"].as_str().unwrap_or_default().to_owned())
    // `input` is dropped here: a conforming server exits at the end of its input.
}

fn request(
    input: &mut ChildStdin,
    output: &mut BufReader<ChildStdout>,
    id: u64,
    method: &str,
    params: &Value,
) -> io::Result<Value> {
    writeln!(input, "{}", json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }))?;
    for line in output.lines() {
        let message: Value = serde_json::from_str(&line?)?;
        if message["id"] == id {
            return Ok(message["result"].clone());
        }
    }
    Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the server exited before it answered"))
}

/// Waits until the server exits, and kills it after the grace.
fn end(mut server: Child) -> io::Result<()> {
    let deadline = Instant::now() + GRACE;
    while server.try_wait()?.is_none() {
        if Instant::now() > deadline {
            server.kill()?;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}
