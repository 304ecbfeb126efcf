//! The line that runs a plan again.

use std::path::Path;

use crate::plan::Plan;

/// How a plan of a run is run again.
#[derive(Debug, Clone)]
pub enum Repeat {
    /// From its folder, on the command line.
    Replay,
    /// By the test that ran it.
    ByTest { command: String },
}

impl Repeat {
    /// The line for one plan. `folder` is the run's.
    pub fn line(&self, folder: &Path, plan: &Plan) -> String {
        match self {
            Self::Replay => {
                let loader = plan.loader_file.as_ref().map(|file| format!(" --loader {file}")).unwrap_or_default();
                let checkout = match plan.checkout.as_slice() {
                    [] => String::new(),
                    words => format!(" {}", shell_words(words)),
                };
                format!("mcp-lifecheck replay {}{loader}{checkout}", folder.join(&plan.id).display())
            }
            Self::ByTest { command } => format!("MCP_LIFECHECK_PLAN={} {command}", plan.id),
        }
    }
}

/// Arguments as a shell takes them: quoted where they hold more than plain characters.
pub fn shell_words(words: &[String]) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "-_./=+,:@".contains(c);
    let quoted = words.iter().map(|word| match !word.is_empty() && word.chars().all(is_plain) {
        true => word.clone(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    });
    quoted.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::shell_words;

    #[test]
    fn a_shell_reads_what_was_meant() {
        let words = ["--with", "mcp>=1,<2", "it's", "./a b[cli]", ""].map(str::to_owned);
        assert_eq!(shell_words(&words), r"--with 'mcp>=1,<2' 'it'\''s' './a b[cli]' ''");
    }
}
