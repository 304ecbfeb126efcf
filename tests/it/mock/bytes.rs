//! A client may send anything.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::Stdio;

use mcp_lifecheck::plan::ShutdownBehaviour::Polite;
use mcp_lifecheck::script::{Script, shipped};
use proptest::prelude::*;

use crate::mock::client::{Client, INITIALIZE, mock_command};
use crate::mock::home::Home;
use crate::stability::is_thorough;

const PING: &str = r#"{"jsonrpc":"2.0","id":9,"method":"ping"}"#;
const PONG: &str = "{\"jsonrpc\":\"2.0\",\"id\":9,\"result\":{}}\n";

fn start() -> (Home, Client) {
    let home = Home::new(&shipped("polite").unwrap(), Polite);
    let client = Client::linked(&home);
    (home, client)
}

#[test]
fn line_ends_of_other_systems_and_a_byte_order_mark_are_passed_over_and_the_mark_is_noise() {
    let (home, mut client) = start();
    client.send_bytes(format!("\u{feff}{PING}\r\n{PING}\r\n").as_bytes());
    assert_eq!((client.line(), client.line()), (PONG.to_owned(), PONG.to_owned()));
    client.close_stdin();
    assert_eq!(client.exit_code(), 0);
    assert_eq!(home.journal().iter().filter(|kind| *kind == "wire.noise").count(), 1);
}

#[test]
fn bytes_that_are_no_utf8_are_noise_and_a_parse_error() {
    let (home, mut client) = start();
    client.send_bytes(b"{\"a\":\"\xff\"}\n");
    assert_eq!(client.answer()["error"]["code"], -32_700);
    let noise = home.events().into_iter().find(|event| event["event"] == "wire.noise").unwrap();
    assert_eq!((noise["bytes"].as_u64(), noise["head"].as_str()), (Some(9), Some("{\"a\":\"\u{fffd}\"}")));
}

#[test]
fn half_a_line_at_the_end_is_noise_and_no_message() {
    let (home, mut client) = start();
    client.send_bytes(PING.as_bytes());
    client.close_stdin();
    assert_eq!(client.rest(), "");
    assert_eq!(client.exit_code(), 0);
    assert_eq!(home.journal()[2..4], ["wire.noise", "wire.eof"]);
}

#[test]
fn an_endless_line_is_skipped_in_bounded_memory() {
    let (home, mut client) = start();
    client.send(PING);
    assert_eq!(client.line(), PONG);
    // 64 MiB, of which at most the longest line (6 MiB) may be kept at a time.
    let block = vec![b'x'; 1 << 20];
    for _ in 0..64 {
        client.send_bytes(&block);
    }
    client.send_bytes(b"\n");
    client.send(PING);
    assert_eq!(client.line(), PONG);
    let noise = home.events().into_iter().find(|event| event["event"] == "wire.noise").unwrap();
    assert_eq!(noise["bytes"].as_u64(), Some(64 << 20));
    let peak_kib = peak_kib(&client);
    assert!(peak_kib < 24 * 1_024, "{peak_kib} KiB");
}

#[test]
fn a_call_with_an_argument_of_five_megabytes_is_answered_in_bounded_memory() {
    let (home, mut client) = start();
    client.send(INITIALIZE);
    client.line();
    client.send(&crate::mock::client::call(3).replace("/a", &"x".repeat(5_000_000)));
    assert!(client.line().contains("xxx"));
    assert!(!home.journal().iter().any(|kind| *kind == "evidence.truncated" || *kind == "wire.noise"));
    let peak_kib = peak_kib(&client);
    assert!(peak_kib < 64 * 1_024, "{peak_kib} KiB");
    client.close_stdin();
    assert_eq!(client.exit_code(), 0);
}

