//! Refused credentials: what a client does after 401 and 403.

use crate::check::host::{ServerExchange, exchange_of};
use crate::check::lessons::{Lesson, ServerSocket, Sockets, socket_of};
use crate::check::rules::auth::Client;
use crate::check::{AppliesTo, Hears, Invariant, Level, Monitor, Property, Tally, View, Violation, Witness};
use crate::history::{Event, EventKind, Header, KeySet, Kind, Message, Seq, Table};
use crate::plan::Promise;

/// Counter-examples: Before a server asks for a token, a configured header may have any scheme. Another client on the same
/// socket was not asked. The name of the scheme may be in any case.
pub(super) const BEARER_TOKEN_USED: Invariant = Invariant {
    id: "bearer-token-used",
    property: Property::Safety,
    level: Level::Must,
    claim: "once a server has asked a client for a token, its credentials are a Bearer token",
    source: "2025-11-25, basic/authorization, Token Requirements: MUST use the Authorization request header, Bearer; the same from 2025-03-26",
    requirement: &["LC-AUTH-01", "LC-AUTH-02"],
    applies: AppliesTo::HTTP,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::HttpReceived, Kind::HttpAnswered, Kind::HttpEnded, Kind::SocketOpened, Kind::SocketClosed],
    hears: Hears::ALL,
    vacuous: "no client that was asked for a token sent credentials",
    explain: "The server answered 401, and the client then sent an `Authorization` header without a Bearer token: the \
        bare token without its scheme, or another scheme such as Basic. A server reads the scheme first, so it refuses \
        the request as if there were no token, and the client asks its user to log in again and again.\n\n\
        Look at the request of the witness. To fix it, write `Authorization: Bearer TOKEN` in one place, for every \
        request of the session.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(Schemes::default()) },
};

#[derive(Default)]
struct Schemes {
    sockets: Sockets,
    carried: Table<ServerExchange, Client>,
    /// The first 401 to each client.
    asked: Table<Client, Lesson>,
}

impl Monitor for Schemes {
    fn see(&mut self, event: &Event, _view: &View, tally: &mut Tally) {
        let Some(server) = event.source.server() else { return };
        match &event.kind {
            EventKind::HttpReceived { exchange, socket, verb, session, headers, .. } => {
                let socket = socket_of(event, socket);
                let client = Client::of(server, session.as_ref(), &socket);
                let was_asked =
                    self.asked.get_mut(&client).is_some_and(|asked| asked.was_read(event, &socket, &self.sockets));
                if let Some(credentials) = headers.get("authorization").filter(|_| was_asked) {
                    judge_scheme(event, server, verb, credentials, tally);
                }
                self.carried.insert(exchange_of(event, exchange), client);
            }
            EventKind::HttpAnswered { exchange, status, .. } => {
                let client = self.carried.swap_remove(&exchange_of(event, exchange));
                if let Some(client) = client.filter(|_| *status == 401) {
                    let lesson = self.sockets.lesson(event, exchange);
                    self.asked.entry(client).or_insert(lesson);
                }
            }
            _ => {}
        }
        self.sockets.see(event);
    }
}

fn judge_scheme(event: &Event, server: &str, verb: &str, credentials: &str, tally: &mut Tally) {
    let scheme = credentials.split_once(' ').map(|(scheme, _)| scheme);
    if scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case("bearer")) {
        return tally.held();
    }
    let found = scheme.map_or_else(|| "without a scheme".to_owned(), |scheme| format!("of scheme {scheme}"));
    let because = format!("{verb} was sent to {server} at {} with credentials {found}, expected Bearer", event.seq);
    tally.broken(Violation::new("other-scheme", because, &[event.seq]));
}

/// Counter-examples: A client that has no token, or a new one, tries again a few times. Callers may each make a call that is
/// refused, and several requests may be under way at once. A client that waits between its attempts is not a burden.
pub(super) const UNAUTHORIZED_NOT_REPEATED: Invariant = Invariant {
    id: "unauthorized-not-repeated",
    property: Property::Safety,
    level: Level::Should,
    claim: "a client does not send a request that got 401 over and over with the same credentials",
    source: "2025-11-25, basic/authorization, Protected Resource Metadata Discovery Requirements: MUST respond to 401; the same from 2025-06-18",
    requirement: &["LC-AUTH-02"],
    applies: AppliesTo::HTTP,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: REPEATED,
    hears: Hears::ALL,
    vacuous: "no request got 401",
    explain: "The server answered 401, and the client sent the same request with the same credentials, or with none, \
        more than five times in ten seconds. 401 means that these credentials are not sufficient: the answer cannot \
        change, and each attempt fills the logs of both sides and may lock the account.\n\n\
        Look at the requests of the witness. To fix it, treat 401 as a request for another token: read \
        `WWW-Authenticate`, get a token, and try once more. If that fails, tell the caller.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(Repetitions::of(401)) },
};

