//! The regression files of an exploration: lives that showed a finding, as scenario files beside the source of the test.

use std::fs;
use std::io;
use std::panic::Location;
use std::path::{Path, PathBuf};

use crate::catalogue::write_whole;
use crate::explore::Found;
use crate::loader::registered::Registered;
use crate::plan::InputError;
use crate::run::select::scenario_file;
use crate::run::{Chosen, RunError};

/// The folder beside the source of a test.
const FOLDER: &str = "mcp-lifecheck-regressions";
/// Most files of one loader in one test file. Each takes the time of a life in every run of the test.
const FILES_MAX: usize = 256;
/// Most bytes of a regression file. The smallest lives have about 500.
const BYTES_MAX: u64 = 64 << 10;
/// Longest name of a file, without its number and its extension.
const NAME_CHARS_MAX: usize = 80;

/// The regression files of one loader in one test file.
pub(super) struct Regressions {
    folder: PathBuf,
    /// The source file of the test.
    source: &'static str,
}

impl Regressions {
    /// Those in `wanted`, or beside the source file of the caller.
    ///
    /// # Errors
    /// `Usage` when that file is not on this machine: a test that found no regression file would pass without having run one.
    pub(super) fn of(
        wanted: Option<&Path>,
        loader: &Registered,
        caller: &'static Location<'static>,
    ) -> Result<Self, RunError> {
        let source = caller.file();
        if let Some(folder) = wanted {
            return Ok(Self { folder: folder.to_path_buf(), source });
        }
        let here = std::env::current_dir().map_err(RunError::system("no working directory"))?;
        let of_package = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
        let starts = of_package.into_iter().chain([here.clone(), PathBuf::from(loader.folder())]);
        let found = starts.into_iter().find_map(|start| source_below(&start, source)).ok_or_else(|| {
            RunError::usage(format!(
                "found no file {source} in {} or a folder above it, expected the source of the test, beside which regression \
                 files are kept: name a folder with `regressions`",
                here.display()
            ))
        })?;
        let stem = found.file_stem().unwrap_or_default();
        let beside = found.parent().unwrap_or(Path::new("")).join(FOLDER).join(stem).join(loader.name());
        let folder = beside.strip_prefix(&here).map(Path::to_path_buf).unwrap_or(beside);
        Ok(Self { folder, source })
    }

    /// Reads every file, in the order of their names.
    ///
    /// # Errors
    /// With the position of the defect in a damaged file; or when there are too many files.
    pub(super) fn kept(&self) -> Result<Vec<Chosen>, RunError> {
        self.files()?.iter().map(|path| read(path)).collect()
    }

    /// The file of a life, by its name.
    pub(super) fn file_of(&self, name: &str) -> String {
        self.folder.join(format!("{name}.toml")).display().to_string()
    }

    fn files(&self) -> Result<Vec<PathBuf>, RunError> {
        let shown = self.folder.display().to_string();
        let entries = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(RunError::system(&shown))?,
        };
        let mut files = Vec::new();
        for entry in entries {
            let path = entry.map_err(RunError::system(&shown))?.path();
            if path.extension().is_some_and(|extension| extension == "toml") {
                files.push(path);
            }
            if files.len() > FILES_MAX {
                let message = format!("found more than {FILES_MAX} regression files, expected at most that many");
                return Err(InputError::whole(&shown, message).into());
            }
        }
        files.sort();
        Ok(files)
    }

    /// The text of the file for a finding: its smallest life.
    pub(super) fn text_of(&self, found: &Found, seed: u64) -> String {
        let row = &found.row;
        let comment = format!(
            "{} of {}: {} of {} repeats show it. Found in life {} (seed {seed}).\nThe exploration in {} runs this life before it \
             draws others. Commit this file.",
            row.signature,
            row.loader,
            row.again,
            row.repeats,
            row.first,
            // The path would be one of this machine where the package is no member of a workspace.
            Path::new(self.source).file_name().unwrap_or_default().to_string_lossy()
        );
        found.life.to_toml(&comment)
    }

    /// Keeps the text of a finding. Returns its file: a new one, unless one has the same text.
    pub(super) fn keep(&self, signature: &str, text: &str) -> Result<PathBuf, RunError> {
        let files = self.files()?;
        let shown = self.folder.display().to_string();
        if let Some(same) = files.iter().find(|path| fs::read_to_string(path).is_ok_and(|known| known == text)) {
            return Ok(same.clone());
        }
        let name = file_name(signature);
        let names = std::iter::once(name.clone()).chain((2..=FILES_MAX).map(|number| format!("{name}-{number}")));
        let mut paths = names.map(|name| self.folder.join(name + ".toml"));
        let path = paths.find(|path| !files.contains(path)).filter(|_| files.len() < FILES_MAX).ok_or_else(|| {
            let message = format!("found {FILES_MAX} regression files, expected room for another one");
            InputError::whole(&shown, message)
        })?;
        fs::create_dir_all(&self.folder).map_err(RunError::system(&shown))?;
        write_whole(&path, text.as_bytes()).map_err(RunError::system(path.display().to_string()))?;
        Ok(path)
    }
}

