//! What a scenario or plan demands of a program that the harness starts and watches.

use std::collections::BTreeSet;

use std::time::Duration;

use serde_json::Value;

use crate::check::combinator::{Judged, each};
use crate::check::host::is_responsible;
use crate::check::parts::parts;
use crate::check::{AppliesTo, Hears, Invariant, Level, Monitor, Property, Tally, View, Violation, Witness};
use crate::history::{ConnectionId, Event, EventKind, Header, Kind, Message, Name, Seq, Table};
use crate::plan::Promise;

/// Counter-examples: An error is not the answer that the scenario needs: a call of a missing tool has called nothing, and
/// neither has one that its tool refuses because of the arguments. A
/// client that the harness killed reached only part of the scenario, and the reason says which part is missing.
pub(super) const EXCHANGE_COMPLETE: Invariant = Invariant {
    id: "exchange-complete",
    property: Property::Liveness,
    level: Level::Own,
    claim: "the client exchanged every message of the scenario before it ended",
    source: "VG-04: healthy servers load, and calls succeed; a client that sends nothing proves nothing",
    requirement: &["VG-04"],
    applies: AppliesTo::ALL.of_clients(),
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::WireReceived, Kind::WireSent, Kind::ProcessExited, Kind::LimitHit],
    hears: Hears::ALL.and_silence(),
    vacuous: "the scenario expects no message, or the client never ran",
    explain: "The client ended before the scenario was over: a message that belongs to the scenario never came, or \
        its answer was an error or is missing. A client that exits early with status 0 looks correct everywhere \
        else.\n\n\
        Look at the first missing message, and at the client's stderr. A client that never connected often did not \
        find the URL, which is its last argument, or does not know the name of the scenario, which is in \
        `MCP_CONFORMANCE_SCENARIO`.",
    start: |header: &Header| -> Box<dyn Monitor> {
        let expected = header.host.as_ref().map(|host| host.exchange.clone()).unwrap_or_default();
        Box::new(ScenarioExchange { expected, ..ScenarioExchange::default() })
    },
};

#[derive(Default)]
struct ScenarioExchange {
    expected: Vec<String>,
    /// Unanswered requests, by connection and id: method and arrival.
    open: Table<(ConnectionId, Name), (String, Seq)>,
    /// Notifications that arrived, and requests that were answered with a result.
    done: BTreeSet<String>,
    /// Methods whose answer was an error, with that answer.
    failed: Table<String, Seq>,
    first: Option<Seq>,
    exited: Option<Seq>,
    last: Option<Seq>,
}

impl Monitor for ScenarioExchange {
    fn see(&mut self, event: &Event, _view: &View, _tally: &mut Tally) {
        self.last = Some(event.seq);
        match &event.kind {
            EventKind::WireReceived { connection, message } => {
                self.first.get_or_insert(event.seq);
                parts(message).iter().for_each(|part| self.receive(event.seq, connection, part));
            }
            EventKind::WireSent { connection, message } => {
                parts(message).iter().for_each(|part| self.send(event.seq, connection, part));
            }
            EventKind::ProcessExited { role, .. } if role == "loader" => self.exited = Some(event.seq),
            _ => {}
        }
    }

    fn end(&self, view: &View, tally: &mut Tally) {
        if !is_responsible(view) {
            return;
        }
        let missing = self.expected.iter().filter(|method| !self.done.contains(*method)).cloned();
        let missing: Vec<String> = missing.collect();
        if missing.is_empty() {
            self.expected.iter().for_each(|_| tally.held());
            return;
        }
        let at = self.exited.or(self.last).unwrap_or(Seq(1));
        let Some(first) = self.first else {
            let because = "the client never sent a message to the server".to_owned();
            tally.broken(Violation::new("nothing-received", because, &[at]));
            return;
        };
        for method in &missing {
            let (variant, because, witness) = self.reason(method, first, at);
            tally.broken(Violation::new(variant, because, &witness));
        }
    }
}

impl ScenarioExchange {
    fn receive(&mut self, seq: Seq, connection: &ConnectionId, message: &Message) {
        match (message.method(), message.id()) {
            (Some(method), Some(id)) => {
                self.open.insert((connection.clone(), Name::from(id)), (method.to_owned(), seq));
            }
            (Some(method), None) => {
                self.done.insert(method.to_owned());
            }
            (None, _) => {}
        }
    }

