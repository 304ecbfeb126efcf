//! What an invariant is: a table row and a monitor.

use crate::check::{Tally, View};
use crate::history::{Event, Header, Kind};
use crate::plan::{Promise, Revision, Transport};

/// One named invariant.
pub struct Invariant {
    /// Kebab-case, states the good case, never changes once released.
    pub id: &'static str,
    /// Whether it forbids or demands.
    pub property: Property,
    /// How much a violation weighs.
    pub level: Level,
    /// One sentence, present tense.
    pub claim: &'static str,
    /// Revision and section, or our design note.
    pub source: &'static str,
    /// Ids of the requirements it stands for.
    pub requirement: &'static [&'static str],
    /// Revisions and transports it applies to.
    pub applies: Scope,
    /// The promise without which it does not apply.
    pub needs: Promise,
    /// The witness without which it can not be seen to hold.
    pub witness: Witness,
    /// The kinds of events its monitor sees.
    pub kinds: &'static [Kind],
    /// What is said when its trigger never happened.
    pub vacuous: &'static str,
    /// What breaks, why it matters, what to look at, how to mend it.
    pub explain: &'static str,
    /// Starts its monitor for one history.
    pub start: fn(&Header) -> Box<dyn Monitor>,
}

/// Sees the events of the kinds its invariant subscribes to, once, in order.
pub trait Monitor {
    /// One event. The view has already taken notice of it.
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally);

    /// The history is over. What is still open is reported with [`Tally::open`]; it counts only where the history was cut off.
    fn end(&mut self, _view: &View, _tally: &mut Tally) {}
}

impl<F: FnMut(&Event, &View, &mut Tally)> Monitor for F {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        self(event, view, tally);
    }
}

/// Whether an invariant forbids or demands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Property {
    /// Something bad never happens.
    Safety,
    /// Something good happens before a bound.
    Liveness,
}

/// How much a violation weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// A MUST of the specification: Fail.
    Must,
    /// A SHOULD of the specification: Warn.
    Should,
    /// Our own requirement: Fail.
    Own,
    /// Our own, about latency or resources: Warn.
    OwnResource,
}

/// The revisions and transports an invariant applies to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scope {
    era: Era,
    transports: &'static [Transport],
    subject: Subject,
}

/// Whose histories it is for, of those that it is a rule of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Subject {
    Any,
    /// A host that keeps the contract of conformance clients.
    Client,
    /// A finished application.
    Application,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Era {
    Any,
    Legacy,
    Modern,
}

const EVERY_TRANSPORT: &[Transport] = &[Transport::Memory, Transport::Stdio, Transport::Http, Transport::Sse];

impl Scope {
    /// Everywhere.
    pub const ALL: Self = Self { era: Era::Any, transports: EVERY_TRANSPORT, subject: Subject::Any };
    /// Everywhere, in the revisions that open with `initialize`.
    pub const LEGACY: Self = Self { era: Era::Legacy, transports: EVERY_TRANSPORT, subject: Subject::Any };
    /// Over the transports of the revisions in which every request stands for itself.
    pub const MODERN: Self =
        Self { transports: &[Transport::Memory, Transport::Stdio, Transport::Http], era: Era::Modern, ..Self::ALL };
    /// Over HTTP, in the revisions in which every request stands for itself.
    pub const STATELESS: Self = Self { era: Era::Modern, transports: &[Transport::Http], ..Self::ALL };
    /// Where sessions have ids: streamable HTTP, in the revisions that open with `initialize`.
    pub const SESSIONS: Self = Self { era: Era::Legacy, transports: &[Transport::Http], ..Self::ALL };
    /// Where messages are posted: streamable HTTP, in every revision.
    pub const POSTS: Self = Self { transports: &[Transport::Http], ..Self::ALL };
    /// Where a session is a stream of events: HTTP with server-sent events.
    pub const STREAMS: Self = Self { era: Era::Legacy, transports: &[Transport::Sse], ..Self::ALL };
    /// Where a server is heard without being asked, in the revisions that open with `initialize`.
    pub const HEARD: Self =
        Self { era: Era::Legacy, transports: &[Transport::Memory, Transport::Stdio, Transport::Sse], ..Self::ALL };
    /// Where the server is a child process.
    pub const STDIO: Self = Self { era: Era::Any, transports: &[Transport::Stdio], ..Self::ALL };

    /// The same, of all hosts for those that keep the contract of conformance clients.
    #[must_use]
    pub const fn of_clients(self) -> Self {
        Self { subject: Subject::Client, ..self }
    }

    /// The same, of all hosts for finished applications.
    #[must_use]
    pub const fn of_applications(self) -> Self {
        Self { subject: Subject::Application, ..self }
    }

    /// Why it does not apply to a history, if so.
    pub(super) fn refuses(self, header: &Header) -> Option<String> {
        match (self.subject, header.application()) {
            (Subject::Client, Some(_)) => {
                return Some("applies to conformance clients, this is a finished application".to_owned());
            }
            (Subject::Application, None) => {
                return Some("applies to finished applications, this is a conformance client".to_owned());
            }
            (Subject::Any | Subject::Client | Subject::Application, _) => {}
        }
        let transport = header.carried_by();
        if self.transports != EVERY_TRANSPORT && !self.transports.iter().any(|known| known.as_str() == transport) {
            let names: Vec<String> = self.transports.iter().map(ToString::to_string).collect();
            return Some(format!("applies to transport {}, this is {transport}", names.join(" and ")));
        }
        let has_handshake = header.revision.parse::<Revision>().map(|revision| revision <= Revision::NEWEST_LEGACY);
        match (self.era, has_handshake) {
            (Era::Any, _) | (Era::Legacy, Ok(true)) | (Era::Modern, Ok(false)) => None,
            (Era::Legacy, _) => Some(format!("applies to revisions with a handshake, this is {}", header.revision)),
            (Era::Modern, _) => Some(format!("applies to revisions without a handshake, this is {}", header.revision)),
        }
    }
}

/// A witness an adapter may or may not be able to give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Witness {
    /// Wire, driver and system: always there.
    Always,
    /// Scope events.
    Scopes,
}
