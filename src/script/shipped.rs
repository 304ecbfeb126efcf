//! The scripts that are built in.

use std::collections::BTreeMap;
use std::sync::{LazyLock, OnceLock};

use include_dir::{Dir, include_dir};

use crate::plan::{InputError, did_you_mean};
use crate::script::Script;

static SCRIPTS: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/mock-servers/scripts");

/// A shipped script: its file, and what was read from it. Exploration asks for some in every life.
struct Shipped {
    text: &'static str,
    read: OnceLock<Script>,
}

static SHIPPED: LazyLock<BTreeMap<&str, Shipped>> = LazyLock::new(|| {
    let shipped = |file: &'static include_dir::File<'static>| {
        let name = file.path().to_str()?.strip_suffix(".toml")?;
        Some((name, Shipped { text: file.contents_utf8()?, read: OnceLock::new() }))
    };
    SCRIPTS.files().filter_map(shipped).collect()
});

/// Names of the shipped scripts, in alphabetical order.
#[must_use]
pub fn shipped_names() -> Vec<&'static str> {
    SHIPPED.keys().copied().collect()
}

/// The shipped script of this name.
///
/// # Errors
/// When there is none, with the command that shows the names.
pub fn shipped(name: &str) -> Result<Script, InputError> {
    let Some(Shipped { text, read }) = SHIPPED.get(name) else {
        let near = did_you_mean(name, shipped_names());
        let message = format!(
            "found no shipped script of this name, expected one that `mcp-mock list` shows, or a file that ends in .toml{near}"
        );
        return Err(InputError::whole(name, message));
    };
    if let Some(script) = read.get() {
        return Ok(script.clone());
    }
    let script = Script::from_toml(name, &format!("mock-servers/scripts/{name}.toml"), text)?;
    Ok(read.get_or_init(|| script).clone())
}

/// The file of the shipped script of this name.
#[must_use]
pub fn shipped_text(name: &str) -> Option<&'static str> {
    SHIPPED.get(name).map(|shipped| shipped.text)
}
