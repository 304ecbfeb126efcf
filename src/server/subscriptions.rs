//! The subscriptions of one connection: requests that stay open while the server sends notifications.
//!
//! Source: revision 2026-07-28, basic/patterns/subscriptions and basic/patterns/cancellation.

use serde_json::Value;

use crate::server::conforming::Filter;
use crate::server::http_io::ExchangeNo;

/// Most subscriptions of one connection; the server ends further ones at once.
const SUBSCRIPTIONS_MAX: usize = 1_024;

/// The subscriptions of one connection.
#[derive(Debug, Default)]
pub(super) struct Subscriptions {
    open: Vec<Subscription>,
    /// Ids of subscriptions that the client cancelled, until it reuses the id.
    cancelled: Vec<Value>,
}

/// One subscription.
#[derive(Debug)]
pub(super) struct Subscription {
    pub id: Value,
    /// Over HTTP, the stream that carries it.
    pub exchange: Option<ExchangeNo>,
    pub filter: Filter,
}

impl Subscriptions {
    /// A request uses this id, whatever became of it before.
    pub(super) fn reuse_id(&mut self, id: &Value) {
        self.cancelled.retain(|one| one != id);
    }

    pub(super) fn open(&mut self, subscription: Subscription) {
        self.open.push(subscription);
    }

    /// The client cancels the one with this id, if there is one.
    pub(super) fn cancel(&mut self, id: &Value) {
        if self.end(id) {
            self.cancelled.push(id.clone());
        }
    }

    pub(super) fn is_cancelled(&self, id: &Value) -> bool {
        self.cancelled.contains(id)
    }

    /// Ends the one on this stream.
    pub(super) fn end_with(&mut self, exchange: ExchangeNo) {
        self.open.retain(|one| one.exchange != Some(exchange));
    }

    /// Ends the one with this id, and returns whether there was one.
    pub(super) fn end(&mut self, id: &Value) -> bool {
        let n_before = self.open.len();
        self.open.retain(|one| one.id != *id);
        self.open.len() < n_before
    }

    pub(super) fn has_room(&self) -> bool {
        self.open.len() + self.cancelled.len() < SUBSCRIPTIONS_MAX
    }

    /// Those that asked for this notification.
    pub(super) fn listeners<'a>(&'a self, method: &'a str) -> impl Iterator<Item = &'a Subscription> {
        self.open.iter().filter(move |one| one.filter.lets_through(method))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_cancelled_id_stays_cancelled_until_a_request_reuses_it() {
        let mut subscriptions = Subscriptions::default();
        let id = json!(1);
        subscriptions.cancel(&id);
        assert!(!subscriptions.is_cancelled(&id), "there was no subscription");
        let filter = Filter::of_tools();
        subscriptions.open(Subscription { id: id.clone(), exchange: None, filter });
        assert_eq!(subscriptions.listeners("notifications/tools/list_changed").count(), 1);
        subscriptions.cancel(&id);
        assert_eq!(subscriptions.listeners("notifications/tools/list_changed").count(), 0);
        assert!(subscriptions.is_cancelled(&id));
        subscriptions.reuse_id(&id);
        assert!(!subscriptions.is_cancelled(&id));
    }
}
