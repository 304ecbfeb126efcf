//! Mocks in memory: the I/O drivers of lines and of HTTP, in the loader's own process, over pipes of bytes.
//!
//! Start at [`MemoryMocks`]. All mocks of a process are tasks on one thread of their own. Each has a link to the recorder,
//! journals before it acts, and ends when its client does. They cannot end their process, take signals or refuse to end.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::io::DuplexStream;
use tokio::runtime::Builder;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::history::LINK_LOST_CODE;
use crate::mock::arguments::{LinkedArgs, MockError};
use crate::mock::http::{Connector, HttpMock, connector};
use crate::mock::line_driver::{LineMock, LineSender, line_inbox};
use crate::mock::own_process::complain;
use crate::mock::recorder_link::{RecorderCommand, Welcome, connect_as};
use crate::record::{Link, secret};
use crate::server::{Endpoint, HttpSetup, HttpStyle, Input, Machine};

/// Most bytes that wait in one direction of a pipe: as many as the system's own pipes hold.
const PIPE_BYTES: usize = 64 * 1_024;

/// The client's ends of a mock's pipes, each for one direction.
pub struct ClientPipes {
    /// The client writes here.
    pub stdin: DuplexStream,
    /// The client reads here.
    pub stdout: DuplexStream,
}

/// The mocks of this process. They end when it is closed.
#[derive(Default)]
pub struct MemoryMocks {
    host: Mutex<Option<Host>>,
    /// Servers over HTTP that have ended.
    over: Arc<Mutex<BTreeSet<String>>>,
}

struct Host {
    orders: mpsc::UnboundedSender<Order>,
    thread: JoinHandle<()>,
}

/// An order to the thread of the mocks.
enum Order {
    Start(LinkedArgs, ServerPipes),
    Connect(LinkedArgs, Served, DuplexStream),
    /// End all mocks because their clients ended, at most within this time.
    Close(Duration),
}

struct ServerPipes {
    stdin: DuplexStream,
    stdout: DuplexStream,
}

/// The address of a mock over HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Served {
    /// The only path that it serves.
    pub path: String,
    /// Its complete URL, for the journal.
    pub url: String,
}

impl MemoryMocks {
    /// Starts a mock over lines, without waiting for it. If it cannot reach the recorder, its client reads the end of its output.
    ///
    /// # Errors
    /// When the thread of the mocks cannot start.
    pub fn pipes(&self, args: LinkedArgs) -> io::Result<ClientPipes> {
        let (stdin, its_stdin) = tokio::io::duplex(PIPE_BYTES);
        let (its_stdout, stdout) = tokio::io::duplex(PIPE_BYTES);
        self.order(Order::Start(args, ServerPipes { stdin: its_stdin, stdout: its_stdout }))?;
        Ok(ClientPipes { stdin, stdout })
    }

