//! The servers of one life: who starts each of them, how the subject reaches it, and how the driver kills it.
//!
//! This is the one place that acts on where the servers of a transport live.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};

use crate::life::http_server::{HttpServer, ServerError, ServerLaunch};
use crate::life::mocks::MockLink;
use crate::plan::{Framing, ServerHome, Transport};
use crate::record::{MockFacts, Recorder, RecorderEndpoint};
use crate::supervise::{Signalled, SuperviseError, Supervised};

/// The servers of one life. Holds those that are processes of mcp-lifecheck; the subject starts the others itself.
pub struct Servers {
    transport: Transport,
    framing: Framing,
    /// By name.
    running: BTreeMap<String, HttpServer>,
}

impl Servers {
    /// The servers of a life over this transport, before any of them runs.
    pub(crate) fn new(transport: Transport, framing: Framing) -> Self {
        Self { transport, framing, running: BTreeMap::new() }
    }

    /// Starts each named server that does not run yet, where this process starts them.
    ///
    /// # Errors
    /// When one of them does not start. Those before it keep running.
    pub(crate) async fn start(
        &mut self,
        link: MockLink<'_>,
        recorder: &Recorder,
        names: impl IntoIterator<Item = &String> + Send,
        limit: Duration,
    ) -> Result<(), ServerError> {
        match self.transport.home() {
            ServerHome::ClientProcess | ServerHome::ClientChild => return Ok(()),
            ServerHome::OwnProcess => {}
        }
        let names: Vec<&String> = names.into_iter().filter(|name| !self.running.contains_key(*name)).collect();
        let launch = ServerLaunch { link, transport: self.transport, recorder, limit };
        for name in names {
            let server = HttpServer::start(&launch, name).await?;
            self.running.insert(name.clone(), server);
        }
        Ok(())
    }

    /// The entry of a server in an `mcpServers` object: how a loader reaches it.
    pub(crate) fn entry(&self, link: MockLink<'_>, name: &str) -> Value {
        match self.transport.home() {
            ServerHome::ClientChild => json!(link.child(name)),
            ServerHome::OwnProcess => json!({ "url": self.url(name), "type": self.transport.as_str() }),
            // Only a Rust loader that received a connector to such servers understands this entry.
            ServerHome::ClientProcess => {
                let carrier = match self.framing {
                    Framing::Lines => "lines",
                    // No mock in its client's process speaks HTTP with server-sent events.
                    Framing::Http | Framing::Sse => "http",
                };
                let (link, token) = (link.endpoint.to_string(), link.token);
                let address = json!({ "server": name, "carrier": carrier, "link": link, "token": token });
                json!({ self.transport.as_str(): address })
            }
        }
    }

    /// Kills a mock.
    ///
    /// # Errors
    /// When the supervisor of the subject is lost, which must send the signal.
    pub(crate) async fn kill(
        &mut self,
        endpoint: &RecorderEndpoint,
        supervised: Option<&Supervised>,
        mock: &MockFacts,
    ) -> Result<Signalled, SuperviseError> {
        match self.transport.home() {
            ServerHome::OwnProcess => Ok(self.running.get_mut(&mock.server).map_or(Signalled::Gone, HttpServer::kill)),
            ServerHome::ClientChild => match supervised {
                Some(supervised) => supervised.signal(Some(mock.pid), "KILL").await,
                None => Ok(Signalled::Gone),
            },
            ServerHome::ClientProcess => Ok(if endpoint.kill(mock) { Signalled::Sent } else { Signalled::Gone }),
        }
    }

    /// The URL of a running server.
    pub(crate) fn url(&self, name: &str) -> Option<&str> {
        self.running.get(name).map(|server| server.url.as_str())
    }

    /// The URLs of all running servers, in the order of their names.
    pub(crate) fn urls(&self) -> impl Iterator<Item = &str> {
        self.running.values().map(|server| server.url.as_str())
    }

    /// Where the running servers listen.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        self.urls().filter_map(address).collect()
    }

    /// Kills all servers and waits for their ends.
    pub(crate) async fn end(self) {
        for server in self.running.into_values() {
            server.end().await;
        }
    }
}

/// The address in the URL of a server.
fn address(url: &str) -> Option<SocketAddr> {
    url.strip_prefix("http://")?.split('/').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::address;

    #[test]
    fn the_address_of_a_server_stands_in_its_url() {
        assert_eq!(address("http://127.0.0.1:80/a/b"), Some(([127, 0, 0, 1], 80).into()));
        assert_eq!(address("https://127.0.0.1:80/"), None);
    }
}
