//! The commands in `sh` blocks: they parse, their names exist, and they run.
//!
//! A block with the mark `parse-only` needs files, packages or time that this test does not have. A block with the mark `exit-N`
//! ends with that code.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::time::Duration;

use super::page::{Block, Page, pages};
use crate::rig::{LIFECHECK, Ran, Rig, few_at_once, root};

/// Bound on one command. The longest takes a few seconds on a machine that is idle.
const LIMIT: Duration = Duration::from_secs(120);
/// Commands of ours.
const OURS: [&str; 2] = ["mcp-lifecheck", "mcp-mock"];
/// Commands of others, which a block may have only if it is not run.
const OTHERS: [&str; 6] = ["bash", "cargo", "npm", "pip", "python3", "."];
/// Options whose value is a name that `mcp-lifecheck explain` knows, or a file.
const NAMED: [&str; 4] = ["--loader", "--against", "--script", "--plan"];

/// The words of a command as a shell makes them, without its comment.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted) = (Vec::new(), String::new(), false);
    for c in line.chars() {
        match c {
            '"' => quoted = !quoted,
            ' ' if !quoted => words.push(std::mem::take(&mut word)),
            other => word.push(other),
        }
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    let comment = words.iter().position(|word| word == "#").unwrap_or(words.len());
    words.truncate(comment);
    words
}

/// The commands of a block, each as its words.
fn commands(block: &Block) -> Vec<Vec<String>> {
    let lines = block.text.lines().flat_map(|line| line.split(" && "));
    lines.map(words).filter(|words| !words.is_empty()).map(of_ours).collect()
}

/// `cargo run --release -- ARGUMENTS` stands for the command itself.
fn of_ours(words: Vec<String>) -> Vec<String> {
    match words.iter().position(|word| word == "--") {
        Some(end) if words[..end] == ["cargo", "run", "--release"] => {
            ["mcp-lifecheck".to_owned()].into_iter().chain(words[end + 1..].iter().cloned()).collect()
        }
        _ => words,
    }
}

/// A rig whose commands find ours, in a folder that looks like a cargo project.
struct Desk {
    rig: Rig,
}

impl Desk {
    fn new() -> Self {
        let rig = Rig::new();
        rig.file("Cargo.toml", "[package]\nname = \"desk\"\nversion = \"0.1.0\"\n");
        Self { rig }
    }

    fn run(&self, words: &[String]) -> Ran {
        let program = Path::new(LIFECHECK).with_file_name(&words[0]);
        let mut command = Command::new(program);
        command.args(&words[1..]).current_dir(self.rig.out().parent().unwrap());
        command
            .env("MCP_LIFECHECK_OFFLINE", "1")
            .env("TMPDIR", self.rig.temporary())
            .stdin(std::process::Stdio::null());
        self.rig.finish_within(command, LIMIT)
    }

    /// The pages have most names in common, and `explain` says the same of a name each time.
    fn explains(&self, name: &str) -> bool {
        static EXPLAINED: Mutex<BTreeMap<String, bool>> = Mutex::new(BTreeMap::new());
        if let Some(known) = EXPLAINED.lock().unwrap().get(name) {
            return *known;
        }
        let explains = self.run(&["mcp-lifecheck", "explain", name].map(str::to_owned)).code == 0;
        EXPLAINED.lock().unwrap().insert(name.to_owned(), explains);
        explains
    }

    /// Why a command cannot be run by anybody: unknown arguments or values, or names that do not exist.
    fn unparsed(&self, words: &[String]) -> Option<String> {
        // `--help` takes effect when everything before it has been parsed, and then nothing is run.
        let end = words.iter().position(|word| word == "--").unwrap_or(words.len());
        let mut asking = words[..end].to_vec();
        asking.push("--help".to_owned());
        let parsed = self.run(&asking);
        if parsed.code != 0 {
            return Some(parsed.stderr);
        }
        let unknown = names(&asking[..end], &parsed.stdout).into_iter().find(|name| !self.is_known(name));
        unknown.map(|name| format!("nothing is called {name:?}"))
    }

