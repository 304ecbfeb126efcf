//! Home: the listener to which the mocks and the adapter of one plan dial.
//!
//! One line in, one acknowledgement out: an event is on file before its source goes on.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_stream::StreamExt;
use tokio_util::codec::{FramedRead, LinesCodec};

use crate::history::{ConnectionId, EventKind, LinkPeer, Source};
use crate::record::adapter_link::{AdapterHello, AdapterLink};
use crate::record::follow::Journal;
use crate::record::hello::{Hello, HelloError, knows_adapter_token, read_hello};
use crate::record::recorder::Recorder;

/// Longest line of a link, in bytes.
pub(super) const LINE_BYTES_MAX: usize = 1 << 20;
/// Most links one plan may have at once.
const LINKS_MAX: usize = 1_024;
/// Most refusals that are journalled: a flood of strangers must not fill the history.
const REFUSALS_MAX: usize = 64;
/// How long home waits after the system refused it a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// What a plan's home hands to whoever dials.
#[derive(Clone)]
pub struct EndpointOptions {
    /// The secret the adapter must know.
    pub adapter_token: String,
    /// The secret mocks must know; the loader sees it in its configuration.
    pub mock_token: String,
    /// From an accepted connection to its hello.
    pub hello_limit: Duration,
    /// What each mock is told, by server name.
    pub mocks: BTreeMap<String, MockSetup>,
}

/// What a mock is told in its welcome, beside the name of its connection.
#[derive(Clone, Debug)]
pub struct MockSetup {
    /// The fields of the welcome: script, temperament, revision, limits.
    pub welcome: Map<String, Value>,
}

/// A mock process that is linked or was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MockFacts {
    /// Name of its server.
    pub server: String,
    /// Which incarnation, from 1.
    pub incarnation: u32,
    /// Its pid as it says; 0 for one that is no process.
    pub pid: u32,
    /// Whether its link is open.
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
    /// What home tells each mock, by its place in `mocks`.
    commands: BTreeMap<usize, mpsc::UnboundedSender<String>>,
    open_gates: Vec<String>,
    n_connections: u32,
    n_refused: usize,
    failed: Option<String>,
    adapter: Option<AdapterLink>,
    adapter_open: bool,
    /// Why the hello of the adapter was refused: of one that knew its token.
    adapter_refused: Option<String>,
    /// Why somebody was refused last.
    last_refusal: Option<String>,
}

