//! Mutations that mishandle arguments, processes, output and connections.

use std::io::Write;
use std::process::{Child, Command};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::join;
use mcp_lifecheck::loader::target::{BoxFuture, Called, Failure, Loaded, Loader};
use serde_json::{Map, Value};

use crate::mutation::around::Alter;
use crate::reference::{Options, ToolsLoader};

/// How much it writes to stderr, in KiB: more than any loader may.
const FLOOD_KIB: usize = 16 << 10;

/// Calls without the arguments that its caller gave.
pub(super) struct ArgumentsLost;

impl Alter for ArgumentsLost {
    fn call<'a>(
        &'a self,
        inner: &'a dyn Loader,
        server: &'a str,
        tool: &'a str,
        _: Value,
    ) -> BoxFuture<'a, Result<Called, Failure>> {
        inner.call(server, tool, Value::Object(Map::new()))
    }
}

/// Starts a process in each load, and never waits for its end.
#[derive(Default)]
pub(super) struct ChildForgotten {
    children: Mutex<Vec<Child>>,
}

impl Alter for ChildForgotten {
    fn load<'a>(&'a self, inner: &'a dyn Loader, config: &'a Value) -> BoxFuture<'a, Result<Loaded, Failure>> {
        let mut children = self.children.lock().unwrap_or_else(PoisonError::into_inner);
        children.extend(Command::new("true").spawn());
        inner.load(config)
    }
}

/// Logs without a bound while it loads.
pub(super) struct StderrFlooded;

impl Alter for StderrFlooded {
    fn load<'a>(&'a self, inner: &'a dyn Loader, config: &'a Value) -> BoxFuture<'a, Result<Loaded, Failure>> {
        let line = [b"loading ".repeat(128), vec![b'\n']].concat();
        for _ in 0..FLOOD_KIB {
            // The reader of the pipe may have ended.
            let _ = std::io::stderr().write_all(&line);
        }
        inner.load(config)
    }
}

/// Connects to every server twice, and uses one of the connections.
pub(super) struct ConnectedTwice {
    used: ToolsLoader,
    spare: ToolsLoader,
}

impl ConnectedTwice {
    pub(super) fn loader(options: Options) -> Arc<dyn Loader> {
        Arc::new(Self { used: ToolsLoader::new(options.clone()), spare: ToolsLoader::new(options) })
    }
}

impl Loader for ConnectedTwice {
    fn load<'a>(&'a self, config: &'a Value) -> BoxFuture<'a, Result<Loaded, Failure>> {
        Box::pin(async move {
            let (loaded, _) = join(Loader::load(&self.used, config), Loader::load(&self.spare, config)).await;
            loaded
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
            let (closed, _) = join(self.used.close(), self.spare.close()).await;
            closed
        })
    }
}
