//! Lives: one specimen as a process of its own, against a mock that keeps a journal, and what the journal is judged to say.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use mcp_lifecheck::check::{Finding, Verdict, judge};
use mcp_lifecheck::history::read_history;
use mcp_lifecheck_specimens::mutation::{self, mutation};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::specimens::client::{Client, Place};
use crate::specimens::{Over, Script, Stage};

/// Names the specimen that a process is.
const SPECIMEN: &str = "MCP_ZOO_SPECIMEN";
/// Names the life that it lives: [`Kind`].
const KIND: &str = "MCP_ZOO_KIND";
/// Says where its server is.
const SERVER: &str = "MCP_ZOO_SERVER";

/// The argument behind which a started specimen finds its name; the URL comes last.
const BE: &str = "--be";

/// Longest life of a specimen.
const LIFE_MAX: Duration = Duration::from_secs(20);
/// Longest run of a loader. One that finds its machine busy lives twice.
const RUN_MAX: Duration = Duration::from_secs(120);
/// The bounds of a loader's life: shorter than those of a user, longer than those of the reference loader itself.
const LIMITS: [&str; 6] = ["operation=7s", "connect=6s", "cleanup=5s", "exit=6s", "failure=1s", "grace=1s"];
/// Stands for the script in the text of a scenario.
const SCRIPT: &str = "SCRIPT";
/// The script whose plans need stubborn servers.
const STUBBORN: &str = "stubborn";
/// The loader without a mistake.
const REFERENCE: &str = "reference";

/// Longest wait for the end of a mock, and for the end of its sockets before.
const END_MAX: Duration = Duration::from_secs(5);
/// Longest life of a mock, above that of its specimen.
const MOCK_MAX: &str = "40s";

/// Which life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Broken,
    Twin,
    Correct,
}

impl Kind {
    pub fn word(self) -> &'static str {
        match self {
            Self::Broken => "broken",
            Self::Twin => "twin",
            Self::Correct => "correct",
        }
    }

    fn of(word: &str) -> Self {
        let all = [Self::Broken, Self::Twin, Self::Correct];
        all.into_iter().find(|kind| kind.word() == word).expect("only this program sets the variable")
    }
}

/// The life that this process is to live.
pub struct ThisLife {
    pub name: String,
    pub kind: Kind,
    /// The URL of its server, or the arguments that start one.
    server: String,
}

impl ThisLife {
    /// None if this process is the test itself.
    pub fn of_this_process() -> Option<Self> {
        let arguments: Vec<String> = std::env::args().collect();
        if let [_, be, name, kind, server] = arguments.as_slice()
            && be == BE
        {
            return Some(Self { name: name.clone(), kind: Kind::of(kind), server: server.clone() });
        }
        let name = std::env::var(SPECIMEN).ok()?;
        Some(Self {
            name,
            kind: Kind::of(&std::env::var(KIND).unwrap_or_default()),
            server: std::env::var(SERVER).unwrap_or_default(),
        })
    }
}

/// Lives a life on a stage, as this process.
pub fn live(this: &ThisLife, stage: &Stage, life: impl FnOnce(&mut Client)) {
    let server = this.server.clone();
    let place = match stage.over {
        Over::Stdio => Place::Command(server.split('\n').map(str::to_owned).collect()),
        Over::Http | Over::Started(_) => Place::Http(server),
        Over::Sse => Place::Sse(server),
        Over::Run { .. } => unreachable!("mcp-lifecheck hosts a loader"),
    };
    let mut client = Client::new(place, stage.revision);
    life(&mut client);
    client.end();
}

