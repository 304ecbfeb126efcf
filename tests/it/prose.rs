//! Banned phrases: `tests/banned-phrases.txt` lists them, and no text of the project has one.
//!
//! Texts are documentation, comments, messages, help, names and the texts in data files.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::rig::{files, root};

const PHRASES: &str = include_str!("../banned-phrases.txt");
/// Folders and files of the project that have texts, relative to its root.
const PLACES: [&str; 16] = [
    ".ci",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Cargo.toml",
    "README.md",
    "adapters",
    "benches",
    "build.rs",
    "crates",
    "docs",
    "examples",
    "fixtures",
    "mock-servers",
    "src",
    "tests",
];
/// Files that quote the phrases.
const QUOTING: [&str; 2] = ["tests/banned-phrases.txt", "tests/it/prose.rs"];
/// Names of folders with files of others.
const FOREIGN: [&str; 3] = ["node_modules", "target", "__pycache__"];
/// Endings of files with texts; a file without an ending is a shell script.
const ENDINGS: [&str; 9] = ["md", "mjs", "mts", "py", "pyi", "rs", "toml", "txt", "yaml"];

/// Words of a text in lower case, each with its line.
fn words(text: &str) -> Vec<(usize, String)> {
    let mut words = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let parts = line.split(|c: char| !c.is_ascii_alphanumeric() && c != '\'').filter(|word| !word.is_empty());
        words.extend(parts.map(|word| (index + 1, word.to_ascii_lowercase())));
    }
    words
}

/// The banned phrases by their first words: of most words of a text no phrase begins.
fn banned() -> BTreeMap<&'static str, Vec<Vec<&'static str>>> {
    let lines = PHRASES.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let mut banned = BTreeMap::<_, Vec<_>>::new();
    for phrase in lines.map(|line| line.split(' ').collect::<Vec<_>>()) {
        banned.entry(phrase[0]).or_default().push(phrase);
    }
    banned
}

/// Banned phrases of a text, each with its line.
fn found(text: &str) -> Vec<(usize, String)> {
    let (words, banned) = (words(text), banned());
    let starts = |at: usize, phrase: &[&str]| {
        words.len() >= at + phrase.len() && phrase.iter().zip(&words[at..]).all(|(wanted, (_, word))| wanted == word)
    };
    let of_word = |at: usize| banned.get(words[at].1.as_str()).into_iter().flatten();
    let at = |at: usize| of_word(at).filter(move |phrase| starts(at, phrase)).map(move |phrase| (at, phrase.join(" ")));
    (0..words.len()).flat_map(at).map(|(at, phrase)| (words[at].0, phrase)).collect()
}

/// Every file of the project that has texts.
fn texts() -> Vec<PathBuf> {
    let root = root();
    let all = PLACES.iter().map(|place| root.join(place)).flat_map(|place| match place.is_dir() {
        true => files(&place),
        false => vec![place],
    });
    let is_text = |path: &PathBuf| path.extension().is_none_or(|end| ENDINGS.iter().any(|known| end == *known));
    let is_ours = |path: &PathBuf| {
        let inner = path.strip_prefix(&root).unwrap();
        !QUOTING.iter().any(|path| inner == Path::new(path))
            && !inner.iter().any(|part| FOREIGN.iter().any(|name| part == *name))
    };
    all.filter(|path| path.is_file()).filter(is_text).filter(is_ours).collect()
}

#[test]
fn no_text_has_a_banned_phrase() {
    let (root, mut lines, mut counts) = (root(), Vec::new(), BTreeMap::new());
    for path in texts() {
        let inner = path.strip_prefix(&root).unwrap().display().to_string();
        for (line, phrase) in found(&fs::read_to_string(&path).unwrap_or_default()) {
            lines.push(format!("{inner}:{line}: {phrase}"));
            *counts.entry(phrase).or_insert(0) += 1;
        }
    }
    assert!(lines.is_empty(), "{}\n{} banned phrases: {counts:?}", lines.join("\n"), lines.len());
}

#[test]
fn a_phrase_is_found_over_line_ends_and_in_names() {
    let text = "/// It can\n/// not be read.\nfn a_file_that_can_not_be_read() {}\n/// It cannot, and scanned notes are no match.\n";
    assert_eq!(found(text), [(1, "can not".to_owned()), (3, "can not".to_owned())]);
}
