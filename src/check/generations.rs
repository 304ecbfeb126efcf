//! The generation of each connection, which decides the rules that get its events.
//!
//! The agreement of client and server decides, not the revision of the plan: a client initializes a server that refuses
//! the stateless generation, and an application chooses its generation itself. Evidence of a generation is an accepted
//! `initialize`, or a result that only the stateless generation has. Without evidence the revision of the plan decides.

use serde_json::Value;

use crate::check::agreement::{Agreement, Agreements};
use crate::check::metadata::VERSION;
use crate::check::parts::parts;
use crate::history::{ConnectionId, Event, EventKind, Header, KeySet, Message, Name, Table};
use crate::plan::Revision;

/// A generation of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spoke {
    /// Sessions that open with `initialize`.
    Handshake,
    /// Stateless requests.
    Stateless,
}

/// The generations of a history, as far as its events show them.
#[derive(Debug)]
pub(super) struct Generations {
    /// The generation of the plan.
    of_plan: Option<Spoke>,
    /// Connections that have carried `initialize`.
    opened: KeySet<ConnectionId>,
    /// Connections that have carried a request of the stateless generation.
    asked: KeySet<ConnectionId>,
    /// The generation that the evidence shows.
    shown: Table<ConnectionId, Spoke>,
    /// Servers that have accepted `initialize`.
    initialized: KeySet<Name>,
    has_sessions: bool,
    has_lone_requests: bool,
}

/// The rules that get an event, by their generation.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hearers {
    pub handshake: bool,
    pub stateless: bool,
}

impl Hearers {
    const ALL: Self = Self { handshake: true, stateless: true };
}

impl Generations {
    pub(super) fn of(header: &Header) -> Self {
        // HTTP with server-sent events belongs to the handshake generation, whatever the revision.
        let revision = header.revision.parse::<Revision>().ok();
        let of_plan = match (header.carried_by(), revision) {
            ("sse", _) => Some(Spoke::Handshake),
            (_, revision) => revision.map(generation_of),
        };
        Self {
            of_plan,
            opened: KeySet::default(),
            asked: KeySet::default(),
            shown: Table::default(),
            initialized: KeySet::default(),
            has_sessions: false,
            has_lone_requests: false,
        }
    }

    /// Whether the history shows a session of a generation.
    pub(super) fn has(&self, spoke: Spoke) -> bool {
        match spoke {
            Spoke::Handshake => self.has_sessions,
            Spoke::Stateless => self.has_lone_requests,
        }
    }

    /// Whether the plan itself is of the stateless generation.
    pub(super) fn is_stateless_plan(&self) -> bool {
        self.of_plan == Some(Spoke::Stateless)
    }

    /// Whether the requests on a connection are stateless.
    pub(super) fn is_stateless(&self, connection: &ConnectionId) -> bool {
        self.shown.get(connection).map_or(self.is_stateless_plan(), |shown| *shown == Spoke::Stateless)
    }

    /// Takes an event, before the monitors get it and after the agreements.
    pub(super) fn see(&mut self, event: &Event, agreements: &Agreements) {
        match &event.kind {
            EventKind::WireReceived { connection, message } => {
                for part in parts(message).iter().filter(|part| part.is_any_request()) {
                    if part.is_request("initialize") {
                        self.opened.insert(connection.clone());
                    } else if is_of_stateless_generation(part) {
                        self.asked.insert(connection.clone());
                    }
                }
            }
            // A client may initialize its server even if the server serves it without a handshake.
            EventKind::WireSent { connection, message } if self.shown.get(connection) != Some(&Spoke::Handshake) => {
                if agreements.of(connection).and_then(Agreement::revision).is_some() {
                    self.show(connection, Spoke::Handshake);
                    self.initialized.insert(event.source.to_name());
                } else if self.asked.contains(connection) && parts(message).iter().any(is_stateless_result) {
                    self.show(connection, Spoke::Stateless);
                }
            }
            _ => {}
        }
    }

