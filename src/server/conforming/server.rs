//! The conforming server behind one connection, of either protocol generation.

use serde_json::Value;

use crate::plan::Revision;
use crate::script::{DISCOVER, Generation};
use crate::server::conforming::handshake::Handshake;
use crate::server::conforming::stateless::{self, Filter, Stateless};
use crate::server::conforming::tasks::Tasks;
use crate::server::conforming::tools::Advertised;
use crate::server::rpc::RpcError;

/// A server that follows the protocol.
#[derive(Debug)]
pub(in crate::server) enum Conforming {
    Handshake(Handshake),
    Stateless(Stateless),
    /// It speaks both generations, and no client has chosen one yet.
    Either(Handshake, Stateless),
}

impl Conforming {
    /// A server with these tools. `newest` bounds the revision of the handshake generation.
    pub(in crate::server) fn new(generation: Generation, advertised: Advertised, newest: Revision) -> Self {
        match generation {
            Generation::Handshake => Self::Handshake(Handshake::new(advertised, newest)),
            Generation::Stateless => Self::Stateless(Stateless::new(advertised)),
            Generation::Both => Self::Either(Handshake::new(advertised.clone(), newest), Stateless::new(advertised)),
        }
    }

    /// Whether it is of the stateless generation and of no other.
    pub(in crate::server) fn is_stateless(&self) -> bool {
        matches!(self, Self::Stateless(_))
    }

    /// The negotiated revision, once the server has answered `initialize` with a result.
    pub(in crate::server) fn revision(&self) -> Option<Revision> {
        match self {
            Self::Handshake(handshake) | Self::Either(handshake, _) => handshake.revision(),
            Self::Stateless(_) => None,
        }
    }

    /// Advertises these tools from now on.
    pub(in crate::server) fn advertise(&mut self, tools: &[String]) {
        match self {
            Self::Handshake(handshake) => handshake.advertise(tools.to_vec()),
            Self::Stateless(stateless) => stateless.advertise(tools.to_vec()),
            Self::Either(handshake, stateless) => {
                handshake.advertise(tools.to_vec());
                stateless.advertise(tools.to_vec());
            }
        }
    }

    /// Takes `notifications/initialized`, and returns whether it completed the handshake.
    pub(in crate::server) fn initialized(&mut self) -> bool {
        match self {
            Self::Handshake(handshake) | Self::Either(handshake, _) => handshake.initialized(),
            Self::Stateless(_) => false,
        }
    }

    /// Answers a request. The first valid request decides the generation.
    pub(in crate::server) fn answer(&mut self, method: &str, params: &Value, id: &Value) -> Result<Value, RpcError> {
        match self {
            Self::Handshake(handshake) => handshake.answer(method, params, id),
            Self::Stateless(stateless) => stateless.answer(method, params, id),
            Self::Either(_, stateless) if is_of_stateless_generation(method, params) => {
                let answer = stateless.answer(method, params, id);
                if answer.is_ok() {
                    *self = Self::Stateless(stateless.clone());
                }
                answer
            }
            Self::Either(handshake, _) => {
                let answer = handshake.answer(method, params, id);
                if handshake.revision().is_some() {
                    *self = Self::Handshake(handshake.clone());
                }
                answer
            }
        }
    }

    /// Whether the client gets a log message with these parameters.
    pub(in crate::server) fn logs(&self, params: Option<&Value>) -> bool {
        match self {
            Self::Handshake(handshake) | Self::Either(handshake, _) => handshake.logs(params),
            // No session has a log level.
            Self::Stateless(_) => true,
        }
    }

    /// The tasks of its session, if its revision has tasks.
    pub(in crate::server) fn tasks(&self) -> Option<&Tasks> {
        match self {
            Self::Handshake(handshake) | Self::Either(handshake, _) => handshake.tasks(),
            Self::Stateless(_) => None,
        }
    }

    /// The same, to change them.
    pub(in crate::server) fn tasks_mut(&mut self) -> Option<&mut Tasks> {
        match self {
            Self::Handshake(handshake) | Self::Either(handshake, _) => handshake.tasks_mut(),
            Self::Stateless(_) => None,
        }
    }

    /// The notifications granted to a request to listen, if it is valid.
    pub(in crate::server) fn grants(&mut self, params: &Value) -> Option<Filter> {
        match self {
            Self::Handshake(_) => None,
            Self::Stateless(stateless) => stateless.grants(params),
            Self::Either(_, stateless) => {
                let granted = stateless.grants(params);
                if granted.is_some() {
                    *self = Self::Stateless(stateless.clone());
                }
                granted
            }
        }
    }
}

/// Whether a request is of the stateless generation: it has a method of that generation, or names its revision.
pub(in crate::server) fn is_of_stateless_generation(method: &str, params: &Value) -> bool {
    method != "initialize" && (method == DISCOVER || stateless::version_of(params).is_some())
}
