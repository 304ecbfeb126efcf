//! Temporal combinators: monitors that need no struct of their own.
//!
//! - [`each`]: judges every event by itself.
//! - [`once_then`]: after one event, requires another before the wait ends.
//! - [`both`]: runs two monitors for one invariant.

use crate::check::{Monitor, Tally, View, Violation};
use crate::history::{Event, Seq};

/// The meaning of one event for a stateless rule.
pub(super) enum Judged {
    /// The rule does not concern it, or excuses it.
    Unrelated,
    /// The trigger happened, and the rule holds.
    Held,
    /// The event breaks the rule.
    Broken(Violation),
}

/// Judges every event by itself.
pub(super) fn each(judge: fn(&Event, &View) -> Judged) -> Box<dyn Monitor> {
    Box::new(move |event: &Event, view: &View, tally: &mut Tally| match judge(event, view) {
        Judged::Unrelated => {}
        Judged::Held => tally.held(),
        Judged::Broken(violation) => tally.broken(violation),
    })
}

/// The meaning of one event for [`once_then`].
pub(super) enum Obligation {
    /// The rule does not concern it.
    Unrelated,
    /// Opens the obligation; a second such event changes nothing.
    Opens,
    /// Meets the obligation.
    Meets,
    /// Cancels the obligation without a verdict.
    Waives,
    /// Ends the wait, and the obligation was not met.
    Breaks(Violation),
}

/// After one event, requires another. `turn` gets each event with the event that opened the obligation, if it is open
/// or was met. An event that is forbidden after the obligation was met may break the rule as well.
pub(super) fn once_then(awaited: &'static str, turn: fn(&Event, &View, Option<Seq>) -> Obligation) -> Box<dyn Monitor> {
    Box::new(OnceThen { awaited, turn, opened: None, met: None })
}

struct OnceThen {
    awaited: &'static str,
    turn: fn(&Event, &View, Option<Seq>) -> Obligation,
    opened: Option<Seq>,
    met: Option<Seq>,
}

impl Monitor for OnceThen {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        match (self.turn)(event, view, self.opened.or(self.met)) {
            Obligation::Unrelated => {}
            Obligation::Opens => {
                if self.met.is_none() {
                    self.opened.get_or_insert(event.seq);
                }
            }
            Obligation::Meets => {
                if let Some(opened) = self.opened.take() {
                    self.met = Some(opened);
                    tally.held();
                }
            }
            Obligation::Waives => self.opened = None,
            Obligation::Breaks(violation) => {
                self.met = self.opened.take().or(self.met);
                tally.broken(violation);
            }
        }
    }

    fn end(&self, _view: &View, tally: &mut Tally) {
        if let Some(opened) = self.opened {
            tally.open(format!("{} was still awaited since {opened}", self.awaited), &[opened]);
        }
    }
}

/// Runs two monitors for one invariant.
pub(super) fn both(left: Box<dyn Monitor>, right: Box<dyn Monitor>) -> Box<dyn Monitor> {
    Box::new(Both(left, right))
}

struct Both(Box<dyn Monitor>, Box<dyn Monitor>);

impl Monitor for Both {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        self.0.see(event, view, tally);
        self.1.see(event, view, tally);
    }

    fn end(&self, view: &View, tally: &mut Tally) {
        self.0.end(view, tally);
        self.1.end(view, tally);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::INVARIANTS;
    use crate::check::subscribers::Signatures;
    use crate::history::Header;

    /// Holds once, at the end.
    struct HoldsAtEnd;

    impl Monitor for HoldsAtEnd {
        fn see(&mut self, _: &Event, _: &View, _: &mut Tally) {}

        fn end(&self, _: &View, tally: &mut Tally) {
            tally.held();
        }
    }

    #[test]
    fn each_of_two_monitors_takes_the_end() {
        let (view, mut tally) = (View::new(&Header::new("test")), Tally::default());
        both(Box::new(HoldsAtEnd), Box::new(HoldsAtEnd)).end(&view, &mut tally);
        let signatures = Box::leak(Box::new(Signatures::of(INVARIANTS[0].id)));
        assert_eq!(tally.finding(&INVARIANTS[0], signatures, &view).because, "held each of 2 times");
    }
}
