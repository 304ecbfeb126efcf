//! Fallback: a client of the stateless generation that meets a server of the handshake generation.

use std::collections::BTreeSet;

use std::time::Duration;

use serde_json::Value;

use crate::check::host::{ServerExchange, exchange_of};
use crate::check::metadata::{STATELESS_ERRORS, UNKNOWN_METHOD, VERSION};
use crate::check::parts::parts;
use crate::check::senders::Sender;
use crate::check::{AppliesTo, Hears, Invariant, Level, Monitor, Of, Property, Tally, View, Violation, Witness};
use crate::history::{ConnectionId, Event, EventKind, Header, Kind, KnownMethod, Message, Name, Seq, Table, WireEnd};
use crate::plan::Promise;

/// The statuses with which a server of the handshake generation refuses without an error that names the request.
const OF_HANDSHAKE: [u16; 3] = [400, 404, 405];
/// Number of requests after a refusal that show that the client continues in spite of it.
const AGAIN: usize = 3;
/// Time after which silence is an answer, from the first probe to the last.
const SILENCE: Duration = Duration::from_secs(2);

/// Counter-examples: A server that answered one such request speaks the stateless generation, and so does one that
/// refuses with an error of that generation. Over HTTP, 404 with -32601 is one, but not for `server/discover`, which
/// every server of that generation has. Other statuses than 400, 404 and 405 say nothing about the generation, whatever
/// error is in the body. A client that sends several requests at once has not read the first refusal. A client may give
/// up the server, whether or not it supports both generations. If any client initialized the server, the history does
/// not show which client sent the other requests.
pub(super) const REFUSED_GENERATION_LEFT: Invariant = Invariant {
    id: "refused-generation-left",
    property: Property::Safety,
    level: Level::Should,
    claim: "a client whose requests without a handshake are all refused sends initialize or disconnects",
    source: "2026-07-28, basic/transports/stdio, Backward Compatibility; the same over streamable HTTP",
    requirement: &["LC-ERA-06", "LC-ERA-07", "LC-ERA-09"],
    applies: AppliesTo::ALL,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[
        Kind::HttpReceived,
        Kind::HttpAnswered,
        Kind::WireReceived,
        Kind::WireSent,
        Kind::WireEof,
        Kind::ConnectionClosed,
    ],
    hears: Hears::only(&[
        (Kind::HttpReceived, &[]),
        (Kind::WireReceived, &[Of::AnyRequest]),
        (Kind::WireSent, &[Of::AnyAnswer]),
    ])
    .sleeping(
        &[(Kind::WireReceived, &[Of::LoneRequest])],
        &[(Kind::WireReceived, &[Of::Request(KnownMethod::Initialize)])],
    ),
    vacuous: "no server refused a request without a handshake",
    explain: "A server of the handshake generation refused the first request of the client, and the client continued \
        without a handshake, or kept asking a server that stays silent. Silence means that the server wants \
        `initialize`, and so does every error except those of the stateless generation (-32020 to -32022). The client \
        never reaches such a server, although both could speak an older revision.\n\n\
        Look at the code of the refusal. The usual reason is a client that falls back for `-32601` alone. To fix it, \
        fall back for every other error and after a timeout, and give up the server if the client supports no older \
        revision.",
    start: |_: &Header| -> Box<dyn Monitor> {
        Box::new(Refusals { clients: Table::default(), known: BTreeSet::new() })
    },
};

struct Refusals {
    /// Clients that have sent nothing but requests without a handshake.
    clients: Table<Sender, Refused>,
    /// Servers that a client initialized, or that answer without a handshake.
    known: BTreeSet<String>,
}

#[derive(Default)]
struct Refused {
    open: Vec<OpenRequest>,
    /// Requests over HTTP that were answered with an error, whose status comes next.
    failed: Vec<(ServerExchange, i64)>,
    refused: Option<Seq>,
    n_after: usize,
    /// Probes in a row without an answer.
    silent: Option<Probes>,
}

/// A request without an answer.
struct OpenRequest {
    connection: ConnectionId,
    id: Name,
    /// Whether every server of the stateless generation has its method.
    is_discover: bool,
    /// The exchange that carries it, over HTTP.
    exchange: Option<ServerExchange>,
}

/// Probes in a row: how many, and the first and the newest with their times.
#[derive(Clone, Copy)]
struct Probes {
    n: usize,
    first: (Seq, u64),
    newest: (Seq, u64),
}

impl Monitor for Refusals {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        match &event.kind {
            EventKind::WireReceived { connection, message } => {
                if self.known.contains(event.source.server().unwrap_or_default()) {
                    return;
                }
                let exchange = view.carrier(event).map(|carrier| exchange_of(event, &carrier.exchange));
                for part in parts(message).iter().filter(|part| part.is_any_request()) {
                    self.receive((event, view), (connection, exchange.as_ref()), part, tally);
                }
            }
            EventKind::HttpAnswered { exchange, status, .. } if !self.clients.is_empty() => {
                self.refuse(event, &exchange_of(event, exchange), *status, tally);
            }
            EventKind::WireSent { connection, message } if !self.clients.is_empty() => {
                for part in parts(message).iter().filter(|part| part.is_response()) {
                    self.answer(event, connection, part, tally);
                }
            }
            EventKind::WireEof { connection } | EventKind::ConnectionClosed { connection, how: WireEnd::ByClient }
                if view.is_line() =>
            {
                self.leave(event, connection, tally);
            }
            _ => {}
        }
    }
}

