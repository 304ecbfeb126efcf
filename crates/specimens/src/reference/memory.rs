//! Servers in memory: how their pipes and their sockets are opened.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use mcp_lifecheck::loader::memory::{Connector, MemoryAddress, Pipes};

use super::config::{HttpAddress, HttpKind};
use super::error::SessionError;
use super::http::{Dial, HttpError, Stream};
use super::options::Options;

/// Starts a server over lines.
///
/// # Errors
/// What its host said; `Unsupported` where there is none.
pub(super) fn pipes(address: &MemoryAddress, options: &Options) -> Result<Pipes, SessionError> {
    connector(options).and_then(|connector| connector.pipes(address)).map_err(|source| refused(address, source))
}

/// The address of a server over HTTP, and how connections to it are opened.
///
/// # Errors
/// `Unsupported` where it has no host.
pub(super) fn sockets(address: MemoryAddress, options: &Options) -> Result<(HttpAddress, Box<dyn Dial>), SessionError> {
    let connector = connector(options).map_err(|source| refused(&address, source))?;
    let url = format!("http://{}{}", MemoryAddress::HOST, MemoryAddress::PATH);
    let http = HttpAddress { url, kind: HttpKind::Streamable, headers: BTreeMap::new() };
    Ok((http, Box::new(Sockets { connector, address })))
}

fn connector(options: &Options) -> io::Result<Arc<dyn Connector>> {
    options.connector.clone().ok_or_else(|| io::ErrorKind::Unsupported.into())
}

fn refused(address: &MemoryAddress, source: io::Error) -> SessionError {
    SessionError::Memory { server: address.server.clone(), source }
}

struct Sockets {
    connector: Arc<dyn Connector>,
    address: MemoryAddress,
}

impl Dial for Sockets {
    fn dial(&self) -> BoxFuture<'_, Result<Box<dyn Stream>, HttpError>> {
        let Self { connector, address } = self;
        Box::pin(async move {
            let authority = || format!("{} in memory", address.server);
            match connector.socket(address) {
                Ok(socket) => Ok(Box::new(socket) as Box<dyn Stream>),
                Err(source) => Err(HttpError::Connect { authority: authority(), source }),
            }
        })
    }
}
