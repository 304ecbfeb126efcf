//! The HTTP servers of one life.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use crate::life::http_server::{HttpServer, ServerError, ServerLaunch};
use crate::life::stage::Stage;
use crate::plan::Transport;
use crate::supervise::Signalled;

/// The running mocks over HTTP, by name. Empty over stdio and in memory, where the subject starts its servers itself.
#[derive(Default)]
pub struct Servers {
    running: BTreeMap<String, HttpServer>,
}

impl Servers {
    /// Starts each named server that does not run yet. Does nothing for a transport without HTTP.
    ///
    /// # Errors
    /// When one of them does not start. Those before it keep running.
    pub(crate) async fn start<'n>(
        &mut self,
        stage: &Stage<'_>,
        transport: Transport,
        names: impl IntoIterator<Item = &'n String> + Send,
        limit: Duration,
    ) -> Result<(), ServerError> {
        if !transport.is_http() {
            return Ok(());
        }
        let names: Vec<&String> = names.into_iter().filter(|name| !self.running.contains_key(*name)).collect();
        let launch = ServerLaunch {
            endpoint: stage.endpoint.addr(),
            token: &stage.mock_token,
            transport,
            recorder: &stage.recorder,
            limit,
        };
        for name in names {
            let server = HttpServer::start(stage.environment, &launch, name).await?;
            self.running.insert(name.clone(), server);
        }
        Ok(())
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

    /// Kills a running server; `None` where no server of this name runs here.
    pub(crate) fn kill(&mut self, name: &str) -> Option<Signalled> {
        self.running.get_mut(name).map(HttpServer::kill)
    }

    /// Kills all servers and waits for their ends.
    pub(super) async fn end(self) {
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
