//! The tables of the reference are what `mcp-lifecheck list` shows.
//!
//! `MCP_LIFECHECK_WRITE_DOCS=1 cargo test --test it docs::tables` writes them.

use std::fs;

use mcp_lifecheck::catalogue::{Term, glossary};
use mcp_lifecheck::plan::{HOST_LIMITS, LIMITS};
use mcp_lifecheck::report::FORMATS;
use serde_json::Value;

use super::page::{Page, book, pages};
use crate::rig::{Rig, root};

/// A table of the reference: its page, the list it shows, and its columns, each a heading and the field of the list.
struct Table {
    page: &'static str,
    list: &'static str,
    columns: &'static [(&'static str, &'static str)],
}

const ABOUT: &[(&str, &str)] = &[("id", "id"), ("about", "about")];

const TABLES: &[Table] = &[
    Table { page: "reference/scenarios", list: "suites", columns: ABOUT },
    Table { page: "reference/scenarios", list: "scenarios", columns: ABOUT },
    Table { page: "reference/scripts", list: "scripts", columns: ABOUT },
    Table { page: "reference/faults", list: "faults", columns: ABOUT },
    Table { page: "reference/transports", list: "transports", columns: ABOUT },
    Table {
        page: "reference/loaders",
        list: "loaders",
        columns: &[("id", "id"), ("about", "about"), ("stacks", "stacks")],
    },
    Table {
        page: "reference/promises",
        list: "promises",
        columns: &[("id", "id"), ("default", "default"), ("about", "about")],
    },
    Table {
        page: "reference/invariants",
        list: "invariants",
        columns: &[("id", "id"), ("subjects", "subjects"), ("claim", "about"), ("requirements", "requirement")],
    },
    Table {
        page: "reference/requirements",
        list: "requirements",
        columns: &[("id", "id"), ("level", "level"), ("demand", "about"), ("invariants", "covered_by")],
    },
];

fn cell(value: &Value) -> String {
    match value {
        Value::Array(values) => values.iter().map(cell).collect::<Vec<_>>().join(", "),
        Value::String(text) => text.replace('|', "\\|"),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// A table as Markdown; the first column is code.
fn table(headings: &[&str], rows: &[Vec<String>]) -> String {
    let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let head = line(headings.iter().map(|heading| (*heading).to_owned()).collect());
    let rule = format!("|{}\n", "---|".repeat(headings.len()));
    let row = |row: &Vec<String>| {
        let first = format!("`{}`", row[0]);
        line([first].into_iter().chain(row[1..].iter().cloned()).collect())
    };
    head + &rule + &rows.iter().map(row).collect::<String>()
}

fn rows(rig: &Rig, list: &str) -> Vec<Value> {
    let listed = rig.finish(rig.command(&["list", list, "--format", "json"]));
    serde_json::from_str(&listed.stdout).unwrap_or_else(|error| panic!("{list}: {error}: {}", listed.stderr))
}

/// What stands on a page between the marks of a table must be this.
fn compare(page: &str, name: &str, expected: &str) {
    let path = book().join(format!("{page}.md"));
    let text = fs::read_to_string(&path).unwrap();
    let (begin, end) = (format!("<!-- begin {name} -->\n"), format!("<!-- end {name} -->"));
    let (before, rest) = text.split_once(&begin).unwrap_or_else(|| panic!("{page}.md has no {begin}"));
    let (found, after) = rest.split_once(&end).unwrap_or_else(|| panic!("{page}.md has no {end}"));
    // The blank lines around it make it a table of its own.
    let expected = format!("\n{expected}\n");
    if std::env::var_os("MCP_LIFECHECK_WRITE_DOCS").is_some() {
        fs::write(&path, format!("{before}{begin}{expected}{end}{after}")).unwrap();
    } else {
        let hint = "MCP_LIFECHECK_WRITE_DOCS=1 cargo test --test it docs::tables";
        assert!(found == expected, "{} is not what `{name}` shows; `{hint}` writes it", path.display());
    }
}

fn word(term: Term) -> Vec<String> {
    vec![term.name, term.also.join(", "), term.about.replace('|', "\\|")]
}

#[test]
fn the_tables_show_what_is_listed() {
    let rig = Rig::new();
    for Table { page, list, columns } in TABLES {
        let headings: Vec<&str> = columns.iter().map(|(heading, _)| *heading).collect();
        let row = |row: &Value| columns.iter().map(|(_, field)| cell(&row[field])).collect::<Vec<_>>();
        let rows: Vec<_> = rows(&rig, list).iter().map(row).collect();
        assert!(!rows.is_empty(), "{list} is empty");
        compare(page, &format!("list {list}"), &table(&headings, &rows));
    }
    let limit = |limit: &mcp_lifecheck::plan::LimitInfo| {
        vec![limit.name.to_owned(), format!("{} ms", limit.default_ms), limit.about.to_owned()]
    };
    let mut words: Vec<Vec<String>> = glossary().unwrap().into_iter().map(word).collect();
    words.sort_by_key(|row| row[0].to_lowercase());
    compare("glossary", "glossary", &table(&["word", "also", "meaning"], &words));
    let limits: Vec<_> = LIMITS.iter().chain(HOST_LIMITS).map(limit).collect();
    compare("reference/limits", "limits", &table(&["name", "default", "bounds"], &limits));
}

/// A report that a page shows may be cut at `…`; behind two blanks stands a caption.
#[test]
fn the_claims_in_the_reports_that_are_shown_are_those_of_the_invariants() {
    let claims: Vec<String> = rows(&Rig::new(), "invariants").iter().map(|row| cell(&row["about"])).collect();
    let mut n_shown = 0;
    for page in pages() {
        for line in page.blocks.iter().filter(|block| block.language == "text").flat_map(|block| block.text.lines()) {
            let Some(shown) = line.trim_start().strip_prefix("claim:") else { continue };
            let shown = shown.trim_start().split("  ").next().unwrap().trim_end_matches('…').trim_end();
            assert!(claims.iter().any(|claim| claim.starts_with(shown)), "{}: no invariant claims: {shown}", page.name);
            n_shown += 1;
        }
    }
    assert!(n_shown > 1, "found {n_shown} reports");
}

#[test]
fn the_page_of_results_names_the_file_of_every_format() {
    let page = Page::read(&book().join("reference/results.md"));
    let is_named = |file: &str| page.prose.iter().any(|(_, line)| line.starts_with(&format!("| `{file}` |")));
    let missing: Vec<_> = FORMATS.iter().map(|format| format.file).filter(|file| !is_named(file)).collect();
    assert!(missing.is_empty(), "docs/src/reference/results.md has no row for {missing:?}");
}

#[test]
fn the_map_names_every_module_and_package() {
    let map = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    for folder in ["src", "crates"] {
        for entry in fs::read_dir(root().join(folder)).into_iter().flatten().flatten() {
            let name = entry.file_name().into_string().unwrap();
            let named = if folder == "src" { format!("| `{name}` |") } else { format!("`crates/{name}`") };
            assert!(!entry.path().is_dir() || map.contains(&named), "ARCHITECTURE.md does not name {folder}/{name}");
        }
    }
    for name in map.lines().filter_map(|line| line.strip_prefix("| `")).filter_map(|rest| rest.split('`').next()) {
        let places = [name.to_owned(), format!("src/{name}")].map(|path| root().join(path).exists());
        let is_package = name.starts_with("mcp-lifecheck");
        assert!(places.contains(&true) || is_package, "ARCHITECTURE.md names {name}, which does not exist");
    }
}
