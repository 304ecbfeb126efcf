//! Requests whose streams carry event ids, and how their clients come back for the answers.

use serde_json::Value;

use crate::check::View;
use crate::check::host::{ServerExchange, exchange_of};
use crate::check::parts::parts;
use crate::history::{ConnectionId, Event, EventKind, LinkPeer, Message, Name, Seq, SessionId, Table, WireEnd};

/// Requests whose streams carry event ids.
#[derive(Default)]
pub(super) struct PolledRequests {
    /// Requests of open exchanges.
    heads: Table<ServerExchange, Head>,
    all: Vec<PolledRequest>,
    /// The request of each open stream that carries ids.
    open: Table<ServerExchange, usize>,
}

/// An HTTP request whose response is open, and the request of the protocol that it carries.
struct Head {
    is_get: bool,
    session: Option<SessionId>,
    asked: Option<Asked>,
}

/// A request of the protocol.
#[derive(Clone)]
pub(super) struct Asked {
    pub connection: ConnectionId,
    pub id: Name,
    pub method: String,
    /// The name of the tool or prompt.
    pub name: Option<String>,
    pub seq: Seq,
    pub answered: Option<Seq>,
}

impl Asked {
    fn is(&self, connection: &ConnectionId, id: &Name) -> bool {
        self.connection == *connection && self.id == *id
    }

    /// Whether a message asks for the same again.
    pub fn is_made_again_by(&self, message: &Message) -> bool {
        message.method() == Some(&self.method) && name_in(message) == self.name.as_deref()
    }
}

fn name_in(message: &Message) -> Option<&str> {
    message.at(&["params", "name"]).and_then(Value::as_str)
}

/// A request whose stream carries event ids.
pub(super) struct PolledRequest {
    server: Name,
    pub session: Option<SessionId>,
    pub asked: Asked,
    pub ids: Vec<String>,
    retry_us: u64,
    /// The last end of its stream by the server, unless the stream was resumed since.
    pub ended: Option<(Seq, u64)>,
    pub cancelled: Option<Seq>,
    /// Number of resumptions since it was answered or cancelled.
    pub n_useless: usize,
    /// A GET without an event id since the stream ended.
    pub unnamed: Option<Seq>,
    /// The message that shows that its client continues without the answer.
    pub went_on: Option<Seq>,
    /// Whether its server dropped it, or another rule judges its end.
    pub is_waived: bool,
}

impl PolledRequest {
    /// Whether its server ended the stream before the answer, and nothing became of it since.
    pub fn is_cut(&self) -> bool {
        let is_over = self.asked.answered.is_some() || self.cancelled.is_some() || self.is_waived;
        self.ended.is_some() && !self.ids.is_empty() && !is_over
    }

    /// Whether the waiting time of its stream, and this much more, is over.
    pub fn is_due(&self, event: &Event, more_us: u64) -> bool {
        let due_us = self.ended.map(|(_, at_us)| at_us.saturating_add(self.retry_us).saturating_add(more_us));
        self.is_cut() && due_us.is_some_and(|due_us| event.at_us >= due_us)
    }
}

impl PolledRequests {
    /// The request with this number.
    pub fn get(&self, index: usize) -> Option<&PolledRequest> {
        self.all.get(index)
    }

    /// All requests.
    pub fn iter(&self) -> impl Iterator<Item = &PolledRequest> {
        self.all.iter()
    }

