//! HTTP headers that a client sends.

use crate::check::combinator::{Judged, each};
use crate::check::lessons::{ServerSocket, socket_of};
use crate::check::metadata::says_revision;
use crate::check::parts::parts;
use crate::check::{Agreement, AppliesTo, Hears, Invariant, Level, Monitor, Property, Tally, View, Violation, Witness};
use crate::history::{ConnectionId, Event, EventKind, Header, KeySet, Kind, Message, Name, Seq, SessionId, Table};
use crate::plan::{Promise, Revision};

/// Counter-examples: If a server assigns no id, its client sends none. A ping or a probe of the generation may come
/// before the session, and so may a request of a client that has none: over HTTP with server-sent events a stream is
/// requested without one, and since 2026-07-28 everything is. Metadata documents and preflights are not requests of a
/// session. The journal of a mock alone does not know the ids of the server that had its address before.
/// `stale-session-unused` judges a request that names a session which the server has forgotten.
pub(super) const SESSION_ID_SENT: Invariant = Invariant {
    id: "session-id-sent",
    property: Property::Safety,
    level: Level::Must,
    claim: "once a session has an id, every request of it carries that id and no other; initialize carries none",
    source: "2025-11-25, basic/transports, Session Management; the same from 2025-03-26",
    requirement: &["LC-SESS-02", "LC-SESS-03"],
    applies: AppliesTo::SESSIONS,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[
        Kind::SessionOpened,
        Kind::SessionClosed,
        Kind::SocketClosed,
        Kind::HttpReceived,
        Kind::HttpAnswered,
        Kind::WireReceived,
    ],
    hears: Hears::ALL,
    vacuous: "no session had an id",
    explain: "The server assigned an id to the session, and a request came without it. Servers answer that with 400, \
        or open another session for it. Often calls work while notifications and cancellations get lost, because other \
        code sends those. If this server never gave the id, the client invented it, changed it, or took it from a \
        session of another server and so leaks it to this one.\n\n\
        Look at the verb and the message of the witness. To fix it, add the id in one place where all requests are \
        built, GET and DELETE included.",
    start: |header: &Header| -> Box<dyn Monitor> {
        Box::new(SessionIds { is_program: header.host.is_some(), ..SessionIds::default() })
    },
};

#[derive(Default)]
struct SessionIds {
    /// Whether the harness started the one program that sends everything.
    is_program: bool,
    open: Table<String, usize>,
    /// The servers that have given each id.
    given: Table<SessionId, Givers>,
    /// Open sockets that have carried a message, or a request of a session.
    own: KeySet<ServerSocket>,
    /// The POST whose message comes next, by server.
    heads: Table<String, Head>,
}

/// The servers that have given an id: almost always one.
struct Givers {
    first: Name,
    others: Vec<Name>,
}

impl Givers {
    fn contains(&self, server: &str) -> bool {
        std::iter::once(&self.first).chain(&self.others).any(|giver| giver.as_str() == server)
    }
}

/// What the head of a request shows.
struct Head {
    seq: Seq,
    session: Option<SessionId>,
    /// Whether it names a revision with a handshake, which a client knows once it has a session.
    has_version: bool,
    /// Whether its socket has carried a message before.
    is_own: bool,
}

