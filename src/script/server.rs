//! The honest server behind one connection, of whichever era.

use serde_json::Value;

use crate::plan::Revision;
use crate::script::Era;
use crate::script::honest::Honest;
use crate::script::modern::{self, DISCOVER, Filter, Modern};
use crate::script::offer::Offer;
use crate::script::rpc::RpcError;
use crate::script::tasks::Tasks;

/// An honest server.
#[derive(Debug)]
pub(super) enum Server {
    Legacy(Honest),
    Modern(Modern),
    /// A client has not opened it yet.
    Either(Honest, Modern),
}

impl Server {
    /// A server with this offer; `newest` says what a legacy one speaks.
    pub(super) fn new(era: Era, offer: Offer, newest: Revision) -> Self {
        match era {
            Era::Legacy => Self::Legacy(Honest::new(offer, newest)),
            Era::Modern => Self::Modern(Modern::new(offer)),
            Era::Dual => Self::Either(Honest::new(offer.clone(), newest), Modern::new(offer)),
        }
    }

    /// Whether it is of the modern era, as far as that is decided.
    pub(super) fn is_modern(&self) -> bool {
        matches!(self, Self::Modern(_))
    }

    /// The revision that was agreed on, once `initialize` was answered with a result.
    pub(super) fn revision(&self) -> Option<Revision> {
        match self {
            Self::Legacy(honest) | Self::Either(honest, _) => honest.revision(),
            Self::Modern(_) => None,
        }
    }

    /// Offers these tools from here on.
    pub(super) fn offer(&mut self, tools: &[String]) {
        match self {
            Self::Legacy(honest) => honest.offer(tools.to_vec()),
            Self::Modern(modern) => modern.offer(tools.to_vec()),
            Self::Either(honest, modern) => {
                honest.offer(tools.to_vec());
                modern.offer(tools.to_vec());
            }
        }
    }

    /// Takes `notifications/initialized`; whether this was the first in its place.
    pub(super) fn initialized(&mut self) -> bool {
        match self {
            Self::Legacy(honest) | Self::Either(honest, _) => honest.initialized(),
            Self::Modern(_) => false,
        }
    }

    /// Answers a request. The first good one of either era decides.
    pub(super) fn answer(&mut self, method: &str, params: &Value, id: &Value) -> Result<Value, RpcError> {
        match self {
            Self::Legacy(honest) => honest.answer(method, params, id),
            Self::Modern(modern) => modern.answer(method, params, id),
            Self::Either(_, modern) if is_of_modern_era(method, params) => {
                let answer = modern.answer(method, params, id);
                if answer.is_ok() {
                    *self = Self::Modern(modern.clone());
                }
                answer
            }
            Self::Either(honest, _) => {
                let answer = honest.answer(method, params, id);
                if honest.revision().is_some() {
                    *self = Self::Legacy(honest.clone());
                }
                answer
            }
        }
    }

    /// Whether a client is told a message of the log.
    pub(super) fn tells_log(&self, params: Option<&Value>) -> bool {
        match self {
            Self::Legacy(honest) | Self::Either(honest, _) => honest.tells_log(params),
            // There is no level for a whole session.
            Self::Modern(_) => true,
        }
    }

    /// The tasks of its session, where it has any.
    pub(super) fn tasks(&self) -> Option<&Tasks> {
        match self {
            Self::Legacy(honest) | Self::Either(honest, _) => honest.tasks(),
            Self::Modern(_) => None,
        }
    }

    /// The same, to change them.
    pub(super) fn tasks_mut(&mut self) -> Option<&mut Tasks> {
        match self {
            Self::Legacy(honest) | Self::Either(honest, _) => honest.tasks_mut(),
            Self::Modern(_) => None,
        }
    }

    /// What is granted to a request to listen, where it is a good one.
    pub(super) fn grants(&mut self, params: &Value) -> Option<Filter> {
        match self {
            Self::Legacy(_) => None,
            Self::Modern(modern) => modern.grants(params),
            Self::Either(_, modern) => {
                let granted = modern.grants(params);
                if granted.is_some() {
                    *self = Self::Modern(modern.clone());
                }
                granted
            }
        }
    }
}

/// Whether a request is one of the modern era: it asks what only that has, or says of which revision it is.
pub(super) fn is_of_modern_era(method: &str, params: &Value) -> bool {
    method != "initialize" && (method == DISCOVER || modern::version_of(params).is_some())
}