/// Lets a specimen live as a process, and judges what its mock has recorded. `loader`: the one that `mcp-lifecheck run` hosts.
///
/// # Errors
/// When the life was not lived to its end, or its journal cannot be read: the reason.
pub fn judged(name: &str, kind: Kind, stage: &Stage, loader: Option<&str>) -> Result<Vec<Finding>, String> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    match stage.over {
        Over::Stdio => live_as_process(name, kind, &mock_arguments(&folder, "stdio", stage).join("\n")),
        Over::Http => beside_a_mock(name, kind, &folder, &mock_arguments(&folder, "http", stage)),
        Over::Sse => beside_a_mock(name, kind, &folder, &mock_arguments(&folder, "sse", stage)),
        Over::Started(scenario) => live_started(name, kind, &folder, scenario),
        Over::Run { .. } => run(loader.filter(|_| kind == Kind::Broken).unwrap_or(REFERENCE), &folder, stage),
    }?;
    let mut findings = Vec::new();
    for journal in journals(folder.path()) {
        let text = fs::read_to_string(&journal).map_err(|error| error.to_string())?;
        let history = read_history(&journal.display().to_string(), &text).map_err(|error| error.to_string())?;
        findings.extend(judge(&history).findings);
    }
    // Silence counts only where something was judged.
    let is_judged = findings.iter().any(|finding| finding.verdict == Verdict::Pass || is_told(finding));
    findings.retain(is_told);
    if is_judged { Ok(findings) } else { Err("its journal shows nothing that any rule judges".to_owned()) }
}

fn is_told(finding: &Finding) -> bool {
    match finding.verdict {
        Verdict::Fail | Verdict::Warn | Verdict::Inconclusive => true,
        Verdict::Pass | Verdict::Vacuous | Verdict::NotObservable | Verdict::NotApplicable => false,
    }
}

fn journal(folder: &TempDir) -> PathBuf {
    folder.path().join("journal.jsonl")
}

/// The journal of each process of the mock, or the history of a started program.
fn journals(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok).map(|entry| entry.path());
    let mut found = Vec::new();
    for path in entries {
        if path.is_dir() {
            found.extend(journals(&path));
        } else if path.extension().is_some_and(|kind| kind == "jsonl") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The name or the file of the script of a stage.
fn script(folder: &TempDir, stage: &Stage) -> String {
    match stage.script {
        Script::Shipped(name) => name.to_owned(),
        Script::Written(text) => file(folder, "script.toml", text),
    }
}

/// Writes a file and gives its path.
fn file(folder: &TempDir, name: &str, text: &str) -> String {
    let path = folder.path().join(name);
    fs::write(&path, text).unwrap();
    path.display().to_string()
}

fn mock_arguments(folder: &TempDir, transport: &str, stage: &Stage) -> Vec<String> {
    let script = script(folder, stage);
    let journal = journal(folder).display().to_string();
    let arguments =
        [transport, "--script", &script, "--journal", &journal, "--revision", stage.revision, "--max-life", MOCK_MAX];
    arguments.map(str::to_owned).to_vec()
}

/// Starts a mock that listens, lets the specimen live, and ends the mock once all sockets are on record as closed.
fn beside_a_mock(name: &str, kind: Kind, folder: &TempDir, arguments: &[String]) -> Result<(), String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mcp-mock"));
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut mock = command.spawn().map_err(|error| error.to_string())?;
    let mut url = String::new();
    let mut output = BufReader::new(mock.stdout.take().unwrap());
    output.read_line(&mut url).unwrap();
    let url = url.split_whitespace().find(|word| word.starts_with("http://"));
    let lived = match url {
        Some(url) => live_as_process(name, kind, url),
        None => Err("the mock did not start".to_owned()),
    };
    let begun = Instant::now();
    while lived.is_ok() && begun.elapsed() < END_MAX && !are_sockets_closed(&journal(folder)) {
        thread::sleep(Duration::from_millis(5));
    }
    let _ = kill_process(Pid::from_child(&mock), Signal::TERM);
    let told = end_of(&mut mock, END_MAX);
    lived.and(told.map(drop))
}

