//! Subscriptions to changes of the list of tools, for servers that notify only subscribers.
//!
//! Source: revision 2026-07-28, basic/patterns/subscriptions.

use std::time::Duration;

use rmcp::RoleClient;
use rmcp::model::SubscriptionFilter;
use rmcp::service::{Peer, Subscription};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::http::Backoff;
use super::request::{Requester, closed};

/// Counts notifications in `changes` until the session is to be closed, and then ends the subscription.
///
/// A subscription that ends is asked for again, ever more slowly. One that is refused, or never acknowledged, is not.
pub(super) async fn listen(requester: Requester, changes: watch::Sender<u64>) {
    if !tells_those_who_ask(&requester.peer) {
        return;
    }
    let closing = &requester.closing;
    let mut backoff = Backoff::new(&requester.bounds);
    let subscribing = || subscribe(&requester.peer, requester.bounds.connect);
    while let Some(Some(subscription)) = until_closed(closing, subscribing()).await {
        if backoff.has_begun() {
            // What changed meanwhile was told to nobody.
            changes.send_modify(|n| *n += 1);
        }
        hear(subscription, closing, &changes).await;
        let Some(delay) = backoff.next(None) else { return };
        until_closed(closing, sleep(delay)).await;
    }
}

/// Counts what comes on one subscription, to its end.
async fn hear(mut subscription: Subscription, closing: &watch::Receiver<bool>, changes: &watch::Sender<u64>) {
    loop {
        match until_closed(closing, subscription.next()).await {
            Some(Ok(Some(_))) => changes.send_modify(|n| *n += 1),
            Some(Ok(None) | Err(_)) => return,
            None => {
                // If the server cannot receive this, the end of its input follows anyway.
                let _ = subscription.cancel_with_reason(Some("the session is being closed".to_owned())).await;
                return;
            }
        }
    }
}

/// The result of `work`, unless the session is to be closed before.
async fn until_closed<T>(closing: &watch::Receiver<bool>, work: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        () = closed(closing.clone()) => None,
        done = work => Some(done),
    }
}

/// Whether a server announces changes of its tools, and belongs to the generation that needs a subscription for them.
fn tells_those_who_ask(peer: &Peer<RoleClient>) -> bool {
    peer.peer_info().is_some_and(|server| {
        let tools = server.capabilities.tools.as_ref();
        !server.protocol_version.has_initialize() && tools.is_some_and(|tools| tools.list_changed == Some(true))
    })
}

async fn subscribe(peer: &Peer<RoleClient>, bound: Duration) -> Option<Subscription> {
    let mut filter = SubscriptionFilter::default();
    filter.tools_list_changed = Some(true);
    timeout(bound, peer.listen(filter)).await.ok()?.ok()
}
