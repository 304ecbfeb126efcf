//! The reports of a hosted loader: scopes, panics and operations.

use std::cell::RefCell;
use std::panic::Location;
use std::path::Path;
use std::sync::{Arc, Once, OnceLock};

use serde_json::{Map, Value, json};

use crate::history::{self, Channel, CodeLine, EventKind, Leaving, OpId, ScopeForm, ScopeId};
use crate::loader::host::numbering::Numbering;
use crate::loader::scopes::{self, ScopeSink};
use crate::loader::target::Failure;
use crate::record::{Completion, Link, NearAdapter};

/// Maximum size of a reported text, in bytes.
const TEXT_BYTES_MAX: usize = 16 << 10;

/// Where reports go. The recorder stores each before the call returns.
pub(super) trait Outlet: Send + Sync {
    /// Reports an event.
    fn event(&self, kind: &EventKind);
    /// Reports how a command ended.
    fn completed(&self, id: u32, ended: &Ended);
}

/// Reports to an outlet. Cheap to clone.
#[derive(Clone)]
pub(super) struct Reporter {
    inner: Arc<Inner>,
}

struct Inner {
    outlet: Box<dyn Outlet>,
    numbering: Numbering,
}

impl Outlet for Link {
    fn event(&self, kind: &EventKind) {
        // If the link is lost, the link's own thread ends this process.
        let _ = self.journal(kind);
    }

    fn completed(&self, id: u32, ended: &Ended) {
        let (name, value) = match ended {
            Ended::Ok(answer) => ("ok", answer.clone()),
            Ended::Failed(failure) => ("failed", json!({ "type": failure.kind, "message": shorten(&failure.message) })),
            Ended::Cancelled => ("cancelled", Value::Bool(true)),
        };
        let fields = [("id".to_owned(), Value::from(id)), (name.to_owned(), value)];
        // If the link is lost, the link's own thread ends this process.
        let _ = self.report(Map::from_iter(fields));
    }
}

impl Outlet for NearAdapter {
    fn event(&self, kind: &EventKind) {
        Self::event(self, kind);
    }

    fn completed(&self, id: u32, ended: &Ended) {
        let completion = match ended {
            Ended::Ok(answer) => Completion::Ok(answer.clone()),
            Ended::Failed(failure) => Completion::Failed(history::Failure {
                kind: failure.kind.clone(),
                message: shorten(&failure.message),
                code: Vec::new(),
            }),
            Ended::Cancelled => Completion::Cancelled,
        };
        self.complete(id, completion);
    }
}

/// How one command ended.
pub(super) enum Ended {
    Ok(Value),
    Failed(Failure),
    Cancelled,
}

impl Reporter {
    pub(super) fn new(outlet: Box<dyn Outlet>) -> Self {
        Self { inner: Arc::new(Inner { outlet, numbering: Numbering::default() }) }
    }

    /// Numbers the calling thread. The main thread calls this first, so it always has number 1.
    pub(super) fn number_this_thread(&self) {
        self.inner.numbering.here();
    }

    pub(super) fn started(&self, operation: u32) {
        let context = self.inner.numbering.here();
        self.event(&EventKind::OperationStarted { operation: OpId(operation), context });
    }

    pub(super) fn completed(&self, id: u32, ended: &Ended) {
        self.inner.outlet.completed(id, ended);
    }

    pub(super) fn error(&self, channel: Channel, text: &str, at: Option<&Location<'_>>) {
        self.event(&EventKind::ErrorReported { channel, text: shorten(text), code: code(at) });
    }

    fn event(&self, kind: &EventKind) {
        self.inner.outlet.event(kind);
    }

    /// Reports every panic of this process, even one that the loader catches.
    pub(super) fn report_panics(&self) {
        static REPORTER: OnceLock<Reporter> = OnceLock::new();
        if REPORTER.set(self.clone()).is_err() {
            return;
        }
        let default = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            default(panic);
            if let Some(reporter) = REPORTER.get() {
                reporter.error(Channel::Panic, &panic.to_string(), panic.location());
            }
        }));
    }

    /// Reports every panic of this thread until the guard is dropped, and prints none of them.
    pub(super) fn report_panics_here(&self) -> PanicsHere {
        static INSTALLED: Once = Once::new();
        INSTALLED.call_once(|| {
            let default = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| match HERE.with_borrow(Clone::clone) {
                Some(reporter) => reporter.error(Channel::Panic, &panic.to_string(), panic.location()),
                None => default(panic),
            }));
        });
        HERE.set(Some(self.clone()));
        PanicsHere { _private: () }
    }
}

thread_local! {
    /// The reporter of this thread's panics.
    static HERE: RefCell<Option<Reporter>> = const { RefCell::new(None) };
}

/// While it exists, the panics of its thread are reported.
pub struct PanicsHere {
    _private: (),
}

impl Drop for PanicsHere {
    fn drop(&mut self) {
        HERE.set(None);
    }
}

impl ScopeSink for Reporter {
    fn entered(&self, number: u64, name: &str, at: &Location<'_>) {
        // The reference contract requires that one task opens and closes a session.
        self.event(&EventKind::ScopeEntered {
            scope: ScopeId(format!("s{number}").into()),
            name: name.to_owned(),
            form: ScopeForm::TaskBound,
            parent: None,
            context: self.inner.numbering.here(),
            code: code(Some(at)),
        });
    }

    fn left(&self, number: u64, how: scopes::Leaving, at: Option<&Location<'_>>) {
        let how = match how {
            scopes::Leaving::Explicit => Leaving::Explicit,
            scopes::Leaving::Finaliser => Leaving::Finaliser,
        };
        let context = self.inner.numbering.here();
        self.event(&EventKind::ScopeLeft { scope: ScopeId(format!("s{number}").into()), context, how, code: code(at) });
    }
}

/// The line of the loader's code at a place, if that is neither in the standard library nor in a package from a registry.
fn code(at: Option<&Location<'_>>) -> Vec<CodeLine> {
    let line = |at: &Location<'_>| {
        let file = shown(at.file())?;
        Some(CodeLine { file, line: at.line(), function: None })
    };
    at.and_then(line).into_iter().collect()
}

/// A file as its workspace names it. The compiler names files of other folders by their whole paths; then it is the part from `src` on.
fn shown(file: &str) -> Option<String> {
    let path = Path::new(file);
    let is_foreign = file.starts_with("/rustc/") || path.components().any(|part| part.as_os_str() == "registry");
    if is_foreign {
        return None;
    }
    if path.is_relative() {
        return Some(file.to_owned());
    }
    let parts: Vec<_> = path.components().collect();
    let from = parts.iter().rposition(|part| part.as_os_str() == "src").unwrap_or(parts.len() - 1);
    Some(parts[from..].iter().collect::<std::path::PathBuf>().display().to_string())
}

fn shorten(text: &str) -> String {
    let end = text.floor_char_boundary(TEXT_BYTES_MAX);
    text[..end].to_owned()
}
