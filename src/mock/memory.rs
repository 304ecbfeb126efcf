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
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::mock::arguments::{LinkedArgs, MockError};
use crate::mock::http::{Connector, HttpMock, connector};
use crate::mock::line_driver::{LineMock, LineSender, line_inbox};
use crate::mock::own_process::complain;
use crate::mock::recorder_link::{Hosted, connect_hosted};
use crate::record::secret;
use crate::server::{Endpoint, HttpSetup, HttpStyle, Input, Machine};

/// Most bytes that wait in one direction of a pipe: as many as the system's own pipes hold.
pub(super) const PIPE_BYTES: usize = 64 * 1_024;

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
    /// Serve a client over what it has opened.
    Serve(LinkedArgs, Opened),
    /// End all mocks because their clients ended, at most within this time.
    Close(Duration),
}

/// The server's ends of what a client has opened.
enum Opened {
    /// The pipes of a new mock.
    Lines { stdin: DuplexStream, stdout: DuplexStream },
    /// A socket of the one mock over HTTP that has this name.
    Http(Served, DuplexStream),
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
        self.order(Order::Serve(args, Opened::Lines { stdin: its_stdin, stdout: its_stdout }))?;
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
        self.order(Order::Serve(args, Opened::Http(served, server)))?;
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
    let thread = thread.spawn(move || runtime.block_on(Mocks { over, ..Mocks::default() }.run(queue)))?;
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
    async fn run(mut self, mut orders: mpsc::UnboundedReceiver<Order>) {
        loop {
            let order = tokio::select! {
                order = orders.recv() => order,
                Some(_) = self.running.join_next() => {
                    self.lines.retain(|sender| !sender.is_over());
                    continue;
                }
            };
            match order {
                Some(Order::Serve(args, opened)) => {
                    // The client of a mock that did not start reads the end of its output.
                    if let Err(error) = self.serve_client(&args, opened) {
                        complain(&format!("{}: {error}", args.server));
                    }
                }
                Some(Order::Close(limit)) => return self.close(limit).await,
                None => return,
            }
        }
    }

    /// Serves a client with the driver for what it has opened.
    fn serve_client(&mut self, args: &LinkedArgs, opened: Opened) -> Result<(), MockError> {
        match opened {
            Opened::Lines { stdin, stdout } => self.start_lines(args, stdin, stdout),
            Opened::Http(served, socket) => self.connect(args, served, socket),
        }
    }

    fn start_lines(&mut self, args: &LinkedArgs, stdin: DuplexStream, stdout: DuplexStream) -> Result<(), MockError> {
        let (sender, inbox) = line_inbox();
        let gates = sender.clone();
        let Hosted { link, welcome, killed } = connect_hosted(args, move |gate| gates.send(Input::GateOpened(gate)))?;
        let life_ends = Instant::now() + welcome.max_life();
        let machine = Machine::new(welcome.setup(Endpoint::Lines));
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
        let Hosted { link, welcome, killed } = connect_hosted(args, move |gate| gates.send(Input::GateOpened(gate)))?;
        let life_ends = Instant::now() + welcome.max_life();
        let session_prefix = secret().map_err(MockError::Setup)?;
        let Served { url, path } = served;
        let endpoint = Endpoint::Http(HttpSetup { url, path, style: HttpStyle::Streamable, session_prefix });
        let mut mock = HttpMock::new(Machine::new(welcome.setup(endpoint)), link, inbox);
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
