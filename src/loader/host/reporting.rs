//! The reports of a plan process: scopes, panics and operations.

use std::panic::Location;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use serde_json::{Map, Value, json};

use crate::history::{Channel, CodeLine, EventKind, Leaving, OpId, ScopeForm, ScopeId};
use crate::loader::host::numbering::Numbering;
use crate::loader::scopes::{self, ScopeSink};
use crate::loader::target::Failure;
use crate::record::Link;

/// Maximum size of a reported text, in bytes.
const TEXT_BYTES_MAX: usize = 16 << 10;

/// Reports over the link. The recorder stores each report before the call returns. Cheap to clone.
#[derive(Clone)]
pub(super) struct Reporter {
    inner: Arc<Inner>,
}

struct Inner {
    link: Link,
    numbering: Numbering,
}

/// How one command ended.
pub(super) enum Ended {
    Ok(Value),
    Failed(Failure),
    Cancelled,
}

impl Reporter {
    pub(super) fn new(link: Link) -> Self {
        Self { inner: Arc::new(Inner { link, numbering: Numbering::default() }) }
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
        let (name, value) = match ended {
            Ended::Ok(answer) => ("ok", answer.clone()),
            Ended::Failed(failure) => ("failed", json!({ "type": failure.kind, "message": shorten(&failure.message) })),
            Ended::Cancelled => ("cancelled", Value::Bool(true)),
        };
        let mut fields = Map::new();
        fields.insert("id".to_owned(), Value::from(id));
        fields.insert(name.to_owned(), value);
        // If the link is lost, the link's own thread ends this process.
        let _ = self.inner.link.report(fields);
    }

    pub(super) fn error(&self, channel: Channel, text: &str, at: Option<&Location<'_>>) {
        self.event(&EventKind::ErrorReported { channel, text: shorten(text), code: code(at) });
    }

    fn event(&self, kind: &EventKind) {
        // If the link is lost, the link's own thread ends this process.
        let _ = self.inner.link.journal(kind);
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
