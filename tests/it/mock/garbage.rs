//! Clients that send garbage, half of things, or too much, and leave whenever they like: hundreds of them, generated, against one
//! mock that runs alone. Afterwards it serves a conforming client at once, and has not grown.
//!
//! A case that fails prints itself, with the seed that generates it again (`MCP_LIFECHECK_SEED`); it is not made smaller, since
//! the mock it failed against is not the same any more.

use std::fs;
use std::io::{BufRead, Read};
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use proptest::prelude::*;
use proptest::test_runner::{RngSeed, TestRunner};

use crate::mock::client::{Client, INITIALIZE, INITIALIZED, LIST, call, mock_command};
use crate::mock::http_client::Socket;

/// Cases against one process.
const N_CASES: u32 = 400;
/// Processes that are left at some point.
const N_LEFT: u32 = 48;
/// Most memory a mock over pipes ever has: the longest line of 6 MiB, in a buffer that doubles, as a line and as JSON.
const STDIO_KIB_MAX: u64 = 32 << 10;
/// Most that a mock over HTTP has afterwards: bodies are at most 6 MiB, and most of the hundreds of clients have left.
const HTTP_KIB_MAX: u64 = 48 << 10;
/// How soon a conforming client is served, beside hundreds of others; far above what it takes, so that load does not show.
const CONFORMING_LIMIT: Duration = Duration::from_secs(5);

fn seed() -> u64 {
    let wanted = std::env::var("MCP_LIFECHECK_SEED").ok().and_then(|text| text.parse().ok());
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    wanted.unwrap_or_else(now)
}

