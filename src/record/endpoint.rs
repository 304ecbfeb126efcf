//! The recorder's endpoint: a listener to which the mocks and the adapter of one plan connect.
//!
//! The endpoint acknowledges each line after the recorder has stored it. Only then does the source act.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::net::tcp::OwnedWriteHalf;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_stream::StreamExt;

use crate::history::Source;
use crate::record::adapter_link::{AdapterHello, AdapterLink};
use crate::record::book::{Book, MockFacts, Shared};
use crate::record::follow::Follower;
use crate::record::hello::{Hello, HelloError, knows_adapter_token, read_hello};
use crate::record::lines::{Lines, lines_of, send};
use crate::record::near::NearLinks;
use crate::record::options::EndpointOptions;
use crate::record::recorder::Recorder;

/// Maximum number of links that one plan may have at once.
const LINKS_MAX: usize = 1_024;
/// Pause after the system failed to accept a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// The welcome of an adapter. It names the optional fields that the recorder takes: an adapter of any release sends no others.
pub(crate) const ADAPTER_WELCOME: &str = r#"{"welcome":1,"accepts":["code"]}"#;

/// The listener of one plan. Dropping it ends every link.
pub struct RecorderEndpoint {
    addr: SocketAddr,
    shared: Arc<Shared>,
    tasks: JoinSet<()>,
}

