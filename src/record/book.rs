//! What the endpoint of one plan knows about the mocks and the adapter that are linked to it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Map, Value, json};
use tokio::sync::{mpsc, watch};

use crate::history::{ConnectionId, EventKind, LinkPeer, Source};
use crate::record::adapter_link::{AdapterHello, AdapterLink};
use crate::record::options::EndpointOptions;
use crate::record::recorder::Recorder;

/// Maximum number of refusals in a history. Without it, a flood of unknown processes could fill the history.
const REFUSALS_MAX: usize = 64;

/// A mock that has, or had, a link to the recorder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MockFacts {
    /// Name of its server in the scenario.
    pub server: String,
    /// Which process or listener of this server, counted from 1.
    pub incarnation: u32,
    /// Pid that the mock reported; 0 for a mock without a process of its own.
    pub pid: u32,
    /// True while its link is open.
    pub open: bool,
}

/// Shared by an endpoint and its links.
pub(super) struct Shared {
    pub recorder: Recorder,
    pub options: EndpointOptions,
    book: Mutex<Book>,
    /// Number of changes to the book.
    pub changed: watch::Sender<u64>,
}

/// The present state of the links.
#[derive(Default)]
pub(super) struct Book {
    pub mocks: Vec<MockFacts>,
    /// Command channel of each mock, by its position in `mocks`.
    pub commands: BTreeMap<usize, mpsc::UnboundedSender<Value>>,
    pub open_gates: Vec<String>,
    n_connections: u32,
    n_refused: usize,
    failed: Option<String>,
    pub adapter: Option<AdapterLink>,
    pub adapter_open: bool,
    /// Why the endpoint refused the hello of an adapter with the right token.
    pub adapter_refused: Option<String>,
    /// Why the endpoint last refused any process.
    pub last_refusal: Option<String>,
}

impl Shared {
    pub fn new(recorder: Recorder, options: EndpointOptions) -> Self {
        Self { recorder, options, book: Mutex::new(Book::default()), changed: watch::Sender::new(0) }
    }

    pub fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records that the experiment failed. Records each reason once, if it repeats in a row.
    pub fn fail(&self, because: String) {
        let is_recorded = self.book().failed.replace(because.clone()).as_ref() == Some(&because);
        if !is_recorded {
            self.recorder.note(Source::Recorder, EventKind::ExperimentFailed { because });
        }
    }

    pub fn touch(&self) {
        self.changed.send_modify(|n_changes| *n_changes += 1);
    }

    pub fn refuse(&self, because: &str) -> String {
        let n_refused = {
            let mut book = self.book();
            book.n_refused += 1;
            book.last_refusal = Some(because.to_owned());
            book.n_refused
        };
        if n_refused <= REFUSALS_MAX {
            self.recorder.note(Source::Recorder, EventKind::LinkRefused { because: because.to_owned() });
        }
        json!({ "refused": because }).to_string()
    }

    /// Takes a mock into the book and records its link. `None` if the scenario has no such server.
    pub fn admit_mock(&self, server: &str, pid: u32) -> Option<AdmittedMock> {
        self.options.mocks.get(server)?;
        let (sender, commands) = mpsc::unbounded_channel();
        let (index, incarnation, connection) = {
            let mut book = self.book();
            let incarnation = 1 + book.mocks.iter().filter(|mock| mock.server == server).count() as u32;
            book.mocks.push(MockFacts { server: server.to_owned(), incarnation, pid, open: true });
            for gate in &book.open_gates {
                // The receiver exists in this function, so sending cannot fail.
                let _ = sender.send(json!({ "open_gate": gate }));
            }
            let index = book.mocks.len() - 1;
            book.commands.insert(index, sender);
            book.n_connections += 1;
            (index, incarnation, ConnectionId(format!("c{}", book.n_connections).into()))
        };
        let n_probes = n_probes(&self.recorder, server);
        let admitted = AdmittedMock { index, server: server.to_owned(), incarnation, connection, n_probes, commands };
        self.recorder.note(Source::Recorder, EventKind::LinkOpened { peer: admitted.peer() });
        self.touch();
        Some(admitted)
    }

    /// The answer to the hello of a mock.
    pub fn welcome(&self, mock: &AdmittedMock) -> Map<String, Value> {
        let mut welcome = self.options.mocks.get(&mock.server).map(|setup| setup.welcome.clone()).unwrap_or_default();
        welcome.insert("welcome".to_owned(), Value::from(1));
        welcome.insert("connection".to_owned(), Value::from(mock.connection.to_string()));
        welcome.insert("incarnation".to_owned(), Value::from(mock.incarnation));
        welcome.insert("n_probes".to_owned(), Value::from(mock.n_probes));
        welcome
    }