/// Runs cases against what stays the same for all of them.
fn run<S: Strategy>(n_cases: u32, cases: &S, check: impl Fn(S::Value) -> Result<(), TestCaseError>) {
    let seed = seed();
    let mut runner = TestRunner::new(ProptestConfig {
        cases: n_cases,
        rng_seed: RngSeed::Fixed(seed),
        max_shrink_iters: 0,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    if let Err(error) = runner.run(cases, check) {
        panic!("MCP_LIFECHECK_SEED={seed}: {error}");
    }
}

/// A number of memory in `/proc/PID/status`, in KiB.
fn memory_kib(pid: i32, name: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim_start_matches(':').trim().trim_end_matches(" kB").parse().unwrap()
}

/// What a client sends at once; written shortly, because it may be long.
#[derive(Debug, Clone)]
enum Piece {
    Text(String),
    Bytes(Vec<u8>),
    /// So many of one byte, without an end.
    Flood(u8, usize),
}

impl Piece {
    /// Its bytes; in a text, `PATH` stands for the path of the mock, token and all.
    fn bytes(&self, path: &str) -> Vec<u8> {
        match self {
            Self::Text(text) => text.replace("PATH", path).into_bytes(),
            Self::Bytes(bytes) => bytes.clone(),
            Self::Flood(byte, n_bytes) => vec![*byte; *n_bytes],
        }
    }
}

/// The beginning of a text, up to any place in it.
fn any_part(text: &'static str) -> impl Strategy<Value = Piece> {
    let ends = prop::sample::select(text.char_indices().map(|(at, _)| at).collect::<Vec<_>>());
    ends.prop_map(move |end| Piece::Text(text[..end].to_owned()))
}

fn any_piece(texts: Vec<&'static str>, halved: &'static str, flood_bytes_max: usize) -> impl Strategy<Value = Piece> {
    prop_oneof![
        10 => prop::sample::select(texts).prop_map(|text| Piece::Text(text.to_owned())),
        4 => any_part(halved),
        4 => prop::collection::vec(any::<u8>(), 0..200).prop_map(Piece::Bytes),
        1 => (any::<u8>(), 0..flood_bytes_max).prop_map(|(byte, n_bytes)| Piece::Flood(byte, n_bytes)),
    ]
}

fn lines() -> Vec<&'static str> {
    vec![
        INITIALIZE,
        INITIALIZED,
        LIST,
        "\n",
        "\n",
        "\n",
        "\r\n",
        "\u{feff}",
        "[]",
        "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
        "null\n",
        "{\"jsonrpc\":\"2.0\",\"id\":{},\"method\":\"ping\"}\n",
        "{\"jsonrpc\":\"2.0\",\"id\":1e999,\"method\":\"ping\"}\n",
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":7}\n",
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n",
        "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":{\"requestId\":{}}}\n",
        "{\"jsonrpc\":\"2.0\",\"id\":5,\"method\":\"tools/list\",\"params\":{\"cursor\":\"x\"}}\n",
        "{\"a\":\"\\ud800\"}\n",
    ]
}

/// The lines of a mock, read on a thread: a client that only writes would be a flood of its own.
fn lines_of(mut stdout: impl BufRead + Send + 'static) -> Receiver<String> {
    let (sender, lines) = channel();
    std::thread::spawn(move || {
        let mut line = Vec::new();
        while stdout.read_until(b'\n', &mut line).is_ok_and(|n_bytes| n_bytes > 0) {
            if sender.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                return;
            }
            line.clear();
        }
    });
    lines
}

#[test]
fn over_pipes_whatever_is_sent_the_mock_answers_what_comes_after_it() {
    let mut client = Client::spawn(mock_command().args(["stdio", "--script", "polite"]));
    let answers = lines_of(client.take_stdout());
    let pid = client.pid();
    let client = std::cell::RefCell::new(client);
    let n_case = std::cell::Cell::new(0);
    // More than the longest line that is taken.
    let pieces = prop::collection::vec(any_piece(lines(), LIST, 9 << 20), 0..10);
    run(N_CASES, &pieces, |pieces| {
        n_case.set(n_case.get() + 1);
        let ping = format!("{{\"jsonrpc\":\"2.0\",\"id\":\"case {}\",\"method\":\"ping\"}}", n_case.get());
        let mut client = client.borrow_mut();
        for piece in &pieces {
            client.send_bytes(&piece.bytes(""));
        }
        client.send_bytes(format!("\n{ping}\n").as_bytes());
        let (asked, wanted) = (Instant::now(), format!("\"case {}\"", n_case.get()));
        loop {
            let answer =
                answers.recv_timeout(CONFORMING_LIMIT).map_err(|error| TestCaseError::fail(error.to_string()))?;
            let is_json = serde_json::from_str::<serde_json::Value>(&answer).is_ok();
            prop_assert!(is_json, "{answer} is no message");
            if answer.contains(&wanted) {
                break;
            }
            prop_assert!(asked.elapsed() < CONFORMING_LIMIT, "no answer to a ping");
        }
        Ok(())
    });
    let peak_kib = memory_kib(pid, "VmHWM");
    assert!(peak_kib <= STDIO_KIB_MAX, "{peak_kib} KiB after {N_CASES} cases");
    let mut client = client.into_inner();
    client.close_stdin();
    assert_eq!(client.exit_code(), 0);
    println!("{N_CASES} cases, at most {peak_kib} KiB");
}

/// How a client goes.
#[derive(Debug, Clone, Copy)]
enum Leaving {
    Stdin,
    Stdout,
    StdoutFirst,
}

#[test]
fn over_pipes_a_client_may_leave_at_any_point() {
    let life = [INITIALIZE, INITIALIZED, LIST, &call(3), ""].join("\n").repeat(2);
    let leavings = prop::sample::select(vec![Leaving::Stdin, Leaving::Stdout, Leaving::StdoutFirst]);
    run(N_LEFT, &(0..=life.len(), leavings), |(end, leaving)| {
        let mut client = Client::spawn(mock_command().args(["stdio", "--script", "polite"]));
        if matches!(leaving, Leaving::StdoutFirst) {
            client.close_stdout();
        }
        client.send_bytes(&life.as_bytes()[..end]);
        if matches!(leaving, Leaving::Stdout) {
            client.close_stdout();
        }
        client.close_stdin();
        // A mock that finds nobody to write to ends with 1, as it would by a broken pipe.
        let code = client.exit_code();
        prop_assert!(code == 0 || code == 1, "{}", code);
        Ok(())
    });
}

/// A whole exchange, to be cut anywhere.
const EXCHANGE: &str = "POST PATH HTTP/1.1\r\nHost: x\r\nAccept: application/json, text/event-stream\r\nContent-Type: \
    application/json\r\nTransfer-Encoding: chunked\r\n\r\n26\r\n{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}\r\n0\r\n\r\n";

fn http_texts() -> Vec<&'static str> {
    vec![
        EXCHANGE,
        "GET PATH HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n",
        "DELETE PATH HTTP/1.1\r\nHost: x\r\nMcp-Session-Id: x\r\n\r\n",
        "POST PATH HTTP/1.1\r\nHost: x\r\nAccept: */*\r\nContent-Type: application/json\r\nContent-Length: 4000000\r\n\r\n",
        "POST PATH HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        "POST /guessed/mcp HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}",
        "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET PATH?x HTTP/1.0\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "\u{16}\u{3}\u{1}",
        "Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\n",
        "Expect: 100-continue\r\n",
        "Content-Length: -1\r\n",
        "Mcp-Session-Id: \u{e9}\r\n",
        "\r\n\r\n",
        "\n",
        INITIALIZE,
    ]
}

