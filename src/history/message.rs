//! JSON-RPC messages as they crossed the wire.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::history::{KnownMethod, Name};

/// A JSON-RPC message as it crossed the wire. Of a body above the size limit, it keeps `method`, `id`, the beginning,
/// the length and a hash.
///
/// The constructor computes the properties that rules need, because two dozen monitors examine each message.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    body: Value,
    names: Names,
    /// A method that the protocol does not have.
    other: Option<Box<str>>,
    known: Option<KnownMethod>,
    /// `id` as JSON text; empty if it is missing or null.
    id_text: Name,
    has_id: bool,
    has_error: bool,
    has_result: bool,
    is_cut: bool,
}

/// Which names a message has, one bit for many names. Most names for which rules look are not there, and to find that out in
/// the maps takes long.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Names {
    outer: u32,
    inner: u32,
}

impl Names {
    fn of(body: &Value) -> Self {
        let mut names = Self::default();
        for (name, value) in body.as_object().into_iter().flatten() {
            names.outer |= Self::bit(name);
            let inner = value.as_object().into_iter().flatten();
            inner.for_each(|(name, _)| names.inner |= Self::bit(name));
        }
        names
    }

    fn bit(name: &str) -> u32 {
        let (first, last) = (name.bytes().next().unwrap_or_default(), name.bytes().next_back().unwrap_or_default());
        1 << (((name.len() << 4) ^ (usize::from(first) << 1) ^ usize::from(last)) % 32)
    }

    /// Whether the value at a path may be there.
    fn may_have(self, path: &[&str]) -> bool {
        let is_in = |names: u32, name: Option<&&str>| name.is_none_or(|name| names & Self::bit(name) != 0);
        is_in(self.outer, path.first()) && is_in(self.inner, path.get(1))
    }
}

impl Message {
    /// Wraps any JSON value.
    #[must_use]
    pub fn new(body: Value) -> Self {
        let field = |name: &str| body.as_object().and_then(|fields| fields.get(name));
        let name = field("method").and_then(Value::as_str);
        let known = name.and_then(KnownMethod::named);
        // A known name needs no copy.
        let other = name.filter(|_| known.is_none()).map(Box::from);
        let id = field("id").filter(|id| !id.is_null());
        let id_text = id.map(Name::from).unwrap_or_default();
        let has_id = id.is_some();
        let (has_error, has_result) = (field("error").is_some(), field("result").is_some());
        let is_cut = field("cut").is_some();
        let names = Names::of(&body);
        Self { body, names, other, known, id_text, has_id, has_error, has_result, is_cut }
    }

    /// The whole message.
    #[must_use]
    pub fn body(&self) -> &Value {
        &self.body
    }

    /// The value at this path of names, outermost first; `None` if one of them is missing.
    #[must_use]
    pub fn at(&self, path: &[&str]) -> Option<&Value> {
        let found = || path.iter().try_fold(&self.body, |value, name| value.as_object()?.get(*name));
        if self.names.may_have(path) { found() } else { None }
    }

    /// `method`; `None` for a response.
    #[must_use]
    pub fn method(&self) -> Option<&str> {
        self.known.map(KnownMethod::as_str).or(self.other.as_deref())
    }

