//! Which transports a script fits.

use std::fmt;

use crate::plan::{Scenario, Transport};
use crate::script::framing::Framing;
use crate::script::rule::Rule;
use crate::script::source::Script;

/// The framing of a plan. In memory it is HTTP if the scenario is for HTTP alone, or if a script needs it.
pub fn framing_of_plan<'a>(
    transport: Transport,
    scenario: &Scenario,
    scripts: impl IntoIterator<Item = &'a Script>,
) -> Framing {
    match transport {
        Transport::Memory if scenario.is_for_http_alone() => Framing::Http,
        Transport::Memory | Transport::Stdio | Transport::Http | Transport::Sse => framing_of(transport, scripts),
    }
}

/// The framing of a transport, for servers with these scripts.
///
/// In memory the scripts decide: HTTP if one of them needs it, else lines.
pub fn framing_of<'a>(transport: Transport, scripts: impl IntoIterator<Item = &'a Script>) -> Framing {
    match transport {
        Transport::Stdio => Framing::Lines,
        Transport::Http => Framing::Http,
        Transport::Sse => Framing::Sse,
        Transport::Memory => {
            let needs_http = |script: &Script| script.needs().any(|(_, _, needs)| needs == Framing::Http);
            if scripts.into_iter().any(needs_http) { Framing::Http } else { Framing::Lines }
        }
    }
}

/// The reason why a script does not fit a transport.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("script {script} needs {needs}: rule {rule} has {part}")]
pub struct Misfit {
    script: String,
    needs: Need,
    rule: usize,
    part: &'static str,
}

/// The need of a script that a transport does not meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Need {
    Framing(Framing),
    /// Streamable HTTP alone.
    Streamable,
    /// A process, which takes signals and can refuse to end.
    Process,
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Framing(framing) => framing.fmt(f),
            Self::Streamable => f.write_str("streamable HTTP"),
            Self::Process => f.write_str("a process of its own"),
        }
    }
}

impl Script {
    /// Checks that the script can act over a transport with this framing.
    ///
    /// # Errors
    /// With the rule that cannot act there.
    pub fn fits(&self, transport: Transport, framing: Framing) -> Result<(), Misfit> {
        let misfit = |(rule, part), needs| Misfit { script: self.name().to_owned(), needs, rule, part };
        if let Some((rule, part, needs)) = self.needs().find(|(_, _, needs)| !framing.meets(*needs)) {
            return Err(misfit((rule, part), Need::Framing(needs)));
        }
        let mut streamable = numbered(self.rules().iter().map(Rule::needs_streamable));
        if let Some(found) = streamable.next().filter(|_| framing == Framing::Sse) {
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

    /// The parts of its rules that need a framing, with the number of the rule.
    fn needs(&self) -> impl Iterator<Item = (usize, &'static str, Framing)> {
        let rules = self.rules().iter().enumerate();
        rules.flat_map(|(index, rule)| rule.needs().map(move |(part, needs)| (index + 1, part, needs)))
    }
}

/// The parts found in some rules, with the number of each rule.
fn numbered(found: impl Iterator<Item = Option<&'static str>>) -> impl Iterator<Item = (usize, &'static str)> {
    found.enumerate().filter_map(|(index, part)| Some((index + 1, part?)))
}
