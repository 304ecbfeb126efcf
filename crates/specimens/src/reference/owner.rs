//! The owner task of a session: opens it, carries its calls, closes it, all in this one task.

use std::future::{Future, pending};
use std::pin::{Pin, pin};
use std::sync::{Arc, PoisonError};

use futures_util::future::FutureExt;
use futures_util::stream::{FuturesUnordered, StreamExt};
use rmcp::model::Tool;
use tokio::sync::{mpsc, watch};
use tokio::task::unconstrained;
use tokio::time::{Instant, sleep_until, timeout};

use super::call::carry;
use super::channel::Channel;
use super::config::{Endpoint, HttpKind};
use super::error::{CallError, SessionError};
use super::http::{Conversation, Target};
use super::link::{self, Far, Link};
use super::listing::all_tools;
use super::options::Options;
use super::piped_server::PipedServer;
use super::process::{Ending, ServerProcess};
use super::request::{Requester, closed};
use super::session::{Call, Freshness, LeashSlot, Listing, Status, until_ended};
use super::wire::{Wire, WireNotes};

/// The state of an owner task between its steps.
pub(super) struct Owner {
    pub(super) name: String,
    pub(super) options: Arc<Options>,
    pub(super) closing: watch::Receiver<bool>,
    pub(super) calls: mpsc::UnboundedReceiver<Call>,
    pub(super) status: watch::Sender<Status>,
    pub(super) leash: LeashSlot,
}

/// What one of the things in flight came to.
enum Done {
    Call,
    Listening,
    Listed(Result<Arc<[Tool]>, SessionError>),
}

type InFlight = FuturesUnordered<Pin<Box<dyn Future<Output = Done> + Send>>>;

impl Owner {
    /// The whole life of a session.
    pub(super) async fn run(mut self, endpoint: Endpoint, predecessor: Option<watch::Receiver<Status>>) {
        if let Some(predecessor) = predecessor {
            // Bounded by the ladder of the predecessor, so a close meanwhile can wait for it too.
            until_ended(predecessor).await;
        }
        let is_closing = *self.closing.borrow();
        let ending = if is_closing { self.never_started(SessionError::Closed) } else { self.live(endpoint).await };
        self.status.send_modify(|status| {
            if let Status::Gone(because) = status {
                *status = Status::Ended(Arc::clone(because), ending);
            }
        });
    }

    async fn live(&mut self, endpoint: Endpoint) -> Ending {
        let scope = self.options.scopes.enter(&format!("session {}", self.name));
        let ending = match Channel::open(endpoint, &self.options) {
            Err(because) => self.never_started(because),
            Ok(Channel::Lines(server)) => self.live_over_lines(server).await,
            Ok(Channel::Http(kind, target)) => self.live_over_http(kind, *target).await,
        };
        scope.leave();
        ending
    }

    async fn live_over_lines(&mut self, server: PipedServer) -> Ending {
        self.hold(server.process());
        let (stdout, stdin) = server.pipes();
        let wire = Wire::over_pipes(stdout, stdin, &self.options.bounds, WireNotes::new());
        self.converse(wire, Far::Pipes(server.process())).await;
        let ending = server.shut_down().await;
        self.hold(None);
        ending
    }

    async fn live_over_http(&mut self, kind: HttpKind, target: Target) -> Ending {
        let notes = WireNotes::new();
        let (mut carrier, posted) = Conversation::new(kind, target, Arc::clone(&notes));
        let wire = Wire::over_http(posted, &self.options.bounds, notes);
        // Both in this task: whatever the carrier has in flight ends with it.
        let carried = async {
            carrier.run().await;
            pending::<()>().await;
        };
        tokio::select! {
            biased;
            () = self.converse(wire, Far::Http) => {}
            () = carried => {}
        }
        carrier.shut_down().await
    }

    /// From `initialize` to the close of the transport. The other side is left to the caller.
    async fn converse(&mut self, wire: Wire, far: Far<'_>) {
        match link::open(wire, far, &self.options, &self.closing).await {
            Err(because) => self.gone(because),
            Ok((link, tools)) => {
                self.status.send_replace(Status::Ready(Listing { tools, freshness: Freshness::Current }));
                let mut in_flight = InFlight::new();
                let because = self.serve(&link, far, &mut in_flight).await;
                let farewell = matches!(because, SessionError::Closed);
                self.gone(because);
                if farewell {
                    // Each call in flight sees the close by itself, answers its caller and announces its cancellation.
                    let _ = timeout(self.options.bounds.farewell, in_flight.by_ref().for_each(|_| async {})).await;
                } else {
                    // Answers that came before the end are still delivered; the others fail as their replies drop.
                    while unconstrained(in_flight.next()).now_or_never().flatten().is_some() {}
                }
                drop(in_flight);
                link.close(self.options.bounds.transport_close).await;
            }
        }
    }

