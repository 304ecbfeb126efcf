//! Altered answers that a conforming server may give as well: a client must treat them like any other answer.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::check::call_results::is_legal_success;
use crate::check::shape::Schema;
use crate::plan::Revision;

/// Whether a conforming server may answer with this result, and a client must accept it. The client asked for `version`
/// if the method is `initialize`; `revision` is in use on the connection.
///
/// Counter-examples: A client may refuse a revision for which it did not ask. It may refuse a list that has a name twice, or a
/// name that some revisions do not permit. Without tools there is nothing to hand out. A client may refuse an address that is
/// none, and data that cannot be decoded. A member that no revision has may be refused.
pub(super) fn is_honest(method: &str, result: &Value, version: Option<&str>, revision: Option<Revision>) -> bool {
    match method {
        "tools/call" => is_legal_success(result, revision),
        "initialize" => {
            let is_as_asked = version.is_some() && result.get("protocolVersion").and_then(Value::as_str) == version;
            is_as_asked && opens(result)
        }
        "tools/list" => {
            let is_complete = result.get("resultType").is_none_or(|kind| kind == "complete");
            let has_cursor = result.get("nextCursor").is_none_or(Value::is_string);
            is_complete && has_cursor && result.get("tools").is_some_and(are_plain)
        }
        "ping" | "logging/setLevel" | "resources/subscribe" | "resources/unsubscribe" => {
            result.as_object().is_some_and(|members| members.keys().all(|member| member == "_meta"))
        }
        "prompts/list" => is_plain_list(method, (result, revision), ("prompts", "name")),
        "resources/list" => is_plain_list(method, (result, revision), ("resources", "uri")),
        "resources/templates/list" => is_plain_list(method, (result, revision), ("resourceTemplates", "uriTemplate")),
        "prompts/get" => keeps_to_schema(method, result, revision),
        "completion/complete" => {
            let values = result.get("completion").and_then(|completion| completion.get("values"));
            let n_values = values.and_then(Value::as_array).map_or(0, Vec::len);
            keeps_to_schema(method, result, revision) && n_values <= COMPLETIONS_MAX
        }
        "resources/read" => {
            let contents = result.get("contents").and_then(Value::as_array);
            let is_readable = |content: &Value| is_address(content.get("uri")) && content.get("blob").is_none();
            keeps_to_schema(method, result, revision) && contents.is_some_and(|all| all.iter().all(is_readable))
        }
        _ => false,
    }
}

/// Whether a whole result is as its revision has it. An unknown revision has none.
fn keeps_to_schema(method: &str, result: &Value, revision: Option<Revision>) -> bool {
    let schema = revision.map(Schema::of).filter(|schema| schema.has_result(method));
    schema.is_some_and(|schema| schema.mismatch_of_result(method, result).is_none())
        && result.get("resultType").is_none_or(|kind| kind == "complete")
}

/// Whether a list is as its revision has it, and each of its items has a name of its own and no member that a client may not
/// know.
fn is_plain_list(method: &str, (result, revision): (&Value, Option<Revision>), (list, name): (&str, &str)) -> bool {
    let mut names = BTreeSet::new();
    let mut is_plain = |item: &Value| {
        let own = item.get(name).and_then(Value::as_str).filter(|own| !own.is_empty());
        let is_of_own = own.is_some_and(|own| names.insert(own.to_owned()));
        let is_known = |member: &String| COMMON.contains(&member.as_str());
        let is_addressed = name != "uri" || is_address(item.get(name));
        is_of_own && is_addressed && item.as_object().is_some_and(|members| members.keys().all(is_known))
    };
    let items = result.get(list).and_then(Value::as_array);
    keeps_to_schema(method, result, revision) && items.is_some_and(|items| items.iter().all(&mut is_plain))
}

/// Most values of one completion.
const COMPLETIONS_MAX: usize = 100;

/// The members of prompts, resources and templates that clients of every revision know.
const COMMON: [&str; 7] = ["name", "title", "description", "arguments", "uri", "uriTemplate", "mimeType"];

/// Whether a text is an address with a scheme.
fn is_address(text: Option<&Value>) -> bool {
    let scheme = text.and_then(Value::as_str).and_then(|text| text.split_once("://")).map(|(scheme, _)| scheme);
    scheme.is_some_and(|scheme| !scheme.is_empty() && scheme.chars().all(|letter| letter.is_ascii_alphanumeric()))
}

/// Whether no page of a list follows this result.
pub(super) fn is_last_page(result: &Value) -> bool {
    result.get("nextCursor").is_none()
}

/// Whether a result opens a session of a server with tools, as every revision has it.
fn opens(result: &Value) -> bool {
    let capabilities = result.get("capabilities").and_then(Value::as_object);
    let is_flag = |(name, value): (&String, &Value)| match name.as_str() {
        "listChanged" | "subscribe" => value.is_boolean(),
        _ => true,
    };
    let is_capability = |value: &Value| value.as_object().is_some_and(|members| members.iter().all(is_flag));
    let info = result.get("serverInfo").and_then(Value::as_object);
    capabilities.is_some_and(|offered| offered.contains_key("tools") && offered.values().all(is_capability))
        && info.is_some_and(|info| has_texts(info, &["name", "version"], &["title"]))
        && result.get("instructions").is_none_or(Value::is_string)
}

