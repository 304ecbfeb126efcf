//! Requests without a handshake: their metadata, what is over, and calls that a server sends back.

use serde_json::{Value, json};

use super::client::{Answer, Client, Fields, MODERN, On};
use super::{Life, POLITE, Script, Specimen, http, stdio};

const VERSION: &str = "io.modelcontextprotocol/protocolVersion";
const CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
const CLIENT: &str = "io.modelcontextprotocol/clientInfo";

const BACK_ONCE: Script = Script::Shipped("input-required-once");
const BACK_REPEATEDLY: Script = Script::Shipped("input-required-repeatedly");
const NAMING: Script = Script::Shipped("modern-names-session");
/// Its tool has a name that no header field can carry as it is.
const ACCENTED: Script = Script::Written(
    r#"about = "Its tool has a name that no header field can carry as it is."
tools = ["résumé"]
"#,
);

const SAYS: (&[&str], &str) = (&["LC-META-01"], "modern-metadata-sent");
const REPEATS: (&[&str], &str) = (&["LC-META-03"], "modern-metadata-sent");
const SHOWS: (&[&str], &str) = (&["LC-META-04"], "modern-metadata-sent");
const NAMED: (&[&str], &str) = (&["LC-META-02"], "modern-client-named");
const OVER: (&[&str], &str) = (&["LC-HTTP-19"], "modern-without-session");
const NONE_GIVEN: (&[&str], &str) = (&["LC-SESS-03"], "modern-without-session");
const STATE: (&[&str], &str) = (&["LC-MRTR-02"], "sent-back-call-keeps-state");
const NEW_ID: (&[&str], &str) = (&["LC-MRTR-03"], "sent-back-call-keeps-state");
const OWN: (&[&str], &str) = (&["LC-MRTR-04"], "sent-back-call-keeps-state");

const fn row(
    (name, about): (&'static str, &'static str),
    script: Script,
    (breaks, caught_by): (&'static [&'static str], &'static str),
    life: fn(&mut Client, bool),
) -> Specimen {
    Specimen { name, about, breaks, caught_by, stage: http(MODERN, script), life: Life::Wire(life) }
}

const fn on_stdio(specimen: Specimen) -> Specimen {
    Specimen { stage: stdio(MODERN, specimen.stage.script), ..specimen }
}

pub(super) const SPECIMENS: &[Specimen] = &[
    on_stdio(row(("revision-unsaid", "Leaves its revision out of a call."), POLITE, SAYS, revision_unsaid)),
    row(("revision-unsaid-in-a-post", "Leaves its revision out of a posted call."), POLITE, SAYS, revision_unsaid),
    on_stdio(row(("capabilities-unsaid", "Leaves its capabilities out of a call."), POLITE, SAYS, capabilities_unsaid)),
    row(("metadata-unsaid", "Posts a call without any metadata."), POLITE, SAYS, metadata_unsaid),
    row(("revision-not-repeated", "Leaves its revision out of the header."), POLITE, REPEATS, revision_not_repeated),
    row(
        ("revision-of-another-header", "Says another revision in the header than in the body."),
        POLITE,
        REPEATS,
        revision_of_other_header,
    ),
    row(("method-not-shown", "Leaves the method out of the header."), POLITE, SHOWS, method_not_shown),
    row(("method-of-another-header", "Shows another method in the header."), POLITE, SHOWS, method_of_other_header),
    row(("name-not-shown", "Leaves the name of the tool out of the header."), POLITE, SHOWS, name_not_shown),
    row(
        ("name-not-encoded", "Writes the name of a tool into the header as it is, though it is not ASCII."),
        ACCENTED,
        SHOWS,
        name_not_encoded,
    ),
    on_stdio(row(("client-named-once", "Says who it is in its first request alone."), POLITE, NAMED, named_once)),
    row(("client-unnamed-in-calls", "Says who it is in lists, and not in calls."), POLITE, NAMED, unnamed_in_calls),
    row(("stream-without-session", "Asks for a stream as in a session."), POLITE, OVER, stream),
    row(("delete-without-session", "Deletes a session, although there are none."), POLITE, OVER, delete),
    row(
        ("session-taken-over", "Repeats the id of a session that a gateway left in an answer."),
        NAMING,
        OVER,
        session_taken_over,
    ),
    row(("event-id-without-session", "Resumes a stream, which only sessions have."), POLITE, OVER, event_id),
    row(("session-invented", "Names a session in its first request."), POLITE, NONE_GIVEN, session_invented),
    on_stdio(row(
        ("state-dropped", "Repeats a call that was sent back without its state."),
        BACK_ONCE,
        STATE,
        state_dropped,
    )),
    row(("state-changed", "Repeats a call with a state that it has changed."), BACK_ONCE, STATE, state_changed),
    row(
        ("state-of-before", "Repeats a call with the state of an earlier round."),
        BACK_REPEATEDLY,
        STATE,
        state_of_before,
    ),
    on_stdio(row(("state-invented", "Calls with a state that no server gave."), POLITE, STATE, state_invented)),
    on_stdio(row(("id-kept", "Repeats a call that was sent back under its old id."), BACK_ONCE, NEW_ID, id_kept)),
    row(("id-kept-in-a-post", "Posts a call that was sent back under its old id."), BACK_ONCE, NEW_ID, id_kept),
    on_stdio(row(
        ("state-of-another-call", "Gives the state of a call to another call."),
        BACK_ONCE,
        OWN,
        state_of_another,
    )),
    row(("state-in-a-new-call", "Posts the state of a call with another call."), BACK_ONCE, OWN, state_of_another),
];

