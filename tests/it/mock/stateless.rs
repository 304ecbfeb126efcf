//! Conforming mocks of the stateless generation, row by row, over lines and over HTTP.

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::mock::client::{Client, INITIALIZE, mock_command};
use crate::mock::http_client::{Mock, Socket};
use crate::mock::stateless_client::{SUBSCRIPTION, Talk, VERSION, call, fields, is_complete, post, request, script};

const MODERN: &str = "2026-07-28";

fn polite() -> [Talk; 2] {
    Talk::both(&script(""), MODERN)
}

/// A status code over HTTP; over lines there is none.
fn under(status: u16, found: u16) -> bool {
    found == 0 || found == status
}

#[test]
fn it_says_what_it_is_without_being_opened() {
    for mut talk in polite() {
        let (status, answer) = talk.ask(&request(1, "server/discover", json!({})));
        assert!(under(200, status), "{status}");
        let result = &answer["result"];
        assert_eq!(result["supportedVersions"], json!([MODERN]));
        assert_eq!(result["capabilities"], json!({ "tools": {} }));
        assert_eq!(result["_meta"]["io.modelcontextprotocol/serverInfo"]["name"], "mcp-mock");
    }
}

#[test]
fn it_lists_and_calls_tools_at_any_time() {
    for mut talk in polite() {
        let (_, answer) = talk.ask(&request(7, "tools/list", json!({})));
        let result = &answer["result"];
        assert_eq!(result["tools"][0]["name"], "read");
        assert_eq!((&result["resultType"], &result["ttlMs"]), (&json!("complete"), &json!(0)));
        let (status, answer) = talk.ask(&call(8));
        assert!(under(200, status), "{status}");
        assert_eq!((&answer["id"], &answer["result"]["resultType"]), (&json!(8), &json!("complete")));
        assert_eq!(answer["result"]["content"][0]["text"], "read {\"path\":\"/a\"}");
    }
}

#[test]
fn a_request_that_it_cannot_serve_is_refused_with_the_code_of_the_specification() {
    let without = |name: &str| {
        let mut body = request(1, "tools/list", json!({}));
        body["params"]["_meta"].as_object_mut().unwrap().remove(name);
        body
    };
    let mut elder = request(1, "server/discover", json!({}));
    elder["params"]["_meta"][VERSION] = json!("2025-11-25");
    let bare = |method: &str| json!({ "jsonrpc": "2.0", "id": 1, "method": method });
    let initialize = serde_json::from_str(INITIALIZE).unwrap();
    let cases = [
        (without(VERSION), -32_602, 400),
        (without("io.modelcontextprotocol/clientCapabilities"), -32_602, 400),
        (bare("tools/list"), -32_602, 400),
        (elder, -32_022, 400),
        (request(1, "resources/list", json!({})), -32_601, 404),
        (bare("ping"), -32_601, 404),
        (initialize, -32_601, 404),
        (request(1, "tools/call", json!({ "name": "nobody" })), -32_602, 200),
        (request(1, "tools/list", json!({ "cursor": "x" })), -32_602, 200),
        (request(1, "subscriptions/listen", json!({})), -32_602, 400),
    ];
    for mut talk in polite() {
        for (body, code, status) in &cases {
            let (found, answer) = talk.ask(body);
            assert!(under(*status, found), "{body}: {found} {answer}");
            assert_eq!((&answer["error"]["code"], &answer["id"]), (&json!(code), &json!(1)), "{body}: {answer}");
        }
        let (_, answer) = talk.ask(&cases[3].0);
        let expected = json!({ "requested": "2025-11-25", "supported": [MODERN] });
        assert_eq!(answer["error"]["data"], expected);
        let (_, answer) = talk.ask(&cases[6].0);
        assert!(answer["error"]["message"].as_str().unwrap().contains(MODERN), "{answer}");
    }
}

#[test]
fn a_header_that_does_not_show_the_body_is_a_mismatch() {
    let mock = Mock::with(&script(""), json!({ "revision": MODERN }));
    let body = call(1);
    for name in ["MCP-Protocol-Version", "Mcp-Method", "Mcp-Name"] {
        for value in [None, Some("other")] {
            let mut fields = fields(&body);
            fields.retain(|(field, _)| field != name);
            fields.extend(value.map(|value| (name.to_owned(), value.to_owned())));
            let mut socket = mock.socket();
            post(&mut socket, &mock, &fields, &body);
            let reply = socket.reply();
            assert_eq!((reply.status, &reply.json()["error"]["code"]), (400, &json!(-32_020)), "{name}: {reply:?}");
        }
    }
    assert!(!mock.home.journal().iter().any(|event| event.starts_with("wire.sent") && event.contains("result")));
}