/// Whether these are tools that every client must take: each with a name of its own of letters, digits, `_` and `-`, and with a
/// schema of an object.
fn are_plain(tools: &Value) -> bool {
    let mut names = BTreeSet::new();
    let is_letter = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-');
    let mut is_plain = |tool: &Value| {
        let Some(tool) = tool.as_object() else { return false };
        let name = tool.get("name").and_then(Value::as_str).unwrap_or_default();
        let is_named = (1..=64).contains(&name.len()) && name.chars().all(is_letter) && names.insert(name.to_owned());
        let kind = tool.get("inputSchema").and_then(|schema| schema.get("type"));
        let is_common =
            tool.keys().all(|member| matches!(member.as_str(), "name" | "inputSchema" | "title" | "description"));
        is_named
            && is_common
            && has_texts(tool, &[], &["title", "description"])
            && kind.is_some_and(|kind| kind == "object")
    };
    tools.as_array().is_some_and(|tools| !tools.is_empty() && tools.iter().all(&mut is_plain))
}

/// Whether some members are texts, and others are if they are there.
fn has_texts(object: &Map<String, Value>, needed: &[&str], optional: &[&str]) -> bool {
    needed.iter().all(|name| object.get(*name).is_some_and(Value::is_string))
        && optional.iter().all(|name| object.get(*name).is_none_or(Value::is_string))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn opened(result: &Value) -> bool {
        is_honest("initialize", result, Some("2025-11-25"), Some(Revision::R20251125))
    }

    fn lists(result: &Value) -> bool {
        is_honest("tools/list", result, None, Some(Revision::R20251125))
    }

    #[test]
    fn a_server_may_declare_more_but_not_agree_to_another_revision() {
        let answer = |version: &str, capabilities: Value| {
            let info = json!({"name": "s", "version": "1"});
            json!({"protocolVersion": version, "capabilities": capabilities, "serverInfo": info, "instructions": "x"})
        };
        assert!(opened(&answer("2025-11-25", json!({"tools": {"listChanged": true}}))));
        let odd = [
            answer("2025-06-18", json!({"tools": {}})),
            answer("2025-11-25", json!({})),
            answer("2025-11-25", json!({"tools": []})),
            answer("2025-11-25", json!({"tools": {"listChanged": "yes"}})),
            answer("2025-11-25", json!({"tools": {}, "logging": true})),
            json!({"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}}),
        ];
        for result in odd {
            assert!(!opened(&result), "{result}");
        }
    }

    #[test]
    fn a_list_of_plain_tools_is_honest_and_ends_with_its_last_page() {
        let tool = |name: &str| json!({"name": name, "inputSchema": {"type": "object"}});
        let page = json!({"tools": [tool("read")], "nextCursor": "2"});
        assert!(lists(&page) && !is_last_page(&page));
        let last = json!({"tools": [tool("read"), tool("write")]});
        assert!(lists(&last) && is_last_page(&last));
        let odd = [
            json!({"tools": []}),
            json!({"tools": "none"}),
            json!({"tools": [tool("read"), tool("read")]}),
            json!({"tools": [tool("")]}),
            json!({"tools": [tool("read it")]}),
            json!({"tools": [{"name": "read"}]}),
            json!({"tools": [{"name": "read", "inputSchema": {"type": "object"}, "description": 7}]}),
            json!({"tools": [{"name": "read", "inputSchema": {"type": "object"}, "outputSchema": {"type": "object"}}]}),
            json!({"tools": [tool("read")], "nextCursor": 2}),
        ];
        for result in odd {
            assert!(!lists(&result), "{result}");
        }
    }

    #[test]
    fn lists_of_prompts_and_resources_are_honest_as_their_revision_has_them() {
        let is_honest = |method: &str, result: Value| is_honest(method, &result, None, Some(Revision::R20251125));
        let read = |address: &str| json!({"contents": [{"uri": address, "text": "a"}]});
        assert!(is_honest("prompts/list", json!({"prompts": [{"name": "greet", "arguments": [{"name": "who"}]}]})));
        assert!(is_honest("prompts/list", json!({"prompts": []})));
        assert!(is_honest("resources/list", json!({"resources": [{"uri": "file:///a", "name": "a"}]})));
        assert!(is_honest("resources/read", read("file:///a")));
        let message = json!({"role": "user", "content": {"type": "text", "text": "hello"}});
        assert!(is_honest("prompts/get", json!({"messages": [message]})));
        assert!(is_honest("ping", json!({})));
        let odd = [
            ("prompts/list", json!({"prompts": [{"name": "greet"}, {"name": "greet"}]})),
            ("prompts/list", json!({"prompts": [{"name": "greet", "arguments": "who"}]})),
            ("prompts/list", json!({"prompts": [{"name": "greet", "colour": "red"}]})),
            ("resources/list", json!({"resources": [{"uri": "nowhere", "name": "a"}]})),
            ("resources/read", read("")),
            ("resources/read", json!({"contents": [{"uri": "file:///a", "blob": "?"}]})),
            ("prompts/get", json!({"messages": "hello"})),
            ("ping", json!("pong")),
            ("completion/complete", json!({"completion": {"values": vec!["a"; 101]}})),
        ];
        for (method, result) in odd {
            assert!(!is_honest(method, result.clone()), "{method} {result}");
        }
    }
}
