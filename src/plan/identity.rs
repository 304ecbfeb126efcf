//! What one plan is: a scenario for one loader on one transport, revision and temperament of its servers.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::plan::{Limits, Promises, Revision};

/// How a loader reaches its servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Transport {
    /// Pipes in memory: servers live in the loader's own process.
    Memory,
    /// A child process.
    Stdio,
    /// Streamable HTTP on loopback.
    Http,
    /// HTTP with server-sent events, revision 2024-11-05.
    Sse,
}

impl Transport {
    /// Whether servers are children of the loader, which can be stubborn about their end.
    #[must_use]
    pub fn has_children(self) -> bool {
        match self {
            Self::Stdio => true,
            Self::Memory | Self::Http | Self::Sse => false,
        }
    }

    /// Whether servers are reached by a URL, and so are no children of the loader.
    #[must_use]
    pub fn is_http(self) -> bool {
        match self {
            Self::Http | Self::Sse => true,
            Self::Memory | Self::Stdio => false,
        }
    }
}

impl Transport {
    /// What this version runs plans over.
    pub const ALL: [Self; 4] = [Self::Memory, Self::Stdio, Self::Http, Self::Sse];

    /// What plans are run over where nobody names a transport: all but the one that is outdated.
    pub const USUAL: [Self; 3] = [Self::Memory, Self::Stdio, Self::Http];

    /// What it is, in one sentence.
    #[must_use]
    pub fn about(self) -> &'static str {
        match self {
            Self::Memory => "Servers live in the loader's own process, behind pipes of bytes.",
            Self::Stdio => {
                "Each server is a child process of the loader, and messages are lines over its stdin and stdout."
            }
            Self::Http => "Streamable HTTP on loopback, with sessions.",
            Self::Sse => "HTTP with server-sent events on loopback, as in revision 2024-11-05; run only on request.",
        }
    }

    /// What it means for a plan.
    #[must_use]
    pub fn explain(self) -> &'static str {
        match self {
            Self::Memory => {
                "Messages are lines as over stdio, or HTTP/1.1 where a scenario is about HTTP. There are no processes and no \
                 sockets, so a plan costs little; what only a process can show, as a server that ignores signals, does not \
                 apply. The reference loader speaks it, and a Rust loader under `cargo test` can, by the `memory` of its setup."
            }
            Self::Stdio => {
                "Servers are run polite, and stubborn as well: ignoring the end of their input and SIGTERM. What is left of \
                 them after cleanup and after the end of the program is seen in the process table."
            }
            Self::Http => {
                "A POST for each message, a GET for the server's own stream, a DELETE for the end. The servers are processes of \
                 mcp-lifecheck, not of the loader, and always polite; sessions that are left open are seen at the server."
            }
            Self::Sse => {
                "A GET for the stream on which every message of the server comes, and a POST for each message to where the first \
                 event of that stream says; the end of the stream is the end of the session. Outdated since 2025-03-26 and still \
                 served by many, so it is run only where it is asked for, and then with any revision that has `initialize`. The \
                 servers are processes of mcp-lifecheck, not of the loader, and always polite. What is demanded of session ids, and \
                 what a script does to a DELETE or to the body of an answer, does not apply."
            }
        }
    }

    /// Its name on the command line and in histories.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Stdio => "stdio",
            Self::Http => "http",
            Self::Sse => "sse",
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How servers take the end of their connection, laid over their scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Temperament {
    /// They end when asked.
    Polite,
    /// They ignore EOF and SIGTERM.
    Stubborn,
}

impl fmt::Display for Temperament {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Polite => "polite",
            Self::Stubborn => "stubborn",
        })
    }
}

/// One plan: everything needed to run it again. Written as `plan.toml` into its folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Plan {
    /// Unique in a run: `SCENARIO.LOADER.TRANSPORT.REVISION.TEMPERAMENT`, then `.rN` for repeats.
    pub id: String,
    /// Name of the scenario.
    pub scenario: String,
    /// Name of the loader, with `@STACK`.
    pub loader: String,
    /// How it reaches its servers.
    pub transport: Transport,
    /// The revision it is asked to speak.
    pub revision: Revision,
    /// How the servers take their end.
    pub server: Temperament,
    /// Seed of whatever is drawn by chance.
    pub seed: u64,
    /// What the loader promises.
    pub promises: Promises,
    /// Limits in force.
    pub limits: Limits,
    /// The scenario file as it was, when it is not a shipped one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scenario_text: Option<String>,
    /// The loader description the loader came from, when it is not a shipped one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loader_file: Option<String>,
    /// The arguments that put the loader on the user's own checkout, such as `--python PATH`; empty where it ran on its stack.
    /// To run the plan again they are given again: a plan starts no program that it names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checkout: Vec<String>,
}

impl Plan {
    /// The id of the first repeat of such a plan.
    #[must_use]
    pub fn id_of(
        scenario: &str,
        loader: &str,
        transport: Transport,
        revision: Revision,
        server: Temperament,
    ) -> String {
        format!("{scenario}.{loader}.{transport}.{revision}.{server}")
    }

    /// Makes the id again from what the plan is. A written id is an input like any other; of it only the number of the
    /// repeat is kept, where it is one.
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
    // Only the one way to write a number: no sign, no zeros before it.
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
