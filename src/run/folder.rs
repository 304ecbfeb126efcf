//! The results folder of a run.

use std::fs::{self, File};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use crate::catalogue::cache_folder;
use crate::report::remove_stale;
use crate::run::RunError;

/// The results folder of one run. A lock on it keeps a second run out.
pub struct RunFolder {
    path: PathBuf,
    /// The system releases the lock when this process ends in any way.
    _lock: File,
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
        let failed = || RunError::system(path.display().to_string());
        fs::create_dir_all(path).map_err(failed())?;
        let lock = File::open(path).map_err(failed())?;
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
            return Ok(None);
        }
        // An old report must not pass for one of this run.
        remove_stale(path).map_err(failed())?;
        Ok(Some(Self { path: path.to_path_buf(), _lock: lock }))
    }

    /// The path of the folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes an empty folder for a plan, directly in this one.
    pub fn plan_folder(&self, id: &str) -> std::io::Result<PathBuf> {
        if !is_one_name(id) {
            let message = format!("found plan id {id:?}, expected one that is the name of a folder");
            return Err(std::io::Error::new(std::io::ErrorKind::InvalidInput, message));
        }
        let path = self.path.join(id);
        match fs::remove_dir_all(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        fs::create_dir_all(&path)?;
        // Absolute, because the supervisor and the loader have other working directories.
        fs::canonicalize(path)
    }
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
