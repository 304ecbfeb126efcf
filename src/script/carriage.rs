//! What a script can be carried out over.

use std::fmt;

use crate::plan::{Scenario, Transport};
use crate::script::{Action, Family, Rule, Script, When};

/// A way in which messages are carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carriage {
    /// Lines, over pipes.
    Lines,
    /// HTTP: as what a script needs, either transport over it; as what carries a plan, streamable HTTP.
    Http,
    /// HTTP with server-sent events.
    Sse,
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
            Transport::Http => Self::Http,
            Transport::Sse => Self::Sse,
            Transport::Memory => {
                let needs_http = |script: &Script| script.needs().any(|(_, _, needs)| needs == Self::Http);
                if scripts.into_iter().any(needs_http) { Self::Http } else { Self::Lines }
            }
        }
    }
}

impl Carriage {
    /// Whether it has what a script needs of a carriage.
    fn offers(self, needed: Self) -> bool {
        self == needed || self == Self::Sse && needed == Self::Http
    }
}

impl fmt::Display for Carriage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lines => "lines over pipes",
            Self::Http => "HTTP",
            Self::Sse => "HTTP with server-sent events",
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
    /// Streamable HTTP alone.
    Streamable,
    /// A process, which takes signals and may refuse to end.
    Process,
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Carriage(carriage) => carriage.fmt(f),
            Self::Streamable => f.write_str("streamable HTTP"),
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
        if let Some((rule, part, needs)) = self.needs().find(|(_, _, needs)| !carriage.offers(*needs)) {
            return Err(misfit((rule, part), Need::Carriage(needs)));
        }
        let mut streamable = numbered(self.rules().iter().map(Rule::needs_streamable));
        if let Some(found) = streamable.next().filter(|_| carriage == Carriage::Sse) {
            return Err(misfit(found, Need::Streamable));
        }
        let has_process = match transport {
            Transport::Memory => false,
            Transport::Stdio | Transport::Http | Transport::Sse => true,
        };
        let mut needs_process = numbered(self.rules().iter().map(Rule::needs_process));
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

/// What was found in some rules, with the number of each.
fn numbered(found: impl Iterator<Item = Option<&'static str>>) -> impl Iterator<Item = (usize, &'static str)> {
    found.enumerate().filter_map(|(index, part)| Some((index + 1, part?)))
}

impl Action {
    /// Whether it is of HTTP, and can be carried out over HTTP with server-sent events as well.
    fn is_of_any_http(&self) -> bool {
        let is_of_stream = matches!(self, Self::EndStream | Self::CutStream | Self::ExpireSession);
        is_of_stream || self.is_of_exchange() || self.family() == Family::Event
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

    /// The part of it that needs streamable HTTP, where there is one: a DELETE, which must come, or an answer to a POST in a
    /// way of its own.
    fn needs_streamable(&self) -> Option<&'static str> {
        let occasion = (self.on.when == When::Delete && !self.optional).then(|| self.on.when.name());
        let is_of_it = |action: &&Action| action.needs() == Some(Carriage::Http) && !action.is_of_any_http();
        occasion.or_else(|| self.actions.iter().find(is_of_it).map(Action::name))
    }

    /// The part of it that needs a process, where there is one: a signal that must come, or an end that is refused, which
    /// nobody could force on a mock that is no process.
    fn needs_process(&self) -> Option<&'static str> {
        let is_signal = matches!(self.on.when, When::Signal(_)) && !self.optional;
        let occasion = is_signal.then(|| self.on.when.name());
        occasion.or_else(|| self.actions.iter().find(|action| action.needs_process()).map(Action::name))
    }
}
