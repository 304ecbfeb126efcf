//! A spare folder for a results folder that accepts no files: a plan gets its verdict even if the disk is full.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::io::Errno;

/// Bytes of the file by which a folder shows that it takes files.
const PROBE_BYTES: usize = 64 << 10;
/// The folder of a file system in memory.
const IN_MEMORY: &str = "/dev/shm";

/// A folder among the temporary files. Dropping it removes it.
#[derive(Debug)]
pub(in crate::run) struct SpareFolder(PathBuf);

impl SpareFolder {
    /// Makes a folder that takes files.
    ///
    /// # Errors
    /// When there is no room among the temporary files either.
    pub(in crate::run) fn new() -> io::Result<Self> {
        let in_memory = || Self::below(Path::new(IN_MEMORY));
        Self::below(&std::env::temp_dir()).or_else(|error| in_memory().map_err(|_| error))
    }

    fn below(base: &Path) -> io::Result<Self> {
        static N_MADE: AtomicU64 = AtomicU64::new(0);
        let number = N_MADE.fetch_add(1, Ordering::Relaxed);
        let path = base.join(format!("mcp-lifecheck-{}-{number}", std::process::id()));
        fs::DirBuilder::new().mode(0o700).create(&path)?;
        let spare = Self(path);
        probe(&spare.0)?;
        Ok(spare)
    }

    pub(in crate::run) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for SpareFolder {
    fn drop(&mut self) {
        // Files that cannot be removed remain in the folder for temporary files.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Whether an error says that a disk, a quota, a limit or a file system takes no more.
pub(in crate::run) fn is_full(error: &io::Error) -> bool {
    let full = [Errno::NOSPC, Errno::DQUOT, Errno::ROFS, Errno::FBIG].map(Errno::raw_os_error);
    error.raw_os_error().is_some_and(|code| full.contains(&code))
}

/// Writes a file into a folder and removes it.
///
/// # Errors
/// When the folder does not take it.
pub(in crate::run) fn probe(folder: &Path) -> io::Result<()> {
    let path = folder.join(format!(".{}.probe", std::process::id()));
    let written = File::create(&path).and_then(|mut file| file.write_all(&[0; PROBE_BYTES]));
    // Without room for the file there may be none to remove.
    let _ = fs::remove_file(&path);
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spare_folder_takes_files_and_goes_with_its_owner() {
        let spare = SpareFolder::new().unwrap();
        let path = spare.path().to_path_buf();
        fs::write(path.join("x"), "x").unwrap();
        drop(spare);
        assert!(!path.exists());
    }

    #[test]
    fn only_errors_about_room_count_as_full() {
        let of = |errno: Errno| io::Error::from(errno);
        assert!([Errno::NOSPC, Errno::DQUOT, Errno::ROFS, Errno::FBIG].into_iter().all(|errno| is_full(&of(errno))));
        assert!(![Errno::NOENT, Errno::ACCESS, Errno::NOTDIR].into_iter().any(|errno| is_full(&of(errno))));
        assert!(probe(Path::new("/proc")).is_err());
    }
}
