//! A home in plain threads: acknowledges, records, opens gates, and goes away when told to.

use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use mcp_lifecheck::plan::ShutdownBehaviour;
use mcp_lifecheck::script::Script;
use serde_json::{Map, Value, json};

/// Bound on every wait of these tests; generous, because a loaded machine must not fail them.
pub const LIMIT: Duration = Duration::from_secs(20);

pub struct Home {
    addr: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct State {
    events: Vec<Value>,
    links: Vec<TcpStream>,
    open_gates: Vec<String>,
    n_acked_max: Option<usize>,
    is_over: bool,
}

struct Shared {
    welcome: Map<String, Value>,
    state: Mutex<State>,
    changed: Condvar,
}

impl Home {
    pub fn new(script: &Script, shutdown_behaviour: ShutdownBehaviour) -> Self {
        Self::with(script, shutdown_behaviour, json!({}))
    }

    /// With some fields of the welcome of the caller's choice.
    pub fn with(script: &Script, shutdown_behaviour: ShutdownBehaviour, fields: Value) -> Self {
        let mut welcome = json!({
            "welcome": 1, "connection": "c1", "script": script, "temperament": shutdown_behaviour, "revision": "2025-11-25",
            "acknowledge_ms": 10_000, "max_life_ms": 60_000, "body_bytes_max": 65_536,
        });
        for (name, value) in fields.as_object().unwrap() {
            welcome[name] = value.clone();
        }
        let welcome = welcome.as_object().unwrap().clone();
        let shared = Arc::new(Shared { welcome, state: Mutex::default(), changed: Condvar::new() });
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let addr = listener.local_addr().unwrap();
        let accepting = Arc::clone(&shared);
        std::thread::spawn(move || {
            // Ends when the home is dropped: a test may have thousands of them.
            for stream in listener.incoming().take_while(|_| !accepting.state.lock().unwrap().is_over) {
                let serving = Arc::clone(&accepting);
                std::thread::spawn(move || serving.serve(stream.unwrap()));
            }
        });
        Self { addr, shared }
    }

    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// From here on only this many more events are acknowledged.
    pub fn acknowledge_only(&self, n_events: usize) {
        let mut state = self.shared.state.lock().unwrap();
        state.n_acked_max = Some(state.events.len() + n_events);
    }

    pub fn open_gate(&self, gate: &str) {
        let mut state = self.shared.state.lock().unwrap();
        state.open_gates.push(gate.to_owned());
        for mut link in &state.links {
            // In one write: an acknowledgement may go out at the same time.
            link.write_all(format!("{}\n", json!({ "open_gate": gate })).as_bytes()).unwrap();
        }
    }

    /// Goes away.
    pub fn cut(&self) {
        for link in &self.shared.state.lock().unwrap().links {
            link.shutdown(Shutdown::Both).unwrap();
        }
    }

    /// Waits until an event of this kind is there.
    pub fn wait_for(&self, kind: &str) {
        self.wait_for_n(kind, 1);
    }

    pub fn wait_for_n(&self, kind: &str, n_wanted: usize) {
        let is_missing = |state: &mut State| state.events.iter().filter(|e| e["event"] == kind).count() < n_wanted;
        let state = self.shared.state.lock().unwrap();
        let (state, timeout) = self.shared.changed.wait_timeout_while(state, LIMIT, is_missing).unwrap();
        assert!(!timeout.timed_out(), "no {kind} among {:#?}", state.events);
    }

    /// Waits until an event is there that holds these words, in its short form; the event.
    pub fn wait_for_short(&self, words: &str) -> Value {
        let is_missing = |state: &mut State| !state.events.iter().any(|event| short(event).contains(words));
        let state = self.shared.state.lock().unwrap();
        let (state, timeout) = self.shared.changed.wait_timeout_while(state, LIMIT, is_missing).unwrap();
        assert!(!timeout.timed_out(), "no {words} among {:#?}", state.events.iter().map(short).collect::<Vec<_>>());
        state.events.iter().find(|event| short(event).contains(words)).unwrap().clone()
    }

