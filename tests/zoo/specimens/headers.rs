//! Header fields and addresses of the generation with a handshake.

use super::client::{Client, Fields, MODERN, On};
use super::{Life, POLITE, Specimen, http, sse};

const ACCEPT: (&[&str], &str) = (&["LC-HTTP-02"], "accept-offers-both");
const ACCEPT_OF_GET: (&[&str], &str) = (&["LC-HTTP-05"], "accept-offers-both");
const VERSION: (&[&str], &str) = (&["LC-HTTP-13"], "protocol-version-sent");
const AGREED: (&[&str], &str) = (&["LC-HTTP-14"], "protocol-version-sent");
const ID: (&[&str], &str) = (&["LC-SESS-02"], "session-id-sent");
const NO_ID: (&[&str], &str) = (&["LC-SESS-03"], "session-id-sent");
const ENDPOINT: (&[&str], &str) = (&["LC-HTTP-01"], "endpoint-used");
const SECRET: (&[&str], &str) = (&["LC-SESS-09"], "endpoint-used");
const ADDRESS: (&[&str], &str) = (&["LC-SSE-02"], "posted-to-endpoint");

const fn row(
    (name, about): (&'static str, &'static str),
    revision: &'static str,
    (breaks, caught_by): (&'static [&'static str], &'static str),
    life: fn(&mut Client, bool),
) -> Specimen {
    Specimen { name, about, breaks, caught_by, stage: http(revision, POLITE), life: Life::Wire(life) }
}

pub(super) const SPECIMENS: &[Specimen] = &[
    row(("accept-json-alone", "Accepts no streams in answer to a call."), "2025-11-25", ACCEPT, accept_json),
    row(("accept-missing", "Does not say what it accepts."), "2025-03-26", ACCEPT, accept_missing),
    row(("accept-weighed-to-nothing", "Accepts streams with the weight 0."), "2025-06-18", ACCEPT, accept_weight),
    row(
        ("accept-json-alone-without-handshake", "Accepts no streams, without a handshake."),
        MODERN,
        ACCEPT,
        accept_json,
    ),
    row(
        ("get-accepts-json", "Asks for a stream and accepts JSON alone."),
        "2025-11-25",
        ACCEPT_OF_GET,
        get_accepts_json,
    ),
    row(
        ("get-accepts-nothing", "Asks for a stream without saying what it accepts."),
        "2025-03-26",
        ACCEPT_OF_GET,
        get_accepts_nothing,
    ),
    row(
        ("version-missing-in-a-call", "Calls without the agreed revision."),
        "2025-06-18",
        VERSION,
        version_missing_in_call,
    ),
    row(
        ("version-missing-in-a-notice", "Says that it is initialized without the agreed revision."),
        "2025-11-25",
        VERSION,
        version_missing_in_notice,
    ),
    row(
        ("version-missing-in-a-get", "Asks for a stream without the agreed revision."),
        "2025-11-25",
        VERSION,
        version_missing_in_get,
    ),
    row(
        ("version-missing-in-a-delete", "Deletes its session without the agreed revision."),
        "2025-06-18",
        VERSION,
        version_missing_in_delete,
    ),
    row(("version-as-offered", "Names an older revision than the agreed one."), "2025-11-25", AGREED, version_older),
    row(
        ("version-of-the-first-http", "Names the first revision with HTTP, whatever was agreed."),
        "2025-06-18",
        AGREED,
        version_first,
    ),
    row(("id-missing-in-a-call", "Calls without the id of its session."), "2025-03-26", ID, id_missing_in_call),
    row(
        ("id-missing-in-a-notice", "Sends a notice without the id of its session."),
        "2025-11-25",
        ID,
        id_missing_in_notice,
    ),
    row(
        ("id-missing-in-a-get", "Asks for a stream without the id of its session."),
        "2025-06-18",
        ID,
        id_missing_in_get,
    ),
    row(("id-missing-in-a-delete", "Deletes without saying which session."), "2025-11-25", ID, id_missing_in_delete),
    row(("id-made-up", "Makes up an id and initializes with it."), "2025-06-18", NO_ID, id_made_up),
    row(("id-in-capitals", "Writes the id of its session in capitals."), "2025-11-25", NO_ID, id_in_capitals),
    row(("posted-beside-the-endpoint", "Posts a call to another path."), "2025-11-25", ENDPOINT, posted_beside),
    row(("put-to-the-endpoint", "Sends a call with PUT."), "2025-03-26", ENDPOINT, put),
    row(
        ("session-told-to-another-path", "Tells another path the id of its session."),
        "2025-11-25",
        SECRET,
        session_told,
    ),
    Specimen {
        stage: sse("2024-11-05", POLITE),
        ..row(
            ("query-dropped", "Posts to the address of its stream without the query."),
            "2024-11-05",
            ADDRESS,
            query_dropped,
        )
    },
    Specimen {
        stage: sse("2024-11-05", POLITE),
        ..row(
            ("address-guessed", "Posts to an address that it made from that of the stream."),
            "2024-11-05",
            ADDRESS,
            address_guessed,
        )
    },
];