fn are_sockets_closed(journal: &Path) -> bool {
    let text = fs::read_to_string(journal).unwrap_or_default();
    text.matches(r#""kind":"socket.opened""#).count() == text.matches(r#""kind":"socket.closed""#).count()
}

/// Lets a specimen live in a process of its own, within its bound.
fn live_as_process(name: &str, kind: Kind, server: &str) -> Result<(), String> {
    let this = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut command = Command::new(this);
    command.env(SPECIMEN, name).env(KIND, kind.word()).env(SERVER, server);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut process = command.spawn().map_err(|error| error.to_string())?;
    let stderr = end_of(&mut process, LIFE_MAX)?;
    let status = process.wait().map_err(|error| error.to_string())?;
    if status.success() { Ok(()) } else { Err(format!("it ended with {status}: {}", stderr.trim())) }
}

/// Lets `mcp-lifecheck client` start a specimen and watch it to its end.
fn live_started(name: &str, kind: Kind, folder: &TempDir, scenario: &str) -> Result<(), String> {
    let this = std::env::current_exe().map_err(|error| error.to_string())?;
    let specimen = format!("{} {BE} {name} {}", this.display(), kind.word());
    let mut command = Command::new(env!("CARGO_BIN_EXE_mcp-lifecheck"));
    command.args(["client", "--command", &specimen, "--scenario", scenario, "-o"]).arg(folder.path());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut process = command.spawn().map_err(|error| error.to_string())?;
    let stderr = end_of(&mut process, LIFE_MAX)?;
    let status = process.wait().map_err(|error| error.to_string())?;
    match status.code() {
        // What it found is judged again from its history.
        Some(0 | 1) => Ok(()),
        _ => Err(format!("mcp-lifecheck ended with {status}: {}", stderr.trim())),
    }
}

/// Lets `mcp-lifecheck run` take a loader through a scenario.
fn run(loader: &str, folder: &TempDir, stage: &Stage) -> Result<(), String> {
    let Over::Run { transport, scenario, promises } = stage.over else { return Err("it hosts no loader".to_owned()) };
    let prefix = if mutation(loader).is_some() { mutation::PREFIX } else { "" };
    let described = format!("name = \"{prefix}{loader}\"\nlane = \"rust\"\ntransports = [\"{transport}\"]\n{promises}");
    let described = file(folder, "loader.toml", &described);
    let scenario = match scenario.contains('\n') {
        true => file(folder, "scenario.toml", &scenario.replace(SCRIPT, &script(folder, stage))),
        false => scenario.to_owned(),
    };
    let mut command = Command::new(env!("CARGO_BIN_EXE_mcp-lifecheck"));
    command.args(["run", &scenario, "--loader", &described, "--transport", transport, "--revision", stage.revision]);
    command.args(["--jobs", "1", "--quiet", "--out"]).arg(folder.path().join("out"));
    if !matches!(stage.script, Script::Shipped(STUBBORN)) {
        command.arg("--polite-only");
    }
    command.args(LIMITS.iter().flat_map(|limit| ["--limit", limit]));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut process = command.spawn().map_err(|error| error.to_string())?;
    let stderr = end_of(&mut process, RUN_MAX)?;
    let status = process.wait().map_err(|error| error.to_string())?;
    match status.code() {
        // What it found is judged again from its history.
        Some(0 | 1) => Ok(()),
        _ => Err(format!("mcp-lifecheck ended with {status}: {}", stderr.trim())),
    }
}

/// Waits until a process has closed its stderr, which it wrote there, and ended. One that takes longer is killed.
fn end_of(process: &mut Child, longest: Duration) -> Result<String, String> {
    let mut stderr = process.stderr.take().unwrap();
    let (ended, wait) = mpsc::channel();
    let reader = thread::spawn(move || {
        let mut text = Vec::new();
        let _ = stderr.read_to_end(&mut text);
        let _ = ended.send(());
        String::from_utf8_lossy(&text).into_owned()
    });
    let is_over = wait.recv_timeout(longest).is_ok();
    if !is_over {
        process.kill().map_err(|error| error.to_string())?;
    }
    process.wait().map_err(|error| error.to_string())?;
    let text = reader.join().unwrap();
    if is_over { Ok(text) } else { Err(format!("it hung for {} s", longest.as_secs())) }
}