    /// Connects to a mock over HTTP, which starts with its first connection.
    ///
    /// # Errors
    /// `ConnectionRefused` when the mock has ended; otherwise when the thread of the mocks cannot start.
    pub fn socket(&self, args: LinkedArgs, served: Served) -> io::Result<DuplexStream> {
        if lock(&self.over).contains(&args.server) {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        let (client, server) = tokio::io::duplex(PIPE_BYTES);
        self.order(Order::Connect(args, served, server))?;
        Ok(client)
    }

    /// Ends every mock as the end of its client would, and waits for them, at most for `limit`.
    pub fn close(&self, limit: Duration) {
        let Some(host) = lock(&self.host).take() else { return };
        // A thread that panicked has ended as well, and the panic hook reported it.
        let _ = host.orders.send(Order::Close(limit));
        let _ = host.thread.join();
    }

    fn order(&self, order: Order) -> io::Result<()> {
        let mut host = lock(&self.host);
        let host = match &mut *host {
            Some(host) => host,
            none => none.insert(start(Arc::clone(&self.over))?),
        };
        host.orders.send(order).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn start(over: Arc<Mutex<BTreeSet<String>>>) -> io::Result<Host> {
    let (orders, queue) = mpsc::unbounded_channel();
    let runtime = Builder::new_current_thread().enable_time().build()?;
    let thread = std::thread::Builder::new().name("mocks".to_owned());
    let thread = thread.spawn(move || runtime.block_on(Mocks { over, ..Mocks::default() }.serve(queue)))?;
    Ok(Host { orders, thread })
}

/// The mocks, on their thread.
#[derive(Default)]
struct Mocks {
    over: Arc<Mutex<BTreeSet<String>>>,
    running: JoinSet<()>,
    lines: Vec<LineSender>,
    http: BTreeMap<String, Connector>,
}

impl Mocks {
    async fn serve(mut self, mut orders: mpsc::UnboundedReceiver<Order>) {
        loop {
            let order = tokio::select! {
                order = orders.recv() => order,
                Some(_) = self.running.join_next() => {
                    self.lines.retain(|sender| !sender.is_over());
                    continue;
                }
            };
            match order {
                Some(Order::Start(args, pipes)) => self.report(&args.server, |mocks| mocks.start(&args, pipes)),
                Some(Order::Connect(args, served, socket)) => {
                    self.report(&args.server, |mocks| mocks.connect(&args, served, socket));
                }
                Some(Order::Close(limit)) => return self.close(limit).await,
                None => return,
            }
        }
    }

    /// Reports why a mock did not start. Its client reads the end of its output.
    fn report(&mut self, server: &str, start: impl FnOnce(&mut Self) -> Result<(), MockError>) {
        if let Err(error) = start(self) {
            complain(&format!("{server}: {error}"));
        }
    }

    fn start(&mut self, args: &LinkedArgs, pipes: ServerPipes) -> Result<(), MockError> {
        let (sender, inbox) = line_inbox();
        let gates = sender.clone();
        let ConnectedMock { link, welcome, killed } = connect(args, move |gate| gates.send(Input::GateOpened(gate)))?;
        let life_ends = Instant::now() + welcome.max_life();
        let machine = Machine::new(welcome.setup_in_memory(Endpoint::Lines));
        let ServerPipes { stdin, stdout } = pipes;
        let mock = LineMock::new(machine, link, inbox, stdin, stdout);
        self.lines.push(sender);
        self.running.spawn(async move {
            tokio::select! {
                // A lost link ends this process from the link's own thread.
                ended = mock.run(life_ends) => drop(ended),
                () = killed => {}
            }
        });
        Ok(())
    }

    fn connect(&mut self, args: &LinkedArgs, served: Served, socket: DuplexStream) -> Result<(), MockError> {
        if lock(&self.over).contains(&args.server) {
            return Ok(());
        }
        if !self.http.contains_key(&args.server) {
            let connector = self.start_http(args, served)?;
            self.http.insert(args.server.clone(), connector);
        }
        if let Some(connector) = self.http.get(&args.server) {
            connector.connect(socket);
        }
        Ok(())
    }

    fn start_http(&mut self, args: &LinkedArgs, served: Served) -> Result<Connector, MockError> {
        let (connector, inbox) = connector();
        let gates = connector.clone();
        let ConnectedMock { link, welcome, killed } = connect(args, move |gate| gates.send(Input::GateOpened(gate)))?;
        let life_ends = Instant::now() + welcome.max_life();
        let session_prefix = secret().map_err(MockError::Setup)?;
        let Served { url, path } = served;
        let endpoint = Endpoint::Http(HttpSetup { url, path, style: HttpStyle::Streamable, session_prefix });
        let mut mock = HttpMock::new(Machine::new(welcome.setup_in_memory(endpoint)), link, inbox);
        let ended = mock.start()?;
        let (server, over) = (args.server.clone(), Arc::clone(&self.over));
        self.running.spawn(async move {
            if ended.is_none() {
                tokio::select! {
                    // A lost link ends this process from the link's own thread.
                    ended = mock.run(life_ends) => drop(ended),
                    () = killed => {}
                }
            }
            lock(&over).insert(server);
        });
        Ok(connector)
    }

    async fn close(mut self, limit: Duration) {
        self.lines.iter().for_each(|sender| sender.send(Input::Eof));
        self.http.values().for_each(|connector| connector.send(Input::Eof));
        let ended = async { while self.running.join_next().await.is_some() {} };
        // Mocks that a script still holds are cut off.
        let _ = timeout(limit, ended).await;
    }
}

/// The connection of a mock to the recorder, before the mock starts.
struct ConnectedMock<K> {
    link: Link,
    welcome: Welcome,
    /// Resolves when the recorder commands the mock to die.
    killed: K,
}

fn connect(
    args: &LinkedArgs,
    on_gate: impl Fn(String) + Send + 'static,
) -> Result<ConnectedMock<impl Future<Output = ()> + Send + 'static>, MockError> {
    let (kill, killed) = oneshot::channel();
    let kill = Mutex::new(Some(kill));
    let on_command = move |command| match command {
        RecorderCommand::OpenGate(gate) => on_gate(gate),
        RecorderCommand::Die => {
            // The mock may be over.
            let _ = lock(&kill).take().map(|kill| kill.send(()));
        }
    };
    let (link, welcome) = connect_as(args, None, LINK_LOST_CODE, on_command)?;
    let killed = async move {
        if killed.await.is_err() {
            // The link has ended, so no command can follow.
            std::future::pending::<()>().await;
        }
    };
    Ok(ConnectedMock { link, welcome, killed })
}
