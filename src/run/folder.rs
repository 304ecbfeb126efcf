//! The results folder of a run.

use std::fs::{self, File};
use std::io;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use crate::catalogue::cache_folder;
use crate::report::remove_stale;
use crate::run::RunError;
use crate::run::spare::{SpareFolder, is_full, probe};

/// The results folder of one run. A lock on it keeps a second run out.
pub struct RunFolder {
    path: PathBuf,
    /// The system releases the lock when this process ends in any way. None where the folder could not be made.
    _lock: Option<File>,
    /// The spare folder for the files of the run, and the reason for it.
    spare: Option<(SpareFolder, String)>,
}

impl RunFolder {
    /// Opens `wanted`, or the default: `target/mcp-lifecheck/last` in a cargo project, else a folder of the cache.
    pub fn open(wanted: Option<&Path>) -> Result<Self, RunError> {
        match wanted {
            Some(path) => Self::take(path)?.ok_or_else(|| {
                RunError::usage(format!(
                    "found another run writing into {}, expected a folder of its own",
                    path.display()
                ))
            }),
            None => {
                let base = Self::usual_base()?;
                // If another run holds the folder, this run gets one that is named by its pid.
                let own = base.join(format!("run-{}", std::process::id()));
                Self::take(&base.join("last"))?
                    .map_or_else(|| Self::take(&own)?.ok_or_else(|| RunError::usage("found no free folder")), Ok)
            }
        }
    }

    /// Opens the folder of a command: `wanted`, or `name` below the [usual base](Self::usual_base).
    pub fn of_command(wanted: Option<&Path>, name: &str) -> Result<Self, RunError> {
        match wanted {
            Some(path) => Self::open(Some(path)),
            None => Self::open_below(&Self::usual_base()?, name),
        }
    }

    /// Opens `base/name`, or `base/name-PID` if another process holds the first.
    pub fn open_below(base: &Path, name: &str) -> Result<Self, RunError> {
        let own = base.join(format!("{name}-{}", std::process::id()));
        Self::take(&base.join(name))?.map_or_else(|| Self::open(Some(&own)), Ok)
    }

    /// The parent of default folders: below `target` in a cargo project, otherwise in the cache.
    pub fn usual_base() -> Result<PathBuf, RunError> {
        default_base()
    }

    fn take(path: &Path) -> Result<Option<Self>, RunError> {
        match fs::create_dir_all(path) {
            Err(error) if is_full(&error) => return Self::in_place_of(path, None, &error).map(Some),
            made => made.map_err(|error| unusable(path, &error))?,
        }
        let lock = File::open(path).map_err(|error| unusable(path, &error))?;
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
            return Ok(None);
        }
        // An old report must not pass for one of this run.
        match remove_stale(path).and_then(|()| probe(path)) {
            Ok(()) => Ok(Some(Self { path: path.to_path_buf(), _lock: Some(lock), spare: None })),
            Err(error) if is_full(&error) => Self::in_place_of(path, Some(lock), &error).map(Some),
            Err(error) => Err(unusable(path, &error)),
        }
    }

    /// A spare folder where `path` takes no files, so that the run gets its verdicts. Without room anywhere, `path` itself.
    fn in_place_of(path: &Path, lock: Option<File>, error: &io::Error) -> Result<Self, RunError> {
        let because = format!("{}: {error}", path.display());
        let spare = match SpareFolder::new() {
            Ok(spare) => Some((spare, because)),
            Err(_) if lock.is_some() => None,
            Err(_) => {
                return Err(RunError::usage(format!("{because}; expected room for results: choose another --out")));
            }
        };
        Ok(Self { path: path.to_path_buf(), _lock: lock, spare })
    }

    /// The path of the folder.
    pub fn path(&self) -> &Path {
        self.spare.as_ref().map_or(&self.path, |(spare, _)| spare.path())
    }

    /// Why nothing is kept of the run, if its folder takes no files.
    pub fn lost(&self) -> Option<&str> {
        self.spare.as_ref().map(|(_, because)| because.as_str())
    }

    /// Makes an empty folder for a plan, directly in this one.
    pub fn plan_folder(&self, id: &str) -> std::io::Result<PathBuf> {
        if !is_one_name(id) {
            let message = format!("found plan id {id:?}, expected one that is the name of a folder");
            return Err(std::io::Error::new(std::io::ErrorKind::InvalidInput, message));
        }
        let path = self.path().join(id);
        match fs::remove_dir_all(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        fs::create_dir_all(&path)?;
        // Absolute, because the supervisor and the loader have other working directories.
        fs::canonicalize(path)
    }
}

/// The error for a folder that cannot be used, with the first part of its path that is not a folder.
pub(in crate::run) fn unusable(path: &Path, error: &io::Error) -> RunError {
    let is_folder = |part: &Path| part.is_dir();
    let is_there = |part: &Path| part.symlink_metadata().is_ok();
    let wrong = path.ancestors().find(|part| is_there(part) && !is_folder(part));
    let found = match wrong {
        Some(part) if part == path => "found something that is not a folder".to_owned(),
        Some(part) => format!("found {}, which is not a folder", part.display()),
        None => format!("found a folder that cannot be written ({error})"),
    };
    RunError::usage(format!(
        "{}: {found}, expected a folder for the results: choose another one with --out",
        path.display()
    ))
}

/// Whether a text names a direct child of a folder.
fn is_one_name(text: &str) -> bool {
    let mut parts = Path::new(text).components();
    matches!((parts.next(), parts.next()), (Some(Component::Normal(name)), None) if name == text)
}

fn default_base() -> Result<PathBuf, RunError> {
    let here = std::env::current_dir().map_err(RunError::system("no working directory"))?;
    let project = here.ancestors().find(|folder| folder.join("Cargo.toml").is_file());
    match project {
        Some(project) if project == here => Ok(PathBuf::from("target").join("mcp-lifecheck")),
        Some(project) => Ok(project.join("target").join("mcp-lifecheck")),
        None => Ok(cache_folder()?),
    }
}

#[cfg(test)]
mod tests {
    use super::{RunFolder, is_one_name};
    use crate::report::FORMATS;

    #[test]
    fn an_opened_folder_has_no_report_of_an_earlier_run() {
        let folder = tempfile::tempdir().unwrap();
        let reports = FORMATS.iter().map(|format| folder.path().join(format.file));
        reports.clone().for_each(|report| std::fs::write(report, "old").unwrap());
        RunFolder::open(Some(folder.path())).unwrap();
        assert!(reports.clone().all(|report| !report.exists()));
    }

    #[test]
    fn only_a_name_right_inside_a_folder_is_one() {
        assert!(is_one_name("load-call-close.reference.stdio.2025-11-25.polite"));
        for other in ["", ".", "..", "/", "/etc", "a/b", "a/", "./a", "../a", "a/.."] {
            assert!(!is_one_name(other), "{other:?}");
        }
    }
}
