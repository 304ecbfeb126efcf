//! Revisions that a server has refused: what its client sends afterwards.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::check::asked_answers::AskedAnswers;
use crate::check::parts::parts;
use crate::check::reading::RequestKey;
use crate::check::rules::eras::revision_of;
use crate::check::senders::Sender;
use crate::check::{AppliesTo, Hears, Invariant, Level, Monitor, Property, Tally, View, Violation, Witness};
use crate::history::{ConnectionId, Event, EventKind, Header, Impact, Kind, Message, Name, Seq, Table};
use crate::plan::Promise;

/// The code of the error that refuses a revision.
const REFUSED: i64 = -32_022;

/// The request with a refused revision that counts, of a program whose parts may not share yet what one of them has read.
const PARTS_MAX: usize = 4;

/// Counter-examples: Requests that a client sends together are all refused; a request on the same socket comes after the
/// answer to the one before. A client that stands still has not read its refusals, however many requests a timer sends
/// meanwhile. A client that cannot speak any of the named revisions gives up. A client of both generations may then be
/// made to send the revision that its user chose.
pub(super) const REFUSED_REVISION_DROPPED: Invariant = Invariant {
    id: "refused-version-dropped",
    property: Property::Safety,
    level: Level::Should,
    claim: "after a server has refused a revision or named its revisions, its client sends one of these, or none",
    source: "2026-07-28, basic/versioning, Protocol Version Negotiation; basic/transports, Backward Compatibility",
    requirement: &["LC-ERA-04", "LC-ERA-05", "LC-ERA-12"],
    applies: AppliesTo::ALL,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[
        Kind::HttpReceived,
        Kind::HttpEnded,
        Kind::WireSent,
        Kind::WireReceived,
        Kind::WireEof,
        Kind::ConnectionClosed,
        Kind::OperationCompleted,
        Kind::FaultDelivered,
    ],
    hears: Hears::ALL,
    vacuous: "no client sent a request after its server had refused a revision, or named those that it speaks",
    explain: "The server refused a revision and named those that it speaks, and the client sent the refused one again. \
        The server will refuse it every time, so the client repeats a request that cannot succeed.\n\n\
        Look at `data.supported` in the refusal. To fix it, continue with a revision that is named there, or tell the \
        caller that no revision is supported by both sides.",
    start: |_: &Header| -> Box<dyn Monitor> {
        Box::new(RefusedRevisions {
            answers: AskedAnswers::default(),
            asked: Table::default(),
            refused: Table::default(),
        })
    },
};

struct RefusedRevisions {
    /// The answers of the refusals below.
    answers: AskedAnswers,
    /// The unanswered requests, by server, connection and id.
    asked: Table<(Name, ConnectionId, Name), Vec<AskedRevision>>,
    refused: Table<Sender, Refusal>,
}

/// The revision of one request, and its possible senders.
type AskedRevision = (String, Vec<Sender>);

/// The answer that named revisions, or refused one, for a client: the newest, or an older one like it that was read.
struct Refusal {
    /// The request that it answers.
    request: RequestKey,
    seq: Seq,
    /// The revision that was refused; none if the server only named those that it speaks.
    revision: Option<String>,
    named: Option<BTreeSet<String>>,
    n_again: usize,
}

impl Monitor for RefusedRevisions {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        self.answers.see(event, view);
        match &event.kind {
            EventKind::WireReceived { connection, message } => {
                let (place, program) =
                    (view.senders().connection(event), view.senders().program(event, view.is_ready()));
                for part in parts(message).iter().filter(|part| part.is_any_request()) {
                    let (Some(revision), Some(id)) = (revision_of(part), part.id()) else { continue };
                    let mut senders = vec![place.clone().named_in(part), program.clone().named_in(part)];
                    senders.dedup();
                    if !view.senders().is_pipelined(event) {
                        self.judge((event.seq, view), part, revision, &senders, tally);
                    }
                    let key = (event.source.to_name(), connection.clone(), Name::from(id));
                    self.asked.entry(key).or_default().push((revision.to_owned(), senders.clone()));
                }
            }
            EventKind::WireSent { connection, message } => {
                for part in parts(message).iter().filter(|part| part.is_response()) {
                    let request = (connection.clone(), part.id_text());
                    let key = (event.source.to_name(), connection.clone(), part.id_text());
                    let asked = self.asked.swap_remove(&key);
                    // Of several requests with one id, the history does not tell which is answered.
                    let Some([(revision, senders)]) = asked.as_deref() else { continue };
                    if part.at(&["error", "code"]).and_then(Value::as_i64) == Some(REFUSED) {
                        let named = revisions(part.at(&["error", "data", "supported"]));
                        self.learn(view, (event.seq, request), Some(revision.clone()), named, senders);
                    } else if let Some(named) = revisions(part.at(&["result", "supportedVersions"])) {
                        self.learn(view, (event.seq, request), None, Some(named), senders);
                    }
                }
            }
            EventKind::FaultDelivered { impairs: Impact::Connection, .. } => {
                let server = event.source.to_name();
                self.refused.retain(|sender, _| sender.server != server);
            }
            _ => {}
        }
    }
}

impl RefusedRevisions {
    fn learn(
        &mut self,
        view: &View,
        (seq, request): (Seq, RequestKey),
        revision: Option<String>,
        named: Option<BTreeSet<String>>,
        senders: &[Sender],
    ) {
        for sender in senders {
            let before = self.refused.get(sender).filter(|before| before.revision == revision);
            if before.is_some_and(|before| before.named == named && self.answers.read(view, &before.request).is_some())
            {
                continue;
            }
            let n_again = before.map_or(0, |before| before.n_again);
            let request = request.clone();
            self.answers.keep(request.clone(), seq);
            let refusal = Refusal { request, seq, revision: revision.clone(), named: named.clone(), n_again };
            self.refused.insert(sender.clone(), refusal);
        }
    }

    fn judge(
        &mut self,
        (now, view): (Seq, &View),
        request: &Message,
        revision: &str,
        senders: &[Sender],
        tally: &mut Tally,
    ) {
        for sender in senders {
            let Some(refusal) = self.refused.get_mut(sender) else { continue };
            let is_named = refusal.named.as_ref().is_some_and(|named| named.contains(revision));
            let is_unnamed = refusal.named.as_ref().is_some_and(|named| !named.is_empty() && !is_named);
            if is_named || !(is_unnamed || refusal.revision.as_deref() == Some(revision)) {
                return tally.held();
            }
            if sender.is_whole_server() {
                if self.answers.read(view, &refusal.request).is_none() {
                    continue;
                }
                refusal.n_again += 1;
                if refusal.n_again < PARTS_MAX {
                    continue;
                }
            }
            let method = request.method().unwrap_or_default();
            let named = refusal.named.iter().flatten().map(String::as_str).collect::<Vec<_>>().join(", ");
            let (variant, how) = match &refusal.revision {
                Some(refused) => (
                    "sent-again",
                    format!("after {refused} was refused at {} by a server that names {named}", refusal.seq),
                ),
                None => ("not-named", format!("and the server named {named} at {}", refusal.seq)),
            };
            let because = format!("{method} at {now} carries revision {revision}, {how}");
            return tally.broken(Violation::new(variant, because, &[refusal.seq, now]));
        }
    }
}

/// The revisions in a list that a server sent.
fn revisions(list: Option<&Value>) -> Option<BTreeSet<String>> {
    let list = list?.as_array()?;
    Some(list.iter().filter_map(Value::as_str).map(str::to_owned).collect())
}
