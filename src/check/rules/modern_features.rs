//! The features that a client of the stateless generation declares in each of its requests.

use serde_json::Value;

use crate::check::agreement::Spoken;
use crate::check::metadata::{CAPABILITIES, CLIENT};
use crate::check::parts::parts;
use crate::check::senders::Sender;
use crate::check::{AppliesTo, Hears, Invariant, Level, Monitor, Property, Tally, View, Violation, Witness};
use crate::history::{Event, EventKind, Header, KeySet, Kind, Message, Name, Seq, Table};
use crate::plan::Promise;

/// What a client declares, and the method of the input that a server may then ask for.
const FEATURES: [(&str, &str); 3] =
    [("elicitation", "elicitation/create"), ("roots", "roots/list"), ("sampling", "sampling/createMessage")];

/// Counter-examples: Two clients of one server may differ: requests are compared only if they came over the same pipes or
/// the same socket and carry the same name. Clients of one program may share a pool of sockets: an id that comes with
/// different features shows two counters. Options inside a feature, and extensions, may depend on the request. A client
/// that declines a request for an undeclared feature does not serve the feature. A connection that was opened with
/// `initialize` declares once. A client that is refused for a feature it did not declare may turn the feature on, from then
/// on in each request.
pub(super) const FEATURES_IN_EACH_REQUEST: Invariant = Invariant {
    id: "modern-features-declared",
    property: Property::Safety,
    level: Level::Must,
    claim: "a client declares the features that it serves, and the same ones in each request",
    source: "2026-07-28, client/elicitation, client/roots and client/sampling, Capabilities",
    requirement: &["LC-META-06"],
    applies: AppliesTo::STATELESS,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::HttpReceived, Kind::WireReceived, Kind::WireSent, Kind::PlanEnded],
    hears: Hears::only(&[(Kind::HttpReceived, &[])]),
    vacuous: "no client made two requests on one connection, or served a feature",
    explain: "Without sessions a server knows only what the request itself declares. A client whose requests declare \
        different features gets input requests for one call and an error for the next. A client that serves features \
        that it does not declare works only with servers that break the specification themselves.\n\n\
        Look at `clientCapabilities` in the requests of the witness. Often other code builds the first request, a \
        retry, or a repeated call. To fix it, derive the capabilities from the installed handlers, where requests are \
        written.",
    start: |_: &Header| -> Box<dyn Monitor> {
        let (declared, asked, lacking) = (Table::default(), Table::default(), Table::default());
        Box::new(DeclaredFeatures { declared, asked, lacking })
    },
};

/// Most ids of one connection and name that are compared. The counters of two clients meet early: both begin low.
const IDS_MAX: usize = 4_096;
/// Most requests of one connection and name that are reported.
const OTHERS_MAX: usize = 1_000;

struct DeclaredFeatures {
    /// What each client declared, by its connection and its name.
    declared: Table<(Sender, String), Declared>,
    /// The feature behind each key of the inputs that a server has asked for.
    asked: Table<(String, String), KeySet<&'static str>>,
    /// The newest refusal of each server for a feature that a request does not declare.
    lacking: Table<Name, Seq>,
}

/// The code of the error about a feature that the request does not declare.
const LACKING: i64 = -32_021;

/// What one name declared over one connection.
struct Declared {
    first: KeySet<&'static str>,
    at: Seq,
    /// What the requests of each id declared.
    of_ids: Table<Name, KeySet<&'static str>>,
    /// Whether one id came with different features: then two clients, each with its own counter, share a pool of sockets.
    are_several: bool,
    /// Requests that declare other features, if one client sent them.
    others: Vec<Violation>,
}

impl Monitor for DeclaredFeatures {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        match &event.kind {
            EventKind::WireReceived { connection, message } => {
                if matches!(view.spoken(connection), Spoken::Handshake(..)) {
                    return;
                }
                for part in parts(message).iter().filter(|part| part.is_any_request()) {
                    let Some(declared) = declared_in(part) else { continue };
                    self.serve(event, part, &declared, tally);
                    self.compare(event, view, part, declared, tally);
                }
            }
            EventKind::WireSent { message, .. } => self.ask(event, message),
            EventKind::PlanEnded {} => {
                others(&self.declared).for_each(|violation| tally.broken(violation.clone()));
                self.declared.clear();
            }
            _ => {}
        }
    }

    fn end(&self, view: &View, tally: &mut Tally) {
        for violation in others(&self.declared) {
            if view.is_cut_off() {
                tally.open("a later request may show that there are two clients".to_owned(), &[]);
            } else {
                tally.broken(violation.clone());
            }
        }
    }
}