#[test]
fn it_has_no_sessions_no_get_and_no_delete() {
    let mock = Mock::with(&script(""), json!({ "revision": MODERN }));
    for verb in [Socket::get, Socket::delete] {
        let mut socket = mock.socket();
        verb(&mut socket);
        let reply = socket.reply();
        assert_eq!((reply.status, reply.headers["allow"].as_str()), (405, "POST"));
    }
    let mut socket = mock.socket();
    post(&mut socket, &mock, &fields(&call(1)), &call(1));
    assert!(!socket.reply().headers.contains_key("mcp-session-id"));
    let body = json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": 1 } });
    let mut socket = mock.socket();
    post(&mut socket, &mock, &fields(&body), &body);
    assert_eq!(socket.reply().status, 202);
}

#[test]
fn a_subscription_is_acknowledged_and_brings_what_it_asks_for_to_those_who_asked() {
    let change = script(
        "tools = [\"read\"]\n[[rule]]\non = { request = \"tools/call\" }\n\
         do = [{ notify = \"notifications/tools/list_changed\" }]\n",
    );
    for mut talk in Talk::both(&change, MODERN) {
        let (mut stream, first) = talk.listen(5);
        assert_eq!(first["method"], "notifications/subscriptions/acknowledged");
        assert_eq!(first["params"]["notifications"], json!({ "toolsListChanged": true }));
        assert_eq!(first["params"]["_meta"][SUBSCRIPTION], 5);
        let other = request(6, "subscriptions/listen", json!({ "notifications": { "promptsListChanged": true } }));
        if let Talk::Lines(_, client) = &mut talk {
            client.send(&other.to_string());
            assert_eq!(client.answer()["params"]["notifications"], json!({}));
            client.send(&call(7).to_string());
            let told = client.answer();
            assert_eq!((&told["method"], &told["params"]["_meta"][SUBSCRIPTION]), (&changed(), &json!(5)));
            assert_eq!(client.answer()["id"], 7);
        } else {
            talk.ask(&call(7));
            let told = talk.next(&mut stream);
            assert_eq!((&told["method"], &told["params"]["_meta"][SUBSCRIPTION]), (&changed(), &json!(5)));
        }
    }
}

#[test]
fn without_a_subscription_nobody_is_told_of_a_change() {
    let change = script(
        "[[rule]]\non = { request = \"tools/call\" }\ndo = [{ notify = \"notifications/tools/list_changed\" }]\n",
    );
    for mut talk in Talk::both(&change, MODERN) {
        talk.ask(&call(1));
        let (_, answer) = talk.ask(&request(2, "tools/list", json!({})));
        assert_eq!(answer["id"], 2);
        assert!(
            !talk.home().journal().iter().any(|event| event.contains("list_changed")),
            "{:?}",
            talk.home().journal()
        );
    }
}

