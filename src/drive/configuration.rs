//! The servers in the loader's configuration, and how the loader reaches each of them.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::drive::context::Context;
use crate::history::Action;
use crate::life::{ServerError, Servers, catch_up, wrapped};
use crate::plan::Transport;
use crate::record::MockFacts;
use crate::supervise::{Signalled, SuperviseError};

/// The current configuration.
pub(super) struct Configuration<'a> {
    context: Context<'a>,
    servers: &'a mut Servers,
    /// Configured servers, in the order of the scenario.
    names: Vec<String>,
    /// Number of changes to the entry of each server.
    changes: BTreeMap<String, u32>,
    /// Servers whose entry the next reload changes.
    changed: Vec<String>,
}

/// The configuration that an operation that loads receives.
pub(super) struct Handed {
    /// Names of the configured servers.
    pub servers: Vec<String>,
    /// Servers with a new entry. Only a reload has any.
    pub changed: Vec<String>,
    /// The `mcpServers` document.
    pub document: Value,
}

impl<'a> Configuration<'a> {
    /// The configuration with which the scenario begins.
    pub(super) fn new(context: Context<'a>, servers: &'a mut Servers) -> Self {
        let initial = context.input.scenario.servers.iter().filter(|server| server.initially);
        let names = initial.map(|server| server.name.clone()).collect();
        Self { context, servers, names, changes: BTreeMap::new(), changed: Vec::new() }
    }

    /// Takes servers out of the configuration, puts others in, and changes the entries of some.
    pub(super) fn reconfigure(&mut self, remove: &[String], add: &[String], change: &[String]) {
        let kept = |name: &String| self.names.contains(name) && !remove.contains(name) || add.contains(name);
        let names = self.context.input.scenario.servers.iter().map(|server| server.name.clone());
        self.names = names.filter(kept).collect();
        for name in change {
            *self.changes.entry(name.clone()).or_default() += 1;
        }
        self.changed = change.iter().filter(|name| self.names.contains(name)).cloned().collect();
    }

    /// Starts each configured server that has not been started yet, where this process starts them.
    pub(super) async fn start_servers(&mut self) -> Result<(), ServerError> {
        let Context { input, stage, .. } = self.context;
        self.servers.start(stage.mock_link(), &stage.recorder, &self.names, input.plan.limits.listen).await
    }

    /// Waits until each server has recorded what the loader did before now, over HTTP with server-sent events. There the end of a stream
    /// is the end of a session, and no response tells the loader that its server has seen it.
    pub(super) async fn await_ends_of_streams(&self) {
        if self.context.input.plan.transport != Transport::Sse {
            return;
        }
        for server in self.servers.addresses() {
            catch_up(self.context.stage, server).await;
        }
    }

    /// The configuration that an operation receives; `None` for an operation that does not load.
    pub(super) fn handed_to(&mut self, action: Action) -> Option<Handed> {
        if !action.loads() {
            return None;
        }
        let document = self.document();
        let changed = if action == Action::Reload { std::mem::take(&mut self.changed) } else { Vec::new() };
        Some(Handed { servers: self.names.clone(), changed, document })
    }

    fn document(&self) -> Value {
        let servers = self.names.iter().map(|name| (name.clone(), self.entry(name)));
        let mut servers = Map::from_iter(servers);
        for (name, n_changes) in &self.changes {
            if let Some(entry) = servers.get_mut(name) {
                change_entry(entry, *n_changes);
            }
        }
        json!({ "mcpServers": servers })
    }

    fn entry(&self, name: &str) -> Value {
        let Context { input, stage, .. } = self.context;
        let entry = self.servers.entry(stage.mock_link(), name);
        let is_wrapped = input.scenario.server(name).is_some_and(|server| server.is_wrapped(input.plan.transport));
        if is_wrapped { wrapped(entry) } else { entry }
    }

    /// Kills a mock.
    pub(super) async fn kill(&mut self, mock: &MockFacts) -> Result<Signalled, SuperviseError> {
        let Context { stage, program, .. } = self.context;
        self.servers.kill(&stage.endpoint, program.supervised(), mock).await
    }
}

/// Makes an entry differ and still lead to the same mock: by its environment, or by a header where it has a URL.
fn change_entry(entry: &mut Value, n_changes: u32) {
    let (field, name) =
        if entry.get("url").is_some() { ("headers", "x-mcp-lifecheck-entry") } else { ("env", "MCP_LIFECHECK_ENTRY") };
    if let Value::Object(entry) = entry
        && let Value::Object(values) = entry.entry(field).or_insert_with(|| json!({}))
    {
        values.insert(name.to_owned(), Value::from(n_changes.to_string()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_entry_leads_to_the_same_mock_and_is_another_one() {
        let mut command = json!({ "command": "mock", "env": { "A": "b" } });
        change_entry(&mut command, 2);
        assert_eq!(command, json!({ "command": "mock", "env": { "A": "b", "MCP_LIFECHECK_ENTRY": "2" } }));
        let mut url = json!({ "url": "http://x/" });
        change_entry(&mut url, 1);
        assert_eq!(url, json!({ "url": "http://x/", "headers": { "x-mcp-lifecheck-entry": "1" } }));
    }
}
