//! Running the executable, and looking for what it leaves.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use mcp_lifecheck::explore::SHARD_VARIABLES;
use mcp_lifecheck::history::{History, read_history};
use serde_json::Value;

/// The executable under test.
pub const LIFECHECK: &str = env!("CARGO_BIN_EXE_mcp-lifecheck");

/// The root of the workspace. The package that these tests belong to lies two folders below it.
pub fn root() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.ancestors().nth(2).unwrap().to_path_buf()
}

/// One run in folders of its own, with a mark in the environment by which its processes are found.
pub struct Rig {
    folder: tempfile::TempDir,
    mark: String,
}

/// What came of a run.
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Rig {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("tmp")).unwrap();
        let mark = format!("MCP_LIFECHECK_TEST_MARK={}", folder.path().display());
        Self { folder, mark }
    }

    /// Where results go.
    pub fn out(&self) -> PathBuf {
        self.folder.path().join("out")
    }

    /// A file of this rig.
    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// A scenario as an argument: the path of a file of this rig where it is the text of one, else its name.
    pub fn scenario(&self, scenario: &str) -> String {
        match scenario.contains('\n') {
            true => self.file("scenario.toml", scenario).display().to_string(),
            false => scenario.to_owned(),
        }
    }

    /// The text of the history of a plan.
    pub fn history_text(&self, id: &str) -> String {
        let path = self.out().join(id).join("history.jsonl");
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// The history of a plan.
    pub fn history(&self, id: &str) -> History {
        read_history(id, &self.history_text(id)).unwrap()
    }

    /// The events of a plan as JSON, without the header.
    pub fn events(&self, id: &str) -> Vec<Value> {
        self.history_text(id).lines().skip(1).map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The executable with these arguments.
    pub fn command(&self, arguments: &[&str]) -> Command {
        self.program(LIFECHECK, arguments)
    }

    /// Any program with these arguments; it and what it starts are found by this rig.
    pub fn program(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        let (name, value) = self.mark.split_once('=').unwrap();
        command.args(arguments).env(name, value).env("TMPDIR", self.temporary()).stdin(Stdio::null());
        // As for most users: Python compiles the helper once, and not at each of its starts.
        command.env_remove("PYTHONDONTWRITEBYTECODE");
        // These tests may run in one of several jobs. What they start is all of its campaign.
        for name in SHARD_VARIABLES {
            command.env_remove(name);
        }
        command
    }

    /// A home folder with nothing in it.
    pub fn home(&self) -> PathBuf {
        let home = self.folder.path().join("home");
        fs::create_dir_all(&home).unwrap();
        home
    }

    /// Where temporary files go, none of which may be left.
    pub fn temporary(&self) -> PathBuf {
        self.folder.path().join("tmp")
    }

    /// `run` with these arguments, into this rig's folder, with JSON on stdout.
    ///
    /// Several tests share the cores. So a run has two plans at once, unless its arguments say otherwise, and starts no more for
    /// a core that is idle for a moment.
    pub fn run_command(&self, arguments: &[&str]) -> Command {
        let mut command = self.command(&["run", "--format", "json", "--out"]);
        command.arg(self.out()).args(arguments);
        if !arguments.contains(&"--jobs") {
            command.args(["--jobs", "2"]);
        }
        command
    }

    /// Runs to the end; at most for three minutes.
    pub fn finish(&self, command: Command) -> Ran {
        self.finish_within(command, Duration::from_secs(180))
    }

    /// Runs to the end, within a limit.
    pub fn finish_within(&self, mut command: Command, limit: Duration) -> Ran {
        finish(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap(), limit)
    }

    /// Runs `run` with these arguments to its end.
    pub fn run(&self, arguments: &[&str]) -> Ran {
        self.finish(self.run_command(arguments))
    }

    /// Processes of this rig, as they were started.
    pub fn processes(&self) -> Vec<String> {
        let arguments = |pid: i32| fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        self.pids().into_iter().map(|pid| String::from_utf8_lossy(&arguments(pid)).replace('\0', " ")).collect()
    }

    /// Processes of this rig: by their environment, or by this rig's folder in their arguments.
    pub fn pids(&self) -> Vec<i32> {
        let folder = self.folder.path().display().to_string();
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc").unwrap().flatten() {
            let environment = fs::read(entry.path().join("environ")).unwrap_or_default();
            let arguments = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            // The standard library's search is optimized code, and a test that waits asks about every process again and again.
            let holds = |bytes: &[u8], text: &str| String::from_utf8_lossy(bytes).contains(text);
            if holds(&environment, &self.mark) || holds(&arguments, &folder) {
                found.extend(entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()));
            }
        }
        found
    }

    /// Waits until no process and no temporary file is left.
    pub fn assert_nothing_left(&self, limit: Duration) {
        let deadline = Instant::now() + limit;
        loop {
            let processes = self.processes();
            if processes.is_empty() {
                break;
            }
            assert!(Instant::now() < deadline, "left after {limit:?}: {processes:#?}");
            // The end of a process that is not our child can only be looked for.
            std::thread::sleep(Duration::from_millis(20));
        }
        let temporary: Vec<_> = fs::read_dir(self.temporary()).unwrap().flatten().collect();
        assert!(temporary.is_empty(), "temporary files left: {temporary:?}");
        let partial = files(&self.out()).into_iter().find(|path| path.extension().is_some_and(|end| end == "partial"));
        assert_eq!(partial, None, "a partial file was left");
    }
}

