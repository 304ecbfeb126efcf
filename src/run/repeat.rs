//! The command line that repeats a plan.

use std::borrow::Cow;
use std::path::Path;

use crate::foreign::words_without_secrets;
use crate::plan::Plan;

/// How a user repeats a plan.
#[derive(Debug, Clone)]
pub enum Repeat {
    /// With `mcp-lifecheck replay` and the folder of the plan.
    Replay,
    /// With the test that ran it.
    ByTest { command: String },
    /// With a test that draws the same lives again.
    ByDraws { command: String },
}

impl Repeat {
    /// The line for one plan. `folder` is the results folder of the run.
    pub fn line(&self, folder: &Path, plan: &Plan) -> String {
        match self {
            Self::Replay => {
                let loader = plan.loader_file.as_ref().map(|file| format!(" --loader {file}")).unwrap_or_default();
                let checkout = match plan.checkout.as_slice() {
                    [] => String::new(),
                    words => format!(" {}", shell_words(&words_without_secrets(words))),
                };
                format!("mcp-lifecheck replay {}{loader}{checkout}", folder.join(&plan.id).display())
            }
            Self::ByTest { command } => format!("MCP_LIFECHECK_PLAN={} {command}", plan.id),
            Self::ByDraws { command } => command.clone(),
        }
    }
}

/// Arguments as a shell reads them, with a blank between each two.
pub fn shell_words(words: &[String]) -> String {
    words.iter().map(|word| shell_word(word)).collect::<Vec<_>>().join(" ")
}

/// One argument as a shell reads it: in quotes where it holds more than plain characters.
pub fn shell_word(word: &str) -> Cow<'_, str> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./=+,:@".contains(c);
    match !word.is_empty() && word.chars().all(is_plain) {
        true => Cow::Borrowed(word),
        false => Cow::Owned(format!("'{}'", word.replace('\'', r"'\''"))),
    }
}

#[cfg(test)]
mod tests {
    use super::shell_words;

    #[test]
    fn a_shell_reads_the_same_arguments() {
        let words = ["--with", "mcp>=1,<2", "it's", "./a b[cli]", ""].map(str::to_owned);
        assert_eq!(shell_words(&words), r"--with 'mcp>=1,<2' 'it'\''s' './a b[cli]' ''");
    }
}
