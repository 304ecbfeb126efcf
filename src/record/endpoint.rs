//! The recorder's endpoint: a listener to which the mocks and the adapter of one plan connect.
//!
//! The endpoint acknowledges each line after the recorder has stored it. Only then does the source act.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::net::tcp::OwnedWriteHalf;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_stream::StreamExt;

use crate::history::{ConnectionId, EventKind, LinkPeer, Source};
use crate::record::adapter_link::{AdapterHello, AdapterLink};
use crate::record::follow::Follower;
use crate::record::hello::{Hello, HelloError, knows_adapter_token, read_hello};
use crate::record::lines::{Lines, lines_of, send};
use crate::record::options::EndpointOptions;
use crate::record::recorder::Recorder;

/// Maximum number of links that one plan may have at once.
const LINKS_MAX: usize = 1_024;
/// Maximum number of refusals in a history. Without it, a flood of unknown processes could fill the history.
const REFUSALS_MAX: usize = 64;
/// Pause after the system failed to accept a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// The welcome of an adapter. It names the optional fields that the recorder takes: an adapter of any release sends no others.
pub(crate) const ADAPTER_WELCOME: &str = r#"{"welcome":1,"accepts":["code"]}"#;

/// A mock that has, or had, a link to the recorder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MockFacts {
    /// Name of its server in the scenario.
    pub server: String,
    /// Which process or listener of this server, counted from 1.
    pub incarnation: u32,
    /// Pid that the mock reported; 0 for a mock without a process of its own.
    pub pid: u32,
    /// True while its link is open.
    pub open: bool,
}

/// The listener of one plan. Dropping it ends every link.
pub struct RecorderEndpoint {
    addr: SocketAddr,
    shared: Arc<Shared>,
    tasks: JoinSet<()>,
}

struct Shared {
    recorder: Recorder,
    options: EndpointOptions,
    book: Mutex<Book>,
    /// Number of changes to the book.
    changed: watch::Sender<u64>,
}

#[derive(Default)]
struct Book {
    mocks: Vec<MockFacts>,
    /// Command channel of each mock, by its position in `mocks`.
    commands: BTreeMap<usize, mpsc::UnboundedSender<String>>,
    open_gates: Vec<String>,
    n_connections: u32,
    n_refused: usize,
    failed: Option<String>,
    adapter: Option<AdapterLink>,
    adapter_open: bool,
    /// Why the endpoint refused the hello of an adapter with the right token.
    adapter_refused: Option<String>,
    /// Why the endpoint last refused any process.
    last_refusal: Option<String>,
}

