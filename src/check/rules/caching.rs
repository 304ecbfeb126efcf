//! Lists that a server lets its clients keep for a time: when a client asks for one again.

use std::time::Duration;

use serde_json::Value;

use crate::check::agreement::Spoken;
use crate::check::asked_answers::AskedAnswers;
use crate::check::parts::parts;
use crate::check::reading::{self, RequestKey};
use crate::check::rules::subscriptions::{id_of, is_change};
use crate::check::senders::Sender;
use crate::check::{AppliesTo, Hears, Invariant, Level, Monitor, Property, Tally, View, Violation, Witness};
use crate::history::{ConnectionId, Event, EventKind, Header, Kind, Message, Seq, Table};
use crate::plan::Promise;

/// The requests whose results say how long they are fresh.
const CACHEABLE: [&str; 5] =
    ["tools/list", "prompts/list", "resources/list", "resources/templates/list", "resources/read"];

/// Number of requests for a fresh list, before that counts.
const EARLY: usize = 3;

/// Counter-examples: A client may ask before the time is over if it has reason to believe that something changed: a
/// notification, or an error. One or two requests may come from parts of a program that share no cache yet. Each page is a
/// list of its own. Two clients of one server are told apart by pipes, sockets and names. The clock of a client starts when
/// it reads the answer, and one client may ask a little early. A client that has not read the answer does not know that it
/// may keep the list.
pub(super) const FRESH_LIST_KEPT: Invariant = Invariant {
    id: "fresh-list-kept",
    property: Property::Safety,
    level: Level::Should,
    claim: "a client does not ask again and again for a list that its server calls fresh",
    source: "2026-07-28, server/utilities/caching, Time-to-Live Field and Freshness Calculation",
    requirement: &["LC-SUB-14"],
    applies: AppliesTo::STATELESS,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: reading::KINDS,
    hears: Hears::ALL,
    vacuous: "no client made another request while a list was fresh",
    explain: "The server said with `ttlMs` how long its list may be kept, and the client asked for the same list several \
        times within that time, although no notification had announced a change. Each request costs the server a list, \
        and delays the client before every use.\n\n\
        Look at `ttlMs` in the answer and at the requests after it. To fix it, store a list with its expiry time. Ask \
        again when the list is used after that time, or when a notification says that it changed.",
    start: |_: &Header| -> Box<dyn Monitor> {
        Box::new(FreshLists { answers: AskedAnswers::default(), open: Table::default(), kept: Table::default() })
    },
};

/// A list: the client, the method, and the parameters without metadata.
type ListKey = (Sender, String);

struct FreshLists {
    answers: AskedAnswers,
    /// Open requests.
    open: Table<(ConnectionId, String), (Sender, Option<ListKey>)>,
    kept: Table<ListKey, Fresh>,
}

/// A list that its client may keep.
struct Fresh {
    /// The request for it, whose answer says that it is fresh.
    request: RequestKey,
    sent: Seq,
    until_us: u64,
    /// Requests for it while it was fresh.
    early: Vec<Seq>,
}

impl Monitor for FreshLists {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        self.answers.see(event, view);
        match &event.kind {
            EventKind::WireReceived { connection, message } => {
                if matches!(view.spoken(connection), Spoken::Handshake(..)) {
                    return;
                }
                for part in parts(message).iter().filter(|part| part.is_any_request() && !part.is_cut()) {
                    let sender = view.senders().connection(event).named_in(part);
                    let key = list_key(&sender, part);
                    match &key {
                        Some(key) => self.ask(event, view, key, tally),
                        None => self.use_kept(event, &sender, tally),
                    }
                    self.open.insert((connection.clone(), id_of(part)), (sender, key));
                }
            }
            EventKind::WireSent { connection, message } => {
                for part in parts(message).iter() {
                    if is_change(part) {
                        let server = event.source.to_string();
                        self.kept.retain(|(sender, _), _| sender.server != server);
                    } else if let Some((sender, key)) = self.open.swap_remove(&(connection.clone(), id_of(part))) {
                        let request = (connection.clone(), part.id_text());
                        self.answer(event, part, request, (&sender, key));
                    }
                }
            }
            _ => {}
        }
    }
}

