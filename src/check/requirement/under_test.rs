//! The requirements that the servers of a history put to the test.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use crate::check::agreement::Agreements;
use crate::check::parts::parts;
use crate::check::requirement::{Judged, Oddity, Requirement, requirements};
use crate::history::{ConnectionId, Event, EventKind, Header, Message, Name, Seq, Table};
use crate::plan::{Revision, Transport};

/// The means that put requirements to the test: scripts, faults, odd messages, and transports.
struct Tests {
    rows: Vec<Row>,
    scripts: BTreeSet<&'static str>,
    faults: BTreeSet<&'static str>,
}

type Row = (&'static Requirement, &'static Judged);

static TESTS: LazyLock<Tests> = LazyLock::new(|| {
    let all = requirements().unwrap_or_default().iter();
    let rows: Vec<Row> = all.flat_map(|row| row.judged.iter().map(move |judged| (row, judged))).collect();
    let scripts = rows.iter().flat_map(|(_, judged)| &judged.scripts).map(String::as_str).collect();
    let faults = rows.iter().flat_map(|(_, judged)| &judged.faults).map(String::as_str).collect();
    Tests { rows, scripts, faults }
});

/// The servers of a history that put requirements to the test, and which events speak of which of them.
#[derive(Debug, Default)]
pub(in crate::check) struct UnderTest {
    servers: Table<String, Tested>,
    /// The events that tell a server, in recorded order.
    told: Vec<Told>,
    /// The revision of the plan.
    revision: Option<Revision>,
    /// Whether results have types, where no handshake says otherwise.
    has_types: bool,
    /// The progress tokens of open requests, by connection.
    tokens: Table<ConnectionId, Tokens>,
}

/// An event, and the place in the table of the server that it tells, in one number: there may be very many events, and there are
/// few servers.
#[derive(Debug, Clone, Copy)]
struct Told(u64);

impl Told {
    const PLACE_BITS: u32 = 16;

    /// `None` for a place or an event that is too large to be kept.
    fn new(seq: Seq, place: usize) -> Option<Self> {
        let place = u64::from(u16::try_from(place).ok()?);
        (seq.0 < 1 << (u64::BITS - Self::PLACE_BITS)).then_some(Self(seq.0 << Self::PLACE_BITS | place))
    }

    fn seq(self) -> Seq {
        Seq(self.0 >> Self::PLACE_BITS)
    }

    fn place(self) -> usize {
        usize::from(self.0 as u16)
    }
}

/// The progress tokens of the open requests of one connection.
#[derive(Debug, Default)]
struct Tokens {
    by_id: Table<Name, Name>,
    /// How many requests have each.
    n_open: Table<Name, usize>,
}

impl Tokens {
    fn asked(&mut self, id: Name, token: Name) {
        *self.n_open.entry(token.clone()).or_default() += 1;
        if let Some(before) = self.by_id.insert(id, token) {
            self.forget(&before);
        }
    }

    fn answered(&mut self, id: &Name) {
        if let Some(token) = self.by_id.swap_remove(id) {
            self.forget(&token);
        }
    }

    fn forget(&mut self, token: &Name) {
        let Some(n_open) = self.n_open.get_mut(token) else { return };
        *n_open -= 1;
        if *n_open == 0 {
            self.n_open.swap_remove(token);
        }
    }
}

/// The behaviour of one server that puts requirements to the test.
#[derive(Debug, Default)]
struct Tested {
    /// Its script, if that does.
    script: Option<&'static str>,
    /// The kinds of faults that it delivered, each with the first event.
    faults: BTreeMap<&'static str, Seq>,
    /// The odd messages that it sent, each with the first event.
    sent: BTreeMap<Oddity, Seq>,
}

impl UnderTest {
    pub(in crate::check) fn of(header: &Header) -> Self {
        let revision = header.revision.parse().ok();
        let has_types = revision > Some(Revision::NEWEST_HANDSHAKE) && header.carried_by() != "sse";
        Self { revision, has_types, ..Self::default() }
    }

