//! What a mock is made of.

use std::fmt;
use std::io;
use std::ops::{RangeFrom, RangeInclusive, RangeToInclusive};
use std::path::PathBuf;
use std::time::Duration;

use crate::mock::load_script;
use crate::plan::{InputError, Revision, ShutdownBehaviour, Transport};
use crate::script::{Carriage, Misfit, Script};
use crate::testing::mock::MockServer;
use crate::testing::mock::host::{self, Host};

/// How long anything is waited for, where nothing else is asked for.
const LIMIT: Duration = Duration::from_secs(10);

/// Reached over streamable HTTP, on loopback.
#[derive(Debug, Clone)]
pub struct OverHttp {
    pub(super) url: String,
}

/// Reached over the standard input and output of a process that the client starts.
#[derive(Debug, Clone)]
pub struct OverStdio {
    pub(super) command: PathBuf,
    pub(super) args: Vec<String>,
}

/// A mock that has not started.
#[derive(Debug, Clone)]
pub struct MockBuilder<R> {
    script: String,
    revision: Revision,
    temperament: ShutdownBehaviour,
    expected: Vec<(String, Times)>,
    limit: Duration,
    over: std::marker::PhantomData<R>,
}

/// How often something is expected: `2`, `1..`, `1..=3` or `..=3`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    least: usize,
    most: Option<usize>,
}

/// Why a mock did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// There is no such script, or it can not be read.
    #[error(transparent)]
    Script(#[from] InputError),
    /// The script can not be carried out so.
    #[error(transparent)]
    Misfit(#[from] Misfit),
    /// The revision can not be spoken so.
    #[error("found revision {found}, expected one from {oldest} to {newest}")]
    Revision {
        /// What was asked for.
        found: Revision,
        /// The oldest that can be.
        oldest: Revision,
        /// The newest that can be.
        newest: Revision,
    },
    /// The system refused something.
    #[error("the mock can not be started: {0}")]
    System(#[from] io::Error),
}

impl MockBuilder<()> {
    pub(super) fn new(script: &str) -> Self {
        Self {
            script: script.to_owned(),
            revision: Revision::NEWEST_HANDSHAKE,
            temperament: ShutdownBehaviour::Polite,
            expected: Vec::new(),
            limit: LIMIT,
            over: std::marker::PhantomData,
        }
    }

    /// It is to be reached over streamable HTTP: it lives in this process, and listens on a fresh port of loopback.
    #[must_use]
    pub fn over_http(self) -> MockBuilder<OverHttp> {
        self.over()
    }

    /// It is to be reached over standard input and output: the client starts it, as often as it likes.
    #[must_use]
    pub fn over_stdio(self) -> MockBuilder<OverStdio> {
        self.over()
    }

    fn over<R>(self) -> MockBuilder<R> {
        let Self { script, revision, temperament, expected, limit, over: _ } = self;
        MockBuilder { script, revision, temperament, expected, limit, over: std::marker::PhantomData }
    }
}

impl<R> MockBuilder<R> {
    /// The newest revision it speaks. Default: the newest that opens with `initialize`.
    #[must_use]
    pub fn revision(mut self, revision: Revision) -> Self {
        self.revision = revision;
        self
    }

    /// How often messages of this method are expected, over all connections; [`MockServer::verify`] says whether that is so.
    #[must_use]
    pub fn expect(mut self, method: &str, times: impl Into<Times>) -> Self {
        self.expected.push((method.to_owned(), times.into()));
        self
    }

    /// How long anything is waited for. Default: 10 s.
    #[must_use]
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Reads the script, and sees that it can be carried out so.
    fn read(&self, transport: Transport, carriage: Carriage, oldest: Revision) -> Result<Script, StartError> {
        let (found, newest) = (self.revision, Revision::NEWEST_HANDSHAKE);
        if found < oldest || found > newest {
            return Err(StartError::Revision { found, oldest, newest });
        }
        let script = load_script(&self.script)?;
        script.fits(transport, carriage)?;
        Ok(script)
    }

    fn started(self, host: Host, reached: R) -> MockServer<R> {
        MockServer { host, reached, expected: self.expected, limit: self.limit }
    }
}

impl MockBuilder<OverHttp> {
    /// Starts it: when this returns, it can be connected to.
    ///
    /// # Errors
    /// When there is no such script, when it needs pipes or a process of its own, or when there is no port.
    pub fn start(self) -> Result<MockServer<OverHttp>, StartError> {
        // It has no process of its own: what needs one does not fit, as in memory.
        let script = self.read(Transport::Memory, Carriage::Http, Revision::R20250326)?;
        let (host, url) = host::over_http(script, self.revision)?;
        Ok(self.started(host, OverHttp { url }))
    }
}

impl MockBuilder<OverStdio> {
    /// Ignores the end of its input and SIGTERM, as some servers do: only SIGKILL ends it.
    #[must_use]
    pub fn stubborn(mut self) -> Self {
        self.temperament = ShutdownBehaviour::Stubborn;
        self
    }

    /// Gets ready for it: when this returns, a client can start it.
    ///
    /// # Errors
    /// When there is no such script, when it needs HTTP, or when there is no port for it to report to.
    pub fn start(self) -> Result<MockServer<OverStdio>, StartError> {
        let script = self.read(Transport::Stdio, Carriage::Lines, Revision::R20241105)?;
        let command = std::env::current_exe()?;
        let (host, args) = host::over_stdio(script, self.revision, self.temperament)?;
        Ok(self.started(host, OverStdio { command, args }))
    }
}

impl Times {
    /// Whether so many are as many as expected.
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
