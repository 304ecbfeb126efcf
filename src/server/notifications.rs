//! Notifications of the server, and requests to listen for them.
//!
//! Source: revision 2026-07-28, basic/patterns/subscriptions.

use serde_json::Value;

use crate::script::{LISTEN, LOG_MESSAGE};
use crate::server::cause::{Cause, Place};
use crate::server::clients::Clients;
use crate::server::conforming::{Filter, is_subscribed_to, names_subscription, notification_of};
use crate::server::subscriptions::Subscription;
use crate::server::wire;

/// Handles a request to listen, and returns whether the request needs no further answer.
///
/// The server acknowledges a valid request and keeps it open. A script that settles it once more ends it gracefully:
/// then the request gets its conforming answer.
pub(super) fn listen(cause: &Cause, place: Place, clients: &mut Clients) -> bool {
    let Cause::Request { id, method, params } = cause else { return false };
    if method != LISTEN {
        return false;
    }
    let Some(connection) = clients.state.connections.at_mut(place) else { return false };
    if connection.subscriptions.end(id) {
        return false;
    }
    if connection.subscriptions.is_cancelled(id) {
        return true;
    }
    let granted = connection.server.grants(params);
    match granted.filter(|_| connection.subscriptions.has_room()) {
        Some(filter) if clients.is_awaited(place) => subscribe(place, id, filter, clients),
        Some(_) => {}
        None => return false,
    }
    true
}

fn subscribe(place: Place, id: &Value, filter: Filter, clients: &mut Clients) {
    clients.stream(place, filter.acknowledgement(id));
    let Some(connection) = clients.state.connections.at_mut(place) else { return };
    connection.streams.extend(place.exchange);
    connection.subscriptions.open(Subscription { id: id.clone(), exchange: place.exchange, filter });
}

/// The server tears down a subscription, if the cause is the request for one.
pub(super) fn tear_down(cause: &Cause, place: Place, clients: &mut Clients) {
    if let Cause::Request { id, method, .. } = cause
        && method == LISTEN
        && let Some(connection) = clients.state.connections.at_mut(place)
    {
        connection.subscriptions.end(id);
    }
}

/// Sends a notification. Only subscribers get what needs a subscription.
pub(super) fn send(place: Place, method: &str, params: Option<&Value>, clients: &mut Clients) {
    for number in clients.state.connections.numbers_at(place) {
        let server = clients.state.connections.get(number).map(|connection| &connection.server);
        if method == LOG_MESSAGE && server.is_some_and(|server| !server.logs(params)) {
            continue;
        }
        // A script that names the subscription itself means every client, whether or not it has that subscription.
        let is_of_listeners = is_subscribed_to(method) && !params.is_some_and(names_subscription);
        if server.is_some_and(|server| server.is_stateless()) && is_of_listeners {
            send_to_listeners(number, method, params, clients);
        } else {
            let place = Place { connection: Some(number), ..place };
            clients.notify(place, &wire::notification_line(method, params));
        }
    }
}

fn send_to_listeners(number: u64, method: &str, params: Option<&Value>, clients: &mut Clients) {
    let Some(connection) = clients.state.connections.get(number) else { return };
    let listeners = connection.subscriptions.listeners(method);
    let lines: Vec<_> = listeners.map(|one| (one.exchange, notification_of(&one.id, method, params))).collect();
    for (exchange, line) in lines {
        clients.stream(Place { exchange, ..Place::on(number) }, line);
    }
}
