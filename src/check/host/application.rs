//! What a finished application is judged by: that it uses its servers, does what its plan waits for, and ends as it is asked.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::check::combinator::{Judged, each};
use crate::check::host::is_its_doing;
use crate::check::{Invariant, Level, Monitor, Property, Scope, Tally, View, Violation, Witness};
use crate::history::{ConnectionId, Event, EventKind, Header, Kind, Seq};
use crate::plan::Promise;

/// Counter-examples that shaped it. A host may connect to a server when it first needs it, so one that is reached is enough: which ones
/// have to be, the plan says. One that was ended by force has reached none either.
pub(in crate::check) const SERVERS_REACHED: Invariant = Invariant {
    id: "servers-reached",
    property: Property::Liveness,
    level: Level::Own,
    claim: "the host speaks to a server of its configuration",
    source: "VG-04: healthy servers load; a host that never connects has broken nothing and shown nothing",
    requirement: &["VG-04"],
    applies: Scope::ALL.of_applications(),
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::WireReceived, Kind::ProcessExited, Kind::StepUnmet, Kind::LimitHit],
    vacuous: "the host never ran",
    explain: "The host ran and no server heard a word of it, so nothing can be said of how it uses servers. Most often it did not find its \
        configuration: it reads another file, or the file has another shape.\n\n\
        Look at what stands in for `{config}` in the command, at `--config-shape`, and at stderr.txt. The path of the configuration is \
        also in the environment, as `MCP_LIFECHECK_CONFIG`.",
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

    fn end(&mut self, view: &View, tally: &mut Tally) {
        let Some(last) = self.last.filter(|_| self.reached.is_empty() && is_its_doing(view)) else { return };
        let because = format!(
            "the host never connected to a server: no word of it had reached {} by {last}",
            self.servers.join(", ")
        );
        tally.broken(Violation::new("nothing-received", because, &[last]));
    }
}

/// Counter-example that shaped it: a step that has nobody to act on any more, as a signal to a program that has ended, is skipped and
/// neither met nor unmet.
pub(in crate::check) const STEPS_MET: Invariant = Invariant {
    id: "steps-met",
    property: Property::Liveness,
    level: Level::Own,
    claim: "what the plan waits for comes about",
    source: "VG-08: what is asked for is done within its bound, or said to have failed; the bounds are those of the plan",
    requirement: &["VG-08"],
    applies: Scope::ALL.of_applications(),
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::StepMet, Kind::StepUnmet],
    vacuous: "the plan came to no step that waits for something",
    explain: "A step of the plan waited for something that did not come: tools that were never listed, a call, an answer with another \
        status, an end. The steps behind it were not carried out, and the host was ended as by Ctrl-C.\n\n\
        Look at what was seen instead, and at the host's own words in stdout.txt and stderr.txt. A step that needs more time says so with \
        `within`.",
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

/// Counter-examples that shaped it. Hosts end by the signal itself, or catch it and exit with 0 or with 128 and its number: all of that is
/// right after a signal. One that has done its work may exit with 0 before it is asked. What follows our own kill reaches no monitor.
pub(in crate::check) const ENDS_AS_ASKED: Invariant = Invariant {
    id: "ends-as-asked",
    property: Property::Safety,
    level: Level::Own,
    claim: "the host ends with success, or of the signal that asked it to",
    source: "VG-11 and VG-14: the program survives what it does, and its end says whether it went well",
    requirement: &["VG-11", "VG-14"],
    applies: Scope::ALL.of_applications(),
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::SignalSent, Kind::ProcessExited],
    vacuous: "the host did not end by itself",
    explain: "The host ended with a status that says that something went wrong, or of a signal that nobody had sent. After Ctrl-C a program \
        may end of SIGINT, or with status 0 or 130; anything else is an error in its cleanup, or a crash.\n\n\
        Look at the end of stderr.txt. ABRT is a panic or a failed assertion, SEGV a crash.",
    start: |header: &Header| -> Box<dyn Monitor> {
        let status = header.application().and_then(|application| application.status);
        Box::new(ExpectedEnd { status, asked: Vec::new() })
    },
};

struct ExpectedEnd {
    /// The status the plan expects.
    status: Option<i32>,
    /// Signals that asked for the end, and where they were sent.
    asked: Vec<(String, Seq)>,
}

