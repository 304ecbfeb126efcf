//! What a server may ask of its client at any time.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use crate::check::sight::parts;
use crate::check::{Invariant, Level, Monitor, Property, Scope, Tally, View, Violation, Witness};
use crate::history::{Action, ConnectionId, Event, EventKind, Header, Kind, Message, Seq};
use crate::plan::Promise;

/// How long a client may take. The specification says "promptly"; a busy client in Python takes a tenth of it.
const PROMPT: Duration = Duration::from_secs(1);

/// Counter-examples that shaped it. A ping that was sent shortly before the end of the session, or of the program, may have come too
/// late. An answer that comes late is an answer. Over HTTP a ping counts once it was sent on a stream.
pub(super) const PING_ANSWERED: Invariant = Invariant {
    id: "ping-answered",
    property: Property::Safety,
    level: Level::Must,
    claim: "a ping of the server is answered with an empty result",
    source: "2025-11-25, basic/utilities/ping, Behavior Requirements; the same in all revisions that open with initialize",
    requirement: &["LC-PING-01", "LC-PING-02"],
    applies: Scope::LEGACY,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[
        Kind::WireSent,
        Kind::WireReceived,
        Kind::WireEof,
        Kind::ConnectionClosed,
        Kind::OperationInvoked,
        Kind::ExitRequested,
        Kind::SignalSent,
    ],
    vacuous: "no server sent a ping that had time to be answered",
    explain: "A server asked whether its client is alive, and the client never answered, or refused. Servers close sessions whose \
        clients are silent, so tools vanish in the middle of work and nobody knows why. A loader does this when nobody reads \
        while no call is in flight, when its loop is not driven, or when a second request is only read after the first one's answer.\n\n\
        Look at what the client did between the ping and the end. Mend it by reading in a task of its own for as long as \
        the session lives, before the answer to `initialize` as well.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(Pings::default()) },
};

#[derive(Default)]
struct Pings {
    /// Those that are not answered: when each was sent.
    open: BTreeMap<(ConnectionId, String), (Seq, u64)>,
}

impl Monitor for Pings {
    fn see(&mut self, event: &Event, _view: &View, tally: &mut Tally) {
        match &event.kind {
            EventKind::WireSent { connection, message } => {
                let pings =
                    parts(message).iter().filter_map(ping_id).map(|id| (connection.clone(), id)).collect::<Vec<_>>();
                self.open.extend(pings.into_iter().map(|ping| (ping, (event.seq, event.at_us))));
            }
            EventKind::WireReceived { connection, message } => {
                for answer in parts(message).iter().filter(|part| part.is_response()) {
                    self.answer(event.seq, connection, answer, tally);
                }
            }
            EventKind::WireEof { connection } | EventKind::ConnectionClosed { connection, .. } => {
                self.end_of_wait(event, tally, |of| of == connection);
            }
            EventKind::OperationInvoked { action, .. } if *action != Action::Close => {}
            _ => self.end_of_wait(event, tally, |_| true),
        }
    }

    fn end(&mut self, _view: &View, tally: &mut Tally) {
        if let Some((_, (sent, _))) = self.open.first_key_value() {
            tally.open(format!("a ping of {sent} was not answered yet"), &[*sent]);
        }
    }
}

fn ping_id(message: &Message) -> Option<String> {
    if message.is_request("ping") { message.id().map(ToString::to_string) } else { None }
}

impl Pings {
    fn answer(&mut self, now: Seq, connection: &ConnectionId, answer: &Message, tally: &mut Tally) {
        let Some(id) = answer.id().map(ToString::to_string) else { return };
        let Some((sent, _)) = self.open.remove(&(connection.clone(), id)) else { return };
        match answer.at(&["result"]).and_then(Value::as_object) {
            Some(result) if result.keys().all(|key| key == "_meta") => tally.held(),
            Some(_) => {
                let because = format!("the ping of {sent} was answered at {now} with a result that is not empty");
                tally.broken(Violation::new("not-empty", because, &[sent, now]).as_warning());
            }
            None => {
                let because = format!("the ping of {sent} was refused at {now}");
                tally.broken(Violation::new("refused", because, &[sent, now]));
            }
        }
    }

    /// Nobody answers any more on connections for which this holds.
    fn end_of_wait(&mut self, event: &Event, tally: &mut Tally, concerns: impl Fn(&ConnectionId) -> bool) {
        self.open.retain(|(connection, _), (sent, at_us)| {
            let is_over = concerns(connection);
            let waited = Duration::from_micros(event.at_us.saturating_sub(*at_us));
            if is_over && waited >= PROMPT {
                let ms = waited.as_millis();
                let because = format!("the ping of {sent} had not been answered after {ms} ms, at {}", event.seq);
                tally.broken(Violation::new("never", because, &[*sent, event.seq]).of_bound(PROMPT));
            }
            !is_over
        });
    }
}
