//! HTTP headers that a client sends.

use std::collections::BTreeMap;

use crate::check::combinator::{Judged, each};
use crate::check::{AppliesTo, Invariant, Level, Monitor, Property, Tally, View, Violation, Witness};
use crate::history::{ConnectionId, Event, EventKind, Header, Kind, Message, Seq};
use crate::plan::{Promise, Revision};

/// Counter-examples: A client owes no id to a server that assigns none. A ping or a probe of the generation may come
/// before the session. `stale-session-unused` judges a request that names a session which the server has forgotten.
pub(super) const SESSION_ID_SENT: Invariant = Invariant {
    id: "session-id-sent",
    property: Property::Safety,
    level: Level::Must,
    claim: "once a session has an id, every request of it carries that id, and initialize carries none",
    source: "2025-11-25, basic/transports, Session Management; the same from 2025-03-26",
    requirement: &["LC-SESS-02", "LC-SESS-03"],
    applies: AppliesTo::SESSIONS,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::SessionOpened, Kind::SessionClosed, Kind::HttpReceived, Kind::WireReceived],
    vacuous: "no session had an id",
    explain: "The server assigned an id to the session, and a request came without it. Servers answer that with 400, \
        or open another session for it. Often only notifications and cancellations get lost while calls work, \
        because other code sends them.\n\n\
        Look at the verb and the message of the witness. To fix it, add the id in one place where all requests are \
        built, GET and DELETE included.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(SessionIds::default()) },
};

#[derive(Default)]
struct SessionIds {
    open: BTreeMap<String, usize>,
    /// The POST whose message comes next, by server, and whether it names a session.
    heads: BTreeMap<String, (Seq, bool)>,
}

impl Monitor for SessionIds {
    fn see(&mut self, event: &Event, _view: &View, tally: &mut Tally) {
        let Some(server) = event.source.server() else { return };
        match &event.kind {
            EventKind::SessionOpened { .. } => *self.open.entry(server.to_owned()).or_default() += 1,
            EventKind::SessionClosed { .. } => {
                self.open.entry(server.to_owned()).and_modify(|n_open| *n_open = n_open.saturating_sub(1));
            }
            EventKind::HttpReceived { verb, session, .. } if verb == "POST" => {
                self.heads.insert(server.to_owned(), (event.seq, session.is_some()));
            }
            EventKind::HttpReceived { verb, session, .. } => {
                self.judge(event.seq, server, verb, session.is_some(), tally)
            }
            EventKind::WireReceived { message, .. } => {
                let Some((head, names_session)) = self.heads.remove(server) else { return };
                match message.method() {
                    Some("initialize") if names_session => {
                        let because = format!("initialize was sent to {server} at {head} with the id of a session");
                        tally.broken(Violation::new("on-initialize", because, &[head, event.seq]));
                    }
                    Some("initialize" | "ping" | "server/discover") if !names_session => {}
                    method => self.judge(head, server, method.unwrap_or("a response"), names_session, tally),
                }
            }
            _ => {}
        }
    }
}

impl SessionIds {
    fn judge(&self, seq: Seq, server: &str, what: &str, names_session: bool, tally: &mut Tally) {
        if names_session {
            tally.held();
        } else if self.open.get(server).is_some_and(|n_open| *n_open > 0) {
            let because = format!("{what} was sent to {server} at {seq} without the id of its session");
            tally.broken(Violation::new("missing", because, &[seq]));
        }
    }
}

