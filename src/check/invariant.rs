//! An invariant: a table row and a monitor.

use std::borrow::Cow;
use std::sync::LazyLock;

use crate::check::generations::Spoke;
use crate::check::{Hears, Tally, Verdict, View};
use crate::history::{Event, Header, Kind, UNKNOWN_TRANSPORT};
use crate::plan::{Framing, Promise, Revision, Transport};

/// One named invariant.
pub struct Invariant {
    /// Kebab-case, names the good case, never changes once released.
    pub id: &'static str,
    /// Whether it forbids or demands.
    pub property: Property,
    /// The verdict of a violation.
    pub level: Level,
    /// One sentence, present tense.
    pub claim: &'static str,
    /// Revision and section of the specification, or our own requirement.
    pub source: &'static str,
    /// Ids of the requirements that it covers.
    pub requirement: &'static [&'static str],
    /// The generations, transports and subjects to which it applies.
    pub applies: AppliesTo,
    /// The promise that the loader must make, else the rule does not apply.
    pub needs: Promise,
    /// The evidence without which it cannot pass.
    pub witness: Witness,
    /// The kinds of events that its monitor gets.
    pub kinds: &'static [Kind],
    /// Which events of these kinds may concern it.
    pub hears: Hears,
    /// The reason of the finding if the trigger never happened.
    pub vacuous: &'static str,
    /// The mistake, its consequences, where to look, and how to fix it.
    pub explain: &'static str,
    /// Starts its monitor for one history.
    pub start: fn(&Header) -> Box<dyn Monitor>,
}

/// Gets each event of the kinds that its invariant subscribes to, once, in order.
pub trait Monitor {
    /// Takes one event. The view is already up to date with it.
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally);

    /// Takes the end of the history. A monitor reports an open obligation with [`Tally::open`]; it counts only if the
    /// history was cut off. The monitor stays as it is, so a history can be judged at each of its events.
    fn end(&self, _view: &View, _tally: &mut Tally) {}
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

/// The source of a demand, which decides the verdict of a violation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// A MUST of the specification: Fail.
    Must,
    /// A SHOULD of the specification: Warn.
    Should,
    /// A requirement of this project: Fail.
    Own,
    /// A requirement of this project about latency or resources: Warn.
    OwnResource,
}

impl Level {
    /// The verdict of a violation.
    #[must_use]
    pub fn verdict(self) -> Verdict {
        match self {
            Self::Must | Self::Own => Verdict::Fail,
            Self::Should | Self::OwnResource => Verdict::Warn,
        }
    }

    /// The keyword of the specification, or `own` where the demand is this project's.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Must => "MUST",
            Self::Should => "SHOULD",
            Self::Own | Self::OwnResource => "own",
        }
    }
}

/// The generations, transports and subjects to which an invariant applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AppliesTo {
    generation: Generation,
    transports: Transports,
    subject: Subject,
}

/// The transports to which an invariant applies, by what it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Transports {
    Every,
    /// Those that the stateless generation has.
    Stateless,
    /// Those on which a server can send a message at any time.
    Push,
    /// Those on which a client posts its messages.
    Posted,
    Only(Transport),
}

impl Transports {
    fn contain(self, transport: Transport) -> bool {
        match self {
            Self::Every => true,
            Self::Stateless => transport.usual_framing().is_stateless(),
            Self::Push => transport.usual_framing().has_push(),
            Self::Posted => transport.usual_framing() != Framing::Lines,
            Self::Only(only) => transport == only,
        }
    }

    /// The reason why a rule for these does not apply to a history over another transport.
    fn refuse(self, transport: &str) -> String {
        let names: Vec<&str> = self.all().map(Transport::as_str).collect();
        ["applies to transport ", &names.join(" and "), ", this is ", transport].concat()
    }

    fn all(self) -> impl Iterator<Item = Transport> {
        Transport::ALL.into_iter().filter(move |transport| self.contain(*transport))
    }

    /// Every reason of this kind.
    fn refusals() -> Vec<(Self, Transport, String)> {
        let only = Transport::ALL.into_iter().map(Self::Only);
        let sets: Vec<Self> = [Self::Stateless, Self::Push, Self::Posted].into_iter().chain(only).collect();
        let others = |set: Self| Transport::ALL.into_iter().filter(move |transport| !set.contain(*transport));
        let of_set = |set: Self| others(set).map(move |transport| (set, transport, set.refuse(transport.as_str())));
        sets.into_iter().flat_map(of_set).collect()
    }
}

/// The kind of started program to which a rule applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Subject {
    Any,
    /// A program that keeps the contract of conformance clients.
    Client,
    /// A finished application.
    Application,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Generation {
    Any,
    Handshake,
    Stateless,
}

