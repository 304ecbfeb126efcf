//! The end of a host: by itself, or by force once its longest life is over.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::Instant;

use crate::history::{Channel, EventKind};
use crate::host::exits::record_exits;
use crate::host::stderr::errors_in;
use crate::life::{After, Stage, await_quiet_wire, await_vanishing, identify, read_head};
use crate::supervise::Supervised;

/// Most bytes of stderr that are searched for errors.
const STDERR_BYTES_MAX: u64 = 8 << 20;

/// Watches a host to its end.
#[derive(Clone, Copy)]
pub(super) struct Ending<'a> {
    pub stage: &'a Stage<'a>,
    pub supervised: &'a Supervised,
    /// Where its servers listen. Empty where the host starts its servers itself.
    pub servers: &'a [SocketAddr],
}

/// Why the wait for a host's end is over.
enum Waited {
    Ended,
    TooLong,
    Interrupted,
}

impl Ending<'_> {
    /// Waits until a client has ended, at most for `life`. Records how it ended and what it left; does not kill the rest.
    pub(super) async fn await_end(self, life: Duration) {
        tokio::select! {
            () = self.await_client_end(life) => {}
            () = self.record_exits() => {}
        }
    }

    /// Records each process that is about to exit. Never ends.
    pub(super) async fn record_exits(self) {
        record_exits(self.stage, self.supervised, self.servers).await;
    }

    async fn await_client_end(self, life: Duration) {
        let waited = tokio::select! {
            biased;
            () = self.supervised.broken_or_ended() => Waited::Ended,
            () = self.stage.environment.interruption() => Waited::Interrupted,
            () = tokio::time::sleep(life) => Waited::TooLong,
        };
        match waited {
            Waited::Ended if self.supervised.loader_end_now().is_some() && !self.supervised.is_broken() => {
                self.grace().await;
                self.scan_stderr();
            }
            Waited::Ended => {
                if self.supervised.is_lost() {
                    self.stage.note_failed("the supervisor was lost");
                }
                self.stage.note_kill();
            }
            Waited::TooLong => {
                self.overdue(format!("the client had not ended within {} ms", life.as_millis())).await;
            }
            Waited::Interrupted => {
                self.stage.note_failed("the run was interrupted");
                self.stage.note_kill();
            }
        }
    }

    /// Records a host that does not end: its stacks, its errors, and that the driver kills it.
    pub(super) async fn overdue(self, because: String) {
        self.stage.note_exit_limit(because);
        self.stage.take_system_stacks(self.supervised).await;
        self.scan_stderr();
        self.stage.note_kill();
    }

    /// The host has ended: the processes and sockets it left have the grace to end. Then the driver records the orphans.
    pub(super) async fn grace(self) {
        let Self { stage, supervised, servers } = self;
        stage.note(EventKind::GraceBegan { after: "exit".to_owned() });
        let grace = stage.recorder.header().limits.grace;
        let deadline = Instant::now() + grace;
        if servers.is_empty() {
            stage.endpoint.no_mock_left(grace).await;
        } else {
            await_quiet_wire(&stage.recorder, || supervised.is_lost(), After::Exit, deadline).await;
        }
        let is_over = || stage.environment.is_interrupted();
        let left = await_vanishing(supervised, deadline, is_over, |process| !process.is_zombie()).await;
        for process in left.into_iter().filter(|process| !process.is_zombie()) {
            let (id, role) = identify(&stage.endpoint, &process);
            let (pid, command) = (Some(process.pid), Some(process.command));
            stage.note_system(EventKind::ProcessOrphan { process: id, role, pid, command });
        }
        stage.note(EventKind::GraceExpired { after: "exit".to_owned() });
    }

    /// Records the errors on the host's stderr.
    pub(super) fn scan_stderr(self) {
        let bytes = self.stage.stderr.as_ref().map(|stderr| read_head(stderr, STDERR_BYTES_MAX)).unwrap_or_default();
        for text in errors_in(&String::from_utf8_lossy(&bytes)) {
            self.stage.note_system(EventKind::ErrorReported { channel: Channel::Stderr, text, code: Vec::new() });
        }
    }
}
