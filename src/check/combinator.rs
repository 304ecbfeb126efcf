//! Temporal combinators: monitors that need no struct of their own.
//!
//! - [`each`]: every event of a kind is judged by itself.
//! - [`at_most`]: at most n of this per that.
//! - [`once_then`]: once this, then that before something ends the wait.

use std::collections::BTreeMap;

use crate::check::{Monitor, Tally, View, Violation};
use crate::history::{Event, Seq};

/// What one event means to a stateless rule.
pub(super) enum Judged {
    /// Nothing, or it is excused.
    Unrelated,
    /// It is the trigger, and the rule holds.
    Held,
    /// The rule is broken.
    Broken(Violation),
}

/// Every event is judged by itself.
pub(super) fn each(judge: fn(&Event, &View) -> Judged) -> Box<dyn Monitor> {
    Box::new(move |event: &Event, view: &View, tally: &mut Tally| match judge(event, view) {
        Judged::Unrelated => {}
        Judged::Held => tally.held(),
        Judged::Broken(violation) => tally.broken(violation),
    })
}

/// What one event means to [`at_most`].
pub(super) enum Count<K> {
    /// Nothing.
    Unrelated,
    /// One more of these keys.
    These(Vec<K>),
    /// Keys for which this holds are over.
    Forget(fn(&K, &Event) -> bool),
}

/// At most `n` events per key; `broken` says what one too many means, from the last one counted and this one.
pub(super) fn at_most<K: Ord + 'static>(
    n: usize,
    count: fn(&Event, &View) -> Count<K>,
    broken: fn(&K, Seq, &Event) -> Violation,
) -> Box<dyn Monitor> {
    let mut counted: BTreeMap<K, (usize, Seq)> = BTreeMap::new();
    Box::new(move |event: &Event, view: &View, tally: &mut Tally| match count(event, view) {
        Count::Unrelated => {}
        Count::Forget(is_over) => counted.retain(|key, _| !is_over(key, event)),
        Count::These(keys) => {
            for key in keys {
                match counted.get_mut(&key) {
                    Some((so_far, last)) if *so_far >= n => {
                        tally.broken(broken(&key, *last, event));
                        *last = event.seq;
                    }
                    Some((so_far, last)) => {
                        tally.held();
                        (*so_far, *last) = (*so_far + 1, event.seq);
                    }
                    None => {
                        tally.held();
                        counted.insert(key, (1, event.seq));
                    }
                }
            }
        }
    })
}

/// What one event means to [`once_then`].
pub(super) enum Obligation {
    /// Nothing.
    Unrelated,
    /// The obligation begins. A second time it changes nothing.
    Opens,
    /// What was awaited is here.
    Meets,
    /// Nothing is owed any more, and nothing can be said.
    Waives,
    /// The wait is over in vain.
    Breaks(Violation),
}

/// Once this, then that. An obligation begins with one event and must be met by another; `turn` sees the event that opened
/// it, if one did. What is forbidden afterwards may break it as well.
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

    fn end(&mut self, _view: &View, tally: &mut Tally) {
        if let Some(opened) = self.opened {
            tally.open(format!("{} was still awaited since {opened}", self.awaited), &[opened]);
        }
    }
}

/// Two monitors of one invariant, side by side.
pub(super) fn both(mut left: Box<dyn Monitor>, mut right: Box<dyn Monitor>) -> Box<dyn Monitor> {
    Box::new(move |event: &Event, view: &View, tally: &mut Tally| {
        left.see(event, view, tally);
        right.see(event, view, tally);
    })
}
