//! Layers point down: what each module may use, and how large its files and circles of files may be.
//!
//! A new edge between modules is a design change: add it to `MAY_USE`, so that a reviewer sees it.

mod graph;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use graph::Graph;

use crate::rig::{files, root};

/// For each module, the modules of this crate it may use.
const MAY_USE: &[(&str, &[&str])] = &[
    ("plan", &[]),
    ("process_table", &[]),
    ("http_client", &[]),
    ("foreign", &[]),
    ("history", &["plan"]),
    ("check", &["history", "plan"]),
    ("script", &["history", "plan"]),
    ("server", &["history", "plan", "script"]),
    ("record", &["foreign", "history"]),
    ("mock", &["history", "plan", "record", "script", "server"]),
    ("supervise", &["history", "process_table", "record"]),
    ("loader", &["history", "plan", "record"]),
    ("life", &["foreign", "history", "http_client", "plan", "record", "script", "supervise"]),
    ("drive", &["foreign", "history", "life", "plan", "record", "script", "supervise"]),
    ("host", &["foreign", "history", "http_client", "life", "plan", "record", "script", "supervise"]),
    ("selftest", &["drive", "foreign", "history", "life", "plan", "record", "script", "supervise"]),
    ("catalogue", &["plan"]),
    ("stack", &["catalogue", "foreign", "process_table"]),
    ("report", &["check", "history"]),
    ("simulate", &["drive", "foreign", "history", "life", "loader", "mock", "record", "supervise"]),
    (
        "run",
        &[
            "catalogue",
            "check",
            "drive",
            "foreign",
            "history",
            "host",
            "life",
            "loader",
            "plan",
            "record",
            "report",
            "script",
            "selftest",
            "simulate",
            "stack",
            "supervise",
        ],
    ),
    ("explore", &["catalogue", "check", "history", "life", "loader", "plan", "report", "run", "script"]),
    ("reentry", &["loader", "mock", "supervise"]),
    (
        "testing",
        &[
            "catalogue",
            "check",
            "explore",
            "foreign",
            "history",
            "loader",
            "mock",
            "plan",
            "record",
            "reentry",
            "report",
            "run",
            "script",
            "server",
        ],
    ),
];

/// Modules that are pure: no runtime, no clock, no files.
const PURE: &[&str] = &["plan", "history", "foreign", "check", "script", "server"];
/// What a pure module must not name.
const IMPURE: &[&str] =
    &["tokio", "std::time::Instant", "std::time::SystemTime", "std::net", "std::process", "std::thread"];

/// Crates that only some modules may name.
const RESERVED: &[(&str, &[&str])] = &[("hyper::", &["http_client", "mock"]), ("linkme::", &["loader", "testing"])];

/// The source folder of each crate.
const CRATES: [&str; 3] = ["src", "crates/specimens/src", "crates/cli/src"];
/// The most files that may use each other in a circle.
const CIRCLE_MAX: usize = 3;
/// The most lines of a Rust file.
const LINES_MAX: usize = 500;

/// The Rust files of the library by module, each with its text.
fn sources() -> BTreeMap<String, Vec<(String, String)>> {
    let source = root().join("src");
    let mut modules: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    for path in rust_files(&source) {
        let inner = path.strip_prefix(&source).unwrap();
        if inner.components().count() > 1 {
            let module = inner.components().next().unwrap().as_os_str().to_str().unwrap().to_owned();
            modules.entry(module).or_default().push((inner.display().to_string(), fs::read_to_string(&path).unwrap()));
        }
    }
    modules
}

fn rust_files(folder: &Path) -> impl Iterator<Item = PathBuf> {
    files(folder).into_iter().filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
}

/// Lines of code: without comments.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.trim_start().starts_with("//"))
}

#[test]
fn every_module_uses_what_its_row_lists_and_nothing_else() {
    let listed: BTreeMap<_, BTreeSet<_>> =
        MAY_USE.iter().map(|(module, used)| (*module, used.iter().copied().collect())).collect();
    let mut used: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (module, files) in sources() {
        let row = used.entry(module.clone()).or_default();
        for part in files.iter().flat_map(|(_, text)| code(text)).flat_map(|line| line.split("crate::").skip(1)) {
            let name: String = part.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            if listed.contains_key(name.as_str()) && name != module {
                row.insert(name);
            }
        }
    }
    for (module, row) in &used {
        let listed = listed.get(module.as_str()).unwrap_or_else(|| panic!("module {module} has no row in MAY_USE"));
        let row: BTreeSet<_> = row.iter().map(String::as_str).collect();
        let new: Vec<_> = row.difference(listed).collect();
        assert!(new.is_empty(), "{module} uses {new:?}, which its row in MAY_USE does not list");
        let stale: Vec<_> = listed.difference(&row).collect();
        assert!(stale.is_empty(), "the row of {module} in MAY_USE lists {stale:?}, which it does not use");
    }
    let gone: Vec<_> = listed.keys().filter(|module| !used.contains_key(**module)).collect();
    assert!(gone.is_empty(), "MAY_USE has rows for {gone:?}, which do not exist");
}

#[test]
fn rows_list_only_modules_above_them() {
    let mut above = BTreeSet::new();
    for (module, used) in MAY_USE {
        let below: Vec<_> = used.iter().filter(|one| !above.contains(*one)).collect();
        assert!(below.is_empty(), "the row of {module} lists {below:?}, whose rows do not stand above it");
        above.insert(*module);
    }
}

#[test]
fn pure_modules_name_nothing_impure() {
    for (module, files) in sources() {
        if !PURE.contains(&module.as_str()) {
            continue;
        }
        for (file, text) in files {
            for line in code(&text) {
                for name in IMPURE {
                    assert!(!line.contains(name), "{file} is pure and names {name}: {line}");
                }
            }
        }
    }
}

#[test]
fn reserved_crates_are_named_only_where_they_belong() {
    for (module, files) in sources() {
        for (file, text) in files {
            for (name, where_allowed) in RESERVED {
                let is_named = code(&text).any(|line| line.contains(&format!("use {name}")));
                assert!(!is_named || where_allowed.contains(&module.as_str()), "{file} names {name}");
            }
        }
    }
}

#[test]
fn only_the_table_of_transports_names_the_one_without_processes() {
    for (_, files) in sources() {
        for (file, text) in files.iter().filter(|(file, _)| !file.ends_with("tests.rs")) {
            let line = code(text).find(|line| line.contains("Transport::Memory"));
            assert_eq!(line, None, "{file}: a property in plan/transport.rs would say what is meant");
        }
    }
}

#[test]
fn no_file_is_too_long() {
    for folder in CRATES.iter().chain(&["tests", "benches", "examples"]) {
        for path in rust_files(&root().join(folder)).filter(|path| !path.display().to_string().contains("/target/")) {
            let n_lines = fs::read_to_string(&path).unwrap().lines().count();
            assert!(n_lines <= LINES_MAX, "{} has {n_lines} lines, at most {LINES_MAX}", path.display());
        }
    }
}

#[test]
fn no_circle_of_files_is_too_large() {
    let mut too_large = Vec::new();
    for source in CRATES {
        for circle in Graph::read(&root().join(source)).circles() {
            if circle.len() > CIRCLE_MAX {
                let files: Vec<_> = circle.iter().map(|module| module.join("::")).collect();
                too_large.push(format!("{source}: {} files: {}", files.len(), files.join(" ")));
            }
        }
    }
    assert!(too_large.is_empty(), "circles of more than {CIRCLE_MAX} files:\n{}", too_large.join("\n"));
}
