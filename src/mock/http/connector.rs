//! The way from clients to a mock over HTTP.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};

use crate::mock::http::connection;
use crate::mock::http::fields::Digests;
use crate::mock::http::shared::{HttpEvent, HttpShared, ServingPhase};
use crate::mock::http::stream::ByteStream;
use crate::server::Input;

/// Longest time of a request from its first byte to its last. The longest body takes far less on loopback.
const REQUEST_LIMIT: Duration = Duration::from_secs(60);
/// How long it waits after the system refused a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);
/// Connects clients to a mock. Cheap to clone; the mock ends without waiting for it.
#[derive(Clone)]
pub struct Connector {
    shared: Arc<HttpShared>,
}

impl Connector {
    /// Serves a client over this stream, on the current runtime, until either side ends it.
    pub fn connect<S: ByteStream>(&self, stream: S) {
        connection::spawn(stream, Arc::clone(&self.shared));
    }

    /// Serves every client that connects to a listener, as long as the future is polled.
    pub async fn accept(self, listener: TcpListener) {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    // Without it an event waits for the client's next packet. A failure only makes the mock slower.
                    let _ = stream.set_nodelay(true);
                    self.connect(stream);
                }
                // Most likely the process is out of descriptors. Open connections stay open.
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            }
        }
    }

    /// Gives the mock a signal or an open gate.
    pub fn send(&self, input: Input) {
        // The mock may be over.
        let _ = self.shared.events.send(HttpEvent::Input(input));
    }
}

/// The inputs of a mock.
pub struct Inbox {
    pub(super) events: mpsc::UnboundedReceiver<HttpEvent>,
    pub(super) sender: mpsc::UnboundedSender<HttpEvent>,
    pub(super) phase: watch::Sender<ServingPhase>,
}

/// A connector, and the inbox of the mock to which it connects clients.
#[must_use]
pub fn connector() -> (Connector, Inbox) {
    connector_within(REQUEST_LIMIT)
}

fn connector_within(request_limit: Duration) -> (Connector, Inbox) {
    let (events, inbox) = mpsc::unbounded_channel();
    let (phase_sender, phase) = watch::channel(ServingPhase::Serving);
    let sender = events.clone();
    let shared = HttpShared {
        events,
        phase,
        n_sockets: AtomicUsize::new(0),
        n_sockets_ever: AtomicU64::new(0),
        n_exchanges: AtomicU64::new(0),
        n_body_bytes: AtomicUsize::new(0),
        digests: Digests::default(),
        request_limit,
    };
    (Connector { shared: Arc::new(shared) }, Inbox { events: inbox, sender, phase: phase_sender })
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn a_request_that_is_never_complete_ends_its_connection_and_an_idle_one_stays() {
        let limit = Duration::from_millis(200);
        let (connector, _inbox) = connector_within(limit);
        let open = |bytes: &'static [u8]| {
            let (mut client, server) = tokio::io::duplex(4_096);
            connector.connect(server);
            async move {
                client.write_all(bytes).await.unwrap();
                // Far longer than the limit, and far shorter than a test may take.
                tokio::time::timeout(limit * 20, client.read(&mut [0; 64])).await
            }
        };
        let half_head = open(b"POST /x HTTP/1.1\r\nhost: x\r\n");
        let half_body = open(b"POST /x HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n{");
        let idle = open(b"");
        let (half_head, half_body, idle) = tokio::join!(half_head, half_body, idle);
        assert_eq!(half_head.unwrap().unwrap(), 0);
        assert_eq!(half_body.unwrap().unwrap(), 0);
        assert!(idle.is_err(), "an idle connection was closed");
    }
}
