//! Mutations of what the loader does.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use mcp_lifecheck::loader::target::{BoxFuture, Called, Failure, Loaded, Loader};
use rustix::process::Signal;
use serde_json::Value;
use tokio::sync::Mutex;

use crate::mutation::children::signal_children;
use crate::mutation::wire::N_OWED;
use crate::reference::{Ending, ToolsLoader};

/// A mutation of the operations of a loader. A method that it does not define stays as it is.
pub(super) trait Alter: Send + Sync + 'static {
    fn load<'a>(&'a self, inner: &'a dyn Loader, config: &'a Value) -> BoxFuture<'a, Result<Loaded, Failure>> {
        inner.load(config)
    }

    fn call<'a>(
        &'a self,
        inner: &'a dyn Loader,
        server: &'a str,
        tool: &'a str,
        arguments: Value,
    ) -> BoxFuture<'a, Result<Called, Failure>> {
        inner.call(server, tool, arguments)
    }

    fn close<'a>(&'a self, inner: &'a ToolsLoader) -> BoxFuture<'a, Result<(), Failure>> {
        inner.close()
    }
}

/// The reference loader with a mutation around it.
pub(super) struct Altered<A> {
    pub inner: ToolsLoader,
    pub alter: A,
}

impl<A: Alter> Loader for Altered<A> {
    fn load<'a>(&'a self, config: &'a Value) -> BoxFuture<'a, Result<Loaded, Failure>> {
        self.alter.load(&self.inner, config)
    }

    fn list(&self) -> BoxFuture<'_, Result<Loaded, Failure>> {
        Loader::list(&self.inner)
    }

    fn call<'a>(&'a self, server: &'a str, tool: &'a str, arguments: Value) -> BoxFuture<'a, Result<Called, Failure>> {
        self.alter.call(&self.inner, server, tool, arguments)
    }

    fn close(&self) -> BoxFuture<'_, Result<(), Failure>> {
        self.alter.close(&self.inner)
    }
}

fn refused(message: &str) -> Failure {
    Failure { kind: "Mutation".to_owned(), message: message.to_owned() }
}

pub(super) struct CloseLost;

impl Alter for CloseLost {
    fn close<'a>(&'a self, _: &'a ToolsLoader) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async { Ok(()) })
    }
}

/// Fails to close when a server refuses to end its session.
pub(super) struct DeleteInsisted;

impl Alter for DeleteInsisted {
    fn close<'a>(&'a self, inner: &'a ToolsLoader) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async {
            let report = inner.cleanup().await.map_err(|error| Failure::of("LoaderError", &error))?;
            let is_left = report.endings.values().any(|ending| *ending == Ending::SessionLeft);
            if is_left { Err(refused("a server did not end its session")) } else { Ok(()) }
        })
    }
}

#[derive(Default)]
pub(super) struct SecondCloseFails {
    n_closes: AtomicUsize,
}

impl Alter for SecondCloseFails {
    fn close<'a>(&'a self, inner: &'a ToolsLoader) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async move {
            match self.n_closes.fetch_add(1, Ordering::Relaxed) {
                1 => Err(refused("it is closed already")),
                _ => inner.close().await,
            }
        })
    }
}

#[derive(Default)]
pub(super) struct DeadAfterClose {
    closed: AtomicBool,
}

impl Alter for DeadAfterClose {
    fn load<'a>(&'a self, inner: &'a dyn Loader, config: &'a Value) -> BoxFuture<'a, Result<Loaded, Failure>> {
        Box::pin(async move {
            if self.closed.load(Ordering::Relaxed) { Ok(Loaded::default()) } else { inner.load(config).await }
        })
    }

    fn close<'a>(&'a self, inner: &'a ToolsLoader) -> BoxFuture<'a, Result<(), Failure>> {
        self.closed.store(true, Ordering::Relaxed);
        inner.close()
    }
}

/// Closes every server before some of the later loads.
pub(super) struct Restart {
    n_servers: AtomicUsize,
    /// Whether a load closes them, by the number of servers before it and in it.
    when: fn(usize, usize) -> bool,
}

impl Restart {
    pub(super) fn when(when: fn(usize, usize) -> bool) -> Self {
        Self { n_servers: AtomicUsize::new(0), when }
    }
}

impl Alter for Restart {
    fn load<'a>(&'a self, inner: &'a dyn Loader, config: &'a Value) -> BoxFuture<'a, Result<Loaded, Failure>> {
        Box::pin(async move {
            let now = config["mcpServers"].as_object().map_or(0, serde_json::Map::len);
            let before = self.n_servers.swap(now, Ordering::Relaxed);
            if before > 0 && (self.when)(before, now) {
                inner.close().await?;
            }
            inner.load(config).await
        })
    }
}

/// Loads every server that any configuration so far has named.
#[derive(Default)]
pub(super) struct RemovedKept {
    config: Mutex<Value>,
}