/// Counter-examples: as for `unauthorized-not-repeated`. A client may try again with a token of a wider scope.
pub(super) const FORBIDDEN_NOT_REPEATED: Invariant = Invariant {
    id: "forbidden-not-repeated",
    property: Property::Safety,
    level: Level::Should,
    claim: "a client does not send a request that got 403 over and over with the same credentials",
    source: "2025-11-25, basic/authorization, Step-Up Authorization Flow: SHOULD implement retry limits",
    requirement: &["LC-AUTH-03", "LC-HTTP-16"],
    applies: AppliesTo::HTTP,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: REPEATED,
    hears: Hears::ALL,
    vacuous: "no request got 403",
    explain: "The server answered 403, and the client sent the same request with the same credentials more than five \
        times in ten seconds. The token is valid and its scope is too small, or the server refuses the origin: neither \
        changes by itself.\n\n\
        Look at the requests of the witness. To fix it, ask for the scope that the answer names, a limited number of \
        times. If that fails, tell the caller that the permission is missing.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(Repetitions::of(403)) },
};

const REPEATED: &[Kind] = &[Kind::HttpReceived, Kind::WireReceived, Kind::HttpAnswered];
/// So many equal requests may be refused in one window.
const REFUSED_MAX: usize = 5;
/// Length of that window, on the mock's own clock.
const WINDOW_US: u64 = 10_000_000;
/// A request on another socket that came so much later was sent after the refusal.
const LATER_US: u64 = 100_000;

/// One kind of request: its client, its credentials and its content.
type Attempt = (Client, Option<String>, String);

struct Repetitions {
    status: u16,
    /// Clients that were refused before: only the requests of such clients count.
    refused_before: KeySet<Client>,
    carried: Table<ServerExchange, (Attempt, Sent)>,
    refused: Table<Attempt, Vec<Sent>>,
}

/// A request, and its refusal once there is one.
#[derive(Clone)]
struct Sent {
    seq: Seq,
    /// Whether its client was refused before.
    is_again: bool,
    at_us: u64,
    socket: ServerSocket,
    answered_us: u64,
}

impl Repetitions {
    fn of(status: u16) -> Self {
        Self { status, refused_before: KeySet::default(), carried: Table::default(), refused: Table::default() }
    }
}

impl Monitor for Repetitions {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        let Some(server) = event.source.server() else { return };
        match &event.kind {
            EventKind::HttpReceived { exchange, socket, verb, session, headers, .. } => {
                let socket = socket_of(event, socket);
                let client = Client::of(server, session.as_ref(), &socket);
                let is_again = self.refused_before.contains(&client);
                let attempt = (client, headers.get("authorization").cloned(), verb.clone());
                let sent = Sent { seq: event.seq, is_again, at_us: event.at_us, socket, answered_us: 0 };
                self.carried.insert(exchange_of(event, exchange), (attempt, sent));
            }
            EventKind::WireReceived { message, .. } if !self.refused_before.is_empty() => {
                let carrier = view.carrier(event).map(|carrier| exchange_of(event, &carrier.exchange));
                let carried = carrier.and_then(|exchange| self.carried.get_mut(&exchange));
                if let Some((attempt, _)) = carried.filter(|(_, sent)| sent.is_again) {
                    attempt.2 = content(message);
                }
            }
            EventKind::HttpAnswered { exchange, status, .. } => {
                let Some((attempt, sent)) = self.carried.swap_remove(&exchange_of(event, exchange)) else { return };
                if *status == self.status && self.refused_before.insert(attempt.0.clone()) {
                    tally.held();
                }
                if !sent.is_again {
                    return;
                }
                if *status == self.status {
                    self.refuse(attempt, Sent { answered_us: event.at_us, ..sent }, tally);
                } else {
                    self.refused.swap_remove(&attempt);
                }
            }
            _ => {}
        }
    }
}

impl Repetitions {
    fn refuse(&mut self, attempt: Attempt, sent: Sent, tally: &mut Tally) {
        let so_far = self.refused.entry(attempt).or_default();
        so_far.retain(|before| sent.at_us < before.at_us + WINDOW_US);
        // Several requests may have been under way at once.
        let is_behind = |before: &Sent| before.socket == sent.socket || sent.at_us >= before.answered_us + LATER_US;
        if so_far.last().is_none_or(is_behind) {
            so_far.push(sent);
        }
        let Some([first, .., last]) = so_far.get(..).filter(|all| all.len() > REFUSED_MAX) else {
            return tally.held();
        };
        let because = format!(
            "the same request was sent {} times from {} to {}, and each got {}",
            so_far.len(),
            first.seq,
            last.seq,
            self.status
        );
        let violation = Violation::new("repeated", because, &[first.seq, last.seq]);
        so_far.clear();
        tally.broken(violation);
    }
}

/// The content of a message, without its id.
pub(super) fn content(message: &Message) -> String {
    let params = message.at(&["params"]).map(ToString::to_string).unwrap_or_default();
    format!("{} {params}", message.method().unwrap_or_default())
}
