//! The cache: embedded files that other programs must find on disk, in a folder named after the hash of their content.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::{env, fs, io};

use include_dir::{Dir, DirEntry, include_dir};

use crate::catalogue::atomic_write::{link_whole, write_whole};
use crate::catalogue::loaders::LOADERS;

static ADAPTERS: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/adapters");

/// Why the cache cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// The environment names no place for it.
    #[error(
        "found neither MCP_LIFECHECK_CACHE nor XDG_CACHE_HOME nor HOME in the environment, expected one for the cache"
    )]
    NoFolder,
    /// It cannot be written.
    #[error("the cache cannot be written at {folder}: {source}")]
    Io {
        /// The folder of the files.
        folder: PathBuf,
        /// The refusal of the system.
        #[source]
        source: io::Error,
    },
}

/// The cache folder: `MCP_LIFECHECK_CACHE`, else `mcp-lifecheck` in the user's cache.
///
/// # Errors
/// When the environment names none.
pub fn cache_folder() -> Result<PathBuf, CacheError> {
    let named = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(folder) = named("MCP_LIFECHECK_CACHE") {
        return Ok(folder);
    }
    let base = named("XDG_CACHE_HOME").or_else(|| named("HOME").map(|home| home.join(".cache")));
    base.map(|base| base.join("mcp-lifecheck")).ok_or(CacheError::NoFolder)
}

/// Extracts the Python helper and the Python fixture loaders. Returns their folder, which contains `adapters/python` and
/// `loaders/python`.
///
/// # Errors
/// When the cache cannot be written.
pub fn extract_python() -> Result<PathBuf, CacheError> {
    let mut files = BTreeMap::new();
    collect(&ADAPTERS, Path::new("adapters"), &mut files);
    collect(&LOADERS, Path::new("loaders"), &mut files);
    files.retain(|path, _| path.extension().is_some_and(|extension| extension == "py"));
    extract(&files)
}

/// Extracts the helper for Node. Returns its file.
///
/// # Errors
/// When the cache cannot be written.
pub fn extract_node_helper() -> Result<PathBuf, CacheError> {
    let mut files = BTreeMap::new();
    collect(&ADAPTERS, Path::new("adapters"), &mut files);
    files.retain(|path, _| path.starts_with("adapters/typescript"));
    Ok(extract(&files)?.join("adapters/typescript/mcp_lifecheck_adapter.mjs"))
}

/// Extracts the Node fixture loaders into their own folder, which links to these modules. Returns that folder.
///
/// An ES module finds packages only in the folders above it; no environment variable adds others. So the folder has a link
/// `node_modules`. The folder itself is the package of the helper, which Node resolves before all others.
///
/// # Errors
/// When the cache cannot be written.
pub fn extract_node(modules: &Path) -> Result<PathBuf, CacheError> {
    let mut hasher = DefaultHasher::new();
    modules.hash(&mut hasher);
    let below = PathBuf::from(format!("node-{:016x}", hasher.finish()));
    let mut found = BTreeMap::new();
    collect(&ADAPTERS, Path::new(""), &mut found);
    collect(&LOADERS, Path::new(""), &mut found);
    let own = |path: &Path| {
        path.parent().is_some_and(|parent| parent == Path::new("typescript") || parent == Path::new("node"))
    };
    let files = found.into_iter().filter(|(path, _)| own(path));
    let files: BTreeMap<_, _> =
        files.filter_map(|(path, bytes)| Some((below.join(path.file_name()?), bytes))).collect();
    let folder = extract(&files)?.join(below);
    link_whole(&folder.join("node_modules"), modules)
        .map_err(|source| CacheError::Io { folder: folder.clone(), source })?;
    Ok(folder)
}

fn collect(folder: &Dir<'static>, below: &Path, files: &mut BTreeMap<PathBuf, &'static [u8]>) {
    for entry in folder.entries() {
        match entry {
            DirEntry::Dir(folder) => collect(folder, below, files),
            DirEntry::File(file) => {
                files.insert(below.join(file.path()), file.contents());
            }
        }
    }
}

fn extract(files: &BTreeMap<PathBuf, &'static [u8]>) -> Result<PathBuf, CacheError> {
    let folder = cache_folder()?.join(format!("files-{:016x}", fingerprint(files)));
    let failed = |source| CacheError::Io { folder: folder.clone(), source };
    for (path, bytes) in files {
        let path = folder.join(path);
        if fs::read(&path).is_ok_and(|found| found == *bytes) {
            continue;
        }
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(failed)?;
        }
        // Another run may extract the same file now, or read it.
        write_whole(&path, bytes).map_err(failed)?;
    }
    Ok(folder)
}

/// A hash of the files. It is equal for equal files of one build; [`extract`] still compares the content of the folder.
fn fingerprint(files: &BTreeMap<PathBuf, &'static [u8]>) -> u64 {
    let mut hasher = DefaultHasher::new();
    files.hash(&mut hasher);
    hasher.finish()
}