/// The source file of a test, from a folder of its package.
///
/// The compiler names a source file from the folder in which cargo starts it, which is the root of the workspace. So the file is
/// below the package or below one of the folders above it.
fn source_below(start: &Path, source: &str) -> Option<PathBuf> {
    start.ancestors().map(|folder| folder.join(source)).find(|path| path.is_file())
}

fn read(path: &Path) -> Result<Chosen, RunError> {
    let n_bytes = fs::metadata(path).map_or(0, |facts| facts.len());
    if n_bytes > BYTES_MAX {
        let message = format!("found {n_bytes} bytes, expected at most {BYTES_MAX} in a regression file");
        return Err(InputError::whole(&path.display().to_string(), message).into());
    }
    scenario_file(path)
}

/// A name for the file of a finding, which is the name of a scenario as well.
fn file_name(signature: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '-' };
    let name: String = signature.chars().map(plain).take(NAME_CHARS_MAX).collect();
    let name = name.trim_matches('-');
    if name.is_empty() { "finding".to_owned() } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept_in(folder: &Path) -> Regressions {
        Regressions { folder: folder.join("a/b"), source: "tests/mine.rs" }
    }

    const LIFE: &str =
        "about = \"x\"\nservers = [{ name = \"files\", script = \"polite\" }]\n[[step]]\ndo = \"load\"\n";

    #[test]
    fn a_kept_life_has_a_file_of_its_own_and_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let regressions = kept_in(folder.path());
        assert!(regressions.kept().unwrap().is_empty());
        let keep = |signature, text: &str| regressions.keep(signature, text).unwrap();
        let first = keep("nothing-survives/server files", LIFE);
        assert!(first.ends_with("a/b/nothing-survives-server-files.toml"), "{}", first.display());
        let other = keep("nothing-survives/server files", &format!("# another\n{LIFE}"));
        assert!(other.ends_with("a/b/nothing-survives-server-files-2.toml"), "{}", other.display());
        assert_eq!(keep("closed-once/x", LIFE), first, "the same life is kept once");
        let names: Vec<_> = regressions.kept().unwrap().into_iter().map(|chosen| chosen.scenario.name).collect();
        assert_eq!(names, ["nothing-survives-server-files-2", "nothing-survives-server-files"]);
    }

    #[test]
    fn a_damaged_file_has_its_position_and_what_was_expected() {
        let folder = tempfile::tempdir().unwrap();
        let regressions = kept_in(folder.path());
        let path = regressions.keep("a/b", &LIFE.replace("\"load\"", "\"laod\"")).unwrap();
        let error = regressions.kept().unwrap_err().to_string();
        let start = format!("{}:4:", path.display());
        assert!(error.starts_with(&start) && error.contains("expected"), "{error}");
        assert!(error.ends_with("did you mean \"load\"?"), "{error}");
        fs::write(&path, "#".repeat(1 << 17)).unwrap();
        let error = regressions.kept().unwrap_err().to_string();
        assert!(error.contains("found 131072 bytes, expected at most 65536"), "{error}");
    }

    #[test]
    fn more_files_than_a_test_should_run_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let regressions = kept_in(folder.path());
        (0..FILES_MAX).for_each(|number| drop(regressions.keep("a", &format!("# {number}\n{LIFE}")).unwrap()));
        assert_eq!(regressions.kept().unwrap().len(), FILES_MAX);
        assert!(regressions.keep("a", "# one more").unwrap_err().to_string().contains("expected room"));
        fs::write(folder.path().join("a/b/own.toml"), LIFE).unwrap();
        assert!(regressions.kept().unwrap_err().to_string().contains("expected at most that many"));
    }

    #[test]
    fn the_source_of_a_test_is_found_from_its_package_and_from_its_workspace() {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        assert_eq!(source_below(&here.join("crates/cli"), file!()), Some(here.join(file!())));
        assert_eq!(source_below(here, "tests/nothing-of-that-name.rs"), None);
        assert_eq!(file_name("../.."), "finding");
    }
}
