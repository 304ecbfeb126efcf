//! A mock behind HTTP, streamable or with server-sent events: real HTTP/1.1 over any stream of bytes.
//!
//! Start at [`HttpMock`]: one task owns the interpreter and carries out its effects in order; each connection is a task of
//! its own, so that a client that does not read holds up nobody. It ends no process and installs nothing: that belongs to
//! `process`, which runs one in a process of its own.

mod body;
mod connection;
mod owner;
mod process;
mod stream;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};

use crate::mock::http::owner::Event;
use crate::script::Input;

pub use owner::HttpMock;
pub(super) use process::{Http, run_linked_http, run_standalone_http};
pub use stream::ByteStream;

/// Most clients that are connected at once; enough for a thousand sessions with a stream and a few requests each.
const SOCKETS_MAX: usize = 8_192;
/// How long it waits after the system refused it a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);
/// Most bytes of the bodies that are read at once, over all clients.
const BODIES_BYTES_MAX: usize = 64 << 20;

/// Connects clients to a mock. Cheap to clone; the mock ends without waiting for it.
#[derive(Clone)]
pub struct Connector {
    shared: Arc<Shared>,
}

/// What the connections of a mock share.
struct Shared {
    events: mpsc::UnboundedSender<Event>,
    stage: watch::Receiver<Stage>,
    n_sockets: AtomicUsize,
    n_sockets_ever: AtomicU64,
    n_exchanges: AtomicU64,
    n_body_bytes: AtomicUsize,
}

/// How far the end of a mock has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Serving,
    /// What is answered is still written; nothing new is taken.
    Ending,
    Over,
}

impl Connector {
    /// Serves a client over this stream, on the current runtime, until either side ends it.
    pub fn connect<S: ByteStream>(&self, stream: S) {
        connection::spawn(stream, Arc::clone(&self.shared));
    }

    /// Serves everybody who connects here, until nobody polls it any more.
    pub async fn accept(self, listener: TcpListener) {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    // Without it an event waits for the client's next packet; a failure only makes it slower.
                    let _ = stream.set_nodelay(true);
                    self.connect(stream);
                }
                // Out of descriptors, most likely: what is connected stays connected.
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            }
        }
    }

    /// Hands the mock a signal or an open gate.
    pub fn tell(&self, input: Input) {
        // The mock may be over.
        let _ = self.shared.events.send(Event::Input(input));
    }
}

/// What a mock takes its inputs from.
pub struct Inbox {
    events: mpsc::UnboundedReceiver<Event>,
    tell: mpsc::UnboundedSender<Event>,
    stage: watch::Sender<Stage>,
}

/// A way to connect clients to a mock, and what that mock is made with.
#[must_use]
pub fn connector() -> (Connector, Inbox) {
    let (events, inbox) = mpsc::unbounded_channel();
    let (stage_sender, stage) = watch::channel(Stage::Serving);
    let tell = events.clone();
    let shared = Shared {
        events,
        stage,
        n_sockets: AtomicUsize::new(0),
        n_sockets_ever: AtomicU64::new(0),
        n_exchanges: AtomicU64::new(0),
        n_body_bytes: AtomicUsize::new(0),
    };
    (Connector { shared: Arc::new(shared) }, Inbox { events: inbox, tell, stage: stage_sender })
}
