//! Home for one adapter, by hand: every line is read here, and every acknowledgement is given or withheld.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::lanes::unavailable;
use crate::rig::{Ran, finish, root};

/// Longest wait for a line or an end. Node starts within a second; a loaded machine takes longer.
const LIMIT: Duration = Duration::from_secs(30);

/// The token that is handed out.
pub const TOKEN: &str = "a token";

/// A Node program that was given a link, and the other end of it.
pub struct Home {
    child: Option<Child>,
    lines: BufReader<TcpStream>,
    write: TcpStream,
    /// What the adapter said of itself.
    pub hello: Value,
}

/// Whether Node can run here; prints a loud message where it cannot.
pub fn has_node() -> bool {
    match mcp_lifecheck::stack::node() {
        Ok(_) => true,
        Err(error) => {
            unavailable("the Node helper", &error.to_string());
            false
        }
    }
}

/// A program that imports the helper as `lifecheck`, without a link.
pub fn program(folder: &Path, name: &str, text: &str) -> Command {
    let helper = root().join("adapters/typescript/mcp_lifecheck_adapter.mjs");
    let file = folder.join(name);
    std::fs::write(&file, text.replace("mcp-lifecheck-adapter", &format!("file://{}", helper.display()))).unwrap();
    let mut command = Command::new("node");
    command.arg(file).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.env_remove("NODE_OPTIONS").env_remove("MCP_LIFECHECK_LINK");
    command
}

impl Home {
    /// Starts a program and waits for its hello, which is answered as `answer` says.
    pub fn of(mut command: Command, answer: &Value) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let child = command.env("MCP_LIFECHECK_LINK", address).env("MCP_LIFECHECK_TOKEN", TOKEN).spawn().unwrap();
        let write = accept(&listener);
        write.set_read_timeout(Some(LIMIT)).unwrap();
        let mut home =
            Self { child: Some(child), lines: BufReader::new(write.try_clone().unwrap()), write, hello: Value::Null };
        home.hello = home.line().expect("a hello");
        home.send(answer);
        home
    }

    /// Starts a program and welcomes it.
    pub fn welcoming(command: Command) -> Self {
        Self::of(command, &json!({ "welcome": 1 }))
    }

    /// Starts a program and welcomes it as a recorder that takes lines of the loader's code.
    pub fn taking_code(command: Command) -> Self {
        Self::of(command, &json!({ "welcome": 1, "accepts": ["code"] }))
    }

    /// Sends one line.
    pub fn send(&mut self, message: &Value) {
        // A program that has ended meanwhile hears nothing; that it has ended is seen by what it does not say.
        let _ = self.write.write_all(format!("{message}\n").as_bytes());
    }

    /// The next line, not acknowledged; `None` at the end of the link.
    pub fn line(&mut self) -> Option<Value> {
        let mut line = String::new();
        match self.lines.read_line(&mut line) {
            Ok(0) => None,
            Ok(_) => Some(serde_json::from_str(&line).unwrap()),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => None,
            Err(error) => panic!("no line within {LIMIT:?}: {error}"),
        }
    }

    /// The next event or completion, acknowledged.
    pub fn event(&mut self) -> Value {
        let event = self.line().expect("the link has ended");
        self.acknowledge(&event);
        event
    }

    /// Acknowledges one line.
    pub fn acknowledge(&mut self, event: &Value) {
        self.send(&json!({ "ack": event["n"] }));
    }

    /// Sends a command and takes events until its completion, which is the last of what it gives.
    pub fn ask(&mut self, command: &Value) -> Vec<Value> {
        self.send(command);
        self.until(|event| event["id"] == command["id"])
    }

    /// Takes events until one of them is this one.
    pub fn until(&mut self, mut is_last: impl FnMut(&Value) -> bool) -> Vec<Value> {
        let mut events = Vec::new();
        loop {
            events.push(self.event());
            if is_last(events.last().unwrap()) {
                return events;
            }
        }
    }

    /// Ends the link.
    pub fn hang_up(&mut self) {
        self.write.shutdown(std::net::Shutdown::Both).unwrap();
    }

    /// Waits for the end of the program.
    pub fn end(mut self) -> Ran {
        finish(self.child.take().unwrap(), LIMIT)
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn accept(listener: &TcpListener) -> TcpStream {
    listener.set_nonblocking(true).unwrap();
    let deadline = Instant::now() + LIMIT;
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(false).unwrap();
                stream.set_nodelay(true).unwrap();
                return stream;
            }
            Err(error) => assert!(Instant::now() < deadline, "nobody dials home: {error}"),
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}
