//! A mock over HTTP in a process of its own.

use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::exit;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::TcpListener;
use tokio::runtime::Builder;
use tokio::time::Instant;

use crate::mock::arguments::{LinkedArgs, MockError, StandaloneArgs};
use crate::mock::carrier::die;
use crate::mock::http::{Connector, HttpMock, Inbox, connector};
use crate::mock::journal::Journal;
use crate::mock::stdio::{catch_signals, connect_to_recorder, journal_alone, setup_alone};
use crate::plan::Transport;
use crate::record::secret;
use crate::script::{End, HttpSetup, HttpStyle, Input, Interpreter, Medium, Setup};

/// Descriptors it asks for: one for each client, and a few.
const DESCRIPTORS: u64 = 16_384;

/// Which HTTP transport a process speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::mock) enum Http {
    Streamable,
    Sse,
}

impl Http {
    fn transport(self) -> Transport {
        match self {
            Self::Streamable => Transport::Http,
            Self::Sse => Transport::Sse,
        }
    }

    /// The path under this token where it is reached, and what it does there.
    fn place(self, token: &str) -> (String, HttpStyle) {
        match self {
            Self::Streamable => (format!("/{token}/mcp"), HttpStyle::Streamable),
            Self::Sse => (format!("/{token}/sse"), HttpStyle::Sse { messages: format!("/{token}/messages") }),
        }
    }
}

/// Dials home, tells it where it listens, and serves.
pub(in crate::mock) fn run_linked_http(args: &LinkedArgs, http: Http) -> Result<u8, MockError> {
    let process = Process::new(fresh_port(), http.place(&args.token))?;
    let gates = process.connector.clone();
    let (link, welcome) = connect_to_recorder(args, move |gate| gates.tell(Input::GateOpened(gate)))?;
    let life = welcome.max_life();
    let setup = welcome.setup(process.medium()?);
    let code = process.serve(setup, link.clone(), life, |_| {})?;
    // Ends here rather than in `main`: nothing that happens between can turn a farewell into a lost link.
    exit(code.into())
}

/// Serves alone; prints its URL when it is ready.
pub(in crate::mock) fn run_standalone_http(args: &StandaloneArgs, http: Http) -> Result<u8, MockError> {
    let token = secret().map_err(MockError::Setup)?;
    let process = Process::new(args.listen.unwrap_or_else(fresh_port), http.place(&token))?;
    let journal = journal_alone(args, http.transport())?;
    let setup = setup_alone(args, process.medium()?);
    process.serve(setup, journal, args.max_life, |url| {
        // Nobody may care for it.
        let _ = writeln!(io::stdout(), "{url}");
    })
}

fn fresh_port() -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0)
}

/// What a mock's process has before there is a mock.
struct Process {
    listener: std::net::TcpListener,
    path: String,
    style: HttpStyle,
    connector: Connector,
    inbox: Inbox,
    started: std::time::Instant,
}

impl Process {
    /// Takes a port and signals from here on; nobody is accepted yet.
    fn new(addr: SocketAddr, (path, style): (String, HttpStyle)) -> Result<Self, MockError> {
        let started = std::time::Instant::now();
        if !addr.ip().is_loopback() {
            return Err(MockError::NotLoopback(addr));
        }
        let (connector, inbox) = connector();
        let signals = connector.clone();
        catch_signals(move |signal| signals.tell(Input::Signal(signal))).map_err(MockError::Setup)?;
        let listener = std::net::TcpListener::bind(addr).map_err(|source| MockError::Listen { addr, source })?;
        listener.set_nonblocking(true).map_err(MockError::Setup)?;
        Ok(Self { listener, path, style, connector, inbox, started })
    }

    fn medium(&self) -> Result<Medium, MockError> {
        let addr = self.listener.local_addr().map_err(MockError::Setup)?;
        Ok(Medium::Http(HttpSetup {
            url: format!("http://{addr}{}", self.path),
            path: self.path.clone(),
            style: self.style.clone(),
            session_prefix: secret().map_err(MockError::Setup)?,
        }))
    }

    /// Serves until the script, a signal or the end of its life ends it; its exit code.
    fn serve(
        self,
        setup: Setup,
        journal: impl Journal,
        life: Duration,
        on_ready: impl Fn(&str),
    ) -> Result<u8, MockError> {
        raise_descriptor_limit();
        let url = match &setup.medium {
            Medium::Http(http) => http.url.clone(),
            Medium::Lines => String::new(),
        };
        let life_ends = Instant::from_std(self.started + life);
        let runtime = Builder::new_current_thread().enable_all().build().map_err(MockError::Setup)?;
        let end = runtime.block_on(async {
            let listener = TcpListener::from_std(self.listener).map_err(MockError::Setup)?;
            let mut mock = HttpMock::new(Interpreter::new(setup), journal, self.inbox);
            if let Some(end) = mock.start()? {
                return Ok(end);
            }
            on_ready(&url);
            tokio::spawn(self.connector.accept(listener));
            Ok::<_, MockError>(mock.run(life_ends).await?)
        })?;
        Ok(match end {
            End::Exit(code) => code,
            End::Signal(signal) => die(signal),
        })
    }
}

/// Makes room for many clients, as far as the system lets it.
fn raise_descriptor_limit() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = maximum.map_or(DESCRIPTORS, |maximum| maximum.min(DESCRIPTORS));
    if current.is_some_and(|current| current < wanted) {
        // With fewer it serves fewer.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum });
    }
}