impl Monitor for SessionIds {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        let Some(server) = event.source.server() else { return };
        match &event.kind {
            EventKind::SessionOpened { session, .. } => {
                *self.open.entry(server.to_owned()).or_default() += 1;
                match self.given.get_mut(session) {
                    Some(givers) if givers.contains(server) => {}
                    Some(givers) => givers.others.push(server.into()),
                    None => {
                        let givers = Givers { first: server.into(), others: Vec::new() };
                        self.given.insert(session.clone(), givers);
                    }
                }
            }
            EventKind::SessionClosed { .. } => {
                self.open.entry(server.to_owned()).and_modify(|n_open| *n_open = n_open.saturating_sub(1));
            }
            EventKind::SocketClosed { socket, .. } => {
                self.own.swap_remove(&socket_of(event, socket));
            }
            EventKind::HttpReceived { verb, session, socket, message, headers, .. } => {
                let socket = socket_of(event, socket);
                let version = headers.get("mcp-protocol-version").and_then(|version| version.parse::<Revision>().ok());
                let head = Head {
                    seq: event.seq,
                    session: session.clone(),
                    has_version: version.is_some_and(|version| version <= Revision::NEWEST_HANDSHAKE),
                    is_own: self.is_program || view.is_ready() || self.own.contains(&socket),
                };
                let is_initialize = message.as_ref().is_some_and(|message| message.is_request("initialize"));
                match verb.as_str() {
                    "POST" if is_initialize && session.is_some() => on_initialize(server, &head, event.seq, tally),
                    "POST" => drop(self.heads.insert(server.into(), head)),
                    "GET" | "DELETE" if session.is_some() || head.has_version || head.is_own => {
                        self.judge(&head, server, (verb, None), tally);
                    }
                    _ => {}
                }
                let is_given = session.as_ref().map(|session| self.given.contains_key(session));
                if is_given.unwrap_or(verb == "POST") {
                    self.own.insert(socket);
                }
            }
            EventKind::WireReceived { message, .. } => {
                let Some(head) = self.heads.swap_remove(server) else { return };
                match message.method() {
                    Some("initialize") if head.session.is_some() => on_initialize(server, &head, event.seq, tally),
                    Some("ping") if head.session.is_none() && !head.has_version => {}
                    Some("initialize" | "server/discover") if head.session.is_none() => {}
                    _ if head.session.is_none() && is_stateless(message) => {}
                    method => {
                        let what = (method.unwrap_or("a message without a method"), Some(event.seq));
                        self.judge(&head, server, what, tally);
                    }
                }
            }
            // A POST with an unknown id is refused before its message is read.
            EventKind::HttpAnswered { .. } => {
                if let Some(head) = self.heads.swap_remove(server).filter(|head| head.session.is_some()) {
                    self.judge(&head, server, ("POST", None), tally);
                }
            }
            _ => {}
        }
    }
}

fn on_initialize(server: &str, head: &Head, seq: Seq, tally: &mut Tally) {
    let because = format!("initialize was sent to {server} at {} with the id of a session", head.seq);
    tally.broken(Violation::new("on-initialize", because, &[head.seq, seq]));
}

/// Whether a message belongs to the generation without sessions.
fn is_stateless(message: &Message) -> bool {
    parts(message).iter().any(says_revision)
}

impl SessionIds {
    /// Judges a request: what it is, and where its message was read.
    fn judge(&self, head: &Head, server: &str, (what, read): (&str, Option<Seq>), tally: &mut Tally) {
        let seq = head.seq;
        let givers = head.session.as_ref().and_then(|session| self.given.get(session));
        match &head.session {
            Some(session) if givers.is_none_or(|givers| !givers.contains(server)) => {
                let (variant, whose) = match givers {
                    Some(givers) => ("of-another-server", format!("which {} gave", givers.first.as_str())),
                    None if !head.is_own => return,
                    None => ("never-given", "which no server gave".to_owned()),
                };
                let because = format!("{what} was sent to {server} at {seq} with session id {session}, {whose}");
                tally.broken(Violation::new(variant, because, &[seq]));
            }
            Some(_) => tally.held(),
            None if self.open.get(server).is_some_and(|n_open| *n_open > 0) => {
                let because = format!("{what} was sent to {server} at {seq} without the id of its session");
                let witness: Vec<Seq> = std::iter::once(seq).chain(read).collect();
                tally.broken(Violation::new("missing", because, &witness));
            }
            None => {}
        }
    }
}

/// Counter-examples: 2025-03-26 has no such header, and the agreed revision counts, not the revision of the plan. If a
/// server answers with an unknown revision, or with none, there is no agreed revision: the client may still send
/// requests to end the session. A client that sends nothing but the DELETE after `initialize` may have been unable to
/// read the answer, and then knows no revision.
pub(super) const PROTOCOL_VERSION_SENT: Invariant = Invariant {
    id: "protocol-version-sent",
    property: Property::Safety,
    level: Level::Must,
    claim: "every request after initialize carries the agreed revision",
    source: "2025-11-25, basic/transports, Protocol Version Header; the same from 2025-06-18",
    requirement: &["LC-HTTP-13", "LC-HTTP-14"],
    applies: AppliesTo::SESSIONS,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::HttpReceived],
    hears: Hears::ALL,
    vacuous: "no request of a session was received",
    explain: "A request of a session came without `MCP-Protocol-Version`. A server then assumes 2025-03-26 and may \
        answer as that revision does, or refuse the request: a client that works with one server fails with the \
        next.\n\n\
        Look at the verb in the reason: most often GET or DELETE lacks the header. A wrong value breaks a SHOULD. To \
        fix it, set the header where requests are built, once the revision is known.",
    start: |_: &Header| -> Box<dyn Monitor> {
        let mut used = KeySet::default();
        Box::new(move |event: &Event, view: &View, tally: &mut Tally| judge_version(event, view, &mut used, tally))
    },
};

