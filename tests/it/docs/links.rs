//! Every page is in the summary, and every link leads somewhere.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use super::page::{Page, book, pages};
use crate::rig::root;

/// A link: where it stands, and its target.
struct Link {
    page: String,
    line: usize,
    target: String,
}

fn links(page: &Page) -> Vec<Link> {
    let mut found = Vec::new();
    for (line, text) in &page.prose {
        let without_code: String = text.split('`').step_by(2).collect::<Vec<_>>().join(" ");
        for part in without_code.split("](").skip(1) {
            let target = part.split(')').next().unwrap_or_default().to_owned();
            found.push(Link { page: page.name.clone(), line: *line, target });
        }
    }
    found
}

/// A path without `.` and `..`.
fn normal(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => drop(plain.pop()),
            Component::CurDir => {}
            other => plain.push(other),
        }
    }
    plain
}

/// Why a link leads nowhere.
fn broken(link: &Link) -> Option<String> {
    if link.target.starts_with("https://") {
        return None;
    }
    let here = root().join(&link.page);
    let (path, anchor) = link.target.split_once('#').unwrap_or((&link.target, ""));
    let target = if path.is_empty() { here } else { normal(&here.parent().unwrap().join(path)) };
    if !target.exists() {
        return Some(format!("{} does not exist", target.display()));
    }
    if link.page.starts_with("docs/src/") && !target.starts_with(book()) {
        return Some("a page of the book links outside the book, which the built book cannot do".to_owned());
    }
    let is_there = anchor.is_empty() || Page::read(&target).anchors().contains(anchor);
    (!is_there).then(|| format!("{} has no heading #{anchor}", target.display()))
}

#[test]
fn every_link_leads_somewhere() {
    let all: Vec<Link> = pages().iter().flat_map(links).collect();
    assert!(all.len() > 50, "found only {} links", all.len());
    let wrong = all.iter().filter_map(|link| Some(format!("{}:{}: {}", link.page, link.line, broken(link)?)));
    let wrong: Vec<String> = wrong.collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_summary_lists_every_page_once() {
    let summary = Page::read(&book().join("SUMMARY.md"));
    let listed: Vec<String> = links(&summary).into_iter().map(|link| format!("docs/src/{}", link.target)).collect();
    let distinct: BTreeSet<String> = listed.iter().cloned().collect();
    assert_eq!(listed.len(), distinct.len(), "the summary lists a page twice");
    let pages = pages().into_iter().filter(Page::is_in_book).map(|page| page.name);
    let existing: BTreeSet<String> = pages.filter(|name| name != "docs/src/SUMMARY.md").collect();
    let unlisted: Vec<_> = existing.difference(&distinct).collect();
    assert!(unlisted.is_empty(), "not in the summary: {unlisted:?}");
    let missing: Vec<_> = distinct.difference(&existing).collect();
    assert!(missing.is_empty(), "in the summary without a file: {missing:?}");
}

#[test]
fn every_page_begins_with_its_title_and_has_no_note_of_unfinished_work() {
    for page in pages() {
        let (_, first) = page.prose.first().unwrap_or_else(|| panic!("{} is empty", page.name));
        assert!(first.starts_with("# "), "{} begins with {first:?}, expected its title", page.name);
        for (line, text) in &page.prose {
            for note in ["TODO", "FIXME", "TBD", "XXX"] {
                assert!(!text.contains(note), "{}:{line}: found {note}", page.name);
            }
        }
    }
}

/// Top folders of the repository.
const FOLDERS: [&str; 9] =
    ["adapters/", "benches/", "crates/", "docs/", "examples/", "fixtures/", "mock-servers/", "src/", "tests/"];

/// A path in a code span, up to the first part that is a placeholder in capitals, such as `ID` or `FAMILY.rs`.
fn path_of(span: &str) -> Option<PathBuf> {
    let is_path = FOLDERS.iter().any(|folder| span.starts_with(folder)) && !span.contains(' ');
    let is_placeholder = |part: &&str| part.starts_with(|c: char| c.is_ascii_uppercase()) && !part.ends_with(".md");
    is_path.then(|| span.split('/').take_while(|part| !is_placeholder(part)).collect())
}

#[test]
fn every_path_that_is_named_exists() {
    let mut wrong = Vec::new();
    for page in pages() {
        for (line, text) in &page.prose {
            let spans = text.split('`').skip(1).step_by(2).filter_map(path_of);
            let missing = spans.filter(|path| !root().join(path).exists());
            wrong.extend(missing.map(|path| format!("{}:{line}: {}", page.name, path.display())));
        }
    }
    assert!(wrong.is_empty(), "named, and not there:\n{}", wrong.join("\n"));
}