    /// Records the end of the link of a mock. `farewell`: whether the mock announced its end.
    pub fn dismiss_mock(&self, mock: &AdmittedMock, farewell: bool) {
        // Record the end before publishing it: a waiter may end the history as soon as it sees the change.
        self.recorder.note(Source::Recorder, EventKind::LinkClosed { peer: mock.peer(), farewell });
        self.book().mocks[mock.index].open = false;
        self.touch();
    }

    /// Takes an adapter into the book, and returns its link and the commands to it. `None` if there was one before.
    pub fn admit_adapter(&self, hello: AdapterHello) -> Option<(AdapterLink, mpsc::UnboundedReceiver<Value>)> {
        let (sender, commands) = mpsc::unbounded_channel();
        let link = AdapterLink::new(hello, sender);
        {
            let mut book = self.book();
            if book.adapter.is_some() {
                return None;
            }
            book.adapter_open = true;
        }
        self.recorder.note(Source::Recorder, EventKind::LinkOpened { peer: LinkPeer::Adapter });
        let hello = link.hello();
        let ready = EventKind::LoaderReady {
            adapter: format!("{} {}", hello.adapter, hello.version).trim_end().to_owned(),
            language: hello.language.clone(),
            operations: hello.operations.clone(),
            observes: hello.observes.clone(),
            unobservable: hello.unobservable.iter().map(|one| (one.what.clone(), one.because.clone())).collect(),
        };
        self.recorder.note(Source::Loader, ready);
        Some((link, commands))
    }

    /// Publishes the link of an adapter. Its welcome comes before every command.
    pub fn greet(&self, link: &AdapterLink) {
        self.book().adapter = Some(link.clone());
        self.touch();
    }

    /// Ends the pending commands of an adapter, and records the end of its link.
    pub fn dismiss_adapter(&self, link: &AdapterLink, farewell: bool) {
        link.lost();
        // Recorded before it is published, as for the link of a mock.
        self.recorder.note(Source::Recorder, EventKind::LinkClosed { peer: LinkPeer::Adapter, farewell });
        self.book().adapter_open = false;
        self.touch();
    }
}

/// A mock with a link.
pub(super) struct AdmittedMock {
    /// Its position in the book.
    index: usize,
    server: String,
    pub incarnation: u32,
    /// The name of its first connection.
    pub connection: ConnectionId,
    /// How many processes of its server were only asked for their generation.
    pub n_probes: usize,
    /// The commands to it.
    pub commands: mpsc::UnboundedReceiver<Value>,
}

impl AdmittedMock {
    /// As the source of events.
    pub fn source(&self) -> Source {
        Source::Mock { server: self.server.clone(), incarnation: self.incarnation }
    }

    fn peer(&self) -> LinkPeer {
        LinkPeer::Mock { server: self.server.clone(), incarnation: self.incarnation }
    }
}

/// How many processes of a server were only asked for their generation.
fn n_probes(recorder: &Recorder, server: &str) -> usize {
    let (mut probed, mut used) = (BTreeSet::new(), BTreeSet::new());
    recorder.any(|event| {
        if let (Source::Mock { server: of, incarnation }, EventKind::WireReceived { message, .. }) =
            (&event.source, &event.kind)
            && of == server
        {
            let asked = if message.is_request("server/discover") { &mut probed } else { &mut used };
            asked.insert(*incarnation);
        }
        false
    });
    probed.difference(&used).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{Header, Message};

    #[test]
    fn a_process_that_was_only_asked_for_its_generation_is_a_probe() {
        let recorder = Recorder::in_memory(Header::new("test"));
        let asked = [
            ("files", 1, "server/discover"),
            ("files", 2, "server/discover"),
            ("files", 2, "initialize"),
            ("files", 3, "initialize"),
            ("search", 1, "server/discover"),
        ];
        for (server, incarnation, method) in asked {
            let source = Source::Mock { server: server.to_owned(), incarnation };
            let message = Message::new(json!({ "jsonrpc": "2.0", "id": 1, "method": method }));
            recorder.note(source, EventKind::WireReceived { connection: ConnectionId::from("c1"), message });
        }
        assert_eq!(["files", "search", "mail"].map(|server| n_probes(&recorder, server)), [1, 1, 0]);
    }
}
