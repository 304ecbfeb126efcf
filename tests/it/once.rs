//! Runs that several tests look at. The first test that needs one does it, and the others take what came of it.
//!
//! All tests of this binary are one process. A test that runs alone does the run itself.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use crate::rig::{Ran, Rig, files};
use crate::stability::LIMIT;

/// How long anything may outlive such a run.
const LEFT_LIMIT: Duration = Duration::from_secs(6);

/// What came of a run.
struct Kept {
    ran: Ran,
    /// The files that it left, by their paths in the folder of its results.
    files: BTreeMap<PathBuf, Vec<u8>>,
}

/// What came of `run` with these arguments, which left no process behind, and a rig that has the files it left.
pub fn once(arguments: &[&str]) -> (Rig, &'static Ran) {
    static RUNS: Mutex<BTreeMap<Vec<String>, &'static OnceLock<Kept>>> = Mutex::new(BTreeMap::new());
    let key = arguments.iter().map(|argument| (*argument).to_owned()).collect();
    // It stays until the process ends, as any other static does.
    let cell = *RUNS.lock().unwrap().entry(key).or_insert_with(|| Box::leak(Box::default()));
    // The first one does it while others wait for this run alone. A run that panics is done again by the next one.
    let kept = cell.get_or_init(|| kept(arguments));
    let rig = Rig::new();
    for (path, bytes) in &kept.files {
        let path = rig.out().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    (rig, &kept.ran)
}

fn kept(arguments: &[&str]) -> Kept {
    let rig = Rig::new();
    let ran = rig.finish_within(rig.run_command(arguments), LIMIT);
    rig.assert_nothing_left(LEFT_LIMIT);
    let out = rig.out();
    let read = |path: PathBuf| (path.strip_prefix(&out).unwrap().to_owned(), fs::read(&path).unwrap());
    Kept { ran, files: files(&out).into_iter().map(read).collect() }
}
