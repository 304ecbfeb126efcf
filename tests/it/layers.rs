//! Layers point down: what each module may use.
//!
//! A new edge is a design change: it is made here, and reviewed.

use std::collections::BTreeMap;
use std::fs;

use crate::rig::{files, root};

/// For each module, the modules of this crate it may use.
const MAY_USE: &[(&str, &[&str])] = &[
    ("plan", &[]),
    ("process_table", &[]),
    ("http_client", &[]),
    ("history", &["plan"]),
    ("check", &["history", "plan"]),
    ("script", &["history", "plan"]),
    ("record", &["history", "plan"]),
    ("mock", &["history", "plan", "record", "script"]),
    ("supervise", &["history", "process_table", "record"]),
    ("loader", &["history", "plan", "record"]),
    ("life", &["history", "http_client", "plan", "record", "script", "supervise"]),
    ("drive", &["history", "life", "plan", "record", "script", "supervise"]),
    ("host", &["history", "http_client", "life", "plan", "record", "script", "supervise"]),
    ("selftest", &["drive", "history", "life", "plan", "record", "script", "supervise"]),
    ("catalogue", &["plan"]),
    ("stack", &["catalogue", "process_table"]),
    ("report", &["check", "history"]),
    (
        "run",
        &[
            "catalogue",
            "check",
            "drive",
            "history",
            "host",
            "life",
            "loader",
            "plan",
            "record",
            "report",
            "script",
            "selftest",
            "stack",
            "supervise",
        ],
    ),
    ("reentry", &["loader", "mock", "supervise"]),
    ("testing", &["catalogue", "history", "loader", "mock", "plan", "record", "reentry", "report", "run", "script"]),
];

/// Modules that are pure: no runtime, no clock, no files.
const PURE: &[&str] = &["plan", "history", "check", "script"];
/// What a pure module must not name.
const IMPURE: &[&str] =
    &["tokio", "std::time::Instant", "std::time::SystemTime", "std::net", "std::process", "std::thread"];

/// Crates that only some modules may name.
const RESERVED: &[(&str, &[&str])] = &[("hyper::", &["http_client", "mock"]), ("linkme::", &["loader", "testing"])];

fn sources() -> BTreeMap<String, Vec<(String, String)>> {
    let root = root().join("src");
    let mut modules: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    for path in files(&root) {
        let inner = path.strip_prefix(&root).unwrap().to_path_buf();
        let module = inner.components().next().unwrap().as_os_str().to_str().unwrap().to_owned();
        if inner.components().count() > 1 && inner.extension().is_some_and(|extension| extension == "rs") {
            modules.entry(module).or_default().push((inner.display().to_string(), fs::read_to_string(&path).unwrap()));
        }
    }
    modules
}

/// Lines of code: without comments.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.trim_start().starts_with("//"))
}

#[test]
fn every_module_uses_only_what_lies_below() {
    let allowed: BTreeMap<_, _> = MAY_USE.iter().copied().collect();
    for (module, files) in sources() {
        let may_use = allowed.get(module.as_str()).unwrap_or_else(|| panic!("module {module} has no place in MAY_USE"));
        for (file, text) in files {
            for line in code(&text) {
                for part in line.split("crate::").skip(1) {
                    let used: String = part.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                    let is_module = allowed.contains_key(used.as_str());
                    assert!(
                        !is_module || used == module || may_use.contains(&used.as_str()),
                        "{file}: {module} uses {used}, which does not lie below it: {line}"
                    );
                }
            }
        }
    }
}

/// The only file that judges histories.
const JUDGE: &str = "run/judge.rs";

#[test]
fn histories_are_judged_in_one_place() {
    let names_judge = |line: &str| {
        let mut words = line.split(|c: char| !c.is_alphanumeric() && c != '_');
        line.contains("crate::check::") && words.any(|word| word == "judge")
    };
    let judges: Vec<String> = sources()
        .into_iter()
        .filter(|(module, _)| module != "check")
        .flat_map(|(_, files)| files)
        .filter(|(_, text)| code(text).any(names_judge))
        .map(|(file, _)| file)
        .collect();
    assert_eq!(judges, [JUDGE]);
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
fn no_file_is_too_long() {
    for (_, files) in sources() {
        for (file, text) in files {
            let n_lines = text.lines().count();
            assert!(n_lines <= 800, "{file} has {n_lines} lines, at most 800");
        }
    }
}