    /// `method` as a text of its own, without a copy of one that the protocol has.
    pub(crate) fn method_name(&self) -> Option<Cow<'static, str>> {
        self.known
            .map(|known| known.as_str().into())
            .or_else(|| self.other.as_deref().map(|other| other.to_owned().into()))
    }

    /// `method`, if the protocol has it.
    #[must_use]
    pub fn known_method(&self) -> Option<KnownMethod> {
        self.known
    }

    /// `id`, unless it is missing or null.
    #[must_use]
    pub fn id(&self) -> Option<&Value> {
        if self.has_id { self.at(&["id"]) } else { None }
    }

    /// `id` as JSON text; empty if it is missing or null.
    #[must_use]
    pub fn id_text(&self) -> Name {
        self.id_text.clone()
    }

    fn has_method(&self) -> bool {
        self.known.is_some() || self.other.is_some()
    }

    /// Whether it has a method and an id.
    #[must_use]
    pub fn is_any_request(&self) -> bool {
        self.has_method() && self.has_id
    }

    /// Whether it is a request with this method.
    #[must_use]
    pub fn is_request(&self, method: &str) -> bool {
        self.has_id && self.method() == Some(method)
    }

    /// Whether it is a notification with this method.
    #[must_use]
    pub fn is_notification(&self, method: &str) -> bool {
        !self.has_id && self.method() == Some(method)
    }

    /// Whether it is a response: an id and no method.
    #[must_use]
    pub fn is_response(&self) -> bool {
        !self.has_method() && self.has_id
    }

    /// Whether it is a response that carries an error.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.is_response() && self.has_error
    }

    /// Whether it carries a result or an error.
    #[must_use]
    pub fn has_outcome(&self) -> bool {
        self.has_result || self.has_error
    }

    /// Whether it is a response that every client understands: of version 2.0, with an object as its result, or an error with a
    /// code and a text, and not both. The outcome of a message that was cut is not on record, and counts as understood.
    pub(crate) fn is_sound_response(&self) -> bool {
        let is_sound_error = || {
            let part = |name| self.at(&["error", name]);
            part("code").is_some_and(Value::is_i64) && part("message").is_some_and(Value::is_string)
        };
        let is_sound_result = || self.at(&["result"]).is_some_and(Value::is_object);
        let has_sound_outcome = match (self.has_result, self.has_error) {
            (true, false) => is_sound_result(),
            (false, true) => is_sound_error(),
            (true, true) | (false, false) => false,
        };
        let is_of_version = || self.at(&["jsonrpc"]).is_some_and(|version| version == "2.0");
        self.is_response() && (self.is_cut || has_sound_outcome && is_of_version())
    }

    /// Whether the mock shortened it because of its size.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// The id of the request that a `notifications/cancelled` cancels.
    #[must_use]
    pub fn cancelled_request(&self) -> Option<&Value> {
        if self.is_notification("notifications/cancelled") { self.at(&["params", "requestId"]) } else { None }
    }
}

impl Serialize for Message {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.body.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Message {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Value::deserialize(deserializer).map(Self::new)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_response_is_sound_if_it_has_one_outcome_of_the_right_shape() {
        let error = json!({ "code": -32603, "message": "x" });
        for (outcome, is_sound) in [
            (json!({ "result": {} }), true),
            (json!({ "result": [] }), false),
            (json!({ "result": null }), false),
            (json!({ "error": error }), true),
            (json!({ "error": "x" }), false),
            (json!({ "error": { "code": "x", "message": "x" } }), false),
            (json!({ "error": { "code": 1 } }), false),
            (json!({ "result": {}, "error": error }), false),
            (json!({ "cut": true }), true),
            (json!({}), false),
        ] {
            let mut body = outcome;
            body["id"] = json!(1);
            assert!(body.get("cut").is_some() || !Message::new(body.clone()).is_sound_response(), "{body}");
            body["jsonrpc"] = json!("2.0");
            assert_eq!(Message::new(body.clone()).is_sound_response(), is_sound, "{body}");
            body["method"] = json!("ping");
            assert!(!Message::new(body.clone()).is_sound_response(), "{body}");
        }
    }

    #[test]
    fn a_name_is_found_where_it_is_and_nowhere_else() {
        let message =
            Message::new(json!({ "id": 1, "method": "x/y", "params": { "": 2, "_meta": { "a": { "b": 3 } } } }));
        assert_eq!(message.at(&[]), Some(message.body()));
        assert_eq!(message.at(&["params", ""]), Some(&json!(2)));
        assert_eq!(message.at(&["params", "_meta", "a", "b"]), Some(&json!(3)));
        for missing in [&["result"][..], &["params", "a"], &["id", "params"], &["params", "_meta", "b"]] {
            assert_eq!(message.at(missing), None, "{missing:?}");
        }
        assert_eq!((message.method(), message.known_method()), (Some("x/y"), None));
        assert!(Message::new(json!([1])).at(&["id"]).is_none());
    }
}
