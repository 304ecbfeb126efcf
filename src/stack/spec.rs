//! Specs: packages that pip installs over a stack.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::hash::{DefaultHasher, Hash};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};
use std::{fs, io};

/// Folders in the root of a checkout that a build writes.
const BUILT: [&str; 2] = ["build", "dist"];
/// Folders anywhere in a checkout that are derived, or not part of the installation.
const DERIVED: [&str; 3] = ["__pycache__", "node_modules", "venv"];
/// Files in the root of a checkout that define an editable installation.
const PROJECT_FILES: [&str; 4] = ["pyproject.toml", "setup.py", "setup.cfg", "requirements.txt"];
/// Maximum number of files in a checkout.
const FILES_MAX: usize = 100_000;
const SECONDS_OF_A_DAY: u64 = 86_400;

/// One package for pip to install.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PipSpec {
    /// Name, version or URL in pip's syntax: `mcp==1.29.0`.
    Named(String),
    /// A folder, or an archive such as a wheel.
    Local(LocalSpec),
    /// A folder whose modules are imported in place.
    Editable(LocalSpec),
}

/// A folder or archive on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalSpec {
    /// Absolute path.
    pub path: PathBuf,
    /// Extras in pip's syntax: `[cli]`, or empty.
    pub extras: String,
}

/// Why a text is not a spec.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpecError {
    /// It is empty, or an option.
    #[error("found {found:?}, expected a package for pip: NAME==VERSION, a folder, a wheel, or -e FOLDER")]
    NoSpec {
        /// The text.
        found: String,
    },
    /// The path does not exist.
    #[error("found nothing to read at {path}, expected {expected}: {source}")]
    NoPath {
        /// The path.
        path: PathBuf,
        /// The expected kind of file.
        expected: &'static str,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// The path names something else.
    #[error("found {path}, expected {expected}")]
    OtherPath {
        /// The path.
        path: PathBuf,
        /// The expected kind of file.
        expected: &'static str,
    },
}

const CHECKOUT: &str = "a folder with a pyproject.toml or a setup.py";
const INSTALLABLE: &str = "a folder with a pyproject.toml or a setup.py, or a wheel or source archive";

impl PipSpec {
    /// Reads a spec. `-e PATH` means a checkout that stays in place.
    ///
    /// # Errors
    /// When the text is an option of pip, or a path that pip cannot install.
    pub fn parse(text: &str) -> Result<Self, SpecError> {
        let text = text.trim();
        if let Some(path) = text.strip_prefix("-e ").or_else(|| text.strip_prefix("--editable ")) {
            return Self::editable(path.trim());
        }
        if text.is_empty() || text.starts_with('-') || text.contains('\n') {
            return Err(SpecError::NoSpec { found: text.to_owned() });
        }
        match is_path(text) {
            true => Ok(Self::Local(LocalSpec::at(text, INSTALLABLE)?)),
            false => Ok(Self::Named(text.to_owned())),
        }
    }

    /// A spec for a checkout that stays in place.
    ///
    /// # Errors
    /// When there is no checkout at this path.
    pub fn editable(path: &str) -> Result<Self, SpecError> {
        let local = LocalSpec::at(path, CHECKOUT)?;
        match local.path.is_dir() {
            true => Ok(Self::Editable(local)),
            false => Err(SpecError::OtherPath { path: local.path, expected: CHECKOUT }),
        }
    }

    /// The arguments for pip, and for `--with` of `mcp-lifecheck`.
    #[must_use]
    pub fn words(&self) -> Vec<String> {
        match self {
            Self::Named(text) => vec![text.clone()],
            Self::Local(local) => vec![local.text()],
            Self::Editable(local) => vec!["-e".to_owned(), local.text()],
        }
    }

    /// Hashes the state that an installation depends on. Specs with equal hashes share one installation.
    ///
    /// A name without an exact version may resolve differently later. Its resolution is therefore valid for one day.
    ///
    /// # Errors
    /// When a checkout cannot be read.
    pub(super) fn hash_state(&self, hasher: &mut DefaultHasher) -> io::Result<()> {
        match self {
            Self::Named(text) if text.contains("==") => {}
            Self::Named(_) => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                (now.as_secs() / SECONDS_OF_A_DAY).hash(hasher);
            }
            Self::Local(local) => states(&local.path)?.hash(hasher),
            // Its modules are read in place, so only its metadata can be outdated.
            Self::Editable(local) => {
                for name in PROJECT_FILES {
                    state(&local.path.join(name)).ok().hash(hasher);
                }
            }
        }
        Ok(())
    }
}

impl LocalSpec {
    fn at(text: &str, expected: &'static str) -> Result<Self, SpecError> {
        let text = text.strip_prefix("file://").unwrap_or(text);
        let (path, extras) = match text.rfind('[') {
            Some(start) if text.ends_with(']') => text.split_at(start),
            _ => (text, ""),
        };
        let refused = |source| SpecError::NoPath { path: PathBuf::from(path), expected, source };
        let path = fs::canonicalize(path).map_err(refused)?;
        let is_project = |path: &Path| ["pyproject.toml", "setup.py"].iter().any(|name| path.join(name).is_file());
        if path.is_file() && is_archive(&path.to_string_lossy()) || is_project(&path) {
            return Ok(Self { path, extras: extras.to_owned() });
        }
        Err(SpecError::OtherPath { path, expected })
    }