/// Every file below a folder.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

/// Waits until a run has come to a point that its files show, within a limit. Nothing else tells of it outside.
pub fn await_point(child: &mut Child, limit: Duration, point: &str, is_there: impl Fn() -> bool) {
    let deadline = Instant::now() + limit;
    while !is_there() {
        assert_eq!(child.try_wait().unwrap(), None, "the run ended before it came to {point}");
        assert!(Instant::now() < deadline, "the run did not come to {point}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Waits for a child whose output is captured; a child that outlives the limit is a failure.
pub fn finish(mut child: Child, limit: Duration) -> Ran {
    fn reader(stream: Option<impl Read + Send + 'static>) -> std::thread::JoinHandle<String> {
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            stream.unwrap().read_to_end(&mut bytes).unwrap();
            String::from_utf8_lossy(&bytes).into_owned()
        })
    }
    let (stdout, stderr) = (reader(child.stdout.take()), reader(child.stderr.take()));
    let deadline = Instant::now() + limit;
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if Instant::now() > deadline {
            child.kill().unwrap();
            panic!("the run did not end within {limit:?}");
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    Ran { code: status.code().unwrap_or(-1), stdout: stdout.join().unwrap(), stderr: stderr.join().unwrap() }
}

impl Ran {
    /// The run report on stdout.
    pub fn report(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}\nstderr: {}", self.stdout, self.stderr))
    }

    /// The plans that were selected.
    pub fn plans(&self) -> Vec<Value> {
        self.report()["plans"].as_array().unwrap().clone()
    }

    /// The plans by loader and scenario; of several repeats the last.
    pub fn plans_by_loader(&self) -> BTreeMap<String, BTreeMap<String, Value>> {
        let mut plans: BTreeMap<String, BTreeMap<String, Value>> = BTreeMap::new();
        for plan in self.plans() {
            let name = |field: &str| plan[field].as_str().unwrap().to_owned();
            let (loader, scenario) = (name("loader"), name("scenario"));
            plans.entry(loader).or_default().insert(scenario, plan);
        }
        plans
    }

    /// The id of the only plan that was run.
    pub fn id(&self) -> String {
        let plans = self.plans();
        assert_eq!(plans.len(), 1, "{plans:#?}");
        plans[0]["id"].as_str().unwrap().to_owned()
    }

    /// Ids of the invariants that came out with this verdict, each once.
    pub fn invariants(&self, verdict: &str) -> Vec<String> {
        let mut found = Vec::new();
        for plan in self.plans() {
            for finding in plan["findings"].as_array().unwrap() {
                let id = finding["invariant"].as_str().unwrap().to_owned();
                if finding["verdict"] == verdict && !found.contains(&id) {
                    found.push(id);
                }
            }
        }
        found
    }

    /// What was found of one invariant: the plan, the verdict and why, a line each.
    pub fn findings_of(&self, invariant: &str) -> String {
        let mut text = String::new();
        for plan in self.plans() {
            for finding in plan["findings"].as_array().unwrap() {
                if finding["invariant"] == invariant {
                    text.push_str(&format!("{} {} {}\n", plan["id"], finding["verdict"], finding["because"]));
                }
            }
        }
        text
    }
}

/// Does something with each of some things, as many at once as `n_at_once`: for plans that wait rather than work.
pub fn few_at_once<T: Send>(n_at_once: usize, things: impl Iterator<Item = T> + Send, of_each: impl Fn(T) + Sync) {
    let things = Mutex::new(things);
    let next = || things.lock().unwrap().next();
    std::thread::scope(|scope| {
        for _ in 0..n_at_once {
            scope.spawn(|| {
                while let Some(thing) = next() {
                    of_each(thing);
                }
            });
        }
    });
}