/// A life in which one call has other header fields.
fn calling(client: &mut Client, is_broken: bool, change: impl Fn(&mut Fields)) {
    client.begin_life();
    let call = client.call_message(1);
    let mut fields = client.http().fields_of(&call);
    if is_broken {
        change(&mut fields);
    }
    client.exchange_with(&fields, &call);
    client.call(2);
}

fn accept_json(client: &mut Client, is_broken: bool) {
    calling(client, is_broken, |fields| fields.set("Accept", "application/json"));
}

fn accept_missing(client: &mut Client, is_broken: bool) {
    calling(client, is_broken, |fields| fields.remove("Accept"));
}

fn accept_weight(client: &mut Client, is_broken: bool) {
    calling(client, is_broken, |fields| fields.set("Accept", "application/json, text/event-stream;q=0"));
}

fn version_missing_in_call(client: &mut Client, is_broken: bool) {
    calling(client, is_broken, |fields| fields.remove("MCP-Protocol-Version"));
}

fn version_older(client: &mut Client, is_broken: bool) {
    calling(client, is_broken, |fields| fields.set("MCP-Protocol-Version", "2025-06-18"));
}

fn version_first(client: &mut Client, is_broken: bool) {
    calling(client, is_broken, |fields| fields.set("MCP-Protocol-Version", "2025-03-26"));
}

fn id_missing_in_call(client: &mut Client, is_broken: bool) {
    calling(client, is_broken, |fields| fields.remove("Mcp-Session-Id"));
}

fn id_in_capitals(client: &mut Client, is_broken: bool) {
    calling(client, is_broken, |fields| {
        let changed = format!("{}-X", fields.get("Mcp-Session-Id").unwrap().to_uppercase());
        fields.set("Mcp-Session-Id", &changed);
    });
}

/// A life in which the request for a stream has other header fields.
fn listening(client: &mut Client, is_broken: bool, change: impl Fn(&mut Fields)) {
    client.open();
    let mut fields = client.http().fields_of_get(None);
    if is_broken {
        change(&mut fields);
    }
    let stream = client.http().listen_with(&fields);
    client.call(1);
    drop(stream);
}

fn get_accepts_json(client: &mut Client, is_broken: bool) {
    listening(client, is_broken, |fields| fields.set("Accept", "application/json"));
}

fn get_accepts_nothing(client: &mut Client, is_broken: bool) {
    listening(client, is_broken, |fields| fields.remove("Accept"));
}

fn version_missing_in_get(client: &mut Client, is_broken: bool) {
    listening(client, is_broken, |fields| fields.remove("MCP-Protocol-Version"));
}

fn id_missing_in_get(client: &mut Client, is_broken: bool) {
    listening(client, is_broken, |fields| fields.remove("Mcp-Session-Id"));
}

