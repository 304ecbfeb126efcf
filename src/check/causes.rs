//! One cause is one finding: if one violation causes another, only the first is reported.

use crate::check::{Finding, Verdict};

/// A violation, and the violations that follow from it.
struct Cause {
    /// Signature of the violation.
    of: &'static str,
    /// Signatures of the violations that are redundant once the cause is known.
    consequences: &'static [&'static str],
    /// How the history shows that they follow from it.
    shown: Shown,
    /// Why the consequences are redundant.
    because: &'static str,
}

/// How a history shows that one violation follows from another.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shown {
    /// The rule of the cause never held.
    NeverHeld,
    /// The same, and there are no more consequences than causes.
    NeverHeldAsOften,
    /// An event proves both, and there are no more consequences than causes.
    OneEvent,
    /// The same, and the consequence explains the more serious finding, which then names its requirements as well.
    OneEventExplained,
    /// An event proves both, there are no more consequences than causes, and the finding of the cause names the requirements of
    /// both.
    OneEventShared,
}

/// Every cause.
const CAUSES: &[Cause] = &[
    // A client that sends no DELETE at all leaves each session open, so that a removed server, a second connection and the end of the
    // program look wrong as well. If a client forgets only one session of several, each violation is reported, because
    // their places differ.
    Cause {
        of: "session-deleted/not-deleted",
        consequences: &[
            "removed-server-closed/still-open",
            "one-connection-per-server/several",
            "session-ended/not-deleted",
        ],
        shown: Shown::NeverHeld,
        because: "over HTTP only a DELETE shows the end of a session, and the client sent none: see session-deleted",
    },
    // A loader that starts the siblings of a removed server again closes their sessions first.
    Cause {
        of: "removal-spares-siblings/sibling-closed",
        consequences: &["unchanged-server-kept/connected-anew", "scope-open-until-cleanup/closed-by-rerun"],
        shown: Shown::OneEvent,
        because: "each session that was closed or opened again belongs to a sibling: see removal-spares-siblings",
    },
    // A loader that opens every session again when the program runs again closes the old ones first.
    Cause {
        of: "unchanged-server-kept/connected-anew",
        consequences: &["scope-open-until-cleanup/closed-by-rerun"],
        shown: Shown::NeverHeldAsOften,
        because: "each closed session is one that was opened again: see unchanged-server-kept",
    },
    // A session is in use without the notification, or each request of it comes too early.
    Cause {
        of: "initialized-sent/missing",
        consequences: &["handshake-order/request-before-initialized"],
        shown: Shown::NeverHeldAsOften,
        because: "each request came before a notification that was never sent: see initialized-sent",
    },
    // A reload that keeps a server whose entry changed does not close it.
    Cause {
        of: "changed-server-replaced/kept",
        consequences: &["removed-server-closed/still-open"],
        shown: Shown::OneEvent,
        because: "the server that is still open should have been replaced: see changed-server-replaced",
    },
    // A call after cleanup must fail at once, and a call that never ends does not.
    Cause {
        of: "call-after-cleanup-fails/overdue",
        consequences: &["operation-completes/call-overdue"],
        shown: Shown::OneEvent,
        because: "the call that never ended came after cleanup: see call-after-cleanup-fails",
    },
    // A call on a lost session must end, and an overdue call does not.
    Cause {
        of: "lost-session-calls-end/never",
        consequences: &["failure-prompt-after-server-death/never", "operation-completes/call-overdue"],
        shown: Shown::OneEvent,
        because: "the call that never ended had lost its session: see lost-session-calls-end",
    },
    // A cleanup that never ends is an operation that never ends.
    Cause {
        of: "cleanup-repeatable/overdue",
        consequences: &["operation-completes/close-overdue"],
        shown: Shown::OneEventShared,
        because: "the operation that never ended is the cleanup: see cleanup-repeatable",
    },
    Cause {
        of: "cleanup-repeatable/repeat-overdue",
        consequences: &["operation-completes/close-overdue"],
        shown: Shown::OneEventShared,
        because: "the operation that never ended is the repeated cleanup: see cleanup-repeatable",
    },
    // A server that is kept holds its pipes, the threads that read them, and memory.
    Cause {
        of: "repeats-keep-servers/grew",
        consequences: &["repeats-keep-descriptors/grew", "repeats-keep-threads/grew", "repeats-keep-memory/grew"],
        shown: Shown::OneEvent,
        because: "each server that was kept holds descriptors, threads and memory: see repeats-keep-servers",
    },
    // A scenario waits for the notification that its client never sends.
    Cause {
        of: "session-initialized/missing",
        consequences: &["exchange-complete/not-received"],
        shown: Shown::NeverHeldAsOften,
        because: "the missing message is notifications/initialized: see session-initialized",
    },
    // A cancellation after the answer has no reason either.
    Cause {
        of: "cancel-only-open-requests/each-after-its-answer",
        consequences: &["cancel-has-a-reason/unasked"],
        shown: Shown::OneEvent,
        because: "each call that was cancelled had its answer: see cancel-only-open-requests",
    },
    // A scenario waits for the answer for which its client did not come back correctly.
    Cause {
        of: "exchange-complete/not-answered",
        consequences: &["cut-stream-resumed/unnamed"],
        shown: Shown::OneEventExplained,
        because: "the missing message is the answer for which the client came back: see exchange-complete",
    },
    // Without its id, a message comes before the handshake of whatever session it may open.
    Cause {
        of: "session-id-sent/missing",
        consequences: &["handshake-order/first-not-initialize"],
        shown: Shown::OneEvent,
        because: "the message lacks the id of its session: see session-id-sent",
    },
];