    fn is_known(&self, name: &str) -> bool {
        let is_file = name.contains('/') || [".toml", ".yaml", ".jsonl"].iter().any(|end| name.ends_with(end));
        let (name, stack) = name.split_once('@').unwrap_or((name, ""));
        is_file
            || root().join(format!("fixtures/client/{name}.toml")).is_file()
            || (self.explains(name) && (stack.is_empty() || is_stack(stack)))
    }
}

fn is_stack(stack: &str) -> bool {
    let locks = root().join("fixtures/loaders/locks");
    locks.join(stack).is_dir() || locks.join(format!("{stack}.txt")).is_file()
}

/// Names in a command: the values of options that take one, and what stands without an option before it.
fn names(words: &[String], help: &str) -> Vec<String> {
    let takes_value = |option: &str| {
        let line = help.lines().find(|line| line.split([' ', ',']).any(|word| word == option));
        line.is_some_and(|line| line.contains(&format!("{option} <")) || line.contains(&format!("{option} [<")))
    };
    let mut found = Vec::new();
    let mut words = words.iter().skip(1);
    let Some(subcommand) = words.next() else { return found };
    let has_names = ["run", "explain", "replay", "check"].contains(&subcommand.as_str());
    while let Some(word) = words.next() {
        if word == "--servers" {
            let pairs = words.next().map(String::as_str).unwrap_or_default().split(',');
            found.extend(pairs.filter_map(|pair| pair.split_once('=')).map(|(_, script)| script.to_owned()));
        } else if word == "--scenario" || NAMED.contains(&word.as_str()) {
            found.extend(words.next().cloned());
        } else if word.starts_with('-') {
            if takes_value(word) {
                words.next();
            }
        } else if has_names {
            found.push(word.clone());
        }
    }
    found
}

/// The code a block ends with; `None` where it is not run.
fn expected(block: &Block) -> Option<i32> {
    match block.marks.first().map(String::as_str) {
        None => Some(0),
        Some("parse-only") => None,
        Some(mark) => mark.strip_prefix("exit-").map(|code| code.parse().expect("a number stands behind `exit-`")),
    }
}

/// What is wrong with the commands of a page, run from its top to its end in one folder.
fn wrong(page: &Page) -> Vec<String> {
    let desk = Desk::new();
    let mut wrong = Vec::new();
    for block in page.blocks.iter().filter(|block| block.language == "sh") {
        let expected = expected(block);
        for command in commands(block) {
            let mut complain = |what: String| wrong.push(format!("{}:{}: {command:?}: {what}", page.name, block.line));
            if !OURS.contains(&command[0].as_str()) {
                if expected.is_some() || !OTHERS.contains(&command[0].as_str()) {
                    complain("this test cannot run it; mark the block `parse-only`".to_owned());
                }
            } else if let Some(why) = desk.unparsed(&command) {
                complain(why);
            } else if let Some(code) = expected {
                let ran = desk.run(&command);
                if ran.code != code {
                    complain(format!("exit code {}, expected {code}\n{}{}", ran.code, ran.stdout, ran.stderr));
                }
            }
        }
    }
    wrong
}

#[test]
fn the_commands_that_are_shown_run() {
    let (pages, found) = (pages(), Mutex::new(Vec::new()));
    few_at_once(4, pages.iter(), |page| found.lock().unwrap().extend(wrong(page)));
    let found = found.into_inner().unwrap();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn a_command_with_a_mistake_is_found() {
    let desk = Desk::new();
    for (line, part) in [
        ("mcp-lifecheck run --lodaer reference", "--lodaer"),
        ("mcp-lifecheck run core --format jsn", "jsn"),
        ("mcp-lifecheck run core --limit operatoin=3s", "operatoin"),
        ("mcp-lifecheck run load-cal-close", "load-cal-close"),
        ("mcp-lifecheck run core --loader python-mpc", "python-mpc"),
        ("mcp-lifecheck run core --loader python-mcp@mcp-9.9", "python-mcp@mcp-9.9"),
        ("mcp-lifecheck client --command x --scenario tool_calls", "tool_calls"),
        ("mcp-lifecheck host --servers files=polit -- app", "polit"),
        ("mcp-lifecheck list suits", "suits"),
        ("mcp-mock stdio --script polit", "polit"),
    ] {
        let why = desk.unparsed(&words(line)).unwrap_or_else(|| panic!("{line} was taken for a right one"));
        assert!(why.contains(part), "{line}: {why}");
    }
}
