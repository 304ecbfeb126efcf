//! A page of Markdown: its lines outside blocks, its headings, its blocks of code.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::rig::{files, root};

/// Pages outside the book, relative to the root.
const TOP: &[&str] = &[
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "examples/README.md",
    "fixtures/README.md",
    "adapters/PROTOCOL.md",
];

/// One page.
pub struct Page {
    /// Relative to the root of the repository.
    pub name: String,
    /// Lines outside blocks of code, with their numbers.
    pub prose: Vec<(usize, String)>,
    pub blocks: Vec<Block>,
}

/// A block of code.
pub struct Block {
    /// Number of its first line.
    pub line: usize,
    /// The first word of its info string, such as `sh`.
    pub language: String,
    /// The other words, such as `parse-only`.
    pub marks: Vec<String>,
    pub text: String,
}

/// The folder of the book's pages.
pub fn book() -> PathBuf {
    root().join("docs/src")
}

/// Every page: those of the book first.
pub fn pages() -> Vec<Page> {
    let mut paths = files(&book());
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
    paths.sort();
    paths.extend(TOP.iter().map(|name| root().join(name)));
    paths.iter().map(|path| Page::read(path)).collect()
}

impl Page {
    /// Reads a page, with the files that it includes.
    pub fn read(path: &Path) -> Self {
        let mut text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        while let Some((before, (included, after))) =
            text.split_once("{{#include ").and_then(|(before, rest)| Some((before, rest.split_once("}}")?)))
        {
            let other = path.parent().unwrap().join(included);
            let other = fs::read_to_string(&other).unwrap_or_else(|error| panic!("{}: {error}", other.display()));
            text = format!("{before}{other}{after}");
        }
        let name = path.strip_prefix(root()).unwrap().display().to_string();
        let (prose, blocks) = split(&text);
        Self { name, prose, blocks }
    }

    /// Whether it is part of the book.
    pub fn is_in_book(&self) -> bool {
        self.name.starts_with("docs/src/")
    }

    /// Anchors of its headings, as mdBook and GitHub make them.
    pub fn anchors(&self) -> BTreeSet<String> {
        let headings = self.prose.iter().filter_map(|(_, line)| line.strip_prefix('#'));
        headings.map(|line| anchor(line.trim_start_matches('#').trim())).collect()
    }
}

fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

fn split(text: &str) -> (Vec<(usize, String)>, Vec<Block>) {
    let (mut prose, mut blocks) = (Vec::new(), Vec::new());
    let mut open: Option<(usize, Block)> = None;
    for (index, line) in text.lines().enumerate() {
        let indent = line.len() - line.trim_start().len();
        let fence = line.trim_start().strip_prefix("```");
        match (open.take(), fence) {
            (None, None) => prose.push((index + 1, line.to_owned())),
            (None, Some(info)) => {
                let mut words = info.split(',').map(str::to_owned);
                let language = words.next().unwrap_or_default();
                let block = Block { line: index + 1, language, marks: words.collect(), text: String::new() };
                open = Some((indent, block));
            }
            (Some((_, block)), Some(_)) => blocks.push(block),
            (Some((indent, mut block)), None) => {
                block.text.push_str(line.get(indent..).unwrap_or_default());
                block.text.push('\n');
                open = Some((indent, block));
            }
        }
    }
    assert!(open.is_none(), "a block of code has no end:\n{text}");
    (prose, blocks)
}
