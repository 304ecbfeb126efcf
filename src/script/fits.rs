//! Which transports a script fits, and which framing they carry for it.

use std::fmt;

use crate::plan::{Framing, Scenario, ServerHome, Transport};
use crate::script::rule::Rule;
use crate::script::source::Script;

/// The framing of a plan: the one that its scenario is about, if the transport carries it; otherwise as the scripts decide.
pub fn framing_of_plan<'a>(
    transport: Transport,
    scenario: &Scenario,
    scripts: impl IntoIterator<Item = &'a Script>,
) -> Framing {
    let wanted = scenario.framing().filter(|framing| transport.framings().contains(framing));
    wanted.unwrap_or_else(|| framing_of(transport, scripts))
}

/// The framing of a transport, for servers with these scripts: the usual one, unless a script needs another one that the
/// transport carries as well.
pub fn framing_of<'a>(transport: Transport, scripts: impl IntoIterator<Item = &'a Script>) -> Framing {
    let usual = transport.usual_framing();
    let mut needed = scripts.into_iter().flat_map(Script::needs).map(|(_, _, framing)| framing);
    needed.find(|framing| *framing != usual && transport.framings().contains(framing)).unwrap_or(usual)
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
    /// Checks that a server with this home and framing can run the script.
    ///
    /// # Errors
    /// With the rule that cannot act there.
    pub fn fits(&self, home: ServerHome, framing: Framing) -> Result<(), Misfit> {
        let misfit = |(rule, part), needs| Misfit { script: self.name().to_owned(), needs, rule, part };
        if let Some((rule, part, needs)) = self.needs().find(|(_, _, needs)| !framing.meets(*needs)) {
            return Err(misfit((rule, part), Need::Framing(needs)));
        }
        let mut streamable = numbered(self.rules().iter().map(Rule::needs_streamable));
        if let Some(found) = streamable.next().filter(|_| framing == Framing::Sse) {
            return Err(misfit(found, Need::Streamable));
        }
        let mut needs_process = numbered(self.rules().iter().map(Rule::needs_process));
        match needs_process.next().filter(|_| !home.has_process()) {
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
