//! The folder a run writes into.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use crate::catalogue::cache_folder;
use crate::cli::outcome::CliError;

/// The folder of one run. Held by a lock, so that two runs do not write into one.
pub(super) struct RunFolder {
    path: PathBuf,
    /// Released when it is closed, however this process ends.
    _lock: File,
}

impl RunFolder {
    /// Opens `wanted`, or the default: `target/mcp-vigil/last` in a cargo project, else a folder of the cache.
    pub(super) fn open(wanted: Option<&Path>) -> Result<Self, CliError> {
        match wanted {
            Some(path) => Self::take(path)?.ok_or_else(|| {
                CliError::usage(format!(
                    "found another run writing into {}, expected a folder of its own",
                    path.display()
                ))
            }),
            None => {
                let base = default_base()?;
                // Another run may hold the last one's folder; then this one gets a folder by its pid.
                let own = base.join(format!("run-{}", std::process::id()));
                Self::take(&base.join("last"))?
                    .map_or_else(|| Self::take(&own)?.ok_or_else(|| CliError::usage("found no free folder")), Ok)
            }
        }
    }

    fn take(path: &Path) -> Result<Option<Self>, CliError> {
        let failed = || CliError::system(path.display().to_string());
        fs::create_dir_all(path).map_err(failed())?;
        let lock = File::open(path).map_err(failed())?;
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
            return Ok(None);
        }
        // An old report must not be taken for this run's.
        match fs::remove_file(path.join("run.json")) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(failed()(error)),
            Ok(()) | Err(_) => Ok(Some(Self { path: path.to_path_buf(), _lock: lock })),
        }
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// An empty folder for a plan.
    pub(super) fn plan_folder(&self, id: &str) -> std::io::Result<PathBuf> {
        let path = self.path.join(id);
        match fs::remove_dir_all(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        fs::create_dir_all(&path)?;
        // Absolute: the supervisor and the loader have working directories of their own.
        fs::canonicalize(path)
    }

    /// The line that runs a plan again.
    pub(super) fn repeat_line(&self, id: &str) -> String {
        format!("mcp-vigil replay {}", self.path.join(id).display())
    }
}

fn default_base() -> Result<PathBuf, CliError> {
    let here = std::env::current_dir().map_err(CliError::system("no working directory"))?;
    let project = here.ancestors().find(|folder| folder.join("Cargo.toml").is_file());
    match project {
        Some(project) if project == here => Ok(PathBuf::from("target").join("mcp-vigil")),
        Some(project) => Ok(project.join("target").join("mcp-vigil")),
        None => Ok(cache_folder()?),
    }
}
