//! The words of the project, for `mcp-lifecheck explain`.

use serde::Deserialize;

use crate::plan::InputError;

const FILE: &str = "glossary.toml";
static TEXT: &str = include_str!("../../fixtures/glossary.toml");

/// A word and its meaning.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Term {
    /// The word, in small letters; it may hold blanks.
    pub name: String,
    /// Other words for the same, which files and earlier releases use.
    #[serde(default)]
    pub also: Vec<String>,
    /// Its meaning, in one sentence or a few.
    pub about: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GlossaryFile {
    term: Vec<Term>,
}

/// Every word of the glossary.
///
/// # Errors
/// When the shipped file is malformed: a defect of this build, which a test finds.
pub fn glossary() -> Result<Vec<Term>, InputError> {
    let file: GlossaryFile = toml::from_str(TEXT).map_err(|error| InputError::toml(FILE, TEXT, &error))?;
    Ok(file.term)
}

impl Term {
    /// Whether a user means this word. Blanks may be written as hyphens.
    #[must_use]
    pub fn is_called(&self, word: &str) -> bool {
        self.names().any(|name| name == word || name.replace(' ', "-") == word)
    }

    /// The word and every other word for the same.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.name).chain(&self.also).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_word_has_one_meaning() {
        let terms = glossary().unwrap();
        let names: Vec<&str> = terms.iter().flat_map(Term::names).collect();
        let unique: BTreeSet<&str> = names.iter().copied().collect();
        assert_eq!(unique.len(), names.len(), "{names:?}");
        assert!(terms.iter().all(|term| term.about.ends_with('.')), "{terms:?}");
    }

    #[test]
    fn a_word_with_blanks_may_be_written_with_hyphens() {
        let terms = glossary().unwrap();
        for word in ["shutdown behaviour", "shutdown-behaviour", "temperament"] {
            let found: Vec<&str> =
                terms.iter().filter(|term| term.is_called(word)).map(|term| term.name.as_str()).collect();
            assert_eq!(found, ["shutdown behaviour"], "{word}");
        }
    }
}
