//! Mutations that open connections, or report them, when they must not.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use mcp_lifecheck::loader::target::{BoxFuture, Failure, Loaded, Loader};
use serde_json::Value;
use tokio::time::sleep;

use crate::mutation::around::Alter;
use crate::reference::ToolsLoader;

/// How often a server is started by one load.
const N_STARTS: usize = 5;
/// How long the end of a program takes: longer than it may after a cleanup, and shorter than any exit.
const LINGERS: Duration = Duration::from_millis(5_200);

/// Opens every session several times before it keeps one.
pub(super) struct Respawns;

impl Alter for Respawns {
    fn load<'a>(&'a self, inner: &'a dyn Loader, config: &'a Value) -> BoxFuture<'a, Result<Loaded, Failure>> {
        Box::pin(async move {
            for _ in 1..N_STARTS {
                inner.load(config).await?;
                inner.close().await?;
            }
            inner.load(config).await
        })
    }
}

/// Leaves out the errors of a load.
pub(super) struct ErrorsLeftOut;

impl Alter for ErrorsLeftOut {
    fn load<'a>(&'a self, inner: &'a dyn Loader, config: &'a Value) -> BoxFuture<'a, Result<Loaded, Failure>> {
        Box::pin(async move {
            let loaded = inner.load(config).await?;
            Ok(Loaded { errors: Default::default(), ..loaded })
        })
    }
}

/// Hands out a tool that no server has.
pub(super) struct ToolMadeUp;

impl Alter for ToolMadeUp {
    fn load<'a>(&'a self, inner: &'a dyn Loader, config: &'a Value) -> BoxFuture<'a, Result<Loaded, Failure>> {
        Box::pin(async move {
            let mut loaded = inner.load(config).await?;
            let server = loaded.tools.first().map(|(server, _)| server.clone());
            loaded.tools.extend(server.map(|server| (server, "made-up".to_owned())));
            Ok(loaded)
        })
    }
}

/// Hands out each tool twice, as a list does that is read again from its first page.
pub(super) struct ToolsDoubled;

impl Alter for ToolsDoubled {
    fn load<'a>(&'a self, inner: &'a dyn Loader, config: &'a Value) -> BoxFuture<'a, Result<Loaded, Failure>> {
        Box::pin(async move {
            let mut loaded = inner.load(config).await?;
            loaded.tools.extend(loaded.tools.clone());
            Ok(loaded)
        })
    }
}

/// Leaves out each tool whose name is no identifier, as a framework does that turns tools into functions.
pub(super) struct NamesNarrowed;

impl Alter for NamesNarrowed {
    fn load<'a>(&'a self, inner: &'a dyn Loader, config: &'a Value) -> BoxFuture<'a, Result<Loaded, Failure>> {
        Box::pin(async move {
            let mut loaded = inner.load(config).await?;
            loaded.tools.retain(|(_, tool)| tool.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'));
            Ok(loaded)
        })
    }
}

/// Keeps the first entry of each server, whatever becomes of it in the configuration.
#[derive(Default)]
pub(super) struct FirstEntryKept {
    entries: tokio::sync::Mutex<serde_json::Map<String, Value>>,
}

impl Alter for FirstEntryKept {
    fn load<'a>(&'a self, inner: &'a dyn Loader, config: &'a Value) -> BoxFuture<'a, Result<Loaded, Failure>> {
        Box::pin(async move {
            let mut known = self.entries.lock().await;
            let mut config = config.clone();
            for (name, entry) in config["mcpServers"].as_object_mut().into_iter().flatten() {
                *entry = known.entry(name.clone()).or_insert_with(|| entry.clone()).clone();
            }
            inner.load(&config).await
        })
    }
}

/// Panics in a thread of its own when it closes.
pub(super) struct PanicsAside;

impl Alter for PanicsAside {
    fn close<'a>(&'a self, inner: &'a ToolsLoader) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async move {
            inner.close().await?;
            // The panic is reported where it happens; its thread has nothing else to tell.
            drop(thread::spawn(|| panic!("the loop of the session is closed")).join());
            Ok(())
        })
    }
}

/// Takes seconds to close once more, as at the end of the program.
#[derive(Default)]
pub(super) struct Lingers {
    n_closes: AtomicUsize,
}

impl Alter for Lingers {
    fn close<'a>(&'a self, inner: &'a ToolsLoader) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async move {
            if self.n_closes.fetch_add(1, Ordering::Relaxed) > 0 {
                sleep(LINGERS).await;
            }
            inner.close().await
        })
    }
}

/// Loads once more in order to close.
#[derive(Default)]
pub(super) struct LoadsToClose {
    config: Mutex<Option<Value>>,
}

impl Alter for LoadsToClose {
    fn load<'a>(&'a self, inner: &'a dyn Loader, config: &'a Value) -> BoxFuture<'a, Result<Loaded, Failure>> {
        *self.config.lock().unwrap_or_else(PoisonError::into_inner) = Some(config.clone());
        inner.load(config)
    }

    fn close<'a>(&'a self, inner: &'a ToolsLoader) -> BoxFuture<'a, Result<(), Failure>> {
        let config = self.config.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Box::pin(async move {
            inner.close().await?;
            if let Some(config) = config {
                Loader::load(inner, &config).await?;
            }
            inner.close().await
        })
    }
}
