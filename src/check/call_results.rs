//! Results of calls: which ones a client must take as a success.

use serde_json::Value;

use crate::plan::Revision;

/// Whether a result is one of a call that succeeded, as its revision has it. An unknown revision has none.
pub(super) fn is_legal_success(result: &Value, revision: Option<Revision>) -> bool {
    let (Some(revision), Some(content)) = (revision, result.get("content").and_then(Value::as_array)) else {
        return false;
    };
    let is_object_or_absent = |name: &str| result.get(name).is_none_or(Value::is_object);
    matches!(result.get("isError"), None | Some(Value::Bool(false)))
        && result.get("resultType").is_none_or(|kind| kind == "complete")
        && ["structuredContent", "_meta"].into_iter().all(is_object_or_absent)
        && content.iter().all(|block| is_legal_block(block, revision))
}

fn is_legal_block(block: &Value, revision: Revision) -> bool {
    let is_text = |value: &Value, name: &str| value.get(name).is_some_and(Value::is_string);
    let is_media = || is_text(block, "data") && is_text(block, "mimeType");
    match block.get("type").and_then(Value::as_str) {
        Some("text") => is_text(block, "text"),
        Some("image") => is_media(),
        Some("audio") => revision >= Revision::R20250326 && is_media(),
        Some("resource_link") => revision >= Revision::R20250618 && is_text(block, "uri") && is_text(block, "name"),
        Some("resource") => block.get("resource").is_some_and(|resource| {
            is_text(resource, "uri") && (is_text(resource, "text") || is_text(resource, "blob"))
        }),
        Some(_) | None => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_result_is_a_success_as_its_revision_has_it() {
        let link = json!({"content": [{"type": "resource_link", "uri": "file:///a", "name": "a"}]});
        assert!(is_legal_success(&link, Some(Revision::R20250618)));
        assert!(!is_legal_success(&link, Some(Revision::R20250326)));
        assert!(!is_legal_success(&link, None));
        assert!(is_legal_success(&json!({"content": []}), Some(Revision::R20250326)));
        let illegal = [
            json!({}),
            json!({"content": [], "isError": true}),
            json!({"content": [{"type": "text"}]}),
            json!({"content": [{"type": "image", "data": "AA=="}]}),
            json!({"content": [], "resultType": "input_required"}),
            json!({"content": [], "structuredContent": []}),
        ];
        for result in illegal {
            assert!(!is_legal_success(&result, Some(Revision::R20260728)), "{result}");
        }
    }
}
