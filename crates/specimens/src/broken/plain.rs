//! rmcp as its README uses it: `TokioChildProcess` or `StreamableHttpClientTransport`, `().serve(...)`,
//! `list_all_tools`, `call_tool`.
//!
//! The transport for HTTP is rmcp's own on reqwest, behind the feature `rmcp-reqwest`, so that a build without it
//! compiles no reqwest.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use futures_util::FutureExt as _;
use mcp_lifecheck::loader::target::{Called, Failure, Loaded};
use rmcp::model::CallToolRequestParams;
use rmcp::service::{ClientInitializeError, Peer, RunningService, ServiceError};
use rmcp::transport::TokioChildProcess;
use rmcp::{RoleClient, ServiceExt};
use serde_json::Value;
use tokio::process::Command;
use tokio::time::sleep;

use super::web;
use crate::reference::{Config, Endpoint, called};

/// A session as rmcp hands it out.
pub(super) type Service = RunningService<RoleClient, ()>;
/// The handle that calls go through. Does not keep its session alive.
pub type Handle = Peer<RoleClient>;
/// Sessions by server name.
pub(super) type Services = BTreeMap<String, Service>;

/// How often a call looks whether its session has ended.
const SESSION_POLL: Duration = Duration::from_millis(100);

/// The servers of `config`.
pub(super) fn servers(config: &Value) -> Result<Config, Failure> {
    Config::from_value(config).map_err(|error| Failure::of("ConfigError", &error))
}

/// Connects to every server, one after the other; those that fail are in `loaded.errors`.
pub(super) async fn connect_all(config: &Config, loaded: &mut Loaded) -> Services {
    let mut services = Services::new();
    for (name, endpoint) in config.servers() {
        match connect(endpoint).await {
            Ok(service) => {
                list_into(name, &service, loaded).await;
                services.insert(name.clone(), service);
            }
            Err(failure) => {
                loaded.errors.insert(name.clone(), failure.message);
            }
        }
    }
    services
}

async fn connect(endpoint: &Endpoint) -> Result<Service, Failure> {
    match endpoint {
        Endpoint::Command(line) => {
            let process =
                TokioChildProcess::new(Command::from(line.command())).map_err(|error| Failure::of("Spawn", &error))?;
            serve(process).await.map_err(|error| Failure::of("ClientInitializeError", &*error))
        }
        Endpoint::Http(address) => web::connect(address).await,
        Endpoint::Memory(address) => {
            Err(failure("TransportUnavailable", &format!("server {:?} is in memory", address.server)))
        }
    }
}

/// The one place where rmcp's serve loop is instantiated for the broken loaders over stdio.
async fn serve(process: TokioChildProcess) -> Result<Service, Box<ClientInitializeError>> {
    ().serve(process).await.map_err(Box::new)
}

/// Adds the tools of one server to `loaded`, or the reason why they could not be listed.
pub(super) async fn list_into(name: &str, peer: &Handle, loaded: &mut Loaded) {
    match peer.list_all_tools().await {
        Ok(tools) => loaded.tools.extend(tools.into_iter().map(|tool| (name.to_owned(), tool.name.into_owned()))),
        Err(error) => {
            loaded.errors.insert(name.to_owned(), service_failure(&error).message);
        }
    }
}

/// Lists the tools of every peer.
pub(super) async fn list_all<'a>(peers: impl Iterator<Item = (&'a String, &'a Handle)> + Send) -> Loaded {
    let mut loaded = Loaded::default();
    for (name, peer) in peers {
        list_into(name, peer, &mut loaded).await;
    }
    loaded
}

/// Calls one tool.
pub(super) async fn call(peer: &Handle, tool: &str, arguments: Value) -> Result<Called, Failure> {
    let params = CallToolRequestParams::new(tool.to_owned());
    let params = match arguments {
        Value::Object(arguments) => params.with_arguments(arguments),
        _ => params,
    };
    let answer = or_end(peer, peer.call_tool(params)).await.map_err(|error| service_failure(&error))?;
    Ok(called(&answer))
}

/// The answer to a request, or the end of its session.
///
/// rmcp does not always report the end. A request that enters the queue of a session while the session's task drops the queue stays
/// there, and rmcp waits for its answer for as long as a handle exists. It depends on nanoseconds, and a broken loader has the same
/// outcome each time.
pub async fn or_end<T>(
    peer: &Handle,
    request: impl Future<Output = Result<T, ServiceError>>,
) -> Result<T, ServiceError> {
    let mut request = pin!(request);
    let ended = async {
        while !peer.is_transport_closed() {
            sleep(SESSION_POLL).await;
        }
    };
    tokio::select! {
        biased;
        answer = &mut request => answer,
        () = ended => request.now_or_never().unwrap_or(Err(ServiceError::TransportClosed)),
    }
}

/// Closes every session in the order of their names.
pub(super) async fn close_all(services: Services) -> Result<(), Failure> {
    for service in services.into_values() {
        service.cancel().await.map_err(|error| Failure::of("JoinError", &error))?;
    }
    Ok(())
}

/// The failure of asking for a server that was never connected.
pub(super) fn unknown(server: &str) -> Failure {
    failure("UnknownServer", &format!("no server is called {server:?}"))
}

/// A failure without an error behind it.
pub(super) fn failure(kind: &str, message: &str) -> Failure {
    Failure { kind: kind.to_owned(), message: message.to_owned() }
}

fn service_failure(error: &ServiceError) -> Failure {
    let kind = match error {
        ServiceError::TransportClosed => "ServiceError::TransportClosed",
        ServiceError::TransportSend(_) => "ServiceError::TransportSend",
        ServiceError::McpError(_) => "ServiceError::McpError",
        _ => "ServiceError",
    };
    Failure::of(kind, error)
}
