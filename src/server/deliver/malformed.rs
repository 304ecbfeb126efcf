//! Malformed answers, made from the conforming one.

use serde_json::{Map, Value, json};

use crate::script::family::{LongMessage, MalformedLine, MalformedMessage};
use crate::server::cause::Cause;
use crate::server::clients::Clients;
use crate::server::effect::Effect;
use crate::server::task::Task;

/// Added to a numeric id to make one that no request had.
const FAR: u64 = 1_000_000;
/// The code of an error next to a result.
const NEXT_TO_RESULT: i64 = -32_000;
/// A message that follows an answer in the same line.
const NOTICE: &[u8] = br#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#;

/// Answers with a malformed message.
pub(super) fn deliver_message(defect: MalformedMessage<'_>, task: &Task, clients: &mut Clients) {
    let Cause::Request { params, .. } = &task.cause else { return };
    if let Some(answer) = clients.conforming_answer(&task.cause, task.place) {
        clients.answer(task.place, malformed(defect, &answer, params).to_string().into_bytes());
    }
}

/// Answers with a message that is valid, but deeper or longer than a reader may accept.
pub(super) fn deliver_long(defect: LongMessage<'_>, task: &Task, clients: &mut Clients) {
    if let Some(answer) = clients.conforming_answer(&task.cause, task.place) {
        clients.answer(task.place, long(defect, &answer));
    }
}

/// Answers with a malformed line.
pub(super) fn deliver_line(defect: MalformedLine<'_>, task: &Task, clients: &mut Clients) {
    let Some(answer) = clients.conforming_answer(&task.cause, task.place) else { return };
    let Some((lines, state)) = clients.lines() else { return };
    let line = line_of(defect, &answer);
    let write = if defect == MalformedLine::Split { Effect::WriteApart(line) } else { Effect::Write(line) };
    lines.send_malformed(&answer, is_readable(defect), write, state);
}

/// The malformed message for the answer to a request with these parameters.
fn malformed(defect: MalformedMessage<'_>, answer: &[u8], params: &Value) -> Value {
    let mut answer: Value = serde_json::from_slice(answer).expect("our own lines are JSON");
    match defect {
        MalformedMessage::UnknownId => answer["id"] = unknown(&answer["id"]),
        MalformedMessage::ConvertedId => answer["id"] = converted(&answer["id"]),
        MalformedMessage::NullId => answer["id"] = Value::Null,
        MalformedMessage::FloatId => answer["id"] = fraction(&answer["id"]),
        MalformedMessage::ResultAndError => {
            let error = json!({ "code": NEXT_TO_RESULT, "message": "An error beside a result" });
            members(&mut answer).entry("error").or_insert(error);
            members(&mut answer).entry("result").or_insert_with(|| json!({}));
        }
        MalformedMessage::NoResult => {
            members(&mut answer).remove("result");
            members(&mut answer).remove("error");
        }
        MalformedMessage::OddError => {
            members(&mut answer).remove("result");
            answer["error"] = Value::from("something went wrong");
        }
        MalformedMessage::NoJsonrpc => {
            members(&mut answer).remove("jsonrpc");
        }
        MalformedMessage::ExtraMember => answer["trace"] = json!({ "span": "7f3a" }),
        MalformedMessage::Batch => answer = Value::Array(vec![answer]),
        MalformedMessage::AnswerResult(result) => {
            members(&mut answer).remove("error");
            answer["result"] = result.clone();
        }
        MalformedMessage::AlterResult(changes) => {
            if let Some(Value::Object(result)) = answer.get_mut("result") {
                result.extend(changes.clone());
            }
        }
        MalformedMessage::OmitResult(names) => {
            if let Some(Value::Object(result)) = answer.get_mut("result") {
                result.retain(|name, _| !names.contains(name));
            }
        }
        MalformedMessage::EchoVersion => {
            let found = answer.pointer_mut("/result/protocolVersion");
            if let (Some(found), Some(requested)) = (found, params.get("protocolVersion")) {
                *found = requested.clone();
            }
        }
    }
    answer
}