/// The requests that declare other features than an earlier one of the same client.
fn others(declared: &Table<(Sender, String), Declared>) -> impl Iterator<Item = &Violation> {
    declared.values().filter(|declared| !declared.are_several).flat_map(|declared| &declared.others)
}

impl DeclaredFeatures {
    fn ask(&mut self, event: &Event, message: &Message) {
        if message.at(&["error", "code"]).and_then(Value::as_i64) == Some(LACKING) {
            self.lacking.insert(event.source.to_name(), event.seq);
        }
        let asked = message.at(&["result", "inputRequests"]).and_then(Value::as_object);
        for (key, request) in asked.into_iter().flatten() {
            let method = request.get("method").and_then(Value::as_str);
            let feature = FEATURES.iter().find(|(_, asks)| Some(*asks) == method);
            let key = (event.source.server().unwrap_or_default().into(), key.clone());
            self.asked.entry(key).or_default().extend(feature.map(|(feature, _)| *feature));
        }
    }

    fn serve(&self, event: &Event, request: &Message, declared: &KeySet<&'static str>, tally: &mut Tally) {
        let given = request.at(&["params", "inputResponses"]).and_then(Value::as_object);
        for (key, response) in given.into_iter().flatten() {
            let at = (event.source.server().unwrap_or_default().into(), key.clone());
            let Some(features) = self.asked.get(&at).filter(|_| is_served(response)) else { continue };
            if let Some(feature) = features.iter().find(|feature| !declared.contains(**feature)) {
                let because = format!(
                    "{} at {} brings the input {key}, and does not declare {feature}",
                    request.method().unwrap_or_default(),
                    event.seq
                );
                return tally.broken(Violation::new("served-undeclared", because, &[event.seq]));
            }
            tally.held();
        }
    }

    fn compare(
        &mut self,
        event: &Event,
        view: &View,
        request: &Message,
        declared: KeySet<&'static str>,
        tally: &mut Tally,
    ) {
        let name = request.at(&["params", "_meta", CLIENT, "name"]).map(ToString::to_string).unwrap_or_default();
        let client = self.declared.entry((view.senders().connection(event), name)).or_insert_with(|| Declared {
            first: declared.clone(),
            at: event.seq,
            of_ids: Table::default(),
            are_several: false,
            others: Vec::new(),
        });
        let id = request.id_text();
        match client.of_ids.get(&id) {
            Some(of_id) => client.are_several |= *of_id != declared,
            None if client.of_ids.len() < IDS_MAX => drop(client.of_ids.insert(id, declared.clone())),
            None => {}
        }
        if client.at == event.seq {
            return;
        }
        let was_refused = self.lacking.get(&event.source.to_name()).is_some_and(|refused| *refused > client.at);
        if was_refused && client.first.iter().all(|feature| declared.contains(*feature)) {
            (client.first, client.at) = (declared, event.seq);
            return tally.held();
        }
        if client.first == declared {
            return tally.held();
        }
        let list = |features: &KeySet<&str>| {
            if features.is_empty() {
                "none".to_owned()
            } else {
                features.iter().copied().collect::<Vec<_>>().join(", ")
            }
        };
        let because = format!(
            "{} at {} declares {} of elicitation, roots and sampling, and the request at {} on the same connection {}",
            request.method().unwrap_or_default(),
            event.seq,
            list(&declared),
            client.at,
            list(&client.first)
        );
        if client.others.len() < OTHERS_MAX {
            client.others.push(Violation::new("other-features", because, &[client.at, event.seq]));
        }
    }
}

fn declared_in(request: &Message) -> Option<KeySet<&'static str>> {
    let declared = request.at(&["params", "_meta", CAPABILITIES])?.as_object()?;
    Some(FEATURES.iter().map(|(feature, _)| *feature).filter(|feature| declared.contains_key(*feature)).collect())
}

/// Whether an input was given, and not refused.
fn is_served(response: &Value) -> bool {
    let action = response.get("action").and_then(Value::as_str);
    response.get("error").is_none() && !matches!(action, Some("decline" | "cancel"))
}
