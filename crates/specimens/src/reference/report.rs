//! The results of a load and of a cleanup.

use std::sync::Arc;

use indexmap::IndexMap;
use rmcp::model::Tool;

use super::error::{LookupError, SessionError};
use super::process::Ending;
use super::session::{Freshness, Session, Status};

/// What a load found, servers in the order of the configuration.
#[derive(Debug, Clone, Default)]
pub struct LoadReport {
    /// The tools of every usable server.
    pub tools: Vec<ServerTools>,
    /// Every server that is not usable. The next load tries it again.
    pub errors: IndexMap<String, Arc<SessionError>>,
    /// Tool names that more than one server has. They can be called by server and name only.
    pub duplicates: Vec<DuplicateName>,
    /// Servers that were connected by this load.
    pub connected: Vec<String>,
    /// Servers that kept their session.
    pub kept: Vec<String>,
    /// Servers that the configuration no longer has. Nothing of them is left.
    pub removed: Vec<String>,
}

impl LoadReport {
    pub(super) fn read_sessions(&mut self, sessions: &[Arc<Session>]) {
        self.tools = usable_tools(sessions);
        self.duplicates = duplicates(&self.tools);
        self.errors = session_errors(sessions);
        let fresh = self.tools.iter().filter(|each| !self.kept.contains(&each.server));
        self.connected = fresh.map(|each| each.server.clone()).collect();
    }
}

/// What a cleanup did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CleanupReport {
    /// How the process of each session ended, in server order. Empty if nothing was loaded.
    pub endings: IndexMap<String, Ending>,
}

/// The tools of one server.
#[derive(Debug, Clone)]
pub struct ServerTools {
    /// The server's name in the configuration.
    pub server: String,
    /// Its tools, in its order.
    pub tools: Arc<[Tool]>,
    /// Whether the server has announced a change since.
    pub freshness: Freshness,
}

/// A tool name that more than one server has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DuplicateName {
    /// The name.
    pub name: String,
    /// Every server that has it, in server order.
    pub owners: Vec<String>,
}

/// A tool and the server that has it.
#[derive(Debug, Clone)]
pub struct FoundTool {
    /// The server's name in the configuration.
    pub server: String,
    /// The tool.
    pub tool: Tool,
}

/// The tools of every session that can be used now. A dead server offers none.
pub(super) fn usable_tools(sessions: &[Arc<Session>]) -> Vec<ServerTools> {
    let listed = sessions.iter().filter_map(|session| match session.status() {
        Status::Ready(listing) => {
            Some(ServerTools { server: session.name.clone(), tools: listing.tools, freshness: listing.freshness })
        }
        Status::Connecting | Status::Gone(_) | Status::Ended(..) => None,
    });
    listed.collect()
}

/// Every session that cannot be used now, with the reason.
pub(super) fn session_errors(sessions: &[Arc<Session>]) -> IndexMap<String, Arc<SessionError>> {
    let failed = sessions.iter().filter_map(|session| match session.status() {
        Status::Ready(_) => None,
        Status::Connecting => Some((session.name.clone(), Arc::new(SessionError::Connecting))),
        Status::Gone(because) | Status::Ended(because, _) => Some((session.name.clone(), because)),
    });
    failed.collect()
}

fn duplicates(servers: &[ServerTools]) -> Vec<DuplicateName> {
    let mut owners = IndexMap::<&str, Vec<String>>::new();
    for ServerTools { server, tools, .. } in servers {
        for tool in tools.iter() {
            owners.entry(&tool.name).or_default().push(server.clone());
        }
    }
    let shared = owners.into_iter().filter(|(_, owners)| owners.len() > 1);
    shared.map(|(name, owners)| DuplicateName { name: name.to_owned(), owners }).collect()
}

/// The one tool of that name.
pub(super) fn find_tool(servers: &[ServerTools], name: &str) -> Result<FoundTool, LookupError> {
    let mut found = servers.iter().filter_map(|ServerTools { server, tools, .. }| {
        let tool = tools.iter().find(|tool| tool.name == name)?;
        Some(FoundTool { server: server.clone(), tool: tool.clone() })
    });
    let first = found.next().ok_or_else(|| LookupError::Unknown { name: name.to_owned() })?;
    let others = found.map(|other| other.server).collect::<Vec<_>>();
    if others.is_empty() {
        return Ok(first);
    }
    let owners = std::iter::once(first.server).chain(others).collect();
    Err(LookupError::Ambiguous { name: name.to_owned(), owners })
}
