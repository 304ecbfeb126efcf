//! How connections to a server are opened.

use futures_util::future::BoxFuture;
use tokio::net::TcpStream;

use super::error::HttpError;
use super::socket::Stream;

/// Opens connections to one server.
pub(in super::super) trait Dial: Send + Sync {
    /// Opens a connection. The error names where it should have led.
    fn dial(&self) -> BoxFuture<'_, Result<Box<dyn Stream>, HttpError>>;
}

/// A server behind a TCP port.
pub(super) struct Tcp {
    pub host: String,
    pub port: u16,
}

impl Dial for Tcp {
    fn dial(&self) -> BoxFuture<'_, Result<Box<dyn Stream>, HttpError>> {
        let Self { host, port } = self;
        Box::pin(async move {
            let connected = TcpStream::connect((host.as_str(), *port)).await;
            match connected.and_then(|socket| socket.set_nodelay(true).map(|()| socket)) {
                Ok(socket) => Ok(Box::new(socket) as Box<dyn Stream>),
                Err(source) => Err(HttpError::Connect { authority: format!("{host}:{port}"), source }),
            }
        })
    }
}
