//! The builder of a mock.

use std::fmt;
use std::io;
use std::ops::{RangeFrom, RangeInclusive, RangeToInclusive};
use std::path::PathBuf;
use std::time::Duration;

use crate::mock::load_script;
use crate::plan::{Framing, InputError, Revision, ServerHome, ShutdownBehaviour};
use crate::script::{Misfit, Script};
use crate::testing::mock::MockServer;
use crate::testing::mock::host::{self, Host};

/// The default limit of every wait.
const LIMIT: Duration = Duration::from_secs(10);

/// A mock over streamable HTTP, on loopback.
#[derive(Debug, Clone)]
pub struct OverHttp {
    pub(super) url: String,
}

/// A mock over stdio, in a process that the client starts.
#[derive(Debug, Clone)]
pub struct OverStdio {
    pub(super) command: PathBuf,
    pub(super) args: Vec<String>,
}

/// A mock before its start.
#[derive(Debug, Clone)]
pub struct MockBuilder<R> {
    script: String,
    revision: Revision,
    shutdown: ShutdownBehaviour,
    expected: Vec<(String, Times)>,
    limit: Duration,
    over: std::marker::PhantomData<R>,
}

/// An expected number of messages: `2`, `1..`, `1..=3` or `..=3`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    least: usize,
    most: Option<usize>,
}

/// Why a mock did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The script does not exist or is malformed.
    #[error(transparent)]
    Script(#[from] InputError),
    /// The script does not support the transport.
    #[error(transparent)]
    Misfit(#[from] Misfit),
    /// The transport does not support the revision.
    #[error("found revision {found}, expected one from {oldest} to {newest}")]
    Revision {
        /// The revision of the test.
        found: Revision,
        /// The oldest revision that the transport supports.
        oldest: Revision,
        /// The newest revision that the transport supports.
        newest: Revision,
    },
    /// The system refused a port, a thread or random bytes.
    #[error("the mock cannot be started: {0}")]
    System(#[from] io::Error),
}

impl MockBuilder<()> {
    pub(super) fn new(script: &str) -> Self {
        Self {
            script: script.to_owned(),
            revision: Revision::NEWEST_HANDSHAKE,
            shutdown: ShutdownBehaviour::Polite,
            expected: Vec::new(),
            limit: LIMIT,
            over: std::marker::PhantomData,
        }
    }

    /// Serves streamable HTTP. The mock runs in this process and listens on a free loopback port.
    #[must_use]
    pub fn over_http(self) -> MockBuilder<OverHttp> {
        self.over()
    }

    /// Serves stdio. The client starts the mock as a process, any number of times.
    #[must_use]
    pub fn over_stdio(self) -> MockBuilder<OverStdio> {
        self.over()
    }

    fn over<R>(self) -> MockBuilder<R> {
        let Self { script, revision, shutdown, expected, limit, over: _ } = self;
        MockBuilder { script, revision, shutdown, expected, limit, over: std::marker::PhantomData }
    }
}

impl<R> MockBuilder<R> {
    /// Sets the newest protocol revision of the mock. Default: the newest that opens with `initialize`.
    #[must_use]
    pub fn revision(mut self, revision: Revision) -> Self {
        self.revision = revision;
        self
    }

    /// Expects this number of messages of a method, over all connections. [`MockServer::verify`] checks it.
    #[must_use]
    pub fn expect(mut self, method: &str, times: impl Into<Times>) -> Self {
        self.expected.push((method.to_owned(), times.into()));
        self
    }

    /// Sets the limit of every wait. Default: 10 s.
    #[must_use]
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Reads the script, and checks that a server with this home and framing can run it.
    fn read(&self, home: ServerHome, framing: Framing, oldest: Revision) -> Result<Script, StartError> {
        let (found, newest) = (self.revision, Revision::NEWEST_HANDSHAKE);
        if found < oldest || found > newest {
            return Err(StartError::Revision { found, oldest, newest });
        }
        let script = load_script(&self.script)?;
        script.fits(home, framing)?;
        Ok(script)
    }

    fn started(self, host: Host, reached: R) -> MockServer<R> {
        MockServer { host, reached, expected: self.expected, limit: self.limit }
    }
}

impl MockBuilder<OverHttp> {
    /// Starts the mock. A client can connect when this function returns.
    ///
    /// # Errors
    /// When the script does not exist, needs pipes or its own process, or when the system has no free port.
    pub fn start(self) -> Result<MockServer<OverHttp>, StartError> {
        let script = self.read(ServerHome::ClientProcess, Framing::Http, Revision::R20250326)?;
        let (host, url) = host::over_http(script, self.revision)?;
        Ok(self.started(host, OverHttp { url }))
    }
}

impl MockBuilder<OverStdio> {
    /// Makes the mock ignore the end of its input, SIGTERM and SIGINT, as some servers do. Only SIGKILL ends it.
    #[must_use]
    pub fn stubborn(mut self) -> Self {
        self.shutdown = ShutdownBehaviour::Stubborn;
        self
    }

    /// Opens the endpoint for the mock's reports. A client can start the mock when this function returns.
    ///
    /// # Errors
    /// When the script does not exist, needs HTTP, or when the system has no free port for the endpoint.
    pub fn start(self) -> Result<MockServer<OverStdio>, StartError> {
        let script = self.read(ServerHome::ClientChild, Framing::Lines, Revision::R20241105)?;
        let command = std::env::current_exe()?;
        let (host, args) = host::over_stdio(script, self.revision, self.shutdown)?;
        Ok(self.started(host, OverStdio { command, args }))
    }
}

impl Times {
    /// Whether this number is an expected one.
    #[must_use]
    pub fn allows(self, n: usize) -> bool {
        self.least <= n && self.most.is_none_or(|most| n <= most)
    }
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.least, self.most) {
            (least, Some(most)) if least == most => write!(f, "{least}"),
            (0, Some(most)) => write!(f, "at most {most}"),
            (least, Some(most)) => write!(f, "{least} to {most}"),
            (least, None) => write!(f, "at least {least}"),
        }
    }
}

impl From<usize> for Times {
    fn from(n: usize) -> Self {
        Self { least: n, most: Some(n) }
    }
}

impl From<RangeFrom<usize>> for Times {
    fn from(range: RangeFrom<usize>) -> Self {
        Self { least: range.start, most: None }
    }
}

impl From<RangeInclusive<usize>> for Times {
    fn from(range: RangeInclusive<usize>) -> Self {
        Self { least: *range.start(), most: Some(*range.end()) }
    }
}

impl From<RangeToInclusive<usize>> for Times {
    fn from(range: RangeToInclusive<usize>) -> Self {
        Self { least: 0, most: Some(range.end) }
    }
}