    /// Waits until the events are as they are awaited.
    pub fn wait_until(&self, what: &str, are_there: impl Fn(&[Value]) -> bool) {
        let state = self.shared.state.lock().unwrap();
        let is_missing = |state: &mut State| !are_there(&state.events);
        let (state, timeout) = self.shared.changed.wait_timeout_while(state, LIMIT, is_missing).unwrap();
        assert!(!timeout.timed_out(), "no {what} among {:#?}", state.events.iter().map(short).collect::<Vec<_>>());
    }

    /// Every event, shortly: its kind and what it is told apart by.
    pub fn journal(&self) -> Vec<String> {
        self.shared.state.lock().unwrap().events.iter().map(short).collect()
    }

    /// Every event in the order of arrival, without times and pids.
    pub fn events(&self) -> Vec<Value> {
        let mut events = self.shared.state.lock().unwrap().events.clone();
        for event in &mut events {
            event.as_object_mut().unwrap().retain(|name, _| name != "at_us" && name != "pid");
        }
        events
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if let Ok(mut state) = self.shared.state.lock() {
            state.is_over = true;
        }
        // Wakes the listener, where it still listens.
        let _ = TcpStream::connect(self.addr);
    }
}

impl Shared {
    fn serve(&self, stream: TcpStream) {
        stream.set_nodelay(true).unwrap();
        let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
        let Some(Ok(hello)) = lines.next() else { return };
        let hello: Value = serde_json::from_str(&hello).unwrap();
        let mut writer = stream.try_clone().unwrap();
        if hello["token"] != "secret" {
            let _ = writeln!(writer, "{}", json!({ "refused": "found a wrong token" }));
            return;
        }
        assert_eq!(hello["hello"], 1);
        assert!(hello["pid"].is_u64() && hello["build"].is_string() && hello["mock"] == "files");
        {
            let mut state = self.state.lock().unwrap();
            writeln!(writer, "{}", Value::Object(self.welcome.clone())).unwrap();
            for gate in &state.open_gates {
                writeln!(writer, "{}", json!({ "open_gate": gate })).unwrap();
            }
            state.links.push(stream);
        }
        for line in lines.map_while(Result::ok) {
            let event: Value = serde_json::from_str(&line).unwrap();
            // A line without a number is acknowledged with the next one that has it.
            let number = event["n"].as_u64();
            let mut state = self.state.lock().unwrap();
            let is_acked = state.n_acked_max.is_none_or(|n_max| state.events.len() < n_max);
            state.events.push(event);
            self.changed.notify_all();
            drop(state);
            if let Some(number) = number.filter(|_| is_acked) {
                // The mock may have died meanwhile.
                let _ = writer.write_all(format!("{{\"ack\":{number}}}\n").as_bytes());
            }
        }
    }
}

fn short(event: &Value) -> String {
    let kind = event["event"].as_str().unwrap();
    let message = &event["message"];
    let detail = match kind {
        "wire.received" => message["method"].clone(),
        "wire.sent" if message["method"].is_string() => message["method"].clone(),
        "wire.sent" => message["id"].clone(),
        "fault.delivered" => event["fault"].clone(),
        "gate.reached" => event["gate"].clone(),
        "signal.received" => event["signal"].clone(),
        "connection.closed" | "mock.ending" | "socket.closed" | "session.closed" => event["how"].clone(),
        "http.received" | "http.stray" => {
            Value::from(format!("{} {}", event["exchange"].as_str().unwrap(), event["verb"].as_str().unwrap()))
        }
        "http.answered" => Value::from(format!("{} {}", event["exchange"].as_str().unwrap(), event["status"])),
        "http.ended" => {
            Value::from(format!("{} {}", event["exchange"].as_str().unwrap(), event["how"].as_str().unwrap()))
        }
        _ => Value::Null,
    };
    match detail {
        Value::Null => kind.to_owned(),
        Value::String(text) => format!("{kind} {text}"),
        other => format!("{kind} {other}"),
    }
}