impl RecorderEndpoint {
    /// Listens on a new loopback port.
    ///
    /// # Errors
    /// When the system provides no port.
    pub async fn open(recorder: Recorder, options: EndpointOptions) -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let addr = listener.local_addr()?;
        let shared =
            Arc::new(Shared { recorder, options, book: Mutex::new(Book::default()), changed: watch::Sender::new(0) });
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self { addr, shared, tasks })
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
        let line = json!({ "open_gate": gate }).to_string();
        book.commands.retain(|_, sender| sender.send(line.clone()).is_ok());
    }

    /// Sends a mock without a process of its own the command to die. Returns whether the mock is linked and the command was sent.
    pub fn kill(&self, mock: &MockFacts) -> bool {
        let book = self.shared.book();
        let is_it = |known: &MockFacts| known.server == mock.server && known.incarnation == mock.incarnation;
        let index = book.mocks.iter().position(|known| known.open && is_it(known));
        let sender = index.and_then(|index| book.commands.get(&index));
        sender.is_some_and(|sender| sender.send(r#"{"die":true}"#.to_owned()).is_ok())
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

impl Shared {
    fn book(&self) -> std::sync::MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records that the experiment failed. Records each reason once, if it repeats in a row.
    fn fail(&self, because: String) {
        let is_recorded = self.book().failed.replace(because.clone()).as_ref() == Some(&because);
        if !is_recorded {
            self.recorder.note(Source::Recorder, EventKind::ExperimentFailed { because });
        }
    }

    fn touch(&self) {
        self.changed.send_modify(|n_changes| *n_changes += 1);
    }

    fn refuse(&self, because: &str) -> String {
        let n_refused = {
            let mut book = self.book();
            book.n_refused += 1;
            book.last_refusal = Some(because.to_owned());
            book.n_refused
        };
        if n_refused <= REFUSALS_MAX {
            self.recorder.note(Source::Recorder, EventKind::LinkRefused { because: because.to_owned() });
        }
        json!({ "refused": because }).to_string()
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
    let Some(setup) = shared.options.mocks.get(&server) else {
        let line = shared.refuse(&format!("found mock {server:?}, expected a server of this scenario"));
        return answer(&mut write, line).await;
    };
    let (sender, commands) = mpsc::unbounded_channel();
    let (index, incarnation, connection) = {
        let mut book = shared.book();
        let incarnation = 1 + book.mocks.iter().filter(|mock| mock.server == server).count() as u32;
        book.mocks.push(MockFacts { server: server.clone(), incarnation, pid, open: true });
        for gate in &book.open_gates {
            // The receiver exists in this function, so sending cannot fail.
            let _ = sender.send(json!({ "open_gate": gate }).to_string());
        }
        let index = book.mocks.len() - 1;
        book.commands.insert(index, sender);
        book.n_connections += 1;
        (index, incarnation, ConnectionId(format!("c{}", book.n_connections).into()))
    };
    let peer = LinkPeer::Mock { server: server.clone(), incarnation };
    shared.recorder.note(Source::Recorder, EventKind::LinkOpened { peer: peer.clone() });
    shared.touch();
    let mut welcome = setup.welcome.clone();
    welcome.insert("welcome".to_owned(), Value::from(1));
    welcome.insert("connection".to_owned(), Value::from(connection.to_string()));
    welcome.insert("incarnation".to_owned(), Value::from(incarnation));
    welcome.insert("n_probes".to_owned(), Value::from(n_probes(&shared.recorder, &server)));
    let mut follower = Follower::new(Source::Mock { server, incarnation }, None);
    if send(&mut write, &Value::Object(welcome).to_string()).await.is_ok() {
        follower.follow(lines, write, commands, &shared.recorder).await;
    }
    // Record the end before publishing it: a waiter may end the history as soon as it sees the change.
    shared.recorder.note(Source::Recorder, EventKind::LinkClosed { peer, farewell: follower.farewell() });
    shared.book().mocks[index].open = false;
    shared.touch();
}

/// How many processes of a server were only asked for their generation.
fn n_probes(recorder: &Recorder, server: &str) -> usize {
    let (mut probed, mut used) = (BTreeSet::new(), BTreeSet::new());
    recorder.any(|event| {
        if let (Source::Mock { server: of, incarnation }, EventKind::WireReceived { message, .. }) =
            (&event.source, &event.kind)
            && of == server
        {
            let asked = if message.is_request("server/discover") { &mut probed } else { &mut used };
            asked.insert(*incarnation);
        }
        false
    });
    probed.difference(&used).count()
}

async fn serve_adapter(hello: AdapterHello, lines: Lines, mut write: OwnedWriteHalf, shared: &Arc<Shared>) {
    let (sender, commands) = mpsc::unbounded_channel();
    let link = AdapterLink::new(hello, sender);
    let is_second = {
        let mut book = shared.book();
        let is_second = book.adapter.is_some();
        if !is_second {
            book.adapter_open = true;
        }
        is_second
    };
    if is_second {
        return answer(&mut write, shared.refuse("found a second adapter, expected one loader process")).await;
    }
    shared.recorder.note(Source::Recorder, EventKind::LinkOpened { peer: LinkPeer::Adapter });
    let hello = link.hello();
    let ready = EventKind::LoaderReady {
        adapter: format!("{} {}", hello.adapter, hello.version).trim_end().to_owned(),
        language: hello.language.clone(),
        operations: hello.operations.clone(),
        observes: hello.observes.clone(),
        unobservable: hello.unobservable.iter().map(|one| (one.what.clone(), one.because.clone())).collect(),
    };
    shared.recorder.note(Source::Loader, ready);
    let welcomed = send(&mut write, ADAPTER_WELCOME).await;
    shared.book().adapter = Some(link.clone());
    shared.touch();
    let mut follower = Follower::new(Source::Loader, Some(link.clone()));
    if welcomed.is_ok() {
        follower.follow(lines, write, commands, &shared.recorder).await;
    }
    link.lost();
    let closed = EventKind::LinkClosed { peer: LinkPeer::Adapter, farewell: follower.farewell() };
    // Recorded before it is published, as for the link of a mock.
    shared.recorder.note(Source::Recorder, closed);
    shared.book().adapter_open = false;
    shared.touch();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{Header, Message};
    use crate::record::options::MockSetup;

    #[test]
    fn a_process_that_was_only_asked_for_its_generation_is_a_probe() {
        let recorder = Recorder::in_memory(Header::new("test"));
        let asked = [
            ("files", 1, "server/discover"),
            ("files", 2, "server/discover"),
            ("files", 2, "initialize"),
            ("files", 3, "initialize"),
            ("search", 1, "server/discover"),
        ];
        for (server, incarnation, method) in asked {
            let source = Source::Mock { server: server.to_owned(), incarnation };
            let message = Message::new(json!({ "jsonrpc": "2.0", "id": 1, "method": method }));
            recorder.note(source, EventKind::WireReceived { connection: ConnectionId::from("c1"), message });
        }
        assert_eq!(["files", "search", "mail"].map(|server| n_probes(&recorder, server)), [1, 1, 0]);
    }

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