    /// All requests, to note something.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut PolledRequest> {
        self.all.iter_mut()
    }

    /// Takes an event, and returns the number of the request whose stream it resumes.
    pub fn see(&mut self, event: &Event, view: &View) -> Option<usize> {
        let server = event.source.server().unwrap_or_default();
        match &event.kind {
            EventKind::HttpReceived { exchange, verb, session, headers, .. } => {
                let (key, is_get) = (exchange_of(event, exchange), verb == "GET");
                let last = headers.get("last-event-id").filter(|_| is_get);
                let resumed = last.and_then(|last| self.resume(server, session.as_ref(), last));
                self.open.extend(resumed.map(|index| (key.clone(), index)));
                self.heads.insert(key, Head { is_get, session: session.clone(), asked: None });
                return resumed;
            }
            EventKind::HttpAnswered { exchange, status, streams: false } => {
                let head = self.heads.swap_remove(&exchange_of(event, exchange));
                if let Some(head) = head.filter(|head| head.is_get && *status >= 400) {
                    self.waive(|request| request.server == server && request.session == head.session);
                }
            }
            EventKind::WireReceived { connection, message } => self.received(event, view, connection, message),
            EventKind::WireSent { connection, message } => {
                for part in parts(message).iter().filter(|part| part.is_response()) {
                    let id = part.id_text();
                    let carried = self.heads.values_mut().filter_map(|head| head.asked.as_mut());
                    let all = self.all.iter_mut().map(|request| &mut request.asked).chain(carried);
                    for asked in all.filter(|asked| asked.is(connection, &id)) {
                        asked.answered.get_or_insert(event.seq);
                    }
                }
            }
            EventKind::StreamEvent { exchange, id, retry_ms } => {
                self.stream_event(&exchange_of(event, exchange), id.as_deref(), *retry_ms);
            }
            EventKind::HttpEnded { exchange, how } => {
                let key = exchange_of(event, exchange);
                self.heads.swap_remove(&key);
                let request = self.open.swap_remove(&key).and_then(|index| self.all.get_mut(index));
                // Its own end of a stream, or that of the network, does not tell what the client has read.
                if let Some(request) = request.filter(|_| *how == WireEnd::ByServer) {
                    request.ended = Some((event.seq, event.at_us));
                    if request.cancelled.is_none() {
                        request.n_useless = 0;
                    }
                }
            }
            EventKind::MockEnding { .. } => self.waive(|request| request.server == server && request.went_on.is_none()),
            EventKind::LinkClosed { peer: LinkPeer::Mock { server, .. }, .. } => {
                self.waive(|request| request.server == *server && request.went_on.is_none());
            }
            _ => {}
        }
        None
    }

    fn waive(&mut self, is_it: impl Fn(&PolledRequest) -> bool) {
        self.all.iter_mut().filter(|request| is_it(request)).for_each(|request| request.is_waived = true);
    }

    fn received(&mut self, event: &Event, view: &View, connection: &ConnectionId, message: &Message) {
        for part in parts(message).iter() {
            let Some(cancelled) = part.cancelled_request().map(Name::of) else { continue };
            for request in self.all.iter_mut().filter(|request| request.asked.is(connection, &cancelled)) {
                request.cancelled.get_or_insert(event.seq);
                request.n_useless = 0;
            }
        }
        let (Some(carrier), Some(_)) = (view.carrier(event), message.id()) else { return };
        let Some(method) = message.method().filter(|method| *method != "initialize") else { return };
        let Some(head) = self.heads.get_mut(&exchange_of(event, &carrier.exchange)) else { return };
        head.asked = Some(Asked {
            connection: connection.clone(),
            id: message.id_text(),
            method: method.to_owned(),
            name: name_in(message).map(str::to_owned),
            seq: event.seq,
            answered: None,
        });
    }

    fn stream_event(&mut self, key: &ServerExchange, id: Option<&str>, retry_ms: Option<u64>) {
        if !self.open.contains_key(key)
            && let Some(Head { session, asked: Some(asked), .. }) = self.heads.get(key)
        {
            self.open.insert(key.clone(), self.all.len());
            self.all.push(PolledRequest {
                server: key.0.clone(),
                session: session.clone(),
                asked: asked.clone(),
                ids: Vec::new(),
                retry_us: 0,
                ended: None,
                cancelled: None,
                n_useless: 0,
                unnamed: None,
                went_on: None,
                is_waived: false,
            });
        }
        let Some(request) = self.open.get(key).and_then(|index| self.all.get_mut(*index)) else { return };
        request.ids.extend(id.map(str::to_owned));
        request.retry_us = retry_ms.map_or(request.retry_us, |ms| ms.saturating_mul(1_000));
    }

    /// Takes a GET that names an event.
    fn resume(&mut self, server: &str, session: Option<&SessionId>, last: &str) -> Option<usize> {
        let is_it = |request: &PolledRequest| {
            request.server == server && request.session.as_ref() == session && request.ids.iter().any(|id| id == last)
        };
        let index = self.all.iter().rposition(is_it)?;
        let request = &mut self.all[index];
        request.n_useless += usize::from(request.asked.answered.is_some() || request.cancelled.is_some());
        (request.ended, request.unnamed) = (None, None);
        Some(index)
    }
}
