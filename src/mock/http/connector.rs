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
    };
    (Connector { shared: Arc::new(shared) }, Inbox { events: inbox, sender, phase: phase_sender })
}