/// An answer with a deep or long value in its `_meta`. An answer without a result stays unchanged.
fn long(defect: LongMessage<'_>, answer: &[u8]) -> Vec<u8> {
    const RESULT: &[u8] = br#","result":{"#;
    let Some(at) = answer.windows(RESULT.len()).position(|window| window == RESULT) else { return answer.to_vec() };
    let (head, rest) = answer.split_at(at + RESULT.len());
    let more = match defect {
        LongMessage::Deep(depth) => [vec![b'['; *depth as usize], vec![b']'; *depth as usize]].concat(),
        LongMessage::Pad(n_bytes) => [&b"\""[..], &vec![b'x'; *n_bytes as usize], b"\""].concat(),
    };
    let comma: &[u8] = if rest.starts_with(b"}") { b"" } else { b"," };
    [head, br#""_meta":{"mcp-mock/more":"#, &more, b"}", comma, rest].concat()
}

/// The bytes of a message in a malformed line.
fn line_of(defect: MalformedLine<'_>, message: &[u8]) -> Vec<u8> {
    let half = &message[..message.len() / 2];
    match defect {
        MalformedLine::CarriageReturn => [message, b"\r\n"].concat(),
        MalformedLine::ByteOrderMark => [b"\xEF\xBB\xBF", message, b"\n"].concat(),
        MalformedLine::Split => [message, b"\n"].concat(),
        MalformedLine::HalfLine => half.to_vec(),
        MalformedLine::BrokenJson => [half, b"\n"].concat(),
        MalformedLine::BlankLines(times) => [&b"\n".repeat(*times as usize), message, b"\n"].concat(),
        MalformedLine::BadUtf8 => [without_utf8(message), b"\n".to_vec()].concat(),
        MalformedLine::Glued => [message, NOTICE, b"\n"].concat(),
        MalformedLine::Pretty => [pretty(message), b"\n".to_vec()].concat(),
        MalformedLine::LengthHeader => {
            [format!("Content-Length: {}\r\n\r\n", message.len()).as_bytes(), message].concat()
        }
    }
}

/// Whether a client can find the whole message in such a line.
fn is_readable(defect: MalformedLine<'_>) -> bool {
    match defect {
        MalformedLine::CarriageReturn | MalformedLine::ByteOrderMark | MalformedLine::Split => true,
        MalformedLine::BlankLines(_) => true,
        MalformedLine::HalfLine | MalformedLine::BrokenJson | MalformedLine::BadUtf8 => false,
        MalformedLine::Glued | MalformedLine::Pretty | MalformedLine::LengthHeader => false,
    }
}

/// The message with a byte that is not UTF-8 before the end of its last string.
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

    use super::{line_of, malformed};
    use crate::script::family::{MalformedLine, MalformedMessage};

    const ANSWER: &[u8] = br#"{"jsonrpc":"2.0","id":7,"result":{"a":1,"b":2}}"#;
    const FAILED: &[u8] = br#"{"jsonrpc":"2.0","id":"x","error":{"code":-1,"message":"no"}}"#;

    #[test]
    fn each_action_changes_what_it_says_and_nothing_else() {
        let changes = Map::from_iter([("b".to_owned(), json!(3))]);
        let list = json!([]);
        for (defect, expected) in [
            (MalformedMessage::UnknownId, json!({ "jsonrpc": "2.0", "id": 1_000_007, "result": { "a": 1, "b": 2 } })),
            (MalformedMessage::ConvertedId, json!({ "jsonrpc": "2.0", "id": "7", "result": { "a": 1, "b": 2 } })),
            (MalformedMessage::NullId, json!({ "jsonrpc": "2.0", "id": null, "result": { "a": 1, "b": 2 } })),
            (MalformedMessage::NoResult, json!({ "jsonrpc": "2.0", "id": 7 })),
            (MalformedMessage::NoJsonrpc, json!({ "id": 7, "result": { "a": 1, "b": 2 } })),
            (MalformedMessage::AnswerResult(&list), json!({ "jsonrpc": "2.0", "id": 7, "result": [] })),
            (
                MalformedMessage::AlterResult(&changes),
                json!({ "jsonrpc": "2.0", "id": 7, "result": { "a": 1, "b": 3 } }),
            ),
        ] {
            assert_eq!(malformed(defect, ANSWER, &Value::Null), expected, "{defect:?}");
        }
    }

    #[test]
    fn an_answer_that_is_an_error_is_malformed_too() {
        let failed = |defect| malformed(defect, FAILED, &Value::Null);
        assert_eq!(failed(MalformedMessage::UnknownId)["id"], "x-1000000");
        assert_eq!(failed(MalformedMessage::ConvertedId)["id"], 0);
        let both = failed(MalformedMessage::ResultAndError);
        assert_eq!((&both["result"], &both["error"]["code"]), (&json!({}), &json!(-1)));
        let both = malformed(MalformedMessage::ResultAndError, ANSWER, &Value::Null);
        assert_eq!((&both["result"]["a"], &both["error"]["code"]), (&json!(1), &json!(-32_000)));
        assert_eq!(failed(MalformedMessage::AnswerResult(&json!({}))).get("error"), None::<&Value>);
    }

    #[test]
    fn a_line_is_written_as_the_action_says() {
        for (defect, expected) in [
            (MalformedLine::CarriageReturn, &b"abcd\r\n"[..]),
            (MalformedLine::ByteOrderMark, b"\xEF\xBB\xBFabcd\n"),
            (MalformedLine::HalfLine, b"ab"),
            (MalformedLine::BrokenJson, b"ab\n"),
            (MalformedLine::Split, b"abcd\n"),
        ] {
            assert_eq!(line_of(defect, b"abcd"), expected, "{defect:?}");
        }
    }
}
