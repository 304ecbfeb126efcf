//! The answers of a conforming server of the handshake generation.

use serde_json::{Value, json};

use crate::plan::Revision;
use crate::server::conforming::log::{Log, SET_LEVEL};
use crate::server::conforming::tasks::{self, Tasks};
use crate::server::conforming::tools::{Advertised, server_info, shortened};
use crate::server::rpc::RpcError;
use crate::server::wire::{INVALID_PARAMS, INVALID_REQUEST, METHOD_NOT_FOUND};

/// A conforming server with a list of tools.
#[derive(Debug, Clone)]
pub(in crate::server) struct Handshake {
    advertised: Advertised,
    newest: Revision,
    opened: Opened,
    negotiated: Option<Revision>,
    log: Log,
    tasks: Tasks,
}

/// The progress of the handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Opened {
    /// The server has not answered `initialize` yet.
    No,
    /// The server has answered `initialize`.
    Answered,
    /// The client has sent `notifications/initialized`.
    Initialized,
}

impl Handshake {
    /// A server that speaks at most `newest`, and never a revision without `initialize`.
    pub(in crate::server) fn new(advertised: Advertised, newest: Revision) -> Self {
        Self {
            advertised,
            newest: newest.min(Revision::NEWEST_HANDSHAKE),
            opened: Opened::No,
            negotiated: None,
            log: Log::default(),
            tasks: Tasks::default(),
        }
    }

    /// The negotiated revision, once the server has answered `initialize` with a result.
    pub(in crate::server) fn revision(&self) -> Option<Revision> {
        self.negotiated
    }

    /// Advertises these tools from now on.
    pub(in crate::server) fn advertise(&mut self, tools: Vec<String>) {
        self.advertised.set(tools);
    }

    /// Takes `notifications/initialized`, and returns whether it completed the handshake.
    pub(in crate::server) fn initialized(&mut self) -> bool {
        let is_first = self.opened == Opened::Answered;
        if is_first {
            self.opened = Opened::Initialized;
        }
        is_first
    }

    /// Answers a request.
    ///
    /// A request between the answer to `initialize` and `notifications/initialized` is served: real servers differ here,
    /// and a checker decides whether a client may send it.
    pub(in crate::server) fn answer(&mut self, method: &str, params: &Value, id: &Value) -> Result<Value, RpcError> {
        match method {
            "ping" => Ok(json!({})),
            "initialize" => self.initialize(params),
            SET_LEVEL if !self.advertised.features().logs => Err(unknown(method)),
            "tools/list" | "tools/call" | SET_LEVEL if self.opened == Opened::No => {
                // The text and code of the Python SDK, the most common server.
                Err(RpcError::new(INVALID_PARAMS, "Received request before initialization was complete"))
            }
            "tools/list" if self.has_tasks() => self.advertised.list(params).map(tasks::mark_tools),
            "tools/list" => self.advertised.list(params),
            "tools/call" if self.has_tasks() && params.get("task").is_some() => {
                let result = self.advertised.call(params)?;
                self.tasks.make(id, params, result)
            }
            "tools/call" => self.advertised.call(params),
            SET_LEVEL => self.log.set_level(params),
            _ => {
                let about_tasks = self.tasks_mut().and_then(|tasks| tasks.answer(method, params));
                about_tasks.unwrap_or_else(|| Err(unknown(method)))
            }
        }
    }

    /// Whether clients may call tools as tasks, which only one revision has.
    fn has_tasks(&self) -> bool {
        self.advertised.features().tasks && self.negotiated == Some(Revision::R20251125)
    }

    /// The tasks of its session, if its revision has tasks.
    pub(in crate::server) fn tasks(&self) -> Option<&Tasks> {
        self.has_tasks().then_some(&self.tasks)
    }

    /// The same, to change them.
    pub(in crate::server) fn tasks_mut(&mut self) -> Option<&mut Tasks> {
        self.has_tasks().then_some(&mut self.tasks)
    }

    /// Whether the client gets a log message with these parameters.
    pub(in crate::server) fn logs(&self, params: Option<&Value>) -> bool {
        self.log.lets_through(params)
    }

    fn initialize(&mut self, params: &Value) -> Result<Value, RpcError> {
        if self.opened != Opened::No {
            return Err(RpcError::new(INVALID_REQUEST, "Already initialized"));
        }
        let Some(asked) = params.get("protocolVersion").and_then(Value::as_str) else {
            return Err(RpcError::new(INVALID_PARAMS, "protocolVersion must be a string"));
        };
        // `draft` is a name of our command line, not of the protocol.
        let known = Revision::ALL.into_iter().find(|revision| revision.as_str() == asked);
        let revision = known.filter(|revision| *revision <= self.newest).unwrap_or(self.newest);
        self.opened = Opened::Answered;
        self.negotiated = Some(revision);
        let mut capabilities = self.advertised.capabilities();
        if self.has_tasks() {
            capabilities["tasks"] = tasks::capability();
        }
        Ok(json!({
            "protocolVersion": revision.as_str(),
            "capabilities": capabilities,
            "serverInfo": server_info(),
        }))
    }
}

fn unknown(method: &str) -> RpcError {
    RpcError::new(METHOD_NOT_FOUND, format!("Method not found: {}", shortened(method)))
}
