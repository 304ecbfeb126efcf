//! What an honest server of the legacy era answers.

use serde_json::{Value, json};

use crate::plan::Revision;
use crate::script::logging::{Log, SET_LEVEL};
use crate::script::offer::{Offer, server_info, shortened};
use crate::script::rpc::RpcError;
use crate::script::tasks::{self, Tasks};
use crate::script::wire::{INVALID_PARAMS, INVALID_REQUEST, METHOD_NOT_FOUND};

/// An honest server with a list of tools.
#[derive(Debug, Clone)]
pub(super) struct Honest {
    offer: Offer,
    newest: Revision,
    opened: Opened,
    negotiated: Option<Revision>,
    log: Log,
    tasks: Tasks,
}

/// How far the opening has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Opened {
    /// `initialize` was not answered yet.
    No,
    /// `initialize` was answered.
    Answered,
    /// The client said that it is initialized.
    Initialized,
}

impl Honest {
    /// A server that speaks at most `newest`; never a revision without `initialize`.
    pub(super) fn new(offer: Offer, newest: Revision) -> Self {
        Self {
            offer,
            newest: newest.min(Revision::NEWEST_HANDSHAKE),
            opened: Opened::No,
            negotiated: None,
            log: Log::default(),
            tasks: Tasks::default(),
        }
    }

    /// The revision that was agreed on, once `initialize` was answered with a result.
    pub(super) fn revision(&self) -> Option<Revision> {
        self.negotiated
    }

    /// Offers these tools from here on.
    pub(super) fn offer(&mut self, tools: Vec<String>) {
        self.offer.set(tools);
    }

    /// Takes `notifications/initialized`; whether this was the first in its place.
    pub(super) fn initialized(&mut self) -> bool {
        let is_first = self.opened == Opened::Answered;
        if is_first {
            self.opened = Opened::Initialized;
        }
        is_first
    }

    /// Answers a request.
    ///
    /// A request between the answer to `initialize` and `notifications/initialized` is served: real servers differ here,
    /// and whether a client may send it is for a checker to say.
    pub(super) fn answer(&mut self, method: &str, params: &Value, id: &Value) -> Result<Value, RpcError> {
        match method {
            "ping" => Ok(json!({})),
            "initialize" => self.initialize(params),
            SET_LEVEL if !self.offer.features().logs => Err(unknown(method)),
            "tools/list" | "tools/call" | SET_LEVEL if self.opened == Opened::No => {
                // The text and code of the Python SDK, the most common server.
                Err(RpcError::new(INVALID_PARAMS, "Received request before initialization was complete"))
            }
            "tools/list" if self.has_tasks() => self.offer.list(params).map(tasks::mark_tools),
            "tools/list" => self.offer.list(params),
            "tools/call" if self.has_tasks() && params.get("task").is_some() => {
                let result = self.offer.call(params)?;
                self.tasks.make(id, params, result)
            }
            "tools/call" => self.offer.call(params),
            SET_LEVEL => self.log.set_level(params),
            _ => {
                let about_tasks = self.tasks_mut().and_then(|tasks| tasks.answer(method, params));
                about_tasks.unwrap_or_else(|| Err(unknown(method)))
            }
        }
    }

    /// Whether calls may be made as tasks: its revision has them.
    fn has_tasks(&self) -> bool {
        self.offer.features().tasks && self.negotiated == Some(Revision::R20251125)
    }

    /// The tasks of its session, where it has any.
    pub(super) fn tasks(&self) -> Option<&Tasks> {
        self.has_tasks().then_some(&self.tasks)
    }

    /// The same, to change them.
    pub(super) fn tasks_mut(&mut self) -> Option<&mut Tasks> {
        self.has_tasks().then_some(&mut self.tasks)
    }

    /// Whether the client is told a message of the log.
    pub(super) fn tells_log(&self, params: Option<&Value>) -> bool {
        self.log.tells(params)
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
        let mut capabilities = self.offer.capabilities();
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
