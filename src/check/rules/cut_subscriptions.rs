//! Subscriptions whose stream the server cuts: how soon a client asks for them again.

use serde_json::Value;

use crate::check::metadata::CLIENT;
use crate::check::parts::parts;
use crate::check::rules::subscriptions::{LISTEN, is_change};
use crate::check::topics::FIRST_MESSAGE;
use crate::check::{AppliesTo, Hears, Invariant, Level, Monitor, Property, Tally, View, Violation, Witness};
use crate::history::{ConnectionId, Event, EventKind, ExchangeId, Header, Kind, Message, Name, Seq, Table, WireEnd};
use crate::plan::Promise;

/// Upper bound on the requests for one subscription in one window, each after the cut of the one before.
const AGAIN_MAX: usize = 5;
/// Length of that window, on the mock's own clock.
const WINDOW_US: u64 = 1_000_000;
/// A counter that several requests share has grown by at most this much from one subscription to the next.
const COUNTED_MAX: i64 = 8;

/// Counter-examples: A client may ask again at once after a cut, and some times more. It may have several subscriptions,
/// each with its own filter. A subscription that told a change was useful, and a client that makes other requests in between
/// does something else as well. Instances of one program say one name, and each asks once: only one counter of ids shows
/// that one client asks again and again. `ended-subscription-calm` judges ends in order. A client that ends its
/// subscription by itself is no burden of this kind.
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
    hears: Hears::ALL.from(FIRST_MESSAGE),
    vacuous: "no client asked for a subscription",
    explain: "The server cut the stream of a subscription, and the client asked for it again and again, \
        without a pause. One such client keeps a processor busy; a thousand of them after a deployment are an outage.\n\n\
        Look at the times of the `subscriptions/listen` requests. To fix it, wait longer after each subscription that told \
        nothing.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(Reopened::default()) },
};

/// The connection, what the client calls itself, and what it wants to hear of.
type Wanted = (ConnectionId, Name, Name);

#[derive(Default)]
struct Reopened {
    newest: Table<Wanted, Subscription>,
}

/// The newest request for a subscription.
#[derive(Default)]
struct Subscription {
    id: Name,
    number: Option<i64>,
    exchange: Option<(Name, ExchangeId)>,
    /// Whether its stream was cut.
    is_cut: bool,
    /// The requests before it and itself, each after the cut of the one before.
    lately: Vec<(Seq, u64)>,
}

impl Monitor for Reopened {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        match &event.kind {
            EventKind::WireReceived { connection, message } => {
                for part in parts(message).iter().filter(|part| part.is_any_request() && !part.is_cut()) {
                    if part.is_request(LISTEN) {
                        self.asked(event, view, (connection, part), tally);
                    } else {
                        let name = client_of(part);
                        let its = self.newest.iter_mut().filter(|((on, of, _), _)| on == connection && *of == name);
                        its.for_each(|(_, newest)| newest.lately.clear());
                    }
                }
            }
            EventKind::WireSent { connection, message } => {
                for part in parts(message).iter() {
                    self.sent(connection, part);
                }
            }
            EventKind::HttpEnded { exchange, how } if *how != WireEnd::ByClient && !self.newest.is_empty() => {
                let ended = (event.source.to_name(), exchange.clone());
                let its = self.newest.values_mut().filter(|newest| newest.exchange.as_ref() == Some(&ended));
                its.for_each(|newest| newest.is_cut = true);
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
    fn asked(
        &mut self,
        event: &Event,
        view: &View,
        (connection, request): (&ConnectionId, &Message),
        tally: &mut Tally,
    ) {
        let filter = request.at(&["params", "notifications"]).map(Name::of).unwrap_or_default();
        let key = (connection.clone(), client_of(request), filter);
        let newest = self.newest.entry(key).or_default();
        let number = request.id().and_then(Value::as_i64);
        let is_counted =
            number.zip(newest.number).is_some_and(|(now, before)| (1..=COUNTED_MAX).contains(&(now - before)));
        let mut lately = std::mem::take(&mut newest.lately);
        if !(newest.is_cut && is_counted) {
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
        *newest = Subscription { id: request.id_text(), number, exchange, is_cut: false, lately };
    }

    fn sent(&mut self, connection: &ConnectionId, message: &Message) {
        let answered = message.id().filter(|_| message.is_response()).map(|_| message.id_text());
        let tells = is_change(message);
        for ((of, ..), newest) in &mut self.newest {
            let is_ended = answered.as_ref() == Some(&newest.id);
            if of == connection && (tells || is_ended) {
                newest.lately.clear();
                newest.exchange = newest.exchange.take().filter(|_| !is_ended);
            }
        }
    }
}