impl FreshLists {
    fn ask(&mut self, event: &Event, view: &View, key: &ListKey, tally: &mut Tally) {
        let Some(fresh) = self.kept.get_mut(key).filter(|fresh| event.at_us < fresh.until_us) else { return };
        if self.answers.read(view, &fresh.request).is_none() {
            return;
        }
        fresh.early.push(event.seq);
        if fresh.early.len() == EARLY {
            let (first, left_us) = (fresh.early[0], fresh.until_us - event.at_us);
            let because = format!(
                "{} was asked for {EARLY} times from {first} to {}, although the answer of {} was fresh for another {} ms",
                key.1.split_once(' ').map_or(key.1.as_str(), |(method, _)| method),
                event.seq,
                fresh.sent,
                left_us / 1_000
            );
            tally.broken(Violation::new("asked-early", because, &[fresh.sent, first, event.seq]));
        }
    }

    /// The client makes another request, and uses what it has kept.
    fn use_kept(&mut self, event: &Event, sender: &Sender, tally: &mut Tally) {
        let mut kept = self.kept.iter().filter(|((of, _), fresh)| of == sender && event.at_us < fresh.until_us);
        if kept.next().is_some_and(|(_, fresh)| fresh.early.is_empty()) {
            tally.held();
        }
    }

    fn answer(
        &mut self,
        event: &Event,
        answer: &Message,
        request: RequestKey,
        (sender, key): (&Sender, Option<ListKey>),
    ) {
        let is_failure = answer.is_error() || answer.at(&["result", "isError"]) == Some(&Value::Bool(true));
        if is_failure {
            // An error is a reason to ask again.
            self.kept.retain(|(of, _), _| of != sender);
        }
        let Some(key) = key else { return };
        let Some(ttl) = time_to_live(answer) else {
            self.kept.swap_remove(&key);
            return;
        };
        let until_us = event.at_us.saturating_add(us(ttl) / 10 * 9);
        let is_kept = self.kept.get(&key).is_some_and(|fresh| event.at_us < fresh.until_us);
        if !is_kept {
            self.answers.keep(request.clone(), event.seq);
            let fresh = Fresh { request, sent: event.seq, until_us, early: Vec::new() };
            if let Some(stale) = self.kept.insert(key, fresh) {
                self.answers.forget(&stale.request);
            }
        }
    }
}

fn us(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

fn list_key(sender: &Sender, request: &Message) -> Option<ListKey> {
    let method = request.method().filter(|method| CACHEABLE.contains(method))?;
    let mut params = request.at(&["params"]).cloned().unwrap_or_default();
    if let Some(params) = params.as_object_mut() {
        params.remove("_meta");
    }
    Some((sender.clone(), format!("{method} {params}")))
}

/// How long a result may be kept; none if it is stale at once.
fn time_to_live(answer: &Message) -> Option<Duration> {
    let ms = answer.at(&["result", "ttlMs"]).and_then(Value::as_u64).filter(|ms| *ms > 0)?;
    Some(Duration::from_millis(ms))
}

/// Polls in a row, each as soon as the list before it is stale, before that counts.
const POLLS: usize = 6;
/// The part of its time to live by which a poll may come later, and how much more for a busy machine.
const LATE: (u32, Duration) = (4, Duration::from_millis(100));

/// Counter-examples: A client may ask for a list each time that it needs it, so a client that makes other requests in
/// between is not judged. A poll with jitter and backoff soon comes later than the list is stale. A list that changed
/// is not a poll without a reason.
pub(super) const LIST_NOT_POLLED: Invariant = Invariant {
    id: "list-not-polled",
    property: Property::Safety,
    level: Level::Must,
    claim: "a client without other work does not ask again for a list each time that the list expires",
    source: "2026-07-28, server/utilities/caching, Freshness Calculation: polls need jitter and backoff",
    requirement: &["LC-SUB-14"],
    applies: AppliesTo::STATELESS,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::HttpReceived, Kind::WireReceived, Kind::WireSent],
    hears: Hears::only(&[(Kind::HttpReceived, &[])]),
    vacuous: "no client made a request after a list with a time to live",
    explain: "The client treats `ttlMs` as a polling interval: each time that it is over, the client asks for the list \
        again, although no code uses the list. All clients that were started together then ask at the same moments, as \
        long as they run.\n\n\
        Look at the times of the requests in the witness. To fix it, ask again when the list is used. If you must poll, \
        draw each pause at random and make it longer while nothing changes.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(Polls { open: Table::default(), newest: Table::default() }) },
};

