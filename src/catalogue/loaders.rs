//! Shipped loader descriptions.

use std::fmt;

use include_dir::{Dir, include_dir};

use crate::catalogue::scenarios::texts;
use crate::plan::{Descriptor, InputError};

pub(super) static LOADERS: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/fixtures/loaders");

/// The name of a loader on the command line: `NAME` or `NAME@STACK`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoaderName {
    /// Name of the loader description.
    pub name: String,
    /// The stack behind the `@`; `None` when the name has none.
    pub stack: Option<String>,
}

impl LoaderName {
    /// Splits a name at the `@` and replaces an alias.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let (name, stack) = match text.split_once('@') {
            Some((name, stack)) => (name, Some(stack.to_owned())),
            None => (text, None),
        };
        let name = if name == "rust-owner-task" { "reference" } else { name };
        Self { name: name.to_owned(), stack }
    }
}

impl fmt::Display for LoaderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        self.stack.iter().try_for_each(|stack| write!(f, "@{stack}"))
    }
}

/// Every shipped loader description, by name.
///
/// # Errors
/// When a shipped file is malformed: a defect of this build, which a test finds.
pub fn shipped_loaders() -> Result<Vec<Descriptor>, InputError> {
    texts(&LOADERS).into_iter().map(|(_, file, text)| Descriptor::from_toml(&file, text)).collect()
}

/// The shipped loader description of that name. Each file bears the name of its loader.
///
/// # Errors
/// When a shipped file is malformed.
pub fn shipped_loader(name: &str) -> Result<Option<Descriptor>, InputError> {
    let found = texts(&LOADERS).into_iter().find(|(known, _, _)| *known == name);
    found.map(|(_, file, text)| Descriptor::from_toml(&file, text)).transpose()
}

/// The baseline of a shipped loader: its file name and text. `loader` includes the stack.
#[must_use]
pub fn shipped_baseline(loader: &str) -> Option<(String, &'static str)> {
    let name = format!("{loader}.yaml");
    let text = LOADERS.get_file(format!("baselines/{name}"))?.contents_utf8()?;
    Some((name, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_file_bears_the_name_of_its_loader() {
        for loader in shipped_loaders().unwrap() {
            let found = shipped_loader(&loader.name).unwrap();
            assert_eq!(found.map(|found| found.name), Some(loader.name));
        }
        assert!(shipped_loader("no-such-loader").unwrap().is_none());
    }
}
