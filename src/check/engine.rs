//! One pass over a history: the view first, then the monitors that subscribe to the kind of the event.

use std::sync::LazyLock;

use crate::check::causes::{Counts, withdraw_consequences};
use crate::check::evidence::Missing;
use crate::check::experiment::Experiment;
use crate::check::generations::{Hearers, Spoke};
use crate::check::subscribers::{Rows, Subscribers};
use crate::check::{
    Finding, HOST_RULES, INVARIANTS, Invariant, Judgement, Monitor, PlanVerdict, Plans, Tally, Verdict, View, Witness,
};
use crate::history::{Event, Header};

/// Judges a history event by event.
pub struct Engine {
    view: View,
    experiment: Experiment,
    /// In the order of the table.
    rows: Vec<Row>,
    subscribers: &'static Subscribers,
    /// The rows whose rules may find something.
    watching: Rows,
    /// The rows that nothing concerns yet, except a few events.
    asleep: Rows,
    /// The generations whose rules await a session, with a handshake and stateless.
    awaited: (bool, bool),
}

static OF_LOADERS: LazyLock<Subscribers> = LazyLock::new(|| Subscribers::of(INVARIANTS));
static OF_HOSTS: LazyLock<Subscribers> = LazyLock::new(|| Subscribers::of(HOST_RULES));

struct Row {
    invariant: &'static Invariant,
    standing: Standing,
    /// Of a rule of another generation than the plan's: the generation, and the reason why the rule does not apply as long
    /// as the history shows no session of it.
    awaits: Option<(Spoke, String)>,
}

enum Standing {
    Watching {
        monitor: Box<dyn Monitor>,
        tally: Tally,
        missing: Missing,
    },
    NotApplicable {
        because: String,
    },
    /// Nothing that it could find would prove anything.
    NotObservable {
        because: String,
    },
}

impl Engine {
    /// Starts the monitor of every rule that applies to this header: from [`HOST_RULES`] for a started program, else
    /// from
    /// [`INVARIANTS`].
    #[must_use]
    pub fn new(header: &Header) -> Self {
        let (table, subscribers) = match header.host {
            None => (INVARIANTS, &*OF_LOADERS),
            Some(_) => (HOST_RULES, &*OF_HOSTS),
        };
        Self::of(table, subscribers, header)
    }

    fn of(table: &'static [Invariant], subscribers: &'static Subscribers, header: &Header) -> Self {
        let rows: Vec<Row> = table.iter().map(|invariant| Row::new(invariant, header)).collect();
        let view = View::new(header);
        let mut watching = Rows::default();
        let watched = rows.iter().enumerate().filter(|(_, row)| matches!(row.standing, Standing::Watching { .. }));
        watched.for_each(|(index, _)| watching.insert(index));
        let asleep = subscribers.asleep(|plans| match plans {
            Plans::Every => true,
            Plans::OnLines => view.is_line(),
            Plans::WithHandshake => !view.is_stateless_plan(),
        });
        let awaits = |spoke| rows.iter().any(|row| row.awaits.as_ref().is_some_and(|(awaited, _)| *awaited == spoke));
        let awaited = (awaits(Spoke::Handshake), awaits(Spoke::Stateless));
        Self { view, experiment: Experiment::default(), rows, subscribers, watching, asleep, awaited }
    }

    /// Takes one event, in recorded order.
    ///
    /// After the harness has killed the loader, no event reaches a monitor: the loader does not cause a missing EOF, an
    /// orphan, a scope exit or an error report from there on. The same holds after a failure of the experiment.
    pub fn see(&mut self, event: &Event) {
        let was_killed = self.view.is_killed() || self.view.experiment_failed().is_some();
        let own = self.view.generations.own(event);
        self.view.see(event);
        self.experiment.see(event);
        if !was_killed {
            for index in self.hearers(event, own).iter() {
                if let Standing::Watching { monitor, tally, .. } = &mut self.rows[index].standing {
                    monitor.see(event, &self.view, tally);
                }
            }
        }
        self.view.forget(event);
    }

    /// The rows that get an event, and which it wakes.
    fn hearers(&mut self, event: &Event, own: Hearers) -> Rows {
        let (awaits_handshake, awaits_stateless) = self.awaited;
        let foreign = self.view.generations.foreign(event);
        let of_generations = self.subscribers.of_generations(
            if awaits_handshake { foreign.handshake } else { own.handshake },
            if awaits_stateless { foreign.stateless } else { own.stateless },
        );
        let concerned = self.subscribers.concerned(self.view.topic(event));
        self.asleep = self.asleep.without(concerned.woken.and(of_generations));
        let heard = concerned.awake.without(self.asleep).or(concerned.asleep);
        heard.and(of_generations).and(self.watching)
    }

    /// Ends the history and gives the judgement.
    #[must_use]
    pub fn end(self) -> Judgement {
        self.so_far()
    }

