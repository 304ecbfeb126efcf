//! One pass over a history: the view first, then the monitors that subscribe to the kind of the event.

use std::borrow::Cow;
use std::sync::LazyLock;

use crate::check::causes::{Counts, withdraw_consequences};
use crate::check::evidence::Missing;
use crate::check::experiment::Experiment;
use crate::check::generations::{Hearers, Spoke};
use crate::check::subscribers::{Rows, Signatures, Subscribers};
use crate::check::topics::Topic;
use crate::check::{
    Finding, HOST_RULES, INVARIANTS, Invariant, Judgement, Monitor, PlanVerdict, Plans, Tally, Verdict, View, Witness,
};
use crate::history::{Event, EventKind, Header};
use crate::plan::Revision;

/// Judges a history event by event.
pub struct Engine {
    header: Header,
    view: View,
    experiment: Experiment,
    /// In the order of the table.
    rows: Vec<Row>,
    subscribers: &'static Subscribers,
    /// The rows whose rules may find something.
    watching: Rows,
    /// The rows that nothing concerns yet, except a few events.
    asleep: Rows,
    awaited: Awaited,
}

/// For each generation that is not the plan's, the reason why its rules do not apply as long as the history shows no session of
/// it.
struct Awaited {
    handshake: Option<String>,
    stateless: Option<String>,
}

impl Awaited {
    fn of(header: &Header) -> Self {
        let revision: Option<Revision> = header.revision.parse().ok();
        let because = |has: &str| ["applies to revisions ", has, " a handshake, this is ", &header.revision].concat();
        let has_handshake = |revision: Revision| revision <= Revision::NEWEST_HANDSHAKE;
        Self {
            handshake: (!revision.is_some_and(has_handshake)).then(|| because("with")),
            stateless: revision.is_none_or(has_handshake).then(|| because("without")),
        }
    }

    fn because(&self, spoke: Spoke) -> Option<&String> {
        match spoke {
            Spoke::Handshake => self.handshake.as_ref(),
            Spoke::Stateless => self.stateless.as_ref(),
        }
    }
}

static OF_LOADERS: LazyLock<Subscribers> = LazyLock::new(|| Subscribers::of(INVARIANTS));
static OF_HOSTS: LazyLock<Subscribers> = LazyLock::new(|| Subscribers::of(HOST_RULES));

struct Row {
    invariant: &'static Invariant,
    signatures: &'static Signatures,
    standing: Standing,
    /// The generation of the rule, if it is another one than the plan's.
    awaits: Option<Spoke>,
}

enum Standing {
    Watching(Watch),
    NotApplicable {
        because: Cow<'static, str>,
    },
    /// Nothing that it could find would prove anything.
    NotObservable {
        because: String,
    },
}

struct Watch {
    /// Started with the first event that it gets: most rules get none in most histories.
    monitor: Option<Box<dyn Monitor>>,
    tally: Tally,
    missing: Missing,
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
        let numbered = table.iter().enumerate();
        let awaited = Awaited::of(header);
        let new = |(row, invariant)| Row::new(invariant, subscribers.signatures(row), header, &awaited);
        let rows: Vec<Row> = numbered.map(new).collect();
        let view = View::new(header);
        let mut watching = Rows::default();
        let watched = rows.iter().enumerate().filter(|(_, row)| matches!(row.standing, Standing::Watching(_)));
        watched.for_each(|(index, _)| watching.insert(index));
        let asleep = subscribers.asleep(|plans| match plans {
            Plans::Every => true,
            Plans::OnLines => view.is_line(),
            Plans::WithHandshake => !view.is_stateless_plan(),
        });
        let header = header.clone();
        Self { header, view, experiment: Experiment::default(), rows, subscribers, watching, asleep, awaited }
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
                let Row { invariant, standing, .. } = &mut self.rows[index];
                if let Standing::Watching(Watch { monitor, tally, .. }) = standing {
                    let monitor = monitor.get_or_insert_with(|| (invariant.start)(&self.header));
                    monitor.see(event, &self.view, tally);
                }
            }
        }
        self.view.forget(event);
    }

    /// The rows that get an event, and which it wakes.
    fn hearers(&mut self, event: &Event, own: Hearers) -> Rows {
        let foreign = self.view.generations.foreign(event);
        let of_generations = self.subscribers.of_generations(
            if self.awaited.handshake.is_some() { foreign.handshake } else { own.handshake },
            if self.awaited.stateless.is_some() { foreign.stateless } else { own.stateless },
        );
        let concerned = self.subscribers.concerned(topic(event, &self.view));
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
        let mut findings: Vec<Finding> = Vec::with_capacity(self.rows.len());
        let mut counts: Vec<Counts> = Vec::with_capacity(self.rows.len());
        for row in &self.rows {
            let (finding, count) = row.finding(self);
            findings.push(finding);
            counts.push(count);
        }
        withdraw_consequences(&mut findings, &counts);
        self.experiment.doubt(&mut findings);
        findings.extend(self.experiment.findings());
        Judgement { verdict: PlanVerdict::of(&findings), findings }
    }
}

