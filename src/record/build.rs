//! Which executable this process runs.

use std::os::unix::fs::MetadataExt;

/// A fingerprint of the running executable: two processes with the same one run the same build.
///
/// Taken from the file behind `/proc/self/exe`, so that it stays true when the path is overwritten by a new build.
#[must_use]
pub fn build_id() -> String {
    match std::fs::metadata("/proc/self/exe") {
        Ok(file) => format!("{:x}-{:x}-{:x}.{:x}", file.ino(), file.len(), file.mtime(), file.mtime_nsec()),
        Err(_) => format!("version-{}", env!("CARGO_PKG_VERSION")),
    }
}
