//! What a script can be carried out over.

use std::fmt;

use crate::plan::Transport;
use crate::script::{Rule, Script};

/// A way in which messages are carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carriage {
    /// Lines, over pipes.
    Lines,
    /// HTTP.
    Http,
}

impl Carriage {
    /// What carries the messages of a transport.
    #[must_use]
    pub fn of(transport: Transport) -> Self {
        match transport {
            Transport::Memory | Transport::Stdio => Self::Lines,
            Transport::Http | Transport::Sse => Self::Http,
        }
    }
}

impl fmt::Display for Carriage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lines => "lines over pipes",
            Self::Http => "HTTP",
        })
    }
}

/// Why a script can not be carried out over a transport.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("script {script} needs {needs}: rule {rule} has {part}")]
pub struct Misfit {
    script: String,
    needs: Carriage,
    rule: usize,
    part: &'static str,
}

impl Script {
    /// Whether it can be carried out over a transport.
    ///
    /// # Errors
    /// With the rule that can not act there, or could not do what it says.
    pub fn fits(&self, transport: Transport) -> Result<(), Misfit> {
        let carriage = Carriage::of(transport);
        for (index, rule) in self.rules().iter().enumerate() {
            if let Some((part, needs)) = rule.needs().find(|(_, needs)| *needs != carriage) {
                return Err(Misfit { script: self.name().to_owned(), needs, rule: index + 1, part });
            }
        }
        Ok(())
    }
}

impl Rule {
    /// The parts of it that need a carriage of their own. The occasion of an optional rule needs none: it may as well never
    /// come about.
    pub(super) fn needs(&self) -> impl Iterator<Item = (&'static str, Carriage)> {
        let occasion = self.on.when.needs().filter(|_| !self.optional).map(|needs| (self.on.when.name(), needs));
        let actions = self.actions.iter().filter_map(|action| Some((action.name(), action.needs()?)));
        occasion.into_iter().chain(actions)
    }
}
