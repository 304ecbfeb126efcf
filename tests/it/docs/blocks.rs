//! Every block of code is of a known kind, and is what it says.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use mcp_lifecheck::history::read_trace;
use mcp_lifecheck::plan::{Baseline, Descriptor, HostPlan, InputError, Scenario};
use mcp_lifecheck::script::Script;

use super::page::{Block, pages};
use crate::rig::{files, root};

/// Why a block is not what its info string says.
fn wrong(block: &Block) -> Option<String> {
    let marks: Vec<&str> = block.marks.iter().map(String::as_str).collect();
    let text = block.text.as_str();
    match (block.language.as_str(), marks.as_slice()) {
        // Pictures, output, and commands, which have tests of their own.
        ("" | "text", []) => None,
        ("sh", []) => None,
        ("sh", [mark]) if *mark == "parse-only" || mark.starts_with("exit-") => None,
        ("toml", ["scenario"]) => scenario(text).err().map(|error| error.to_string()),
        ("toml", ["script"]) => Script::from_toml("shown", "shown.toml", text).err().map(|error| error.to_string()),
        ("toml", ["loader"]) => Descriptor::from_toml("shown.toml", text).err().map(|error| error.to_string()),
        ("toml", ["plan"]) => HostPlan::from_toml("shown", "shown.toml", text).err().map(|error| error.to_string()),
        ("toml", ["suite"]) => unlike_shipped(text, "fixtures/suites"),
        ("toml", ["client"]) => unlike_shipped(text, "fixtures/client"),
        ("toml", ["cargo"]) => text.parse::<toml::Table>().err().map(|error| error.to_string()),
        ("yaml", ["baseline"]) => Baseline::from_text("shown.yaml", text).err().map(|error| error.to_string()),
        ("json", []) => text.lines().find_map(not_json),
        ("json", ["trace"]) => read_trace("shown.jsonl", text).err().map(|error| error.to_string()),
        ("rust", ["example"]) => not_part_of(text, "examples", "rs"),
        ("rust", ["specimen"]) => not_part_of(text, SPECIMENS, "rs"),
        ("python", []) => not_part_of(text, "examples", "py"),
        ("js", []) => not_part_of(text, "examples", "mjs"),
        _ => Some("a block of this kind is not tested; see tests/it/docs/blocks.rs".to_owned()),
    }
}

/// Reads a scenario with its own scripts.
fn scenario(text: &str) -> Result<(), InputError> {
    let scenario = Scenario::from_toml("shown", "shown.toml", text)?;
    scenario.scripts.iter().try_for_each(|own| Script::from_scenario(own, "shown.toml").map(drop))
}

/// Where the broken loaders are.
const SPECIMENS: &str = "crates/specimens/src/broken";

/// A line may have an arrow before it, which says who sends it.
fn not_json(line: &str) -> Option<String> {
    let line = line.trim_start_matches(['→', '←', ' ']);
    serde_json::from_str::<serde_json::Value>(line).err().map(|error| format!("{line}: {error}"))
}

/// Keys that no shipped file of this folder has.
fn unlike_shipped(text: &str, folder: &str) -> Option<String> {
    let read = |text: &str| text.parse::<toml::Table>().map_err(|error| error.to_string());
    let shown = match read(text) {
        Ok(table) => table,
        Err(error) => return Some(error),
    };
    let shipped = fs::read_dir(root().join(folder)).unwrap().flatten().map(|entry| entry.path());
    let shipped = shipped.filter(|path| path.extension().is_some_and(|extension| extension == "toml"));
    let known: BTreeSet<String> =
        shipped.flat_map(|path| read(&fs::read_to_string(path).unwrap()).unwrap()).map(|(key, _)| key).collect();
    shown.keys().find(|key| !known.contains(*key)).map(|key| format!("no file in {folder} has the key {key:?}"))
}

/// The block must stand, word for word, in a file that is compiled or run.
fn not_part_of(text: &str, folder: &str, extension: &str) -> Option<String> {
    let is_source = |path: &Path| path.extension().is_some_and(|found| found == extension);
    let sources = files(&root().join(folder)).into_iter().filter(|path| is_source(path));
    let is_there = sources.into_iter().any(|path| fs::read_to_string(path).unwrap_or_default().contains(text));
    (!is_there).then(|| format!("no .{extension} file below {folder} has this text:\n{text}"))
}

#[test]
fn every_block_is_what_it_says() {
    let pages = pages();
    let blocks = pages.iter().flat_map(|page| page.blocks.iter().map(move |block| (page, block)));
    let wrong = blocks.filter_map(|(page, block)| Some(format!("{}:{}: {}", page.name, block.line, wrong(block)?)));
    let wrong: Vec<String> = wrong.collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