    /// The judgement of the history if it ended here.
    pub(super) fn so_far(&self) -> Judgement {
        let Self { view, experiment, rows, .. } = self;
        let (mut findings, counts): (Vec<Finding>, Vec<Counts>) = rows.iter().map(|row| row.finding(view)).unzip();
        withdraw_consequences(&mut findings, &counts);
        experiment.doubt(&mut findings);
        findings.extend(experiment.findings());
        Judgement { verdict: PlanVerdict::of(&findings), findings }
    }
}

#[cfg(test)]
impl Engine {
    /// One whose rules hear every event of their kinds.
    pub(super) fn without_selection(header: &Header) -> Self {
        static OF_LOADERS: LazyLock<Subscribers> = LazyLock::new(|| Subscribers::without_selection(INVARIANTS));
        static OF_HOSTS: LazyLock<Subscribers> = LazyLock::new(|| Subscribers::without_selection(HOST_RULES));
        match header.host {
            None => Self::of(INVARIANTS, &OF_LOADERS, header),
            Some(_) => Self::of(HOST_RULES, &OF_HOSTS, header),
        }
    }

    /// The finding of one rule if the history ended here. What follows from another violation is not withdrawn.
    pub(super) fn own_finding(&self, id: &str) -> Finding {
        let row = self.rows.iter().find(|row| row.invariant.id == id).unwrap();
        row.finding(&self.view).0
    }
}

/// One rule on its own, for tests that judge many histories.
#[cfg(test)]
pub(super) struct Alone {
    invariant: &'static Invariant,
    subscribers: &'static Subscribers,
}

#[cfg(test)]
impl Alone {
    pub(super) fn new(invariant: &'static Invariant) -> Self {
        Self { invariant, subscribers: Box::leak(Box::new(Subscribers::of(std::slice::from_ref(invariant)))) }
    }

    /// The finding of the rule.
    pub(super) fn judge(&self, header: &Header, events: &[Event]) -> Finding {
        let mut engine = Engine::of(std::slice::from_ref(self.invariant), self.subscribers, header);
        events.iter().for_each(|event| engine.see(event));
        engine.end().findings.swap_remove(0)
    }
}

impl Row {
    fn new(invariant: &'static Invariant, header: &Header) -> Self {
        let refused = invariant.applies.refuses(header);
        let withheld = (!invariant.needs.is_given(&header.promises))
            .then(|| format!("needs the promise {}, which the loader does not give", invariant.needs.id()));
        let awaits = refused.is_none().then(|| invariant.applies.awaits(header)).flatten();
        let standing = match (refused.or(withheld), Missing::of(invariant, header)) {
            (Some(because), _) => Standing::NotApplicable { because },
            (None, Missing { absence: Some(because), excuse: Some(_) }) => Standing::NotObservable { because },
            (None, missing) => {
                Standing::Watching { monitor: (invariant.start)(header), tally: Tally::default(), missing }
            }
        };
        Self { invariant, standing, awaits }
    }

    /// The finding if the history ended here.
    fn finding(&self, view: &View) -> (Finding, Counts) {
        let Self { invariant, standing, awaits } = self;
        let plain = |verdict: Verdict, because: String| Finding {
            invariant: invariant.id,
            verdict,
            because,
            witness: Vec::new(),
            requirement: invariant.requirement.to_vec(),
            signature: [invariant.id, "/", verdict.name()].concat(),
        };
        let unjudged = |verdict: Verdict, because: &str| {
            (plain(verdict, because.to_owned()), Counts { never_held: true, n_broken: 0 })
        };
        let awaits = awaits.as_ref().filter(|(spoke, _)| !view.generations.has(*spoke));
        if let (Some((_, because)), None) = (awaits, view.not_applicable()) {
            return unjudged(Verdict::NotApplicable, because);
        }
        let (monitor, mut tally, missing) = match (standing, view.not_applicable()) {
            (_, Some(because)) => return unjudged(Verdict::NotApplicable, because),
            (Standing::NotApplicable { because }, None) => return unjudged(Verdict::NotApplicable, because),
            (Standing::NotObservable { because }, None) => return unjudged(Verdict::NotObservable, because),
            (Standing::Watching { monitor, tally, missing }, None) => (monitor, tally.clone(), missing),
        };
        monitor.end(view, &mut tally);
        let counts = Counts { never_held: tally.never_held(), n_broken: tally.n_broken() };
        let finding = tally.finding(invariant, view);
        let scopes = match invariant.witness {
            Witness::Always => None,
            Witness::Scopes => view.scopes_missing_because(),
        };
        let because = match finding.verdict {
            Verdict::Pass | Verdict::Vacuous => missing.absence.clone().or(scopes),
            // A recorded violation counts, unless the missing evidence might excuse it.
            Verdict::Fail | Verdict::Warn | Verdict::Inconclusive => {
                missing.excuse.as_ref().map(|excuse| format!("{}, but {excuse}", finding.because))
            }
            Verdict::NotObservable | Verdict::NotApplicable => None,
        };
        let finding = match because {
            Some(because) => plain(Verdict::NotObservable, because),
            None => finding,
        };
        (finding, counts)
    }
}
