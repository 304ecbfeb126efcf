//! What the rules about started programs share: conformance clients and applications, which the harness starts and
//! watches.

use crate::check::View;
use crate::history::{Event, ExchangeId, Name};

/// Whether the program is responsible for everything that it has not done by the end of the history.
pub(super) fn is_responsible(view: &View) -> bool {
    view.experiment_failed().is_none() && !view.is_cut_off()
}

/// An exchange and its server: each server numbers its exchanges by itself.
pub(super) type ServerExchange = (Name, ExchangeId);

pub(super) fn exchange_of(event: &Event, exchange: &ExchangeId) -> ServerExchange {
    (event.source.server().unwrap_or_default().into(), exchange.clone())
}