/// A life in which the notice of the handshake has other header fields.
fn noticing(client: &mut Client, is_broken: bool, change: impl Fn(&mut Fields)) {
    client.initialize();
    let notice = serde_json::json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
    let mut fields = client.http().fields_of(&notice);
    if is_broken {
        change(&mut fields);
    }
    client.exchange_with(&fields, &notice);
    client.call(1);
}

fn version_missing_in_notice(client: &mut Client, is_broken: bool) {
    noticing(client, is_broken, |fields| fields.remove("MCP-Protocol-Version"));
}

/// The notice is one of changed roots, because the server drops it.
fn id_missing_in_notice(client: &mut Client, is_broken: bool) {
    client.capabilities = serde_json::json!({ "roots": { "listChanged": true } });
    client.open();
    let notice = serde_json::json!({ "jsonrpc": "2.0", "method": "notifications/roots/list_changed" });
    let mut fields = client.http().fields_of(&notice);
    if is_broken {
        fields.remove("Mcp-Session-Id");
    }
    client.exchange_with(&fields, &notice);
    client.call(1);
}

/// A life that ends with other header fields.
fn deleting(client: &mut Client, is_broken: bool, change: impl Fn(&mut Fields)) {
    client.open();
    client.call(1);
    let mut fields = client.http().fields_of_delete();
    if is_broken {
        change(&mut fields);
    }
    let response = client.http().exchange(On::Main, "DELETE", &fields, None);
    if response.status < 300 {
        client.http().session = None;
    }
}

fn version_missing_in_delete(client: &mut Client, is_broken: bool) {
    deleting(client, is_broken, |fields| fields.remove("MCP-Protocol-Version"));
}

fn id_missing_in_delete(client: &mut Client, is_broken: bool) {
    deleting(client, is_broken, |fields| fields.remove("Mcp-Session-Id"));
}

fn id_made_up(client: &mut Client, is_broken: bool) {
    if is_broken {
        client.http().session = Some("0123-4567".to_owned());
        let about = client.about();
        let message = client.message("initialize", about);
        client.exchange(&message);
        client.http().session = None;
    }
    client.open();
    client.call(1);
}

/// Sends a call with this verb to this target, or as it should.
fn sending(client: &mut Client, is_broken: bool, verb: &str, target: impl Fn(&str) -> String) {
    client.open();
    let call = client.call_message(1);
    if is_broken {
        let fields = client.http().fields_of(&call);
        let target = target(&client.http().path);
        client.http().exchange_at(On::Main, verb, &target, &fields, Some(call.to_string().as_bytes()));
    } else {
        client.exchange(&call);
    }
    client.call(2);
}

fn posted_beside(client: &mut Client, is_broken: bool) {
    sending(client, is_broken, "POST", |path| format!("{path}/messages"));
}

fn put(client: &mut Client, is_broken: bool) {
    sending(client, is_broken, "PUT", str::to_owned);
}

/// On a socket of its own, so that nothing but the id shows whose message it is.
fn session_told(client: &mut Client, is_broken: bool) {
    client.open();
    client.call(1);
    let call = client.call_message(2);
    client.exchange(&call);
    if is_broken {
        let fields = client.http().fields_of(&call);
        client.http().exchange_at(On::Aside, "POST", "/telemetry", &fields, Some(call.to_string().as_bytes()));
    }
}

/// Posts a call to another address than that of the stream, or as it should.
fn posting(client: &mut Client, is_broken: bool, target: impl Fn(&str) -> String) {
    client.open();
    if is_broken {
        let call = client.call_message(1);
        let target = target(&client.events().target);
        client.events().post_to(&target, &call);
    }
    client.call(2);
}

fn query_dropped(client: &mut Client, is_broken: bool) {
    posting(client, is_broken, |target| target.split('?').next().unwrap_or_default().to_owned());
}

fn address_guessed(client: &mut Client, is_broken: bool) {
    posting(client, is_broken, |target| format!("/sse{target}"));
}