    fn text(&self) -> String {
        format!("{}{}", self.path.display(), self.extras)
    }
}

/// Decides as pip does: a path contains a separator, begins with a point or ends like an archive.
fn is_path(text: &str) -> bool {
    let is_url = text.contains("://") && !text.starts_with("file://");
    !is_url && (text.starts_with('.') || text.contains('/') || is_archive(text))
}

fn is_archive(text: &str) -> bool {
    [".whl", ".zip", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz"].iter().any(|end| text.ends_with(end))
}

/// Size, and the time of the last change of the file or its inode.
type State = (u64, i64, i64);

fn state(path: &Path) -> io::Result<State> {
    let metadata = fs::metadata(path)?;
    Ok((metadata.size(), metadata.ctime(), metadata.ctime_nsec()))
}

/// The state of a file, or of every file of a checkout that the installation uses.
fn states(root: &Path) -> io::Result<BTreeMap<PathBuf, State>> {
    if root.is_file() {
        return Ok(BTreeMap::from([(root.to_path_buf(), state(root)?)]));
    }
    let mut found = BTreeMap::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            let (path, kind) = (entry.path(), entry.file_type()?);
            if kind.is_dir() && !is_left_out(&entry.file_name(), folder == root) {
                folders.push(path);
            } else if kind.is_file() {
                found.insert(path.clone(), state(&path)?);
            }
            if found.len() > FILES_MAX {
                let message =
                    format!("found more than {FILES_MAX} files below {}, expected a checkout", root.display());
                return Err(io::Error::other(message));
            }
        }
    }
    Ok(found)
}

fn is_left_out(name: &OsStr, is_in_root: bool) -> bool {
    let name = name.to_string_lossy();
    name.starts_with('.')
        || name.ends_with(".egg-info")
        || DERIVED.contains(&&*name)
        || is_in_root && BUILT.contains(&&*name)
}

#[cfg(test)]
mod tests {
    use std::hash::Hasher;

    use super::*;

    fn fingerprint(spec: &PipSpec) -> u64 {
        let mut hasher = DefaultHasher::new();
        spec.hash_state(&mut hasher).unwrap();
        hasher.finish()
    }

    #[test]
    fn what_is_no_path_is_left_to_pip_and_an_option_is_refused() {
        for named in ["mcp==1.29.0", "mcp[cli]>=1,<2", "git+https://example.org/a/b@main", "https://example.org/a.whl"]
        {
            assert_eq!(PipSpec::parse(named).unwrap(), PipSpec::Named(named.to_owned()));
        }
        for wrong in ["", "  ", "--pre", "-r requirements.txt", "--index-url=x"] {
            assert!(matches!(PipSpec::parse(wrong), Err(SpecError::NoSpec { .. })), "{wrong}");
        }
        for missing in ["./missing", "/missing[cli]", "missing.whl", "-e missing", "file:///missing"] {
            assert!(matches!(PipSpec::parse(missing), Err(SpecError::NoPath { .. })), "{missing}");
        }
    }

    #[test]
    fn a_folder_without_a_project_is_refused_and_extras_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().display().to_string();
        assert!(matches!(PipSpec::parse(&path), Err(SpecError::OtherPath { .. })));
        fs::write(folder.path().join("pyproject.toml"), "").unwrap();
        let path = folder.path().canonicalize().unwrap().display().to_string();
        assert_eq!(PipSpec::parse(&format!("{path}[cli]")).unwrap().words(), [format!("{path}[cli]")]);
        assert_eq!(PipSpec::parse(&format!("-e {path}")).unwrap().words(), ["-e".to_owned(), path.clone()]);
        // One that is written again is read as the same.
        let again = PipSpec::parse(&PipSpec::parse(&format!("file://{path}")).unwrap().words().join(" ")).unwrap();
        assert_eq!(again, PipSpec::parse(&path).unwrap());
    }

    #[test]
    fn a_checkout_that_is_changed_is_another_and_what_is_built_of_it_is_not_part_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("pyproject.toml", "[project]");
        write("src/one.py", "1");
        let path = folder.path().display().to_string();
        let (local, editable) = (PipSpec::parse(&path).unwrap(), PipSpec::editable(&path).unwrap());
        let before = (fingerprint(&local), fingerprint(&editable));
        for derived in ["build/x.py", "src/one.egg-info/PKG-INFO", ".git/HEAD", "src/__pycache__/one.pyc"] {
            write(derived, "x");
        }
        assert_eq!((fingerprint(&local), fingerprint(&editable)), before);
        write("src/one.py", "two");
        assert_ne!(fingerprint(&local), before.0);
        assert_eq!(fingerprint(&editable), before.1);
        write("src/build/one.py", "1");
        let with_more = fingerprint(&local);
        write("src/build/one.py", "three");
        assert_ne!(fingerprint(&local), with_more);
        write("pyproject.toml", "[project]\n");
        assert_ne!(fingerprint(&editable), before.1);
    }
}
