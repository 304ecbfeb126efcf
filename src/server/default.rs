//! Default handling: how a conforming server handles a cause for which the script has no rule.

use crate::history::{ServerEnd, WireEnd};
use crate::server::cause::{Cause, Place};
use crate::server::clients::Clients;
use crate::server::effect::End;
use crate::server::notifications;
use crate::server::task::{Next, Wait};

/// Handles a cause by default.
pub(super) fn handle(cause: &Cause, place: Place, clients: &mut Clients) -> Next {
    match cause {
        Cause::Start | Cause::Initialized | Cause::Gate(_) | Cause::Elapsed(_) => {}
        Cause::Request { .. } => answer(cause, place, clients),
        Cause::Notification(_) => clients.accept(place),
        Cause::Response => {
            clients.accept(place);
            return place.connection.map_or(Next::Continue, |number| Next::Resume(Wait::Response(number)));
        }
        Cause::Get => {
            if let Some((http, state)) = clients.http() {
                http.open_stream(place, state);
            }
        }
        Cause::Delete => {
            if let Some((http, state)) = clients.http() {
                http.delete_session(place, state);
            }
        }
        Cause::Eof => {
            clients.close_all(WireEnd::ByClient);
            return Next::End(Some(ServerEnd::Eof), End::Exit(0));
        }
        Cause::Signal(signal) => {
            return Next::End(Some(ServerEnd::Signal(signal.name().to_owned())), End::Signal(*signal));
        }
    }
    Next::Continue
}

fn answer(cause: &Cause, place: Place, clients: &mut Clients) {
    if notifications::listen(cause, place, clients) {
        return;
    }
    if let Some(line) = clients.conforming_answer(cause, place) {
        clients.answer(place, line);
    }
}
