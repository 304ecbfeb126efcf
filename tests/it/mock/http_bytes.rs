//! Bytes that are not HTTP, half of it, or too much of it: no crash, no wedge, and no memory without bound.

use std::fs;
use std::time::Duration;

use proptest::prelude::*;

use crate::mock::client::{INITIALIZE, answered, call};
use crate::mock::http_client::Mock;

const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;

/// Resident memory of a process, in KiB.
fn resident_kib(pid: i32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").trim().parse().unwrap()
}

fn any_bytes() -> impl Strategy<Value = Vec<u8>> {
    let pieces = [
        "POST ",
        "GET ",
        "DELETE ",
        "PATH",
        " HTTP/1.1\r\n",
        " HTTP/9.9\r\n",
        "Host: x\r\n",
        "Accept: */*\r\n",
        "Content-Type: application/json\r\n",
        "Content-Length: 40\r\n",
        "Content-Length: 99999999999999999999\r\n",
        "Content-Length: -1\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Expect: 100-continue\r\n",
        "Mcp-Session-Id: \u{e9}\r\n",
        "\r\n",
        "\n",
        "0\r\n\r\n",
        "FFFFFFFFFFFFFFFFF\r\n",
        "5\r\nhello\r\n",
        PING,
        INITIALIZE,
        "Connection: close\r\n",
        "Upgrade: websocket\r\nConnection: upgrade\r\n",
    ];
    let piece = prop_oneof![
        8 => prop::sample::select(pieces.to_vec()).prop_map(|piece| piece.as_bytes().to_vec()),
        2 => prop::collection::vec(any::<u8>(), 0..64),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

#[test]
fn whatever_is_sent_the_mock_goes_on_serving() {
    let mock = Mock::shipped("polite");
    let open = std::cell::RefCell::new(Vec::new());
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 300,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let ran = runner.run(&(any_bytes(), any::<bool>()), |(bytes, stays)| {
        let mut socket = mock.socket();
        let text = String::from_utf8_lossy(&bytes).replace("PATH", &mock.path);
        socket.write(if stays { &bytes } else { text.as_bytes() });
        let mut conforming = mock.socket();
        prop_assert_eq!(conforming.post(PING).status, 200);
        if stays {
            open.borrow_mut().push(socket);
        }
        Ok(())
    });
    ran.unwrap();
}

#[test]
fn floods_are_bounded_and_concern_nobody_else() {
    let mock = Mock::shipped("polite");
    let mut conforming = mock.session();
    let before = resident_kib(mock.process.pid());
    let mut floods = Vec::new();
    for head in ["GET / HTTP/1.1\r\nX: ", "", "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"] {
        let mut socket = mock.socket();
        socket.stream().set_write_timeout(Some(Duration::from_millis(50))).unwrap();
        socket.write(head.as_bytes());
        // Each is more than any bound: what the mock does not take is left in the socket.
        for _ in 0..16 {
            socket.write(&[b'f'; 1 << 20]);
        }
        floods.push(socket);
    }
    let headers = "H: x\r\n".repeat(100_000);
    let mut socket = mock.socket();
    socket.write(format!("GET / HTTP/1.1\r\n{headers}\r\n").as_bytes());
    let path = mock.path.clone();
    for _ in 0..20 {
        let mut endless = mock.socket();
        endless.write(
            format!(
                "POST {path} HTTP/1.1\r\nHost: x\r\nAccept: */*\r\nContent-Type: application/json\r\nContent-Length: \
                 4000000\r\n\r\n"
            )
            .as_bytes(),
        );
        endless.write(&vec![b' '; 3_999_999]);
        floods.push(endless);
    }
    assert_eq!(conforming.post(&call(1)).json(), answered(1));
    let grown = resident_kib(mock.process.pid()).saturating_sub(before);
    // 64 MiB of bodies, doubled while a buffer grows, and what sockets hold.
    assert!(grown < 200 << 10, "{grown} KiB");
}

#[test]
fn half_a_request_is_told_and_a_client_that_does_not_read_holds_up_nobody() {
    let mock = Mock::shipped("polite");
    let session = mock.session();
    let mut half = mock.socket();
    half.write(
        format!(
            "POST {} HTTP/1.1\r\nHost: x\r\nAccept: */*\r\nContent-Type: application/json\r\nContent-Length: 40\r\n\r\n{{",
            mock.path
        )
        .as_bytes(),
    );
    drop(half);
    assert_eq!(mock.home.wait_for_short("http.ended x3")["how"], "by-client");
    // A request whose answer is longer than any socket holds, from a client that never reads it.
    let mut deaf = mock.socket_of(&session);
    let long = format!(
        r#"{{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{{"name":"read","arguments":{{"a":"{}"}}}}}}"#,
        "x".repeat(4_000_000)
    );
    for _ in 0..4 {
        deaf.stream().set_write_timeout(Some(Duration::from_millis(200))).unwrap();
        deaf.ask(&long);
    }
    let mut other = mock.socket_of(&session);
    assert_eq!(other.post(&call(1)).json(), answered(1));
}