    /// Takes an event, with what was agreed on each connection.
    pub(in crate::check) fn see(&mut self, event: &Event, agreements: &Agreements) {
        let Some(server) = event.source.server() else {
            if let EventKind::OperationInvoked { server: Some(server), .. } = &event.kind {
                self.tell(event.seq, server);
            }
            return;
        };
        match &event.kind {
            EventKind::MockStarted { script, .. } => {
                self.tested(server).script = TESTS.scripts.get(script.as_str()).copied();
            }
            EventKind::ConnectionOpened { .. } => self.tell(event.seq, server),
            EventKind::FaultDelivered { fault, .. } => {
                self.tell(event.seq, server);
                let kind = fault.split(':').next().unwrap_or_default();
                if let Some(kind) = TESTS.faults.get(kind) {
                    self.tested(server).faults.entry(kind).or_insert(event.seq);
                }
            }
            EventKind::WireReceived { connection, message } => {
                for part in parts(message).iter().filter(|part| part.is_any_request()) {
                    if let Some(token) = part.at(&["params", "_meta", "progressToken"]) {
                        self.tokens.entry(connection.clone()).or_default().asked(part.id_text(), Name::of(token));
                    }
                }
            }
            EventKind::WireSent { connection, message } => {
                let has_types = self.has_types && agreements.of(connection).is_none();
                for part in parts(message).iter() {
                    if let Some(oddity) = self.oddity(connection, part, has_types) {
                        self.tested(server).sent.entry(oddity).or_insert(event.seq);
                    }
                }
            }
            EventKind::ConnectionClosed { connection, .. } | EventKind::WireEof { connection } => {
                self.tokens.swap_remove(connection);
            }
            _ => {}
        }
    }

    /// The oddity of a message of a server, whose results have types or not.
    fn oddity(&mut self, connection: &ConnectionId, sent: &Message, has_types: bool) -> Option<Oddity> {
        if sent.is_notification("notifications/progress") {
            let token = Name::of(sent.at(&["params", "progressToken"])?);
            let is_open = self.tokens.get(connection).is_some_and(|tokens| tokens.n_open.contains_key(&token));
            return (!is_open).then_some(Oddity::ProgressOfNone);
        }
        if !sent.is_response() {
            return None;
        }
        if let Some(tokens) = self.tokens.get_mut(connection) {
            tokens.answered(&sent.id_text());
        }
        let is_untyped = has_types
            && sent.at(&["result"]).is_some_and(|result| result.is_object() && result.get("resultType").is_none());
        is_untyped.then_some(Oddity::UntypedResult)
    }

    fn tested(&mut self, server: &str) -> &mut Tested {
        if !self.servers.contains_key(server) {
            self.servers.insert(server.to_owned(), Tested::default());
        }
        self.servers.get_mut(server).expect("inserted when it was missing")
    }

    fn tell(&mut self, seq: Seq, server: &str) {
        self.tested(server);
        let place = self.servers.get_index_of(server);
        self.told.extend(place.and_then(|place| Told::new(seq, place)));
    }

    /// The ids of the requirements that a violation concerns, in addition to those that the rule names itself.
    ///
    /// The witness tells the server. If it does not, as for a load, the only server under test is meant.
    pub(in crate::check) fn requirements(
        &self,
        rule: &str,
        witness: &[Seq],
        transport: Option<Transport>,
    ) -> Vec<&'static str> {
        let Some(last) = witness.iter().max() else { return Vec::new() };
        let named = witness.iter().find_map(|seq| {
            let index = self.told.binary_search_by_key(seq, |told| told.seq()).ok()?;
            self.servers.get_index(self.told[index].place())
        });
        let mut odd = self.servers.values().filter(|server| server.is_odd());
        let tested = match named {
            Some((_, server)) => Some(server),
            None => odd.next().filter(|_| odd.next().is_none()),
        };
        let rows = TESTS.rows.iter().filter(|(requirement, judged)| {
            let is_carried =
                judged.transports.is_empty() || transport.is_some_and(|one| judged.transports.contains(&one));
            let is_of_transport = judged.scripts.is_empty() && judged.faults.is_empty() && judged.sent.is_empty();
            let is_tested = || tested.is_some_and(|server| server.tests(requirement, judged, self.revision, *last));
            is_carried && judged.by.iter().any(|id| id == rule) && (is_of_transport || is_tested())
        });
        let mut ids: Vec<&str> = rows.map(|(requirement, _)| requirement.id.as_str()).collect();
        ids.dedup();
        ids
    }
}

impl Tested {
    fn is_odd(&self) -> bool {
        self.script.is_some() || !self.faults.is_empty() || !self.sent.is_empty()
    }

    /// Whether it put a requirement to the test, up to an event.
    fn tests(&self, requirement: &Requirement, judged: &Judged, revision: Option<Revision>, until: Seq) -> bool {
        let is_before = |seq: Option<&Seq>| seq.is_some_and(|seq| *seq < until);
        let is_of_revision = revision.is_none_or(|revision| requirement.revisions.contains(&revision));
        let by_script = self.script.is_some_and(|script| judged.scripts.iter().any(|one| one == script));
        let by_fault = || judged.faults.iter().any(|kind| is_before(self.faults.get(kind.as_str())));
        let by_message = || judged.sent.iter().any(|oddity| is_before(self.sent.get(oddity)));
        by_script || is_of_revision && (by_fault() || by_message())
    }
}
