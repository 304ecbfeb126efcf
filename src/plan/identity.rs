//! The identity of a plan: a scenario for one loader on one transport, revision and shutdown behaviour of its servers.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::plan::{Limits, Place, Promises, Revision, Transport};

/// How a server reacts to the end of its input, to SIGTERM and to SIGINT, in addition to its script.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ShutdownBehaviour {
    /// It ends.
    Polite,
    /// It ignores them; only SIGKILL ends it. A terminal sends SIGINT to the whole process group of a program.
    Stubborn,
}

impl fmt::Display for ShutdownBehaviour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Polite => "polite",
            Self::Stubborn => "stubborn",
        })
    }
}

/// How the program of a loader runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tier {
    /// A Rust loader in a plan process, in real time.
    #[default]
    Real,
    /// A loader in another program that speaks the adapter protocol, in real time.
    Foreign,
    /// A Rust loader whose program is tasks of one thread, in virtual time.
    Simulated,
}

impl Tier {
    /// Its name on the command line and in files.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Real => "real",
            Self::Foreign => "foreign",
            Self::Simulated => "simulated",
        }
    }

    /// Whether it is the usual one, which a plan file does not name.
    #[must_use]
    pub fn is_usual(&self) -> bool {
        *self == Self::default()
    }
}

/// One plan, with everything that is needed to run it again. A run writes it as `plan.toml` into the plan's folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Plan {
    /// Unique in a run: `SCENARIO.LOADER.TRANSPORT.REVISION.SERVER`, then `.rN` for repeats.
    pub id: String,
    /// Name of the scenario that the loader goes through.
    pub scenario: String,
    /// Name of the loader, with `@STACK` where it has stacks.
    pub loader: String,
    /// How the loader reaches its servers.
    pub transport: Transport,
    /// The protocol revision that the configuration of the loader requests.
    pub revision: Revision,
    /// Shutdown behaviour of every server for which the scenario sets none.
    pub server: ShutdownBehaviour,
    /// How the program of the loader runs.
    #[serde(default, skip_serializing_if = "Tier::is_usual")]
    pub tier: Tier,
    /// Seed of all random choices.
    pub seed: u64,
    /// The promises of the loader on this stack and transport.
    pub promises: Promises,
    /// The contexts of the scenario that the loader does not promise, each with the one in which its steps run instead.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub places: BTreeMap<Place, Place>,
    /// Every limit, with the values of `--limit`.
    pub limits: Limits,
    /// The text of the scenario file at the time of the run; `None` for a shipped scenario.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scenario_text: Option<String>,
    /// Path of the loader description; `None` for a shipped loader.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loader_file: Option<String>,
    /// The arguments that put the loader on the user's own checkout, such as `--python PATH`; empty when it ran on its stack.
    /// A replay needs them on its command line again, because a plan file must not start a program that it names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checkout: Vec<String>,
}

impl Plan {
    /// The id of the first repeat of a plan.
    #[must_use]
    pub fn id_of(
        scenario: &str,
        loader: &str,
        transport: Transport,
        revision: Revision,
        server: ShutdownBehaviour,
    ) -> String {
        format!("{scenario}.{loader}.{transport}.{revision}.{server}")
    }

    /// Makes the id again from the other fields. The id in a file is untrusted input: only the number of a repeat at
    /// its end is kept.
    pub fn rebuild_id(&mut self) {
        let first = Self::id_of(&self.scenario, &self.loader, self.transport, self.revision, self.server);
        self.id = match repeat_of(&self.id) {
            Some(repeat) => format!("{first}.r{repeat}"),
            None => first,
        };
    }
}

/// The number of the repeat that an id ends with, as `.rN`.
fn repeat_of(id: &str) -> Option<u32> {
    let (_, digits) = id.rsplit_once(".r")?;
    let repeat: u32 = digits.parse().ok()?;
    // Only the usual way to write a number: no sign, no leading zeros.
    (repeat > 0 && repeat.to_string() == digits).then_some(repeat)
}

#[cfg(test)]
mod tests {
    use super::repeat_of;

    #[test]
    fn an_id_tells_its_repeat_only_in_the_one_way_it_is_written() {
        assert_eq!(repeat_of("a.reference.stdio.2025-11-25.polite.r12"), Some(12));
        for none in
            ["a.reference.stdio.2025-11-25.polite", "a.r", "a.r0", "a.r01", "a.r+1", "a.r1/..", "a.r99999999999"]
        {
            assert_eq!(repeat_of(none), None, "{none}");
        }
    }
}
