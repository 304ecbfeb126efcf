//! The channel to a server: an opened endpoint. Transports differ only here.

use std::sync::Arc;

use mcp_lifecheck::loader::memory::{MemoryCarrier, Pipes};

use super::config::{Endpoint, HttpKind};
use super::error::SessionError;
use super::http::{HttpError, Target};
use super::memory;
use super::options::Options;
use super::piped_server::PipedServer;

/// An opened endpoint.
pub(super) enum Channel {
    /// Lines over a pair of pipes.
    Lines(PipedServer),
    /// HTTP. Each exchange opens a connection of its own, so none is open yet.
    Http(HttpKind, Box<Target>),
}

impl Channel {
    /// Opens an endpoint. Must be called on a runtime.
    ///
    /// # Errors
    /// Why the server was not started or cannot be reached.
    pub(super) fn open(endpoint: Endpoint, options: &Options) -> Result<Self, SessionError> {
        match endpoint {
            Endpoint::Command(command) => match PipedServer::spawn(&command, options) {
                Ok(server) => Ok(Self::Lines(server)),
                Err(source) => Err(SessionError::Spawn { program: command.program, source }),
            },
            Endpoint::Http(address) => {
                let target = Target::of(&address, None, options.bounds.clone(), &options.hooks);
                Ok(Self::Http(address.kind, Box::new(target.map_err(http)?)))
            }
            Endpoint::Memory(address) => match address.carrier {
                MemoryCarrier::Lines => {
                    let Pipes { stdin, stdout } = memory::pipes(&address, options)?;
                    Ok(Self::Lines(PipedServer::without_process(Box::new(stdin), Box::new(stdout), options)))
                }
                MemoryCarrier::Http => {
                    let (address, dial) = memory::sockets(address, options)?;
                    let target = Target::of(&address, Some(dial), options.bounds.clone(), &options.hooks);
                    Ok(Self::Http(address.kind, Box::new(target.map_err(http)?)))
                }
            },
        }
    }
}

fn http(source: HttpError) -> SessionError {
    SessionError::Http { source: Arc::new(source) }
}
