//! A mock over HTTP: sessions, exchanges, and what an honest server answers.
//!
//! Streamable HTTP is told here; what HTTP with server-sent events does in another way is in `sse`.
//!
//! A connection is what one `initialize` begins, however many sockets and exchanges it takes. What names no session and is
//! no `initialize` belongs to a connection of its own, number 0. The modern era has no sessions: see `modern`.
//!
//! Source: revisions 2025-03-26, 2025-06-18 and 2025-11-25, basic/transports, Streamable HTTP; revision 2024-11-05,
//! basic/transports, HTTP with SSE.

mod actions;
mod admit;
mod answer;
mod modern;
mod post;
mod raw;
mod session;
mod sse;
#[cfg(test)]
mod tests;
mod types;

use std::collections::{BTreeMap, HashMap};

use crate::history::{ConnectionId, EventKind, SessionId, WireEnd};
use crate::plan::Revision;
use crate::script::interpreter::{Face, Interpreter};
use crate::script::task::{At, Cause};
use crate::script::{Era, Input, Phase};

pub use types::{Body, ExchangeNo, HttpSetup, HttpStyle, Request, Response, SocketNo};

use admit::{Refusal, Verb, admit, admit_post, admit_sse};
use modern::Mirror;

/// Most characters of a verb that are journalled.
const VERB_CHARS: usize = 32;

/// What a mock over HTTP knows beside its connections.
#[derive(Debug)]
pub(super) struct HttpFace {
    setup: HttpSetup,
    exchanges: BTreeMap<ExchangeNo, Exchange>,
    /// The sockets there are, and how those end that an effect ends.
    sockets: BTreeMap<SocketNo, Option<WireEnd>>,
    /// The connection of each session there is.
    sessions: HashMap<SessionId, u64>,
    /// The session that was handed out last.
    last_session: Option<SessionId>,
    n_connections: u64,
    /// The connection of the modern era, once it was opened.
    modern: Option<u64>,
    is_stateless_open: bool,
    is_refusal_told: bool,
}

/// An HTTP request whose response is not over.
#[derive(Debug)]
struct Exchange {
    socket: SocketNo,
    /// The number of its connection; none for stateless talk.
    connection: Option<u64>,
    /// Whether it begins its connection: the `initialize`, or over HTTP with server-sent events the GET.
    opens: bool,
    streams: bool,
    /// Whether it takes up a stream that ended.
    resumes: bool,
    mirror: Mirror,
    /// Status code of an answer.
    status: u16,
    /// The session that its response names, where none was opened.
    names_session: Option<String>,
}

impl HttpFace {
    pub(super) fn new(setup: HttpSetup) -> Self {
        Self {
            setup,
            exchanges: BTreeMap::new(),
            sockets: BTreeMap::new(),
            sessions: HashMap::new(),
            last_session: None,
            n_connections: 0,
            modern: None,
            is_stateless_open: false,
            is_refusal_told: false,
        }
    }

    /// Whether a client still waits for what this exchange brings.
    pub(super) fn is_open(&self, exchange: ExchangeNo) -> bool {
        self.exchanges.contains_key(&exchange)
    }

    /// Whether the response of this exchange is a stream of events that goes on.
    pub(super) fn is_streaming(&self, exchange: ExchangeNo) -> bool {
        self.setup.style == HttpStyle::Streamable && self.exchanges.get(&exchange).is_some_and(|found| found.streams)
    }

    /// The session that a request says it is of.
    fn session_named(&self, request: &Request) -> Option<SessionId> {
        let named = match &self.setup.style {
            HttpStyle::Streamable => request.header("mcp-session-id").filter(|_| request.path == self.setup.path),
            HttpStyle::Sse { messages } => sse::session_in(&request.query).filter(|_| request.path == *messages),
        };
        named.map(|id| SessionId(id.to_owned()))
    }

