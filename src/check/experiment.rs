//! Failures of the experiment itself. Each cause is a separate finding, with the invariant id `experiment`.

use crate::check::{Finding, Verdict};
use crate::history::{Event, EventKind, Seq, Table, UNREAD};

/// One way in which an experiment can go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExperimentCause {
    /// The variant in the signature `experiment/VARIANT`.
    pub id: &'static str,
    /// One sentence for `explain`.
    pub about: &'static str,
}

const FAILED: &str = "failed";
const EVIDENCE_TRUNCATED: &str = "evidence-truncated";
const FAULT_UNDELIVERED: &str = "fault-undelivered";
const LIMIT_HIT: &str = "limit-hit";
const CUT_OFF: &str = "cut-off";

/// Every cause, in the order of the findings. Each makes a plan at least Inconclusive.
pub const EXPERIMENT: &[ExperimentCause] = &[
    ExperimentCause { id: FAILED, about: "the harness could not carry out or finish the experiment" },
    ExperimentCause { id: EVIDENCE_TRUNCATED, about: "evidence was cut off at a limit, so something may be missing" },
    ExperimentCause { id: FAULT_UNDELIVERED, about: "a fault of the script was never delivered" },
    ExperimentCause { id: LIMIT_HIT, about: "the supervisor ended the process tree because a limit on it was hit" },
    ExperimentCause { id: CUT_OFF, about: "the history has no end: it stops before plan.ended" },
];

#[derive(Default)]
pub(super) struct Experiment {
    found: Table<&'static str, (Seq, String, usize)>,
    overdue: Vec<String>,
    last: Option<Seq>,
    is_over: bool,
    unread: Option<Seq>,
}

impl Experiment {
    pub(super) fn see(&mut self, event: &Event) {
        self.last = Some(event.seq);
        match &event.kind {
            EventKind::ExperimentFailed { because } => self.note(FAILED, event, because.clone()),
            EventKind::EvidenceTruncated { what, because } => {
                if what == UNREAD {
                    self.unread.get_or_insert(event.seq);
                }
                self.note(EVIDENCE_TRUNCATED, event, format!("{what} was cut off: {because}"));
            }
            EventKind::FaultUndelivered { server, fault } => {
                self.note(FAULT_UNDELIVERED, event, format!("fault {fault} of server {server} was never delivered"));
            }
            // The exit limit is an obligation of the loader: exit-completes and signal-ends-process judge it. The bound
            // of an operation is one too: operation-completes judges it. output-bounded judges the other two.
            EventKind::LimitHit { limit, because }
                if !matches!(limit.as_str(), "exit" | "output" | "processes") && !self.overdue.contains(limit) =>
            {
                self.note(LIMIT_HIT, event, format!("limit {limit} was hit: {because}"));
            }
            EventKind::OperationOverdue { limit, .. } | EventKind::ContextOverdue { limit, .. } => {
                self.overdue.push(limit.clone())
            }
            EventKind::PlanEnded {} => self.is_over = true,
            _ => {}
        }
    }

    /// Makes each violation doubtful that came to light after a mock could not read a message: the limit may have caused it.
    pub(super) fn doubt(&self, findings: &mut [Finding]) {
        let Some(unread) = self.unread else { return };
        for finding in findings {
            let is_later = finding.witness.last().is_some_and(|last| *last >= unread);
            if is_later && matches!(finding.verdict, Verdict::Fail | Verdict::Warn) {
                finding.verdict = Verdict::Inconclusive;
                finding
                    .because
                    .to_mut()
                    .push_str(&format!(", but a mock could not read a message as it was meant at {unread}"));
            }
        }
    }

    pub(super) fn findings(&self) -> Vec<Finding> {
        let mut found = self.found.clone();
        if !self.is_over {
            let seq = self.last.unwrap_or(Seq(0));
            found.insert(CUT_OFF, (seq, format!("the history ends at {seq} without plan.ended"), 1));
        }
        let mut findings = Vec::new();
        for cause in EXPERIMENT {
            if let Some((seq, because, n)) = found.swap_remove(cause.id) {
                let more = if n > 1 { format!(" (and {} more)", n - 1) } else { String::new() };
                findings.push(Finding {
                    invariant: "experiment",
                    verdict: Verdict::Inconclusive,
                    because: format!("{because}{more}").into(),
                    witness: if seq == Seq(0) { Vec::new() } else { vec![seq] },
                    requirement: Vec::new().into(),
                    signature: format!("experiment/{}", cause.id).into(),
                });
            }
        }
        findings
    }

    fn note(&mut self, cause: &'static str, event: &Event, because: String) {
        self.found.entry(cause).and_modify(|(_, _, n)| *n += 1).or_insert((event.seq, because, 1));
    }
}