/// Judges a request of a session. `used`: connections whose client has sent further messages after `initialize`.
fn judge_version(event: &Event, view: &View, used: &mut KeySet<ConnectionId>, tally: &mut Tally) {
    let EventKind::HttpReceived { verb, connection: Some(connection), headers, .. } = &event.kind else { return };
    let agreed = view.agreement(connection).and_then(Agreement::revision);
    let Some(revision) = agreed.filter(|revision| *revision >= Revision::R20250618) else { return };
    let has_gone_on = verb != "DELETE" || used.contains(connection);
    used.insert(connection.clone());
    let because = match headers.get("mcp-protocol-version") {
        Some(found) if found == revision.as_str() => return tally.held(),
        Some(found) => format!("{verb} was received at {} for {found}, where {revision} was agreed on", event.seq),
        None if !has_gone_on => return,
        None => {
            let because = format!("{verb} was received at {} without MCP-Protocol-Version", event.seq);
            return tally.broken(Violation::new("missing", because, &[event.seq]));
        }
    };
    tally.broken(Violation::new("other-version", because, &[event.seq]).as_warning());
}

/// Counter-examples: A wildcard accepts both. The field may come in several lines, with parameters and weights. Since
/// 2026-07-28 a GET is not a request of the protocol.
pub(super) const ACCEPT_OFFERS_BOTH: Invariant = Invariant {
    id: "accept-offers-both",
    property: Property::Safety,
    level: Level::Must,
    claim: "every POST accepts JSON and event streams, and every GET event streams",
    source: "2025-11-25, basic/transports, Sending Messages to the Server and Listening for Messages from the Server",
    requirement: &["LC-HTTP-02", "LC-HTTP-05"],
    applies: AppliesTo::HTTP,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::HttpReceived],
    hears: Hears::ALL,
    vacuous: "no POST or GET was received",
    explain: "A request did not accept both kinds of answer. The server chooses the kind; a strict server refuses \
        the request with 406, and any release can make a server strict.\n\n\
        Look at the `accept` header of the witness. To fix it, send `application/json, text/event-stream` with every \
        POST.",
    start: |_: &Header| -> Box<dyn Monitor> { each(judge_accept) },
};

fn judge_accept(event: &Event, view: &View) -> Judged {
    let EventKind::HttpReceived { verb, headers, connection, .. } = &event.kind else { return Judged::Unrelated };
    let is_stateless = connection.as_ref().map_or(view.is_stateless_plan(), |connection| view.is_stateless(connection));
    let accept = headers.get("accept").map_or("", String::as_str);
    let wanted: &[&str] = match verb.as_str() {
        "POST" => &["application/json", "text/event-stream"],
        "GET" if !is_stateless => &["text/event-stream"],
        _ => return Judged::Unrelated,
    };
    match wanted.iter().find(|wanted| !accepts(accept, wanted)) {
        None => Judged::Held,
        Some(missing) => {
            let because = format!("{verb} was received at {} and does not accept {missing}", event.seq);
            Judged::Broken(Violation::new("not-accepted", because, &[event.seq]))
        }
    }
}

/// Whether an `accept` header covers a media type: its most specific range decides, and a weight of 0 refuses.
fn accepts(accept: &str, wanted: &str) -> bool {
    let family = wanted.split('/').next().unwrap_or(wanted);
    let ranges = accept.split(',').filter_map(|range| {
        let mut parts = range.split(';').map(str::trim);
        let name = parts.next()?;
        let is_family = name.strip_suffix("/*").is_some_and(|found| found.eq_ignore_ascii_case(family));
        let precision = if name.eq_ignore_ascii_case(wanted) { 2 } else { u8::from(is_family) };
        let is_refused = parts.filter_map(|part| part.split_once('=')).any(|(key, weight)| {
            key.trim().eq_ignore_ascii_case("q") && weight.trim().parse::<f32>().is_ok_and(|weight| weight <= 0.0)
        });
        (precision > 0 || name == "*/*").then_some((precision, !is_refused))
    });
    ranges.max().is_some_and(|(_, is_accepted)| is_accepted)
}
