//! Answers that are not as they should be, made of the honest one.

use serde_json::{Map, Value, json};

use crate::script::Action;

/// Added to a numeric id to give one that nobody has asked with.
const FAR: u64 = 1_000_000;
/// The code of an error that stands beside a result.
const BESIDE: i64 = -32_000;

/// The message that is sent in place of an honest answer.
pub(super) fn forged(action: &Action, honest: &[u8]) -> Value {
    let mut answer: Value = serde_json::from_slice(honest).expect("our own lines are JSON");
    match action {
        Action::UnknownId => answer["id"] = unknown(&answer["id"]),
        Action::ConvertedId => answer["id"] = converted(&answer["id"]),
        Action::NullId => answer["id"] = Value::Null,
        Action::ResultAndError => {
            let error = json!({ "code": BESIDE, "message": "An error beside a result" });
            members(&mut answer).entry("error").or_insert(error);
            members(&mut answer).entry("result").or_insert_with(|| json!({}));
        }
        Action::NoResult => {
            members(&mut answer).remove("result");
            members(&mut answer).remove("error");
        }
        Action::NoJsonrpc => {
            members(&mut answer).remove("jsonrpc");
        }
        Action::AnswerResult(result) => {
            members(&mut answer).remove("error");
            answer["result"] = result.clone();
        }
        Action::AlterResult(changes) => {
            if let Some(Value::Object(result)) = answer.get_mut("result") {
                result.extend(changes.clone());
            }
        }
        _ => {}
    }
    answer
}

/// The bytes of a message over lines, as such an action writes them.
pub(super) fn line_of(action: &Action, message: &[u8]) -> Vec<u8> {
    let half = &message[..message.len() / 2];
    match action {
        Action::CarriageReturn => [message, b"\r\n"].concat(),
        Action::ByteOrderMark => [b"\xEF\xBB\xBF", message, b"\n"].concat(),
        Action::HalfLine => half.to_vec(),
        Action::BrokenJson => [half, b"\n"].concat(),
        _ => [message, b"\n"].concat(),
    }
}

/// Whether a client can find a whole message in such a line.
pub(super) fn is_whole(action: &Action) -> bool {
    !matches!(action, Action::HalfLine | Action::BrokenJson)
}

fn members(answer: &mut Value) -> &mut Map<String, Value> {
    answer.as_object_mut().expect("an answer is an object")
}

fn unknown(id: &Value) -> Value {
    match id {
        Value::String(text) => Value::from(format!("{text}-{FAR}")),
        number => Value::from(number.as_u64().unwrap_or_default().saturating_add(FAR)),
    }
}

fn converted(id: &Value) -> Value {
    match id {
        Value::Number(number) => Value::from(number.to_string()),
        _ => Value::from(0),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value, json};

    use super::{forged, line_of};
    use crate::script::Action;

    const HONEST: &[u8] = br#"{"jsonrpc":"2.0","id":7,"result":{"a":1,"b":2}}"#;
    const FAILED: &[u8] = br#"{"jsonrpc":"2.0","id":"x","error":{"code":-1,"message":"no"}}"#;

    #[test]
    fn each_action_changes_what_it_says_and_nothing_else() {
        let changes = Map::from_iter([("b".to_owned(), json!(3))]);
        for (action, expected) in [
            (Action::UnknownId, json!({ "jsonrpc": "2.0", "id": 1_000_007, "result": { "a": 1, "b": 2 } })),
            (Action::ConvertedId, json!({ "jsonrpc": "2.0", "id": "7", "result": { "a": 1, "b": 2 } })),
            (Action::NullId, json!({ "jsonrpc": "2.0", "id": null, "result": { "a": 1, "b": 2 } })),
            (Action::NoResult, json!({ "jsonrpc": "2.0", "id": 7 })),
            (Action::NoJsonrpc, json!({ "id": 7, "result": { "a": 1, "b": 2 } })),
            (Action::AnswerResult(json!([])), json!({ "jsonrpc": "2.0", "id": 7, "result": [] })),
            (Action::AlterResult(changes), json!({ "jsonrpc": "2.0", "id": 7, "result": { "a": 1, "b": 3 } })),
        ] {
            assert_eq!(forged(&action, HONEST), expected, "{}", action.name());
        }
    }

    #[test]
    fn an_answer_that_is_an_error_is_forged_too() {
        assert_eq!(forged(&Action::UnknownId, FAILED)["id"], "x-1000000");
        assert_eq!(forged(&Action::ConvertedId, FAILED)["id"], 0);
        let both = forged(&Action::ResultAndError, FAILED);
        assert_eq!((&both["result"], &both["error"]["code"]), (&json!({}), &json!(-1)));
        let both = forged(&Action::ResultAndError, HONEST);
        assert_eq!((&both["result"]["a"], &both["error"]["code"]), (&json!(1), &json!(-32_000)));
        assert_eq!(forged(&Action::AnswerResult(json!({})), FAILED).get("error"), None::<&Value>);
    }

    #[test]
    fn a_line_is_written_as_the_action_says() {
        for (action, expected) in [
            (Action::CarriageReturn, &b"abcd\r\n"[..]),
            (Action::ByteOrderMark, b"\xEF\xBB\xBFabcd\n"),
            (Action::HalfLine, b"ab"),
            (Action::BrokenJson, b"ab\n"),
            (Action::UnknownId, b"abcd\n"),
        ] {
            assert_eq!(line_of(&action, b"abcd"), expected, "{}", action.name());
        }
    }
}
