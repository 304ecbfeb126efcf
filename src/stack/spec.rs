//! What pip is asked to install over a stack.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::hash::{DefaultHasher, Hash};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};
use std::{fs, io};

/// Folders in the root of a checkout that building it writes.
const BUILT: [&str; 2] = ["build", "dist"];
/// Folders anywhere in a checkout that are made of it, or are no part of what is installed.
const DERIVED: [&str; 3] = ["__pycache__", "node_modules", "venv"];
/// Files in the root of a checkout that decide what an editable installation consists of.
const PROJECT_FILES: [&str; 4] = ["pyproject.toml", "setup.py", "setup.cfg", "requirements.txt"];
/// Files of a checkout; a folder with more is hardly one.
const FILES_MAX: usize = 100_000;
const SECONDS_OF_A_DAY: u64 = 86_400;

/// One thing for pip to install.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PipSpec {
    /// By name, version or URL, as pip reads it: `mcp==1.29.0`.
    Named(String),
    /// A folder, or an archive such as a wheel.
    Local(LocalSpec),
    /// A folder, whose modules are imported from where they lie.
    Editable(LocalSpec),
}

/// Something of the user's own to install.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalSpec {
    /// Absolute.
    pub path: PathBuf,
    /// As pip takes them behind a path: `[cli]`, or nothing.
    pub extras: String,
}

/// Why a text names nothing that pip could install.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpecError {
    /// It is an option, or nothing at all.
    #[error("found {found:?}, expected what pip installs: NAME==VERSION, a folder, a wheel, or -e FOLDER")]
    NoSpec {
        /// The text.
        found: String,
    },
    /// There is nothing at that path.
    #[error("found nothing to read at {path}, expected {expected}: {source}")]
    NoPath {
        /// The path.
        path: PathBuf,
        /// What should be there.
        expected: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Something else is at that path.
    #[error("found {path}, expected {expected}")]
    OtherPath {
        /// The path.
        path: PathBuf,
        /// What should be there.
        expected: &'static str,
    },
}

const CHECKOUT: &str = "a folder with a pyproject.toml or a setup.py";
const INSTALLABLE: &str = "a folder with a pyproject.toml or a setup.py, or a wheel or source archive";

impl PipSpec {
    /// Reads what is to be installed; `-e PATH` is a checkout that stays where it is.
    ///
    /// # Errors
    /// When it is an option of pip, or a path at which nothing is that can be installed.
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

    /// A checkout that stays where it is.
    ///
    /// # Errors
    /// When there is none.
    pub fn editable(path: &str) -> Result<Self, SpecError> {
        let local = LocalSpec::at(path, CHECKOUT)?;
        match local.path.is_dir() {
            true => Ok(Self::Editable(local)),
            false => Err(SpecError::OtherPath { path: local.path, expected: CHECKOUT }),
        }
    }

    /// As arguments of pip, and of `mcp-lifecheck` behind `--with`.
    #[must_use]
    pub fn words(&self) -> Vec<String> {
        match self {
            Self::Named(text) => vec![text.clone()],
            Self::Local(local) => vec![local.text()],
            Self::Editable(local) => vec!["-e".to_owned(), local.text()],
        }
    }

    /// Mixes in what an installation of it depends on. Two that are equal here need to be installed once.
    ///
    /// A name without an exact version means another one some day: what was resolved counts for a day.
    ///
    /// # Errors
    /// When a checkout can not be read.
    pub(super) fn hash_state(&self, hasher: &mut DefaultHasher) -> io::Result<()> {
        match self {
            Self::Named(text) if text.contains("==") => {}
            Self::Named(_) => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                (now.as_secs() / SECONDS_OF_A_DAY).hash(hasher);
            }
            Self::Local(local) => states(&local.path)?.hash(hasher),
            // Its modules are read where they lie; only what is made of its metadata can be stale.
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

/// As pip decides it: what has a separator in it, or begins with a point, or ends as an archive does.
fn is_path(text: &str) -> bool {
    let is_url = text.contains("://") && !text.starts_with("file://");
    !is_url && (text.starts_with('.') || text.contains('/') || is_archive(text))
}

fn is_archive(text: &str) -> bool {
    [".whl", ".zip", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz"].iter().any(|end| text.ends_with(end))
}

/// Size, and when it or its inode was last changed.
type State = (u64, i64, i64);

fn state(path: &Path) -> io::Result<State> {
    let metadata = fs::metadata(path)?;
    Ok((metadata.size(), metadata.ctime(), metadata.ctime_nsec()))
}

/// The state of a file, or of every file of a checkout that goes into what is installed of it.
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