#[test]
fn a_client_ends_a_subscription_as_its_transport_says() {
    let change = script(
        "[[rule]]\non = { request = \"tools/call\" }\ndo = [{ notify = \"notifications/tools/list_changed\" }]\n",
    );
    let mut talk = Talk::lines(&change, MODERN);
    talk.listen(5);
    let Talk::Lines(_, client) = &mut talk else { unreachable!() };
    client.send(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":5}}"#);
    client.send(&call(6).to_string());
    assert_eq!(client.answer()["id"], 6);

    let mut talk = Talk::http(&change, MODERN);
    let (stream, _) = talk.listen(5);
    drop(stream);
    talk.home().wait_for_short("http.ended");
    let n_sent = |talk: &Talk| talk.home().journal().iter().filter(|event| event.starts_with("wire.sent")).count();
    let before = n_sent(&talk);
    talk.ask(&call(6));
    assert_eq!(n_sent(&talk), before + 1, "{:?}", talk.home().journal());
}

#[test]
fn a_script_ends_a_subscription_in_order() {
    let ending = script(
        "[[rule]]\non = { request = \"subscriptions/listen\" }\n\
         do = [\"answer\", { hold = \"ending\" }, \"answer-anyway\"]\n",
    );
    for mut talk in Talk::both(&ending, MODERN) {
        let (mut stream, _) = talk.listen(5);
        talk.home().open_gate("ending");
        let last = talk.next(&mut stream);
        assert_eq!((&last["id"], &last["result"]["_meta"][SUBSCRIPTION]), (&json!(5), &json!(5)));
        assert!(stream.is_none_or(|mut stream| is_complete(&mut stream)));
    }
}

#[test]
fn a_subscription_that_was_cancelled_is_not_ended_once_more() {
    let ending = script(
        "[[rule]]\non = { request = \"subscriptions/listen\" }\n\
         do = [\"answer\", { hold = \"ending\" }, \"answer-anyway\"]\n",
    );
    let mut talk = Talk::lines(&ending, MODERN);
    talk.listen(5);
    let Talk::Lines(home, client) = &mut talk else { unreachable!() };
    client.send(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":5}}"#);
    home.wait_for_short("notifications/cancelled");
    home.open_gate("ending");
    home.wait_for_short("answer-anyway");
    client.send(&call(6).to_string());
    assert_eq!(client.answer()["id"], 6);
}

#[test]
fn occasions_are_counted_on_the_one_connection_there_is() {
    let second = script(
        "[[rule]]\non = { request = \"tools/call\", tool = \"read\", nth = 2, connection = 1 }\n\
         do = [{ answer-error = { code = -32022, message = \"no\" } }]\n",
    );
    for mut talk in Talk::both(&second, MODERN) {
        assert!(talk.ask(&call(1)).1["result"].is_object());
        let (status, answer) = talk.ask(&call(2));
        assert!(under(400, status), "{status}");
        assert_eq!(answer["error"]["code"], -32_022);
        assert!(talk.ask(&call(3)).1["result"].is_object());
    }
}

#[test]
fn a_server_of_both_generations_is_of_the_one_it_is_opened_with() {
    let dual = script("era = \"dual\"\n");
    let mut talk = Talk::lines(&dual, "2025-11-25");
    assert_eq!(talk.ask(&serde_json::from_str(INITIALIZE).unwrap()).1["result"]["protocolVersion"], "2025-11-25");
    assert_eq!(talk.ask(&request(2, "server/discover", json!({}))).1["error"]["code"], -32_601);

    let mut talk = Talk::lines(&dual, "2025-11-25");
    assert!(talk.ask(&request(2, "server/discover", json!({}))).1["result"].is_object());
    assert_eq!(talk.ask(&serde_json::from_str(INITIALIZE).unwrap()).1["error"]["code"], -32_601);

    let Talk::Http(mock) = Talk::http(&dual, "2025-11-25") else { unreachable!() };
    let mut session = mock.session();
    assert_eq!(session.post(crate::mock::client::LIST).json()["result"]["tools"][0]["name"], "read");
    let mut talk = Talk::Http(mock);
    assert_eq!(talk.ask(&request(2, "server/discover", json!({}))).0, 200);
    assert_eq!(session.post(crate::mock::client::LIST).status, 200);
}

#[test]
fn a_server_of_the_handshake_generation_stays_one_whatever_the_revision() {
    let legacy = script("era = \"legacy\"\n");
    let mut talk = Talk::lines(&legacy, MODERN);
    assert_eq!(talk.ask(&request(1, "server/discover", json!({}))).1["error"]["code"], -32_601);
    assert_eq!(talk.ask(&serde_json::from_str(INITIALIZE).unwrap()).1["result"]["protocolVersion"], "2025-11-25");
    let refused: Value = Talk::http(&legacy, MODERN).ask(&request(1, "server/discover", json!({}))).1;
    assert_eq!(refused["error"]["code"], -32_601);
}

#[test]
fn by_itself_it_speaks_the_revision_it_is_told() {
    let args = ["stdio", "--script", "polite", "--revision", MODERN];
    let mut client = Client::spawn(mock_command().args(args));
    client.send(&request(1, "server/discover", json!({})).to_string());
    assert_eq!(client.answer()["result"]["supportedVersions"][0], MODERN);
    client.close_stdin();
    assert_eq!(client.exit_code(), 0);
    let mut mock = Client::spawn(mock_command().args(["http", "--script", "polite", "--revision", MODERN]));
    let url = mock.line();
    let (host, path) = url.trim_end().strip_prefix("http://").unwrap().split_once('/').unwrap();
    let body = request(1, "server/discover", json!({}));
    let mut socket = Socket::to(host, &format!("/{path}"));
    let fields = fields(&body);
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    socket.send("POST", &format!("/{path}"), &fields, &body.to_string());
    assert_eq!(socket.reply().json()["result"]["supportedVersions"][0], MODERN);
    mock.signal(Signal::INT);
    assert_eq!(mock.death(), Signal::INT.as_raw());
}

fn changed() -> Value {
    json!("notifications/tools/list_changed")
}

#[test]
fn a_script_tears_a_subscription_down() {
    let tearing = script(
        "[[rule]]\non = { request = \"subscriptions/listen\" }\ndo = [\"answer\", \"cancel-request\"]\n\
         [[rule]]\non = { request = \"tools/call\" }\ndo = [{ notify = \"notifications/tools/list_changed\" }]\n",
    );
    let mut talk = Talk::lines(&tearing, MODERN);
    let (mut stream, _) = talk.listen(5);
    let told = talk.next(&mut stream);
    assert_eq!((&told["method"], &told["params"]["requestId"]), (&json!("notifications/cancelled"), &json!(5)));
    let Talk::Lines(_, client) = &mut talk else { unreachable!() };
    client.send(&call(6).to_string());
    assert_eq!(client.answer()["id"], 6, "nobody listens any more");
}

#[test]
fn a_script_may_name_a_subscription_that_nobody_opened() {
    let strange = script(&format!(
        "[[rule]]\non = {{ request = \"tools/call\" }}\ndo = [{{ notify-with = {{ method = \"notifications/tools/list_changed\", \
         params = {{ _meta = {{ \"{SUBSCRIPTION}\" = 99 }} }} }} }}]\n"
    ));
    let mut talk = Talk::lines(&strange, MODERN);
    let Talk::Lines(_, client) = &mut talk else { unreachable!() };
    client.send(&call(6).to_string());
    let told = client.answer();
    assert_eq!((&told["method"], &told["params"]["_meta"][SUBSCRIPTION]), (&changed(), &json!(99)));
    assert_eq!(client.answer()["id"], 6);
}