impl RecorderEndpoint {
    /// Listens on a new loopback port.
    ///
    /// # Errors
    /// When the system provides no port.
    pub async fn open(recorder: Recorder, options: EndpointOptions) -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let addr = listener.local_addr()?;
        let shared = Arc::new(Shared::new(recorder, options));
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self { addr, shared, tasks })
    }

    /// Listens nowhere: the mocks and the loader of the plan are tasks of this process. See [`NearLinks`].
    #[must_use]
    pub fn near(recorder: Recorder, options: EndpointOptions) -> Self {
        let addr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
        Self { addr, shared: Arc::new(Shared::new(recorder, options)), tasks: JoinSet::new() }
    }

    /// Gives links to the mocks and the loader of this process.
    #[must_use]
    pub fn near_links(&self) -> NearLinks {
        NearLinks::new(Arc::clone(&self.shared))
    }

    /// The address to which mocks and adapters connect.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Every mock that ever sent a hello, in order.
    #[must_use]
    pub fn mocks(&self) -> Vec<MockFacts> {
        self.shared.book().mocks.clone()
    }

    /// Waits for the adapter's hello, up to `limit`. Returns early if the endpoint refuses the adapter.
    pub async fn adapter(&self, limit: Duration) -> Option<AdapterLink> {
        self.wait(limit, |book| book.adapter.is_some() || book.adapter_refused.is_some()).await;
        self.shared.book().adapter.clone()
    }

    /// Why the endpoint refused the adapter, if its token was right; otherwise the reason of the last refusal.
    #[must_use]
    pub fn refusal(&self) -> Option<String> {
        let book = self.shared.book();
        book.adapter_refused.clone().or_else(|| book.last_refusal.clone())
    }

    /// Waits until no mock has a link; `false` if the limit passed.
    pub async fn no_mock_left(&self, limit: Duration) -> bool {
        self.wait(limit, |book| book.mocks.iter().all(|mock| !mock.open)).await
    }

    /// Waits until the adapter's link is closed and every line from it is stored.
    pub async fn adapter_gone(&self, limit: Duration) -> bool {
        self.wait(limit, |book| !book.adapter_open).await
    }

    /// Opens a gate for every present and future mock.
    pub fn open_gate(&self, gate: &str) {
        let mut book = self.shared.book();
        book.open_gates.push(gate.to_owned());
        let command = json!({ "open_gate": gate });
        book.commands.retain(|_, sender| sender.send(command.clone()).is_ok());
    }

    /// Sends a mock without a process of its own the command to die. Returns whether the mock is linked and the command was sent.
    pub fn kill(&self, mock: &MockFacts) -> bool {
        let book = self.shared.book();
        let is_it = |known: &MockFacts| known.server == mock.server && known.incarnation == mock.incarnation;
        let index = book.mocks.iter().position(|known| known.open && is_it(known));
        let sender = index.and_then(|index| book.commands.get(&index));
        sender.is_some_and(|sender| sender.send(json!({ "die": true })).is_ok())
    }

    /// Closes the listener and every link, and waits until they are closed.
    pub async fn close(mut self) {
        self.tasks.shutdown().await;
    }

    async fn wait(&self, limit: Duration, done: impl Fn(&Book) -> bool + Send) -> bool {
        let mut changed = self.shared.changed.subscribe();
        let wait = async {
            loop {
                changed.borrow_and_update();
                if done(&self.shared.book()) {
                    return;
                }
                if changed.changed().await.is_err() {
                    return;
                }
            }
        };
        tokio::time::timeout(limit, wait).await.is_ok()
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut links = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = links.join_next() => continue,
        };
        match accepted {
            Ok((stream, _)) if links.len() < LINKS_MAX => {
                links.spawn(serve(stream, Arc::clone(&shared)));
            }
            Ok(_) => shared.fail(format!("more than {LINKS_MAX} links at once")),
            Err(error) => {
                // Probably out of descriptors. Existing links stay open, and the experiment is doubtful.
                shared.fail(format!("cannot accept a link: {error}"));
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    // Without this, an acknowledgement waits for the peer's next packet. If it fails, the link is only slower.
    let _ = stream.set_nodelay(true);
    let (read, mut write) = stream.into_split();
    let mut lines = lines_of(read);
    let hello = match tokio::time::timeout(shared.options.hello_limit, lines.next()).await {
        Ok(Some(Ok(line))) => line,
        Ok(Some(Err(error))) => return answer(&mut write, shared.refuse(&format!("no hello: {error}"))).await,
        Ok(None) => return answer(&mut write, shared.refuse("the peer disconnected without a hello")).await,
        Err(_) => return answer(&mut write, shared.refuse("no hello within its limit")).await,
    };
    match read_hello(&hello, &shared.options) {
        Ok(Hello::Mock { server, pid }) => serve_mock(server, pid, lines, write, &shared).await,
        Ok(Hello::Adapter(hello)) => serve_adapter(*hello, lines, write, &shared).await,
        Err(error) => {
            if matches!(error, HelloError::Build { .. }) {
                shared.fail(error.to_string());
            }
            if knows_adapter_token(&hello, &shared.options) {
                shared.book().adapter_refused = Some(error.to_string());
                shared.touch();
            }
            answer(&mut write, shared.refuse(&error.to_string())).await;
        }
    }
}

async fn answer(write: &mut OwnedWriteHalf, line: String) {
    // The peer may have closed the connection already. Then the answer has no reader.
    let _ = send(write, &line).await;
}

async fn serve_mock(server: String, pid: u32, lines: Lines, mut write: OwnedWriteHalf, shared: &Arc<Shared>) {
    let Some(mut admitted) = shared.admit_mock(&server, pid) else {
        let line = shared.refuse(&format!("found mock {server:?}, expected a server of this scenario"));
        return answer(&mut write, line).await;
    };
    let welcome = shared.welcome(&admitted);
    let mut follower = Follower::new(admitted.source(), None);
    if send(&mut write, &Value::Object(welcome).to_string()).await.is_ok() {
        follower.follow(lines, write, &mut admitted.commands, &shared.recorder).await;
    }
    shared.dismiss_mock(&admitted, follower.farewell());
}

async fn serve_adapter(hello: AdapterHello, lines: Lines, mut write: OwnedWriteHalf, shared: &Arc<Shared>) {
    let Some((link, mut commands)) = shared.admit_adapter(hello) else {
        return answer(&mut write, shared.refuse("found a second adapter, expected one loader process")).await;
    };
    let welcomed = send(&mut write, ADAPTER_WELCOME).await;
    shared.greet(&link);
    let mut follower = Follower::new(Source::Loader, Some(link.clone()));
    if welcomed.is_ok() {
        follower.follow(lines, write, &mut commands, &shared.recorder).await;
    }
    shared.dismiss_adapter(&link, follower.farewell());
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::history::{EventKind, Header};
    use crate::record::options::MockSetup;

    #[tokio::test]
    async fn every_line_of_a_mock_that_died_before_its_acknowledgements_is_stored() {
        const N_LINES: usize = 50;
        let recorder = Recorder::in_memory(Header::new("test"));
        let options = EndpointOptions {
            adapter_token: "a".to_owned(),
            mock_token: "m".to_owned(),
            hello_limit: Duration::from_secs(5),
            mocks: BTreeMap::from([("files".to_owned(), MockSetup { welcome: serde_json::Map::new() })]),
        };
        let endpoint = RecorderEndpoint::open(recorder.clone(), options).await.unwrap();
        let mut text =
            json!({ "hello": 1, "token": "m", "mock": "files", "build": crate::record::build_id(), "pid": 1 })
                .to_string();
        for n in 1..=N_LINES {
            text.push_str(&format!("\n{}", json!({ "n": n, "event": "signal.received", "signal": "TERM" })));
        }
        text.push('\n');
        // It is gone before the endpoint has its first turn.
        let mut mock = std::net::TcpStream::connect(endpoint.addr()).unwrap();
        std::io::Write::write_all(&mut mock, text.as_bytes()).unwrap();
        drop(mock);
        let is_closed = |event: &crate::history::Event| matches!(event.kind, EventKind::LinkClosed { .. });
        recorder.wait_for(0, Duration::from_secs(5), is_closed).await.unwrap();
        let mut n_stored = 0;
        recorder.any(|event| {
            n_stored += usize::from(matches!(event.kind, EventKind::SignalReceived { .. }));
            false
        });
        assert_eq!(n_stored, N_LINES);
    }
}
