//! One server: its process, its pipes, and the open requests on them.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mcp_lifecheck::testing::Failure;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use serde_json::{Value, json};
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;

/// Wait between two steps of the shutdown ladder.
const GRACE: Duration = Duration::from_millis(250);
/// Bound on the answer to one request.
const ANSWER: Duration = Duration::from_secs(8);

type Waiting = Mutex<BTreeMap<u64, oneshot::Sender<Value>>>;

/// A session with a server. A thread of its own reads the server, so the session works from every thread and runtime.
pub(crate) struct Server {
    config: Value,
    pub(crate) tools: Vec<String>,
    group: Arc<Mutex<Option<Pid>>>,
    stdin: Mutex<Option<ChildStdin>>,
    waiting: Arc<Waiting>,
    n_requests: AtomicU64,
    /// True after the process ended and the reader thread waited for it.
    ended: watch::Receiver<bool>,
}

pub(crate) fn failure(kind: &str, message: &str) -> Failure {
    Failure { kind: kind.to_owned(), message: message.to_owned() }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Server {
    pub(crate) async fn open(config: &Value, revision: &str) -> Result<Arc<Self>, Failure> {
        let mut server = Self::spawn(config).map_err(|error| failure("Spawn", &error.to_string()))?;
        match server.shake_hands(revision).await {
            Ok(tools) => {
                server.tools = tools;
                Ok(Arc::new(server))
            }
            Err(failure) => {
                server.end().await;
                Err(failure)
            }
        }
    }

    fn spawn(config: &Value) -> std::io::Result<Self> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let mut command = Command::new(text(&config["command"]));
        command.args(config["args"].as_array().into_iter().flatten().map(text));
        command.envs(config["env"].as_object().into_iter().flatten().map(|(name, value)| (name, text(value))));
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).process_group(0).spawn()?;
        let group = Arc::new(Mutex::new(Some(Pid::from_child(&child))));
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let (ended_sender, ended) = watch::channel(false);
        let waiting = Arc::new(Waiting::default());
        let answered = Arc::clone(&waiting);
        let signalled = Arc::clone(&group);
        std::thread::spawn(move || {
            read_until_end(stdout, &answered);
            reap(child, &signalled);
            ended_sender.send_replace(true);
        });
        Ok(Self {
            config: config.clone(),
            tools: Vec::new(),
            group,
            stdin: Mutex::new(stdin),
            waiting,
            n_requests: AtomicU64::new(0),
            ended,
        })
    }

    async fn shake_hands(&self, revision: &str) -> Result<Vec<String>, Failure> {
        let client = json!({ "name": "example", "version": "0.1.0" });
        let params = json!({ "protocolVersion": revision, "capabilities": {}, "clientInfo": client });
        self.request("initialize", params).await?;
        self.send(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }))?;
        let listed = self.request("tools/list", json!({})).await?;
        let tools = listed["tools"].as_array().into_iter().flatten();
        Ok(tools.filter_map(|tool| tool["name"].as_str().map(str::to_owned)).collect())
    }

    pub(crate) fn is_usable(&self, config: &Value) -> bool {
        self.config == *config && !*self.ended.borrow()
    }

    /// Calls a tool. If the future is dropped before the answer, the server gets a cancellation.
    pub(crate) async fn call(&self, params: Value) -> Result<Value, Failure> {
        self.request("tools/call", params).await
    }

    async fn request(&self, method: &str, params: Value) -> Result<Value, Failure> {
        let id = self.n_requests.fetch_add(1, Ordering::Relaxed) + 1;
        let (answer, answered) = oneshot::channel();
        lock(&self.waiting).insert(id, answer);
        let _open = OpenRequest { server: self, id, announces: method == "tools/call" };
        self.send(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }))?;
        if *self.ended.borrow() {
            return Err(failure("ServerEnded", "the server has ended"));
        }
        let mut message = match timeout(ANSWER, answered).await {
            Ok(Ok(message)) => message,
            Ok(Err(_)) => return Err(failure("ServerEnded", "the server has ended")),
            Err(_) => return Err(failure("TimedOut", "no answer in time")),
        };
        match message.get("error") {
            Some(error) => Err(failure("Refused", &error.to_string())),
            None => Ok(message["result"].take()),
        }
    }

    fn send(&self, message: &Value) -> Result<(), Failure> {
        let mut stdin = lock(&self.stdin);
        let pipe = stdin.as_mut().ok_or_else(|| failure("Closed", "the session is closed"))?;
        writeln!(pipe, "{message}").map_err(|error| failure("ServerEnded", &error.to_string()))
    }

    /// Closes the input of the server.
    pub(crate) fn close_input(&self) {
        drop(lock(&self.stdin).take());
    }

    /// Ends the process with the shutdown ladder: end of input, SIGTERM, SIGKILL. Waits for the process.
    ///
    /// The signals are for its whole group: the process may be a shell that has started the server.
    pub(crate) async fn end(&self) {
        self.close_input();
        for signal in [Signal::TERM, Signal::KILL] {
            if timeout(GRACE, self.ended.clone().wait_for(|ended| *ended)).await.is_ok() {
                return;
            }
            if let Some(group) = *lock(&self.group) {
                // Every process of the group may have ended in the meantime; then the signal fails.
                let _ = kill_process_group(group, signal);
            }
        }
        let _ = timeout(ANSWER, self.ended.clone().wait_for(|ended| *ended)).await;
    }
}

/// A request without an answer so far.
struct OpenRequest<'a> {
    server: &'a Server,
    id: u64,
    announces: bool,
}

impl Drop for OpenRequest<'_> {
    fn drop(&mut self) {
        let was_open = lock(&self.server.waiting).remove(&self.id).is_some();
        if was_open && self.announces {
            let params = json!({ "requestId": self.id, "reason": "given up" });
            // The server may have ended; then the notification is lost.
            let _ = self.server.send(&json!({
                "jsonrpc": "2.0", "method": "notifications/cancelled", "params": params,
            }));
        }
    }
}

/// Reads the messages of the server until its output ends.
fn read_until_end(stdout: Option<ChildStdout>, waiting: &Waiting) {
    for line in BufReader::new(stdout.expect("stdout is a pipe")).lines() {
        let Ok(line) = line else { break };
        let message: Value = serde_json::from_str(&line).unwrap_or_default();
        let answer = message["id"].as_u64().and_then(|id| lock(waiting).remove(&id));
        if let Some(answer) = answer {
            // The caller may have given up in the meantime.
            let _ = answer.send(message);
        }
    }
    // No further answer can come. Dropping the senders fails the waiting requests.
    lock(waiting).clear();
}

/// Waits for the process. Its group has no signal any more when the system may give the number to another group.
fn reap(mut child: Child, group: &Mutex<Option<Pid>>) {
    let process = WaitId::Pid(Pid::from_child(&child));
    let _ = waitid(process, WaitIdOptions::EXITED | WaitIdOptions::NOWAIT);
    let _group = lock(group).take();
    let _ = child.wait();
}
