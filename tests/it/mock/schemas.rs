//! Every message of a conforming mock is valid under the JSON schema of the revision it speaks, over pipes and over HTTP.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;

use mcp_lifecheck::mock::DriverKind;
use mcp_lifecheck::plan::{Revision, ShutdownBehaviour};
use mcp_lifecheck::script::shipped;
use serde_json::{Value, json};

use crate::mock::client::{Client, INITIALIZED};
use crate::mock::home::Home;
use crate::mock::http_client::{Chunk, Mock, Socket};
use crate::rig::root;

/// The shipped scripts whose messages all fit the schema, over pipes.
const OVER_PIPES: [&str; 11] = [
    "polite",
    "tools-that-change",
    "ping-in-call",
    "ping-before-initialized",
    "roots-asked-in-call",
    "logs-before-initialized",
    "logs-in-call",
    "log-flood-in-call",
    "call-split",
    "slow-to-end",
    "stubborn",
];
/// Those over HTTP.
const OVER_HTTP: [&str; 11] = [
    "polite",
    "tools-that-change",
    "ping-in-call",
    "ping-before-initialized",
    "roots-asked-in-call",
    "logs-before-initialized",
    "logs-in-call",
    "log-flood-in-call",
    "sse-answers",
    "get-closed-at-once",
    "delete-refused",
];
fn revisions() -> impl Iterator<Item = Revision> {
    Revision::ALL.into_iter().filter(|revision| *revision <= Revision::NEWEST_HANDSHAKE)
}

/// What a client asks, by method and parameters, once it has opened its session. Some of it a conforming server refuses.
fn requests() -> Vec<(&'static str, Value)> {
    vec![
        ("tools/list", json!({})),
        ("tools/call", json!({ "name": "read", "arguments": { "path": "/a" } })),
        ("tools/call", json!({ "name": "read" })),
        ("tools/list", json!({})),
        ("tools/list", json!({ "cursor": "x" })),
        ("tools/call", json!({ "name": "nobody" })),
        ("tools/call", json!({ "name": "read", "arguments": 7 })),
        ("initialize", initialize(Revision::NEWEST_HANDSHAKE)),
        ("no/such/method", json!({})),
        ("logging/setLevel", json!({ "level": "warning" })),
        ("logging/setLevel", json!({ "level": "loud" })),
        ("ping", json!({})),
    ]
}

fn initialize(revision: Revision) -> Value {
    json!({ "protocolVersion": revision.as_str(), "capabilities": {}, "clientInfo": { "name": "raw", "version": "1" } })
}

fn request(id: usize, method: &str, params: &Value) -> String {
    json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }).to_string()
}

/// The schema of one revision, and how often a message was held against each of its definitions.
struct Schema {
    revision: Revision,
    document: Value,
    validators: RefCell<BTreeMap<&'static str, (jsonschema::Validator, usize)>>,
}

impl Schema {
    fn of(revision: Revision) -> Self {
        let file = root().join(format!("tests/schemas/{revision}.json"));
        let document = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
        Self { revision, document, validators: RefCell::default() }
    }