impl Alter for RemovedKept {
    fn load<'a>(&'a self, inner: &'a dyn Loader, config: &'a Value) -> BoxFuture<'a, Result<Loaded, Failure>> {
        Box::pin(async move {
            let mut all = self.config.lock().await;
            match (all["mcpServers"].as_object_mut(), config["mcpServers"].as_object()) {
                (Some(all), Some(more)) => all.extend(more.clone()),
                _ => *all = config.clone(),
            }
            inner.load(&all).await
        })
    }
}

/// Hands out what it has handed out before, without a look at the servers.
#[derive(Default)]
pub(super) struct ToolsRemembered {
    last: Mutex<Option<(Value, Loaded)>>,
}

impl Alter for ToolsRemembered {
    fn load<'a>(&'a self, inner: &'a dyn Loader, config: &'a Value) -> BoxFuture<'a, Result<Loaded, Failure>> {
        Box::pin(async move {
            let mut last = self.last.lock().await;
            if let Some((known, loaded)) = &*last
                && known == config
            {
                return Ok(loaded.clone());
            }
            let loaded = inner.load(config).await?;
            *last = Some((config.clone(), loaded.clone()));
            Ok(loaded)
        })
    }

    fn close<'a>(&'a self, inner: &'a ToolsLoader) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async move {
            *self.last.lock().await = None;
            inner.close().await
        })
    }
}

#[derive(Default)]
pub(super) struct SessionPerCall {
    config: Mutex<Value>,
    is_stale: AtomicBool,
}

impl Alter for SessionPerCall {
    fn load<'a>(&'a self, inner: &'a dyn Loader, config: &'a Value) -> BoxFuture<'a, Result<Loaded, Failure>> {
        Box::pin(async move {
            *self.config.lock().await = config.clone();
            inner.load(config).await
        })
    }

    fn call<'a>(
        &'a self,
        inner: &'a dyn Loader,
        server: &'a str,
        tool: &'a str,
        arguments: Value,
    ) -> BoxFuture<'a, Result<Called, Failure>> {
        Box::pin(async move {
            let config = self.config.lock().await;
            if self.is_stale.swap(true, Ordering::Relaxed) {
                inner.load(&config).await?;
            }
            let answer = inner.call(server, tool, arguments).await;
            inner.close().await?;
            answer
        })
    }
}

pub(super) struct ErrorSwallowed;

impl Alter for ErrorSwallowed {
    fn call<'a>(
        &'a self,
        inner: &'a dyn Loader,
        server: &'a str,
        tool: &'a str,
        arguments: Value,
    ) -> BoxFuture<'a, Result<Called, Failure>> {
        Box::pin(async move {
            let answer = inner.call(server, tool, arguments).await;
            Ok(answer.unwrap_or(Called { text: String::new(), is_error: false }))
        })
    }
}

pub(super) struct TermBeforeEof;

impl Alter for TermBeforeEof {
    fn close<'a>(&'a self, inner: &'a ToolsLoader) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async {
            signal_children(Signal::TERM).await;
            inner.close().await
        })
    }
}

pub(super) struct KillBeforeEof;

impl Alter for KillBeforeEof {
    fn close<'a>(&'a self, inner: &'a ToolsLoader) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async {
            signal_children(Signal::KILL).await;
            inner.close().await
        })
    }
}

pub(super) struct OneFailsAll;

impl Alter for OneFailsAll {
    fn load<'a>(&'a self, inner: &'a dyn Loader, config: &'a Value) -> BoxFuture<'a, Result<Loaded, Failure>> {
        Box::pin(async move {
            let loaded = inner.load(config).await?;
            if loaded.errors.is_empty() {
                return Ok(loaded);
            }
            inner.close().await?;
            Err(refused("one server failed"))
        })
    }

    fn call<'a>(
        &'a self,
        inner: &'a dyn Loader,
        server: &'a str,
        tool: &'a str,
        arguments: Value,
    ) -> BoxFuture<'a, Result<Called, Failure>> {
        Box::pin(async move {
            let answer = inner.call(server, tool, arguments).await;
            if answer.is_err() {
                inner.close().await?;
            }
            answer
        })
    }
}

/// Waits for the handler of each request of a server before it closes.
pub(super) struct HandlersAwaited;

impl Alter for HandlersAwaited {
    fn close<'a>(&'a self, inner: &'a ToolsLoader) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async {
            if N_OWED.load(Ordering::Relaxed) > 0 {
                std::future::pending::<()>().await;
            }
            inner.close().await
        })
    }
}

/// Runs one operation at a time: a close waits for the load before it.
#[derive(Default)]
pub(super) struct CloseQueued {
    turn: Mutex<()>,
}

impl Alter for CloseQueued {
    fn load<'a>(&'a self, inner: &'a dyn Loader, config: &'a Value) -> BoxFuture<'a, Result<Loaded, Failure>> {
        Box::pin(async move {
            let _turn = self.turn.lock().await;
            inner.load(config).await
        })
    }

    fn close<'a>(&'a self, inner: &'a ToolsLoader) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async move {
            let _turn = self.turn.lock().await;
            inner.close().await
        })
    }
}
