//! Identifies the executable that this process runs.

use std::os::unix::fs::MetadataExt;

/// Fingerprint of the running executable. Two processes with the same fingerprint run the same build.
///
/// Read from the file behind `/proc/self/exe`. It therefore stays correct when a new build overwrites the path.
#[must_use]
pub fn build_id() -> String {
    match std::fs::metadata("/proc/self/exe") {
        Ok(file) => format!("{:x}-{:x}-{:x}.{:x}", file.ino(), file.len(), file.mtime(), file.mtime_nsec()),
        Err(_) => format!("version-{}", env!("CARGO_PKG_VERSION")),
    }
}
