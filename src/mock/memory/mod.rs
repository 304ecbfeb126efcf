//! Mocks in memory: in the loader's own process, behind pipes of bytes, and otherwise as those that are processes.
//!
//! Start at [`MemoryMocks`]. All mocks of a process are tasks on one thread of their own. Each dials home over a link of its
//! own, journals before it acts, and ends when its client is gone. What can not be is a mock that ends its process, takes
//! signals or refuses to end.

mod lines;
#[cfg(test)]
mod tests;

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
use crate::mock::carrier::complain;
use crate::mock::http::{Connector, HttpMock, connector};
use crate::mock::stdio::{Told, Welcome, dial_as};
use crate::record::{Link, secret};
use crate::script::{HttpSetup, HttpStyle, Input, Interpreter, Medium};

pub use lines::{LineInbox, LineMock, LineSender, line_inbox};

/// Most bytes that wait in one direction of a pipe: as many as the system's own pipes hold.
const PIPE_BYTES: usize = 64 * 1_024;

/// The ends of a mock's pipes that are its client's. Each is used in one direction.
pub struct ClientPipes {
    /// What the mock reads.
    pub stdin: DuplexStream,
    /// What the mock writes.
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

/// What the thread of the mocks is asked to do.
enum Order {
    Start(LinkedArgs, ServerPipes),
    Connect(LinkedArgs, Served, DuplexStream),
    /// Their clients are gone: they end, at most within this time.
    Close(Duration),
}

struct ServerPipes {
    stdin: DuplexStream,
    stdout: DuplexStream,
}

/// Where a mock over HTTP is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Served {
    /// Its path: the only one it serves.
    pub path: String,
    /// Its whole address, for a reader.
    pub url: String,
}

impl MemoryMocks {
    /// Starts a mock over lines, without waiting for it. One that can not reach home is seen as the end of its output.
    ///
    /// # Errors
    /// When there is no thread for it.
    pub fn pipes(&self, args: LinkedArgs) -> io::Result<ClientPipes> {
        let (stdin, its_stdin) = tokio::io::duplex(PIPE_BYTES);
        let (its_stdout, stdout) = tokio::io::duplex(PIPE_BYTES);
        self.order(Order::Start(args, ServerPipes { stdin: its_stdin, stdout: its_stdout }))?;
        Ok(ClientPipes { stdin, stdout })
    }

    /// Connects to a mock over HTTP, which starts when somebody connects to it for the first time.
    ///
    /// # Errors
    /// `ConnectionRefused` when it has ended; otherwise when there is no thread for it.
    pub fn socket(&self, args: LinkedArgs, served: Served) -> io::Result<DuplexStream> {
        if lock(&self.over).contains(&args.server) {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        let (client, server) = tokio::io::duplex(PIPE_BYTES);
        self.order(Order::Connect(args, served, server))?;
        Ok(client)
    }

    /// Ends every mock as the end of their clients' process would, and waits for them, at most for `limit`.
    pub fn close(&self, limit: Duration) {
        let Some(host) = lock(&self.host).take() else { return };
        // A thread that has panicked has ended as well; the hook has told of it.
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
                Some(Order::Start(args, pipes)) => self.told(&args.server, |mocks| mocks.start(&args, pipes)),
                Some(Order::Connect(args, served, socket)) => {
                    self.told(&args.server, |mocks| mocks.connect(&args, served, socket));
                }
                Some(Order::Close(limit)) => return self.close(limit).await,
                None => return,
            }
        }
    }

    /// Says why a mock did not come about; its client sees the end of its output.
    fn told(&mut self, server: &str, start: impl FnOnce(&mut Self) -> Result<(), MockError>) {
        if let Err(error) = start(self) {
            complain(&format!("{server}: {error}"));
        }
    }

    fn start(&mut self, args: &LinkedArgs, pipes: ServerPipes) -> Result<(), MockError> {
        let (sender, inbox) = line_inbox();
        let gates = sender.clone();
        let Dialled { link, welcome, killed } = dial(args, move |gate| gates.tell(Input::GateOpened(gate)))?;
        let life_ends = Instant::now() + welcome.max_life();
        let interpreter = Interpreter::new(welcome.setup_in_memory(Medium::Lines));
        let ServerPipes { stdin, stdout } = pipes;
        let mock = LineMock::new(interpreter, link, inbox, stdin, stdout);
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
        let Dialled { link, welcome, killed } = dial(args, move |gate| gates.tell(Input::GateOpened(gate)))?;
        let life_ends = Instant::now() + welcome.max_life();
        let session_prefix = secret().map_err(MockError::Setup)?;
        let Served { url, path } = served;
        let medium = Medium::Http(HttpSetup { url, path, style: HttpStyle::Streamable, session_prefix });
        let mut mock = HttpMock::new(Interpreter::new(welcome.setup_in_memory(medium)), link, inbox);
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
        self.lines.iter().for_each(|sender| sender.tell(Input::Eof));
        self.http.values().for_each(|connector| connector.tell(Input::Eof));
        let ended = async { while self.running.join_next().await.is_some() {} };
        // What a script holds back at the end is cut off.
        let _ = timeout(limit, ended).await;
    }
}

/// What a mock has before it starts.
struct Dialled<K> {
    link: Link,
    welcome: Welcome,
    /// Resolves when home says that it must die.
    killed: K,
}

fn dial(
    args: &LinkedArgs,
    on_gate: impl Fn(String) + Send + 'static,
) -> Result<Dialled<impl Future<Output = ()> + Send + 'static>, MockError> {
    let (kill, killed) = oneshot::channel();
    let kill = Mutex::new(Some(kill));
    let on_told = move |told| match told {
        Told::Gate(gate) => on_gate(gate),
        Told::Die => {
            // The mock may be over.
            let _ = lock(&kill).take().map(|kill| kill.send(()));
        }
    };
    let (link, welcome) = dial_as(args, None, LINK_LOST_CODE, on_told)?;
    let killed = async move {
        if killed.await.is_err() {
            // The link has ended, and with it whoever could say so.
            std::future::pending::<()>().await;
        }
    };
    Ok(Dialled { link, welcome, killed })
}
