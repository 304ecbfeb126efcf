//! What a host is judged by: a program that is started and watched, and of which nothing is asked.
//!
//! It has promised nothing, and nobody sees inside it. So these are about the wire, its process and its output alone. They
//! have their own table, because a loader that is driven may do some of this: it calls the same tool twice when it is told to.

pub(super) mod application;
pub(super) mod calls;
pub(super) mod elicitation;
pub(super) mod ending;
pub(super) mod exchange;
pub(super) mod output;
pub(super) mod sessions;
pub(super) mod sockets;
#[cfg(test)]
mod tests;

use crate::check::View;
use crate::history::{Event, ExchangeId};

/// Whether what a host has not done by the end of the history is its own doing.
fn is_its_doing(view: &View) -> bool {
    view.experiment_failed().is_none() && !view.is_cut_off()
}

/// An exchange of one server: their numbers are each server's own.
type ServerExchange = (String, ExchangeId);

fn exchange_of(event: &Event, exchange: &ExchangeId) -> ServerExchange {
    (event.source.server().unwrap_or_default().to_owned(), exchange.clone())
}
