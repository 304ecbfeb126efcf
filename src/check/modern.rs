//! What every request of the modern era says of itself.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::check::sight::parts;
use crate::check::{Invariant, Level, Monitor, Property, Scope, Tally, View, Violation, Witness};
use crate::history::{ConnectionId, Event, EventKind, Header, Kind, Message, Seq, Source};
use crate::plan::Promise;

const VERSION: &str = "io.modelcontextprotocol/protocolVersion";
const CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";

/// Counter-examples that shaped it. A client of both eras that fell back to `initialize` is of the legacy era on that
/// connection from there on. A message above the limit is kept without its parameters. A header field is compared with what
/// the body says, where the body says it.
pub(super) const METADATA_SENT: Invariant = Invariant {
    id: "modern-metadata-sent",
    property: Property::Safety,
    level: Level::Must,
    claim: "every request says of which revision it is and what its client can do, and over HTTP its header shows what the body says",
    source: "2026-07-28, basic/index, _meta; basic/transports/streamable-http, Protocol Version Header and Standard Request Headers",
    requirement: &["LC-META-01", "LC-META-03", "LC-META-04"],
    applies: Scope::MODERN,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::HttpReceived, Kind::WireReceived],
    vacuous: "no request was made without a handshake",
    explain: "Without sessions, each request has to say for itself of which revision it is and what its client can do, and over HTTP to \
        repeat in its header what gateways look at. A server must refuse a request that does not. Such a client works until it \
        meets a server that looks.\n\n\
        Look at the request in the witness. Often it is one that is not made by the usual path: the first one, a retry, one that is \
        made again after a restart. Mend it by adding the metadata where requests are written, not where they are made.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(RequestMetadata::default()) },
};

#[derive(Default)]
struct RequestMetadata {
    /// The header of the newest exchange of a mock, until its message is there.
    headers: BTreeMap<String, BTreeMap<String, String>>,
    /// Connections with a handshake.
    legacy: BTreeSet<ConnectionId>,
}

impl Monitor for RequestMetadata {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        match &event.kind {
            EventKind::HttpReceived { headers, .. } => {
                self.headers.insert(event.source.to_string(), headers.clone());
            }
            EventKind::WireReceived { connection, message } => {
                let header = self.header_of(&event.source, view);
                for part in parts(message).iter().filter(|part| part.is_any_request() && !part.is_cut()) {
                    if part.is_request("initialize") {
                        self.legacy.insert(connection.clone());
                    }
                    if !self.legacy.contains(connection) {
                        judge(event.seq, connection, part, header.as_ref(), tally);
                    }
                }
            }
            _ => {}
        }
    }
}

impl RequestMetadata {
    fn header_of(&mut self, source: &Source, view: &View) -> Option<BTreeMap<String, String>> {
        let found = self.headers.remove(&source.to_string());
        if view.is_line() { None } else { found }
    }
}

fn judge(
    seq: Seq,
    connection: &ConnectionId,
    request: &Message,
    header: Option<&BTreeMap<String, String>>,
    tally: &mut Tally,
) {
    match lacking(request, header) {
        None => tally.held(),
        Some((variant, what)) => {
            let method = request.method().unwrap_or_default();
            let because = format!("{method} on connection {connection} at {seq} {what}");
            tally.broken(Violation::new(variant, because, &[seq]));
        }
    }
}

/// What is missing of a request, or wrong.
fn lacking(request: &Message, header: Option<&BTreeMap<String, String>>) -> Option<(&'static str, &'static str)> {
    let meta = |name: &str| request.at(&["params", "_meta", name]);
    let version = meta(VERSION).and_then(Value::as_str);
    if version.is_none() {
        return Some(("no-version", "does not say of which revision it is"));
    }
    if !meta(CAPABILITIES).is_some_and(Value::is_object) {
        return Some(("no-capabilities", "does not say what its client can do"));
    }
    let header = header?;
    let shows = |field: &str, said: Option<&str>| said.is_none() || header.get(field).map(String::as_str) == said;
    let name = if request.is_request("tools/call") { request.at(&["params", "name"]) } else { None };
    if !shows("mcp-protocol-version", version) {
        Some(("header-version", "does not show its revision in the header"))
    } else if !shows("mcp-method", request.method()) {
        Some(("header-method", "does not show its method in the header"))
    } else if !shows("mcp-name", name.and_then(Value::as_str)) {
        Some(("header-name", "does not show its tool in the header"))
    } else {
        None
    }
}
