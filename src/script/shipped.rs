//! The scripts that are built in.

use include_dir::{Dir, include_dir};

use crate::plan::{InputError, did_you_mean};
use crate::script::Script;

static SCRIPTS: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/mock-servers/scripts");

/// Names of the shipped scripts, in alphabetical order.
#[must_use]
pub fn shipped_names() -> Vec<&'static str> {
    let stem = |file: &'static include_dir::File<'static>| file.path().to_str()?.strip_suffix(".toml");
    let mut names: Vec<_> = SCRIPTS.files().filter_map(stem).collect();
    names.sort_unstable();
    names
}

/// The shipped script of this name.
///
/// # Errors
/// When there is none, with the command that shows the names.
pub fn shipped(name: &str) -> Result<Script, InputError> {
    let Some(text) = shipped_text(name) else {
        let near = did_you_mean(name, shipped_names());
        let message = format!(
            "found no shipped script of this name, expected one that `mcp-mock list` shows, or a file that ends in .toml{near}"
        );
        return Err(InputError::whole(name, message));
    };
    Script::from_toml(name, &format!("mock-servers/scripts/{name}.toml"), text)
}

/// The file of the shipped script of this name.
#[must_use]
pub fn shipped_text(name: &str) -> Option<&'static str> {
    SCRIPTS.get_file(format!("{name}.toml"))?.contents_utf8()
}
