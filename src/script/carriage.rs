//! What a script can be carried out over.

use std::fmt;

use crate::plan::{Scenario, Transport};
use crate::script::{Action, Rule, Script, When};

/// A way in which messages are carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carriage {
    /// Lines, over pipes.
    Lines,
    /// HTTP.
    Http,
}

impl Carriage {
    /// What carries the messages of a plan: over memory, HTTP where the scenario is for that alone or a script needs it.
    pub fn of_plan<'a>(
        transport: Transport,
        scenario: &Scenario,
        scripts: impl IntoIterator<Item = &'a Script>,
    ) -> Self {
        match transport {
            Transport::Memory if scenario.is_for_http_alone() => Self::Http,
            Transport::Memory | Transport::Stdio | Transport::Http | Transport::Sse => Self::of(transport, scripts),
        }
    }

    /// What carries the messages of a transport, for servers with these scripts.
    ///
    /// Over memory the scripts decide: HTTP where one of them needs it, else lines.
    pub fn of<'a>(transport: Transport, scripts: impl IntoIterator<Item = &'a Script>) -> Self {
        match transport {
            Transport::Stdio => Self::Lines,
            Transport::Http | Transport::Sse => Self::Http,
            Transport::Memory => {
                let needs_http = |script: &Script| script.needs().any(|(_, _, needs)| needs == Self::Http);
                if scripts.into_iter().any(needs_http) { Self::Http } else { Self::Lines }
            }
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
    needs: Need,
    rule: usize,
    part: &'static str,
}

/// What a script needs and does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Need {
    Carriage(Carriage),
    /// A process, which takes signals and may refuse to end.
    Process,
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Carriage(carriage) => carriage.fmt(f),
            Self::Process => f.write_str("a process of its own"),
        }
    }
}

impl Script {
    /// Whether it can be carried out over a transport that carries messages in this way.
    ///
    /// # Errors
    /// With the rule that can not act there, or could not do what it says.
    pub fn fits(&self, transport: Transport, carriage: Carriage) -> Result<(), Misfit> {
        let misfit = |(rule, part), needs| Misfit { script: self.name().to_owned(), needs, rule, part };
        if let Some((rule, part, needs)) = self.needs().find(|(_, _, needs)| *needs != carriage) {
            return Err(misfit((rule, part), Need::Carriage(needs)));
        }
        let has_process = match transport {
            Transport::Memory => false,
            Transport::Stdio | Transport::Http | Transport::Sse => true,
        };
        let rules = self.rules().iter().enumerate();
        let mut needs_process = rules.filter_map(|(index, rule)| Some((index + 1, rule.needs_process()?)));
        match needs_process.next().filter(|_| !has_process) {
            Some(found) => Err(misfit(found, Need::Process)),
            None => Ok(()),
        }
    }

    /// The parts of its rules that need a carriage of their own, with the number of the rule.
    fn needs(&self) -> impl Iterator<Item = (usize, &'static str, Carriage)> {
        let rules = self.rules().iter().enumerate();
        rules.flat_map(|(index, rule)| rule.needs().map(move |(part, needs)| (index + 1, part, needs)))
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

    /// The part of it that needs a process, where there is one: a signal that must come, or an end that is refused, which
    /// nobody could force on a mock that is no process.
    fn needs_process(&self) -> Option<&'static str> {
        let is_signal = matches!(self.on.when, When::Signal(_)) && !self.optional;
        let occasion = is_signal.then(|| self.on.when.name());
        occasion.or_else(|| self.actions.iter().find(|action| action.needs_process()).map(Action::name))
    }
}