struct Polls {
    open: Table<(ConnectionId, String), ListKey>,
    /// The newest list of each client, if no request has followed it yet.
    newest: Table<Sender, Polled>,
}

struct Polled {
    key: String,
    sent: Seq,
    at_us: u64,
    ttl: Duration,
    polls: Vec<Seq>,
    pauses: Vec<Duration>,
}

impl Monitor for Polls {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        match &event.kind {
            EventKind::WireReceived { connection, message } => {
                if matches!(view.spoken(connection), Spoken::Handshake(..)) {
                    return;
                }
                for part in parts(message).iter().filter(|part| part.is_any_request() && !part.is_cut()) {
                    let sender = view.senders().connection(event).named_in(part);
                    match list_key(&sender, part) {
                        Some(key) => {
                            self.poll(event, &key, tally);
                            self.open.insert((connection.clone(), id_of(part)), key);
                        }
                        None if self.newest.swap_remove(&sender).is_some() => tally.held(),
                        None => {}
                    }
                }
            }
            EventKind::WireSent { connection, message } => {
                for part in parts(message).iter() {
                    if is_change(part) {
                        let server = event.source.to_string();
                        self.newest.retain(|sender, _| sender.server != server);
                    } else if let Some(key) = self.open.swap_remove(&(connection.clone(), id_of(part))) {
                        self.answer(event, part, key);
                    }
                }
            }
            _ => {}
        }
    }
}

impl Polls {
    fn poll(&mut self, event: &Event, (sender, key): &ListKey, tally: &mut Tally) {
        let Some(newest) = self.newest.get_mut(sender) else { return };
        let pause = Duration::from_micros(event.at_us.saturating_sub(newest.at_us));
        let (part, more) = LATE;
        // The answer is on its way before the clock of its client starts, so no poll on time is earlier than this.
        let is_on_time = pause >= newest.ttl && pause <= newest.ttl + newest.ttl / part + more;
        if newest.key != *key || !is_on_time {
            self.newest.swap_remove(sender);
            return tally.held();
        }
        newest.polls.push(event.seq);
        newest.pauses.push(pause);
        if newest.polls.len() == POLLS {
            let (shortest, longest) = (newest.pauses.iter().min(), newest.pauses.iter().max());
            let because = format!(
                "{} was asked for {POLLS} times from {} to {}, {} to {} ms after each answer, which was fresh for {} ms; the client asked for nothing else",
                key.split_once(' ').map_or(key.as_str(), |(method, _)| method),
                newest.polls[0],
                event.seq,
                shortest.map_or(0, Duration::as_millis),
                longest.map_or(0, Duration::as_millis),
                newest.ttl.as_millis()
            );
            tally.broken(Violation::new("polled", because, &[newest.sent, newest.polls[0], event.seq]));
        }
    }

    fn answer(&mut self, event: &Event, answer: &Message, (sender, key): ListKey) {
        let Some(ttl) = time_to_live(answer) else {
            self.newest.swap_remove(&sender);
            return;
        };
        let (polls, pauses) = match self.newest.swap_remove(&sender) {
            Some(before) if before.key == key => (before.polls, before.pauses),
            _ => (Vec::new(), Vec::new()),
        };
        self.newest.insert(sender, Polled { key, sent: event.seq, at_us: event.at_us, ttl, polls, pauses });
    }
}
