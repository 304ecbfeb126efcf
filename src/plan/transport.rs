//! Transports: how a loader reaches its servers. One table has what distinguishes them; every other module asks for a property.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::plan::Framing;

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

/// Where the servers of a transport run, and which process starts and ends them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerHome {
    /// In the process of their client, which starts them through a connector. They have no process, so they take no signals, and
    /// only a command of the recorder kills one.
    ClientProcess,
    /// Each in a child process of its client, which starts it by the command in its configuration.
    ClientChild,
    /// Each in a process that mcp-lifecheck starts. Clients reach it by its URL.
    OwnProcess,
}

/// The properties of a transport.
struct Properties {
    /// The name on the command line and in histories.
    name: &'static str,
    home: ServerHome,
    /// The framings of which a plan has one. The first is the usual one.
    framings: &'static [Framing],
    about: &'static str,
    explain: &'static str,
}

impl Transport {
    /// The table. A new transport is a row here, and an entry in the configuration of a loader.
    fn properties(self) -> Properties {
        match self {
            Self::Memory => Properties {
                name: "memory",
                home: ServerHome::ClientProcess,
                framings: &[Framing::Lines, Framing::Http],
                about: "Servers live in the loader's own process, behind pipes of bytes.",
                explain: "Messages are lines as over stdio, or HTTP/1.1 where a scenario is about HTTP. There are no \
                          processes and no sockets, so a plan costs little. Behaviour that only a process can show, \
                          such as ignoring a signal, does not apply. The reference loader speaks it; a Rust loader \
                          under `cargo test` can, through `memory` in its setup.",
            },
            Self::Stdio => Properties {
                name: "stdio",
                home: ServerHome::ClientChild,
                framings: &[Framing::Lines],
                about: "Each server is a child process of the loader, and messages are lines over its stdin and stdout.",
                explain: "Servers run polite, and in other plans stubborn: then they ignore the end of their input and \
                          SIGTERM. The process table shows which of them still run after cleanup and after the end of \
                          the program.",
            },
            Self::Http => Properties {
                name: "http",
                home: ServerHome::OwnProcess,
                framings: &[Framing::Http],
                about: "Streamable HTTP on loopback, with sessions.",
                explain: "A POST for each message, a GET for the server's own stream, a DELETE for the end. The \
                          servers are processes of mcp-lifecheck, not of the loader, and always polite. The server \
                          sees which sessions stay open.",
            },
            Self::Sse => Properties {
                name: "sse",
                home: ServerHome::OwnProcess,
                framings: &[Framing::Sse],
                about: "HTTP with server-sent events on loopback, as in revision 2024-11-05; run only on request.",
                explain: "A GET for the stream on which every message of the server comes, and a POST for each message \
                          to where the first event of that stream says; the end of the stream is the end of the \
                          session. Outdated since 2025-03-26 and still served by many, so it runs only on request, and \
                          then with any revision that has `initialize`. The servers are processes of mcp-lifecheck, \
                          not of the loader, and always polite. Requirements on session ids do not apply, nor do \
                          faults of a DELETE or of the body of a response.",
            },
        }
    }

    /// Every transport, in the order of reports.
    pub const ALL: [Self; 4] = [Self::Memory, Self::Stdio, Self::Http, Self::Sse];

    /// The transports of a run whose user names none: all but `sse`, which is outdated.
    pub const USUAL: [Self; 3] = [Self::Memory, Self::Stdio, Self::Http];

    /// The only transport of the simulated tier, which has no processes.
    pub const SIMULATED: Self = Self::Memory;

    /// The transport with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|transport| transport.as_str() == name)
    }

    /// The name on the command line and in histories.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.properties().name
    }

    /// One sentence for `list transports`.
    #[must_use]
    pub fn about(self) -> &'static str {
        self.properties().about
    }

    /// The text of `explain`: what the transport means for a plan.
    #[must_use]
    pub fn explain(self) -> &'static str {
        self.properties().explain
    }

    /// Where its servers run.
    #[must_use]
    pub fn home(self) -> ServerHome {
        self.properties().home
    }

    /// The framings of which a plan has one. The first is the usual one.
    #[must_use]
    pub fn framings(self) -> &'static [Framing] {
        self.properties().framings
    }

    /// The framing of a plan in which neither the scenario nor a script asks for another one.
    #[must_use]
    pub fn usual_framing(self) -> Framing {
        self.framings()[0]
    }

    /// Whether servers are children of the loader. Only such servers can be stubborn.
    #[must_use]
    pub fn has_children(self) -> bool {
        self.home() == ServerHome::ClientChild
    }

    /// Whether the loader reaches servers by a URL. Such servers are not its children.
    #[must_use]
    pub fn is_http(self) -> bool {
        self.home() == ServerHome::OwnProcess
    }

    /// The transport that carries the same framing to servers that are processes.
    #[must_use]
    pub fn to_processes(self, framing: Framing) -> Self {
        let carries = |other: &Self| other.home().has_process() && other.usual_framing() == framing;
        Some(self).filter(carries).or_else(|| Self::ALL.into_iter().find(carries)).unwrap_or(self)
    }

    /// The name of a plan's transport in its history. A framing that is not the usual one is part of it: `memory/http`.
    #[must_use]
    pub fn recorded(self, framing: Framing) -> String {
        if framing == self.usual_framing() {
            self.to_string()
        } else {
            format!("{self}/{}", self.to_processes(framing))
        }
    }

    /// The transport that a recorded one counts as when its history is judged: `memory/http` counts as `http`.
    #[must_use]
    pub fn counted_as(recorded: &str) -> &str {
        let mut with_choice = Self::ALL.into_iter().filter(|transport| transport.framings().len() > 1);
        with_choice
            .find_map(|transport| recorded.strip_prefix(transport.as_str())?.strip_prefix('/'))
            .unwrap_or(recorded)
    }
}

impl ServerHome {
    /// Whether each server is a process, which takes signals and can refuse to end.
    #[must_use]
    pub fn has_process(self) -> bool {
        match self {
            Self::ClientProcess => false,
            Self::ClientChild | Self::OwnProcess => true,
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_the_one_in_files() {
        for transport in Transport::ALL {
            assert_eq!(serde_json::to_value(transport).unwrap(), transport.as_str());
            assert_eq!(Transport::named(transport.as_str()), Some(transport));
        }
        assert_eq!(Transport::named("memory/http"), None);
    }

    #[test]
    fn a_record_names_an_unusual_framing_and_counts_as_the_transport_that_always_has_it() {
        let mut recorded = Vec::new();
        for transport in Transport::ALL {
            for framing in transport.framings() {
                let name = transport.recorded(*framing);
                let counted = Transport::counted_as(&name).to_owned();
                recorded.push((name, counted, transport.to_processes(*framing).as_str()));
            }
        }
        let expected = [
            ("memory", "memory", "stdio"),
            ("memory/http", "http", "http"),
            ("stdio", "stdio", "stdio"),
            ("http", "http", "http"),
            ("sse", "sse", "sse"),
        ];
        assert_eq!(recorded, expected.map(|(name, counted, probed)| (name.to_owned(), counted.to_owned(), probed)));
        assert_eq!(Transport::counted_as("stdio/http"), "stdio/http");
    }
}
