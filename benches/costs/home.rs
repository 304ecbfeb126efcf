//! A recorder endpoint for benches: it welcomes every mock and acknowledges each of its lines.
//!
//! The real endpoint refuses mocks of another build, and for this bench `mcp-mock` is another build. The mock itself
//! behaves in the same way.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};

use mcp_lifecheck::mock::{DriverKind, LinkedArgs};
use mcp_lifecheck::script::shipped;
use serde_json::{Value, json};

/// Listens for as long as this process lives; what a mock is started with to dial there.
pub fn open() -> LinkedArgs {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a loopback port");
    let link = listener.local_addr().expect("it is bound");
    let welcome = json!({
        "welcome": 1, "connection": "c1", "script": shipped("polite").expect("it is shipped"), "temperament": "polite",
        "revision": "2025-11-25", "acknowledge_ms": 10_000, "max_life_ms": 60_000,
    });
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let welcome = welcome.clone();
            std::thread::spawn(move || serve(&stream, &welcome));
        }
    });
    LinkedArgs { driver: DriverKind::Stdio, link, token: "secret".to_owned(), server: "files".to_owned() }
}

/// Serves one mock to its end. An error is the end of a mock like any other.
fn serve(stream: &TcpStream, welcome: &Value) {
    // Without it an acknowledgement waits for the next packet.
    let _ = stream.set_nodelay(true);
    for (index, line) in BufReader::new(stream).lines().map_while(Result::ok).enumerate() {
        let answer = match serde_json::from_str::<Value>(&line).unwrap_or_default()["n"].take() {
            _ if index == 0 => welcome.clone(),
            // Of lines that are written at once, the last one alone asks.
            Value::Null => continue,
            number => json!({ "ack": number }),
        };
        if (&mut &*stream).write_all(format!("{answer}\n").as_bytes()).is_err() {
            return;
        }
    }
}
