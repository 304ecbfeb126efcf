//! Mutations that keep something of each load, and mutations whose close is not the end.

use std::collections::BTreeMap;
use std::fs::File;
use std::process::Stdio;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use mcp_lifecheck::loader::target::{BoxFuture, Called, Failure, Loaded, Loader};
use serde_json::{Map, Value};
use tokio::time::sleep;

use crate::mutation::around::Alter;
use crate::mutation::responses::N_SESSIONS_LOST;
use crate::reference::{CommandLine, Config, Endpoint, Options, ToolsLoader};

/// How much memory a load keeps, in bytes.
const KEPT_BYTES: usize = 256 << 10;
/// How long after a close the work continues: longer than a message may be under way, and shorter than the wait of a scenario.
const AFTER_CLOSE: Duration = Duration::from_millis(400);

/// Keeps one more of something with each load.
pub(super) struct Kept<T> {
    one_more: fn() -> T,
    kept: Mutex<Vec<T>>,
}

impl<T> Kept<T> {
    fn each(one_more: fn() -> T) -> Self {
        Self { one_more, kept: Mutex::default() }
    }
}

impl Kept<std::io::Result<File>> {
    pub(super) fn descriptors() -> Self {
        Self::each(|| File::open("/dev/null"))
    }
}

impl Kept<JoinHandle<()>> {
    pub(super) fn threads() -> Self {
        Self::each(|| {
            thread::spawn(|| {
                loop {
                    thread::park();
                }
            })
        })
    }
}

impl Kept<Vec<u8>> {
    pub(super) fn memory() -> Self {
        // Not zeros: those need no memory before they are read.
        Self::each(|| vec![1; KEPT_BYTES])
    }
}

impl<T: Send + 'static> Alter for Kept<T> {
    fn load<'a>(&'a self, inner: &'a dyn Loader, config: &'a Value) -> BoxFuture<'a, Result<Loaded, Failure>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).push((self.one_more)());
        inner.load(config)
    }
}

/// Opens every server once more with each load, and closes all of that only at the end.
pub(super) struct ServersKept {
    options: Options,
    used: ToolsLoader,
    spares: tokio::sync::Mutex<Vec<ToolsLoader>>,
}

impl ServersKept {
    pub(super) fn loader(options: Options) -> Arc<dyn Loader> {
        Arc::new(Self { used: ToolsLoader::new(options.clone()), spares: Default::default(), options })
    }
}

impl Loader for ServersKept {
    fn load<'a>(&'a self, config: &'a Value) -> BoxFuture<'a, Result<Loaded, Failure>> {
        Box::pin(async move {
            let spare = ToolsLoader::new(self.options.clone());
            Loader::load(&spare, config).await?;
            self.spares.lock().await.push(spare);
            Loader::load(&self.used, config).await
        })
    }

    fn list(&self) -> BoxFuture<'_, Result<Loaded, Failure>> {
        Loader::list(&self.used)
    }

    fn call<'a>(&'a self, server: &'a str, tool: &'a str, arguments: Value) -> BoxFuture<'a, Result<Called, Failure>> {
        Loader::call(&self.used, server, tool, arguments)
    }

    fn close(&self) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(async move {
            for spare in std::mem::take(&mut *self.spares.lock().await) {
                spare.close().await?;
            }
            self.used.close().await
        })
    }
}

/// Starts its servers once more soon after it has closed them, as a timer does that outlives its session.
#[derive(Default)]
pub(super) struct Reopens {
    servers: Mutex<BTreeMap<String, Endpoint>>,
}

impl Alter for Reopens {
    fn load<'a>(&'a self, inner: &'a dyn Loader, config: &'a Value) -> BoxFuture<'a, Result<Loaded, Failure>> {
        if let Ok(config) = Config::from_value(config) {
            let servers = config.servers().iter().map(|(name, endpoint)| (name.clone(), endpoint.clone()));
            *self.servers.lock().unwrap_or_else(PoisonError::into_inner) = servers.collect();
        }
        inner.load(config)
    }

    fn close<'a>(&'a self, inner: &'a ToolsLoader) -> BoxFuture<'a, Result<(), Failure>> {
        let servers = std::mem::take(&mut *self.servers.lock().unwrap_or_else(PoisonError::into_inner));
        Box::pin(async move {
            inner.close().await?;
            thread::spawn(move || {
                thread::sleep(AFTER_CLOSE);
                for endpoint in servers.values() {
                    if let Endpoint::Command(line) = endpoint {
                        start_and_end(line);
                    }
                }
            });
            Ok(())
        })
    }
}

/// Starts a server without input, and waits for its end: a conforming server ends with its input.
fn start_and_end(line: &CommandLine) {
    let spawned = line.command().stdin(Stdio::null()).stdout(Stdio::null()).spawn();
    // A server that does not start is not connected, which the scenario shows.
    drop(spawned.and_then(|mut server| server.wait()));
}

/// Says that everything is closed, calls once more, and closes then.
pub(super) struct ClosesLater {
    inner: Arc<ToolsLoader>,
    tool: Mutex<Option<(String, String)>>,
}

impl ClosesLater {
    pub(super) fn loader(options: Options) -> Arc<dyn Loader> {
        Arc::new(Self { inner: Arc::new(ToolsLoader::new(options)), tool: Mutex::default() })
    }
}

impl Loader for ClosesLater {
    fn load<'a>(&'a self, config: &'a Value) -> BoxFuture<'a, Result<Loaded, Failure>> {
        Box::pin(async move {
            let loaded = Loader::load(&*self.inner, config).await?;
            *self.tool.lock().unwrap_or_else(PoisonError::into_inner) = loaded.tools.first().cloned();
            Ok(loaded)
        })
    }

    fn list(&self) -> BoxFuture<'_, Result<Loaded, Failure>> {
        Loader::list(&*self.inner)
    }

    fn call<'a>(&'a self, server: &'a str, tool: &'a str, arguments: Value) -> BoxFuture<'a, Result<Called, Failure>> {
        Loader::call(&*self.inner, server, tool, arguments)
    }

    fn close(&self) -> BoxFuture<'_, Result<(), Failure>> {
        let inner = Arc::clone(&self.inner);
        let tool = self.tool.lock().unwrap_or_else(PoisonError::into_inner).take();
        Box::pin(async move {
            let Some((server, tool)) = tool else { return inner.close().await };
            tokio::spawn(async move {
                sleep(AFTER_CLOSE).await;
                // The caller of the close has its answer, so no outcome has a receiver.
                let _ = Loader::call(&*inner, &server, &tool, Value::Object(Map::new())).await;
                let _ = inner.close().await;
            });
            Ok(())
        })
    }
}

/// Never completes a call whose session was lost, though it is made again.
pub(super) struct LostCallsForgotten;

impl Alter for LostCallsForgotten {
    fn call<'a>(
        &'a self,
        inner: &'a dyn Loader,
        server: &'a str,
        tool: &'a str,
        arguments: Value,
    ) -> BoxFuture<'a, Result<Called, Failure>> {
        Box::pin(async move {
            let before = N_SESSIONS_LOST.load(Ordering::Relaxed);
            let answer = inner.call(server, tool, arguments).await;
            if N_SESSIONS_LOST.load(Ordering::Relaxed) > before {
                std::future::pending::<()>().await;
            }
            answer
        })
    }
}
