//! What a host answers when a server asks for input.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::check::sight::parts;
use crate::check::{Invariant, Level, Monitor, Property, Scope, Tally, View, Violation, Witness};
use crate::history::{ConnectionId, Event, EventKind, Header, Kind, Message, Seq};
use crate::plan::Promise;

/// Counter-examples that shaped it. What a person has filled in need not be the default. A field without a default may be left out.
pub(in crate::check) const DEFAULTS_APPLIED: Invariant = Invariant {
    id: "defaults-applied",
    property: Property::Safety,
    level: Level::Own,
    claim: "input that is given has a value for each field that has a default",
    source: "2025-11-25, client/elicitation, Requested Schema; a field with a default has a value",
    requirement: &["LC-INIT-12"],
    applies: Scope::LEGACY.of_clients(),
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::WireSent, Kind::WireReceived],
    vacuous: "nobody was asked for input with defaults, or nobody answered",
    explain: "The server asked for input, with defaults for its fields, and the answer left such a field out, or was no acceptance. A \
        server that counts on its defaults then works with nothing.\n\n\
        Look at the answer and at the schema in the request. Mend it by filling in the defaults before the answer is sent, and by \
        telling the server at `initialize` that this is done.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(ElicitedDefaults::default()) },
};

#[derive(Default)]
struct ElicitedDefaults {
    /// Names of the fields with a default, and where they were asked for, by connection and id.
    asked: BTreeMap<(ConnectionId, String), (Vec<String>, Seq)>,
}

impl Monitor for ElicitedDefaults {
    fn see(&mut self, event: &Event, _view: &View, tally: &mut Tally) {
        match &event.kind {
            EventKind::WireSent { connection, message } if message.is_request("elicitation/create") => {
                let fields = fields_with_default(message);
                if let (Some(id), false) = (message.id(), fields.is_empty()) {
                    self.asked.insert((connection.clone(), id.to_string()), (fields, event.seq));
                }
            }
            EventKind::WireReceived { connection, message } => {
                for part in parts(message).iter().filter(|part| part.is_response()) {
                    self.answered(event.seq, connection, part, tally);
                }
            }
            _ => {}
        }
    }
}

impl ElicitedDefaults {
    fn answered(&mut self, seq: Seq, connection: &ConnectionId, answer: &Message, tally: &mut Tally) {
        let id = answer.id().map(ToString::to_string).unwrap_or_default();
        let Some((fields, asked)) = self.asked.remove(&(connection.clone(), id)) else { return };
        if answer.at(&["result", "action"]).and_then(Value::as_str) != Some("accept") {
            let because = format!("the input asked for at {asked} was not given at {seq}");
            return tally.broken(Violation::new("not-accepted", because, &[asked, seq]));
        }
        let content = answer.at(&["result", "content"]).and_then(Value::as_object);
        let is_missing = |field: &&String| content.is_none_or(|content| !content.contains_key(*field));
        match fields.iter().find(is_missing) {
            None => tally.held(),
            Some(field) => {
                let because = format!("{field}, which has a default at {asked}, was left out at {seq}");
                tally.broken(Violation::new("left-out", because, &[asked, seq]));
            }
        }
    }
}

fn fields_with_default(request: &Message) -> Vec<String> {
    let properties = request.at(&["params", "requestedSchema", "properties"]).and_then(Value::as_object);
    let has_default =
        |schema: &Value| schema.as_object().is_some_and(|schema: &Map<_, _>| schema.contains_key("default"));
    let fields = properties.into_iter().flatten().filter(|(_, schema)| has_default(schema));
    fields.map(|(name, _)| name.clone()).collect()
}
