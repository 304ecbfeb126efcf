//! Answers that are not as they should be, made of the honest one.

use serde_json::{Map, Value, json};

use crate::script::Action;

/// Added to a numeric id to give one that nobody has asked with.
const FAR: u64 = 1_000_000;
/// The code of an error that stands beside a result.
const BESIDE: i64 = -32_000;
/// What stands behind a message in the same line.
const NOTICE: &[u8] = br#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#;

/// The message that is sent in place of an honest answer to a request with these parameters.
pub(super) fn forged(action: &Action, honest: &[u8], params: &Value) -> Value {
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
        Action::OddError => {
            members(&mut answer).remove("result");
            answer["error"] = Value::from("something went wrong");
        }
        Action::ExtraMember => answer["trace"] = json!({ "span": "7f3a" }),
        Action::FloatId => answer["id"] = fraction(&answer["id"]),
        Action::Batch => answer = Value::Array(vec![answer]),
        Action::OmitResult(names) => {
            if let Some(Value::Object(result)) = answer.get_mut("result") {
                result.retain(|name, _| !names.contains(name));
            }
        }
        Action::EchoVersion => {
            if let (Some(found), Some(asked)) =
                (answer.pointer_mut("/result/protocolVersion"), params.get("protocolVersion"))
            {
                *found = asked.clone();
            }
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

/// An honest answer with more in its `_meta` than a reader may want. One that has no result stays as it is.
pub(super) fn text(action: &Action, honest: &[u8]) -> Vec<u8> {
    const RESULT: &[u8] = br#","result":{"#;
    let Some(at) = honest.windows(RESULT.len()).position(|window| window == RESULT) else { return honest.to_vec() };
    let (head, rest) = honest.split_at(at + RESULT.len());
    let more = match action {
        Action::Deep(depth) => [vec![b'['; *depth as usize], vec![b']'; *depth as usize]].concat(),
        Action::Pad(n_bytes) => [&b"\""[..], &vec![b'x'; *n_bytes as usize], b"\""].concat(),
        _ => b"null".to_vec(),
    };
    let comma: &[u8] = if rest.starts_with(b"}") { b"" } else { b"," };
    [head, br#""_meta":{"mcp-mock/more":"#, &more, b"}", comma, rest].concat()
}

/// The bytes of a message over lines, as such an action writes them.
pub(super) fn line_of(action: &Action, message: &[u8]) -> Vec<u8> {
    let half = &message[..message.len() / 2];
    match action {
        Action::CarriageReturn => [message, b"\r\n"].concat(),
        Action::ByteOrderMark => [b"\xEF\xBB\xBF", message, b"\n"].concat(),
        Action::HalfLine => half.to_vec(),
        Action::BrokenJson => [half, b"\n"].concat(),
        Action::BlankLines(times) => [&b"\n".repeat(*times as usize), message, b"\n"].concat(),
        Action::BadUtf8 => [without_utf8(message), b"\n".to_vec()].concat(),
        Action::Glued => [message, NOTICE, b"\n"].concat(),
        Action::Pretty => [pretty(message), b"\n".to_vec()].concat(),
        Action::LengthHeader => [format!("Content-Length: {}\r\n\r\n", message.len()).as_bytes(), message].concat(),
        _ => [message, b"\n"].concat(),
    }
}

/// Whether a client can find a whole message in such a line.
pub(super) fn is_whole(action: &Action) -> bool {
    let is_cut = matches!(action, Action::HalfLine | Action::BrokenJson | Action::BadUtf8);
    !is_cut && !matches!(action, Action::Glued | Action::Pretty | Action::LengthHeader)
}

/// The message with a byte before the end of its last text that no UTF-8 has there.
fn without_utf8(message: &[u8]) -> Vec<u8> {
    let at = message.iter().rposition(|byte| *byte == b'"').unwrap_or_default();
    [&message[..at], &[0xFF], &message[at..]].concat()
}

fn pretty(message: &[u8]) -> Vec<u8> {
    let message: Value = serde_json::from_slice(message).expect("our own lines are JSON");
    format!("{message:#}").into_bytes()
}

fn fraction(id: &Value) -> Value {
    match id.as_f64() {
        Some(number) => Value::from(number),
        None => Value::from(0.5),
    }
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
            assert_eq!(forged(&action, HONEST, &Value::Null), expected, "{}", action.name());
        }
    }

    #[test]
    fn an_answer_that_is_an_error_is_forged_too() {
        assert_eq!(forged(&Action::UnknownId, FAILED, &Value::Null)["id"], "x-1000000");
        assert_eq!(forged(&Action::ConvertedId, FAILED, &Value::Null)["id"], 0);
        let both = forged(&Action::ResultAndError, FAILED, &Value::Null);
        assert_eq!((&both["result"], &both["error"]["code"]), (&json!({}), &json!(-1)));
        let both = forged(&Action::ResultAndError, HONEST, &Value::Null);
        assert_eq!((&both["result"]["a"], &both["error"]["code"]), (&json!(1), &json!(-32_000)));
        assert_eq!(forged(&Action::AnswerResult(json!({})), FAILED, &Value::Null).get("error"), None::<&Value>);
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