/// Counter-examples: 2025-03-26 has no such header. A server that answers with an unknown revision, or with none, has
/// agreed on none: the client may still send requests to end the session.
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
    kinds: &[Kind::WireSent, Kind::HttpReceived],
    vacuous: "no request of a session was received",
    explain: "A request of a session came without `MCP-Protocol-Version`. A server then assumes 2025-03-26 and may \
        answer as that revision does, or refuse the request: a client that works with one server fails with the \
        next.\n\n\
        Look at the verb in the reason: GET and DELETE are forgotten most often. A wrong value breaks a SHOULD. To \
        fix it, set the header where requests are built, once the revision is known.",
    start: |header: &Header| -> Box<dyn Monitor> {
        let is_required = header.revision.parse::<Revision>().is_ok_and(|revision| revision >= Revision::R20250618);
        Box::new(AgreedVersions { is_required, agreed: BTreeMap::new() })
    },
};

struct AgreedVersions {
    is_required: bool,
    agreed: BTreeMap<ConnectionId, String>,
}

impl Monitor for AgreedVersions {
    fn see(&mut self, event: &Event, _view: &View, tally: &mut Tally) {
        match &event.kind {
            EventKind::WireSent { connection, message } => {
                if let Some(version) = agreed_version(message) {
                    self.agreed.insert(connection.clone(), version.to_owned());
                }
            }
            EventKind::HttpReceived { verb, connection: Some(connection), headers, .. } => {
                let found = headers.get("mcp-protocol-version").map(String::as_str);
                let agreed = self.agreed.get(connection).map(String::as_str);
                let is_unheard_of = agreed.is_none_or(|agreed| agreed.parse::<Revision>().is_err());
                let because = match (found, agreed) {
                    (None, _) if is_unheard_of => return,
                    (None, _) if self.is_required => {
                        let because = format!("{verb} was received at {} without MCP-Protocol-Version", event.seq);
                        tally.broken(Violation::new("missing", because, &[event.seq]));
                        return;
                    }
                    (Some(found), Some(agreed)) if found != agreed => {
                        format!("{verb} was received at {} for {found}, where {agreed} was agreed on", event.seq)
                    }
                    (_, _) => return tally.held(),
                };
                tally.broken(Violation::new("other-version", because, &[event.seq]).as_warning());
            }
            _ => {}
        }
    }
}

fn agreed_version(message: &Message) -> Option<&str> {
    message.at(&["result", "protocolVersion"]).and_then(serde_json::Value::as_str)
}

/// Counter-example: a wildcard accepts both.
pub(super) const ACCEPT_OFFERS_BOTH: Invariant = Invariant {
    id: "accept-offers-both",
    property: Property::Safety,
    level: Level::Must,
    claim: "every POST accepts JSON and event streams, and every GET event streams",
    source: "2025-11-25, basic/transports, Sending Messages to the Server and Listening for Messages from the Server",
    requirement: &["LC-HTTP-02", "LC-HTTP-05"],
    applies: AppliesTo::SESSIONS,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::HttpReceived],
    vacuous: "no POST or GET was received",
    explain: "A request did not accept both kinds of answer. The server chooses the kind; a strict server refuses \
        the request with 406, and any release can make a server strict.\n\n\
        Look at the `accept` header of the witness. To fix it, send `application/json, text/event-stream` with every \
        POST.",
    start: |_: &Header| -> Box<dyn Monitor> { each(judge_accept) },
};

fn judge_accept(event: &Event, _view: &View) -> Judged {
    let EventKind::HttpReceived { verb, headers, .. } = &event.kind else { return Judged::Unrelated };
    let accept = headers.get("accept").map_or("", String::as_str);
    let wanted: &[&str] = match verb.as_str() {
        "POST" => &["application/json", "text/event-stream"],
        "GET" => &["text/event-stream"],
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

/// Whether an `accept` header covers a media type.
fn accepts(accept: &str, wanted: &str) -> bool {
    let family = wanted.split('/').next().unwrap_or(wanted);
    accept.split(',').map(|range| range.split(';').next().unwrap_or(range).trim()).any(|range| {
        let is_family = range.strip_suffix("/*").is_some_and(|found| found.eq_ignore_ascii_case(family));
        range == "*/*" || is_family || range.eq_ignore_ascii_case(wanted)
    })
}
