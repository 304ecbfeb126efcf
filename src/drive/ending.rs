//! The end of a plan: exit, grace, survivors, and force where it must be.

use std::time::{Duration, Instant};

use serde_json::{Map, Value};

use crate::drive::plan_run::{Drive, OUTPUT_BYTES_MAX, read_head};
use crate::drive::servers::After;
use crate::history::{Channel, EventKind, LINK_LOST_CODE, ProcessId, Source};
use crate::record::Completion;
use crate::script::Carriage;
use crate::supervise::ProcessFacts;

/// How often the process table is looked at while a grace lasts: nothing tells when another process's child is reaped.
const LOOK: Duration = Duration::from_millis(5);

impl Drive<'_> {
    /// After a cleanup: servers have the grace to vanish, then what is left is told.
    pub(super) async fn grace_after_close(&mut self) {
        self.note(EventKind::GraceBegan { after: "close".to_owned() });
        let matters = |process: &ProcessFacts, role: &str| process.is_zombie() || role.starts_with("server:");
        let left = self.await_vanishing(After::Close, matters).await;
        for process in left {
            let (id, role) = self.identify(&process);
            let kind = if process.is_zombie() {
                EventKind::ProcessZombie { process: id, role }
            } else {
                EventKind::ProcessLeft { process: id, role }
            };
            self.recorder.note(Source::System, kind);
        }
        self.note(EventKind::GraceExpired { after: "close".to_owned() });
    }

    /// The program ends by itself or by the signal it was sent.
    pub(super) async fn end_in_order(&mut self, exiting: bool) {
        if !exiting {
            self.request_exit();
        }
        let limit = self.limits().exit;
        let end = tokio::select! {
            end = self.supervised.loader_end(limit) => end,
            () = self.environment.interruption() => return self.interrupted(),
        };
        if end.is_none() {
            if !self.supervised.is_broken() {
                let because = format!("the loader's process lived on for {} ms", limit.as_millis());
                self.note(EventKind::LimitHit { limit: "exit".to_owned(), because });
            }
            return self.end_by_force("the program did not end").await;
        }
        self.endpoint.adapter_gone(self.limits().settle).await;
        self.abandon_running("the program ended");
        self.grace_after_exit().await;
        self.scan_stderr();
        self.note_undelivered();
    }

    /// A bound was hit: stacks first, then everything is ended. From here on nothing is the loader's fault.
    pub(super) async fn end_by_force(&mut self, because: &str) {
        if !self.supervised.is_lost() {
            self.take_stacks().await;
        }
        self.abandon_running(because);
        self.note(EventKind::SignalSent { signal: "KILL".to_owned(), target: "loader".to_owned() });
        self.scan_stderr();
        self.note_undelivered();
    }

    /// The loader's process is gone unasked, or the experiment broke.
    pub(super) async fn end_lost(&mut self) {
        if self.environment.is_interrupted() {
            return self.interrupted();
        }
        if self.supervised.loader_end(self.limits().settle).await.is_none() && !self.supervised.is_broken() {
            let because = "the adapter's link ended while its process lives".to_owned();
            self.note(EventKind::ExperimentFailed { because });
        }
        if self.supervised.loader_end_now().is_some_and(|end| end.code == Some(LINK_LOST_CODE)) {
            let because = "the loader's adapter ended because it lost its link".to_owned();
            self.note(EventKind::ExperimentFailed { because });
        }
        self.abandon_running("the loader's process was lost");
        if self.supervised.loader_end_now().is_some() && !self.supervised.is_broken() {
            self.grace_after_exit().await;
        }
        self.scan_stderr();
        self.note_undelivered();
    }

    fn interrupted(&mut self) {
        self.note(EventKind::ExperimentFailed { because: "the run was interrupted".to_owned() });
        self.abandon_running("the run was interrupted");
        self.note(EventKind::SignalSent { signal: "KILL".to_owned(), target: "loader".to_owned() });
    }

    fn abandon_running(&mut self, because: &str) {
        for running in std::mem::take(&mut self.running) {
            self.abandon(&running, because);
        }
    }

    async fn take_stacks(&mut self) {
        let limit = self.limits().stacks;
        let answer = self.command("stacks", Map::new());
        if let Ok(Ok(Completion::Ok(answer))) = tokio::time::timeout(limit, answer).await {
            let text = answer.get("text").and_then(Value::as_str).unwrap_or_default().to_owned();
            self.recorder.note(Source::Loader, EventKind::StacksTaken { of: "loader".to_owned(), text });
        }
        if let Ok(text) = self.supervised.stacks().await {
            self.recorder.note(Source::System, EventKind::StacksTaken { of: "system".to_owned(), text });
        }
    }

    async fn grace_after_exit(&mut self) {
        self.note(EventKind::GraceBegan { after: "exit".to_owned() });
        let left = self.await_vanishing(After::Exit, |process, _| !process.is_zombie()).await;
        for process in left.iter().filter(|process| !process.is_zombie()) {
            let (id, role) = self.identify(process);
            let (pid, command) = (Some(process.pid), Some(process.command.clone()));
            self.recorder.note(Source::System, EventKind::ProcessOrphan { process: id, role, pid, command });
        }
        self.note(EventKind::GraceExpired { after: "exit".to_owned() });
    }

    /// Waits until no mock is linked, or over HTTP talked to, and no process matters any more, at most for the grace; gives
    /// what is left.
    async fn await_vanishing(&self, after: After, matters: impl Fn(&ProcessFacts, &str) -> bool) -> Vec<ProcessFacts> {
        let deadline = Instant::now() + self.limits().grace;
        match self.input.carriage() {
            Carriage::Http | Carriage::Sse => self.await_quiet_wire(after, deadline).await,
            Carriage::Lines => {
                self.endpoint.no_mock_left(self.limits().grace).await;
            }
        }
        loop {
            // Without the supervisor there is no process table to look at; the experiment has failed then.
            let Ok(processes) = self.supervised.descendants().await else { return Vec::new() };
            let loader = self.supervised.loader_pid();
            let below: Vec<_> = processes.into_iter().filter(|process| process.pid != loader).collect();
            let is_left = below.iter().any(|process| matters(process, &self.identify(process).1));
            if !is_left || Instant::now() >= deadline {
                return below;
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// The id and role of a process: mocks by the pid of their hello, others by their pid.
    fn identify(&self, process: &ProcessFacts) -> (ProcessId, String) {
        let mocks = self.endpoint.mocks();
        // A pid may have been another mock's before: the newest counts.
        match mocks.iter().rposition(|mock| mock.pid == process.pid) {
            Some(index) => (ProcessId(format!("p{}", index + 2)), format!("server:{}", mocks[index].server)),
            None => (ProcessId(format!("other-{}", process.pid)), "other".to_owned()),
        }
    }

    /// Looks through the loader's stderr for the traces of errors that nobody handled.
    fn scan_stderr(&self) {
        let bytes = read_head(self.stderr, OUTPUT_BYTES_MAX);
        let text = String::from_utf8_lossy(&bytes);
        for text in uncaught(&text) {
            self.recorder.note(Source::System, EventKind::ErrorReported { channel: Channel::Stderr, text });
        }
    }

    /// Tells which faults of the scripts never came about, in a plan that was to bring them about.
    fn note_undelivered(&self) {
        if self.missing().is_some() {
            return;
        }
        for (server, script) in &self.input.scripts {
            for fault in script.required_faults() {
                let delivered = self.recorder.any(|event| {
                    event.source.server() == Some(server)
                        && matches!(&event.kind, EventKind::FaultDelivered { fault: found, .. } if *found == fault)
                });
                if !delivered {
                    self.note(EventKind::FaultUndelivered { server: server.clone(), fault });
                }
            }
        }
    }
}

/// Tracebacks of Python and panics of Rust, each from its first line to its last.
///
/// A traceback that ends in KeyboardInterrupt or SystemExit is how Python says that it was asked to end. So is a cancellation that came
/// before such a one: asyncio cancels its main task when it is interrupted.
pub(crate) fn uncaught(text: &str) -> Vec<String> {
    const TRACEBACK: &str = "Traceback (most recent call last):";
    let mut found = Vec::new();
    let lines: Vec<&str> = text.lines().collect();
    for (index, line) in lines.iter().enumerate() {
        if line.trim_start_matches([' ', '|', '+']).starts_with(TRACEBACK) {
            let indented = |line: &&&str| line.starts_with([' ', '\t', '|', '+']) || line.is_empty();
            let body = lines[index + 1..].iter().take_while(indented).count();
            let last = lines.get(index + 1 + body).copied().unwrap_or_default();
            let end = (index + 2 + body).min(lines.len());
            let is_asked = last.starts_with("KeyboardInterrupt") || last.starts_with("SystemExit");
            let is_told_with_the_next = is_cancellation(last) && is_followed_up(&lines[end..]);
            if !is_asked && !is_told_with_the_next {
                found.push(lines[index..end].join("\n"));
            }
        } else if line.contains("panicked at ") {
            found.push((*line).to_owned());
        }
    }
    found
}

fn is_cancellation(line: &str) -> bool {
    line.split([':', ' ']).next().is_some_and(|name| name.rsplit('.').next() == Some("CancelledError"))
}

/// Whether what comes next tells of the error that came of the one before.
fn is_followed_up(lines: &[&str]) -> bool {
    let mut told = lines.iter().filter(|line| !line.is_empty());
    told.next().is_some_and(|line| {
        line.starts_with("During handling of the above exception") || line.starts_with("The above exception was")
    })
}

#[cfg(test)]
mod tests {
    use super::uncaught;

    #[test]
    fn a_cancellation_is_told_unless_it_came_of_being_asked_to_end() {
        let first = "Traceback (most recent call last):\n  File \"a\"\nasyncio.exceptions.CancelledError\n";
        let then = "\nDuring handling of the above exception, another exception occurred:\n\n";
        let second = |last: &str| format!("Traceback (most recent call last):\n  File \"b\"\n{last}\n");
        assert_eq!(uncaught(first).len(), 1);
        assert!(uncaught(&format!("{first}{then}{}", second("KeyboardInterrupt"))).is_empty());
        let found = uncaught(&format!("{first}{then}{}", second("RuntimeError: no")));
        assert_eq!(found.len(), 1);
        assert!(found[0].ends_with("RuntimeError: no"), "{found:?}");
    }

    #[test]
    fn a_traceback_is_found_from_its_first_line_to_its_last() {
        let text = "before\nTraceback (most recent call last):\n  File \"a\"\n    x\nValueError: no\nafter\n";
        let expected = "Traceback (most recent call last):\n  File \"a\"\n    x\nValueError: no";
        assert_eq!(uncaught(text), [expected]);
    }

    #[test]
    fn being_asked_to_end_is_no_error() {
        assert!(uncaught("Traceback (most recent call last):\n  File \"a\"\nKeyboardInterrupt\n").is_empty());
        assert!(uncaught("a line\nanother\n").is_empty());
    }

    #[test]
    fn a_panic_is_found() {
        assert_eq!(
            uncaught("thread 'main' panicked at src/a.rs:1:2:\nno"),
            ["thread 'main' panicked at src/a.rs:1:2:"]
        );
    }
}