    fn show(&mut self, connection: &ConnectionId, spoke: Spoke) {
        self.shown.insert(connection.clone(), spoke);
        self.has_sessions |= spoke == Spoke::Handshake;
        self.has_lone_requests |= spoke == Spoke::Stateless;
    }

    /// Which rules of the plan's own generation get an event: all but those of a connection that is proven to be of the
    /// other one. To be asked before the event is taken: what proves it belongs to both.
    pub(super) fn own(&self, event: &Event) -> Hearers {
        match &event.kind {
            EventKind::WireReceived { connection, message } if !message.is_request("initialize") => {
                let Hearers { handshake, stateless } = self.shown_on(connection);
                Hearers { handshake, stateless: stateless && !self.is_stray(event, connection) }
            }
            EventKind::WireSent { connection, .. } => self.shown_on(connection),
            _ => Hearers::ALL,
        }
    }

    fn shown_on(&self, connection: &ConnectionId) -> Hearers {
        match self.shown.get(connection) {
            None => Hearers::ALL,
            Some(Spoke::Handshake) => Hearers { stateless: false, ..Hearers::ALL },
            Some(Spoke::Stateless) => Hearers { handshake: self.opened.contains(connection), ..Hearers::ALL },
        }
    }

    /// Which rules of another generation than the plan's get an event: what a client has begun as such, what belongs to no
    /// connection, and the ends of all. To be asked after the event is taken.
    pub(super) fn foreign(&self, event: &Event) -> Hearers {
        match &event.kind {
            EventKind::WireReceived { connection, .. }
            | EventKind::WireSent { connection, .. }
            | EventKind::HttpReceived { connection: Some(connection), .. } => self.begun_on(event, connection),
            EventKind::HttpReceived { headers, session, .. } => {
                let says = headers.get("mcp-protocol-version").and_then(|text| text.parse().ok()).map(generation_of);
                let is_lone = says == Some(Spoke::Stateless) || headers.contains_key("mcp-method");
                let is_of_session = session.is_some() || says == Some(Spoke::Handshake);
                Hearers { handshake: !is_lone, stateless: is_lone || !is_of_session }
            }
            _ => Hearers::ALL,
        }
    }

    fn begun_on(&self, event: &Event, connection: &ConnectionId) -> Hearers {
        let (shown, is_opened) = (self.shown.get(connection), self.opened.contains(connection));
        let is_asked = self.asked.contains(connection);
        Hearers {
            handshake: is_opened || self.is_stray(event, connection),
            stateless: is_asked && shown != Some(&Spoke::Handshake),
        }
    }

    /// Whether a message belongs to a session although it does not say to which: its server has sessions, and the message says
    /// nothing of the stateless generation.
    fn is_stray(&self, event: &Event, connection: &ConnectionId) -> bool {
        let is_lone = || match &event.kind {
            EventKind::WireReceived { message, .. } => parts(message).iter().any(is_of_stateless_generation),
            _ => false,
        };
        !self.shown.contains_key(connection) && self.initialized.contains(&event.source.to_name()) && !is_lone()
    }
}

fn generation_of(revision: Revision) -> Spoke {
    if revision > Revision::NEWEST_HANDSHAKE { Spoke::Stateless } else { Spoke::Handshake }
}

/// Whether a message belongs to the stateless generation.
fn is_of_stateless_generation(message: &Message) -> bool {
    let says = message.at(&["params", "_meta", VERSION]).and_then(Value::as_str);
    let says = says.and_then(|says| says.parse().ok()).map(generation_of);
    message.is_request("server/discover") || says == Some(Spoke::Stateless)
}

/// Whether a server serves the stateless generation with a message: only its results have a type, and only its servers
/// name the revisions that they speak.
fn is_stateless_result(message: &Message) -> bool {
    let result = |name: &str| message.at(&["result", name]).is_some();
    message.is_response() && (result("resultType") || result("supportedVersions"))
}