/// A life in which one call carries other metadata.
fn saying(client: &mut Client, is_broken: bool, change: impl Fn(&mut Value)) {
    client.list();
    let mut call = client.call_message(1);
    let fields = call.clone();
    if is_broken {
        change(&mut call["params"]);
    }
    if client.is_http() {
        let fields = client.http().fields_of(&fields);
        client.exchange_with(&fields, &call);
    } else {
        client.exchange(&call);
    }
    client.call(2);
}

fn remove(value: &mut Value, name: &str) {
    value.as_object_mut().unwrap().remove(name);
}

fn revision_unsaid(client: &mut Client, is_broken: bool) {
    saying(client, is_broken, |params| remove(&mut params["_meta"], VERSION));
}

fn capabilities_unsaid(client: &mut Client, is_broken: bool) {
    saying(client, is_broken, |params| remove(&mut params["_meta"], CAPABILITIES));
}

fn metadata_unsaid(client: &mut Client, is_broken: bool) {
    saying(client, is_broken, |params| remove(params, "_meta"));
}

fn unnamed_in_calls(client: &mut Client, is_broken: bool) {
    saying(client, is_broken, |params| remove(&mut params["_meta"], CLIENT));
}

fn named_once(client: &mut Client, is_broken: bool) {
    client.request("server/discover", json!({}));
    for n in 1..=2 {
        let mut call = client.call_message(n);
        if is_broken {
            remove(&mut call["params"]["_meta"], CLIENT);
        }
        client.exchange(&call);
    }
}

/// A life in which one call has other header fields.
fn showing(client: &mut Client, is_broken: bool, change: impl Fn(&mut Fields)) {
    client.list();
    let call = client.call_message(1);
    let mut fields = client.http().fields_of(&call);
    if is_broken {
        change(&mut fields);
    }
    client.exchange_with(&fields, &call);
    client.call(2);
}

fn revision_not_repeated(client: &mut Client, is_broken: bool) {
    showing(client, is_broken, |fields| fields.remove("MCP-Protocol-Version"));
}

fn revision_of_other_header(client: &mut Client, is_broken: bool) {
    showing(client, is_broken, |fields| fields.set("MCP-Protocol-Version", "2025-11-25"));
}

fn method_not_shown(client: &mut Client, is_broken: bool) {
    showing(client, is_broken, |fields| fields.remove("Mcp-Method"));
}

fn method_of_other_header(client: &mut Client, is_broken: bool) {
    showing(client, is_broken, |fields| fields.set("Mcp-Method", "tools/list"));
}

fn name_not_shown(client: &mut Client, is_broken: bool) {
    showing(client, is_broken, |fields| fields.remove("Mcp-Name"));
}

/// The name in base64 is that of the tool.
fn name_not_encoded(client: &mut Client, is_broken: bool) {
    client.list();
    let call = client.message("tools/call", json!({ "name": "résumé", "arguments": {} }));
    let mut fields = client.http().fields_of(&call);
    if !is_broken {
        fields.set("Mcp-Name", "=?base64?csOpc3Vtw6k=?=");
    }
    client.exchange_with(&fields, &call);
}

fn stream(client: &mut Client, is_broken: bool) {
    client.list();
    if is_broken {
        let fields = client.http().fields_of_get(None);
        client.http().exchange(On::Main, "GET", &fields, None);
    }
    client.call(1);
}

fn delete(client: &mut Client, is_broken: bool) {
    client.list();
    if is_broken {
        client.http().delete();
    }
}

fn session_taken_over(client: &mut Client, is_broken: bool) {
    let answer = client.list();
    let named = answer.fields.get("mcp-session-id").map(str::to_owned);
    client.http().session = named.filter(|_| is_broken);
    client.call(1);
    client.http().session = None;
}

fn event_id(client: &mut Client, is_broken: bool) {
    showing(client, is_broken, |fields| fields.set("Last-Event-ID", "7"));
}

fn session_invented(client: &mut Client, is_broken: bool) {
    client.http().session = is_broken.then(|| "0123".to_owned());
    client.list();
    client.http().session = None;
    client.call(1);
}

/// Repeats a call that was sent back, with this state and its inputs.
fn repeat(client: &mut Client, n: u32, state: Value) -> Answer {
    let mut call = client.call_message(n);
    if !state.is_null() {
        call["params"]["requestState"] = state;
    }
    call["params"]["inputResponses"] = json!({});
    client.exchange(&call)
}

fn state_of(answer: &Answer) -> Value {
    answer.message["result"]["requestState"].clone()
}

fn state_dropped(client: &mut Client, is_broken: bool) {
    let back = client.call(1);
    repeat(client, 1, if is_broken { Value::Null } else { state_of(&back) });
}

fn state_changed(client: &mut Client, is_broken: bool) {
    let back = client.call(1);
    repeat(client, 1, if is_broken { json!("First") } else { state_of(&back) });
}

fn state_of_before(client: &mut Client, is_broken: bool) {
    let first = client.call(1);
    let second = repeat(client, 1, state_of(&first));
    let third = repeat(client, 1, state_of(if is_broken { &first } else { &second }));
    repeat(client, 1, state_of(&third));
}

fn state_invented(client: &mut Client, is_broken: bool) {
    client.list();
    if is_broken {
        repeat(client, 1, json!("mine"));
    } else {
        client.call(1);
    }
}

fn id_kept(client: &mut Client, is_broken: bool) {
    let back = client.call(1);
    if is_broken {
        client.last_id -= 1;
    }
    repeat(client, 1, state_of(&back));
}

fn state_of_another(client: &mut Client, is_broken: bool) {
    let back = client.call(1);
    if is_broken {
        repeat(client, 2, state_of(&back));
    } else {
        client.call(2);
    }
    repeat(client, 1, state_of(&back));
}
