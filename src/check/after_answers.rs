//! Calls that were cancelled after their answers: a single one may be an accident, most calls of a client are a
//! mistake.

use std::time::Duration;

use crate::check::Violation;
use crate::history::Seq;

/// A cancellation that comes this long after the answer over pipes has rarely crossed it.
pub(super) const CROSSED_BY_THEN: Duration = Duration::from_millis(10);
/// A client that gives a call up by its own timeout waits at least this long. If it has not read the answer by then, the
/// cancellation comes after that answer.
pub(super) const OWN_TIMEOUT_LEAST: Duration = Duration::from_millis(250);
/// Number of answered calls of one connection that were cancelled, which is no accident any more.
const N_ACCIDENTS: usize = 4;

/// Calls of a pair of pipes whose client takes turns.
#[derive(Default)]
pub(super) struct AfterAnswers {
    /// Number of calls that were answered.
    pub n_calls: usize,
    /// The answer and the cancellation of each call that was cancelled soon after its answer, where no script delays answers.
    pub cancelled: Vec<[Seq; 2]>,
    /// The same for calls that had no reason to be given up, and whose callers got the answers afterwards.
    pub given_out: Vec<[Seq; 2]>,
}

impl AfterAnswers {
    /// A violation for each cancellation of a call whose caller got the answer, or else one for all, if the client cancels most
    /// calls after their answers.
    pub(super) fn violations(&self) -> Vec<Violation> {
        if self.is_habit(&self.given_out) {
            let violation = |at: &[Seq; 2]| {
                let ending = ", which its caller got";
                Violation::new("each-after-its-answer", self.because(&self.given_out, at, ending), at)
            };
            return self.given_out.iter().map(violation).collect();
        }
        let Some(first) = self.cancelled.first().filter(|_| self.is_habit(&self.cancelled)) else { return Vec::new() };
        let violation = Violation::new("each-after-its-answer", self.because(&self.cancelled, first, ""), first);
        vec![violation.of_bound(CROSSED_BY_THEN).as_warning()]
    }

    fn is_habit(&self, calls: &[[Seq; 2]]) -> bool {
        calls.len() >= N_ACCIDENTS && calls.len() * 2 >= self.n_calls
    }

    fn because(&self, calls: &[[Seq; 2]], [answered, cancelled]: &[Seq; 2], ending: &str) -> String {
        format!(
            "{} of {} answered calls were cancelled after their answer: the first at {cancelled}, answered at {answered}{ending}",
            calls.len(),
            self.n_calls
        )
    }
}