/// What an event that the view has seen is about.
fn topic(event: &Event, view: &View) -> Topic {
    let completed = match &event.kind {
        EventKind::OperationCompleted { operation, .. } => view.operation(*operation).map(|known| known.action),
        _ => None,
    };
    Topic::of(event, view.answering, completed)
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
        row.finding(self).0
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
    fn new(invariant: &'static Invariant, signatures: &'static Signatures, header: &Header, awaited: &Awaited) -> Self {
        let refused = invariant.applies.refuses(header);
        let is_foreign = |spoke: &Spoke| awaited.because(*spoke).is_some();
        let awaits = if refused.is_none() { invariant.applies.spoke().filter(is_foreign) } else { None };
        let withheld = || {
            let because = || format!("needs the promise {}, which the loader does not give", invariant.needs.id());
            (!invariant.needs.is_given(&header.promises)).then(because).map(Cow::Owned)
        };
        let standing = match refused.or_else(withheld) {
            Some(because) => Standing::NotApplicable { because },
            None => match Missing::of(invariant, header) {
                Missing { absence: Some(because), excuse: Some(_) } => Standing::NotObservable { because },
                missing => Standing::Watching(Watch { monitor: None, tally: Tally::default(), missing }),
            },
        };
        Self { invariant, signatures, standing, awaits }
    }

    fn plain(&self, verdict: Verdict, because: Cow<'static, str>) -> Finding {
        Finding {
            invariant: self.invariant.id,
            verdict,
            because,
            witness: Vec::new(),
            requirement: self.invariant.requirement.into(),
            signature: self.signatures.verdict(verdict).into(),
        }
    }

    /// The finding if the history ended here.
    fn finding(&self, engine: &Engine) -> (Finding, Counts) {
        let view = &engine.view;
        let unjudged = |verdict: Verdict, because: Cow<'static, str>| {
            (self.plain(verdict, because), Counts { never_held: true, n_broken: 0 })
        };
        if let Some(because) = view.not_applicable() {
            return unjudged(Verdict::NotApplicable, because.to_owned().into());
        }
        let awaits = self.awaits.filter(|spoke| !view.generations.has(*spoke));
        if let Some(because) = awaits.and_then(|spoke| engine.awaited.because(spoke)) {
            return unjudged(Verdict::NotApplicable, because.clone().into());
        }
        match &self.standing {
            Standing::NotApplicable { because } => unjudged(Verdict::NotApplicable, because.clone()),
            Standing::NotObservable { because } => unjudged(Verdict::NotObservable, because.clone().into()),
            Standing::Watching(watch) => self.judged(watch, engine),
        }
    }

    fn judged(&self, Watch { monitor, tally, missing }: &Watch, engine: &Engine) -> (Finding, Counts) {
        let (invariant, view, mut tally) = (self.invariant, &engine.view, tally.clone());
        match monitor {
            Some(monitor) => monitor.end(view, &mut tally),
            None if invariant.hears.judges_silence() => (invariant.start)(&engine.header).end(view, &mut tally),
            None => {}
        }
        let counts = Counts { never_held: tally.never_held(), n_broken: tally.n_broken() };
        let finding = tally.finding(invariant, self.signatures, view);
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
            Some(because) => self.plain(Verdict::NotObservable, because.into()),
            None => finding,
        };
        (finding, counts)
    }
}
