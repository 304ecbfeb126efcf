//! The driver of lines: what it reads and writes, and how it ends.

use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use crate::mock::NoJournal;
use crate::mock::line_driver::{LineMock, LineSender, line_inbox};
use crate::plan::Revision;
use crate::script::{Script, shipped};
use crate::server::{End, Endpoint, Input, Machine, Setup};

const LIMIT: Duration = Duration::from_secs(20);
const PING: &[u8] = b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}\n";
const CALL: &[u8] =
    b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"read\",\"arguments\":{}}}\n";

struct Client {
    stdin: DuplexStream,
    stdout: DuplexStream,
    sender: LineSender,
    mock: JoinHandle<End>,
}

fn start(script: Script) -> Client {
    start_with(script, 64 * 1_024)
}

fn start_with(script: Script, pipe_bytes: usize) -> Client {
    let setup = Setup::alone(script, Revision::R20251125, Endpoint::Lines);
    let (stdin, its_stdin) = duplex(pipe_bytes);
    let (its_stdout, stdout) = duplex(pipe_bytes);
    let (sender, inbox) = line_inbox();
    let mock = LineMock::new(Machine::new(setup), NoJournal, inbox, its_stdin, its_stdout);
    let life_ends = Instant::now() + LIMIT;
    let mock = tokio::spawn(async move { mock.run(life_ends).await.unwrap() });
    Client { stdin, stdout, sender, mock }
}

fn polite() -> Script {
    shipped("polite").unwrap()
}

fn script(rule: &str) -> Script {
    Script::from_toml("s", "s.toml", &format!("about = \"s\"\n[[rule]]\n{rule}\n")).unwrap()
}

impl Client {
    async fn line(&mut self) -> String {
        let mut line = Vec::new();
        while line.last() != Some(&b'\n') {
            let read = timeout(LIMIT, self.stdout.read_u8()).await.expect("a line in time");
            line.push(read.expect("a whole line"));
        }
        String::from_utf8(line).unwrap()
    }

    /// The id of the next answer, be that an error.
    async fn answered(&mut self) -> u64 {
        let answer: Value = serde_json::from_str(&self.line().await).unwrap();
        answer["id"].as_u64().unwrap()
    }

    /// What is left of the output, to its end.
    async fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        timeout(LIMIT, self.stdout.read_to_end(&mut rest)).await.expect("an end in time").unwrap();
        rest
    }

    async fn end(self) -> End {
        timeout(LIMIT, self.mock).await.expect("an end in time").unwrap()
    }
}

#[tokio::test]
async fn the_end_of_its_input_ends_it_and_its_output() {
    let mut client = start(polite());
    client.stdin.write_all(PING).await.unwrap();
    assert_eq!(client.answered().await, 1);
    client.stdin.shutdown().await.unwrap();
    assert!(client.rest().await.is_empty());
    assert_eq!(client.end().await, End::Exit(0));
}

#[tokio::test]
async fn a_batch_is_answered_in_one_line() {
    let mut client = start(polite());
    let params = r#"{"protocolVersion":"2025-03-26"}"#;
    let initialize = format!("{{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"initialize\",\"params\":{params}}}\n");
    client.stdin.write_all(initialize.as_bytes()).await.unwrap();
    assert_eq!(client.answered().await, 0);
    let batch = [b"[", PING.trim_ascii_end(), b",", PING.trim_ascii_end(), b"]\n"].concat();
    client.stdin.write_all(&batch).await.unwrap();
    let answer = r#"{"jsonrpc":"2.0","id":1,"result":{}}"#;
    assert_eq!(client.line().await, format!("[{answer},{answer}]\n"));
}

#[tokio::test]
async fn a_client_that_does_not_read_any_more_ends_it() {
    let Client { mut stdin, stdout, mock, .. } = start(polite());
    drop(stdout);
    stdin.write_all(PING).await.unwrap();
    assert_eq!(timeout(LIMIT, mock).await.unwrap().unwrap(), End::Exit(1));
}

#[tokio::test]
async fn hostile_bytes_are_taken_and_what_follows_is_answered() {
    let mut client = start(polite());
    client.stdin.write_all(b"\0\xff\xfe no json\n[1,2]\n\n{\"half\":").await.unwrap();
    for _ in 0..2 {
        assert!(client.line().await.contains("error"));
    }
    client.stdin.write_all(b"1}\n").await.unwrap();
    assert!(client.line().await.contains("Invalid request"));
    // Longer than a line may be, and never at once in the pipe.
    let long = vec![b'x'; 9 << 20];
    client.stdin.write_all(&long).await.unwrap();
    client.stdin.write_all(b"\n").await.unwrap();
    client.stdin.write_all(PING).await.unwrap();
    assert!(client.line().await.contains("\"result\""));
    client.stdin.write_all(b"the end of a line that never came").await.unwrap();
    client.stdin.shutdown().await.unwrap();
    assert_eq!(client.end().await, End::Exit(0));
}

#[tokio::test]
async fn a_client_that_reads_late_gets_all_in_order() {
    // A pipe of 16 bytes: almost every answer waits.
    let mut client = start_with(polite(), 16);
    for id in 1..=200 {
        let ping = format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"ping\"}}\n");
        timeout(LIMIT, client.stdin.write_all(ping.as_bytes())).await.expect("it reads on").unwrap();
    }
    for id in 1..=200 {
        assert_eq!(client.answered().await, id);
    }
}

#[tokio::test]
async fn a_gate_holds_an_action_and_nothing_else() {
    let mut client = start(script("on = { tool = \"read\" }\ndo = [{ hold = \"g\" }]"));
    client.stdin.write_all(CALL).await.unwrap();
    client.stdin.write_all(b"{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"ping\"}\n").await.unwrap();
    assert_eq!(client.answered().await, 2, "the ping overtakes the call");
    client.sender.send(Input::GateOpened("g".to_owned()));
    assert_eq!(client.answered().await, 1);
}

#[tokio::test]
async fn dying_and_exiting_end_the_pipes_with_what_was_written_before() {
    for (rule, end) in [
        ("on = { tool = \"read\" }\ndo = [\"answer\", { exit = 3 }]", End::Exit(3)),
        ("on = { tool = \"read\" }\ndo = [\"answer\", { die = { code = 4 } }]", End::Exit(4)),
    ] {
        let mut client = start(script(rule));
        client.stdin.write_all(CALL).await.unwrap();
        assert_eq!(client.answered().await, 1, "{rule}");
        assert!(client.rest().await.is_empty(), "{rule}");
        assert!(client.stdin.write_all(CALL).await.is_err(), "{rule}");
        assert_eq!(client.end().await, end, "{rule}");
    }
}

#[tokio::test]
async fn a_host_that_ends_is_the_end_of_its_client() {
    let client = start(polite());
    client.sender.send(Input::Eof);
    client.sender.send(Input::Eof);
    assert_eq!(client.end().await, End::Exit(0));
}
