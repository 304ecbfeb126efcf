//! The TCP connections of the clients.

use std::collections::BTreeMap;
use std::mem;

use crate::history::{EventKind, WireEnd};
use crate::server::http_io::SocketNo;
use crate::server::outbox::Outbox;

/// The open sockets, and how those end that an effect ends.
#[derive(Debug, Default)]
pub(super) struct Sockets {
    open: BTreeMap<SocketNo, Option<WireEnd>>,
    is_refusal_journalled: bool,
}

impl Sockets {
    pub(super) fn opened(&mut self, socket: SocketNo, outbox: &mut Outbox) {
        self.open.insert(socket, None);
        outbox.journal(EventKind::SocketOpened { socket: socket.id() });
    }

    /// A socket ended. `how` counts only if no effect ended it.
    pub(super) fn closed(&mut self, socket: SocketNo, how: WireEnd, outbox: &mut Outbox) {
        let by_effect = self.open.remove(&socket).flatten();
        outbox.journal(EventKind::SocketClosed { socket: socket.id(), how: by_effect.unwrap_or(how) });
    }

    /// The driver refused a client. The journal has the first refusal alone.
    pub(super) fn refused(&mut self, outbox: &mut Outbox) {
        if !mem::replace(&mut self.is_refusal_journalled, true) {
            outbox.truncated("sockets", "too many clients at once");
        }
    }

    /// An effect will end a socket in this way.
    pub(super) fn will_end(&mut self, socket: SocketNo, how: WireEnd) {
        self.open.insert(socket, Some(how));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::effect::Effect;

    #[test]
    fn an_effect_decides_how_its_socket_ends() {
        let (mut sockets, mut outbox) = (Sockets::default(), Outbox::new(1_024));
        sockets.opened(SocketNo(1), &mut outbox);
        sockets.will_end(SocketNo(1), WireEnd::ByServer);
        outbox.take();
        sockets.closed(SocketNo(1), WireEnd::Broken, &mut outbox);
        let closed = EventKind::SocketClosed { socket: SocketNo(1).id(), how: WireEnd::ByServer };
        assert_eq!(outbox.take(), [Effect::Journal(closed)]);
    }

    #[test]
    fn the_first_refusal_alone_is_journalled() {
        let (mut sockets, mut outbox) = (Sockets::default(), Outbox::new(1_024));
        sockets.refused(&mut outbox);
        sockets.refused(&mut outbox);
        assert_eq!(outbox.take().len(), 1);
    }
}
