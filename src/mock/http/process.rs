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
use crate::mock::http::connector::{Connector, Inbox, connector};
use crate::mock::http::owner::HttpMock;
use crate::mock::journal::Journal;
use crate::mock::own_process::die;
use crate::mock::recorder_link::connect_to_recorder;
use crate::mock::signals::catch_signals;
use crate::mock::standalone::{journal_alone, setup_alone};
use crate::plan::Transport;
use crate::record::secret;
use crate::server::{End, Endpoint, HttpSetup, HttpStyle, Input, Machine, Setup};

/// Descriptors it asks for: one for each client, and a few.
const DESCRIPTORS: u64 = 16_384;

/// Which HTTP transport a process speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::mock) enum HttpTransport {
    Streamable,
    Sse,
}

impl HttpTransport {
    fn transport(self) -> Transport {
        match self {
            Self::Streamable => Transport::Http,
            Self::Sse => Transport::Sse,
        }
    }

    /// Its path under this token, and its style.
    fn place(self, token: &str) -> (String, HttpStyle) {
        match self {
            Self::Streamable => (format!("/{token}/mcp"), HttpStyle::Streamable),
            Self::Sse => (format!("/{token}/sse"), HttpStyle::Sse { messages: format!("/{token}/messages") }),
        }
    }
}

/// Connects to the recorder, reports its URL, and serves.
pub(in crate::mock) fn run_linked_http(args: &LinkedArgs, http: HttpTransport) -> Result<u8, MockError> {
    let process = Process::new(fresh_port(), http.place(&args.token))?;
    let gates = process.connector.clone();
    let (link, welcome) = connect_to_recorder(args, move |gate| gates.send(Input::GateOpened(gate)))?;
    let life = welcome.max_life();
    let setup = welcome.setup(process.endpoint()?);
    let code = process.serve(setup, link.clone(), life, |_| {})?;
    // Ends here rather than in `main`, so that nothing in between can turn a farewell into a lost link.
    exit(code.into())
}

/// Serves without a recorder, and prints its URL when it is ready.
pub(in crate::mock) fn run_standalone_http(args: &StandaloneArgs, http: HttpTransport) -> Result<u8, MockError> {
    let token = secret().map_err(MockError::Setup)?;
    let process = Process::new(args.listen.unwrap_or_else(fresh_port), http.place(&token))?;
    let journal = journal_alone(args, http.transport())?;
    let setup = setup_alone(args, process.endpoint()?);
    process.serve(setup, journal, args.max_life, |url| {
        // Stdout may be closed.
        let _ = writeln!(io::stdout(), "{url}");
    })
}

fn fresh_port() -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0)
}

/// A process that listens, before it has a mock.
struct Process {
    listener: std::net::TcpListener,
    path: String,
    style: HttpStyle,
    connector: Connector,
    inbox: Inbox,
    started: std::time::Instant,
}

impl Process {
    /// Listens and catches signals, but accepts no client yet.
    fn new(addr: SocketAddr, (path, style): (String, HttpStyle)) -> Result<Self, MockError> {
        let started = std::time::Instant::now();
        if !addr.ip().is_loopback() {
            return Err(MockError::NotLoopback(addr));
        }
        let (connector, inbox) = connector();
        let signals = connector.clone();
        catch_signals(move |signal| signals.send(Input::Signal(signal))).map_err(MockError::Setup)?;
        let listener = std::net::TcpListener::bind(addr).map_err(|source| MockError::Listen { addr, source })?;
        listener.set_nonblocking(true).map_err(MockError::Setup)?;
        Ok(Self { listener, path, style, connector, inbox, started })
    }

    fn endpoint(&self) -> Result<Endpoint, MockError> {
        let addr = self.listener.local_addr().map_err(MockError::Setup)?;
        Ok(Endpoint::Http(HttpSetup {
            url: format!("http://{addr}{}", self.path),
            path: self.path.clone(),
            style: self.style.clone(),
            session_prefix: secret().map_err(MockError::Setup)?,
        }))
    }

    /// Serves until the script, a signal or the end of its life ends it, and returns the exit code.
    fn serve(
        self,
        setup: Setup,
        journal: impl Journal,
        life: Duration,
        on_ready: impl Fn(&str),
    ) -> Result<u8, MockError> {
        raise_descriptor_limit();
        let url = match &setup.endpoint {
            Endpoint::Http(http) => http.url.clone(),
            Endpoint::Lines => String::new(),
        };
        let life_ends = Instant::from_std(self.started + life);
        let runtime = Builder::new_current_thread().enable_all().build().map_err(MockError::Setup)?;
        let end = runtime.block_on(async {
            let listener = TcpListener::from_std(self.listener).map_err(MockError::Setup)?;
            let mut mock = HttpMock::new(Machine::new(setup), journal, self.inbox);
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

/// Raises the limit of descriptors for many clients, as far as the system allows.
fn raise_descriptor_limit() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = maximum.map_or(DESCRIPTORS, |maximum| maximum.min(DESCRIPTORS));
    if current.is_some_and(|current| current < wanted) {
        // With fewer descriptors it serves fewer clients.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum });
    }
}
