//! A directory with a journal, servers that write to it, and what the process table says about them.

use std::future::Future;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use mcp_lifecheck_specimens::reference::{CommandLine, Config, Endpoint, Ladder, Options, ServerStderr, ToolsLoader};
use rmcp::model::CallToolResult;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Tests that count the process's files and threads run alone.
pub static ALONE: RwLock<()> = RwLock::new(());

/// No test takes longer. Generous, for a machine that is shared.
pub const LIMIT: Duration = Duration::from_secs(60);

pub fn options() -> Options {
    let ladder = Ladder { eof_grace: ms(1500), term_grace: ms(400), ..Ladder::default() };
    Options { stderr: ServerStderr::Discard, ladder, ..Options::default() }
}

pub fn impatient() -> Options {
    let ladder = Ladder { eof_grace: ms(300), term_grace: ms(300), ..Ladder::default() };
    Options { ladder, ..options() }
}

pub fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// Runs `body` on a fresh runtime with two workers, on a thread that is given up after the limit.
pub fn bounded<F: Future<Output = ()> + 'static>(body: impl FnOnce() -> F + Send + 'static) {
    let _shared = ALONE.read().unwrap_or_else(PoisonError::into_inner);
    bounded_alone(body);
}

pub fn bounded_alone<F: Future<Output = ()> + 'static>(body: impl FnOnce() -> F + Send + 'static) {
    let (done, over) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(body());
        drop(runtime);
        let _ = done.send(());
    });
    match over.recv_timeout(LIMIT) {
        Err(std::sync::mpsc::RecvTimeoutError::Timeout) => panic!("the test did not end within {LIMIT:?}"),
        Ok(()) | Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => {
            if let Err(panic) = thread.join() {
                std::panic::resume_unwind(panic);
            }
        }
    }
}

pub struct World {
    dir: TempDir,
}

/// `examples/raw_mock.rs`, built by `cargo test` beside this test.
fn raw_mock() -> PathBuf {
    let here = std::env::current_exe().unwrap();
    let path = here.parent().unwrap().parent().unwrap().join("examples").join("raw_mock");
    assert!(path.is_file(), "{} is missing: run the whole `cargo test`", path.display());
    path
}

impl World {
    pub fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    pub fn log(&self, name: &str) -> PathBuf {
        self.dir.path().join(format!("{name}.log"))
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn server(&self, name: &str, flags: &[&str]) -> (String, Endpoint) {
        let mock = raw_mock().display().to_string();
        let mut args = vec![self.log(name).display().to_string()];
        args.extend(flags.iter().map(|flag| (*flag).to_owned()));
        let line = if flags.contains(&"stubborn") || flags.contains(&"grandchild") {
            let mut wrapped = vec!["-c".to_owned(), r#"trap "" TERM; exec "$@""#.to_owned(), "sh".to_owned(), mock];
            wrapped.extend(args);
            CommandLine { program: "sh".to_owned(), args: wrapped, ..CommandLine::default() }
        } else {
            CommandLine { program: mock, args, ..CommandLine::default() }
        };
        (name.to_owned(), Endpoint::Command(line))
    }

    pub fn config(&self, servers: &[(&str, &[&str])]) -> Config {
        servers.iter().map(|(name, flags)| self.server(name, flags)).collect()
    }

    pub fn config_json(&self, servers: &[(&str, &[&str])]) -> Value {
        let mut all = serde_json::Map::new();
        for (name, flags) in servers {
            let (name, Endpoint::Command(line)) = self.server(name, flags) else { unreachable!() };
            all.insert(name, json!({"command": line.program, "args": line.args}));
        }
        json!({"mcpServers": all})
    }

    pub fn lines(&self, name: &str) -> Vec<String> {
        let text = std::fs::read_to_string(self.log(name)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    pub fn count(&self, name: &str, prefix: &str) -> usize {
        self.lines(name).iter().filter(|line| line.starts_with(prefix)).count()
    }

    pub fn pids(&self) -> Vec<u32> {
        let mut pids = Vec::new();
        for entry in std::fs::read_dir(self.dir.path()).unwrap() {
            let text = std::fs::read_to_string(entry.unwrap().path()).unwrap_or_default();
            pids.extend(text.lines().filter_map(|line| line.strip_prefix("start ")?.parse::<u32>().ok()));
        }
        pids
    }

    /// Waits for a line in a journal; the mock writes before it acts.
    pub async fn seen(&self, name: &str, line: &str) {
        until(&format!("{line:?} in the journal of {name}"), || self.lines(name).iter().any(|each| each == line)).await;
    }

    pub fn living(&self) -> Vec<String> {
        self.pids().into_iter().filter_map(alive).collect()
    }

    /// Nothing was left at the moment of the call: no process, no zombie of ours.
    #[track_caller]
    pub fn assert_nothing_left(&self) {
        assert_eq!(self.living(), Vec::<String>::new());
    }
}

/// What /proc says about a process; none when it is gone, or a zombie that is not ours to reap.
pub fn alive(pid: u32) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
    let ours = fields[1] == std::process::id().to_string();
    (ours || !matches!(fields[0], "Z" | "X")).then_some(stat)
}

pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(20), "waited too long until {what}");
        tokio::time::sleep(ms(2)).await;
    }
}

pub fn text(answer: &CallToolResult) -> String {
    answer.content.iter().filter_map(|block| Some(block.as_text()?.text.clone())).collect()
}

pub async fn echo(loader: &ToolsLoader, server: &str) {
    let answer = loader.call(server, "echo", json!({"text": "hello"})).await.unwrap();
    assert_eq!(text(&answer), "hello");
}

pub async fn pid(loader: &ToolsLoader, server: &str) -> u32 {
    text(&loader.call(server, "pid", Value::Null).await.unwrap()).parse().unwrap()
}

/// Records what a loader reports about its scopes.
#[derive(Clone, Default)]
pub struct ScopeLog(std::sync::Arc<Mutex<Vec<String>>>);

impl ScopeLog {
    pub fn lines(&self) -> MutexGuard<'_, Vec<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl mcp_lifecheck::loader::scopes::ScopeSink for ScopeLog {
    fn entered(&self, number: u64, name: &str, _at: &std::panic::Location<'_>) {
        let task = tokio::task::try_id();
        self.lines().push(format!("enter {number} {name} in {task:?}"));
    }

    fn left(&self, number: u64, how: mcp_lifecheck::loader::scopes::Leaving, _at: Option<&std::panic::Location<'_>>) {
        let task = tokio::task::try_id();
        self.lines().push(format!("leave {number} {how:?} in {task:?}"));
    }
}
