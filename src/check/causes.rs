//! One cause is one finding: what follows from a violation is not told beside it.

use crate::check::{Finding, Verdict};

/// A violation, and those that follow from it.
struct Cause {
    /// Signature of the violation.
    of: &'static str,
    /// Signatures of the violations that say nothing more, once the cause is known.
    consequences: &'static [&'static str],
    /// What the consequences then lack.
    because: &'static str,
}

/// Every cause. A client that sends no DELETE at all leaves each session open, so that a removed server, a second connection and the end
/// of the program look wrong as well. A client that forgets one session of several is told of each place: there the places differ.
const CAUSES: &[Cause] = &[Cause {
    of: "session-deleted/not-deleted",
    consequences: &[
        "removed-server-closed/still-open",
        "one-connection-per-server/several",
        "session-ended/not-deleted",
    ],
    because: "over HTTP only a DELETE shows the end of a session, and the client sent none: see session-deleted",
}];

/// Withdraws the consequences of a cause. `never_held` says whether the rule of a finding held nowhere in the history.
pub(super) fn withdraw_consequences(findings: &mut [Finding], never_held: impl Fn(&str) -> bool) {
    for cause in CAUSES {
        let is_cause = |finding: &&Finding| {
            finding.signature == cause.of && finding.verdict == Verdict::Fail && never_held(finding.invariant)
        };
        if findings.iter().find(is_cause).is_none() {
            continue;
        }
        for finding in findings.iter_mut() {
            let is_broken = matches!(finding.verdict, Verdict::Fail | Verdict::Warn);
            if is_broken && cause.consequences.contains(&finding.signature.as_str()) {
                finding.verdict = Verdict::NotObservable;
                finding.because = cause.because.to_owned();
                finding.witness.clear();
                finding.signature = format!("{}/{}", finding.invariant, Verdict::NotObservable);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broken(invariant: &'static str, signature: &str) -> Finding {
        let (because, signature) = (String::new(), signature.to_owned());
        Finding { invariant, verdict: Verdict::Fail, because, witness: Vec::new(), requirement: Vec::new(), signature }
    }

    #[test]
    fn a_lost_delete_is_one_finding_and_a_forgotten_one_is_told_where_it_is() {
        let found = || {
            vec![
                broken("session-deleted", "session-deleted/not-deleted"),
                broken("removed-server-closed", "removed-server-closed/still-open"),
                broken("removal-spares-siblings", "removal-spares-siblings/sibling-closed"),
            ]
        };
        let failed = |never_held: bool| {
            let mut findings = found();
            withdraw_consequences(&mut findings, |_| never_held);
            findings.iter().filter(|finding| finding.verdict == Verdict::Fail).count()
        };
        assert_eq!(failed(true), 2);
        assert_eq!(failed(false), 3);
    }
}
