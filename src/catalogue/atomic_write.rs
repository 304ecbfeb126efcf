//! Writes files atomically: a file appears whole or not at all.
//!
//! The crate tempfile does not replace this module: its `persist` leaves a temporary file behind when the process is killed,
//! and never removes one that an earlier process left.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, linkat, openat};

/// Writes a file, or replaces it. At every moment a reader finds the old file or the new one, whole.
///
/// Where the file system can, the new file has no name until it is whole. If no file has the name yet, the new file gets it
/// at once, so a killed process leaves nothing behind. The system cannot replace an existing file by an unnamed one, not even
/// with `renameat2`: the new file first gets a hidden name, `.NAME.PID-N.partial`, and then replaces the old one. A process
/// that is killed between the two leaves the hidden file. The next writer of the same file removes it.
///
/// # Errors
/// When the file cannot be written.
pub fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    match write_unnamed(path, bytes) {
        Err(error) if matches!(error.kind(), io::ErrorKind::Unsupported | io::ErrorKind::IsADirectory) => {
            write_renamed(path, bytes)
        }
        result => result,
    }
}

/// Makes or replaces a symbolic link. A reader finds the old target or the new one, never none.
///
/// # Errors
/// When the link cannot be made, for example because a folder has its name.
pub(super) fn link_whole(path: &Path, target: &Path) -> io::Result<()> {
    if fs::read_link(path).is_ok_and(|found| found == target) {
        return Ok(());
    }
    replace(path, |hidden| std::os::unix::fs::symlink(target, hidden))
}

fn write_unnamed(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = folder_of(path);
    let file = openat(CWD, folder, OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC, Mode::from_raw_mode(0o644))?;
    let mut file = File::from(file);
    file.write_all(bytes)?;
    let unnamed = format!("/proc/self/fd/{}", file.as_raw_fd());
    let name = |path: &Path| linkat(CWD, &unnamed, CWD, path, AtFlags::SYMLINK_FOLLOW);
    match name(path) {
        Err(rustix::io::Errno::EXIST) => replace(path, |hidden| Ok(name(hidden)?)),
        result => Ok(result?),
    }
}

/// For file systems without unnamed files.
fn write_renamed(path: &Path, bytes: &[u8]) -> io::Result<()> {
    replace(path, |hidden| fs::write(hidden, bytes))
}

/// Makes a file under a hidden name that no other writer uses, and renames it.
fn replace(path: &Path, make: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
    static N_WRITTEN: AtomicU64 = AtomicU64::new(0);
    remove_leftovers(path);
    let number = N_WRITTEN.fetch_add(1, Ordering::Relaxed);
    let hidden = path.with_file_name(format!("{}{}-{number}{PARTIAL}", hidden_prefix(path), std::process::id()));
    let result = make(&hidden).and_then(|()| fs::rename(&hidden, path));
    if result.is_err() {
        // The hidden file would be of no use. The caller gets the first error.
        let _ = fs::remove_file(&hidden);
    }
    result
}

/// End of every hidden name.
const PARTIAL: &str = ".partial";

/// Removes the hidden files of writers that were killed. If that fails, a superfluous file stays.
fn remove_leftovers(path: &Path) {
    let prefix = hidden_prefix(path);
    for entry in fs::read_dir(folder_of(path)).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let writer = name.strip_prefix(&prefix).and_then(|rest| rest.strip_suffix(PARTIAL)?.split_once('-'));
        let Some((pid, _)) = writer else { continue };
        if pid.parse::<u32>().is_ok_and(|pid| !Path::new("/proc").join(pid.to_string()).exists()) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn hidden_prefix(path: &Path) -> String {
    format!(".{}.", path.file_name().unwrap_or_default().to_string_lossy())
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_written_and_replaced_by_both_ways() {
        for write in [write_unnamed, write_renamed] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("report.json");
            write(&path, b"first").unwrap();
            write(&path, b"second").unwrap();
            assert_eq!(fs::read(&path).unwrap(), b"second");
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        }
    }

    #[test]
    fn a_link_is_made_and_replaced_and_a_folder_in_its_place_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("node_modules");
        for target in ["a", "b", "b"] {
            link_whole(&path, Path::new(target)).unwrap();
            assert_eq!(fs::read_link(&path).unwrap(), Path::new(target));
        }
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(link_whole(&path, Path::new("a")).is_err());
        assert!(path.is_dir());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn the_hidden_file_of_a_killed_writer_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.json");
        fs::write(&path, b"old").unwrap();
        // No process has a pid as large: the kernel's bound is 4194304.
        fs::write(path.with_file_name(".report.json.4194305-7.partial"), b"of a killed process").unwrap();
        write_whole(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_that_cannot_be_put_in_place_leaves_nothing() {
        for write in [write_unnamed, write_renamed] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("report.json");
            fs::create_dir(&path).unwrap();
            assert!(write(&path, b"a file cannot replace a folder").is_err());
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        }
    }

    #[test]
    fn a_file_that_is_replaced_by_several_is_whole_at_every_moment() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.json");
        // Longer than a page, so that a torn write would show.
        let texts: Vec<Vec<u8>> = (b'a'..=b'd').map(|letter| vec![letter; 20_000]).collect();
        write_whole(&path, &texts[0]).unwrap();
        std::thread::scope(|scope| {
            for text in &texts {
                scope.spawn(|| (0..50).for_each(|_| write_whole(&path, text).unwrap()));
            }
            for _ in 0..500 {
                let found = fs::read(&path).unwrap();
                assert!(texts.contains(&found), "{} bytes", found.len());
            }
        });
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