impl AppliesTo {
    /// Everywhere.
    pub const ALL: Self = Self { generation: Generation::Any, transports: Transports::Every, subject: Subject::Any };
    /// Every transport, in the handshake generation.
    pub const HANDSHAKE: Self = Self { generation: Generation::Handshake, ..Self::ALL };
    /// Every transport that the stateless generation has.
    pub const STATELESS: Self =
        Self { generation: Generation::Stateless, transports: Transports::Stateless, ..Self::ALL };
    /// Streamable HTTP, in the stateless generation.
    pub const STATELESS_HTTP: Self =
        Self { generation: Generation::Stateless, transports: Transports::Only(Transport::Http), ..Self::ALL };
    /// Servers that are child processes, in the stateless generation.
    pub const STATELESS_STDIO: Self =
        Self { generation: Generation::Stateless, transports: Transports::Only(Transport::Stdio), ..Self::ALL };
    /// Sessions with ids: streamable HTTP, in the handshake generation.
    pub const SESSIONS: Self =
        Self { generation: Generation::Handshake, transports: Transports::Only(Transport::Http), ..Self::ALL };
    /// Streamable HTTP, in every generation.
    pub const HTTP: Self = Self { transports: Transports::Only(Transport::Http), ..Self::ALL };
    /// Transports on which a client posts its messages, in every generation.
    pub const POSTED: Self = Self { transports: Transports::Posted, ..Self::ALL };
    /// HTTP with server-sent events, where a session is a stream of events.
    pub const SSE: Self =
        Self { generation: Generation::Handshake, transports: Transports::Only(Transport::Sse), ..Self::ALL };
    /// Transports on which a server can send a message at any time, in the handshake generation.
    pub const SERVER_PUSH: Self = Self { generation: Generation::Handshake, transports: Transports::Push, ..Self::ALL };
    /// Servers that are child processes.
    pub const STDIO: Self = Self { transports: Transports::Only(Transport::Stdio), ..Self::ALL };

    /// These conditions, for conformance clients only.
    #[must_use]
    pub const fn of_clients(self) -> Self {
        Self { subject: Subject::Client, ..self }
    }

    /// The same, for finished applications only.
    #[must_use]
    pub const fn of_applications(self) -> Self {
        Self { subject: Subject::Application, ..self }
    }

    /// The transports to which it applies.
    pub fn transports(self) -> impl Iterator<Item = Transport> {
        self.transports.all()
    }

    /// The revisions to which it applies, on a transport that has them.
    pub fn revisions(self) -> impl Iterator<Item = Revision> {
        Revision::ALL.into_iter().filter(move |revision| match self.generation {
            Generation::Any => true,
            Generation::Handshake => *revision <= Revision::NEWEST_HANDSHAKE,
            Generation::Stateless => *revision > Revision::NEWEST_HANDSHAKE,
        })
    }

    /// The kinds of started programs to which it applies, where it judges started programs: `application`, `client`.
    #[must_use]
    pub fn programs(self) -> &'static [&'static str] {
        match self.subject {
            Subject::Any => &["application", "client"],
            Subject::Client => &["client"],
            Subject::Application => &["application"],
        }
    }

    /// Whether it applies to some transports only.
    pub(super) fn names_transports(self) -> bool {
        self.transports != Transports::Every
    }

    /// The reason why it does not apply to a history, if it does not.
    pub(super) fn refuses(self, header: &Header) -> Option<Cow<'static, str>> {
        match (self.subject, header.application()) {
            (Subject::Client, Some(_)) => {
                return Some("applies to conformance clients, this is a finished application".into());
            }
            (Subject::Application, None) => {
                return Some("applies to finished applications, this is a conformance client".into());
            }
            (Subject::Any | Subject::Client | Subject::Application, _) => {}
        }
        let transport = header.carried_by();
        if !self.names_transports() || transport == UNKNOWN_TRANSPORT {
            return None;
        }
        let Some(known) = Transport::named(transport) else { return Some(self.transports.refuse(transport).into()) };
        // Nearly half of the rules refuse a plan, and there are few reasons.
        static REFUSALS: LazyLock<Vec<(Transports, Transport, String)>> = LazyLock::new(Transports::refusals);
        let is_it = |refusal: &&(Transports, Transport, String)| refusal.0 == self.transports && refusal.1 == known;
        REFUSALS.iter().find(is_it).map(|(.., because)| because.as_str().into())
    }

    /// The generation to which it is bound, if it is bound to one.
    pub(super) fn spoke(self) -> Option<Spoke> {
        match self.generation {
            Generation::Any => None,
            Generation::Handshake => Some(Spoke::Handshake),
            Generation::Stateless => Some(Spoke::Stateless),
        }
    }
}

/// Evidence that an adapter may be unable to record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Witness {
    /// Events of the wire, the driver and the system, which every history has.
    Always,
    /// Events of scopes.
    Scopes,
}
