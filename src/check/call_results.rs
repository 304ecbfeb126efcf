//! Results of calls: which ones a client must treat as a success.

use serde_json::Value;

use crate::check::shape::Schema;
use crate::plan::Revision;

/// Whether a result is one of a call that succeeded, as its revision has it. An unknown revision has none.
pub(super) fn is_legal_success(result: &Value, revision: Option<Revision>) -> bool {
    revision.is_some_and(|revision| Schema::of(revision).mismatch_of_result("tools/call", result).is_none())
        && matches!(result.get("isError"), None | Some(Value::Bool(false)))
        && result.get("resultType").is_none_or(|kind| kind == "complete")
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