impl Refusals {
    fn receive(
        &mut self,
        (event, view): (&Event, &View),
        (connection, exchange): (&ConnectionId, Option<&ServerExchange>),
        request: &Message,
        tally: &mut Tally,
    ) {
        if request.is_request("initialize") {
            return self.settle(event, |client| {
                if client.refused.is_some() || client.silent.is_some() {
                    tally.held();
                }
            });
        }
        let is_stateless = request.at(&["params", "_meta", VERSION]).is_some();
        if !is_stateless && self.clients.is_empty() {
            return;
        }
        let sender = view.senders().connection(event);
        if !is_stateless {
            self.clients.swap_remove(&sender);
            return;
        }
        let known = self.clients.entry(sender).or_default();
        let id = request.id_text();
        let waits = known.open.is_empty();
        let is_discover = request.is_request("server/discover");
        known.open.push(OpenRequest { connection: connection.clone(), id, is_discover, exchange: exchange.cloned() });
        if is_discover {
            let now = (event.seq, event.at_us);
            let before = known.silent.unwrap_or(Probes { n: 0, first: now, newest: now });
            known.silent = Some(Probes { n: before.n + 1, newest: now, ..before });
        }
        let Some(refused) = known.refused.filter(|_| waits) else { return };
        known.n_after += 1;
        if known.n_after == AGAIN {
            let because = format!(
                "{} was sent at {} on connection {connection}, the third request without a handshake after the refusal of {refused}",
                request.method().unwrap_or_default(),
                event.seq
            );
            tally.broken(Violation::new("went-on", because, &[refused, event.seq]));
        }
    }

    fn answer(&mut self, event: &Event, connection: &ConnectionId, answer: &Message, tally: &mut Tally) {
        let id = answer.id_text();
        let server = event.source.to_name();
        let mut is_stateless = false;
        for (_, known) in self.clients.iter_mut().filter(|(sender, _)| sender.server == server) {
            let is_it = |open: &OpenRequest| open.connection == *connection && open.id == id;
            let Some(index) = known.open.iter().position(is_it) else { continue };
            let open = known.open.remove(index);
            known.silent = None;
            let code = answer.at(&["error", "code"]).and_then(Value::as_i64);
            if code.is_none_or(|code| STATELESS_ERRORS.contains(&code)) {
                is_stateless = true;
            } else if let (Some(code), Some(exchange), false) = (code, open.exchange, open.is_discover) {
                known.failed.push((exchange, code));
            } else if known.refused.is_none() {
                known.refused = Some(event.seq);
                tally.held();
            }
        }
        if is_stateless {
            self.settle(event, |_| {});
        }
    }

    /// Takes the status of a response that answers no request, or answers it with an error.
    fn refuse(&mut self, event: &Event, exchange: &ServerExchange, status: u16, tally: &mut Tally) {
        let mut is_stateless = false;
        for known in self.clients.values_mut() {
            let failed = known.failed.iter().position(|(of, _)| of == exchange);
            let code = failed.map(|index| known.failed.remove(index).1);
            is_stateless |= status == 404 && code == Some(UNKNOWN_METHOD);
            let is_it = |open: &OpenRequest| open.exchange.as_ref() == Some(exchange);
            let open = known.open.iter().position(is_it).filter(|_| status >= 400);
            if let Some(index) = open {
                known.open.remove(index);
                known.silent = None;
            }
            let is_refused = OF_HANDSHAKE.contains(&status) && (code.is_some() || open.is_some());
            if is_refused && !is_stateless && known.refused.is_none() {
                known.refused = Some(event.seq);
                tally.held();
            }
        }
        if is_stateless {
            self.settle(event, |_| {});
        }
    }

    /// The generation of a server is known now, so its clients are no longer judged.
    fn settle(&mut self, event: &Event, mut last: impl FnMut(&Refused)) {
        let server = event.source.to_name();
        self.known.insert(event.source.server().unwrap_or_default().into());
        self.clients.retain(|sender, client| {
            if sender.server == server {
                last(client);
            }
            sender.server != server
        });
    }

    /// Judges a client that sent only probes and got no answer.
    fn leave(&mut self, event: &Event, connection: &ConnectionId, tally: &mut Tally) {
        let server = event.source.to_name();
        for (_, client) in self.clients.iter_mut().filter(|(sender, _)| sender.server == server) {
            let Some(Probes { n, first: (first, first_us), newest: (newest, newest_us) }) = client.silent.take() else {
                continue;
            };
            if n >= AGAIN && Duration::from_micros(newest_us.saturating_sub(first_us)) >= SILENCE {
                let because = format!(
                    "server/discover was sent on connection {connection} {n} times, from {first} to {newest}, and initialize never, although no answer came"
                );
                tally.broken(Violation::new("silence", because, &[first, newest, event.seq]).of_bound(SILENCE));
            }
        }
    }
}
