//! Links within this process: a mock or a loader that is a task of the recorder's own thread.
//!
//! Nothing is written and nothing acknowledged: what such a link takes is on record when the call returns.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::ThreadId;

use serde_json::Value;
use tokio::sync::mpsc;

use crate::history::{ConnectionId, EventKind, OpId, Source};
use crate::record::adapter_link::{AdapterHello, AdapterLink, Completion};
use crate::record::book::{AdmittedMock, Shared};

/// Gives links to the mocks and the loader of one thread. Cheap to clone.
#[derive(Clone)]
pub struct NearLinks {
    shared: Arc<Shared>,
    home: Arc<Home>,
}

/// The thread on which all parts of a simulated plan run.
struct Home {
    thread: ThreadId,
    was_left: AtomicBool,
}

impl Home {
    /// Whether this is the thread. Notes it if it is not.
    fn is_here(&self) -> bool {
        let is_here = std::thread::current().id() == self.thread;
        if !is_here {
            self.was_left.store(true, Ordering::Relaxed);
        }
        is_here
    }
}

impl NearLinks {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let thread = std::thread::current().id();
        Self { shared, home: Arc::new(Home { thread, was_left: AtomicBool::new(false) }) }
    }

    /// Whether this is the thread on which the links were made.
    #[must_use]
    pub fn is_here(&self) -> bool {
        self.home.is_here()
    }

    /// Whether another thread has used them. What it reported is not recorded, because no order of it follows from a seed.
    #[must_use]
    pub fn were_used_elsewhere(&self) -> bool {
        self.home.was_left.load(Ordering::Relaxed)
    }

    /// The link of a mock; `None` if the scenario has no server of this name.
    #[must_use]
    pub fn mock(&self, server: &str) -> Option<NearMock> {
        let admitted = self.shared.admit_mock(server, 0)?;
        Some(NearMock::new(Arc::clone(&self.shared), admitted))
    }

    /// The link of the loader. `None` if there was one before.
    #[must_use]
    pub fn adapter(&self, hello: AdapterHello) -> Option<NearAdapter> {
        let (link, commands) = self.shared.admit_adapter(hello)?;
        self.shared.greet(&link);
        Some(NearAdapter::new(self.clone(), link, commands))
    }
}

/// The link of one mock. Dropping it ends the link.
pub struct NearMock {
    shared: Arc<Shared>,
    admitted: AdmittedMock,
    source: Source,
    farewell: AtomicBool,
}

impl NearMock {
    pub(super) fn new(shared: Arc<Shared>, admitted: AdmittedMock) -> Self {
        let source = admitted.source();
        Self { shared, admitted, source, farewell: AtomicBool::new(false) }
    }

    /// The commands to the mock. Only the first caller gets any.
    pub fn take_commands(&mut self) -> mpsc::UnboundedReceiver<Value> {
        std::mem::replace(&mut self.admitted.commands, mpsc::unbounded_channel().1)
    }

    /// The name of its first connection.
    #[must_use]
    pub fn connection(&self) -> &ConnectionId {
        &self.admitted.connection
    }

    /// Which mock of its server it is, counted from 1.
    #[must_use]
    pub fn incarnation(&self) -> u32 {
        self.admitted.incarnation
    }

    /// How many mocks of its server were only asked for their generation.
    #[must_use]
    pub fn n_probes(&self) -> usize {
        self.admitted.n_probes
    }

    /// Records an event of the mock.
    pub fn journal(&self, kind: &EventKind) {
        if matches!(kind, EventKind::MockEnding { .. }) {
            self.farewell.store(true, Ordering::Relaxed);
        }
        self.shared.recorder.note(self.source.clone(), kind.clone());
    }
}

impl Drop for NearMock {
    fn drop(&mut self) {
        self.shared.dismiss_mock(&self.admitted, self.farewell.load(Ordering::Relaxed));
    }
}

/// The link of the loader. Cheap to clone.
#[derive(Clone)]
pub struct NearAdapter {
    inner: Arc<Adapter>,
}

struct Adapter {
    links: NearLinks,
    link: AdapterLink,
    commands: Mutex<Option<mpsc::UnboundedReceiver<Value>>>,
    is_open: AtomicBool,
}

impl NearAdapter {
    fn new(links: NearLinks, link: AdapterLink, commands: mpsc::UnboundedReceiver<Value>) -> Self {
        let (commands, is_open) = (Mutex::new(Some(commands)), AtomicBool::new(true));
        Self { inner: Arc::new(Adapter { links, link, commands, is_open }) }
    }

    /// The driver's end.
    #[must_use]
    pub fn link(&self) -> AdapterLink {
        self.inner.link.clone()
    }

    /// The commands to the loader. Only the first caller gets them.
    #[must_use]
    pub fn take_commands(&self) -> Option<mpsc::UnboundedReceiver<Value>> {
        self.inner.commands.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Records an event of the loader. Nothing is recorded after the end of the link, as nothing comes from a process that has ended.
    pub fn event(&self, kind: &EventKind) {
        if self.is_open() {
            self.inner.links.shared.recorder.note(Source::Loader, kind.clone());
        }
    }

    /// Completes a command.
    pub fn complete(&self, command: u32, completion: Completion) {
        if !self.is_open() {
            return;
        }
        let Some(waiting) = self.inner.link.take_pending(command) else { return };
        if command < AdapterLink::FIRST_PLAIN_COMMAND {
            self.event(&EventKind::OperationCompleted { operation: OpId(command), outcome: completion.outcome() });
        }
        // The caller stops waiting when its limit passes. Then the completion has no receiver.
        let _ = waiting.send(completion);
    }

    /// Ends the link.
    pub fn close(&self) {
        if self.inner.is_open.swap(false, Ordering::Relaxed) {
            self.inner.links.shared.dismiss_adapter(&self.inner.link, false);
        }
    }

    fn is_open(&self) -> bool {
        self.inner.is_open.load(Ordering::Relaxed) && self.inner.links.is_here()
    }
}
