//! The requirements on clients, as data: what the specification demands, and what this project demands itself.
//!
//! The rows are in `fixtures/requirements`, a file for each family. A rule names the rows that it judges by itself.
//! Some rows can be judged only if a server behaves unusually. Such a row names the unusual behaviour, and the rules
//! that judge the row there: a fault, a message on the wire, or a whole script.

mod under_test;

use std::fmt;
use std::sync::LazyLock;

use include_dir::{Dir, include_dir};
use serde::Deserialize;

use crate::plan::{InputError, Revision, Transport};

pub(super) use under_test::UnderTest;

static FILES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/fixtures/requirements");
static ROWS: LazyLock<Result<Vec<Requirement>, InputError>> = LazyLock::new(read);

/// One requirement.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Requirement {
    /// `LC-FAMILY-NUMBER` for a row of the specification, `VG-NUMBER` for one of this project.
    pub id: String,
    /// The role that it binds, in the words of the specification.
    pub who: String,
    /// The keywords of its text; `prose` if it has none, `derived` if it follows from other rows, `own` if it is a
    /// requirement of this project.
    pub level: String,
    /// The revisions that have it.
    pub revisions: Vec<Revision>,
    /// Whether it holds only with an extension that both sides declare.
    #[serde(default)]
    pub extension: bool,
    /// The demand, in one sentence.
    pub about: String,
    /// The page and the section of the specification that have it.
    pub source: String,
    /// Where a violation is visible.
    pub channel: Vec<Channel>,
    /// Why no client can break it, if none can.
    pub unbreakable: Option<Unbreakable>,
    /// Why no rule judges it yet, if that is intended.
    pub deferred: Option<Deferred>,
    /// The preferred reading, if the specification contradicts itself. Rules accept both readings.
    pub reading: Option<String>,
    /// The plans in which rules judge it that do not name it themselves.
    #[serde(default)]
    pub judged: Vec<Judged>,
}

/// Where a violation of a requirement is visible.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Channel {
    /// Messages.
    Wire,
    /// Processes, signals and exits.
    Process,
    /// HTTP requests, headers and sockets.
    Http,
    /// The results that the caller of the loader gets.
    Api,
    /// The behaviour of the mock server itself.
    Mock,
}

/// Why no client can break a requirement.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unbreakable {
    /// The kind of reason.
    pub kind: UnbreakableKind,
    /// The reason, as the end of a sentence.
    pub because: String,
}

/// A kind of reason why no client can break a requirement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UnbreakableKind {
    /// It binds the server alone.
    ServerDuty,
    /// It permits, and demands nothing.
    Permission,
    /// It is about an operating system on which this tool does not run.
    OtherPlatform,
    /// It is about a feature that a client offers, not about its behaviour.
    NoBehaviour,
}

/// Why no rule judges a requirement.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deferred {
    /// The kind of reason.
    pub kind: DeferredKind,
    /// The reason, as the end of a sentence.
    pub because: String,
}

/// A kind of reason why no rule judges a requirement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeferredKind {
    /// Only a person or a user interface shows it.
    UserInterface,
    /// It needs an authorisation server with more than the mock server offers.
    Authorisation,
    /// It needs evidence that no recorder has.
    NoEvidence,
}

/// Rules that judge a requirement in some plans.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Judged {
    /// The scripts of the servers that put it to the test as a whole.
    #[serde(default)]
    pub scripts: Vec<String>,
    /// The faults that put it to the test, whichever script delivers them.
    #[serde(default)]
    pub faults: Vec<String>,
    /// The odd messages of servers that put it to the test, whichever script sends them.
    #[serde(default)]
    pub sent: Vec<Oddity>,
    /// The transports that put it to the test; none if it does not depend on the transport.
    #[serde(default)]
    pub transports: Vec<Transport>,
    /// The ids of the rules.
    pub by: Vec<String>,
}

/// An odd message of a server, as the wire shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Oddity {
    /// Progress with a token that no open request of the client has.
    ProgressOfNone,
    /// A result without a type.
    UntypedResult,
}

impl fmt::Display for Unbreakable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            UnbreakableKind::ServerDuty => "it binds the server alone",
            UnbreakableKind::Permission => "it permits, and demands nothing",
            UnbreakableKind::OtherPlatform => "it is about another platform",
            UnbreakableKind::NoBehaviour => "it is about what a client offers, not about what it does",
        };
        write!(f, "{kind}; {}", self.because)
    }
}

impl fmt::Display for Deferred {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            DeferredKind::UserInterface => "only a person or a user interface shows it",
            DeferredKind::Authorisation => "it needs more authorisation than the mock server offers",
            DeferredKind::NoEvidence => "no recorder has the evidence",
        };
        write!(f, "{kind}; {}", self.because)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    requirement: Vec<Requirement>,
}

/// Every requirement: those of this project first, then the families of the specification.
///
/// # Errors
/// When a shipped file is malformed: a defect of this build, which a test finds.
pub fn requirements() -> Result<&'static [Requirement], &'static InputError> {
    ROWS.as_ref().map(Vec::as_slice)
}

fn read() -> Result<Vec<Requirement>, InputError> {
    let mut files: Vec<_> = FILES.files().collect();
    files.sort_by_key(|file| file.path());
    let mut rows = Vec::new();
    for file in files {
        let (name, text) = (file.path().display().to_string(), file.contents_utf8().unwrap_or_default());
        let parsed: File = toml::from_str(text).map_err(|error| InputError::toml(&name, text, &error))?;
        rows.extend(parsed.requirement);
    }
    rows.sort_by_key(|row| !row.is_own());
    Ok(rows)
}

impl Requirement {
    /// Whether it is one of this project.
    #[must_use]
    pub fn is_own(&self) -> bool {
        self.id.starts_with("VG-")
    }

    /// Whether its text has a MUST or a MUST NOT.
    #[must_use]
    pub fn is_must(&self) -> bool {
        self.level.contains("MUST")
    }
}