    fn send(&mut self, seq: Seq, connection: &ConnectionId, message: &Message) {
        let Some(id) = message.id().filter(|_| message.is_response()) else { return };
        let Some((method, _)) = self.open.swap_remove(&(connection.clone(), Name::from(id))) else { return };
        let is_error_of_tool = message.at(&["result", "isError"]).and_then(Value::as_bool) == Some(true);
        if message.is_error() || is_error_of_tool {
            self.failed.insert(method, seq);
        } else {
            self.done.insert(method);
        }
    }

    fn reason(&self, method: &str, first: Seq, at: Seq) -> (&'static str, String, Vec<Seq>) {
        let open = self.open.values().find(|(asked, _)| asked == method);
        match (open, self.failed.get(method)) {
            (Some((_, asked)), _) => {
                let because = format!("{method} was received at {asked} and was not answered before the end at {at}");
                ("not-answered", because, vec![*asked, at])
            }
            (None, Some(failed)) => {
                ("error", format!("{method} was answered with an error at {failed}"), vec![*failed])
            }
            (None, None) => ("not-received", format!("{method} was never received"), vec![first, at]),
        }
    }
}

/// Counter-examples: An application may connect to a server on first use, so one server is enough; the plan says which
/// servers it needs. An application that the harness killed may also have reached none.
pub(super) const SERVERS_REACHED: Invariant = Invariant {
    id: "servers-reached",
    property: Property::Liveness,
    level: Level::Own,
    claim: "the application sends a message to a server of its configuration",
    source: "VG-04: healthy servers load; an application that never connects proves nothing",
    requirement: &["VG-04"],
    applies: AppliesTo::ALL.of_applications(),
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::WireReceived, Kind::ProcessExited, Kind::StepUnmet, Kind::LimitHit],
    hears: Hears::ALL,
    vacuous: "the application never ran",
    explain: "The application ran and sent no message to any server, so nothing can be judged. Most often it did not \
        find its configuration: it reads another file, or the file has another shape.\n\n\
        Look at the argument that replaces `{config}` in the command, at `--config-shape`, and at stderr.txt. The \
        path of the configuration is also in the environment, as `MCP_LIFECHECK_CONFIG`.",
    start: |header: &Header| -> Box<dyn Monitor> {
        let servers = header.servers.iter().map(|server| server.name.clone()).collect();
        Box::new(ReachedServers { servers, reached: BTreeSet::new(), last: None })
    },
};

struct ReachedServers {
    servers: Vec<String>,
    reached: BTreeSet<String>,
    last: Option<Seq>,
}

impl Monitor for ReachedServers {
    fn see(&mut self, event: &Event, _view: &View, tally: &mut Tally) {
        self.last = Some(event.seq);
        if let (EventKind::WireReceived { .. }, Some(server)) = (&event.kind, event.source.server())
            && self.reached.insert(server.to_owned())
        {
            tally.held();
        }
    }

    fn end(&self, view: &View, tally: &mut Tally) {
        let Some(last) = self.last.filter(|_| self.reached.is_empty() && is_responsible(view)) else { return };
        let because = format!(
            "the application never connected to a server: no message of it had reached {} by {last}",
            self.servers.join(", ")
        );
        tally.broken(Violation::new("nothing-received", because, &[last]));
    }
}

/// Counter-example: the driver skips a step that has no target any more, such as a signal to a program that has ended;
/// the step is then neither met nor unmet.
pub(super) const STEPS_MET: Invariant = Invariant {
    id: "steps-met",
    property: Property::Liveness,
    level: Level::Own,
    claim: "every step of the plan is met",
    source: "VG-08: an operation completes or fails within its bound; the plan sets the bounds",
    requirement: &["VG-08"],
    applies: AppliesTo::ALL.of_applications(),
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::StepMet, Kind::StepUnmet],
    hears: Hears::ALL,
    vacuous: "the plan reached no step that waits",
    explain: "A step of the plan waited for something that did not happen: a list of tools, a call, an answer with \
        another status, or an exit. The driver skipped the later steps and ended the application as Ctrl-C does.\n\n\
        Look at the events that the driver observed instead, and at stdout.txt and stderr.txt of the application. Use \
        `within` to give a step more time.",
    start: |_: &Header| -> Box<dyn Monitor> { each(judge_step) },
};

fn judge_step(event: &Event, _view: &View) -> Judged {
    match &event.kind {
        EventKind::StepMet { .. } => Judged::Held,
        EventKind::StepUnmet { step, because, bound_ms } => {
            let because = format!("step {step} was not met at {}: {because}", event.seq);
            let violation = Violation::new("unmet", because, &[event.seq]);
            Judged::Broken(match bound_ms {
                Some(ms) => violation.of_bound(Duration::from_millis(*ms)),
                None => violation,
            })
        }
        _ => Judged::Unrelated,
    }
}
