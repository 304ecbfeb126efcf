//! Every message a conforming mock of the stateless generation sends has the shape that its schema gives it.

use std::fs;

use jsonschema::Validator;
use serde_json::{Value, json};

use crate::mock::stateless_client::{Talk, VERSION, call, request, script};
use crate::rig::root;

/// The schema of the revision, in the folder beside this one where there is such a folder.
fn schema() -> Option<Value> {
    let path = root().join("../shared/schemas/mcp/2026-07-28.json");
    let Ok(text) = fs::read_to_string(&path) else {
        eprintln!("UNAVAILABLE: nothing was compared with the schema: {} is not there", path.display());
        return None;
    };
    serde_json::from_str(&text).unwrap()
}

fn check(schema: &Value, kind: &str, message: &Value) {
    let mut of_kind = schema.clone();
    of_kind["$ref"] = json!(format!("#/$defs/{kind}"));
    let validator: Validator = jsonschema::validator_for(&of_kind).unwrap();
    let errors: Vec<String> = validator.iter_errors(message).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{kind}: {errors:?}: {message}");
}

#[test]
fn results_errors_and_notifications_are_as_their_schema_says() {
    let Some(schema) = schema() else { return };
    let mut elder = call(6);
    elder["params"]["_meta"][VERSION] = json!("2024-11-05");
    let bare = json!({ "jsonrpc": "2.0", "id": 7, "method": "ping" });
    let changing = script(
        "[[rule]]\non = { request = \"tools/call\" }\ndo = [{ notify = \"notifications/tools/list_changed\" }]\n\
         [[rule]]\non = { request = \"subscriptions/listen\" }\n\
         do = [\"answer\", { hold = \"ending\" }, \"answer-anyway\"]\n",
    );
    for mut talk in Talk::both(&changing, "2026-07-28") {
        for (body, kind) in [
            (request(1, "server/discover", json!({})), "DiscoverResultResponse"),
            (request(2, "tools/list", json!({})), "ListToolsResultResponse"),
            (call(3), "CallToolResultResponse"),
            (request(4, "prompts/list", json!({})), "JSONRPCErrorResponse"),
            (request(5, "tools/call", json!({ "name": 1 })), "JSONRPCErrorResponse"),
            (elder.clone(), "UnsupportedProtocolVersionError"),
            (bare.clone(), "JSONRPCErrorResponse"),
        ] {
            check(&schema, kind, &talk.ask(&body).1);
        }
        let (mut stream, first) = talk.listen(8);
        check(&schema, "SubscriptionsAcknowledgedNotification", &first);
        if let Talk::Lines(_, client) = &mut talk {
            client.send(&call(9).to_string());
        } else {
            talk.ask(&call(9));
        }
        check(&schema, "ToolListChangedNotification", &talk.next(&mut stream));
        if let Talk::Lines(_, client) = &mut talk {
            client.answer();
        }
        talk.home().open_gate("ending");
        check(&schema, "SubscriptionsListenResultResponse", &talk.next(&mut stream));
    }
}