    fn definitions(&self) -> &'static str {
        if self.document.get("$defs").is_some() { "$defs" } else { "definitions" }
    }

    /// The first of these names that the schema defines: some were changed from one revision to the next.
    fn name_of(&self, names: &[&'static str]) -> &'static str {
        let found = names.iter().find(|name| self.document[self.definitions()].get(**name).is_some());
        found.unwrap_or_else(|| panic!("{}: none of {names:?} is defined", self.revision))
    }

    /// What is wrong with a value that is to be so defined.
    fn errors(&self, name: &'static str, value: &Value) -> Vec<String> {
        let mut validators = self.validators.borrow_mut();
        let (validator, n_uses) = validators.entry(name).or_insert_with(|| {
            let mut schema = self.document.clone();
            schema["$ref"] = json!(format!("#/{}/{name}", self.definitions()));
            (jsonschema::validator_for(&schema).unwrap(), 0)
        });
        *n_uses += 1;
        validator
            .iter_errors(value)
            .map(|error| format!("{name}: {error} at {:?}", error.instance_path().to_string()))
            .collect()
    }

    /// What is wrong with a message; an answer is held against what the method asks for.
    fn wrong(&self, message: &Value, method_of: impl Fn(&Value) -> Option<String>) -> Vec<String> {
        let mut wrong = self.errors("JSONRPCMessage", message);
        if message.get("method").is_some() {
            let [envelope, kind] = match message.get("id") {
                Some(_) => ["JSONRPCRequest", "ServerRequest"],
                None => ["JSONRPCNotification", "ServerNotification"],
            };
            wrong.extend(self.errors(envelope, message));
            wrong.extend(self.errors(kind, message));
        } else if message.get("error").is_some() {
            wrong.extend(self.errors(self.name_of(&["JSONRPCErrorResponse", "JSONRPCError"]), message));
        } else {
            wrong.extend(self.errors(self.name_of(&["JSONRPCResultResponse", "JSONRPCResponse"]), message));
            let definition = match method_of(&message["id"]).as_deref() {
                Some("initialize") => "InitializeResult",
                Some("tools/list") => "ListToolsResult",
                Some("tools/call") => "CallToolResult",
                Some("ping" | "logging/setLevel") => "EmptyResult",
                other => panic!("found an answer to {other:?}: {message}"),
            };
            wrong.extend(self.errors(definition, &message["result"]));
            wrong.extend(self.errors("ServerResult", &message["result"]));
        }
        wrong
    }

    fn n_uses(&self, name: &str) -> usize {
        self.validators.borrow().get(name).map_or(0, |(_, n_uses)| *n_uses)
    }

    /// Every kind of message was seen: what is never held against a schema proves nothing.
    fn assert_all_used(&self) {
        for names in [
            &["InitializeResult"][..],
            &["ListToolsResult"],
            &["CallToolResult"],
            &["EmptyResult"],
            &["ServerNotification"],
            &["ServerRequest"],
            &["JSONRPCErrorResponse", "JSONRPCError"],
        ] {
            let name = self.name_of(names);
            assert!(self.n_uses(name) > 0, "{}: no message was held against {name}", self.revision);
        }
    }
}

/// The methods of what a client asked, by the ids it asked with.
fn asked() -> impl Fn(&Value) -> Option<String> {
    let methods: Vec<&str> = ["initialize"].into_iter().chain(requests().iter().map(|(method, _)| *method)).collect();
    move |id| methods.get(usize::try_from(id.as_u64()?).ok()?).map(|method| (*method).to_owned())
}

fn assert_valid(schema: &Schema, messages: &[Value], what: &str) {
    let asked = asked();
    for message in messages {
        let wrong = schema.wrong(message, &asked);
        assert!(wrong.is_empty(), "{what}, revision {}: {message}\n{}", schema.revision, wrong.join("\n"));
    }
    let is_answer = |id: usize| move |message: &&Value| message["id"] == id && message.get("method").is_none();
    for id in 0..=requests().len() {
        assert_eq!(
            messages.iter().filter(is_answer(id)).count(),
            1,
            "{what}: answers to request {id} in {messages:#?}"
        );
    }
    let opened = messages.iter().find(is_answer(0)).unwrap();
    assert_eq!(opened["result"]["protocolVersion"], schema.revision.as_str(), "{what}");
}

/// Every message that a mock over pipes sends in one life.
fn said_over_pipes(name: &str, revision: Revision) -> Vec<Value> {
    let home = Home::new(&shipped(name).unwrap(), ShutdownBehaviour::Polite);
    let mut client = Client::linked_over(DriverKind::Stdio, &home);
    client.send(&request(0, "initialize", &initialize(revision)));
    client.send(INITIALIZED);
    for (index, (method, params)) in requests().iter().enumerate() {
        client.send(&request(index + 1, method, params));
    }
    let mut messages: Vec<Value> = Vec::new();
    while messages.last().is_none_or(|message| message["id"] != requests().len()) {
        messages.push(client.answer());
    }
    if revision == Revision::R20250326 {
        assert_batch_is_valid(|batch| {
            client.send(batch);
            // What a script sends beside answers is none of them.
            loop {
                let answer = client.answer();
                if answer.is_array() {
                    break answer;
                }
            }
        });
    }
    messages
}

#[test]
fn over_pipes_every_message_is_as_its_revision_defines_it() {
    for schema in revisions().map(Schema::of) {
        for name in OVER_PIPES {
            assert_valid(&schema, &said_over_pipes(name, schema.revision), name);
        }
        schema.assert_all_used();
    }
}

/// The messages in the answer to a request, be it JSON or a stream of events.
fn read_messages(socket: &mut Socket) -> Vec<Value> {
    let head = socket.head();
    if let Some(length) = head.headers.get("content-length") {
        let body = socket.body(length.parse().unwrap());
        return if body.is_empty() { Vec::new() } else { vec![serde_json::from_str(&body).unwrap()] };
    }
    let mut messages = Vec::new();
    while let Chunk::Data(text) = socket.chunk() {
        messages.push(message_of_event(&text));
    }
    messages
}

fn message_of_event(text: &str) -> Value {
    let data = text.strip_prefix("event: message\ndata: ").unwrap_or_else(|| panic!("{text:?} is no event"));
    serde_json::from_str(data).unwrap()
}

/// Every message that a mock over HTTP sends in one life.
fn said_over_http(name: &str, revision: Revision) -> Vec<Value> {
    let mock = Mock::shipped(name);
    let mut socket = mock.socket();
    socket.ask(&request(0, "initialize", &initialize(revision)));
    let mut messages = read_messages(&mut socket);
    let opened = mock.home.wait_for_short("session.opened");
    socket.session = opened["session"].as_str().map(str::to_owned);
    assert_eq!(socket.post(INITIALIZED).status, 202);
    let mut stream = mock.socket_of(&socket);
    stream.get();
    stream.head();
    for (index, (method, params)) in requests().iter().enumerate() {
        socket.ask(&request(index + 1, method, params));
        messages.extend(read_messages(&mut socket));
    }
    if revision == Revision::R20250326 {
        assert_batch_is_valid(|batch| socket.post(batch).json());
    }
    // A server that goes away ends the stream: what was said on it is all there is.
    mock.process.signal(rustix::process::Signal::TERM);
    while let Chunk::Data(text) = stream.chunk() {
        messages.push(message_of_event(&text));
    }
    messages
}

/// A batch of a request and a notification, which only this revision has, and what is answered to it.
fn assert_batch_is_valid(ask: impl FnOnce(&str) -> Value) {
    let ping = json!({ "jsonrpc": "2.0", "id": "in-batch", "method": "ping" });
    let cancelled = json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": "x" } });
    let answer = ask(&json!([ping, cancelled]).to_string());
    let schema = Schema::of(Revision::R20250326);
    assert_eq!(schema.errors("JSONRPCBatchResponse", &answer), Vec::<String>::new(), "{answer}");
    assert_eq!(answer, json!([{ "jsonrpc": "2.0", "id": "in-batch", "result": {} }]));
}

#[test]
fn over_http_every_message_is_as_its_revision_defines_it() {
    for schema in revisions().filter(|revision| *revision >= Revision::R20250326).map(Schema::of) {
        for name in OVER_HTTP {
            assert_valid(&schema, &said_over_http(name, schema.revision), name);
        }
        schema.assert_all_used();
    }
}

/// A message that does not fit its schema is reported.
#[test]
fn a_message_that_is_not_as_defined_is_told() {
    let asked = asked();
    for schema in revisions().map(Schema::of) {
        for message in [
            json!({ "jsonrpc": "2.0", "id": 0, "result": { "protocolVersion": "2025-11-25", "capabilities": {} } }),
            json!({ "jsonrpc": "2.0", "id": 1, "result": { "tools": "none" } }),
            json!({ "jsonrpc": "2.0", "id": 2, "result": { "content": 7 } }),
            json!({ "jsonrpc": "2.0", "id": 2, "error": { "code": "x", "message": "y" } }),
            json!({ "jsonrpc": "2.0", "method": "roots/list" }),
            json!({ "jsonrpc": "2.0", "id": 4, "method": "notifications/tools/list_changed" }),
            json!({ "id": 2, "result": { "content": [] } }),
        ] {
            assert!(!schema.wrong(&message, &asked).is_empty(), "{}: {message} passes", schema.revision);
        }
    }
}