    fn admit(&self, request: &Request, names: bool, is_known: bool, newest: Revision) -> Result<Verb, Refusal> {
        let path = &self.setup.path;
        match &self.setup.style {
            HttpStyle::Streamable => admit(request, request.path == *path, names, is_known, newest),
            HttpStyle::Sse { messages } => admit_sse(request, path, messages, names, is_known),
        }
    }
}

impl Interpreter {
    /// What it knows over HTTP. Only reached over HTTP: `take_http` and `can_over_http` see to that.
    fn http(&mut self) -> Option<&mut HttpFace> {
        match &mut self.face {
            Face::Http(http) => Some(http),
            Face::Line(_) => None,
        }
    }

    /// Takes an input of HTTP; over another medium there is none.
    pub(super) fn take_http(&mut self, input: Input) {
        let Some(http) = self.http() else { return };
        match input {
            Input::SocketOpened(socket) => {
                http.sockets.insert(socket, None);
                self.journal(EventKind::SocketOpened { socket: socket.id() });
            }
            Input::SocketClosed { socket, how } => {
                let by_effect = http.sockets.remove(&socket).flatten();
                self.journal(EventKind::SocketClosed { socket: socket.id(), how: by_effect.unwrap_or(how) });
            }
            Input::SocketRefused if !std::mem::replace(&mut http.is_refusal_told, true) => {
                let because = "too many clients at once".to_owned();
                self.journal(EventKind::EvidenceTruncated { what: "sockets".to_owned(), because });
            }
            Input::Request(request) => self.request(request),
            Input::ExchangeGone(exchange) => self.gone(exchange),
            _ => {}
        }
    }

    fn request(&mut self, request: Request) {
        let no = request.exchange;
        let (revision, era) = (self.setup.revision, self.setup.era());
        let Some(http) = self.http() else { return };
        let named = http.session_named(&request);
        let number = named.as_ref().and_then(|session| http.sessions.get(session)).copied();
        let exchange = Exchange {
            socket: request.socket,
            connection: number,
            opens: false,
            streams: false,
            resumes: request.header("last-event-id").is_some(),
            mirror: Mirror::of(&request),
            status: 200,
            names_session: None,
        };
        let admitted = match era {
            Era::Modern => admit_post(&request, request.path == http.setup.path),
            Era::Legacy | Era::Dual => http.admit(&request, named.is_some(), number.is_some(), revision),
        };
        http.exchanges.insert(no, exchange);
        self.journal(EventKind::HttpReceived {
            exchange: no.id(),
            socket: request.socket.id(),
            verb: request.verb.chars().take(VERB_CHARS).collect(),
            connection: number.map(|number| self.connection_id(Some(number))),
            session: named,
            headers: request.headers.into_iter().filter(|(name, _)| name != "mcp-session-id").collect(),
        });
        let at = At { connection: number, exchange: Some(no), seat: None };
        match (admitted, request.body) {
            (_, Body::Cut) => self.gone(no),
            (Err(refusal), _) => self.refuse(no, &refusal),
            (Ok(Verb::Get), _) if self.is_sse() => self.begin_sse(no),
            (Ok(Verb::Get), _) => self.begin(Cause::Get, at),
            (Ok(Verb::Delete), _) => {
                self.begin(Cause::Delete, at);
                self.advance(at, Phase::DuringShutdown);
            }
            (Ok(Verb::Post), Body::Whole(body)) => self.post(at, &body),
            (Ok(Verb::Post), Body::TooLong) => self.refuse(no, &Refusal::TOO_LONG),
        }
    }

    /// A client gave up: what is still to come on this exchange can reach nobody.
    fn gone(&mut self, no: ExchangeNo) {
        self.end_exchange(no, WireEnd::ByClient);
    }

    /// The name of a connection.
    fn connection_id(&self, number: Option<u64>) -> ConnectionId {
        ConnectionId(format!("{}.{}", self.setup.connection, number.unwrap_or(0)))
    }
}
