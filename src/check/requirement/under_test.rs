//! The requirements that the servers of a history put to the test.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use crate::check::requirement::{Judged, Requirement, requirements};
use crate::history::{Event, EventKind, Seq};
use crate::plan::Transport;

/// What puts requirements to the test: for each script, and for each transport.
struct Table {
    by_script: BTreeMap<&'static str, Vec<Row>>,
    by_transport: Vec<Row>,
}

type Row = (&'static Requirement, &'static Judged);

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let mut table = Table { by_script: BTreeMap::new(), by_transport: Vec::new() };
    for requirement in requirements().unwrap_or_default() {
        for judged in &requirement.judged {
            for script in &judged.scripts {
                table.by_script.entry(script.as_str()).or_default().push((requirement, judged));
            }
            if judged.scripts.is_empty() {
                table.by_transport.push((requirement, judged));
            }
        }
    }
    table
});

/// The servers of a history whose scripts put requirements to the test, and which events speak of which of them.
#[derive(Debug, Default)]
pub(in crate::check) struct UnderTest {
    /// For each such server, its script.
    scripts: BTreeMap<String, &'static str>,
    /// The events that tell one of them, in recorded order, each with the place of its server among the names: there may be
    /// very many events, and there are few servers.
    servers: Vec<(Seq, usize)>,
    names: Vec<String>,
}

impl UnderTest {
    pub(in crate::check) fn see(&mut self, event: &Event) {
        let server = match (&event.kind, event.source.server()) {
            (EventKind::MockStarted { script, .. }, Some(server)) => {
                if let Some((script, _)) = TABLE.by_script.get_key_value(script.as_str()) {
                    self.scripts.insert(server.to_owned(), *script);
                }
                return;
            }
            (EventKind::OperationInvoked { server: Some(server), .. }, _) => server.as_str(),
            (EventKind::ConnectionOpened { .. } | EventKind::FaultDelivered { .. }, Some(server)) => server,
            _ => return,
        };
        if !self.scripts.contains_key(server) {
            return;
        }
        let known = self.names.iter().position(|name| name == server);
        let place = known.unwrap_or_else(|| {
            self.names.push(server.to_owned());
            self.names.len() - 1
        });
        self.servers.push((event.seq, place));
    }

    /// The ids of the requirements of which a violation of a rule speaks beyond those that the rule names itself.
    ///
    /// The witness tells the server. If it does not, as for a load, the only server under test is meant.
    pub(in crate::check) fn requirements(
        &self,
        rule: &str,
        witness: &[Seq],
        transport: Option<Transport>,
    ) -> Vec<&'static str> {
        let named = witness.iter().find_map(|seq| {
            let index = self.servers.binary_search_by_key(seq, |(seq, _)| *seq).ok()?;
            self.names.get(self.servers[index].1)
        });
        let script = match named {
            Some(server) => self.scripts.get(server).copied(),
            None if self.scripts.len() == 1 => self.scripts.values().next().copied(),
            None => None,
        };
        let of_script = script.and_then(|script| TABLE.by_script.get(script)).into_iter().flatten();
        let rows = of_script.chain(&TABLE.by_transport).filter(|(_, judged)| {
            let is_carried =
                judged.transports.is_empty() || transport.is_some_and(|one| judged.transports.contains(&one));
            is_carried && judged.by.iter().any(|id| id == rule)
        });
        let mut ids: Vec<&str> = rows.map(|(requirement, _)| requirement.id.as_str()).collect();
        ids.dedup();
        ids
    }
}
