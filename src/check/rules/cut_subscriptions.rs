//! Subscriptions whose stream the server cuts: how soon a client asks for them again.

use serde_json::Value;

use crate::check::metadata::CLIENT;
use crate::check::parts::parts;
use crate::check::rules::subscriptions::{LISTEN, is_change};
use crate::check::{AppliesTo, Hears, Invariant, Level, Monitor, Property, Tally, View, Violation, Witness};
use crate::history::{
    ConnectionId, Event, EventKind, ExchangeId, Header, KeySet, Kind, Message, Name, Seq, Table, WireEnd,
};
use crate::plan::Promise;

/// Upper bound on the requests for one subscription in one window, each after the cut of the one before.
const AGAIN_MAX: usize = 5;
/// Length of that window, on the mock's own clock.
const WINDOW_US: u64 = 1_000_000;
/// Subscriptions that are kept for each connection, against floods.
const KEPT_MAX: usize = 10_000;

/// Counter-examples: A client may ask again at once after a cut, and some times more. It may have several subscriptions,
/// each with its own filter. A subscription that told a change was useful, and a client that makes other requests in between
/// does something else as well. Instances of one program say one name, however many there are, and each asks once: only
/// ids that one counter gave, one after the other and none twice, show that one client asks again and again.
/// `ended-subscription-calm` judges ends in order. A client that ends its subscription by itself is no burden of this kind.
pub(super) const CUT_SUBSCRIPTION_CALM: Invariant = Invariant {
    id: "cut-subscription-calm",
    property: Property::Safety,
    level: Level::Own,
    claim: "a client asks at most five times a second for a subscription whose stream is cut each time",
    source: "VG-19: reconnects slow down; 2026-07-28, basic/patterns/subscriptions, Graceful Closure: a client may reconnect",
    requirement: &["VG-19"],
    applies: AppliesTo::STATELESS_HTTP,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::HttpReceived, Kind::WireReceived, Kind::WireSent, Kind::HttpEnded],
    hears: Hears::ALL,
    vacuous: "no client asked for a subscription",
    explain: "The server cut the stream of a subscription, and the client asked for it again and again, \
        without a pause. One such client keeps a processor busy; a thousand of them after a deployment are an outage.\n\n\
        Look at the times of the `subscriptions/listen` requests. To fix it, wait longer after each subscription that told \
        nothing.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(Reopened::default()) },
};

/// The connection, and what the client calls itself.
type Named = (ConnectionId, Name);

#[derive(Default)]
struct Reopened {
    clients: Table<Named, Subscriber>,
    /// The client and the filter of each subscription that is open: by its id, and by its stream.
    by_id: Table<(ConnectionId, Name), (Named, Name)>,
    by_stream: Table<(Name, ExchangeId), (Named, Name)>,
    /// For each connection, how often its server told a change.
    n_changes: Table<ConnectionId, usize>,
}

/// The clients of one name on a connection, which may be one.
#[derive(Default)]
struct Subscriber {
    newest: Table<Name, Subscription>,
    /// How many requests of other kinds it has sent.
    n_others: usize,
    /// The newest id that is a number, and all ids of subscriptions.
    number: Option<i64>,
    ids: KeySet<Name>,
    /// Whether an id came twice.
    are_several: bool,
}

/// The newest request for a subscription.
#[derive(Default)]
struct Subscription {
    id: Name,
    exchange: Option<(Name, ExchangeId)>,
    /// Whether its stream was cut.
    is_cut: bool,
    /// The requests before it and itself, each after the cut of the one before.
    lately: Vec<(Seq, u64)>,
    /// The numbers of other requests and of changes at that time: when they grow, the requests count no more.
    n_others: usize,
    n_changes: usize,
}