    /// Serves calls until the session must end, and returns the reason.
    async fn serve(&mut self, link: &Link, far: Far<'_>, in_flight: &mut InFlight) -> SessionError {
        let mut changes = link.changes();
        let mut relisting = Relisting::Idle;
        let mut next_relist = Instant::now();
        let mut closing = pin!(closed(self.closing.clone()));
        in_flight.push(Box::pin(link.listen().map(|()| Done::Listening)));
        let mut lost = pin!(link.lost(far, &self.options.bounds));
        loop {
            tokio::select! {
                biased;
                () = &mut closing => return SessionError::Closed,
                because = &mut lost => return because,
                Some(done) = in_flight.next(), if !in_flight.is_empty() => {
                    if let Done::Listed(listed) = done {
                        relisting = self.take_listing(listed, relisting);
                    }
                }
                Ok(()) = changes.changed() => {
                    self.mark_stale();
                    relisting = relisting.and_another();
                }
                Some(call) = self.calls.recv() => self.admit(call, link.requester(), in_flight),
            }
            if relisting == Relisting::Due {
                in_flight.push(Box::pin(relist(link.requester().clone(), next_relist)));
                next_relist = next_relist.max(Instant::now()) + self.options.bounds.relist_gap;
                relisting = Relisting::Running;
            }
        }
    }

    fn admit(&self, call: Call, requester: &Requester, in_flight: &InFlight) {
        let n_calls_max = self.options.bounds.n_calls_max;
        if in_flight.len() >= n_calls_max {
            // If the caller is gone already, nobody needs to know.
            let _ = call.reply.send(Err(CallError::TooManyCalls { server: self.name.clone(), n_calls_max }));
            return;
        }
        let requester = requester.clone();
        let server = self.name.clone();
        in_flight.push(Box::pin(carry(server, requester, call).map(|()| Done::Call)));
    }

    fn take_listing(&self, listed: Result<Arc<[Tool]>, SessionError>, relisting: Relisting) -> Relisting {
        let freshness = match relisting {
            Relisting::RunningAndDue => Freshness::Stale,
            Relisting::Idle | Relisting::Due | Relisting::Running => Freshness::Current,
        };
        if let Ok(tools) = listed {
            self.status.send_replace(Status::Ready(Listing { tools, freshness }));
        }
        // After a failure the old list stays, marked as stale, until the server announces another change.
        if relisting == Relisting::RunningAndDue { Relisting::Due } else { Relisting::Idle }
    }

    fn mark_stale(&self) {
        self.status.send_modify(|status| {
            if let Status::Ready(listing) = status {
                listing.freshness = Freshness::Stale;
            }
        });
    }

    /// Records why the session is not usable any more, then drops the calls that have not begun: who asked for them
    /// reads the reason.
    fn gone(&mut self, because: SessionError) {
        self.status.send_replace(Status::Gone(Arc::new(because)));
        self.calls.close();
        while self.calls.try_recv().is_ok() {}
    }

    fn never_started(&mut self, because: SessionError) -> Ending {
        self.gone(because);
        Ending::NeverStarted
    }

    fn hold(&self, process: Option<&ServerProcess>) {
        *self.leash.lock().unwrap_or_else(PoisonError::into_inner) = process.map(ServerProcess::leash);
    }
}

/// Whether the tools are being listed again. At most one listing runs at a time, whatever the server announces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Relisting {
    Idle,
    Due,
    Running,
    RunningAndDue,
}

impl Relisting {
    fn and_another(self) -> Self {
        match self {
            Self::Idle | Self::Due => Self::Due,
            Self::Running | Self::RunningAndDue => Self::RunningAndDue,
        }
    }
}

/// Lists the tools again, but not before `not_before`, so that a storm of announcements does not become a storm of
/// requests.
async fn relist(requester: Requester, not_before: Instant) -> Done {
    sleep_until(not_before).await;
    Done::Listed(all_tools(&requester, requester.bounds.relist).await)
}
