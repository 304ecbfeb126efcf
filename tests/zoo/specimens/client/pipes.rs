//! A server as a child process, with lines on its pipes.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// A mock server, which this client has started.
#[derive(Debug)]
pub struct Pipes {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Pipes {
    /// Starts a server with the arguments of `mcp-mock`.
    pub fn start(arguments: &[String]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mcp-mock"));
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { input: child.stdin.take(), child, output }
    }

    /// Writes these bytes.
    pub fn write(&mut self, bytes: &[u8]) {
        let input = self.input.as_mut().unwrap();
        input.write_all(bytes).unwrap();
        input.flush().unwrap();
    }

    pub fn send(&mut self, message: &Value) {
        self.write(format!("{message}\n").as_bytes());
    }

    /// Reads the next message; none when the server has closed its output.
    pub fn receive(&mut self) -> Option<Value> {
        let mut line = String::new();
        while line.trim().is_empty() {
            line.clear();
            if self.output.read_line(&mut line).unwrap() == 0 {
                return None;
            }
        }
        Some(serde_json::from_str(&line).unwrap())
    }

    pub fn close_input(&mut self) {
        self.input = None;
    }

    pub fn terminate(&mut self) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
    }

    /// Waits until the server has ended.
    pub fn wait(&mut self) {
        self.child.wait().unwrap();
    }

    /// Closes the input and waits for the end. A server in the zoo ends by itself, or at the latest after its longest life.
    pub fn end(&mut self) {
        self.close_input();
        self.wait();
    }
}