impl RecorderEndpoint {
    /// Listens on a fresh loopback port.
    ///
    /// # Errors
    /// When there is no port.
    pub async fn open(recorder: Recorder, options: EndpointOptions) -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let addr = listener.local_addr()?;
        let shared =
            Arc::new(Shared { recorder, options, book: Mutex::new(Book::default()), changed: watch::Sender::new(0) });
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self { addr, shared, tasks })
    }

    /// Where to dial.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Every mock that ever said hello, in order.
    #[must_use]
    pub fn mocks(&self) -> Vec<MockFacts> {
        self.shared.book().mocks.clone()
    }

    /// Waits for the adapter's hello, at most for `limit`, or until the adapter is refused.
    pub async fn adapter(&self, limit: Duration) -> Option<AdapterLink> {
        self.wait(limit, |book| book.adapter.is_some() || book.adapter_refused.is_some()).await;
        self.shared.book().adapter.clone()
    }

    /// Why the adapter was refused, which is known where it had its token; else why somebody was refused last.
    #[must_use]
    pub fn refusal(&self) -> Option<String> {
        let book = self.shared.book();
        book.adapter_refused.clone().or_else(|| book.last_refusal.clone())
    }

    /// Waits until no mock is linked; `false` when the limit passed.
    pub async fn no_mock_left(&self, limit: Duration) -> bool {
        self.wait(limit, |book| book.mocks.iter().all(|mock| !mock.open)).await
    }

    /// Waits until the adapter's link is closed, so that nothing it sent is still under way.
    pub async fn adapter_gone(&self, limit: Duration) -> bool {
        self.wait(limit, |book| !book.adapter_open).await
    }

    /// Opens a gate, for every mock now and later.
    pub fn open_gate(&self, gate: &str) {
        let mut book = self.shared.book();
        book.open_gates.push(gate.to_owned());
        let line = json!({ "open_gate": gate }).to_string();
        book.commands.retain(|_, sender| sender.send(line.clone()).is_ok());
    }

    /// Tells a mock that is no process to die; whether it is linked and could be told.
    pub fn kill(&self, mock: &MockFacts) -> bool {
        let book = self.shared.book();
        let is_it = |known: &MockFacts| known.server == mock.server && known.incarnation == mock.incarnation;
        let index = book.mocks.iter().position(|known| known.open && is_it(known));
        let sender = index.and_then(|index| book.commands.get(&index));
        sender.is_some_and(|sender| sender.send(r#"{"die":true}"#.to_owned()).is_ok())
    }

    /// Ends every link and the listener, and waits until they are closed.
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

    /// The experiment failed; told once for each reason in a row.
    fn fail(&self, because: String) {
        let is_told = self.book().failed.replace(because.clone()).as_ref() == Some(&because);
        if !is_told {
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
                // Out of descriptors, most likely: what is linked stays linked, and the experiment is doubtful.
                shared.fail(format!("a link can not be accepted: {error}"));
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// The lines of a link.
pub(super) type Lines = FramedRead<OwnedReadHalf, LinesCodec>;

async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    // Without it an acknowledgement waits for the peer's next packet; a failure only makes it slower.
    let _ = stream.set_nodelay(true);
    let (read, mut write) = stream.into_split();
    let mut lines = FramedRead::new(read, LinesCodec::new_with_max_length(LINE_BYTES_MAX));
    let hello = match tokio::time::timeout(shared.options.hello_limit, lines.next()).await {
        Ok(Some(Ok(line))) => line,
        Ok(Some(Err(error))) => return answer(&mut write, shared.refuse(&format!("no hello: {error}"))).await,
        Ok(None) => return answer(&mut write, shared.refuse("the peer left without a hello")).await,
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
    // The peer may be gone already; then there is nobody to tell.
    let _ = send(write, &line).await;
}

/// Sends one line.
pub(super) async fn send(write: &mut OwnedWriteHalf, line: &str) -> std::io::Result<()> {
    let mut bytes = Vec::with_capacity(line.len() + 1);
    bytes.extend_from_slice(line.as_bytes());
    bytes.push(b'\n');
    write.write_all(&bytes).await
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
            // The receiver is at hand: nothing can be lost.
            let _ = sender.send(json!({ "open_gate": gate }).to_string());
        }
        let index = book.mocks.len() - 1;
        book.commands.insert(index, sender);
        book.n_connections += 1;
        (index, incarnation, ConnectionId(format!("c{}", book.n_connections)))
    };
    let peer = LinkPeer::Mock { server: server.clone(), incarnation };
    shared.recorder.note(Source::Recorder, EventKind::LinkOpened { peer: peer.clone() });
    shared.touch();
    let mut welcome = setup.welcome.clone();
    welcome.insert("welcome".to_owned(), Value::from(1));
    welcome.insert("connection".to_owned(), Value::from(connection.0));
    welcome.insert("incarnation".to_owned(), Value::from(incarnation));
    let mut journal = Journal::new(Source::Mock { server, incarnation }, None);
    if send(&mut write, &Value::Object(welcome).to_string()).await.is_ok() {
        journal.follow(lines, write, commands, &shared.recorder).await;
    }
    // On record before anybody can know of it: whoever waits for the end of a link may end the history next.
    shared.recorder.note(Source::Recorder, EventKind::LinkClosed { peer, farewell: journal.farewell() });
    shared.book().mocks[index].open = false;
    shared.touch();
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
    let welcomed = send(&mut write, r#"{"welcome":1}"#).await;
    shared.book().adapter = Some(link.clone());
    shared.touch();
    let mut journal = Journal::new(Source::Loader, Some(link.clone()));
    if welcomed.is_ok() {
        journal.follow(lines, write, commands, &shared.recorder).await;
    }
    link.lost();
    let closed = EventKind::LinkClosed { peer: LinkPeer::Adapter, farewell: journal.farewell() };
    // As for the link of a mock.
    shared.recorder.note(Source::Recorder, closed);
    shared.book().adapter_open = false;
    shared.touch();
}