impl Monitor for ExpectedEnd {
    fn see(&mut self, event: &Event, _view: &View, tally: &mut Tally) {
        match &event.kind {
            EventKind::SignalSent { signal, target } if target == "loader" => {
                self.asked.push((signal.clone(), event.seq));
            }
            EventKind::ProcessExited { role, code, signal, .. } if role == "loader" => {
                if self.is_right(*code, signal.as_deref()) {
                    return tally.held();
                }
                let how = match (code, signal) {
                    (Some(code), _) => format!("with status {code}"),
                    (None, Some(signal)) => format!("of SIG{signal}"),
                    (None, None) => "in an unknown way".to_owned(),
                };
                let mut witness: Vec<Seq> = self.asked.iter().map(|(_, seq)| *seq).collect();
                witness.push(event.seq);
                let because = format!("the host ended {how} at {}, {}", event.seq, self.expected(code.is_some()));
                tally.broken(Violation::new("other-end", because, &witness));
            }
            _ => {}
        }
    }
}

impl ExpectedEnd {
    fn is_right(&self, code: Option<i32>, signal: Option<&str>) -> bool {
        let is_of_asked =
            |code: i32| self.asked.iter().any(|(asked, _)| number(asked).is_some_and(|n| code == 128 + n));
        match (self.status, code, signal) {
            (Some(expected), found, _) => found == Some(expected),
            (None, Some(code), _) => code == 0 || is_of_asked(code),
            (None, None, Some(signal)) => self.asked.iter().any(|(asked, _)| asked == signal),
            (None, None, None) => false,
        }
    }

    fn expected(&self, has_status: bool) -> String {
        match (self.status, self.asked.first()) {
            (Some(status), _) => format!("expected status {status}"),
            (None, None) if has_status => "expected status 0".to_owned(),
            (None, None) => "and nobody had sent it one".to_owned(),
            (None, Some((signal, at))) => format!("expected status 0 or the end by SIG{signal} of {at}"),
        }
    }
}

/// The numbers of signals that ask for an end, which are the same on every system.
fn number(signal: &str) -> Option<i32> {
    [("HUP", 1), ("INT", 2), ("TERM", 15)].into_iter().find(|(name, _)| *name == signal).map(|(_, number)| number)
}

/// Counter-examples that shaped it. Only where the plan demands it: a host may open a session for each run, and that is a mode. A server
/// that was killed has to be opened anew. What names no session is no connection.
pub(in crate::check) const SERVERS_KEPT: Invariant = Invariant {
    id: "servers-kept",
    property: Property::Safety,
    level: Level::Own,
    claim: "where the plan demands it, the connections that the host opened first serve it to its end",
    source: "VG-03: sessions stay open from load to cleanup; VG-18: one connection a server",
    requirement: &["VG-03", "VG-18"],
    applies: Scope::ALL.of_applications(),
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::ConnectionOpened, Kind::SignalSent, Kind::HostPrompted],
    vacuous: "the plan does not demand it, or nothing made the host run again",
    explain: "The host was made to run again and opened a server that it had open already. A script that is run from its top on every click \
        does that where its loader is not cached: each run starts servers, and those of the run before are left to whoever collects them.\n\n\
        Look at what the host was asked for just before the second connection. Mend it by keeping the loader outside of what is run again.",
    start: |header: &Header| -> Box<dyn Monitor> {
        let is_demanded = header.application().is_some_and(|application| application.same_servers);
        Box::new(FirstConnections { is_demanded, ..FirstConnections::default() })
    },
};

#[derive(Default)]
struct FirstConnections {
    is_demanded: bool,
    first: BTreeMap<String, (ConnectionId, Seq)>,
    killed: BTreeSet<String>,
    is_prompted: bool,
}

impl Monitor for FirstConnections {
    fn see(&mut self, event: &Event, _view: &View, tally: &mut Tally) {
        match &event.kind {
            EventKind::HostPrompted { .. } => self.is_prompted = true,
            EventKind::SignalSent { target, .. } => {
                self.killed.extend(target.strip_prefix("server:").map(str::to_owned));
            }
            EventKind::ConnectionOpened { connection } if self.is_demanded && !connection.0.ends_with(".0") => {
                let server = event.source.server().unwrap_or_default().to_owned();
                let earlier = self.first.get(&server).filter(|_| !self.killed.remove(&server)).cloned();
                match earlier {
                    None => drop(self.first.insert(server, (connection.clone(), event.seq))),
                    Some((kept, at)) => {
                        let because = format!(
                            "server {server} was opened again at {} ({connection}), although {kept} had been at {at}",
                            event.seq
                        );
                        tally.broken(Violation::new("opened-again", because, &[at, event.seq]));
                    }
                }
            }
            _ => {}
        }
    }

    fn end(&mut self, view: &View, tally: &mut Tally) {
        if self.is_prompted && is_its_doing(view) {
            self.first.iter().for_each(|_| tally.held());
        }
    }
}