/// Facts about the rule of a finding, in addition to the finding.
pub(super) struct Counts {
    /// Whether the rule never held.
    pub never_held: bool,
    /// How often it was broken.
    pub n_broken: usize,
}

/// Withdraws the consequences of each cause. There are counts for each finding.
pub(super) fn withdraw_consequences(findings: &mut [Finding], counts: &[Counts]) {
    let is_broken = |finding: &Finding| matches!(finding.verdict, Verdict::Fail | Verdict::Warn);
    if !findings.iter().any(is_broken) {
        return;
    }
    for cause in CAUSES {
        let is_cause = |finding: &Finding| is_broken(finding) && finding.signature == cause.of;
        let Some(at) = findings.iter().position(is_cause) else { continue };
        for index in 0..findings.len() {
            let finding = &findings[index];
            if is_broken(finding)
                && cause.consequences.contains(&&*finding.signature)
                && cause.shown.holds((&findings[at], &counts[at]), (finding, &counts[index]))
            {
                let (requirement, because) = (finding.requirement.clone(), finding.because.clone());
                match cause.shown {
                    Shown::OneEventExplained => explain(&mut findings[at], &requirement, &because),
                    Shown::OneEventShared => share(&mut findings[at], &requirement),
                    Shown::NeverHeld | Shown::NeverHeldAsOften | Shown::OneEvent => {}
                }
                withdraw(&mut findings[index], cause.because);
            }
        }
    }
}

impl Shown {
    fn holds(self, (cause, caused): (&Finding, &Counts), (finding, counts): (&Finding, &Counts)) -> bool {
        let is_as_often = counts.n_broken <= caused.n_broken;
        match self {
            Self::NeverHeld => caused.never_held,
            Self::NeverHeldAsOften => caused.never_held && is_as_often,
            Self::OneEvent | Self::OneEventExplained | Self::OneEventShared => {
                is_as_often && finding.witness.iter().any(|seq| cause.witness.contains(seq))
            }
        }
    }
}