impl Monitor for Reopened {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        match &event.kind {
            EventKind::WireReceived { connection, message } => {
                for part in parts(message).iter().filter(|part| part.is_any_request() && !part.is_cut()) {
                    if part.is_request(LISTEN) {
                        self.asked(event, view, (connection, part), tally);
                    } else if let Some(client) = self.clients.get_mut(&(connection.clone(), client_of(part))) {
                        client.n_others += 1;
                        client.number = part.id().and_then(Value::as_i64);
                    }
                }
            }
            EventKind::WireSent { connection, message } if !self.clients.is_empty() => {
                for part in parts(message).iter() {
                    self.sent(connection, part);
                }
            }
            EventKind::HttpEnded { exchange, how } if !self.clients.is_empty() => {
                let Some((named, filter)) = self.by_stream.swap_remove(&(event.source.to_name(), exchange.clone()))
                else {
                    return;
                };
                if let Some(newest) = self.subscription(&named, &filter) {
                    newest.is_cut |= *how != WireEnd::ByClient;
                }
            }
            _ => {}
        }
    }
}

/// What a client calls itself.
fn client_of(request: &Message) -> Name {
    request.at(&["params", "_meta", CLIENT]).map(Name::of).unwrap_or_default()
}

impl Reopened {
    fn subscription(&mut self, named: &Named, filter: &Name) -> Option<&mut Subscription> {
        self.clients.get_mut(named)?.newest.get_mut(filter)
    }

    fn asked(
        &mut self,
        event: &Event,
        view: &View,
        (connection, request): (&ConnectionId, &Message),
        tally: &mut Tally,
    ) {
        let filter = request.at(&["params", "notifications"]).map(Name::of).unwrap_or_default();
        let named = (connection.clone(), client_of(request));
        let n_changes = self.n_changes.get(connection).copied().unwrap_or_default();
        let client = self.clients.entry(named.clone()).or_default();
        let id = request.id_text();
        let number = request.id().and_then(Value::as_i64);
        let is_counted = number.zip(client.number).is_some_and(|(now, before)| now.checked_sub(before) == Some(1));
        client.are_several |= client.ids.len() >= KEPT_MAX || !client.ids.insert(id.clone());
        client.number = number;
        let newest = client.newest.entry(filter.clone()).or_default();
        let before = std::mem::take(newest);
        let is_useful = before.n_others != client.n_others || before.n_changes != n_changes;
        let mut lately = before.lately;
        if !before.is_cut || !is_counted || is_useful || client.are_several {
            lately.clear();
        }
        lately.push((event.seq, event.at_us));
        lately.retain(|(_, at_us)| event.at_us.saturating_sub(*at_us) < WINDOW_US);
        if lately.len() > AGAIN_MAX {
            let because = format!(
                "a subscription was asked for {} times on connection {connection} within a second, from {} to {}, and its stream \
                 was cut each time",
                lately.len(),
                lately[0].0,
                event.seq
            );
            tally.broken(Violation::new("again-at-once", because, &[lately[0].0, event.seq]));
            lately.clear();
        } else {
            tally.held();
        }
        let exchange = view.carrier(event).map(|carrier| (carrier.mock.clone(), carrier.exchange.clone()));
        let n_others = client.n_others;
        *newest =
            Subscription { id: id.clone(), exchange: exchange.clone(), is_cut: false, lately, n_others, n_changes };
        // A stream that was replaced ends without meaning.
        self.by_id.swap_remove(&(connection.clone(), before.id));
        before.exchange.and_then(|stream| self.by_stream.swap_remove(&stream));
        self.by_id.insert((connection.clone(), id), (named.clone(), filter.clone()));
        self.by_stream.extend(exchange.map(|stream| (stream, (named, filter))));
    }

    fn sent(&mut self, connection: &ConnectionId, message: &Message) {
        if is_change(message) {
            *self.n_changes.entry(connection.clone()).or_default() += 1;
        }
        if message.id().is_none() || !message.is_response() {
            return;
        }
        let Some((named, filter)) = self.by_id.swap_remove(&(connection.clone(), message.id_text())) else { return };
        let stream = self.subscription(&named, &filter).and_then(|newest| {
            newest.lately.clear();
            newest.exchange.take()
        });
        stream.and_then(|stream| self.by_stream.swap_remove(&stream));
    }
}
