//! The right response to each request of a server.

use serde_json::{Value, json};

/// A response with a result.
pub fn result(request: &Value, result: Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": request["id"], "result": result })
}

/// A response with an error.
pub fn failure(request: &Value, code: i64) -> Value {
    json!({ "jsonrpc": "2.0", "id": request["id"], "error": { "code": code, "message": "not served" } })
}

/// The response of a client that has declared these capabilities.
pub fn proper(request: &Value, capabilities: &Value) -> Value {
    let has = |name: &str| capabilities.get(name).is_some();
    match request["method"].as_str().unwrap_or_default() {
        "ping" => result(request, json!({})),
        "roots/list" if has("roots") => {
            result(request, json!({ "roots": [{ "uri": "file:///work", "name": "work" }] }))
        }
        "sampling/createMessage" if has("sampling") => result(request, sample()),
        "elicitation/create" if has("elicitation") && request["params"]["mode"] == "url" => {
            if capabilities["elicitation"].get("url").is_some() {
                result(request, json!({ "action": "decline" }))
            } else {
                failure(request, -32_602)
            }
        }
        "elicitation/create" if has("elicitation") => result(request, json!({ "action": "decline" })),
        _ => failure(request, -32_601),
    }
}

/// A completion of a model.
pub fn sample() -> Value {
    json!({ "role": "assistant", "content": { "type": "text", "text": "yes" }, "model": "none" })
}
