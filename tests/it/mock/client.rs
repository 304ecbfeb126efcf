//! A raw client: bytes in, bytes out, signals.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use mcp_lifecheck::mock::{DriverKind, LinkedArgs};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::mock::home::{Home, LIMIT};
use crate::rig::LIFECHECK;

pub const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"raw","version":"1"}}}"#;
pub const INITIALIZED: &str = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
pub const LIST: &str = r#"{"jsonrpc":"2.0","id":2,"method":"tools/list"}"#;

pub fn call(id: u32) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"read","arguments":{{"path":"/a"}}}}}}"#
    )
}

pub struct Client {
    pid: Pid,
    stdin: Option<ChildStdin>,
    stdout: Option<BufReader<ChildStdout>>,
    stderr: Option<ChildStderr>,
    ended: Receiver<ExitStatus>,
    status: Option<ExitStatus>,
}

pub fn mock_command() -> Command {
    Command::new(env!("CARGO_BIN_EXE_mcp-mock"))
}

impl Client {
    pub fn linked(home: &Home) -> Self {
        Self::linked_over(DriverKind::Stdio, home)
    }

    pub fn linked_over(driver: DriverKind, home: &Home) -> Self {
        Self::spawn(mock_command().args(Self::arguments(driver, home)))
    }

    /// As a loader starts it in a plan: as a helper of mcp-lifecheck, which is entered before its main.
    pub fn helper(home: &Home) -> Self {
        Self::spawn(Command::new(LIFECHECK).arg("__mock").args(Self::arguments(DriverKind::Stdio, home)))
    }

    /// The arguments of a mock that reports to this home.
    pub fn arguments(driver: DriverKind, home: &Home) -> Vec<String> {
        let (token, server) = ("secret".to_owned(), "files".to_owned());
        LinkedArgs { driver, link: home.addr(), token, server }.to_args()
    }

    /// With its stderr where the test wants it.
    pub fn linked_with_stderr(home: &Home, stderr: Stdio) -> Self {
        Self::spawn_with(mock_command().args(Self::arguments(DriverKind::Stdio, home)), stderr)
    }

    pub fn spawn(command: &mut Command) -> Self {
        Self::spawn_with(command, Stdio::null())
    }