/// What a client does when it has sent all it wants to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum After {
    Leaves,
    /// Leaves with what was answered unread, if anything was: the socket is reset.
    Resets,
    SendsNoMore,
    Stays,
}

#[test]
fn over_http_whatever_is_sent_the_mock_goes_on_serving_others() {
    let mut process = Client::spawn(mock_command().args(["http", "--script", "polite"]));
    let url = process.line();
    let (host, path) = url.trim_end().strip_prefix("http://").unwrap().split_once('/').unwrap();
    let path = format!("/{path}");
    let conforming = || {
        let mut socket = Socket::to(host, &path);
        socket.stream().set_read_timeout(Some(CONFORMING_LIMIT)).unwrap();
        let reply = socket.post(r#"{"jsonrpc":"2.0","id":9,"method":"ping"}"#);
        (reply.status == 200).then_some(()).ok_or_else(|| TestCaseError::fail(format!("a ping got {reply:?}")))
    };
    let staying = std::cell::RefCell::new(Vec::new());
    let pieces = prop::collection::vec(any_piece(http_texts(), EXCHANGE, 1 << 20), 0..8);
    let after = prop::sample::select(vec![After::Leaves, After::Resets, After::SendsNoMore, After::Stays]);
    run(N_CASES, &(pieces, after), |(pieces, after)| {
        let mut socket = Socket::to(host, &path);
        socket.stream().set_write_timeout(Some(Duration::from_millis(50))).unwrap();
        for piece in &pieces {
            socket.write(&piece.bytes(&path));
        }
        match after {
            After::Leaves => drop(socket),
            After::Resets => reset(socket.stream()),
            After::SendsNoMore => {
                let _ = socket.stream().shutdown(Shutdown::Write);
                staying.borrow_mut().push(socket);
            }
            After::Stays => staying.borrow_mut().push(socket),
        }
        conforming()
    });
    let rss_kib = memory_kib(process.pid(), "VmRSS");
    assert!(rss_kib <= HTTP_KIB_MAX, "{rss_kib} KiB after {N_CASES} cases, {} of them stay", staying.borrow().len());
    conforming().unwrap();
    process.signal(rustix::process::Signal::TERM);
    assert_eq!(process.death(), rustix::process::Signal::TERM.as_raw());
    println!("{N_CASES} cases, {rss_kib} KiB");
}

/// Leaves something unread where there is anything, so that the socket is reset when it is dropped.
fn reset(stream: &TcpStream) {
    let _ = stream.set_read_timeout(Some(Duration::from_millis(2)));
    // One byte at most; whether there is one is chance.
    let _ = (&mut &*stream).read(&mut [0]);
}