/// Node gives its children sockets, and some parents make them non-blocking.
#[test]
fn sockets_serve_as_well_as_pipes_even_non_blocking_ones() {
    for non_blocking in [false, true] {
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        theirs.set_nonblocking(non_blocking).unwrap();
        let stdio = || Stdio::from(OwnedFd::from(theirs.try_clone().unwrap()));
        let mut command = mock_command();
        command.args(["stdio", "--script", "polite"]).stdin(stdio()).stdout(stdio());
        let mut child = command.spawn().unwrap();
        // The command keeps descriptors too: while it lives, our end would never see the end.
        drop(command);
        drop(theirs);
        // 600 answers of a kilobyte are more than a socket holds.
        let long = PING.replace('9', &format!("\"{}\"", "x".repeat(1_000)));
        for _ in 0..600 {
            writeln!(ours, "{long}").unwrap();
        }
        let mut lines = BufReader::new(ours.try_clone().unwrap()).lines();
        assert!(lines.by_ref().take(600).all(|line| line.unwrap().contains("result")));
        ours.shutdown(Shutdown::Write).unwrap();
        assert_eq!((lines.count(), child.wait().unwrap().code()), (0, Some(0)));
    }
}

#[test]
fn a_client_that_asks_for_ever_and_never_reads_does_not_make_the_mock_grow_for_ever() {
    let (home, mut client) = start();
    client.send(INITIALIZE);
    let long = crate::mock::client::call(3).replace("/a", &"x".repeat(1 << 20));
    // 40 answers of 1 MiB; at most 16 MiB may wait.
    for _ in 0..40 {
        client.send(&long);
    }
    home.wait_for_n("wire.sent", 41);
    home.wait_for("evidence.truncated");
    let peak_kib = peak_kib(&client);
    assert!(peak_kib < 64 * 1_024, "{peak_kib} KiB");
    client.close_stdin();
    assert_eq!(client.exit_code(), 0);
}

/// The longest text that a script may put into an answer.
const LONGEST: usize = 64 << 20;
/// Most memory that it takes: the message, and what is made of it or read of it at the time; it is never there three times.
const LONGEST_KIB_MAX: u64 = 3 * (LONGEST as u64 >> 10);

#[test]
fn the_longest_answer_arrives_whole_and_is_written_in_bounded_memory() {
    if !is_thorough() {
        return;
    }
    let text = format!("about = \"x\"\n[[rule]]\non = {{ request = \"ping\" }}\ndo = [{{ pad = {LONGEST} }}]\n");
    let home = Home::new(&Script::from_toml("s", "s.toml", &text).unwrap(), Polite);
    let mut client = Client::linked(&home);
    client.send(PING);
    let (before, behind) = (r#"{"jsonrpc":"2.0","id":9,"result":{"_meta":{"mcp-mock/more":""#, "\"}}}\n");
    assert_eq!(client.bytes(before.len()), before);
    let text = client.raw(LONGEST);
    assert!(text.len() == LONGEST && text.iter().all(|byte| *byte == b'x'), "{} bytes", text.len());
    assert_eq!(client.bytes(behind.len()), behind);
    let sent = home.wait_for_short("wire.sent");
    let n_bytes = before.len() + LONGEST + behind.len() - 1;
    assert_eq!(sent["message"]["cut"]["bytes"].as_u64(), Some(n_bytes as u64));
    let peak_kib = peak_kib(&client);
    assert!(peak_kib < LONGEST_KIB_MAX, "{peak_kib} KiB");
    client.close_stdin();
    assert_eq!((client.rest().as_str(), client.exit_code()), ("", 0));
    println!("{n_bytes} bytes, at most {peak_kib} KiB");
}

/// Most memory the process ever used.
fn peak_kib(client: &Client) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", client.pid())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    peak.trim().trim_end_matches(" kB").parse().unwrap()
}

proptest! {
    // Each case is a process; more would make the suite slow without finding more.
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_never_crash_or_wedge_a_mock(
        chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..2_000), 0..8),
    ) {
        let mut client = Client::spawn(mock_command().args(["stdio", "--script", "polite"]));
        for chunk in &chunks {
            client.send_bytes(chunk);
        }
        client.send_bytes(format!("\n{PING}\n").as_bytes());
        client.close_stdin();
        let rest = client.rest();
        prop_assert!(rest.ends_with(PONG), "{}", rest);
        prop_assert_eq!(client.exit_code(), 0);
    }
}