/// Adds the explanation of another finding to a finding.
fn explain(finding: &mut Finding, requirement: &[&'static str], because: &str) {
    share(finding, requirement);
    finding.because = format!("{}: {because}", finding.because).into();
}

/// Adds the requirements of another finding.
fn share(finding: &mut Finding, requirement: &[&'static str]) {
    let lacking = requirement.iter().filter(|id| !finding.requirement.contains(id)).copied();
    let lacking: Vec<_> = lacking.collect();
    finding.requirement.to_mut().extend(lacking);
}

fn withdraw(finding: &mut Finding, because: &'static str) {
    finding.verdict = Verdict::NotObservable;
    finding.because = because.into();
    finding.witness.clear();
    finding.signature = format!("{}/{}", finding.invariant, Verdict::NotObservable).into();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Seq;

    fn broken(signature: &str, witness: &[u64]) -> Finding {
        let invariant = crate::check::invariant(signature.split('/').next().unwrap()).unwrap().id;
        Finding {
            invariant,
            verdict: Verdict::Fail,
            because: String::new().into(),
            witness: witness.iter().copied().map(Seq).collect(),
            requirement: Vec::new().into(),
            signature: signature.to_owned().into(),
        }
    }

    /// How many findings remain: the cause, whose rule held sometimes or never, and consequences, each with the number
    /// of its violations.
    fn left(never_held: bool, found: &[(&str, &[u64], usize)]) -> usize {
        let mut findings: Vec<Finding> =
            found.iter().map(|(signature, witness, _)| broken(signature, witness)).collect();
        let counts: Vec<Counts> = found.iter().map(|(.., n)| Counts { never_held, n_broken: *n }).collect();
        withdraw_consequences(&mut findings, &counts);
        findings.iter().filter(|finding| finding.verdict == Verdict::Fail).count()
    }

    #[test]
    fn every_signature_is_that_of_a_history() {
        let histories = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/histories");
        for cause in CAUSES {
            for signature in cause.consequences.iter().chain([&cause.of]) {
                let (invariant, variant) = signature.split_once('/').unwrap();
                let files = std::fs::read_dir(histories.join(invariant)).unwrap().flatten();
                let violated = format!("violated-{variant}");
                let has_it = files.into_iter().any(|file| file.file_name().to_string_lossy().starts_with(&violated));
                assert!(has_it, "{signature}");
            }
        }
    }

    #[test]
    fn a_lost_delete_is_one_finding_and_a_forgotten_one_is_told_where_it_is() {
        let found: &[(&str, &[u64], usize)] = &[
            ("session-deleted/not-deleted", &[1], 1),
            ("removed-server-closed/still-open", &[2], 3),
            ("removal-spares-siblings/sibling-closed", &[3], 1),
        ];
        assert_eq!(left(true, found), 2);
        assert_eq!(left(false, found), 3);
    }

    #[test]
    fn a_server_that_is_started_anew_is_one_finding_unless_more_was_closed() {
        let found = |n_closed: usize| {
            left(
                true,
                &[
                    ("unchanged-server-kept/connected-anew", &[4, 9], 2),
                    ("scope-open-until-cleanup/closed-by-rerun", &[2, 6], n_closed),
                ],
            )
        };
        assert_eq!((found(2), found(3)), (1, 2));
        let early = [
            ("unchanged-server-kept/connected-anew", &[4, 9][..], 1),
            ("scope-open-until-cleanup/closed-early", &[2, 6][..], 1),
        ];
        assert_eq!(left(true, &early), 2, "a session that ended before the rerun is another cause");
    }

    #[test]
    fn what_led_to_a_missing_answer_is_told_with_it() {
        let mut findings =
            vec![broken("cut-stream-resumed/unnamed", &[3, 5]), broken("exchange-complete/not-answered", &[3, 9])];
        findings[0].requirement = vec!["LC-RES-01"].into();
        findings[1].requirement = vec!["VG-04"].into();
        let counts = || Counts { never_held: true, n_broken: 1 };
        withdraw_consequences(&mut findings, &[counts(), counts()]);
        assert_eq!(findings[0].verdict, Verdict::NotObservable);
        assert_eq!(
            (findings[1].verdict, &findings[1].requirement),
            (Verdict::Fail, &vec!["VG-04", "LC-RES-01"].into())
        );
    }

    #[test]
    fn a_cleanup_that_hangs_is_one_finding_and_a_call_beside_it_another() {
        let found = |n_overdue: usize| {
            left(
                false,
                &[
                    ("cleanup-repeatable/overdue", &[4, 9], 1),
                    ("operation-completes/close-overdue", &[4, 9], n_overdue),
                ],
            )
        };
        assert_eq!((found(1), found(2)), (1, 2));
        let call =
            [("cleanup-repeatable/overdue", &[4, 9][..], 1), ("operation-completes/call-overdue", &[2, 7][..], 1)];
        assert_eq!(left(false, &call), 2);
    }

    #[test]
    fn a_message_without_its_session_is_one_finding_where_both_rules_speak_of_it() {
        let found = |at: u64| {
            left(false, &[("session-id-sent/missing", &[7, 8], 1), ("handshake-order/first-not-initialize", &[at], 1)])
        };
        assert_eq!((found(8), found(20)), (1, 2));
    }
}