    fn spawn_with(command: &mut Command, stderr: Stdio) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(stderr).spawn().unwrap();
        let stderr = child.stderr.take();
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take().map(BufReader::new));
        let pid = Pid::from_child(&child);
        let (sender, ended) = channel();
        std::thread::spawn(move || wait(child, &sender));
        Self { pid, stdin, stdout, stderr, ended, status: None }
    }

    pub fn pid(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// Sends a line. A mock that is dead already takes nothing.
    pub fn send(&mut self, line: &str) {
        self.send_bytes(format!("{line}\n").as_bytes());
    }

    pub fn send_bytes(&mut self, bytes: &[u8]) {
        let _ = self.stdin.as_mut().unwrap().write_all(bytes);
    }

    /// Sends empty lines until nobody is there to take them.
    pub fn send_until_refused(&mut self) {
        let until = Instant::now() + LIMIT;
        while self.stdin.as_mut().unwrap().write_all(b"\n").is_ok() {
            assert!(Instant::now() < until, "the input is still open");
        }
    }

    /// The next line as it was written; empty at the end.
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.as_mut().unwrap().read_line(&mut line).unwrap();
        line
    }

    /// The next line as it was written, whatever it holds; empty at the end.
    pub fn line_lossy(&mut self) -> String {
        let mut line = Vec::new();
        self.stdout.as_mut().unwrap().read_until(b'\n', &mut line).unwrap();
        String::from_utf8_lossy(&line).into_owned()
    }

    /// So many bytes as they were written; fewer at the end.
    pub fn raw(&mut self, n_bytes: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.stdout.as_mut().unwrap().take(n_bytes as u64).read_to_end(&mut bytes).unwrap();
        bytes
    }

    /// So many bytes as text.
    pub fn bytes(&mut self, n_bytes: usize) -> String {
        String::from_utf8(self.raw(n_bytes)).unwrap()
    }

    pub fn stderr(&mut self) -> Option<ChildStderr> {
        self.stderr.take()
    }

    /// Processes that this one has started and not outlived.
    pub fn children(&self) -> Vec<Pid> {
        let path = format!("/proc/{0}/task/{0}/children", self.pid());
        let of_thread = |path| std::fs::read_to_string(path).unwrap_or_default();
        let pids = of_thread(path).split_whitespace().map(|pid| pid.parse().unwrap()).collect::<Vec<i32>>();
        pids.into_iter().filter_map(Pid::from_raw).collect()
    }

    pub fn answer(&mut self) -> Value {
        serde_json::from_str(&self.line()).unwrap()
    }

    /// Opens the session and lists the tools.
    pub fn open(&mut self) {
        self.send(INITIALIZE);
        assert_eq!(self.answer()["result"]["protocolVersion"], "2025-11-25");
        self.send(INITIALIZED);
        self.send(LIST);
        assert_eq!(self.answer()["result"]["tools"][0]["name"], "read");
    }

    pub fn call(&mut self, id: u32) {
        self.send(&call(id));
        assert_eq!(self.answer(), answered(id));
    }

    /// For a reader of its own.
    pub fn take_stdout(&mut self) -> BufReader<ChildStdout> {
        self.stdout.take().unwrap()
    }

    /// Calls again and again, for a mock whose answers nobody can read: a process that another test starts at this moment holds
    /// the other end of its output until its own program begins, so that the first answers may still be taken.
    pub fn call_until_it_ends(&mut self) {
        let began = Instant::now();
        let mut id = 3;
        while began.elapsed() < LIMIT {
            self.send(&call(id));
            id += 1;
            if self.ends_within(Duration::from_millis(50)) {
                return;
            }
        }
    }

    pub fn close_stdin(&mut self) {
        self.stdin = None;
    }

    pub fn close_stdout(&mut self) {
        self.stdout = None;
    }

    pub fn rest(&mut self) -> String {
        let mut rest = Vec::new();
        self.stdout.as_mut().unwrap().read_to_end(&mut rest).unwrap();
        String::from_utf8_lossy(&rest).into_owned()
    }

    pub fn signal(&self, signal: Signal) {
        assert!(self.status.is_none(), "the mock has ended");
        kill_process(self.pid, signal).unwrap();
    }

    /// Whether it ends within a time.
    pub fn ends_within(&mut self, limit: Duration) -> bool {
        self.status = self.status.or_else(|| self.ended.recv_timeout(limit).ok());
        self.status.is_some()
    }

    pub fn wait(&mut self) -> ExitStatus {
        assert!(self.ends_within(LIMIT), "the mock did not end");
        self.status.unwrap()
    }

    pub fn exit_code(&mut self) -> i32 {
        let status = self.wait();
        status.code().unwrap_or_else(|| panic!("{status}"))
    }

    pub fn death(&mut self) -> i32 {
        let status = self.wait();
        status.signal().unwrap_or_else(|| panic!("{status}"))
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // Only before it was waited for: until then its pid cannot belong to another process.
        if self.status.is_none() && self.ended.try_recv().is_err() {
            let _ = kill_process(self.pid, Signal::KILL);
        }
    }
}

/// Ends a process that a mock has left behind; its number is its own until somebody waits for it.
pub fn kill_child(pid: Pid) {
    // It may have ended by itself.
    let _ = kill_process(pid, Signal::KILL);
}

pub fn answered(id: u32) -> Value {
    let content = json!([{ "type": "text", "text": "read {\"path\":\"/a\"}" }]);
    json!({ "jsonrpc": "2.0", "id": id, "result": { "content": content, "isError": false } })
}

fn wait(mut child: Child, sender: &std::sync::mpsc::Sender<ExitStatus>) {
    let _ = sender.send(child.wait().unwrap());
}
